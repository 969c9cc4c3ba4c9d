# SPDX-License-Identifier: Apache-2.0
"""What is known of the other members while the chain is away, slow, or says something that nobody can read."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from consortium.samples.codes import build_uscc
from node.errors import AccessDenied, InvalidInput, Unavailable
from node.ports import MemberStatus
from node.service.exchange.directory import FRESH_SECONDS, REFRESH_SECONDS, Directory
from node.worker.exchange import ExchangeLoop
from tests.support.exchange_world import COURT, DOMAIN, MARKET

WAIT_SECONDS = 120
OVER = int(FRESH_SECONDS) + 1
SOON = int(REFRESH_SECONDS)
UNKNOWN = build_uscc("11", "520100", "00700009")


class Watched:
    """A chain whose calls are counted and can be bent.

    Attributes:
        calls: Names of the calls, in order.
        bend: Called with the name of each before it is made.
    """

    def __init__(self, chain):
        self._chain = chain
        self.calls = []
        self.bend = lambda _name: None

    def __getattr__(self, name):
        method = getattr(self._chain, name)

        def call(*arguments):
            self.calls.append(name)
            self.bend(name)
            return method(*arguments)

        return call


@pytest.fixture
def chain(world):
    return Watched(world.nodes[COURT].services.chain)


@pytest.fixture
def directory(world, chain):
    return Directory(chain, DOMAIN, world.clock, stale_seconds=3_600)


def go_away(_name):
    raise Unavailable("chain-away", "no answer")


def test_a_chain_that_is_away_is_asked_once_in_a_while(world, chain, directory):
    known = directory.get(MARKET)
    world.clock.advance(seconds=OVER)
    chain.calls.clear()
    chain.bend = go_away
    assert [directory.get(MARKET) for _ in range(20)] == [known] * 20
    assert len(chain.calls) == 2, "one for the members, one for this member"
    world.clock.advance(seconds=OVER)
    chain.bend = lambda _name: None
    assert directory.get(MARKET).block_time > known.block_time - 1
    assert len(chain.calls) > 4


def test_without_anything_known_a_chain_that_is_away_is_left_alone_too(chain, directory):
    chain.bend = go_away
    for _ in range(5):
        with pytest.raises(Unavailable):
            directory.get(MARKET)
    assert chain.calls == ["members"]


def test_an_entry_that_nobody_can_read_is_not_read_again_for_every_message(world, chain, directory):
    def refuse(name):
        if name == "endpoint":
            raise InvalidInput("endpoint-form", "malformed endpoint")

    chain.bend = refuse
    for _ in range(5):
        with pytest.raises(InvalidInput):
            directory.get(MARKET)
    assert chain.calls.count("endpoint") == 1
    chain.bend = lambda _name: None
    world.clock.advance(seconds=OVER)
    assert directory.get(MARKET).member.code == MARKET


def test_a_slow_chain_delays_nobody_who_is_known(world, chain, directory):
    known = directory.get(MARKET)
    world.clock.advance(seconds=OVER)
    asked, may_answer = threading.Event(), threading.Event()

    def hang(_name):
        asked.set()
        assert may_answer.wait(WAIT_SECONDS)

    chain.bend = hang
    with ThreadPoolExecutor(1) as pool:
        slow = pool.submit(directory.get, MARKET)
        assert asked.wait(WAIT_SECONDS)
        chain.bend = go_away
        try:
            # The list of members is being read: nobody waits for that.
            assert COURT in directory.codes()
        finally:
            may_answer.set()
        assert slow.result(WAIT_SECONDS) == known


def test_what_is_used_is_read_again_before_a_question_would_wait_for_it(world, chain, directory):
    known = directory.get(MARKET)
    world.clock.advance(seconds=SOON)
    assert directory.get(MARKET) is known
    chain.calls.clear()
    directory.refresh()
    assert chain.calls.count("members") == chain.calls.count("member") == 1
    chain.calls.clear()
    world.clock.advance(seconds=OVER - SOON)
    newer = directory.get(MARKET)
    assert newer is not known
    assert newer == known
    assert chain.calls == [], "nobody waited"


def test_what_is_young_or_not_used_is_not_read_again(world, chain, directory):
    directory.refresh()
    directory.get(MARKET)
    directory.get(MARKET)
    world.clock.advance(seconds=SOON - 1)
    chain.calls.clear()
    directory.refresh()
    assert chain.calls == [], "young"
    world.clock.advance(seconds=1)
    directory.refresh()
    assert chain.calls != []
    chain.calls.clear()
    world.clock.advance(seconds=SOON)
    directory.refresh()
    assert chain.calls == [], "nobody asked since"


def test_a_suspended_member_is_refused_as_soon_as_before(world, chain, directory):
    directory.get(MARKET)
    world.clock.advance(seconds=SOON)
    directory.get(MARKET)
    directory.refresh()
    members = world.chain.state.members
    members[MARKET] = replace(members[MARKET], status=MemberStatus.SUSPENDED)
    assert directory.get(MARKET).is_active, "read a moment ago"
    world.clock.advance(seconds=OVER)
    assert not directory.get(MARKET).is_active


@pytest.mark.parametrize(
    "error", [Unavailable("chain-away", "no answer"), InvalidInput("endpoint-form", "?")]
)
def test_a_refresh_that_fails_leaves_what_is_known(world, chain, directory, error):
    def fail(_name):
        raise error

    known = directory.get(MARKET)
    world.clock.advance(seconds=SOON)
    directory.get(MARKET)
    chain.bend = fail
    directory.refresh()
    assert directory.get(MARKET) is known
    chain.bend = lambda _name: None
    world.clock.advance(seconds=OVER)
    assert directory.get(MARKET) is not known


def test_the_loop_refreshes_what_is_in_use(world):
    directory = world.exchanges[COURT].directory
    known = directory.get(MARKET)
    world.clock.advance(seconds=SOON)
    directory.get(MARKET)
    ExchangeLoop(world.nodes[COURT].services).refresh()
    assert directory.get(MARKET) is not known


def test_a_chain_that_hangs_holds_up_no_other_work_of_the_loop(world, monkeypatch):
    for period in ("PERIOD_SECONDS", "REFRESH_PERIOD_SECONDS"):
        monkeypatch.setattr(f"node.worker.exchange.{period}", 0.01)
    hangs, turned, may_answer = threading.Event(), threading.Event(), threading.Event()

    def hang():
        hangs.set()
        assert may_answer.wait(WAIT_SECONDS)

    def turn(_loop):
        if hangs.is_set():
            turned.set()

    monkeypatch.setattr(world.exchanges[COURT].directory, "refresh", hang)
    monkeypatch.setattr(ExchangeLoop, "turn", turn)
    loop = ExchangeLoop(world.nodes[COURT].services)
    loop.start()
    try:
        assert turned.wait(WAIT_SECONDS)
    finally:
        may_answer.set()
        loop.request_stop()
        loop.join(WAIT_SECONDS)


def test_a_fault_does_not_end_the_loop(world, monkeypatch, capsys):
    monkeypatch.setattr("node.worker.exchange.REFRESH_PERIOD_SECONDS", 0.01)
    calls, third = [], threading.Event()

    def refresh():
        calls.append(None)
        if len(calls) == 3:
            third.set()
        raise KeyError("a value that nobody may see")

    monkeypatch.setattr(world.exchanges[COURT].directory, "refresh", refresh)
    loop = ExchangeLoop(world.nodes[COURT].services)
    loop.start()
    try:
        assert third.wait(WAIT_SECONDS)
    finally:
        loop.request_stop()
        loop.join(WAIT_SECONDS)
    told = capsys.readouterr()
    assert (told.out + told.err).count("KeyError") == 1, "it is logged once"
    assert "nobody may see" not in told.out + told.err


def test_the_roles_of_this_member_cost_one_call(world, chain, directory):
    assert directory.member(COURT) == directory.get(COURT).member
    chain.calls.clear()
    world.clock.advance(seconds=OVER)
    directory.member(COURT)
    assert chain.calls == ["members", "member"]
    chain.calls.clear()
    world.clock.advance(seconds=SOON)
    directory.member(COURT)
    directory.refresh()
    assert chain.calls == ["members", "member"], "what nobody asked for again is left alone"
    with pytest.raises(AccessDenied) as refused:
        directory.member(UNKNOWN)
    assert refused.value.code == "member-unknown"
