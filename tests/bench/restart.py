# SPDX-License-Identifier: Apache-2.0
"""Start of a node: from a cold command to its first answer."""

from __future__ import annotations

import os
import time

from cli.init import DEFAULT_SCRYPT_N
from node.service.layout import LogKind
from tests.bench.homes import MEMBER, make_home, running_node
from tests.support.real_node import RealNode

ENTRY_BYTES = 700
ENTRIES_A_COMMIT = 1_000


def measure_restart(scratch, entries, *, starts):
    """Measure the start of a node with ``entries`` entries in its records log; its chain is away."""
    home = make_home(scratch / "restart", scrypt_n=DEFAULT_SCRYPT_N)
    with running_node(home) as node:
        _fill(node.services.sequencer, entries)
    return {
        "entries": entries,
        "starts": starts,
        "seconds": round(measure_starts(home, MEMBER, entries, starts=starts), 2),
    }


def measure_starts(home, member, entries, *, starts):
    """Seconds from a cold command to the first answer of a home's node, the median of some starts."""
    node = RealNode(home, member)
    seconds = []
    for _ in range(starts):
        start = time.perf_counter()
        try:
            node.start(mode=None)
            seconds.append(time.perf_counter() - start)
            assert node.logs()["records"]["size"] == entries
            node.stop()
        finally:
            node.end()
    return sorted(seconds)[len(seconds) // 2]


def _fill(sequencer, entries):
    entry = os.urandom(ENTRY_BYTES)

    def append(transaction):
        for _ in range(min(ENTRIES_A_COMMIT, entries - transaction.size(LogKind.RECORDS))):
            transaction.append(LogKind.RECORDS, entry)

    while sequencer.size(LogKind.RECORDS) < entries:
        sequencer.run(append, entries=ENTRIES_A_COMMIT)
