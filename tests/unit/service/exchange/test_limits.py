# SPDX-License-Identifier: Apache-2.0
"""Where an exchange ends: too many records, silent members, a chain that is away, an old state of a log."""

from __future__ import annotations

from dataclasses import replace

import pytest

from node.errors import Unavailable
from node.service.exchange.searching import GIVEN_AT_ONCE, TOO_MANY
from node.service.limiting import RateCharge
from tests.support.exchange_world import COURT, MARKET, OFFICER, TAX

SILENT_SECONDS = 4 * 3_600 + 60


def test_more_records_than_one_answer_holds_are_counted(world):
    world.nodes[MARKET].import_penalties(range(100, 100 + GIVEN_AT_ONCE))
    world.anchor()
    outcome = world.ask_one()
    assert (outcome.result, outcome.code) == ("partial", TOO_MANY)
    assert (outcome.answer.found, outcome.answer.withheld) == (GIVEN_AT_ONCE + 3, 3)
    assert len(outcome.records) == GIVEN_AT_ONCE


def test_an_asker_that_was_silent_too_long_is_refused_and_logged(world):
    world.clock.advance(seconds=SILENT_SECONDS)
    # Only the regulator goes on anchoring.
    world.anchor(MARKET)
    # The court's own node would not go on: somebody changed its program.
    world.nodes[COURT].services.access._require_young_anchor = lambda: None
    refused = world.ask_by_hand()
    assert (refused.result, refused.code) == ("deny", "member-silent")
    assert world.kinds(MARKET) == ["deny"]


def test_a_provider_that_was_silent_too_long_gives_nothing(world):
    world.clock.advance(seconds=SILENT_SECONDS)
    world.anchor(COURT)
    outcome = world.ask_one()
    assert (outcome.result, outcome.records) == ("failed", ())
    assert world.kinds(MARKET) == []


def test_a_chain_that_is_away_for_a_while_changes_nothing(world):
    world.ask_one()
    world.chain.away = True
    world.clock.advance(seconds=3_000)
    assert world.ask_one().result == "ok"
    world.clock.advance(seconds=SILENT_SECONDS)
    with pytest.raises(Unavailable):
        world.ask_one()
    world.chain.away = False


def test_an_answer_from_an_older_state_than_the_chain_knows_is_not_taken(world):
    searcher = world.exchanges[MARKET].provider._answering._searcher
    old = searcher.newest()
    world.nodes[MARKET].import_penalties([50])
    world.anchor()
    world.clock.advance(seconds=11)
    searcher.newest = lambda: old
    outcome = world.ask_one()
    assert (outcome.result, outcome.code, outcome.records) == ("failed", "answer-stale", ())


def test_a_suspended_department_is_not_asked_when_nobody_is_named(world):
    assert [one.provider for one in world.ask(providers=None)] == sorted([MARKET, TAX])


def use_up(world, lines):
    """Count lines that an officer asked about."""
    node, at = world.nodes[COURT], world.clock.now_seconds()
    charge = RateCharge.of_officer(node.keys.index, OFFICER.id, purpose_of(world), lines, at)
    node.services.sequencer.run(lambda transaction: charge.write(transaction, 0), entries=0)


def leave_room(world, lines):
    """Use up what an officer may ask in an hour, but for some lines."""
    use_up(world, purpose_of(world).rate.officer_hour - lines)


def purpose_of(world):
    return world.exchanges[COURT].asker._side.permits.rules().purposes.purposes["pre-listing"]


def test_what_another_question_takes_between_decision_and_log_is_refused_to_one_provider_alone(world):
    """Both were decided on with room for both; another question of the officer comes before they are logged."""
    leave_room(world, 2)
    asker = world.exchanges[COURT].asker
    others = iter([1])

    def random(size):
        # The first random bytes are a question's number: it is decided on, and not yet logged.
        for lines in others:
            use_up(world, lines)
        return world.nodes[COURT].random(size)

    asker._side = replace(asker._side, random=random)
    outcomes = world.ask(providers=(TAX, MARKET))
    assert [(one.result, one.code) for one in outcomes] == [("none", None), ("refused", "rate-officer")]
    assert world.kinds(COURT) == ["ask", "deny", "receive"]
    assert [address.member for address, _ in world.post.sent] == [TAX]
    assert all(one.receipts for one in outcomes)


def test_an_officer_with_room_for_one_asks_one_and_is_refused_the_other(world):
    leave_room(world, 1)
    outcomes = world.ask(providers=(TAX, MARKET))
    assert [(one.result, one.code) for one in outcomes] == [("none", None), ("refused", "rate-officer")]
    assert sorted(world.kinds(COURT)) == ["ask", "deny", "receive"]
    assert [address.member for address, _ in world.post.sent] == [TAX]
    assert all(one.receipts for one in outcomes)
