# SPDX-License-Identifier: Apache-2.0
"""A framed provider: an asker arranges its own log so that the honest department that answered looks guilty in an audit.

It uses one request id for two questions, sends the second one again once its answer is over, or signs another question
than the one in its log; or somebody on the wire holds an envelope back until the asker has given up. The provider logs
what it was asked and answers as the protocol says. The audit names the asker, or, where the two logs alone cannot tell
who wrote something else than was sent, the contradiction and nobody.
"""

from __future__ import annotations

import pytest

from node.access.receipt import parse_receipt
from node.crypto.jws import sign_jws
from node.errors import AccessDenied, Unavailable, Verification
from node.log.interval import find_first_cover, interval_of
from tests.support.errors import raises_code
from tests.support.exchange_audit import OwnChain, audit, held_by, settle
from tests.support.exchange_world import COURT, MARKET


def accused(world):
    settle(world)
    return {(finding.code, finding.member) for finding in audit(world).findings.listed}


def test_one_id_for_two_questions_is_the_askers(world):
    rid = bytes(16)
    first = world.ask_by_hand(rid=rid, case="2026-执-1")
    second = world.ask_by_hand(rid=rid, case="2026-执-2")
    assert (first.result, second.result, second.code) == ("ok", "deny", "request-replayed")
    found = accused(world)
    assert {member for _, member in found} == {COURT}
    assert {"event-twice", "rid-reused"} <= {code for code, _ in found}


def test_receipts_that_the_asker_drops_are_no_gap_of_the_provider(world):
    """Its own program asks with used ids and shows no receipt of what came back: numbers between two receipts are missing."""
    assert world.ask_one().result == "ok"
    ((_, ask),) = world.events(COURT, "ask")
    for number in range(3):
        token, _ = world.sign_request(rid=ask.rid, case=f"2026-执-{number + 7}")
        world.post.deliver(MARKET, world.seal(token))
    assert world.ask_one().result == "ok"
    assert world.kinds(MARKET) == ["grant", "deny", "deny", "deny", "grant"]
    settle(world)
    shown = held_by(world.nodes[COURT])
    assert [receipt.pair for receipt in map(parse_receipt, shown)] == [1, 5]
    found = audit(world, receipts=shown).findings.listed
    assert MARKET not in {finding.member for finding in found}
    assert "rid-reused" in {finding.code for finding in found}


@pytest.mark.parametrize("is_readable", [True, False])
def test_what_was_refused_comes_again_and_is_not_logged_again(world, is_readable):
    """Two refusals of one request in one log would be the provider's own contradiction."""
    rid = bytes(16)
    assert world.ask_by_hand(rid=rid, case="2026-执-1").result == "ok"
    if is_readable:
        body = world.seal(world.sign_request(rid=rid, case="2026-执-2")[0])
        world.post.deliver(MARKET, body)
    else:
        body = world.seal(sign_jws("exchange-request+jwt", {"v": 1}, world.nodes[COURT].keys.node))
        with raises_code(AccessDenied, "request-refused"):
            world.post.deliver(MARKET, body)
    assert world.kinds(MARKET) == ["grant", "deny"]
    for _ in range(3):
        world.anchor()
        world.clock.advance(seconds=120)
        world.exchanges[MARKET].tend()
        world.restart(MARKET)
        with raises_code(Verification, "request-expired"):
            world.post.deliver(MARKET, body)
    assert world.kinds(MARKET) == ["grant", "deny"]
    assert MARKET not in {member for _, member in accused(world)}
    assert world.nodes[MARKET].check() == []


def test_another_question_than_was_logged_is_refused_and_nobody_is_named_for_it(world):
    refused = world.ask_by_hand(ask={"case": "2026-执-9"})
    assert (refused.result, refused.code) == ("deny", "request-differs")
    found = accused(world)
    assert ("terms-differ", None) in found
    assert MARKET not in {member for _, member in found}
    # What its own program left out is its own.
    assert found - {("terms-differ", None)} == {("receive-missing", COURT)}


@pytest.mark.parametrize(("late_seconds", "event"), [(30, "grant"), (290, "deny")])
def test_what_was_held_back_until_the_asker_gave_up_is_nobodys(world, late_seconds, event):
    """Somebody on the wire holds an envelope back; the asker logs that nothing came, both anchor, and then it arrives."""
    held = []

    def hold(body):
        held.append(body)
        raise Unavailable("peer-away", "held back")

    world.post.on_request = hold
    world.clock.advance(seconds=300)
    assert world.ask_one().code == "peer-away"
    for code in (COURT, MARKET):
        node = world.nodes[code]
        node.services.anchorer.anchor_now(sleep=node.sleep, timeout_seconds=5)
    world.clock.advance(seconds=late_seconds)
    world.post.deliver(MARKET, held[0])
    assert world.kinds(COURT) == ["ask", "receive"]
    assert world.kinds(MARKET) == [event]
    assert accused(world) == set()


def test_what_was_logged_while_an_anchor_waited_for_the_chain_is_not_said_to_be_dated_back(world):
    """An anchor is sent when the chain stops to take transactions, and mined when it goes on; looks were logged meanwhile."""
    world.clock.advance(seconds=300)
    world.chain.swallow_sends = True
    node = world.nodes[MARKET]
    with raises_code(Unavailable, "transaction-slow"):
        node.services.anchorer.anchor_now(sleep=node.sleep, timeout_seconds=5)
    assert world.ask_one().result == "ok"
    world.clock.advance(seconds=600)
    world.chain.swallow_sends = False
    node.services.anchorer.anchor_now(sleep=node.sleep, timeout_seconds=5)
    ((index, grant),) = world.events(MARKET, "grant")
    cover = find_first_cover(OwnChain(world).anchors(node.access.origin), index)
    assert not interval_of(cover).allows_claim(grant.t_ms // 1_000), "by the chain alone it looks dated back"
    assert accused(world) == set()


@pytest.mark.parametrize(("waiting", "other", "earlier"), [(COURT, MARKET, "ask"), (MARKET, COURT, "grant")])
def test_what_was_logged_while_an_anchor_waited_for_the_chain_is_not_said_to_be_late(
    world, waiting, other, earlier
):
    """The anchor of one side waits, they exchange, the other side's anchor is mined, and then the one that waited."""
    node, peer = world.nodes[waiting], world.nodes[other]
    world.clock.advance(seconds=300)
    world.chain.swallow_sends = True
    with raises_code(Unavailable, "transaction-slow"):
        node.services.anchorer.anchor_now(sleep=node.sleep, timeout_seconds=5)
    world.chain.swallow_sends = False
    assert world.ask_one().result == "ok"
    world.clock.advance(seconds=10)
    peer.services.anchorer.anchor_now(sleep=peer.sleep, timeout_seconds=5)
    world.clock.advance(seconds=600)
    node.services.anchorer.anchor_now(sleep=node.sleep, timeout_seconds=5)
    settle(world)
    chain = OwnChain(world)
    ((index, _),) = world.events(waiting, earlier)
    cover = find_first_cover(chain.anchors(node.access.origin), index)
    (answering, _), *_ = world.events(other, "grant" if earlier == "ask" else "receive")
    first = find_first_cover(chain.anchors(peer.access.origin), answering)
    assert first.time < cover.prev_time, "by the chain alone it looks late"
    assert {(finding.code, finding.member) for finding in audit(world).findings.listed} == set()
