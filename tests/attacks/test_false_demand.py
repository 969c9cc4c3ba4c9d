# SPDX-License-Identifier: Apache-2.0
"""False demands: a member that wants another one convicted demands entries that nobody ever kept from it.

A demand costs its sender a transaction and the other side nothing but an answer: its node looks at the chain by itself,
shows the leaf that stands there, and that pins it for good. It has a day for it, and where the chain or the node was away for
the whole day still the hundred blocks after the chain woke. What was answered cannot be demanded again, cannot
be called a default, and clears the receipt that it was about. Meanwhile departments go on exchanging.
"""

from __future__ import annotations

import pytest

from node.errors import Conflict, NotFound
from node.evidence.promises import DemandState
from tests.support.errors import raises_code
from tests.support.exchange_world import COURT, MARKET
from tests.support.two_histories import log_of

DAY_SECONDS = 86_400


def demand(world, index):
    court, (origin, _) = world.nodes[COURT], log_of(world.nodes[MARKET])
    return court.services.demands.advance(origin, index, sleep=court.sleep)


def send(world, sign):
    """Send a transaction by the court's own program, whatever its node would say to it."""
    court = world.nodes[COURT]
    court.services.anchorer.transact("demand", sign, sleep=court.sleep)


def serve(world):
    market = world.nodes[MARKET]
    return market.services.demands.serve(sleep=market.sleep)


@pytest.fixture
def size(world):
    """A question was answered and anchored: entries that the court may demand."""
    assert world.ask_one().result == "ok"
    world.anchor()
    return world.nodes[MARKET].access.anchored_size()


def test_whatever_is_demanded_is_answered_with_what_stands_there(world, size):
    """Events, heartbeats and padding alike: an answer shows a hash and says nothing else."""
    for index in (0, 1, size - 1):
        assert demand(world, index).state == "open"
    assert serve(world) == 3
    for index in (0, 1, size - 1):
        standing = demand(world, index)
        assert (standing.state, standing.done) == ("answered", None)
        assert standing.leaf == world.nodes[MARKET].access.leaf(index)
    assert serve(world) == 0
    assert world.nodes[MARKET].services.demands.unanswered == ()


def test_what_was_answered_is_neither_demanded_again_nor_a_default(world, size):
    demand(world, size - 1)
    serve(world)
    world.clock.advance(seconds=2 * DAY_SECONDS)
    world.chain.mine(200)
    demands, (_, log) = (
        world.chain.client(world.nodes[COURT].identity.operator).demands,
        log_of(world.nodes[MARKET]),
    )
    for sign in (
        lambda nonce: demands.sign_demand(log, size - 1, nonce),
        lambda nonce: demands.sign_default(log, size - 1, nonce),
    ):
        with raises_code(Conflict, "transaction-reverted"):
            send(world, sign)
    assert demands.find_demand(log, size - 1).state is DemandState.ANSWERED


def test_what_nobody_promised_cannot_be_demanded(world, size):
    with raises_code(Conflict, "demand-unanchored"):
        demand(world, size)
    demands, (_, log) = (
        world.chain.client(world.nodes[COURT].identity.operator).demands,
        log_of(world.nodes[MARKET]),
    )
    with raises_code(Conflict, "transaction-reverted"):
        send(world, lambda nonce: demands.sign_demand(log, size, nonce))
    with raises_code(NotFound, "log-unknown"):
        court = world.nodes[COURT]
        court.services.demands.advance("zj.example/91330106MA27Y8LH7C/access/0", 0, sleep=court.sleep)
    assert serve(world) == 0


def test_a_day_away_is_no_default_while_the_chain_stood_still(world, size):
    """Nobody could answer: the day is over when the chain wakes, and then there are a hundred blocks."""
    demand(world, size - 1)
    world.clock.advance(seconds=2 * DAY_SECONDS)
    world.chain.mine()
    assert demand(world, size - 1).state == "overdue"
    assert demand(world, size - 1).state == "overdue", "the hundred blocks are not over"
    world.restart(MARKET)
    assert serve(world) == 1
    world.chain.mine(200)
    standing = demand(world, size - 1)
    assert (standing.state, standing.leaf) == ("answered", world.nodes[MARKET].access.leaf(size - 1))


def test_departments_go_on_exchanging_under_many_false_demands(world, size):
    for index in range(size):
        demand(world, index)
    assert world.ask_one().result == "ok"
    assert serve(world) == size
    world.anchor()
    assert world.ask_one().result == "ok"
    assert world.nodes[MARKET].check() == []
