# SPDX-License-Identifier: Apache-2.0
"""How much was asked lately: lines counted in windows that slide (docs/protocol/policy.md, Rates).

A tally counts in steps, not one by one, so it stays small however much is asked. A window takes in the whole of its
oldest step: it may count a little too much, by at most one step of time, and never too little. Pure; times are seconds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NamedTuple

import msgpack

from node.errors import Verification


class Window(NamedTuple):
    """A span of time that ends now, and the step in which it counts, both in seconds."""

    span_seconds: int
    step_seconds: int


HOUR: Final = Window(3_600, 60)
DAY: Final = Window(86_400, 1_800)
WINDOWS: Final = (HOUR, DAY)


@dataclass(frozen=True, slots=True)
class Tally:
    """Lines by step, for each of ``WINDOWS``: pairs of the number of a step since 1970 and its lines, ascending."""

    steps: tuple[tuple[tuple[int, int], ...], ...] = ((),) * len(WINDOWS)

    def count(self, window: Window, at: int) -> int:
        """Count the lines of a window that ends now.

        What is dated later than now was counted before the clock was set back, and counts.

        Args:
            window: One of ``WINDOWS``.
            at: Now.
        """
        first = _first_step(window, at)
        return sum(lines for step, lines in self.steps[WINDOWS.index(window)] if step >= first)

    def add(self, at: int, lines: int) -> Tally:
        """Count some lines now and forget what no window reaches any more.

        What is dated later than now is dated now, so that it ages from here on however wrong the clock was.

        Args:
            at: Now.
            lines: How many, at least 0.
        """
        return Tally(
            tuple(_add(steps, window, at, lines) for steps, window in zip(self.steps, WINDOWS, strict=True))
        )


def encode_tally(tally: Tally) -> bytes:
    """Encode a tally for the store."""
    data: bytes = msgpack.packb([[number for pair in steps for number in pair] for steps in tally.steps])
    return data


def parse_tally(data: bytes | None) -> Tally:
    """Parse a stored tally; where there is none, nothing was counted.

    Raises:
        Verification: ``tally-form``: what is stored is no tally.
    """
    if data is None:
        return Tally()
    try:
        columns = msgpack.unpackb(data)
        tally = Tally(
            tuple(tuple(zip(column[::2], column[1::2], strict=True)) for column in columns),
        )
    except (ValueError, TypeError, msgpack.UnpackException):
        raise Verification("tally-form", "a stored count of lines is malformed") from None
    if len(tally.steps) != len(WINDOWS) or any(
        type(number) is not int or number < 0 for column in columns for number in column
    ):
        raise Verification("tally-form", "a stored count of lines is malformed")
    return tally


def _first_step(window: Window, at: int) -> int:
    return (at - window.span_seconds) // window.step_seconds


def _add(
    steps: tuple[tuple[int, int], ...], window: Window, at: int, lines: int
) -> tuple[tuple[int, int], ...]:
    now, first = at // window.step_seconds, _first_step(window, at)
    past = tuple(pair for pair in steps if first <= pair[0] < now)
    current = lines + sum(counted for step, counted in steps if step >= now)
    return (*past, (now, current)) if current else past
