# SPDX-License-Identifier: Apache-2.0
"""Run programs over the disk of faultfs.c, and talk to it from inside."""

from __future__ import annotations

import atexit
import ctypes
import json
import os
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp

ROOT = Path(__file__).parents[3]
SOURCE = Path(__file__).with_name("faultfs.c")
COMPILER = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
# With CI set the tests are collected all the same and fail for want of a compiler.
LEFT_OUT = COMPILER is None and not os.environ.get("CI")
ACTIONS = (
    "pass", "fail", "fail-after", "torn", "short", "kill", "kill-after", "kill-torn", "term", "delay",
)  # fmt: skip
"""What can become of a call, in the order of ``enum action``."""


@cache
def library() -> Path:
    """Compile the library, once a session."""
    folder = mkdtemp(prefix="faultfs-")
    atexit.register(rmtree, folder, ignore_errors=True)
    built = Path(folder) / "faultfs.so"
    command = [
        COMPILER or "cc",
        "-O1",
        "-shared",
        "-fPIC",
        "-o",
        str(built),
        str(SOURCE),
        "-ldl",
        "-lpthread",
    ]
    subprocess.run(command, check=True)
    return built


def settings(root: Path, *, journal: Path | None = None, arm: str | None = None) -> dict[str, str]:
    """Give the environment of a process whose files below ``root`` lie on the faulty disk."""
    found = {"LD_PRELOAD": str(library()), "FAULTFS_ROOT": str(root)}
    if journal is not None:
        found["FAULTFS_JOURNAL"] = str(journal)
    if arm is not None:
        found["FAULTFS_ARM"] = arm
    return found


def run(module: str, *arguments, root: Path, journal: Path | None = None) -> str:
    """Run a Python module to its end over the faulty disk and give what it printed."""
    done = subprocess.run(
        [sys.executable, "-m", module, *map(str, arguments)],
        cwd=ROOT,
        env=os.environ | settings(root, journal=journal),
        capture_output=True,
        check=False,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr.decode()[-3000:]
    return done.stdout.decode()


class Faultfs:
    """The library inside the process that it was loaded into."""

    def __init__(self) -> None:
        self._lib = ctypes.CDLL(None)
        self._lib.faultfs_calls.restype = ctypes.c_long

    def arm(self, first: int, last: int | None, action: str, error: int = 0, ops: str = "") -> None:
        """Let calls ``first`` to ``last`` (None: all) misbehave, all of them or those named by ``ops``."""
        end = ctypes.c_long(2**62 if last is None else last)
        self._lib.faultfs_arm(ctypes.c_long(first), end, ACTIONS.index(action), error, ops.encode())

    def disarm(self) -> None:
        self._lib.faultfs_arm(ctypes.c_long(1), ctypes.c_long(0), 0, 0, b"")

    def calls(self, *, restart: bool = False) -> int:
        return self._lib.faultfs_calls(int(restart))

    def quota(self, size: int = -1) -> None:
        self._lib.faultfs_quota(ctypes.c_long(size))

    def note(self, **facts) -> None:
        """Write into the journal what is acknowledged at this moment."""
        data = json.dumps(facts).encode()
        self._lib.faultfs_note(data, ctypes.c_size_t(len(data)))
