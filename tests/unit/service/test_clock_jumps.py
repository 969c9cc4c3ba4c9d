# SPDX-License-Identifier: Apache-2.0
"""The clock of the machine is put back a day and forward a year: what is signed never goes back, and work goes on."""

import pytest

from node.access.event import Heartbeat, parse_entry
from node.crypto.note import parse_vkey
from node.crypto.token import parse_token
from node.errors import Fatal, Unavailable
from node.log.checkpoint import verify_checkpoint
from node.ports import Role
from node.records.status import STATUS_HEAD_TYP
from node.service import layout
from node.service.layout import LogKind
from tests.support.chain import SimulatedChain
from tests.support.clock import ManualClock
from tests.support.errors import raises_code
from tests.support.node_world import WHY, NodeWorld, build_identity

DAY, YEAR = 86_400, 365 * 86_400


@pytest.fixture
def world():
    """A node whose chain has a clock of its own."""
    identity = build_identity()
    chain = SimulatedChain([(identity.member, identity.operator, Role.ISSUER)], clock=ManualClock())
    with NodeWorld(chain=chain) as world:
        world.join()
        world.import_penalties(range(5))
        anchor(world)
        yield world


def anchor(world):
    world.chain._clock.advance(seconds=300)
    return world.anchor()


def check_never_back(world):
    """Compare every heartbeat, status head and checkpoint with the one before it."""
    assert world.check() == []
    entries = [world.access.entry(row) for _, row in world.access.rows(0, world.access.size())]
    beats = [event.t_ms for event in map(parse_entry, entries) if isinstance(event, Heartbeat)]
    rows = [
        row for _, row in world.records.rows(0, world.records.size()) if row.status_list == layout.NO_LIST
    ]
    heads = [
        parse_token(world.records.entry(row), typ=STATUS_HEAD_TYP, max_bytes=10_000).payload["iat"]
        for row in rows
    ]
    assert len(beats) == len(heads) > 2
    assert beats == sorted(beats)
    assert heads == sorted(heads)
    for log in LogKind:
        vkeys = [parse_vkey(text) for text in world.services.public_keys.logs[log]]
        prefix = b"c" + log.value
        notes = [value.decode() for _, value in world.store.scan(prefix, layout.stop_of(prefix))]
        times = [verify_checkpoint(note, vkeys).timestamp_seconds for note in notes]
        assert times == sorted(times)


def test_put_back_a_day(world):
    world.clock.put(seconds=-DAY)
    world.import_penalties(range(5, 10))
    anchor(world)
    assert world.services.records.show(world.leaf(), WHY).receipt
    world.restart()
    anchor(world)
    check_never_back(world)
    assert len(world.lines()) == 10


def test_put_forward_a_year_and_back_again(world):
    world.clock.put(seconds=YEAR)
    world.import_penalties(range(5, 10))
    anchor(world)
    # By this clock the last anchor is a year old, so nothing is released: it may not be the chain that is wrong.
    with raises_code(Unavailable, "anchor-limit"):
        world.services.records.show(world.leaf(), WHY)
    world.clock.put(seconds=-YEAR)
    anchor(world)
    assert world.services.records.show(world.leaf(), WHY).receipt
    check_never_back(world)


def test_a_stored_checkpoint_that_is_not_what_was_signed_stops_the_node(world):
    size, note = world.records.find_checkpoint()
    world.store.damage(layout.checkpoint_key(LogKind.RECORDS, size), note.replace("\n", "\n ", 1).encode())
    with raises_code(Fatal, "checkpoint-damaged"):
        anchor(world)
    assert world.services.state()["mode"] == "stopped"
