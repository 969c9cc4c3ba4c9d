# SPDX-License-Identifier: Apache-2.0
"""Looks that an older release logged without an index come into it later: the same keys as if it had kept one."""

from __future__ import annotations

import pytest

from node.access.event import parse_event
from node.access.question import AskedSubject
from node.errors import Unavailable
from node.service import layout
from node.service.drafting import EventDraft, Officer, Purpose
from node.service.fsck.findings import Finding
from node.service.subject_index import BEGUN_KEY, EVENT_PREFIX, PREFIX, find_begun
from tests.support.errors import raises_code
from tests.support.exchange_world import COURT, MARKET, ExchangeWorld
from tests.support.node_world import WHY
from tests.support.rows import COMPANY, PERSON

FIRM = AskedSubject("uscc", COMPANY)


@pytest.fixture
def world():
    """A market regulator that gave, refused, read, exported and erased, and then lost its index as if it never had one."""
    with ExchangeWorld() as made:
        node = made.nodes[MARKET]
        node.import_penalties([1, 2, 3])
        node.import_penalties([7], **PERSON)
        made.anchor()
        made.ask()
        made.ask_by_hand(case=None)
        node.services.records.show(node.leaf(0), WHY)
        node.services.exporter.export(node.leaf(1), {"CF_WSH"}, WHY)
        node.services.records.find("uscc", COMPANY, WHY, limit=10)
        node.services.eraser.erase(node.leaf(2), ground="ordered", why=WHY)
        made.anchor()
        yield made


def index_of(node):
    return dict(node.store.scan(PREFIX, layout.stop_of(PREFIX)))


def forget(world):
    """What an older release leaves: no key of the index."""
    node = world.nodes[MARKET]
    for key in index_of(node):
        node.store.damage(key, None)
    world.restart(MARKET)
    return node


def rids(node):
    shown = node.services.subjects.show(FIRM, "business-licence", Purpose("wang", ""))
    return [look.rid for look in shown.looks]


def run(node, most=10_000):
    return node.services.backfill.run("op", most=most)


@pytest.mark.parametrize("most", [10_000, 2])
def test_it_gives_the_index_that_there_would_have_been(world, most):
    before = index_of(world.nodes[MARKET])
    node = forget(world)
    assert not node.services.backfill.is_complete()
    while run(node, most):
        assert [found for found in node.check() if found.code in {"fsck-index", "fsck-key"}] == []
    assert node.services.backfill.is_complete()
    after = index_of(node)
    # What the run logged itself, an audit for each stretch, is there besides.
    assert {key: after.get(key) for key in before} == before
    assert find_begun(node.store) == layout.parse_u64(
        min(key for key in after if key.startswith(EVENT_PREFIX))[2:]
    )


def test_a_list_says_that_it_is_not_whole_until_then(world):
    whole = rids(world.nodes[MARKET])
    node = forget(world)
    assert rids(node) == []
    run(node)
    # The two lists of before are looks themselves.
    assert rids(node)[2:] == whole


def test_what_is_opened_is_logged_before(world):
    node = forget(world)
    read = set()
    node.store.on_secret = read.add
    size = node.access.size()
    count = run(node)
    events = [
        parse_event(node.access.entry(row))
        for _, row in node.access.rows(size, node.access.size())
        if row.values_length
    ]
    assert [event.kind for event in events] == ["audit"]
    # Each secret is looked for once more, to leave out events without one.
    assert sum(event.n for event in events) == len(read) == count
    node.store.on_secret = None
    node.store.fail_next(Unavailable("store-full", "no space"))
    for key in index_of(node):
        node.store.damage(key, None)
    with raises_code(Unavailable, "store-full"):
        run(node)
    assert index_of(node) == {}


def test_a_run_that_was_cut_off_goes_on(world):
    before = index_of(world.nodes[MARKET])
    node = forget(world)
    # The audit is committed, the index is not.
    node.store.faults[node.store.commits + 1] = (Unavailable("store-full", "no space"), False)
    with raises_code(Unavailable, "store-full"):
        run(node)
    run(node)
    assert {key: index_of(node).get(key) for key in before} == before


def test_an_empty_log_has_a_whole_index(world):
    node = world.nodes[COURT]
    fresh = world.nodes[MARKET]
    assert fresh.services.backfill.is_complete()
    assert node.services.backfill.is_complete()
    assert run(fresh) == 0


def test_sealed_events_stay_closed(world):
    node = world.nodes[MARKET]
    draft = EventDraft(
        kind="sealed",
        peer=COURT,
        subject={"type": "uscc", "id": COMPANY},
        purpose="supervision",
        items=[],
        box=b"b" * 32,
        open_by=world.clock.now_seconds() + 600,
        warrant=b"w" * 32,
    )
    place = node.access.place(node.services.access.log(draft).index)
    forget(world)
    read = set()
    node.store.on_secret = read.add
    run(node)
    assert layout.secret_key(node.access.kind, place) not in read


def test_a_check_says_what_is_wrong_with_an_index(world):
    node = world.nodes[MARKET]
    assert [found for found in node.check() if isinstance(found, Finding)] == []
    events = [key for key in index_of(node) if key.startswith(EVENT_PREFIX)]
    node.store.damage(events[2], None)
    assert {found.code for found in node.check()} == {"fsck-index"}
    node.services.access.log(EventDraft(kind="audit", officer=Officer("li"), purpose="p"))
    node.store.damage(BEGUN_KEY, None)
    assert any("does not begin" in found.detail for found in node.check())
