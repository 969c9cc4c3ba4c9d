# SPDX-License-Identifier: Apache-2.0
"""A provider takes one look out of its log, and points at the many messages between the two that were lost.

Its program gave the look a number, and the asker, who is with it in this, shows no receipt of it. The number is missed all
the same: the log has fewer events than numbers. Whose messages were lost in truth, or whose papers were dropped, is not.
"""

from __future__ import annotations

from node.access.receipt import parse_receipt
from node.errors import Unavailable
from node.service import looking
from tests.support.exchange_audit import audit, held_by, settle
from tests.support.exchange_world import COURT, MARKET, TAX


def lose_requests(world, count):
    def lose(_body):
        raise Unavailable("peer-away", "lost")

    for _ in range(count):
        world.post.on_request = lose
        assert world.ask_one().code == "peer-away"
    world.post.on_request = lambda body: body


def take_a_number(world, code, other):
    """What is left in a store of an event that its own program has taken out of the log."""
    sequencer = world.nodes[code].services.sequencer
    sequencer.run(lambda transaction: looking._next_pair(transaction, other), entries=0)


def accused(world, **given):
    return {(finding.code, finding.member) for finding in audit(world, **given).findings.listed}


def test_a_look_that_was_taken_out_is_missed_among_lost_messages(world):
    assert world.ask_one().result == "ok"
    lose_requests(world, 3)
    take_a_number(world, MARKET, COURT)
    assert world.ask_one().result == "ok"
    settle(world)
    shown = held_by(world.nodes[COURT])
    assert [receipt.pair for receipt in map(parse_receipt, shown) if receipt.iss == MARKET] == [1, 3]
    for given in ({"receipts": shown}, {"held": shown}, {"held": shown[-1:]}):
        assert accused(world, **given) == {("pair-gap", MARKET)}


def test_lost_messages_restarts_and_dropped_papers_are_no_gap(world):
    for code in (MARKET, COURT):
        assert world.ask_one().result == "ok"
        lose_requests(world, 2)
        world.restart(code)
        world.anchor()
    assert {outcome.result for outcome in world.ask(providers=(MARKET, TAX))} == {"ok", "none"}
    settle(world)
    shown = [receipt for node in world.nodes.values() for receipt in held_by(node)]
    assert len(shown) > 5
    for step in (1, 2, 3):
        assert accused(world, receipts=shown[::step]) == set()
    for receipt in shown:
        assert accused(world, held=[receipt]) == set()
