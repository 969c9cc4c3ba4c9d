# SPDX-License-Identifier: Apache-2.0
"""The client against the real contracts on anvil: what the conformance suite does not reach."""

from __future__ import annotations

import time
from dataclasses import replace
from hashlib import sha256

import pytest

from consortium.deploy import ChainChoice, deploy_network
from node.chain.evm import (
    ANCHOR_GAS,
    OPEN_LOG_GAS,
    REGISTER_GAS,
    REGISTER_KEY_GAS,
)
from node.chain.reader import RpcChainReader
from node.chain.rpc import Rpc
from node.chain.transport import HttpTransport
from node.chain.web3_transport import Web3Transport
from node.core.clock import SystemClock
from node.core.encoding import encode_hex
from node.errors import Conflict, Unavailable
from node.log.anchor import anchor_commitment
from node.ports import DocumentDraft, KeyKind, KeyRegistration
from tests.support.errors import raises_code
from tests.support.labs import (
    ACCESS,
    DEPLOYER,
    DOMAIN,
    FOUNDERS,
    RECORDS,
    GrowingLog,
    deploy,
    evm_lab,
    operator_key,
    wait_outcome,
)

BUDGET_GAS = 115_000


@pytest.fixture
def network(anvil):
    return deploy(anvil.url, chain_id=anvil.chain_id)


@pytest.fixture
def lab(anvil, network):
    lab = evm_lab(network, anvil.url)
    yield lab
    lab.close()


@pytest.fixture
def raw_call(anvil):
    """Call anvil's own methods, which the client never uses."""
    transport = HttpTransport(anvil.url)
    yield lambda method, *params: transport.request(method, params)["result"]
    transport.close()


def test_web3_carries_the_same_calls(anvil, network):
    lab = evm_lab(network, anvil.url, transport=Web3Transport)
    try:
        assert lab.client.probe().state == "ready"
        log = GrowingLog(lab.open_log())
        assert lab.anchor(log, 5).anchors[0][1].size == 5
        with raises_code(Conflict, "nonce-used"):
            lab.client.send(lab.client.sign_open_log(ACCESS, 0, None, 0).raw)
    finally:
        lab.close()


def test_gas_stays_below_its_ceilings(lab):
    exchange, certificate = bytes(1216), b"\xff" * 144
    keys = [
        KeyRegistration(KeyKind.EXCHANGE, sha256(exchange).digest(), exchange),
        KeyRegistration(KeyKind.CERTIFICATE, sha256(certificate).digest(), certificate),
        *(KeyRegistration(kind, bytes(31) + bytes([kind])) for kind in list(KeyKind)[:6]),
    ]
    client = lab.client
    registered = lab.settle(client.sign_register_keys(keys, client.next_nonce()))
    assert registered.status == 1, registered.revert_reason
    assert registered.gas_used < (REGISTER_GAS + REGISTER_KEY_GAS * len(keys)) * 3 / 4
    opened = lab.settle(client.sign_open_log(RECORDS, 0, None, client.next_nonce()))
    assert opened.gas_used < OPEN_LOG_GAS * 3 / 4
    log = GrowingLog(client.last_log(FOUNDERS[0].code, RECORDS))
    gas = [lab.anchor(log, entries).gas_used for entries in (1, 5_000, 1, 1234)]
    assert max(gas) < BUDGET_GAS < ANCHOR_GAS / 2


def test_anchors_far_apart_are_found_without_asking_for_every_block(lab, raw_call, network):
    log = GrowingLog(lab.open_log())
    anchors = []
    for _ in range(3):
        anchors.append(lab.anchor(log, 2).anchors[0][1])
        anchors.append(lab.anchor(log, 2).anchors[0][1])
        raw_call("anvil_mine", hex(1500))
    assert [anchor for anchor, _ in lab.client.fetch_anchors(log.log_id, 1)] == anchors
    assert [anchor for anchor, _ in lab.client.fetch_anchors(log.log_id, 4)] == anchors[3:]
    span = anchors[-1].block - network.deployed_block
    assert span > 3000


