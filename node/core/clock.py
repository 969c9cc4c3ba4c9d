# SPDX-License-Identifier: Apache-2.0
"""The clock that the edge hands to whatever needs the time."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Final, Protocol

MAX_TIME: Final = 253_402_300_799
"""Greatest time in seconds since 1970 that a calendar shows: the last second of the year 9999."""
_NS_PER_SECOND = 1_000_000_000
_NS_PER_MS = 1_000_000


class Clock(Protocol):
    """Source of time; everything below the edge takes one, or a time, as an argument."""

    def now_seconds(self) -> int:
        """Return the seconds since 1970-01-01T00:00:00Z."""
        ...

    def now_ms(self) -> int:
        """Return the milliseconds since 1970-01-01T00:00:00Z."""
        ...

    def monotonic(self) -> float:
        """Return seconds from an arbitrary start that never go back, for durations."""
        ...


class SystemClock:
    """The clock of this machine."""

    def now_seconds(self) -> int:
        """Return the seconds since 1970-01-01T00:00:00Z."""
        return time.time_ns() // _NS_PER_SECOND

    def now_ms(self) -> int:
        """Return the milliseconds since 1970-01-01T00:00:00Z."""
        return time.time_ns() // _NS_PER_MS

    def monotonic(self) -> float:
        """Return seconds from an arbitrary start that never go back, for durations."""
        return time.monotonic()


def china_date(now_seconds: int) -> str:
    """Give the date in China (UTC+8, no summer time), YYYY-MM-DD: the date that forms and deadlines mean."""
    return (datetime.fromtimestamp(now_seconds, UTC) + timedelta(hours=8)).date().isoformat()
