# SPDX-License-Identifier: Apache-2.0
"""The count of unwraps in the heartbeats of a log, held against the looks that explain it (docs/protocol/access-log.md).

Every look is durable before what it allows comes out, and its ``n`` stands in the open. So between two heartbeats no more comes
out than the looks between them say, and what those of the interval before had left. What honest nodes may show beyond
that, after a machine that stopped without warning or a request that was finished after a kill, is less than 1,024: so much is
let pass in a day of the log, and remarked.
"""

from __future__ import annotations

from typing import Final

LOOKS: Final = frozenset({"read", "export", "erase", "grant", "sealed", "bulk", "audit"})
"""Kinds of events by which secrets come out."""
DAY_MS: Final = 86_400_000
LET_PASS: Final = 1_024
"""More than a counter jumps where a machine stopped (node.worker.keys_counter)."""
RECORDS_A_LINE: Final = 100
"""A line of a bulk event may release several records; its event counts lines."""


class UnwrapCount:
    """Compares the heartbeats of one log with its looks, one after the other."""

    def __init__(self) -> None:
        self._last: int | None = None
        self._looked = 0
        self._left = 0
        self._day = 0
        self._passed = 0

    def note_look(self, kind: str, n: int) -> None:
        """Note an event; of some kinds nothing comes out."""
        if kind in LOOKS:
            self._looked += n * RECORDS_A_LINE if kind == "bulk" else n

    def compare(self, t_ms: int, unwraps: int | None) -> tuple[int, bool]:
        """Compare at a heartbeat.

        Args:
            t_ms: The time that it claims.
            unwraps: Its count; None where nothing counts.

        Returns:
            How many came out that no look explains, and whether that is more than what is let pass in a day.
        """
        last, looked, self._last, self._looked = self._last, self._looked, unwraps, 0
        if last is None or unwraps is None or unwraps < last:
            # Nothing to compare with; a count that goes back is a finding of its own.
            self._left = looked
            return 0, False
        unexplained = unwraps - last - looked - self._left
        self._left = min(max(0, -unexplained), looked)
        if unexplained <= 0:
            return 0, False
        day = t_ms // DAY_MS
        if day != self._day:
            self._day, self._passed = day, 0
        self._passed += unexplained
        return unexplained, self._passed >= LET_PASS
