# SPDX-License-Identifier: Apache-2.0
"""The demonstration as `make demo` runs it without a terminal: all steps, exit 0, nothing left but its directory."""

import signal

import pytest

from tests.support.demonstrations import (
    WAIT_SECONDS,
    headings_of,
    run_demonstration,
    start_demonstration,
    wait_alone,
    wait_for_file,
)

DEMO = "cli.demo"


@pytest.mark.slow
def test_the_demonstration_ends_by_itself_and_leaves_nothing_behind(tmp_path):
    home = tmp_path / "user"
    work = tmp_path / "work"
    home.mkdir()
    work.mkdir()
    code, said = run_demonstration(DEMO, work, home=home)
    assert code == 0, said[-3_000:]
    assert headings_of(said) == list(range(1, 7))
    assert "NOT IN FORCE" in said
    assert "rewritten history" in said
    assert [path.name for path in work.iterdir()] == [".demo"]
    assert list(home.iterdir()) == []
    wait_alone(work)


@pytest.mark.slow
@pytest.mark.parametrize("ending", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_demonstration_that_is_ended_early_leaves_no_process(tmp_path, ending):
    started = start_demonstration(DEMO, tmp_path)
    try:
        wait_for_file(started, tmp_path, ".demo/*/run/node.json")
        assert run_demonstration(DEMO, tmp_path)[0] == 3, "one demonstration at a time in one place"
        started.send_signal(ending)
        assert started.wait(WAIT_SECONDS) != 0
    finally:
        started.kill()
        started.communicate()
    wait_alone(tmp_path)


@pytest.mark.parametrize(("module", "folder"), [(DEMO, ".demo"), ("cli.demo.exchange", ".demo-exchange")])
def test_a_directory_that_is_not_a_demonstration_is_left_alone(tmp_path, module, folder):
    kept = tmp_path / folder / "thesis.txt"
    kept.parent.mkdir()
    kept.write_text("years of work")
    assert run_demonstration(module, tmp_path)[0] != 0
    assert kept.read_text() == "years of work"
