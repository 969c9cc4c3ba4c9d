# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

from node.chain.rpc import Block, CallReverted, Event, Receipt, RpcError, Transaction
from node.errors import Unavailable
from tests.support.errors import raises_code
from tests.support.scripted_node import RpcFault, ScriptedNode

HASH = "0x" + "ab" * 32
PARENT = "0x" + "cd" * 32
ADDRESS = "0x" + "12" * 20
BLOCK = {
    "number": "0x10",
    "hash": HASH,
    "parentHash": PARENT,
    "timestamp": "0x6553F100",
    "extraData": "0x" + "0" * 500,
}
LOG = {
    "address": ADDRESS,
    "topics": [HASH],
    "data": "0x01",
    "blockNumber": "0x10",
    "transactionHash": PARENT,
}
RECEIPT = {
    "status": "0x1",
    "blockNumber": "0x10",
    "blockHash": HASH,
    "gasUsed": "0x5208",
    "logs": [LOG],
    "contractAddress": None,
}
EVENT = Event(bytes.fromhex(ADDRESS[2:]), (bytes.fromhex(HASH[2:]),), b"\x01", 16, bytes.fromhex(PARENT[2:]))


def test_blocks_are_read_by_height_and_by_tag():
    node = ScriptedNode(eth_getBlockByNumber=BLOCK)
    want = Block(16, bytes.fromhex(HASH[2:]), bytes.fromhex(PARENT[2:]), 0x6553F100)
    assert node.rpc.find_block(16) == want
    assert node.rpc.newest_block() == want
    assert [params for _, params in node.calls] == [["0x10", False], ["latest", False]]


def test_what_a_node_does_not_have_is_none():
    node = ScriptedNode(
        eth_getBlockByNumber=None, eth_getTransactionByHash=None, eth_getTransactionReceipt=None
    )
    assert node.rpc.find_block(5) is None
    assert node.rpc.find_transaction(bytes(32)) is None
    assert node.rpc.find_receipt(bytes(32)) is None
    with raises_code(Unavailable, "chain-answer"):
        node.rpc.newest_block()


def test_receipts_and_transactions():
    node = ScriptedNode(
        eth_getTransactionReceipt=[RECEIPT, {**RECEIPT, "contractAddress": ADDRESS, "logs": []}],
        eth_getTransactionByHash=[
            {"from": ADDRESS, "to": None, "gas": "0x10", "input": "0x0102", "blockNumber": None},
            {"from": ADDRESS, "to": ADDRESS, "gas": "0x10", "input": "0x", "blockNumber": "0x5"},
        ],
    )
    address = bytes.fromhex(ADDRESS[2:])
    assert node.rpc.find_receipt(bytes(32)) == Receipt(1, 16, bytes.fromhex(HASH[2:]), 21000, (EVENT,), None)
    assert node.rpc.find_receipt(bytes(32)).contract == address
    assert node.rpc.find_transaction(bytes(32)) == Transaction(address, None, 16, b"\x01\x02", None)
    assert node.rpc.find_transaction(bytes(32)) == Transaction(address, address, 16, b"", 5)


def test_events_are_asked_by_block_and_topic():
    node = ScriptedNode(eth_getLogs=[[LOG, LOG]])
    address, topic = bytes.fromhex(ADDRESS[2:]), bytes(32)
    assert node.rpc.events(address, (topic,), from_block=0, to_block=999) == (EVENT, EVENT)
    assert node.calls[0][1] == [
        {"address": ADDRESS, "topics": ["0x" + "00" * 32], "fromBlock": "0x0", "toBlock": "0x3e7"}
    ]


def test_calls_name_only_what_was_given():
    node = ScriptedNode(eth_call="0x00", eth_estimateGas="0x5208")
    to = bytes.fromhex(ADDRESS[2:])
    node.rpc.call(to, b"\x01")
    node.rpc.call(to, b"\x01", sender=to, gas=7, block=3)
    node.rpc.estimate_gas(None, b"\x01", sender=to)
    assert [params for _, params in node.calls] == [
        [{"data": "0x01", "to": ADDRESS}, "latest"],
        [{"data": "0x01", "to": ADDRESS, "from": ADDRESS, "gas": "0x7"}, "0x3"],
        [{"data": "0x01", "from": ADDRESS}],
    ]


@pytest.mark.parametrize(
    "value", [None, 5, "5", "0x", "", "0xg", "-0x1", "0x 1", "0x" + "1" * 65, [["0x1"]] * 2, True]
)
def test_a_number_has_one_grammar(value):
    for method, read in (("eth_chainId", "chain_id"), ("eth_blockNumber", "block_number")):
        with raises_code(Unavailable, "chain-answer") as caught:
            getattr(ScriptedNode(**{method: value}).rpc, read)()
        assert method in caught.value.message


