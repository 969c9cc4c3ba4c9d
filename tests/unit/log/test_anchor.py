# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from dataclasses import replace

import pytest

from node.crypto.keccak import keccak256
from node.errors import InvalidInput, Verification
from node.log.anchor import Anchor, anchor_commitment, encode_anchor_abi
from node.log.interval import Interval, check_first_cover, find_first_cover, interval_of

FIRST = Anchor(1, 0, 9_000, 1_789_999_000, 480, b"\x11" * 32, 9_001, 1_790_000_000)
SEVENTH = Anchor(7, 480, 9_001, 1_790_000_000, 512, b"\x22" * 32, 9_301, 1_790_000_300)


def test_abi_has_eight_words_in_the_order_of_the_struct():
    data = encode_anchor_abi(SEVENTH)
    words = [data[place : place + 32] for place in range(0, len(data), 32)]
    assert words[5] == SEVENTH.root
    assert [int.from_bytes(word, "big") for word in (*words[:5], *words[6:])] == [
        7,
        480,
        9_001,
        1_790_000_000,
        512,
        9_301,
        1_790_000_300,
    ]


def test_commitment_binds_every_member():
    commitments = {anchor_commitment(SEVENTH)}
    assert commitments == {keccak256(encode_anchor_abi(SEVENTH))}
    for change in (
        {"i": 8},
        {"prev_size": 479},
        {"prev_block": 9_000},
        {"prev_time": 1_789_999_999},
        {"size": 513},
        {"root": b"\x33" * 32},
        {"block": 9_302},
        {"time": 1_790_000_301},
    ):
        commitments.add(anchor_commitment(replace(SEVENTH, **change)))
    assert len(commitments) == 9


@pytest.mark.parametrize(
    "change",
    [
        {"i": 0},
        {"i": -1},
        {"i": 1},
        {"prev_size": 513},
        {"prev_block": 9_302},
        {"prev_time": 1_790_000_301},
        {"size": 2**53},
        {"block": -1},
        {"root": b"\x22" * 31},
    ],
)
def test_what_no_contract_accepts_is_refused(change):
    with pytest.raises(InvalidInput) as caught:
        replace(SEVENTH, **change)
    assert caught.value.code == "anchor-form"


def test_interval_runs_from_the_anchor_before_to_the_first_that_covers():
    interval = interval_of(SEVENTH)
    assert interval == Interval(1_790_000_000, 1_790_000_300, 9_001, 9_301)
    assert interval.length_seconds == 300
    assert interval.dates_from(1_790_000_200) == 1_790_000_000, "nothing proves it younger"
    assert interval.dates_from(1_789_999_000) == 1_789_999_000, "what it says against itself is believed"


def test_first_cover_is_found_and_checked():
    anchors = [FIRST, SEVENTH]
    assert find_first_cover(anchors, 0) is find_first_cover(anchors, 479) is FIRST
    assert find_first_cover(anchors, 480) is find_first_cover(anchors, 511) is SEVENTH
    assert find_first_cover(anchors, 512) is None
    check_first_cover(SEVENTH, 480)
    check_first_cover(SEVENTH, 511)
    for index, code in ((479, "anchor-not-first"), (512, "anchor-not-covering")):
        with pytest.raises(Verification) as caught:
            check_first_cover(SEVENTH, index)
        assert caught.value.code == code


@pytest.mark.parametrize(
    ("claimed", "allowed"),
    [
        (1_790_000_000 - 300, False),
        (1_790_000_000 - 299, True),
        (1_790_000_150, True),
        (1_790_000_300 + 300, True),
        (1_790_000_300 + 301, False),
    ],
)
def test_claims_may_be_five_minutes_off(claimed, allowed):
    assert interval_of(SEVENTH).allows_claim(claimed) is allowed


@pytest.mark.parametrize(
    ("from_block", "to_block", "allowed"),
    [
        (None, None, True),
        (9_301, None, True),
        (9_302, None, False),
        (None, 9_001, False),
        (None, 9_002, True),
        (9_100, 9_101, True),
        (9_301, 9_302, True),
        (1, 9_001, False),
    ],
)
def test_a_key_counts_when_valid_at_some_block_of_the_interval(from_block, to_block, allowed):
    assert interval_of(SEVENTH).allows_key(from_block, to_block) is allowed


def test_two_anchors_in_one_block_leave_that_block():
    interval = Interval(5, 5, 10, 10)
    assert interval.allows_key(10, 11)
    assert not interval.allows_key(11, None)
    assert not interval.allows_key(None, 10)
