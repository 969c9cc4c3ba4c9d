# SPDX-License-Identifier: Apache-2.0
"""Replay: whoever recorded an envelope on the wire sends it again, and again, and days later.

He cannot read the answer, which is sealed to a key that the asker has dropped. He wants to fill the provider's log, to
use up the asker's rate, or to have a second look counted against the asker. While the request is valid he gets the
bytes that were sent before, at the price of one look-up; afterwards a refusal that is only counted. What was never
answered is refused and logged once, and how often an hour is bounded.
"""

from __future__ import annotations

import pytest

from node.errors import AccessDenied, Verification
from node.service.exchange.denies import EACH_WINDOW
from tests.support.errors import raises_code
from tests.support.exchange_world import COURT, MARKET


def test_within_its_validity_a_replay_gets_the_same_bytes_and_leaves_no_trace(world):
    world.ask_one()
    (_, body), (answer,) = world.post.sent[0], world.post.answers
    unwrapped = []
    keeper = world.nodes[MARKET].services.records._vault._keeper
    unwrap = keeper.unwrap
    keeper.unwrap = lambda wrapped, name: unwrapped.append(name) or unwrap(wrapped, name)
    sizes = world.nodes[MARKET].sizes()
    for _ in range(20):
        assert world.post.deliver(MARKET, body) == answer
    assert world.nodes[MARKET].sizes() == sizes
    assert unwrapped == []


def test_a_replay_after_a_restart_gets_the_same_bytes(world):
    world.ask_one()
    (_, body), (answer,) = world.post.sent[0], world.post.answers
    world.restart(MARKET)
    assert world.post.deliver(MARKET, body) == answer
    assert world.kinds(MARKET) == ["grant"]


def test_later_it_is_refused_and_not_logged_again(world):
    token, reply = world.sign_request()
    body = world.seal(token)
    assert world.open(world.post.deliver(MARKET, body), token, reply).result == "ok"
    world.clock.advance(seconds=121)
    world.exchanges[MARKET].tend()
    with raises_code(Verification, "request-expired"):
        world.post.deliver(MARKET, body)
    assert world.kinds(MARKET) == ["grant"]
    assert world.rejects[MARKET] == 1


def test_replays_without_end_cannot_fill_the_log(world):
    bodies = [world.seal(world.sign_request()[0]) for _ in range(EACH_WINDOW + 5)]
    world.clock.advance(seconds=121)
    for body in bodies[:EACH_WINDOW]:
        world.post.deliver(MARKET, body)
    for body in bodies[EACH_WINDOW:]:
        with pytest.raises(AccessDenied, match="refused within an hour"):
            world.post.deliver(MARKET, body)
    assert len(world.events(MARKET, "deny")) == EACH_WINDOW
    world.clock.advance(seconds=3_600)
    world.anchor()
    world.exchanges[MARKET].tend()
    *_, (index, last) = world.events(MARKET, "deny")
    assert (last.n, world.values(MARKET, index)["peer"]) == (5, COURT)
    assert len(world.events(MARKET, "deny")) == EACH_WINDOW + 1