def test_an_anchor_in_a_block_that_goes_away_is_pending_again(lab, raw_call):
    log = GrowingLog(lab.open_log())
    log.grow(4)
    client = lab.client
    signed = client.sign_anchor([log.request()], client.next_nonce())
    before = lab.settle(signed)
    raw_call("anvil_rollback", 1)
    assert client.find_outcome(signed.tx_hash) is None
    assert client.log_head(log.log_id).i == 0
    assert client.next_nonce() == signed.nonce
    raw_call("anvil_mine", "0x1")
    client.send(signed.raw)
    after = wait_outcome(client, signed.tx_hash)
    assert (after.status, after.block) == (1, before.block + 1)
    assert client.log_head(log.log_id).i == 1


def test_a_verifier_reads_what_its_policy_needs(anvil, network, lab):
    log = GrowingLog(lab.open_log())
    anchor = lab.anchor(log, 3).anchors[0][1]
    with RpcChainReader(anvil.url) as reader:
        contract = encode_hex(network.anchor_log)
        assert reader.chain_id() == anvil.chain_id
        assert reader.block_hash(network.deployed_block) == network.deployed_block_hash
        assert reader.head_block() >= anchor.block
        assert reader.commitment(contract, log.log_id, 1) == anchor_commitment(anchor)
        assert reader.commitment(contract, log.log_id, 2) == bytes(32)
        with raises_code(Unavailable, "chain-answer"):
            reader.block_hash(10**9)
        for stranger in (network.member_registry, bytes(20)):
            with raises_code(Unavailable, "chain-answer"):
                reader.commitment(encode_hex(stranger), log.log_id, 1)


def test_the_chain_node_says_what_it_offers(lab):
    capabilities = lab.client.capabilities()
    assert capabilities.client.startswith("anvil/")
    assert dict(capabilities.optional) == {
        "eth_getProof": True,
        "eth_feeHistory": True,
        "eth_getBlockReceipts": True,
        "net_peerCount": False,
        "finalized": True,
    }


def test_the_contracts_must_be_those_of_the_network(lab, anvil, network):
    other = deploy(anvil.url, chain_id=anvil.chain_id)
    for mixed in (
        replace(network, member_registry=other.member_registry),
        replace(network, domain="other.example"),
        replace(network, anchor_log=network.member_registry),
        replace(network, document_registry=other.document_registry),
    ):
        stranger = evm_lab(mixed, anvil.url)
        assert stranger.client.probe().state == "wrong-chain"
        stranger.close()
    for missing in ("member_registry", "document_registry"):
        nothing = evm_lab(replace(network, **{missing: bytes(20)}), anvil.url)
        assert nothing.client.probe().state == "empty"
        nothing.close()


def test_a_network_of_an_older_release_works_but_for_what_it_has_not(anvil, network):
    older = evm_lab(replace(network, document_registry=None), anvil.url)
    client = older.client
    assert client.probe().state == "ready"
    assert client.endpoint(FOUNDERS[0].code) is None
    for refused in (
        client.document_versions,
        client.open_proposals,
        lambda: client.find_proposal(1),
        lambda: client.sign_propose_document(DocumentDraft("purposes", "exchange", 1, bytes(32)), 0),
        lambda: client.sign_set_endpoint(None, 0),
    ):
        with raises_code(Conflict, "contracts-older"):
            refused()
    older.close()


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"domain": "Not A Domain"}, "MalformedDomain()"),
        ({"founders": [replace(FOUNDERS[0], recovery=FOUNDERS[0].operator)]}, "UnusableAddress(account="),
    ],
)
def test_a_deployment_that_a_contract_refuses_says_why(anvil, change, reason):
    rpc = Rpc(HttpTransport(anvil.url))
    settings = {
        "domain": DOMAIN,
        "founders": FOUNDERS,
        "clock": SystemClock(),
        "sleep": time.sleep,
        **change,
    }
    with raises_code(Conflict, "transaction-reverted") as caught:
        deploy_network(rpc, ChainChoice(anvil.chain_id, "anvil"), DEPLOYER, **settings)
    assert reason in caught.value.message
    rpc.close()


def test_deployment_refuses_another_chain(anvil):
    rpc = Rpc(HttpTransport(anvil.url))
    with raises_code(Conflict, "chain-wrong-id"):
        deploy_network(
            rpc,
            ChainChoice(anvil.chain_id + 1, "anvil"),
            operator_key(98),
            domain=DOMAIN,
            founders=FOUNDERS,
            clock=SystemClock(),
            sleep=time.sleep,
        )
    rpc.close()
