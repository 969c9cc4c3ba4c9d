# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.chain.network import (
    MAX_NETWORK_BYTES,
    Network,
    build_network_member,
    encode_network,
    parse_network,
)
from node.errors import InvalidInput
from tests.support.errors import raises_code
from tests.support.json_trees import changed_tree
from tests.support.records import MEMBER, OTHER_MEMBER

NETWORK = Network(
    domain="zj.example",
    chain_id=20260,
    engine="clique",
    rpc=("http://127.0.0.1:8545", "https://rpc.example/v1"),
    gas_price_wei=5,
    signers=4,
    depth_blocks=None,
    member_registry=b"\x01" * 20,
    anchor_log=b"\x02" * 20,
    deployed_block=2,
    deployed_block_hash=b"\x03" * 32,
    anchor_limit_seconds=14_400,
    members=(
        build_network_member(MEMBER, "市场监督管理局", b"\x04" * 20, ["issuer", "consumer"]),
        build_network_member(OTHER_MEMBER, "法院", b"\x05" * 20, []),
    ),
    document_registry=b"\x06" * 20,
)


def test_a_network_of_an_older_release_has_no_document_registry():
    older = replace(NETWORK, document_registry=None)
    data = encode_network(older)
    assert sorted(json.loads(data)["contracts"]) == ["anchor_log", "member_registry"]
    assert parse_network(data) == older
    assert older.settings().document_registry is None


def test_it_is_read_as_it_was_written():
    data = encode_network(NETWORK)
    assert parse_network(data) == NETWORK
    assert parse_network(data + b"\n") == NETWORK
    fields = json.loads(data)
    assert fields["chain"] == {
        "engine": "clique",
        "gas_price": 5,
        "id": 20260,
        "rpc": list(NETWORK.rpc),
        "signers": 4,
    }
    assert fields["members"][0]["roles"] == ["issuer", "consumer"]
    assert json.dumps(fields, ensure_ascii=False, separators=(",", ":"), sort_keys=True).encode() == data


def test_the_settings_follow_the_engine():
    settings = NETWORK.settings()
    assert (settings.profile.gas_price_wei, settings.profile.depth_blocks) == (5, 3)
    assert (settings.trusted_block, settings.trusted_block_hash) == (2, b"\x03" * 32)


def changed(path, value):
    fields = json.loads(encode_network(NETWORK))
    return json.dumps(changed_tree(fields, path, ... if value is None else value)).encode()


@pytest.mark.parametrize(
    ("path", "value", "code"),
    [
        (("v",), 2, "network-file"),
        (("v",), True, "network-file"),
        (("domain",), "Zj Example", "network-file"),
        (("domain",), 5, "network-file"),
        (("domain",), "", "network-file"),
        (("chain", "id"), 1, "chain-id"),
        (("chain", "id"), "20260", "network-file"),
        (("chain", "engine"), "anvil", "chain-engine"),
        (("chain", "engine"), "geth", "chain-engine"),
        (("chain", "signers"), None, "chain-engine"),
        (("chain", "signers"), 0, "chain-engine"),
        (("chain", "depth"), 5, "chain-engine"),
        (("chain", "gas_price"), -1, "network-file"),
        (("chain", "rpc"), "http://host", "network-file"),
        (("chain", "rpc"), ["ftp://host"], "chain-url"),
        (("chain", "rpc"), [5], "network-file"),
        (("chain", "rpc"), ["http://host"] * 17, "network-file"),
        (("contracts", "anchor_log"), "0x" + "2" * 39, "hex"),
        (("contracts", "anchor_log"), "0x" + "A" * 40, "hex"),
        (("contracts", "document_registry"), "0x", "hex"),
        (("contracts", "document_registry"), 5, "network-file"),
        (("deployed_block",), -1, "network-file"),
        (("deployed_block",), True, "network-file"),
        (("deployed_block_hash",), "0x", "hex"),
        (("anchor_limit_seconds",), 0, "network-file"),
        (("members",), {}, "network-file"),
        (("members", 0, "code"), "1" * 18, "uscc-check-digit"),
        (("members", 0, "code"), OTHER_MEMBER, "network-file"),
        (("members", 0, "name"), "", "network-file"),
        (("members", 0, "name"), "a\nb", "network-file"),
        (("members", 0, "roles"), ["boss"], "network-file"),
        (("members", 0, "roles"), ["issuer", "issuer"], "network-file"),
        (("members", 0, "roles"), ["consumer", "issuer"], "network-file"),
        (("members", 0, "roles"), [["issuer"]], "network-file"),
    ],
)
def test_what_is_malformed_is_refused(path, value, code):
    with raises_code(InvalidInput, code):
        parse_network(changed(path, value))


@pytest.mark.parametrize(
    "path",
    [("v",), ("domain",), ("chain",), ("chain", "rpc"), ("contracts", "anchor_log"), ("members", 0, "name")],
)
def test_nothing_may_be_missing(path):
    with pytest.raises(InvalidInput):
        parse_network(changed(path, None))


@pytest.mark.parametrize("path", [("x",), ("chain", "x"), ("contracts", "x"), ("members", 0, "x")])
def test_nothing_unknown_may_be_there(path):
    with pytest.raises(InvalidInput):
        parse_network(changed(path, 1))


def test_its_size_is_bounded():
    with raises_code(InvalidInput, "json-size"):
        parse_network(encode_network(NETWORK) + b" " * MAX_NETWORK_BYTES)


@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_strangers_get_a_typed_error(data):
    with pytest.raises(InvalidInput):
        parse_network(data)


@given(place=st.integers(0, len(encode_network(NETWORK)) - 1), byte=st.integers(0, 255))
def test_a_changed_byte_never_crashes(place, byte):
    data = bytearray(encode_network(NETWORK))
    data[place] = byte
    with suppress(InvalidInput):
        parse_network(bytes(data))


@given(
    chain_id=st.integers(2, 2**53 - 1),
    block=st.integers(0, 2**53 - 1),
    limit=st.integers(1, 2**53 - 1),
    price=st.none() | st.integers(0, 2**53 - 1),
    depth=st.none() | st.integers(1, 2**53 - 1),
)
def test_numbers_survive_the_round_trip(chain_id, block, limit, price, depth):
    network = replace(
        NETWORK,
        engine="other",
        signers=None,
        chain_id=chain_id,
        deployed_block=block,
        anchor_limit_seconds=limit,
        gas_price_wei=price,
        depth_blocks=depth,
    )
    assert parse_network(encode_network(network)) == network
