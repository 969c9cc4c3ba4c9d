# SPDX-License-Identifier: Apache-2.0
"""Sliding windows against a list of every line ever counted."""

import msgpack
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from node.access.limits import DAY, HOUR, WINDOWS, Tally, encode_tally, parse_tally
from node.errors import Verification
from tests.support.errors import raises_code

NOW = 1_790_000_000
pauses = st.sampled_from([0, 1, 59, 60, 61, 1_799, 1_800, 3_540, 3_599, 3_600, 3_660, 86_399, 86_400, 90_000])


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(pauses | st.integers(0, 4_000), st.integers(0, 50)), max_size=30))
def test_a_window_never_counts_too_little_and_at_most_one_step_too_much(asked):
    tally, now, told = Tally(), NOW, []
    for pause, lines in asked:
        now += pause
        tally = tally.add(now, lines)
        told.append((now, lines))
        for window in WINDOWS:
            counted = tally.count(window, now)
            assert counted >= sum(n for at, n in told if at > now - window.span_seconds)
            longest = window.span_seconds + window.step_seconds
            assert counted <= sum(n for at, n in told if at > now - longest)
        assert parse_tally(encode_tally(tally)) == tally
        assert len(encode_tally(tally)) < 1_200


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.integers(-200_000, 200_000), st.integers(1, 9)), min_size=1, max_size=20))
def test_a_clock_that_jumps_frees_nothing_of_the_last_hour_and_nobody_for_ever(asked):
    tally, lines_at = Tally(), []
    now = NOW
    for jump, lines in asked:
        now += jump
        before = tally.count(HOUR, now)
        tally = tally.add(now, lines)
        assert tally.count(HOUR, now) == before + lines
        lines_at.append(lines)
    assert tally.count(DAY, now) >= tally.count(HOUR, now) >= lines_at[-1]
    later = now + DAY.span_seconds + DAY.step_seconds
    assert tally.count(DAY, later) == 0
    assert tally.add(later, 0) == Tally()


def test_what_was_counted_later_counts_now_when_the_clock_is_set_back():
    ahead = Tally().add(NOW + 10**8, 5)
    assert ahead.count(HOUR, NOW) == 5
    assert ahead.add(NOW, 1).count(HOUR, NOW) == 6
    assert ahead.add(NOW, 1).count(HOUR, NOW + 3_660) == 0


@pytest.mark.parametrize(
    "stored",
    [
        b"",
        b"\xc1",
        msgpack.packb([[]]),
        msgpack.packb([[], [], []]),
        msgpack.packb([[1], []]),
        msgpack.packb([[1, -1], []]),
        msgpack.packb([[1, "2"], []]),
        msgpack.packb([[True, 2], []]),
        msgpack.packb(7),
        msgpack.packb([7, 7]),
    ],
)
def test_damage_is_no_tally(stored):
    with raises_code(Verification, "tally-form"):
        parse_tally(stored)


def test_nothing_stored_is_nothing_counted():
    assert parse_tally(None) == Tally()
    assert parse_tally(encode_tally(Tally())) == Tally()
