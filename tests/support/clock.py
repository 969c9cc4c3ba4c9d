# SPDX-License-Identifier: Apache-2.0
"""A clock that stands still until a test moves it."""

from __future__ import annotations

_MS_PER_SECOND = 1000


class ManualClock:
    """Implements ``node.core.clock.Clock``.

    Args:
        now_seconds: Where the clock stands, in seconds since 1970.
    """

    def __init__(self, now_seconds: int = 1_800_000_000) -> None:
        self._ms = now_seconds * _MS_PER_SECOND
        self._started_ms = self._ms

    def now_seconds(self) -> int:
        return self._ms // _MS_PER_SECOND

    def now_ms(self) -> int:
        return self._ms

    def monotonic(self) -> float:
        return (self._ms - self._started_ms) / _MS_PER_SECOND

    def advance(self, *, seconds: int = 0, ms: int = 0) -> None:
        """Move the clock forward."""
        assert seconds >= 0
        assert ms >= 0
        self._ms += seconds * _MS_PER_SECOND + ms

    def put(self, *, seconds: int) -> None:
        """Put the clock forward or back, as an administrator or a dead battery does; durations are not touched."""
        self._ms += seconds * _MS_PER_SECOND
        self._started_ms += seconds * _MS_PER_SECOND
