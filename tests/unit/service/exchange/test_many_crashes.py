# SPDX-License-Identifier: Apache-2.0
"""A node dies between any two commits of a question about many: one event on each side, the same bytes, lines counted once."""

from __future__ import annotations

from contextlib import suppress

import pytest

from node.errors import Fatal
from node.service.exchange.ledger import list_open
from node.service.limiting import read_counts
from tests.support.exchange_world import COURT, MARKET
from tests.support.many import LI, ask_many, ask_one_of_many, companies, market_world

COMMITS = {COURT: 5, MARKET: 4}
"""More than one question needs; those that it does not reach change nothing."""
CRASHES = [
    (code, number, stored)
    for code, commits in COMMITS.items()
    for number in range(commits)
    for stored in (True, False)
]
LINES = 3


def counted(world, code, *, member=None, officer=None):
    node, at = world.nodes[code], world.clock.now_seconds()
    counts = read_counts(
        node.store, node.keys.index, member=member, officer=officer, purpose="tender-check", at=at
    )
    return counts.member_hour if officer is None else counts.officer_hour


@pytest.mark.parametrize(("code", "number", "stored"), CRASHES)
def test_crash_at_every_commit_of_either_side(code, number, stored):
    with market_world() as world:
        store = world.nodes[code].store
        store.faults[store.commits + number] = (Fatal("store-commit-failed", "power cut"), stored)
        with suppress(Fatal):
            ask_many(world, companies(LINES))
        store.faults.clear()
        world.restart(code)
        # The envelope was on its way: it comes again, twice.
        for _, body in list(world.post.sent):
            answer = world.post.deliver(MARKET, body)
            assert world.post.deliver(MARKET, body) == answer
            assert answer in (world.post.answers or [answer])
        sent = len(world.post.sent)
        assert len(world.events(MARKET, "bulk")) == sent
        assert counted(world, MARKET, member=COURT) == LINES * sent
        asked = len(world.events(COURT, "bulk"))
        assert counted(world, COURT, officer=LI.id) == LINES * asked
        world.clock.advance(seconds=600)
        world.exchanges[COURT].tend()
        assert not list(list_open(world.nodes[COURT].store))
        assert len(world.events(COURT, "receive")) == asked
        assert [node.check() for node in world.nodes.values()] == [[]] * len(world.nodes)
        world.anchor()
        assert ask_one_of_many(world, companies(LINES)).result == "ok"
