# SPDX-License-Identifier: Apache-2.0
"""Tell whether the process that wrote a file is still the one under its number."""

from __future__ import annotations

import os
from pathlib import Path


def find_start(pid: int) -> int | None:
    """Find when a process started, in clock ticks since the machine's start; None where the system does not say (proc(5), stat, field 22)."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return None
    # The name of the program stands in brackets and may hold anything, brackets and blanks among it.
    return int(stat.rpartition(b")")[2].split()[19])


def is_alive(pid: object, started: object) -> bool:
    """Tell whether a process of this account runs under a number and is the one that started then.

    After a restart of the machine the number belongs to another program, and its port perhaps to a third.

    Args:
        pid: Its number, as a file says it.
        started: Of ``find_start``, as a file says it; None where it was not known.
    """
    if type(pid) is not int or pid <= 0:
        return False
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, PermissionError, OverflowError):
        return False
    return find_start(pid) == started
