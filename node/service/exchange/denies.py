# SPDX-License-Identifier: Apache-2.0
"""How many refusals of one member are logged one by one; of more, a single event says how many (protocol section 8).

Whoever signs with a member's key could otherwise fill this node's log with refusals of his own making. For the same reason
not each of them is written: the count is kept at every power of two, so that a crash forgets less than half of it.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

    from node.core.clock import Clock
    from node.core.types import MemberCode

WINDOW_SECONDS: Final = 3_600.0
EACH_WINDOW: Final = 60
"""Refusals of one member in one hour that have an event of their own."""


@dataclass(slots=True)
class _Window:
    began: float
    logged: int = 0
    passed_over: int = 0
    last: bytes = b""


@dataclass(frozen=True, slots=True)
class Summary:
    """Refusals that had no event of their own.

    Attributes:
        member: Whose requests were refused.
        count: How many.
        last: SHA-256 of the last of these requests.
    """

    member: MemberCode
    count: int
    last: bytes


class Denies:
    """Counts refusals by member; safe to use from any thread."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._guard = threading.Lock()
        self._windows: dict[MemberCode, _Window] = {}
        self._put_back: list[Summary] = []

    def take(self, member: MemberCode, req: bytes) -> bool:
        """Count a refusal and say whether it gets an event of its own."""
        with self._guard:
            window = self._windows.get(member)
            if window is None:
                window = self._windows[member] = _Window(self._clock.monotonic())
            if window.logged < EACH_WINDOW:
                window.logged += 1
                return True
            window.passed_over += 1
            window.last = req
            return False

    def find_due(self, member: MemberCode) -> Summary | None:
        """Give what has to be kept now of the refusals of a member that were passed over; None while it is kept well enough."""
        with self._guard:
            waiting = self._sum_up(member)
            return waiting if waiting is not None and waiting.count.bit_count() == 1 else None

    def find_waiting(self, member: MemberCode) -> Summary | None:
        """Give all refusals of a member that were passed over and are in no event, those put back among them."""
        with self._guard:
            return self._sum_up(member)

    def close_windows(self, *, all_: bool = False) -> list[Summary]:
        """Forget windows that are over and give those that passed refusals over: to be logged, or put back.

        Args:
            all_: Forget the others, too: the node stops.
        """
        now = self._clock.monotonic()
        with self._guard:
            over = [
                (member, window)
                for member, window in self._windows.items()
                if all_ or now - window.began >= WINDOW_SECONDS
            ]
            for member, window in over:
                del self._windows[member]
                if window.passed_over:
                    self._put_back.append(Summary(member, window.passed_over, window.last))
            summaries = [_add_up(self._put_back, summary.member) for summary in self._put_back]
            self._put_back = []
        # One of each member: what is kept of it goes with the event that says all of it.
        return list(dict.fromkeys(summaries))

    def _sum_up(self, member: MemberCode) -> Summary | None:
        waiting = [summary for summary in self._put_back if summary.member == member]
        window = self._windows.get(member)
        if window is not None and window.passed_over:
            waiting.append(Summary(member, window.passed_over, window.last))
        return _add_up(waiting, member) if waiting else None

    def put_back(self, summaries: Sequence[Summary]) -> None:
        """Keep what could not be logged now; ``close_windows`` gives it again."""
        with self._guard:
            self._put_back += summaries


def _add_up(summaries: Sequence[Summary], member: MemberCode) -> Summary:
    own = [summary for summary in summaries if summary.member == member]
    return Summary(member, sum(summary.count for summary in own), own[-1].last)
