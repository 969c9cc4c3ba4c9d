# SPDX-License-Identifier: Apache-2.0
"""Receipts as witnesses: a machine that was put back learns from the others what it promised them after its last anchor."""

from __future__ import annotations

from dataclasses import replace

import pytest

from node.access.box import parse_envelope
from node.access.receipt import parse_receipt
from node.api.witness import HeldView
from node.client.witnesses import _parse
from node.errors import Conflict
from node.ports.witnesses import Held
from node.worker.loops import ChainLoop
from tests.support.errors import raises_code
from tests.support.exchange_world import COURT, MARKET, TAX
from tests.support.node_world import PERIOD_SECONDS
from tests.support.two_histories import put_back, take_copy


def answer_of(world, by, member):
    """What a member's node answers when it is asked what it holds, and what the client makes of it."""
    services = world.nodes[by].services
    view = HeldView(notes=services.gossip.notes_of(member), sealed=services.exchange.held.seal(member))
    return _parse(by, view.model_dump_json().encode())


def start_with(node, *held):
    class Peers:
        def ask(self, _member):
            return held

    ChainLoop(replace(node.services, witnesses=Peers()), PERIOD_SECONDS).prepare()


@pytest.mark.parametrize(("member", "witness"), [(MARKET, COURT), (COURT, MARKET)])
def test_a_machine_that_only_gave_receipts_since_is_read_only(world, member, witness):
    world.ask_one()
    world.anchor()
    node = world.nodes[member]
    copy = take_copy(node)
    world.ask_one(case="2026-另案")
    held = answer_of(world, witness, member)
    put_back(node, copy)
    with raises_code(Conflict, "behind-witness"):
        start_with(node, held)


def test_who_continues_what_others_hold_goes_on(world):
    world.ask_one()
    world.ask_one(case="2026-另案")
    # The receipt of the court's ``receive`` has a number, too, and is not sent.
    for member, witness, pair in ((MARKET, COURT, 2), (COURT, MARKET, 3)):
        held = answer_of(world, witness, member)
        start_with(world.nodes[member], held)
        (receipt,) = world.exchanges[member].held.open(held).receipts
        promised = parse_receipt(receipt)
        assert (promised.iss, promised.aud, promised.pair) == (member, witness, pair)


def test_it_is_the_newest_that_is_held(world):
    outcomes = [world.ask_one(case=f"2026-{number}") for number in range(3)]
    world.restart(COURT)
    (receipt,) = world.exchanges[MARKET].held.open(answer_of(world, COURT, MARKET)).receipts
    assert receipt == outcomes[-1].answer.grant.receipt


def test_nobody_but_the_signer_reads_it(world):
    world.ask_one()
    held = answer_of(world, COURT, MARKET)
    envelope = parse_envelope(held.sealed.encode(), max_plaintext_bytes=4_096)
    assert (envelope.from_, envelope.to) == (COURT, MARKET)
    assert world.exchanges[TAX].held.open(held).receipts == ()
    for sealed in ("", "{}", held.sealed[:-9], held.sealed.replace(COURT, TAX), "\ud800"):
        for by in (COURT, TAX):
            assert world.exchanges[MARKET].held.open(Held(by, sealed=sealed)).receipts == ()
    assert world.exchanges[MARKET].held.open(replace(held, by=TAX)).receipts == ()


def test_without_receipt_key_or_chain_there_is_none(world):
    held = world.exchanges[COURT].held
    assert held.seal(MARKET) is None
    world.ask_one()
    assert held.seal(MARKET) is not None
    assert held.seal(TAX) is None
    world.restart(COURT)
    world.nodes[COURT].chain.away = True
    assert world.exchanges[COURT].held.seal(MARKET) is None
