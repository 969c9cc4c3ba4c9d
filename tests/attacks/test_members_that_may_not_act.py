# SPDX-License-Identifier: Apache-2.0
"""A member that the others suspended asks and answers on; its node runs, and its keys are still good.

What was allowed before is over with the suspension, even when it was logged as given and the provider's node died before
it was sent: the event stays, nothing is released on it.
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from node.errors import AccessDenied, Unavailable
from node.ports import MemberStatus
from tests.support.errors import raises_code
from tests.support.exchange_world import COURT, MARKET


def suspend(world, code, status=MemberStatus.SUSPENDED):
    members = world.chain.state.members
    members[code] = replace(members[code], status=status)
    world.clock.advance(seconds=11)


@pytest.mark.parametrize("status", [MemberStatus.SUSPENDED, MemberStatus.REMOVED])
def test_a_suspended_provider_is_not_asked(world, status):
    suspend(world, MARKET, status)
    outcome = world.ask_one()
    assert (outcome.result, outcome.code, outcome.records) == ("failed", "member-inactive", ())
    assert world.post.sent == []
    assert world.kinds(COURT) == ["ask", "receive"]


@pytest.fixture
def logged(world):
    """The provider dies between its grant and the sealed answer; the envelope of the question."""
    answering = world.exchanges[MARKET].provider._answering
    seal = answering._seal

    def die(*_arguments):
        raise Unavailable("store-disk-full", "no space")

    answering._seal = die
    assert world.ask_one().result == "failed"
    answering._seal = seal
    assert world.kinds(MARKET) == ["grant"]
    ((_, body),) = world.post.sent
    return body


def test_what_was_logged_is_released_later(world, logged):
    assert world.post.deliver(MARKET, logged) == world.post.deliver(MARKET, logged)
    assert world.kinds(MARKET) == ["grant"]


def test_what_was_logged_is_not_released_once_the_asker_is_suspended(world, logged):
    suspend(world, COURT)
    with raises_code(AccessDenied, "member-inactive"):
        world.post.deliver(MARKET, logged)
    assert world.kinds(MARKET) == ["grant"]


def test_what_was_logged_is_not_released_once_the_asker_forked(world, logged):
    gossip = world.exchanges[MARKET].provider._side.gossip
    fork = type("Fork", (), {"name": "found.fork.json"})
    gossip._refused[COURT] = fork
    with raises_code(AccessDenied, "member-forked"):
        world.post.deliver(MARKET, logged)
    assert world.kinds(MARKET) == ["grant"]
