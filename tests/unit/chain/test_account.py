# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

from node.chain.account import ChainAccount
from node.chain.profile import build_profile
from node.chain.rpc import RpcError
from node.crypto.keccak import keccak256
from node.crypto.secp256k1 import OperatorKey, encode_address
from node.errors import Conflict, InvalidInput, Unavailable
from tests.support.clock import ManualClock
from tests.support.errors import raises_code
from tests.support.scripted_node import RpcFault, ScriptedNode

KEY = OperatorKey(bytes(31) + b"\x07")
HASH = "0x" + "ab" * 32
OTHER_HASH = "0x" + "cd" * 32
TX = bytes.fromhex(HASH[2:])
TO = bytes(19) + b"\x01"
SENT = {
    "from": KEY.address.lower(),
    "to": "0x" + "01" * 20,
    "gas": "0x10000",
    "input": "0x01",
    "blockNumber": "0x5",
}
RECEIPT = {
    "status": "0x1",
    "blockNumber": "0x5",
    "blockHash": HASH,
    "gasUsed": "0x5208",
    "logs": [],
    "contractAddress": None,
}
REVERTED = {**RECEIPT, "status": "0x0"}


def block(number, block_hash=HASH):
    return {
        "number": hex(number),
        "hash": block_hash,
        "parentHash": OTHER_HASH,
        "timestamp": hex(1000 + number),
    }


def account(node, engine="qbft", **settings):
    return ChainAccount(node.rpc, 20260, build_profile(engine, **settings), KEY)


@pytest.mark.parametrize("chain_id", [1, 0, -5, 2**53])
def test_some_chain_ids_are_never_signed_for(chain_id):
    with raises_code(InvalidInput, "chain-id"):
        ChainAccount(ScriptedNode().rpc, chain_id, build_profile("anvil"), KEY)


def test_signing_asks_nothing_and_is_the_same_every_time():
    node = ScriptedNode()
    first, second = (account(node).sign(TO, b"\x01", gas=50_000, nonce=3) for _ in range(2))
    assert first == second
    assert first.nonce == 3
    assert first.tx_hash == keccak256(first.raw)
    assert first.raw == KEY.sign_legacy_transaction(
        nonce=3, gas_price=0, gas=50_000, to=encode_address(TO), value=0, data=b"\x01", chain_id=20260
    )
    assert node.calls == []


def test_the_price_is_the_engines():
    clique = account(ScriptedNode(), "clique", signers=4).sign(TO, b"", gas=1, nonce=0)
    assert clique.raw == KEY.sign_legacy_transaction(
        nonce=0, gas_price=10**9, gas=1, to=encode_address(TO), value=0, data=b"", chain_id=20260
    )


@pytest.mark.parametrize(("pending", "latest", "want"), [("0x5", "0x3", 5), ("0x3", "0x5", 5)])
def test_the_next_nonce_is_the_larger_of_pending_and_latest(pending, latest, want):
    node = ScriptedNode(eth_getTransactionCount=lambda _, tag: {"pending": pending, "latest": latest}[tag])
    assert account(node).next_nonce() == want


def test_sending_checks_the_hash_that_is_answered():
    raw = b"raw transaction"
    account(ScriptedNode(eth_sendRawTransaction="0x" + keccak256(raw).hex())).send(raw)
    with raises_code(Unavailable, "chain-answer"):
        account(ScriptedNode(eth_sendRawTransaction=HASH)).send(raw)


# Texts of anvil, geth, Besu and GoQuorum; whichever it is, what the node knows by hash has been sent.
@pytest.mark.parametrize(
    "text",
    [
        "nonce too low",
        "Nonce too low",
        "already known",
        "Known transaction",
        "transaction already imported",
        "ouch",
    ],
)
def test_what_the_node_knows_by_hash_was_sent(text):
    node = ScriptedNode(eth_sendRawTransaction=RpcFault(-32000, text), eth_getTransactionByHash=SENT)
    account(node).send(b"raw")
    assert node.calls[1] == ("eth_getTransactionByHash", ["0x" + keccak256(b"raw").hex()])


@pytest.mark.parametrize("text", ["already known", "Known transaction", "transaction already imported"])
def test_a_node_that_says_it_has_it_is_believed(text):
    node = ScriptedNode(eth_sendRawTransaction=RpcFault(-32000, text), eth_getTransactionByHash=None)
    account(node).send(b"raw")


@pytest.mark.parametrize(
    "text", ["nonce too low", "Nonce too low", "replacement transaction underpriced", "nonce is too low: 3"]
)
def test_a_used_nonce_is_a_conflict(text):
    node = ScriptedNode(eth_sendRawTransaction=RpcFault(-32001, text), eth_getTransactionByHash=None)
    with raises_code(Conflict, "nonce-used"):
        account(node).send(b"raw")


@pytest.mark.parametrize(
    "text",
    [
        "transaction underpriced",
        "insufficient funds",
        "Sender account not authorized",
        "exceeds block gas limit",
    ],
)
def test_any_other_refusal_may_pass(text):
    node = ScriptedNode(eth_sendRawTransaction=RpcFault(-32007, text), eth_getTransactionByHash=None)
    with raises_code(Unavailable, "chain-refused") as caught:
        account(node).send(b"raw")
    assert text in caught.value.message


def test_no_receipt_or_another_block_in_its_place_is_not_settled():
    assert account(ScriptedNode(eth_getTransactionReceipt=None)).find_settled(TX) is None
    node = ScriptedNode(eth_getTransactionReceipt=RECEIPT, eth_getBlockByNumber=[None, block(5, OTHER_HASH)])
    assert account(node).find_settled(TX) is None
    assert account(node).find_settled(TX) is None


