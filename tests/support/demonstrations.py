# SPDX-License-Identifier: Apache-2.0
"""Demonstrations as ``make`` runs them without a terminal, in a directory of their own, and what is left of them."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]
WAIT_SECONDS = 300
"""Guards against a failure that would hang."""


def start_demonstration(module, work, *, home=None, environment=None):
    """Start one in the background.

    Args:
        module: What runs it.
        work: Its working directory.
        home: Home directory of its user; this one's by default.
        environment: More variables.
    """
    variables = dict(os.environ) if home is None else {"PATH": os.environ["PATH"], "HOME": str(home)}
    variables |= {"PYTHONPATH": str(ROOT), "LANG": "C.UTF-8", "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.Popen(
        [sys.executable, "-m", module],
        cwd=work,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=variables | (environment or {}),
    )


def run_demonstration(module, work, *, seconds=780, **options):
    """Run one to its end; gives its exit code and what it printed. A machine that does other work takes its time."""
    started = start_demonstration(module, work, **options)
    try:
        said, _ = started.communicate(timeout=seconds)
    finally:
        started.kill()
        started.wait()
    return started.returncode, said


def wait_for_file(process, work, pattern):
    """Wait until a file is there that a demonstration writes on its way."""
    deadline = time.monotonic() + WAIT_SECONDS
    while not list(work.glob(pattern)):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.2)


def headings_of(said):
    """The numbers of the steps that were begun."""
    return [int(line.split()[1]) for line in said.splitlines() if line.startswith("━━")]


def wait_alone(folder):
    """Wait until no process of a demonstration is left; those that a node leaves behind when it is killed end by themselves."""
    deadline = time.monotonic() + WAIT_SECONDS
    while left := processes_of(folder):
        assert time.monotonic() < deadline, f"still there: {left}"
        time.sleep(0.05)


def processes_of(folder):
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
