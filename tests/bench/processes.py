# SPDX-License-Identifier: Apache-2.0
"""What this process and all processes under it use: processor time and anonymous memory (Linux, /proc)."""

from __future__ import annotations

import os
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

SAMPLE_SECONDS = 0.1
SAMPLES_A_LOOK = 10
"""Looking for new processes means reading of every process on the machine, so it is done now and then."""
TICKS = os.sysconf("SC_CLK_TCK")
MIB = 2**20


@dataclass
class Usage:
    """What a stretch of work used.

    Attributes:
        wall_seconds: Time by the clock.
        cpu_seconds: User and system time of all processes, those that ended included.
        own_cpu_seconds: The part of this process.
        peak_bytes: Greatest sum of anonymous memory (RssAnon) over all processes, sampled.
        peak_by_process: That sum by process, greatest first.
    """

    wall_seconds: float = 0.0
    cpu_seconds: float = 0.0
    own_cpu_seconds: float = 0.0
    peak_bytes: int = 0
    peak_by_process: tuple[int, ...] = ()


def family():
    """Process ids of this process and everything under it."""
    return [os.getpid(), *descendants(os.getpid())]


def descendants(pid):
    """Process ids of everything under a process."""
    parents = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                fields = (folder / "stat").read_text().rpartition(") ")[2].split()
            except OSError:
                continue
            parents[int(folder.name)] = int(fields[1])
    found = [pid]
    for one in found:
        found += [child for child, parent in parents.items() if parent == one]
    return found[1:]


def cpu_seconds(pid):
    """User and system time of a process and of its children that ended."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
    except OSError:
        return 0.0
    return sum(map(int, fields[11:15])) / TICKS


def anonymous_bytes(pid):
    """Anonymous memory of a process: what cannot be dropped and read again from a file."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("RssAnon"))


@contextmanager
def measured():
    """Measure what the block uses; processes that live when it begins are counted from their state then."""
    usage = Usage()
    done = threading.Event()

    def sample():
        found, samples = family(), 0
        while not done.wait(SAMPLE_SECONDS):
            samples += 1
            if samples % SAMPLES_A_LOOK == 0:
                found = family()
            sizes = sorted(map(anonymous_bytes, found), reverse=True)
            if sum(sizes) > usage.peak_bytes:
                usage.peak_bytes, usage.peak_by_process = sum(sizes), tuple(sizes)

    before = {pid: cpu_seconds(pid) for pid in family()}
    sampler = threading.Thread(target=sample, daemon=True)
    sampler.start()
    own, start = time.process_time(), time.perf_counter()
    try:
        yield usage
    finally:
        usage.wall_seconds = time.perf_counter() - start
        usage.own_cpu_seconds = time.process_time() - own
        usage.cpu_seconds = sum(cpu_seconds(pid) - before.get(pid, 0.0) for pid in family())
        done.set()
        sampler.join()


def disk_bytes(directory):
    """What the files under a directory take on the disk."""
    return sum(path.stat().st_blocks * 512 for path in Path(directory).rglob("*") if path.is_file())
