# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import time

from node.core.clock import Clock, SystemClock
from tests.support.clock import ManualClock


def test_system_clock_agrees_with_the_machine():
    clock: Clock = SystemClock()
    before = time.time()
    seconds, ms = clock.now_seconds(), clock.now_ms()
    after = time.time()
    assert int(before) <= seconds <= after
    assert int(before * 1000) - 1 <= ms <= after * 1000 + 1
    assert clock.monotonic() <= clock.monotonic()


def test_manual_clock_moves_only_when_told():
    clock: Clock = ManualClock(1_800_000_000)
    assert (clock.now_seconds(), clock.now_ms(), clock.monotonic()) == (1_800_000_000, 1_800_000_000_000, 0)
    clock.advance(seconds=2, ms=500)
    assert (clock.now_seconds(), clock.now_ms(), clock.monotonic()) == (1_800_000_002, 1_800_000_002_500, 2.5)
