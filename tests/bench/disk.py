# SPDX-License-Identifier: Apache-2.0
"""What the disk itself does meanwhile: a process of its own syncs 4 KiB again and again and notes how long it waited.

It shares nothing with a node but the disk: its file neither grows nor changes its inode. So a wait of a node's commit that falls
into one of its waits is the device's, be it for what others write or for what the node wrote just before: these two cannot be told
apart from here. As a program:
``python -m tests.bench.disk FILE`` prints begin and end of each wait, in seconds of the monotonic clock.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from contextlib import contextmanager

from tests.support.project import ROOT

PAUSE_SECONDS = 0.03
LEAST_SECONDS = 0.02
"""Shorter waits are a disk at work."""
BLOCK = 4096


class DiskWaits:
    """What the other process waited.

    Args:
        path: Where its lines go.
    """

    def __init__(self, path):
        self._path = path

    def since(self, moment):
        """Give (begin, end) of each wait that ended behind a moment, in seconds of the monotonic clock."""
        # What is behind the last newline is not written whole.
        lines = self._path.read_text().split("\n")[:-1]
        return [wait for wait in (tuple(map(float, line.split())) for line in lines) if wait[1] > moment]


@contextmanager
def disk_waits(directory):
    """Have the disk that holds a directory watched while the block runs."""
    path = directory / "disk-waits"
    with path.open("wb") as lines:
        watcher = subprocess.Popen(
            [sys.executable, "-m", "tests.bench.disk", str(directory / "disk-watch")], cwd=ROOT, stdout=lines
        )
    try:
        yield DiskWaits(path)
    finally:
        watcher.terminate()
        watcher.wait()


def without(call, waits):
    """Seconds of a call, (begin, end), that do not lie in one of the waits; these do not overlap each other."""
    begin, end = call
    return end - begin - sum(max(0.0, min(end, until) - max(begin, since)) for since, until in waits)


def _watch(path):
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    block = os.urandom(BLOCK)
    while True:
        time.sleep(PAUSE_SECONDS)
        begin = time.monotonic()
        os.pwrite(descriptor, block, 0)
        os.fdatasync(descriptor)
        end = time.monotonic()
        if end - begin >= LEAST_SECONDS:
            sys.stdout.write(f"{begin} {end}\n")
            sys.stdout.flush()


if __name__ == "__main__":
    _watch(sys.argv[1])
