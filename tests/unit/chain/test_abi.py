# SPDX-License-Identifier: Apache-2.0
"""Coding by the ABI of our own contracts, against bytes that were written out by hand."""

from __future__ import annotations

import pytest

from node.chain.abi import ContractAbi
from node.chain.contracts import load_abi
from node.crypto.keccak import keccak256
from node.errors import InvalidInput, Unavailable
from tests.support.errors import raises_code

LOG = b"\xaa" * 32
ROOT = b"\xbb" * 32


def word(number):
    return number.to_bytes(32, "big")


def selector(signature):
    return keccak256(signature.encode())[:4]


@pytest.fixture(scope="module")
def anchor_log():
    return load_abi("AnchorLog")


@pytest.fixture(scope="module")
def registry():
    return load_abi("MemberRegistry")


def test_a_call_with_a_proof(anchor_log):
    want = (
        selector("anchor(bytes32,uint64,bytes32,bytes32[])")
        + LOG
        + word(9)
        + ROOT
        + word(4 * 32)
        + word(2)
        + b"\x01" * 32
        + b"\x02" * 32
    )
    assert anchor_log.encode_call("anchor", LOG, 9, ROOT, [b"\x01" * 32, b"\x02" * 32]) == want


def test_a_constructor(anchor_log):
    want = bytes(12) + b"\x05" * 20 + word(64) + word(2) + b"zj" + bytes(30)
    assert anchor_log.encode_constructor(b"\x05" * 20, "zj") == want


@pytest.mark.parametrize(
    "values",
    [
        (LOG[:31], 9, ROOT, []),
        (LOG + b"\x00", 9, ROOT, []),
        (LOG, -1, ROOT, []),
        (LOG, 2**64, ROOT, []),
        (LOG, "9", ROOT, []),
        (LOG, 9, ROOT, [b"\x01" * 33]),
        (LOG, 9, ROOT),
    ],
)
def test_values_that_do_not_fit(anchor_log, values):
    with raises_code(InvalidInput, "chain-call"):
        anchor_log.encode_call("anchor", *values)


def test_a_result(anchor_log):
    data = word(7) + word(1) + word(20) + word(1_800_000_000) + ROOT
    assert anchor_log.decode_result("head", data) == (7, 1, 20, 1_800_000_000, ROOT)


@pytest.mark.parametrize(
    "data", [b"", word(7), b"\x01" + word(7)[1:] + word(1) + word(20) + word(1) + ROOT, bytes(100)]
)
def test_a_malformed_result(anchor_log, data):
    with raises_code(Unavailable, "chain-answer"):
        anchor_log.decode_result("head", data)


@pytest.mark.parametrize("data", [b"", word(2**255), word(32) + word(2**60), word(32) + word(1)])
def test_a_malformed_list_of_members(registry, data):
    with raises_code(Unavailable, "chain-answer"):
        registry.decode_result("members", data)


def test_an_event(anchor_log):
    topics = [anchor_log.topic("Anchored"), LOG, word(3)]
    fields = (3, 5, 10, 1000, 9, ROOT, 11, 1001)
    data = b"".join(field if isinstance(field, bytes) else word(field) for field in fields)
    assert topics[0] == keccak256(
        b"Anchored(bytes32,uint64,(uint64,uint64,uint64,uint64,uint64,bytes32,uint64,uint64))"
    )
    assert anchor_log.decode_event("Anchored", topics, data) == {"logId": LOG, "i": 3, "a": fields}
    for malformed, content in ((topics[:2], data), ([*topics, LOG], data), ([], data), (topics, data[:-1])):
        with raises_code(Unavailable, "chain-answer"):
            anchor_log.decode_event("Anchored", malformed, content)
    with raises_code(Unavailable, "chain-answer"):
        anchor_log.decode_event("Anchored", [bytes(32), *topics[1:]], data)


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (selector("SizeNotGrown(uint64,uint64)") + word(5) + word(4), "SizeNotGrown(oldSize=5, newSize=4): "),
        (selector("OldRootMismatch()"), "OldRootMismatch(): the consistency proof"),
        (selector("UnknownLog(bytes32)") + LOG, "UnknownLog(logId=0x" + "aa" * 32 + "): "),
        (selector("Error(string)") + word(32) + word(2) + b"no" + bytes(30), "no"),
        (selector("Panic(uint256)") + word(0x11), "Panic(0x11)"),
        (selector("SizeNotGrown(uint64,uint64)") + word(5), "unknown reason 0x"),
        (selector("Error(string)") + word(2**200), "unknown reason 0x"),
        (b"\x01\x02\x03\x04", "unknown reason 0x01020304"),
        (b"\x01", "unknown reason 0x01"),
        (b"", "no reason given"),
    ],
)
def test_reasons_in_words(anchor_log, data, text):
    assert anchor_log.describe_reason(data).startswith(text)


def test_a_reason_shows_codes_as_text(registry):
    data = selector("MalformedCode(bytes18)") + b"11330100002489010H" + bytes(14)
    assert registry.describe_reason(data) == "MalformedCode(code=11330100002489010H)"


def test_reasons_are_told_apart_by_contract(anchor_log, registry):
    assert anchor_log.find_error(selector("UnknownLog(bytes32)")) == "UnknownLog"
    assert registry.find_error(selector("UnknownLog(bytes32)")) is None


def test_a_name_must_be_unique():
    entry = {"type": "function", "name": "f", "inputs": [], "outputs": []}
    with pytest.raises(AssertionError):
        ContractAbi([entry, entry])
