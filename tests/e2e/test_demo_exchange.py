# SPDX-License-Identifier: Apache-2.0
"""`make demo-exchange` without a terminal: all steps, exit 0, nothing left; and non-zero when a step does not do what it says."""

import signal

import pytest

from cli.demo import exchange
from cli.demo.departments import code_of
from cli.demo.world import StepFailedError
from tests.support.demonstrations import (
    WAIT_SECONDS,
    headings_of,
    run_demonstration,
    start_demonstration,
    wait_alone,
    wait_for_file,
)

DEMO = "cli.demo.exchange"
HONEST = """
import sys
from cli.demo import exchange
from cli.demo.world import World

# The administrator's changed program is the one that everybody has.
start = World.start_nodes
World.start_nodes = lambda world, *names, **options: start(world, *names, **(options | {"program": "node"}))
sys.exit(exchange.main())
"""


@pytest.mark.slow
def test_it_ends_by_itself_and_leaves_nothing_behind(tmp_path):
    home, work = tmp_path / "user", tmp_path / "work"
    home.mkdir()
    work.mkdir()
    code, said = run_demonstration(DEMO, work, home=home)
    assert code == 0, said[-3_000:]
    assert headings_of(said) == list(range(1, 9))
    for words in (
        "no record",
        "[case-required]",
        "3 looks at",
        "[behind-witness]",
        "CONVICTS: 11520100008000013N",
    ):
        assert words in said
    assert [path.name for path in work.iterdir()] == [".demo-exchange"]
    assert list(home.iterdir()) == []
    wait_alone(work)


@pytest.mark.slow
@pytest.mark.parametrize("ending", [signal.SIGTERM, signal.SIGINT])
def test_ended_early_it_leaves_no_process(tmp_path, ending):
    started = start_demonstration(DEMO, tmp_path)
    try:
        wait_for_file(started, tmp_path, ".demo-exchange/*/run/node.json")
        started.send_signal(ending)
        assert started.wait(WAIT_SECONDS) != 0
    finally:
        started.kill()
        started.communicate()
    wait_alone(tmp_path)


@pytest.mark.slow
def test_an_administrator_who_does_not_get_away_with_it_ends_it_with_an_error(tmp_path):
    """The step says that the changed program anchors; with the program that everybody has the node stays read-only."""
    (tmp_path / "honest_exchange.py").write_text(HONEST)
    code, said = run_demonstration("honest_exchange", tmp_path)
    assert code == 1, said[-3_000:]
    assert headings_of(said) == list(range(1, 8))
    assert "the demonstration stopped: node market is not ready" in said
    wait_alone(tmp_path)


@pytest.mark.parametrize(
    "answers",
    [
        {"market": ("ok", 2)},
        {"market": ("ok", 1), "tax": ("none", 0)},
        {"market": ("none", 0), "tax": ("none", 0)},
    ],
)
def test_other_answers_fail_the_step(answers):
    with pytest.raises(StepFailedError):
        exchange.check_answers(answers)
    exchange.check_answers({"market": ("ok", 2), "tax": ("none", 0)})


NAMED = {"code": "receipt-not-honoured", "member": code_of("market")}


@pytest.mark.parametrize(
    "findings",
    [[], [NAMED, NAMED], [NAMED | {"member": code_of("tax")}], [NAMED | {"code": "pair-gap"}]],
    ids=["none", "two", "another member", "another code"],
)
def test_other_findings_fail_the_step(findings):
    with pytest.raises(StepFailedError):
        exchange.check_named(findings)
    exchange.check_named([NAMED])
