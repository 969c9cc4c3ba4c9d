# SPDX-License-Identifier: Apache-2.0
"""All threads of a node that stops share one deadline, however many of them do not end."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from node.bootstrap import JOIN_SECONDS, RunningNode
from tests.support.clock import ManualClock


class Stuck:
    """A thread that takes its time to end; a wait for it ends with the thread or with the time given."""

    def __init__(self, clock, takes_ms):
        self._clock = clock
        self._takes_ms = takes_ms

    def join(self, seconds):
        self._clock.advance(ms=min(self._takes_ms, round(seconds * 1_000)))


@pytest.mark.parametrize("takes_ms", [100, 2_000, 60_000])
def test_threads_that_do_not_end_are_waited_for_once_and_not_each(takes_ms):
    clock = ManualClock()
    backup, *loops = (Stuck(clock, takes_ms) for _ in range(5))
    node = RunningNode(SimpleNamespace(clock=clock), None, None, *loops, None, None)
    node.join(backup)
    assert clock.monotonic() == min(5 * takes_ms / 1_000, JOIN_SECONDS)