@pytest.mark.parametrize("value", [None, 5, "", "01", "0x1", "0xzz", "0X01"])
def test_bytes_have_one_grammar(value):
    with raises_code(Unavailable, "chain-answer"):
        ScriptedNode(eth_getCode=value).rpc.code(bytes(20))


@pytest.mark.parametrize(
    "change",
    [
        {"hash": "0xab"},
        {"number": None},
        {"timestamp": 5},
        {"parentHash": None},
    ],
)
def test_a_block_needs_all_its_fields(change):
    with raises_code(Unavailable, "chain-answer"):
        ScriptedNode(eth_getBlockByNumber={**BLOCK, **change}).rpc.find_block(1)


@pytest.mark.parametrize(
    "change",
    [
        {"logs": None},
        {"logs": [5]},
        {"logs": [{**LOG, "topics": "0x"}]},
        {"status": None},
        {"blockHash": "0x"},
    ],
)
def test_a_receipt_needs_all_its_fields(change):
    with raises_code(Unavailable, "chain-answer"):
        ScriptedNode(eth_getTransactionReceipt={**RECEIPT, **change}).rpc.find_receipt(bytes(32))


@pytest.mark.parametrize("value", [[[]], "0x", 5, True])
def test_an_object_is_an_object(value):
    with raises_code(Unavailable, "chain-answer"):
        ScriptedNode(eth_getBlockByNumber=value).rpc.find_block(1)


def test_an_answer_without_result_is_malformed():
    class Silent(ScriptedNode):
        def request(self, method, params):
            return {"jsonrpc": "2.0", "id": 1}

    with raises_code(Unavailable, "chain-answer"):
        Silent().rpc.chain_id()


def test_a_refusal_keeps_code_and_text_on_one_short_line():
    fault = RpcFault(-32007, "Sender account\nnot \x1b[31mauthorized " + "x" * 500)
    with raises_code(RpcError, "chain-rpc") as caught:
        ScriptedNode(eth_chainId=fault).rpc.chain_id()
    assert caught.value.rpc_code == -32007
    assert "\n" not in caught.value.message
    assert "\x1b" not in caught.value.message
    assert len(caught.value.rpc_message) == 200


def test_a_refusal_without_text_is_still_a_refusal():
    with raises_code(RpcError, "chain-rpc") as caught:
        ScriptedNode(eth_chainId=RpcFault("x", None)).rpc.chain_id()
    assert (caught.value.rpc_code, caught.value.rpc_message) == (0, "no reason given")


@pytest.mark.parametrize(
    ("fault", "data"),
    [
        (RpcFault(3, "execution reverted", "0x01020304"), b"\x01\x02\x03\x04"),
        (RpcFault(-32000, "Execution reverted", "0x0102"), b"\x01\x02"),
        (RpcFault(-32603, "VM Exception: revert", {"data": "0x0102", "message": "m"}), b"\x01\x02"),
        (RpcFault(-32015, "VM execution error: reverted", "Reverted 0x0102"), b"\x01\x02"),
        (RpcFault(3, "execution reverted"), b""),
        (RpcFault(3, "execution reverted", "Reverted 0x012"), b""),
        (RpcFault(3, "execution reverted", 5), b""),
    ],
)
def test_a_revert_is_told_from_other_refusals(fault, data):
    node = ScriptedNode(eth_call=fault, eth_estimateGas=fault)
    for call in (
        lambda: node.rpc.call(bytes(20), b""),
        lambda: node.rpc.estimate_gas(None, b"", sender=bytes(20)),
    ):
        with raises_code(CallReverted, "chain-call-reverted") as caught:
            call()
        assert caught.value.data == data


def test_another_refusal_of_a_call_is_no_revert():
    with raises_code(RpcError, "chain-rpc"):
        ScriptedNode(eth_call=RpcFault(-32000, "missing trie node")).rpc.call(bytes(20), b"")


def test_optional_calls_are_tried():
    node = ScriptedNode(net_peerCount=RpcFault(-32601, "Method not found"), eth_getProof={})
    assert not node.rpc.answers("net_peerCount")
    assert node.rpc.answers("eth_getProof", ADDRESS)


@pytest.mark.parametrize(
    ("value", "syncing"), [(False, False), ({"currentBlock": "0x1"}, True), (True, True)]
)
def test_syncing(value, syncing):
    assert ScriptedNode(eth_syncing=value).rpc.is_syncing() is syncing
