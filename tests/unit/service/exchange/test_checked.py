# SPDX-License-Identifier: Apache-2.0
"""``log fsck`` of what a node counts and keeps of its exchanges: clean after a day, and whatever is damaged is found."""

import pytest

from node.service import layout
from node.service.assembly import open_logs
from node.service.exchange.ledger import (
    OpenQuestion,
    Plan,
    drop_answers,
    list_expired,
    put_passed_over,
    put_plan,
    put_question,
    put_refused,
)
from node.service.fsck.exchanges import ExchangeCheck
from node.service.fsck.ledgers import LedgerCheck
from node.service.layout import LogKind
from tests.support.exchange_world import COURT, MARKET, ExchangeWorld
from tests.support.many import CAP, ask_many, companies
from tests.support.node_world import DOMAIN
from tests.support.rows import PERSON
from tests.unit.service.exchange.test_consents import give, question
from tests.unit.service.exchange.test_ends import log_receive

PREFIXES = (
    *(b"Cc", b"Ce", b"Cg", b"Co", b"Cs", b"Cu", b"T", b"U", b"Wv"),
    *(b"Ea", b"Ed", b"Ee", b"Eg", b"Eh", b"Eo", b"Ep", b"Eq", b"Er", b"Es", b"Eu", b"Ev", b"Ew", b"Ex"),
)
SILENT_WHEN_GONE = {b"Eg", b"Er", b"Eu", b"Ew", b"T", b"U", b"Wv", b"Ed", b"Ee", b"Eh", b"Eo", b"Eq", b"Es"}
"""What nothing else leads to: what was not counted or kept, and what the chain says again."""
OPAQUE = {b"Eu", b"Ew", b"Ce", b"Cs"}
"""Sealed bytes, which only the keys open; and keys that are all they say, whose bytes are looked at otherwise."""
BARE = {b"Ee", b"Ex"}
"""Keys that have no bytes."""


@pytest.fixture(scope="module")
def world():
    with ExchangeWorld() as made:
        made.nodes[MARKET].import_penalties(range(2))
        made.nodes[MARKET].import_penalties([7], **PERSON)
        made.anchor()
        given = give(made)
        made.ask_one(**question(given.token))
        made.ask_one()
        bad = log_receive(made, rid=bytes(16), released=[["A" * 43, []]], n=1)
        assert made.ask_by_hand(received=[bad]).code == "received-unknown"
        leave_half_done(made)
        yield made


def leave_half_done(world):
    """What a node keeps between two commits, or of what it refuses: as those commits write it."""
    court, market = world.nodes[COURT], world.nodes[MARKET]
    (deny, refused), *_ = world.events(MARKET, "deny")
    ((exp, _),) = [one for one in list_expired(market.store, 1 << 40, limit=100) if one[1] == refused.req]
    put(market, drop_answers, [(exp, refused.req)])
    plan = Plan(deny, "deny", exp, "case-required", 0, 0, (0, 0), ())
    put(market, put_plan, COURT, bytes(16), refused.req, plan)
    put(market, put_refused, bytes(32))
    put(market, put_passed_over, COURT, 3, bytes(32))
    (ask, asked), *_ = world.events(COURT, "ask")
    put(court, put_question, OpenQuestion(ask, MARKET, asked.rid, 1_900_000_000, bytes(32)))
    assert ask_many(world, companies(CAP + 1)).waiting is not None


def put(node, write, *arguments):
    node.services.sequencer.run(lambda transaction: write(transaction, *arguments), entries=0)


def found(node, key, value):
    store = node.store.copy()
    store.damage(key, value)
    logs = open_logs(store, DOMAIN, node.identity.member)
    checks = (LedgerCheck(store, logs), ExchangeCheck(store, logs[LogKind.ACCESS]))
    return [finding.code for check in checks for finding in check.run()]


def flip(value):
    return value[:-1] + bytes((value[-1] ^ 1,))


def rows(node, prefix):
    return list(node.store.scan(prefix, layout.stop_of(prefix)))


def test_a_day_of_questions_leaves_nothing_that_does_not_fit(world):
    for code in (COURT, MARKET):
        assert world.nodes[code].check() == []
    kept = {prefix for code in (COURT, MARKET) for prefix in PREFIXES if rows(world.nodes[code], prefix)}
    assert kept == set(PREFIXES), "the sample has some of everything"


@pytest.mark.parametrize("prefix", PREFIXES, ids=lambda prefix: prefix.decode())
def test_whatever_is_damaged_is_found(world, prefix):
    tried = 0
    for code in (COURT, MARKET):
        node = world.nodes[code]
        for key, value in rows(node, prefix):
            if prefix not in SILENT_WHEN_GONE:
                assert found(node, key, None), (prefix, "gone")
            if prefix not in OPAQUE:
                assert prefix in BARE or found(node, key, b""), (prefix, "empty")
                assert found(node, key, value + b"\x01"), (prefix, "longer")
            tried += 1
    assert tried


def test_a_use_or_promise_of_another_event_is_found(world):
    node = world.nodes[MARKET]
    for prefix in (b"Cu", b"Cg", b"Eg", b"Ev", b"Ew"):
        for key, value in rows(node, prefix):
            moved = key[:-1] + bytes((key[-1] ^ 1,))
            assert found(node, *((moved, value) if prefix == b"Ew" else (key, flip(value)))), prefix
