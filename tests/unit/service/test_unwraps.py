# SPDX-License-Identifier: Apache-2.0
"""The count of unwraps in the heartbeats: no more comes out than events say, and it never goes back."""

from __future__ import annotations

from itertools import count

import pytest

from node.access.event import Heartbeat, ParsedEvent, parse_entry
from node.errors import NodeError, Unavailable
from node.service.keeping import LocalKeeper
from node.service.publishing import find_last_unwraps
from tests.support.errors import raises_code
from tests.support.node_world import WHY, NodeWorld


class CountingKeeper(LocalKeeper):
    """Counts in memory, goes away on demand, and is told what was said before.

    Attributes:
        away: Raised by every call instead of an answer; None while it works.
        floor: What it was told to count on from.
    """

    def __init__(self, world, start=0):
        counter = count(start + 1)
        super().__init__(world.wrapping, world.random, lambda: next(counter))
        self._unwraps = start
        self.away = None
        self.floor = None

    def unwrap(self, wrapped, name):
        if self.away is not None:
            raise self.away
        return super().unwrap(wrapped, name)

    def raise_to(self, count):
        self.floor = count


@pytest.fixture
def world():
    with NodeWorld() as made:
        made.keeper = CountingKeeper(made)
        made.restart()
        made.join()
        made.import_penalties(range(4))
        made.anchor()
        yield made


def entries(world):
    return [parse_entry(world.access.entry(row)) for _, row in world.access.rows(0, world.access.size())]


def test_no_more_comes_out_than_the_events_before_a_heartbeat_say(world):
    """What an auditor compares: at each heartbeat the count, and the sum of n over the looks before it."""
    services = world.services
    services.records.show(world.leaf(0), WHY)
    services.exporter.export(world.leaf(1), ["CF_WSH"], WHY)
    world.anchor()
    services.eraser.erase(world.leaf(2), ground="retention-ended", why=WHY)
    services.records.withdraw(world.leaf(3), officer="wang", ground="撤销")
    services.events.open(next(i for i, e in enumerate(entries(world)) if isinstance(e, ParsedEvent)), WHY)
    world.anchor()
    allowed, said = 0, []
    for entry in entries(world):
        if isinstance(entry, ParsedEvent):
            allowed += entry.n
        elif isinstance(entry, Heartbeat):
            said.append(entry.unwraps)
            assert entry.unwraps <= allowed
    assert said == [0, 2, 4], "importing, withdrawing and anchoring let nothing out"
    assert allowed == 4


def test_what_was_said_is_counted_on_after_a_restart(world):
    world.services.records.show(world.leaf(0), WHY)
    world.anchor()
    world.keeper = CountingKeeper(world)  # its file was lost
    world.restart()
    assert world.keeper.floor == 1
    assert find_last_unwraps(world.services.logs[world.access.kind]) == 1


@pytest.mark.parametrize("call", ["show", "export", "erase", "open"])
def test_while_the_key_process_is_away_nothing_is_shown(world, call):
    services = world.services
    services.records.show(world.leaf(0), WHY)
    place = world.access.size() - 1
    before = world.keeper.unwraps
    world.keeper.away = Unavailable("key-process-ended", "it ended")
    calls = {
        "show": lambda: services.records.show(world.leaf(0), WHY),
        "export": lambda: services.exporter.export(world.leaf(0), ["CF_WSH"], WHY),
        "erase": lambda: services.eraser.erase(world.leaf(0), ground="retention-ended", why=WHY),
        "open": lambda: services.events.open(place, WHY),
    }
    with raises_code(Unavailable, "key-process-ended"):
        calls[call]()
    assert world.keeper.unwraps == before
    world.keeper.away = None
    calls[call]()
    world.anchor()
    assert world.check() == []


def test_a_secret_that_does_not_open_is_not_counted(world):
    world.store.damage_secret(b"r" + bytes(8), bytes(60))
    with pytest.raises(NodeError):
        world.services.records.show(world.leaf(0), WHY)
    assert world.keeper.unwraps == 0
