# SPDX-License-Identifier: Apache-2.0
"""The clock of the machine is put back a day and forward a year: what is signed never goes back, and work goes on."""

import pytest

from node.errors import Fatal, Unavailable
from node.ports import Role
from node.service import layout
from node.service.layout import LogKind
from tests.support.chain import SimulatedChain
from tests.support.clock import ManualClock
from tests.support.errors import raises_code
from tests.support.never_back import check_never_back
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


def test_put_back_a_day(world):
    world.clock.put(seconds=-DAY)
    world.import_penalties(range(5, 10))
    anchor(world)
    assert world.services.records.show(world.leaf(), WHY).receipt
    world.restart()
    anchor(world)
    assert world.check() == []
    assert check_never_back(world) > 2
    assert len(world.lines()) == 10


def test_put_back_a_day_behind_a_period_that_was_closed_and_not_signed(world):
    before = world.records.size()
    world.store.fail_next(Fatal("store-commit-failed", "power"), stored=True)
    with raises_code(Fatal, "store-commit-failed"):
        anchor(world)
    assert world.records.size() == before + 1 > world.records.published_size()
    world.clock.put(seconds=-DAY)
    world.restart()
    anchor(world)
    assert world.check() == []
    assert check_never_back(world) > 2


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
    assert world.check() == []
    assert check_never_back(world) > 2


def test_a_stored_checkpoint_that_is_not_what_was_signed_stops_the_node(world):
    size, note = world.records.find_checkpoint()
    world.store.damage(layout.checkpoint_key(LogKind.RECORDS, size), note.replace("\n", "\n ", 1).encode())
    with raises_code(Fatal, "checkpoint-damaged"):
        anchor(world)
    assert world.services.state()["mode"] == "stopped"
