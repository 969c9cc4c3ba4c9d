# SPDX-License-Identifier: Apache-2.0
"""What a department logs when it does not answer: one event about a request, whatever happens and however often it comes."""

from __future__ import annotations

import pytest

from node.crypto.token import token_digest
from node.errors import AccessDenied, NotFound, Unavailable, Verification
from node.service.exchange.answering import KEPT_SECONDS
from node.service.exchange.denies import EACH_WINDOW
from node.service.exchange.ledger import find_answer
from node.worker.exchange import ExchangeLoop
from tests.support.exchange_world import COURT, MARKET


class Erased:
    """A vault in which one call finds that the record was erased this moment."""

    def __init__(self, vault, call):
        self._vault = vault
        self._call = call

    def __getattr__(self, name):
        if name != self._call:
            return getattr(self._vault, name)

        def refuse(*_):
            raise NotFound("secret-erased", "erased just now")

        return refuse


def test_what_is_erased_while_it_is_looked_for_is_refused_and_logged(world):
    searcher = world.exchanges[MARKET].provider._answering._searcher
    searcher._vault = Erased(searcher._vault, "plan_release")
    outcome = world.ask_one()
    assert (outcome.result, outcome.code) == ("deny", "record-erased")
    assert world.kinds(MARKET) == ["deny"]


@pytest.mark.parametrize("erased_for_good", [False, True])
def test_what_is_erased_behind_its_grant_gets_no_second_event(world, erased_for_good):
    answering = world.exchanges[MARKET].provider._answering
    vault = answering._vault
    answering._vault = Erased(vault, "open")
    outcome = world.ask_one()
    assert (outcome.result, outcome.code) == ("failed", "answer-incomplete")
    assert world.kinds(MARKET) == ["grant"]
    ((_, body),) = world.post.sent
    if erased_for_good:
        with pytest.raises(Unavailable, match="not there any more"):
            world.post.deliver(MARKET, body)
    else:
        answering._vault = vault
        world.post.deliver(MARKET, body)
    assert world.kinds(MARKET) == ["grant"]
    assert world.kinds(COURT) == ["ask", "receive"]


def refuse_often(world, extra):
    """Have more questions refused than have an event each."""
    for _ in range(EACH_WINDOW):
        world.ask_by_hand(case=None)
    for _ in range(extra):
        with pytest.raises(AccessDenied):
            world.ask_by_hand(case=None)


def denied(world):
    return sum(event.n for _, event in world.events(MARKET, "deny"))


def test_refusals_that_were_only_counted_are_logged_though_the_log_was_shut_first(world):
    refuse_often(world, 3)
    world.clock.advance(seconds=3_601)
    world.anchor()
    provider = world.exchanges[MARKET].provider
    world.nodes[MARKET].store.fail_next(Unavailable("store-disk-full", "no space"))
    with pytest.raises(Unavailable):
        provider.sweep()
    assert denied(world) == EACH_WINDOW
    provider.sweep()
    assert denied(world) == EACH_WINDOW + 3
    provider.sweep()
    assert denied(world) == EACH_WINDOW + 3


def test_refusals_that_were_only_counted_are_logged_when_the_node_stops(world):
    refuse_often(world, 2)
    loop = ExchangeLoop(world.nodes[MARKET].services)
    loop.request_stop()
    loop.join(1.0)
    assert denied(world) == EACH_WINDOW + 2
    world.restart(MARKET)
    assert world.events(MARKET, "deny")[-1][1].n == 2


def test_of_refusals_that_were_only_counted_a_crash_forgets_less_than_half(world):
    refuse_often(world, 7)
    world.restart(MARKET)
    assert denied(world) == EACH_WINDOW
    world.exchanges[MARKET].provider.sweep()
    assert denied(world) == EACH_WINDOW + 4
    world.restart(MARKET)
    world.exchanges[MARKET].provider.sweep()
    assert denied(world) == EACH_WINDOW + 4, "what was kept is logged once"


def test_of_refusals_on_both_sides_of_a_crash_the_next_crash_forgets_less_than_half(world):
    refuse_often(world, 64)
    world.restart(MARKET)
    refuse_often(world, 3)
    world.restart(MARKET)
    world.exchanges[MARKET].provider.sweep()
    assert denied(world) == 2 * EACH_WINDOW + 64, "what was kept before the first crash is not written over"


def test_the_event_about_what_a_crash_left_forgets_nothing_that_was_counted_since(world):
    refuse_often(world, 2)
    world.restart(MARKET)
    refuse_often(world, 3)
    world.exchanges[MARKET].provider.sweep()
    assert denied(world) == 2 * EACH_WINDOW + 2
    world.restart(MARKET)
    world.exchanges[MARKET].provider.sweep()
    assert denied(world) == 2 * EACH_WINDOW + 5


def test_an_old_envelope_that_comes_again_is_counted_and_not_logged(world):
    world.ask_one()
    ((_, body),) = world.post.sent
    world.clock.advance(seconds=130)
    world.exchanges[MARKET].tend()
    before = world.rejects[MARKET]
    for _ in range(4):
        with pytest.raises(Verification) as caught:
            world.post.deliver(MARKET, body)
        assert caught.value.code == "request-expired"
    assert world.kinds(MARKET) == ["grant"]
    assert world.rejects[MARKET] == before + 4


def test_a_request_that_comes_too_late_is_refused_once(world):
    now = world.clock.now_seconds()
    token, reply = world.sign_request(iat=now - 200, exp=now - 10)
    body = world.seal(token)
    answer = world.open(world.post.deliver(MARKET, body), token, reply)
    assert (answer.result, answer.code) == ("deny", "request-expired")
    with pytest.raises(Verification):
        world.post.deliver(MARKET, body)
    assert world.kinds(MARKET) == ["deny"]


def test_what_a_request_of_the_far_future_was_answered_is_not_kept_until_then(world):
    far = 4_000_000_000
    token, reply = world.sign_request(iat=far, exp=far + 300)
    body = world.seal(token)
    first = world.post.deliver(MARKET, body)
    assert world.open(first, token, reply).code == "request-early"
    req = token_digest(token)
    world.clock.advance(seconds=KEPT_SECONDS - 1)
    assert world.post.deliver(MARKET, body) == first
    world.clock.advance(seconds=2)
    world.exchanges[MARKET].tend()
    assert find_answer(world.nodes[MARKET].store, req) is None
    with pytest.raises(Verification):
        world.post.deliver(MARKET, body)
    assert world.kinds(MARKET) == ["deny"]