def test_an_engine_with_immediate_finality_needs_no_further_question():
    node = ScriptedNode(eth_getTransactionReceipt=RECEIPT, eth_getBlockByNumber=block(5))
    settled = account(node).find_settled(TX)
    assert (settled.final, settled.time) == (True, 1005)
    assert len(node.calls) == 2


@pytest.mark.parametrize(("newest", "final"), [(5, False), (7, False), (8, True)])
def test_clique_with_four_signers_needs_three_blocks_on_top(newest, final):
    node = ScriptedNode(
        eth_getTransactionReceipt=RECEIPT, eth_getBlockByNumber=block(5), eth_blockNumber=hex(newest)
    )
    assert account(node, "clique", signers=4).find_settled(TX).final is final


@pytest.mark.parametrize(("finalized", "final"), [(4, False), (5, True)])
def test_another_engine_goes_by_its_own_tag(finalized, final):
    node = ScriptedNode(
        eth_getTransactionReceipt=RECEIPT,
        eth_getBlockByNumber=lambda name, _: block(5 if name == "0x5" else finalized),
        eth_blockNumber="0x64",
    )
    assert account(node, "other").find_settled(TX).final is final


@pytest.mark.parametrize(("newest", "final"), [(16, False), (17, True)])
def test_an_engine_without_the_tag_goes_by_depth(newest, final):
    node = ScriptedNode(
        eth_getTransactionReceipt=RECEIPT,
        eth_getBlockByNumber=lambda name, _: block(5) if name == "0x5" else RpcFault(-39001, "Unknown block"),
        eth_blockNumber=hex(newest),
    )
    other = account(node, "other")
    assert other.find_settled(TX).final is final
    assert other.find_settled(TX).final is final
    # The tag is asked once; then it is known that there is none.
    assert node.calls.count(("eth_getBlockByNumber", ["finalized", False])) == 1


def test_a_tag_that_once_answered_is_not_given_up_for_a_weaker_rule():
    answers = [block(1), RpcFault(-32000, "busy")]
    node = ScriptedNode(
        eth_getTransactionReceipt=RECEIPT,
        eth_getBlockByNumber=lambda name, _: block(5) if name == "0x5" else answers.pop(0),
        eth_blockNumber="0x64",
    )
    other = account(node, "other")
    assert other.find_settled(TX).final is False
    with raises_code(RpcError, "chain-rpc"):
        other.find_settled(TX)


def find_reason(node, receipt=REVERTED):
    account_ = account(node)
    parsed = ScriptedNode(eth_getTransactionReceipt=receipt).rpc.find_receipt(TX)
    return account_.find_reason(TX, parsed, lambda data: f"reason {data.hex()}")


def test_a_reason_is_found_on_the_state_before_the_block():
    node = ScriptedNode(eth_getTransactionByHash=SENT, eth_call=RpcFault(3, "execution reverted", "0x01"))
    assert find_reason(node) == "reason 01"
    call, state = node.calls[1][1]
    assert (state, call["from"], call["gas"]) == ("0x4", KEY.address.lower(), "0x10000")


def test_a_pruned_node_is_asked_for_its_newest_state():
    answers = [RpcFault(-32000, "missing trie node"), RpcFault(3, "execution reverted", "0x02")]
    node = ScriptedNode(eth_getTransactionByHash=SENT, eth_call=answers)
    assert find_reason(node) == "reason 02"
    assert node.calls[2][1][1] == "latest"


def test_a_reason_may_be_gone_or_be_gas():
    assert find_reason(ScriptedNode(eth_getTransactionByHash=None)) == "no reason given"
    assert find_reason(ScriptedNode(eth_getTransactionByHash={**SENT, "to": None})) == "no reason given"
    spent = {**REVERTED, "gasUsed": "0x10000"}
    assert find_reason(ScriptedNode(eth_getTransactionByHash=SENT), spent) == "out of gas"
    node = ScriptedNode(eth_getTransactionByHash=SENT, eth_call="0x")
    assert find_reason(node) == "no reason found: the same call succeeds now"


def wait(node, clock):
    signed = account(node).sign(TO, b"", gas=50_000, nonce=0)
    node.answers["eth_sendRawTransaction"] = "0x" + signed.tx_hash.hex()
    return account(node).wait_final(
        signed,
        clock=clock,
        sleep=lambda _: clock.advance(seconds=1),
        timeout_seconds=5,
        describe=lambda data: f"reason {data.hex()}",
    )


def test_waiting_ends_when_it_is_final():
    node = ScriptedNode(eth_getTransactionReceipt=[None, None, RECEIPT], eth_getBlockByNumber=block(5))
    assert wait(node, ManualClock()).receipt.block == 5


def test_waiting_ends_when_the_time_is_over():
    with raises_code(Unavailable, "chain-timeout"):
        wait(ScriptedNode(eth_getTransactionReceipt=None), ManualClock())


def test_waiting_says_why_the_contract_refused():
    node = ScriptedNode(
        eth_getTransactionReceipt=REVERTED,
        eth_getBlockByNumber=block(5),
        eth_getTransactionByHash=SENT,
        eth_call=RpcFault(3, "execution reverted", "0x01"),
    )
    with raises_code(Conflict, "transaction-reverted") as caught:
        wait(node, ManualClock())
    assert "reason 01" in caught.value.message
