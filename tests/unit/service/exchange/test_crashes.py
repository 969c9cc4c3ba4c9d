# SPDX-License-Identifier: Apache-2.0
"""A node dies between any two steps of an exchange: nothing was released unlogged, and nothing is counted twice.

The store of one side fails at each of its commits in turn, with the batch stored or not, as a power cut would leave it;
then that side starts again, and the same envelope comes once more.
"""

from __future__ import annotations

from collections import Counter

import pytest

from node.errors import Fatal, Unavailable
from node.service.exchange.ledger import list_open
from node.service.limiting import read_counts
from tests.support.exchange_world import COURT, MARKET, ExchangeWorld, crash

COMMITS = {COURT: 6, MARKET: 4}
"""More than one question needs; those that a question does not reach change nothing."""
CRASHES = [
    (code, number, stored)
    for code, commits in COMMITS.items()
    for number in range(commits)
    for stored in (True, False)
]


def watch_secrets(world, node, seen):
    """Note at every secret that comes out how many grants are durable."""
    keeper = node.services.records._vault._keeper
    unwrap = keeper.unwrap

    def watched(wrapped, name):
        seen.append(len(world.events(MARKET, "grant")))
        return unwrap(wrapped, name)

    keeper.unwrap = watched


def granted_lines(world):
    node = world.nodes[MARKET]
    at = world.clock.now_seconds()
    counts = read_counts(
        node.store, node.keys.index, member=COURT, officer=None, purpose="pre-listing", at=at
    )
    return counts.member_hour


def check_pairs(world):
    """No rid has two grants, or two receives, or an answer without its question."""
    asked = Counter(event.rid for _, event in world.events(COURT, "ask"))
    granted = Counter(event.rid for _, event in world.events(MARKET, "grant"))
    received = Counter(event.rid for _, event in world.events(COURT, "receive"))
    for counted in (asked, granted, received):
        assert set(counted.values()) <= {1}
    assert granted.keys() <= asked.keys()
    assert received.keys() <= asked.keys()


@pytest.mark.parametrize(("code", "number", "stored"), CRASHES)
def test_crash_at_every_commit_of_either_side(code, number, stored):
    with ExchangeWorld() as world:
        world.nodes[MARKET].import_penalties(range(2))
        world.anchor()
        opened_under = []
        watch_secrets(world, world.nodes[MARKET], opened_under)
        crash(world.nodes[code], number, stored=stored)
        try:
            (outcome,) = world.ask()
        except Fatal:
            outcome = None
        # Whatever was opened was opened with its event in the log, and what was shown was received.
        assert all(opened_under)
        if world.post.answers:
            assert len(world.events(MARKET, "grant")) == 1
        if outcome is not None and outcome.records:
            assert len(world.events(COURT, "receive")) == 1
        world.nodes[code].store.faults.clear()
        world.restart(code)
        watch_secrets(world, world.nodes[MARKET], opened_under)
        # The envelope was on its way: it comes again, twice.
        for _, body in list(world.post.sent):
            assert world.post.deliver(MARKET, body) == world.post.deliver(MARKET, body)
            if world.post.answers:
                assert world.post.deliver(MARKET, body) == world.post.answers[0]
        assert all(opened_under)
        assert len(world.events(MARKET, "grant")) == len(world.post.sent) == granted_lines(world)
        check_pairs(world)
        # Once nobody answers any more, every question that was logged has its receive.
        world.clock.advance(seconds=600)
        world.exchanges[COURT].tend()
        world.exchanges[MARKET].tend()
        assert not list(list_open(world.nodes[COURT].store))
        assert len(world.events(COURT, "receive")) == len(world.events(COURT, "ask"))
        check_pairs(world)
        for node in world.nodes.values():
            assert node.check() == []
        # And life goes on.
        world.anchor()
        (outcome,) = world.ask()
        assert (outcome.result, len(outcome.records)) == ("ok", 2)


def test_a_log_that_takes_no_event_releases_nothing(world):
    opened_under = []
    watch_secrets(world, world.nodes[MARKET], opened_under)
    world.nodes[MARKET].store.fail_next(Unavailable("store-disk-full", "no space"))
    outcome = world.ask_one()
    assert (outcome.result, outcome.records) == ("failed", ())
    assert opened_under == []
    assert world.post.answers == []
    # There is space again, and the same question is answered.
    (_, body) = world.post.sent[0]
    world.post.deliver(MARKET, body)
    assert opened_under == [1, 1, 1]


def test_an_asker_whose_log_takes_no_ask_sends_nothing(world):
    world.nodes[COURT].store.fail_next(Unavailable("store-disk-full", "no space"))
    with pytest.raises(Unavailable):
        world.ask()
    assert world.post.sent == []


def test_an_asker_whose_log_takes_no_receive_shows_nothing(world):
    def fill_disk(body):
        # Whatever the store is asked from here on, the receive is among it.
        for number in range(3):
            world.nodes[COURT].store.faults[world.nodes[COURT].store.commits + number] = (
                Unavailable("store-disk-full", "no space"),
                False,
            )
        return body

    world.post.on_answer = fill_disk
    outcome = world.ask_one()
    assert (outcome.result, outcome.records, outcome.answer) == ("failed", (), None)


def test_an_answer_that_is_lost_on_its_way_is_the_same_when_asked_again(world):
    def lose(body):
        raise Unavailable("peer-slow", "no answer")

    world.post.on_answer = lose
    assert world.ask_one().result == "failed"
    (_, body) = world.post.sent[0]
    assert world.post.deliver(MARKET, body) == world.post.answers[0]
    assert world.kinds(MARKET) == ["grant"]
