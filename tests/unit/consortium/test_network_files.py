# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import stat

import pytest

from consortium.network import NETWORK_FILE_NAME, load_network, store_network
from node.chain.network import MAX_NETWORK_BYTES, Network
from node.errors import InvalidInput, NotFound
from tests.support.errors import raises_code

NETWORK = Network(
    domain="zj.example",
    chain_id=20260,
    engine="anvil",
    rpc=(),
    gas_price_wei=None,
    signers=None,
    depth_blocks=None,
    member_registry=b"\x01" * 20,
    anchor_log=b"\x02" * 20,
    deployed_block=2,
    deployed_block_hash=b"\x03" * 32,
    anchor_limit_seconds=14_400,
    members=(),
)


def test_it_is_loaded_from_the_file_or_its_directory(tmp_path):
    path = tmp_path / NETWORK_FILE_NAME
    store_network(path, NETWORK)
    assert load_network(path) == NETWORK
    assert load_network(tmp_path) == NETWORK
    assert path.read_bytes().endswith(b"}\n")
    assert stat.S_IMODE(path.stat().st_mode) == 0o644


def test_storing_replaces_and_leaves_nothing_else(tmp_path):
    path = tmp_path / NETWORK_FILE_NAME
    path.write_text("old")
    store_network(path, NETWORK)
    assert [entry.name for entry in tmp_path.iterdir()] == [NETWORK_FILE_NAME]
    assert load_network(path) == NETWORK


def test_a_file_that_is_not_there(tmp_path):
    with raises_code(NotFound, "network-file-missing"):
        load_network(tmp_path)
    with raises_code(InvalidInput, "network-file"):
        store_network(tmp_path / "no" / "such" / "folder.json", NETWORK)


def test_a_file_that_is_too_large_or_no_file(tmp_path):
    path = tmp_path / "big.json"
    path.write_bytes(b" " * (MAX_NETWORK_BYTES + 1))
    with raises_code(InvalidInput, "json-size"):
        load_network(path)
    (tmp_path / NETWORK_FILE_NAME).mkdir()
    with raises_code(InvalidInput, "network-file"):
        load_network(tmp_path)


def test_storing_over_a_directory_fails_cleanly(tmp_path):
    path = tmp_path / NETWORK_FILE_NAME
    path.mkdir()
    with raises_code(InvalidInput, "network-file"):
        store_network(path, NETWORK)
    assert [entry.name for entry in tmp_path.iterdir()] == [NETWORK_FILE_NAME]


@pytest.mark.parametrize("data", [b"", b"{}", b"[]", b"\xff"])
def test_another_content(tmp_path, data):
    path = tmp_path / NETWORK_FILE_NAME
    path.write_bytes(data)
    with pytest.raises(InvalidInput):
        load_network(path)
