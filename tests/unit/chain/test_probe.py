# SPDX-License-Identifier: Apache-2.0
"""States that no well-behaved chain shows; the others are in the conformance and integration tests."""

from __future__ import annotations

import pytest

from node.chain.evm import EvmChain
from node.chain.network import ChainSettings
from node.chain.profile import build_profile
from node.crypto.keccak import keccak256
from node.errors import Unavailable
from tests.support.scripted_node import RpcFault, ScriptedNode

HASH = b"\x03" * 32
SETTINGS = ChainSettings(20260, build_profile("qbft"), "zj.example", b"\x01" * 20, b"\x02" * 20, 5, HASH)


def word(number):
    return number.to_bytes(32, "big")


DOMAIN_WORDS = word(32) + word(10) + b"zj.example".ljust(32, b"\x00")
READS = {
    keccak256(b"domain()")[:4]: "0x" + DOMAIN_WORDS.hex(),
    keccak256(b"registry()")[:4]: "0x" + (bytes(12) + b"\x01" * 20).hex(),
}


def block(name, _=None):
    number = 9 if name == "latest" else int(name, 0)
    return {
        "number": hex(number),
        "hash": "0x" + HASH.hex(),
        "parentHash": "0x" + HASH.hex(),
        "timestamp": "0x10",
    }


def probe(**changes):
    answers = {
        "eth_chainId": "0x4f24",
        "eth_getBlockByNumber": block,
        "eth_getCode": "0x60",
        "eth_call": lambda call, _: READS[bytes.fromhex(call["data"][2:10])],
        "eth_syncing": False,
        **changes,
    }
    status = EvmChain(ScriptedNode(**answers).rpc, SETTINGS, None).probe()
    return status.state, status.chain_id, status.block, status.block_time, status.detail


def test_ready():
    assert probe() == ("ready", 20260, 9, 16, "chain 20260 at block 9 by scripted:1")


@pytest.mark.parametrize(
    "fault", [Unavailable("chain-away", "no answer: time-out"), RpcFault(-32601, "Method not found")]
)
@pytest.mark.parametrize("method", ["eth_chainId", "eth_getBlockByNumber", "eth_getCode", "eth_syncing"])
def test_without_an_answer_it_is_away(method, fault):
    state, chain_id, number, time, detail = probe(**{method: fault})
    assert (state, chain_id, number, time) == ("away", None, None, None)
    assert "time-out" in detail or "Method not found" in detail


def test_catching_up_is_behind():
    assert probe(eth_syncing={"currentBlock": "0x1"})[0] == "behind"


def test_a_foreign_contract_at_the_address_is_another_chain():
    assert probe(eth_call=RpcFault(3, "execution reverted"))[0] == "wrong-chain"


def test_no_trusted_block_is_empty():
    assert (
        probe(eth_getBlockByNumber=lambda name, _: block("latest") if name == "latest" else None)[0]
        == "empty"
    )


def test_a_chain_id_that_differs_by_one():
    state, chain_id, *_, detail = probe(eth_chainId="0x4f25")
    assert (state, chain_id) == ("wrong-chain", 20261)
    assert "got id 20261" in detail
