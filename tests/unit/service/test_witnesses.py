# SPDX-License-Identifier: Apache-2.0
"""A whole machine that was put back, head files and all, does not sign again: other members hold what it signed."""

from __future__ import annotations

from dataclasses import replace

import pytest

from node.access.receipt import build_receipt, parse_receipt
from node.crypto.ed25519 import Ed25519Signer
from node.errors import Conflict
from node.log.checkpoint import Checkpoint, sign_checkpoint
from node.ports import KeyKind
from node.ports.witnesses import Held
from node.service.drafting import EventDraft, Purpose
from node.service.layout import LogKind
from node.worker.loops import ChainLoop
from tests.support.errors import raises_code
from tests.support.node_world import PERIOD_SECONDS, NodeWorld
from tests.support.rows import ISSUER

PEER = "91440300708461136T"
RECORDS, ACCESS = LogKind.RECORDS, LogKind.ACCESS


class Peers:
    """Members that answer, and count how often they were asked."""

    def __init__(self, *held):
        self.held = held
        self.asked = 0

    def ask(self, member):
        assert member
        self.asked += 1
        return self.held


@pytest.fixture
def world():
    with NodeWorld() as made:
        made.join()
        made.import_penalties(range(5))
        made.anchor()
        yield made


def put_back(world, copy):
    """Restore the whole machine: store and head files, both from one moment."""
    store, heads = copy
    world.services.sequencer.close()
    world.store = store
    for head in heads:
        world.heads.replace(head)
    world.start()


def take_copy(world):
    heads = [world.heads.load(reader.origin) for reader in world.services.readers.values()]
    return world.store.copy(), heads


def start_with(world, *held):
    """The first steps of the chain loop with these members around; gives the services."""
    services = replace(world.services, witnesses=Peers(*held))
    loop = ChainLoop(services, PERIOD_SECONDS)
    loop.prepare()
    return services


def promise(world, peer=PEER):
    """The receipt of an event that concerns another member."""
    return world.services.access.log(EventDraft(kind="deny", peer=peer, rule="own", req=bytes(32))).receipt


def signed_notes(world):
    """What this node signs now, without an anchor: published, and given to others."""
    return tuple(each.note for each in world.services.anchorer._publisher.publish().values())


def test_a_node_that_continues_what_others_hold_goes_on(world):
    notes = signed_notes(world)
    world.restart()
    services = start_with(world, Held(PEER, notes))
    assert services.witnesses.asked == 1
    assert services.sequencer.read_only is None


def test_a_machine_that_was_put_back_is_read_only_before_it_signs(world):
    copy = take_copy(world)
    world.import_penalties(range(100, 103))
    notes = signed_notes(world)
    put_back(world, copy)
    commits = world.store.commits
    with raises_code(Conflict, "behind-witness"):
        start_with(world, Held(PEER), Held(PEER, notes))
    assert world.store.commits == commits
    assert world.services.state()["code"] == "behind-witness"
    account = world.services.take_stock()
    assert [log.verdict for log in account.logs] == ["log-behind", "continues"]
    assert account.logs[0].missing >= 3
    world.restart()
    assert world.services.state()["code"] == "log-behind"


def test_a_receipt_is_as_good_as_a_checkpoint(world):
    copy = take_copy(world)
    receipt = promise(world)
    put_back(world, copy)
    with raises_code(Conflict, "behind-witness"):
        start_with(world, Held(PEER, receipts=(receipt,)))


def test_another_entry_than_was_promised(world):
    copy = take_copy(world)
    receipt = promise(world)
    notes = signed_notes(world)
    put_back(world, copy)
    world.join()
    for _ in range(20):
        world.services.records.show(world.leaf(), Purpose(officer="wang", purpose="another"))
    world.import_penalties(range(300, 320))
    for held in (Held(PEER, receipts=(receipt,)), Held(PEER, notes)):
        world.restart()
        with raises_code(Conflict, "fork-of-witness"):
            start_with(world, held)


def test_what_this_node_did_not_sign_stops_nobody(world):
    origin, size = world.records.origin, world.records.size() + 50
    thief = Ed25519Signer(bytes([8] * 32))
    other = world.keys.logs[ACCESS]
    notes = (
        sign_checkpoint(Checkpoint(origin, size, bytes(32)), thief, other.ml_dsa_44, 1),
        sign_checkpoint(Checkpoint(origin[:-1] + "7", size, bytes(32)), other.ed25519, other.ml_dsa_44, 1),
        "no note",
    )
    receipt = promise(world)
    promised = parse_receipt(receipt)
    forged = build_receipt(
        signer=thief,
        iss=promised.iss,
        aud=promised.aud,
        log=promised.log,
        idx=10_000,
        leaf=bytes(32),
        rid=bytes(16),
        pair=1,
        iat=promised.iat,
        anchor_limit_seconds=60,
    )
    world.restart()
    services = start_with(world, Held(PEER, notes, (forged, "no receipt", receipt)))
    assert services.sequencer.read_only is None


def test_a_receipt_for_somebody_else_stops_nobody(world):
    copy = take_copy(world)
    own = world.services.records.show(world.leaf(), Purpose(officer="li", purpose="own-records")).receipt
    other = promise(world)
    put_back(world, copy)
    services = start_with(world, Held(PEER, receipts=(own,)), Held(ISSUER, receipts=(other,)))
    assert services.sequencer.read_only is None


def test_a_key_that_was_declared_compromised_stops_nobody(world, monkeypatch):
    copy = take_copy(world)
    receipt = promise(world)
    put_back(world, copy)
    stolen = world.keys.node.public

    def compromised_from(_member, kind, key):
        return 1 if (kind, key) == (KeyKind.NODE, stolen) else None

    with monkeypatch.context() as patched:
        patched.setattr(world.services.chain, "compromised_from", compromised_from)
        assert start_with(world, Held(PEER, receipts=(receipt,))).sequencer.read_only is None
    world.restart()
    with raises_code(Conflict, "behind-witness"):
        start_with(world, Held(PEER, receipts=(receipt,)))


def test_a_log_that_this_store_does_not_know(world):
    origin = world.access.origin[:-1] + "1"
    receipt = build_receipt(
        signer=world.keys.node,
        iss=world.identity.member,
        aud=PEER,
        log=origin,
        idx=0,
        leaf=bytes(32),
        rid=bytes(16),
        pair=1,
        iat=world.clock.now_seconds(),
        anchor_limit_seconds=60,
    )
    world.restart()
    with raises_code(Conflict, "behind-witness"):
        start_with(world, Held(PEER, receipts=(receipt,)))
