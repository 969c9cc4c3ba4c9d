# SPDX-License-Identifier: Apache-2.0
"""Under what conditions something was measured, so that figures of two machines can be compared."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import sysconfig
import time
from datetime import UTC, datetime
from pathlib import Path

from node.crypto.ed25519 import Ed25519Signer
from tests.support.project import ROOT

ENTRY_BYTES = 1_900
"""About what is signed of a record."""
SYNCS = 200


def describe(directory):
    """Describe machine, program and load; ``directory`` lies on the disk that is measured."""
    signer, message = Ed25519Signer(bytes(32)), bytes(ENTRY_BYTES)
    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "commit": _git("rev-parse", "--short", "HEAD"),
        "changed": bool(_git("status", "--porcelain", "--untracked-files=no")),
        "cpu": _proc_line("/proc/cpuinfo", "model name"),
        "cores": os.cpu_count(),
        "memory_mib": int(_proc_line("/proc/meminfo", "MemTotal").split()[0]) // 1024,
        "kernel": platform.release(),
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "python_build": _python_build(),
        "file_system": _file_system(directory),
        "load_before": round(os.getloadavg()[0], 2),
        "sync_ms": _sync_ms(directory),
        "sign_us": _best_us(lambda: signer.sign(message)),
        "loop_us": _best_us(_loop),
    }


def _python_build():
    """How the interpreter was built, as far as it can be told: ``.ci/setup`` chooses by the same two signs."""
    if "--enable-optimizations" in (sysconfig.get_config_var("CONFIG_ARGS") or ""):
        return "built with --enable-optimizations"
    return "the distribution's" if sys.base_prefix == "/usr" else "built without --enable-optimizations"


def _loop():
    total = 0
    for number in range(1_000):
        total += number * number & 7
    return total


def _best_us(call, *, rounds=50, calls=40):
    """Microseconds of a call in the least disturbed of many rounds."""
    best = float("inf")
    for _ in range(rounds):
        start = time.perf_counter()
        for _ in range(calls):
            call()
        best = min(best, time.perf_counter() - start)
    return round(best / calls * 1e6, 1)


def _sync_ms(directory):
    """Milliseconds of writing 4 KiB and syncing it, the median."""
    seconds = []
    path = Path(directory) / "sync"
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT)
    try:
        for _ in range(SYNCS):
            os.write(descriptor, bytes(4096))
            start = time.perf_counter()
            os.fdatasync(descriptor)
            seconds.append(time.perf_counter() - start)
    finally:
        os.close(descriptor)
        path.unlink()
    return round(sorted(seconds)[SYNCS // 2] * 1e3, 3)


def _file_system(directory):
    mounts = [line.split()[:3] for line in Path("/proc/mounts").read_text().splitlines()]
    place = str(Path(directory).resolve())
    inside = [mount for mount in mounts if place == mount[1] or place.startswith(mount[1].rstrip("/") + "/")]
    return max(inside, key=lambda mount: len(mount[1]))[2]


def _proc_line(path, name):
    for line in Path(path).read_text().splitlines():
        if line.startswith(name):
            return line.partition(":")[2].strip()
    return "unknown"


def _git(*arguments):
    command = ["git", "-c", "safe.directory=*", *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, check=False)
    return done.stdout.decode().strip() if done.returncode == 0 else ""
