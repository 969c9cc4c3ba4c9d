# SPDX-License-Identifier: Apache-2.0
"""Counts the calls of a piece of work: what it costs on every machine alike."""

from __future__ import annotations

import sys
from collections import Counter


def calls_of(work):
    """Count the calls that a piece of work makes from Python: of C functions by name, of our own as ``python``."""
    counts = Counter()

    def note(_frame, event, function):
        if event == "c_call":
            counts[function.__name__] += 1
        elif event == "call":
            counts["python"] += 1

    before = sys.getprofile()
    sys.setprofile(note)
    try:
        work()
    finally:
        sys.setprofile(before)
    return counts
