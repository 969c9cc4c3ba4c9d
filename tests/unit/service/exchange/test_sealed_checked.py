# SPDX-License-Identifier: Apache-2.0
"""``log fsck`` of what sealed looks leave in a store: clean after a day of them, and whatever is damaged is found."""

from __future__ import annotations

import msgpack
import pytest

from node.access.warrant import parse_warrant
from node.crypto.token import token_digest
from node.service import layout
from node.service.assembly import open_logs
from node.service.fsck.boxes import CHECKED, BoxCheck
from node.service.fsck.checker import Checker
from node.service.fsck.findings import Marks
from node.service.layout import LogKind
from node.service.sealing import DEPOSITED
from tests.support.exchange_world import COURT, MARKET
from tests.support.node_world import DOMAIN
from tests.support.sealed_world import DAY, INSPECTOR, WHY, SealedWorld
from tests.unit.service.test_fsck import mutations

FAMILY = b"S"


@pytest.fixture(scope="module")
def world():
    """Two looks in two months, one of them opened; a warrant taken back, and one that nobody used."""
    with SealedWorld() as made:
        made.nodes[MARKET].import_penalties(range(2))
        made.anchor()
        warrant = made.issue(seconds=60 * DAY, open_seconds=90 * DAY)
        assert made.ask_one(warrant=warrant).result == "ok"
        made.clock.advance(seconds=31 * DAY)
        made.anchor()
        assert made.ask_one(warrant=warrant).result == "ok"
        made.depository.take_back(token_digest(warrant), WHY)
        made.issue()
        first, *_ = made.depository.boxes(after=None, limit=1)
        made.depository.open(first.box, WHY)
        yield made


def damaged(node, *changes):
    """What is found when other bytes lie under some keys of sealed looks."""
    store = node.store.copy()
    for key, value in changes:
        store.damage(key, value)
    events = open_logs(store, DOMAIN, node.identity.member)[LogKind.ACCESS]
    sealed = Marks(events.open.size())
    for index, row in events.open.rows(0, events.open.size()):
        if b'"kind":"sealed"' in events.open.entry(row):
            sealed.add(index)
    return list(BoxCheck(store, events, sealed).run())


def rows(node, prefix=FAMILY):
    return list(node.store.scan(prefix, layout.stop_of(prefix)))


def test_receipts_that_an_older_program_kept_are_in_order(world):
    """It did not note which part of a look the event is."""
    node = world.nodes[COURT]
    kept = rows(node, DEPOSITED)
    assert len(kept) == 4
    older = [(key, msgpack.unpackb(value)) for key, value in kept]
    assert (
        damaged(node, *((key, msgpack.packb([regulator, *what])) for key, (regulator, _, *what) in older))
        == []
    )


def silent(key, name, value):
    """Of another member's receipt only its key tells more than what it promises: see ``node.service.fsck.boxes``."""
    if key[:2] != b"Sh" or not name.startswith("byte"):
        return False
    *_, receipt = msgpack.unpackb(value)
    return int(name[5:]) >= len(value) - len(receipt)


def test_a_day_of_sealed_looks_leaves_nothing_that_does_not_fit(world):
    for node in world.nodes.values():
        assert node.check() == []
    kept = {key[:2] for node in world.nodes.values() for key, _ in rows(node)}
    assert kept == set(CHECKED), "the sample has some of everything"


@pytest.mark.parametrize("code", [COURT, MARKET, INSPECTOR])
def test_whatever_is_damaged_is_found(world, code):
    node, tried = world.nodes[code], 0
    for key, value in rows(node):
        for name, changed in mutations(value):
            if changed == value or silent(key, name, value):
                continue
            tried += 1
            assert damaged(node, (key, changed)), (key[:2], key.hex(), name)
    assert tried > 10


@pytest.mark.parametrize("code", [COURT, MARKET, INSPECTOR])
def test_a_key_that_is_not_what_it_was_is_found(world, code):
    """A bit of a key is another key: one that is gone, and one that is there too much."""
    node = world.nodes[code]
    for key, value in rows(node):
        for at in (2, len(key) - 1 - (key[:2] == b"Sc")):
            # Whether a counted look was asked or answered only the openings of its events say.
            moved = key[:at] + bytes((key[at] ^ 1,)) + key[at + 1 :]
            assert damaged(node, (key, None), (moved, value)), (key[:2], key.hex(), at)
            assert node.store.get(moved) == value or damaged(node, (moved, value)), (key[:2], key.hex(), at)


def test_a_key_of_another_letter_is_found(world):
    node = world.nodes[COURT]
    store = node.store.copy()
    store.damage(b"Sz", b"?")
    found = Checker(store, open_logs(store, DOMAIN, node.identity.member), node.heads).run()
    assert [(one.code, one.place) for one in found] == [("fsck-key", "key 537a")]


def test_what_is_wrong_is_named_by_place(world):
    node = world.nodes[INSPECTOR]
    ((place, box), *_) = rows(node, b"St")
    named = {one.place for one in damaged(node, (b"Sb" + box, None))}
    assert named == {f"box {box.hex()}"}
    named = {one.place for one in damaged(node, (place, None))}
    assert f"event at place {layout.parse_u64(place[2:])}" in named
    ((kept, _), *_) = rows(world.nodes[COURT], b"Sh")
    (found,) = [one for one in damaged(world.nodes[COURT], (kept, None)) if "event" in one.place]
    assert (found.code, found.place) == ("fsck-sealed", f"event at place {layout.parse_u64(kept[2:])}")


def test_two_boxes_that_changed_places_are_found(world):
    node = world.nodes[INSPECTOR]
    (one, first), (other, second), *_ = rows(node, b"Sb")
    assert damaged(node, (one, second), (other, first))
    (one, first), (other, second), *_ = rows(node, b"Sd")
    assert damaged(node, (one, second), (other, first))
    (one, first), (other, second), *_ = rows(world.nodes[COURT], b"Sh")
    assert damaged(world.nodes[COURT], (one, second), (other, first))


def test_what_an_older_program_kept_of_warrants_and_boxes_is_in_order_and_still_opens():
    """It kept seconds, and places of neither the event of a warrant nor that of an opening."""
    with SealedWorld() as world:
        world.nodes[MARKET].import_penalties(range(2))
        world.anchor()
        assert world.ask_one(warrant=world.issue()).result == "ok"
        opened, *others = [one.box for one in world.depository.boxes(after=None, limit=9)]
        world.depository.open(opened, WHY)
        node = world.nodes[INSPECTOR]
        for key, value in rows(node, b"Sd"):
            *first, open_by, place = msgpack.unpackb(value)
            second = None if place is None else world.clock.now_seconds()
            older = [*first, world.clock.now_seconds(), open_by, second]
            node.store.damage(key, msgpack.packb(older))
        for key, value in rows(node, b"Sw"):
            token, _ = msgpack.unpackb(value)
            node.store.damage(key, msgpack.packb([token, parse_warrant(token).iat]))
        for key, _ in rows(node, b"Si"):
            node.store.damage(key, None)
        assert damaged(node) == []
        held = world.depository.boxes(after=None, limit=9)
        assert [one.box for one in held] == [opened, *others]
        for one in held:
            assert world.depository.open(one.box, WHY).statement
        assert all(one.opened for one in world.depository.boxes(after=None, limit=9))
        assert damaged(node) == []
