# SPDX-License-Identifier: Apache-2.0
"""What a chain node can do to a reader of the contracts: contradict itself, leave out, invent."""

from __future__ import annotations

import pytest

from node.chain.contracts import WINDOW_BLOCKS, AnchorLog, MemberRegistry, encode_code, load_abi
from node.core.types import LogId, MemberCode
from node.errors import InvalidInput, Unavailable
from tests.support.errors import raises_code
from tests.support.scripted_node import ScriptedNode

ADDRESS = b"\x05" * 20
LOG = LogId(b"\xaa" * 32)
CODE = b"11330100002489010H"


def word(number):
    return number.to_bytes(32, "big")


def anchored(abi, i, block, *, prev_block, indexed=None, size=None, event_block=None):
    fields = (
        i,
        (i - 1) * 10,
        prev_block,
        1000 + prev_block,
        size or i * 10,
        b"\xbb" * 32,
        block,
        1000 + block,
    )
    return {
        "address": "0x" + ADDRESS.hex(),
        "topics": [
            "0x" + topic.hex()
            for topic in (abi.topic("Anchored"), LOG, word(i if indexed is None else indexed))
        ],
        "data": "0x" + b"".join(f if isinstance(f, bytes) else word(f) for f in fields).hex(),
        "blockNumber": hex(block if event_block is None else event_block),
        "transactionHash": "0x" + word(i).hex(),
    }


def reader(events, *, i, block):
    """A log whose head is anchor ``i`` in ``block``; events are found by the window that is asked for."""
    head = word(i * 10) + word(i) + word(block) + word(1000 + block) + b"\xbb" * 32

    def find(query):
        window = range(int(query["fromBlock"], 0), int(query["toBlock"], 0) + 1)
        assert len(window) <= WINDOW_BLOCKS
        return [event for event in events if int(event["blockNumber"], 0) in window]

    node = ScriptedNode(eth_call="0x" + head.hex(), eth_getLogs=find)
    return AnchorLog(node.rpc, ADDRESS, ABI), node


ABI = load_abi("AnchorLog")
EVENTS = [
    anchored(ABI, 1, 100, prev_block=50),
    anchored(ABI, 2, 100, prev_block=100),
    anchored(ABI, 3, 5_000, prev_block=100),
    anchored(ABI, 4, 5_001, prev_block=5_000),
]


def test_gaps_are_skipped_and_two_in_one_block_are_both_found():
    log, node = reader(EVENTS, i=4, block=5_001)
    assert [anchor.i for anchor, _ in log.fetch_anchors(LOG, 1)] == [1, 2, 3, 4]
    assert sum(method == "eth_getLogs" for method, _ in node.calls) == 2
    assert log.fetch_anchors(LOG, 2)[0][1] == word(2)
    assert log.fetch_anchors(LOG, 5) == []


def test_nothing_is_asked_of_a_log_without_anchors():
    log, node = reader([], i=0, block=50)
    assert log.fetch_anchors(LOG, 1) == []
    assert [method for method, _ in node.calls] == ["eth_call"]


@pytest.mark.parametrize(
    "events",
    [
        EVENTS[:3],
        [EVENTS[0], *EVENTS[2:]],
        EVENTS[1:],
        [],
        [*EVENTS, EVENTS[3]],
        [*EVENTS[:3], anchored(ABI, 4, 5_001, prev_block=4_999)],
        [*EVENTS[:3], anchored(ABI, 5, 5_001, prev_block=5_000)],
        [*EVENTS[:3], anchored(ABI, 4, 5_001, prev_block=5_000, indexed=3)],
        [*EVENTS[:3], anchored(ABI, 4, 5_002, prev_block=5_000, event_block=5_001)],
        [*EVENTS[:3], anchored(ABI, 4, 5_001, prev_block=5_000, size=5)],
    ],
)
def test_anchors_that_do_not_follow_each_other_are_refused(events):
    log, _ = reader(events, i=4, block=5_001)
    with raises_code(Unavailable, "chain-answer"):
        log.fetch_anchors(LOG, 1)


def member_row(*, code=CODE, status=1, roles=3):
    return b"".join(
        (
            code.ljust(32, b"\x00"),
            word(1),
            word(status),
            word(roles),
            word(1),
            bytes(12) + b"\x01" * 20,
            bytes(12) + b"\x02" * 20,
            bytes(12) + b"\x03" * 20,
            word(1_800_000_000),
            word(7),
        )
    )


def registry(row):
    return MemberRegistry(ScriptedNode(eth_call="0x" + row.hex()).rpc, ADDRESS, load_abi("MemberRegistry"))


def test_a_member_with_a_rotation_under_way():
    member = registry(member_row()).member(MemberCode(CODE.decode()))
    assert member.operator == "0x" + "01" * 20
    assert member.pending_operator == "0x" + "03" * 20
    assert (member.rotation_at, member.since_block) == (1_800_000_000, 7)


@pytest.mark.parametrize("row", [member_row(code=b"\xff" * 18), member_row(status=9), member_row()[:-32]])
def test_a_malformed_member(row):
    with raises_code(Unavailable, "chain-answer"):
        registry(row).member(MemberCode(CODE.decode()))


@pytest.mark.parametrize("code", ["", "1" * 17, "1" * 19, "１" * 18])
def test_a_malformed_code(code):
    with raises_code(InvalidInput, "member-code"):
        encode_code(MemberCode(code))


@pytest.mark.parametrize("code", [b"\x07" * 18, b"\xff" * 18, bytes(18), b"11520100008000013 "])
def test_a_member_code_is_letters_and_digits(code):
    from node.chain.contracts import _parse_code

    with raises_code(Unavailable, "chain-answer"):
        _parse_code(code)


def test_a_time_lies_in_the_calendar():
    from node.chain.contracts import _check_time
    from node.core.clock import MAX_TIME

    assert _check_time(MAX_TIME) == MAX_TIME
    with raises_code(Unavailable, "chain-answer"):
        _check_time(MAX_TIME + 1)
