# SPDX-License-Identifier: Apache-2.0
"""What a chain node, or a governing member, can do to a reader of documents: contradict itself, propose nonsense."""

from __future__ import annotations

import pytest

from node.chain import documents as reading
from node.chain.abi import encode_values
from node.chain.contracts import MemberRegistry, encode_code, load_abi
from node.chain.documents import DocumentRegistry
from node.core.types import MemberCode
from node.crypto.secp256k1 import encode_address
from node.errors import Unavailable
from node.ports import DocumentDraft, Endpoint, KeyKind
from tests.support.errors import raises_code
from tests.support.records import MEMBER
from tests.support.scripted_node import ScriptedNode

ADDRESS, OTHER_ADDRESS = b"\x05" * 20, b"\x06" * 20
ABI = load_abi("DocumentRegistry")
DRAFT = DocumentDraft("purposes", "exchange", 3, b"\x07" * 32, 9)
RESOLUTION = ("address", "bytes")
ORDER = ("string", "string", "uint32", "bytes32", "uint64")


def registry(pages, rows):
    """A registry whose node gives these pages of documents and these versions of every document."""
    page_types, row_types = ("(string,string,uint32)[]",), ("(bytes32,uint64,uint64,uint64)[]",)

    def call(query, _):
        selector = bytes.fromhex(query["data"][2:10])
        if selector == ABI.encode_call("documents", 0, 0)[:4]:
            return "0x" + encode_values(page_types, pages.pop(0)).hex()
        return "0x" + encode_values(row_types, rows).hex()

    return DocumentRegistry(ScriptedNode(eth_call=call).rpc, ADDRESS, ABI)


def test_what_is_proposed_is_read_as_it_was_written():
    own = registry([], [])
    assert own.parse_resolution(own.encode_resolution(DRAFT)) == DRAFT
    gone = DocumentDraft("purposes", "exchange", 4, None)
    assert own.parse_resolution(own.encode_resolution(gone)) == gone


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"\x00" * 64,
        encode_values(
            RESOLUTION, encode_address(OTHER_ADDRESS), encode_values(ORDER, "a", "b", 1, bytes(32), 0)
        ),
        encode_values(RESOLUTION, encode_address(ADDRESS), b"short"),
        encode_values(RESOLUTION, encode_address(ADDRESS), b"\xff" * 320),
    ],
)
def test_a_proposal_about_something_else_is_no_document(payload):
    assert registry([], []).parse_resolution(payload) is None


def test_fewer_versions_than_were_counted_are_refused():
    with raises_code(Unavailable, "chain-answer"):
        registry([[("item", "a", 2)]], [(b"\x01" * 32, 1, 1, 1)]).versions()


def test_versions_that_were_put_meanwhile_are_taken():
    rows = [(b"\x01" * 32, 1, 1, 1), (bytes(32), 2, 2, 2)]
    first, second = registry([[("item", "a", 1)]], rows).versions()
    assert (first.version, first.digest) == (1, b"\x01" * 32)
    assert (second.version, second.digest, second.since_block) == (2, None, 2)


def test_a_node_that_never_ends_is_left(monkeypatch):
    monkeypatch.setattr(reading, "MAX_DOCUMENTS", 2 * reading.PAGE_DOCUMENTS)
    page = [("item", "a", 0)] * reading.PAGE_DOCUMENTS
    with raises_code(Unavailable, "chain-answer"):
        registry([page] * 9, []).versions()


MEMBERS = load_abi("MemberRegistry")


def test_a_key_that_does_not_fit_its_digest_is_refused():
    topics = [
        MEMBERS.topic("KeyRegistered"),
        encode_code(MemberCode(MEMBER)).ljust(32, b"\x00"),
        bytes(31) + b"\x07",
    ]
    event = {
        "address": "0x" + ADDRESS.hex(),
        "topics": ["0x" + topic.hex() for topic in (*topics, b"\x08" * 32)],
        "data": "0x" + encode_values(("uint64", "bytes"), 5, b"another key").hex(),
        "blockNumber": "0x5",
        "transactionHash": "0x" + "01" * 32,
    }
    members = MemberRegistry(ScriptedNode(eth_getLogs=lambda _: [event]).rpc, ADDRESS, MEMBERS)
    with raises_code(Unavailable, "chain-answer"):
        members.key_data(MemberCode(MEMBER), KeyKind.EXCHANGE, b"\x08" * 32, 0, 5)


def test_a_key_is_searched_backwards_until_the_chain_begins():
    node = ScriptedNode(eth_getLogs=lambda _: [])
    members = MemberRegistry(node.rpc, ADDRESS, MEMBERS)
    assert members.key_data(MemberCode(MEMBER), KeyKind.EXCHANGE, b"\x08" * 32, 0, 2_500) is None
    spans = [(int(q["fromBlock"], 16), int(q["toBlock"], 16)) for _, (q,) in node.calls]
    assert spans == [(1_501, 2_500), (501, 1_500), (0, 500)]


def test_an_endpoint_is_shown_on_one_line():
    data = encode_values(("(string,bytes32,uint64)",), ("https://a\n\x1b[2J", b"\x01" * 32, 5))
    members = MemberRegistry(ScriptedNode(eth_call="0x" + data.hex()).rpc, ADDRESS, MEMBERS)
    found = members.endpoint(MemberCode(MEMBER))
    assert isinstance(found, Endpoint)
    assert "\n" not in found.url
    assert "\x1b" not in found.url
