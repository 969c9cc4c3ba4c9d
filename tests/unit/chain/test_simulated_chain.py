# SPDX-License-Identifier: Apache-2.0
"""The chain in memory on its bad days; on good ones the conformance suite holds it to the real one."""

from __future__ import annotations

import pytest

from node.errors import Unavailable
from tests.support.clock import ManualClock
from tests.support.errors import raises_code
from tests.support.labs import GrowingLog, simulated_lab


def open_lab(**settings):
    lab = simulated_lab(**settings)
    return lab, lab.client, lab.client.chain, GrowingLog(lab.open_log())


def sign(client, log, entries=4):
    log.grow(entries)
    return client.sign_anchor([log.request()], client.next_nonce())


def test_away_and_back():
    _, client, chain, log = open_lab()
    signed = sign(client, log)
    chain.away = True
    assert client.probe().state == "away"
    for call in (
        client.next_nonce,
        lambda: client.send(signed.raw),
        lambda: client.find_outcome(signed.tx_hash),
    ):
        with raises_code(Unavailable, "chain-away"):
            call()
    chain.away = False
    client.send(signed.raw)
    assert client.find_outcome(signed.tx_hash).status == 1


def test_a_lost_answer_is_a_sent_transaction():
    _, client, chain, log = open_lab()
    signed = sign(client, log)
    chain.lost_answers = 1
    with raises_code(Unavailable, "chain-away"):
        client.send(signed.raw)
    assert client.find_outcome(signed.tx_hash).status == 1
    client.send(signed.raw)


def test_a_swallowed_transaction_can_be_sent_again():
    _, client, chain, log = open_lab()
    signed = sign(client, log)
    chain.swallow_sends = True
    client.send(signed.raw)
    assert client.find_outcome(signed.tx_hash) is None
    chain.swallow_sends = False
    client.send(signed.raw)
    assert client.find_outcome(signed.tx_hash).status == 1


def test_an_anchor_waits_for_blocks_and_for_finality():
    lab, client, chain, log = open_lab()
    chain.automine = False
    chain.depth_blocks = 2
    signed = sign(client, log)
    client.send(signed.raw)
    assert client.find_outcome(signed.tx_hash) is None
    assert client.next_nonce() == signed.nonce + 1
    assert lab.clients[1].next_nonce() == 0
    chain.mine(2)
    assert not client.find_outcome(signed.tx_hash).final
    chain.mine()
    assert client.find_outcome(signed.tx_hash).final


@pytest.mark.parametrize("lose", [False, True])
def test_a_reorganised_anchor_is_pending_again(lose):
    _, client, chain, log = open_lab(depth_blocks=0)
    chain.automine = False
    signed = sign(client, log)
    client.send(signed.raw)
    chain.mine(2)
    before = client.find_outcome(signed.tx_hash)
    chain.reorganise(2, lose=lose)
    assert client.find_outcome(signed.tx_hash) is None
    assert client.log_head(log.log_id).i == 0
    chain.mine()
    assert (client.find_outcome(signed.tx_hash) is None) is lose
    client.send(signed.raw)
    chain.mine()
    after = client.find_outcome(signed.tx_hash)
    assert after.status == 1
    assert after.block_hash != before.block_hash


def test_a_dump_from_before_the_anchor_is_behind():
    lab, client, chain, log = open_lab()
    block = chain.head.number
    anchor = lab.settle(sign(client, log)).anchors[0][1]
    chain.forget_after(block)
    assert client.probe({log.log_id: anchor}).state == "behind"
    assert client.probe().state == "ready"


def test_an_empty_restart_and_another_id():
    lab, client, chain, log = open_lab()
    anchor = lab.settle(sign(client, log)).anchors[0][1]
    chain.restart_empty()
    assert client.probe({log.log_id: anchor}).state == "empty"
    assert client.members() == []
    chain.chain_id = 5
    assert client.probe().state == "wrong-chain"


def test_blocks_take_the_time_of_the_clock():
    clock = ManualClock()
    lab, client, _, log = open_lab(clock=clock)
    clock.advance(seconds=500)
    outcome = lab.settle(sign(client, log))
    assert outcome.time == clock.now_seconds()
    assert outcome.anchors[0][1].time - outcome.anchors[0][1].prev_time > 490
