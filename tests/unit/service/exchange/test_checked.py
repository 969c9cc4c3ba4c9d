# SPDX-License-Identifier: Apache-2.0
"""``log fsck`` of what a node counts and keeps of its exchanges: clean after a day, and whatever is damaged is found."""

import pytest

from node.service import layout
from node.service.assembly import open_logs
from node.service.fsck.ledgers import LedgerCheck
from tests.support.exchange_world import COURT, MARKET
from tests.support.node_world import DOMAIN
from tests.support.rows import PERSON
from tests.unit.service.exchange.test_consents import give, question
from tests.unit.service.exchange.test_ends import log_receive

PREFIXES = (b"Cc", b"Ce", b"Cg", b"Co", b"Cs", b"Cu", b"Eg", b"Er", b"Eu", b"Ev", b"Ew", b"T", b"U", b"Wv")
SILENT_WHEN_GONE = {b"Eg", b"Er", b"Eu", b"Ew", b"T", b"U", b"Wv"}
"""What nothing else leads to: what was not counted or kept, and what the chain says again."""
OPAQUE = {b"Eu", b"Ew", b"Ce", b"Cs"}
"""Sealed bytes, which only the keys open; and keys that are all they say, whose bytes are looked at otherwise."""


@pytest.fixture
def world(world):
    world.nodes[MARKET].import_penalties([7], **PERSON)
    world.anchor()
    given = give(world)
    world.ask_one(**question(given.token))
    world.ask_one()
    bad = log_receive(world, rid=bytes(16), released=[["A" * 43, []]], n=1)
    assert world.ask_by_hand(received=[bad]).code == "received-unknown"
    return world


def found(node, key, value):
    store = node.store.copy()
    store.damage(key, value)
    return [
        finding.code for finding in LedgerCheck(store, open_logs(store, DOMAIN, node.identity.member)).run()
    ]


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
                assert found(node, key, b""), (prefix, "empty")
                assert found(node, key, value + b"\x01"), (prefix, "longer")
            tried += 1
    assert tried


def test_a_use_or_promise_of_another_event_is_found(world):
    node = world.nodes[MARKET]
    for prefix in (b"Cu", b"Cg", b"Eg", b"Ev", b"Ew"):
        for key, value in rows(node, prefix):
            moved = key[:-1] + bytes((key[-1] ^ 1,))
            assert found(node, *((moved, value) if prefix == b"Ew" else (key, flip(value)))), prefix
