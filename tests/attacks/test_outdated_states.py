# SPDX-License-Identifier: Apache-2.0
"""A member shows an old state of its own as the newest: a status from before a withdrawal, a log from before a look.

Everything that it shows was signed once and holds. What gives it away is its age: each period has its status head and
its anchor, and the other side remembers what it saw.
"""

from __future__ import annotations

import pytest

from node.service.exchange import searching
from node.service.exchange.ledger import find_seen_head
from node.service.layout import LogKind
from tests.support.exchange_world import COURT, MARKET


@pytest.fixture
def withdrawn(world, monkeypatch):
    """The provider withdrew a record, and goes on showing it with the status of before."""
    searcher = world.exchanges[MARKET].provider._answering._searcher
    node = world.nodes[MARKET]

    def withdraw(shown):
        node.services.records.withdraw(node.leaf(1), officer="wang", ground="annulled")
        monkeypatch.setattr(searching, "current_status", lambda _reads, _row: 0)
        searcher.prove_status = lambda _releases: list(shown)

    return withdraw


def test_a_status_older_than_the_anchor_limit_is_refused(world, withdrawn):
    searcher = world.exchanges[MARKET].provider._answering._searcher
    shown = []
    prove = searcher.prove_status
    searcher.prove_status = lambda releases: shown.extend(prove(releases)) or list(shown)
    # By hand, so that the court's node remembers no head of this provider.
    world.ask_by_hand()
    assert find_seen_head(world.nodes[COURT].store, MARKET) == 0
    withdrawn(shown)
    for _ in range(5):
        world.clock.advance(seconds=3_600)
        world.anchor()
    outcome = world.ask_one()
    assert (outcome.result, outcome.code, outcome.records) == ("failed", "answered-status-old", ())


def test_a_status_older_than_one_that_was_seen_is_refused_for_ever(world, withdrawn):
    first = world.ask_one()
    world.anchor()
    assert len(world.ask_one().records) == 3
    withdrawn(first.answer.status)
    outcome = world.ask_one()
    assert (outcome.result, outcome.code, outcome.records) == ("failed", "answered-status-old", ())
    world.restart(COURT)
    outcome = world.ask_one()
    assert (outcome.result, outcome.code, outcome.records) == ("failed", "answered-status-old", ())


def test_the_greatest_head_is_kept(world):
    first = world.ask_one()
    seq = first.records[0].head.seq
    assert find_seen_head(world.nodes[COURT].store, MARKET) == seq
    world.anchor()
    world.ask_one()
    assert find_seen_head(world.nodes[COURT].store, MARKET) == seq + 1


def old_checkpoint(world, code):
    """The newest checkpoint of a member's access log, which three anchors make an old one."""
    note = world.nodes[code].access.find_checkpoint()[1]
    for _ in range(3):
        world.ask_one()
        world.anchor()
    return note


def test_an_asker_that_shows_an_old_state_of_its_log_is_refused(world):
    old = old_checkpoint(world, COURT)
    world.clock.advance(seconds=61)
    refused = world.ask_by_hand(checkpoint=old)
    assert (refused.result, refused.code, refused.records) == ("deny", "checkpoint-old", ())


def test_an_anchor_while_the_question_was_on_its_way_is_no_reproach(world):
    token, reply = world.sign_request()
    log = world.exchanges[MARKET].provider._side.directory.get(COURT).logs[LogKind.ACCESS]
    world.nodes[COURT].services.anchorer.anchor_now(sleep=world.nodes[COURT].sleep, timeout_seconds=5)
    world.clock.advance(seconds=11)
    now = world.exchanges[MARKET].provider._side.directory.get(COURT).logs[LogKind.ACCESS]
    assert now.anchored_size > log.anchored_size
    assert world.open(world.post.deliver(MARKET, world.seal(token)), token, reply).result == "ok"


def test_a_provider_that_shows_an_old_state_of_its_log_is_not_believed(world):
    old = old_checkpoint(world, MARKET)
    side = world.exchanges[MARKET].provider._side
    world.clock.advance(seconds=11)
    note = type(side).newest_note
    asked = []

    def newest(self, kind):
        if self is side and kind is LogKind.ACCESS:
            asked.append(kind)
            return old
        return note(self, kind)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(side), "newest_note", newest)
        outcome = world.ask_one()
    assert asked
    assert (outcome.result, outcome.code, outcome.records) == ("failed", "checkpoint-old", ())
