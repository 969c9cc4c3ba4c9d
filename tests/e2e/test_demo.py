# SPDX-License-Identifier: Apache-2.0
"""The demonstration as `make demo` runs it without a terminal: all steps, exit 0, nothing left but its directory."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SECONDS = 280


@pytest.mark.slow
def test_the_demonstration_ends_by_itself_and_leaves_nothing_behind(tmp_path):
    home = tmp_path / "user"
    work = tmp_path / "work"
    home.mkdir()
    work.mkdir()
    done = subprocess.run(
        [sys.executable, "-m", "cli.demo"],
        cwd=work,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        env={
            "HOME": str(home),
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(ROOT),
            "LANG": "C.UTF-8",
            "PYTHONDONTWRITEBYTECODE": "1",
        },
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3_000:] + done.stderr[-3_000:]
    assert [line.split()[1] for line in done.stdout.splitlines() if line.startswith("━━")] == list("123456")
    assert "NOT IN FORCE" in done.stdout
    assert "rewritten history" in done.stdout
    assert [path.name for path in work.iterdir()] == [".demo"]
    assert list(home.iterdir()) == []
    assert not _processes_of(work), "a process of the demonstration is still there"


@pytest.mark.slow
@pytest.mark.parametrize("ending", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_demonstration_that_is_ended_early_leaves_no_process(tmp_path, ending):
    started = subprocess.Popen(
        [sys.executable, "-m", "cli.demo"],
        cwd=tmp_path,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    try:
        deadline = time.monotonic() + 120
        while not list(tmp_path.glob(".demo/*/run/node.json")):
            assert started.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.2)
        second = subprocess.run(
            [sys.executable, "-m", "cli.demo"],
            cwd=tmp_path,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=60,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            check=False,
        )
        assert second.returncode == 3, "one demonstration at a time in one place"
        started.send_signal(ending)
        assert started.wait(60) != 0
    finally:
        started.kill()
    assert not _processes_of(tmp_path)


def test_a_directory_that_is_not_a_demonstration_is_left_alone(tmp_path):
    kept = tmp_path / ".demo" / "thesis.txt"
    kept.parent.mkdir()
    kept.write_text("years of work")
    done = subprocess.run(
        [sys.executable, "-m", "cli.demo"],
        cwd=tmp_path,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=60,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        check=False,
    )
    assert done.returncode != 0
    assert kept.read_text() == "years of work"


def _processes_of(folder: Path) -> list[str]:
    """Find running processes with the folder on their command line or as their working directory."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            line = (process / "cmdline").read_bytes().decode(errors="replace")
            place = str((process / "cwd").readlink())
        except OSError:
            continue
        if str(folder) in line or place.startswith(str(folder)):
            found.append(line.replace("\0", " "))
    return found
