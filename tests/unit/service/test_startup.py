# SPDX-License-Identifier: Apache-2.0
"""What a node finds when it starts, and what it says about itself."""

import pytest

from node.errors import Conflict, Fatal, Unavailable
from node.log.head import Head
from node.log.merkle import EMPTY_ROOT
from node.service import layout
from node.service.layout import LogKind
from tests.support.errors import raises_code
from tests.support.node_world import WHY, FaultyStore, NodeWorld

RECORDS, ACCESS = LogKind.RECORDS, LogKind.ACCESS


@pytest.fixture
def world():
    with NodeWorld() as made:
        yield made


def assert_read_only(world, code):
    state = world.services.state()
    assert (state["mode"], state["code"]) == ("read-only", code)
    assert state["reason"]
    commits = world.store.commits
    for attempt in (lambda: world.import_penalties([900]), world.anchor, world.join):
        with raises_code(Conflict, code):
            attempt()
    assert world.store.commits == commits


def test_a_new_node_writes_its_head_files_first(world):
    assert {head.origin: (head.size, head.root) for head in world.heads.stored} == {
        reader.origin: (0, EMPTY_ROOT) for reader in world.services.readers.values()
    }
    assert world.services.state() == {
        "mode": "waiting-for-chain",
        "code": None,
        "reason": None,
        "unanchored_seconds": None,
    }


def test_a_second_start_writes_nothing(world):
    world.import_penalties(range(3))
    world.join()
    world.anchor()
    commits, heads = world.store.commits, len(world.heads.stored)
    world.restart()
    assert (world.store.commits, len(world.heads.stored)) == (commits, heads)


def test_a_full_disk_does_not_keep_a_known_node_from_starting(world):
    world.import_penalties([1])
    world.services.sequencer.close()
    world.store.fail_next(Unavailable("store-disk-full", "disk is full"))
    world.start()
    assert world.records.size() == 1


@pytest.mark.parametrize("log", LogKind)
def test_a_missing_head_file_is_no_new_log(world, log):
    world.import_penalties(range(3))
    world.join()
    world.anchor()
    world.heads.forget(world.services.readers[log].origin)
    world.restart()
    assert_read_only(world, "head-missing")
    assert "restored backup" in world.services.state()["reason"]


@pytest.mark.parametrize("log", LogKind)
def test_a_store_behind_its_head_file(world, log):
    world.import_penalties(range(3))
    backup = world.store.copy()
    world.join()
    world.anchor()
    origin = world.services.readers[log].origin
    for reader in world.services.readers.values():
        if reader.origin != origin:
            world.heads.replace(Head(reader.origin, 0, EMPTY_ROOT))
    world.store = backup
    world.restart()
    assert_read_only(world, "log-behind")


def test_an_empty_store_behind_its_head_files(world):
    world.join()
    world.anchor()
    world.store = FaultyStore()
    world.restart()
    assert_read_only(world, "log-behind")


def test_a_store_with_another_root_than_was_promised(world):
    world.join()
    world.import_penalties([1])
    backup, heads = world.store.copy(), dict(world.heads._heads)
    world.anchor()
    promised = dict(world.heads._heads)
    # A copy of the store grew on its own to the same size and beyond.
    world.store, world.heads._heads = backup, heads
    world.restart()
    world.import_penalties(range(5, 9))
    for _ in range(20):
        world.services.records.show(world.leaf(), WHY)
    world.heads._heads = promised
    world.restart()
    assert_read_only(world, "log-fork")


def test_a_store_that_is_ahead_of_its_head_file_goes_on(world):
    """A crash behind the commit point and before the head file leaves it so."""
    world.join()
    world.anchor()
    head = world.heads.load(world.records.origin)
    world.import_penalties(range(50))
    world.heads._heads[world.records.origin] = head
    assert head.size < world.records.size()
    world.restart()
    world.join()
    world.anchor()
    assert world.check() == []


def test_a_damaged_right_edge_keeps_the_node_from_starting(world):
    world.import_penalties(range(3))
    world.store.damage(layout.tile_key(RECORDS, 0, 0), bytes(64))
    world.services.sequencer.close()
    with raises_code(Fatal, "log-tile-missing"):
        world.start()


def test_a_head_file_that_cannot_be_read_keeps_the_node_from_starting(world):
    world.services.sequencer.close()

    class Unreadable(type(world.heads)):
        def load(self, origin):
            raise Fatal("head-corrupt", f"{origin} is not a head file")

    heads, world.heads = world.heads, Unreadable()
    with raises_code(Fatal, "head-corrupt"):
        world.start()
    world.heads = heads
    world.start()


def test_catalogue_items_keep_their_numbers(world):
    world.import_penalties([1])
    names = dict(world.services.records._item_names)
    del world.items["penalty:2018"]
    world.restart()
    assert world.services.records._item_names == names
    assert world.lines()[0].item == "penalty:2018"


def test_modes(world):
    state = world.services.state
    assert state()["mode"] == "waiting-for-chain"
    world.join()
    assert state()["mode"] == "ready"
    world.services.condition.chain = Unavailable("chain-away", "no answer")
    assert (state()["mode"], state()["code"]) == ("waiting-for-chain", "chain-away")
    world.services.condition.chain = None
    world.services.condition.last_error = Unavailable("store-disk-full", "disk is full")
    assert (state()["mode"], state()["code"]) == ("waiting-for-chain", "store-disk-full")
    world.services.sequencer.set_read_only(Conflict("log-behind", "fewer entries"))
    assert (state()["mode"], state()["code"]) == ("read-only", "log-behind")
    world.services.sequencer.halt(Fatal("commit-failed", "commit failed"))
    assert (state()["mode"], state()["code"]) == ("stopped", "commit-failed")


def test_the_age_of_the_last_anchor_is_shown(world):
    world.join()
    assert world.services.state()["unanchored_seconds"] is None
    world.anchor()
    assert world.services.state()["unanchored_seconds"] == 0
    world.clock.advance(seconds=777)
    assert world.services.state()["unanchored_seconds"] == 777


def test_a_node_describes_itself(world):
    world.import_penalties(range(2))
    world.join()
    world.anchor()
    described = world.services.describe()
    assert described["member"] == world.identity.member
    assert described["items"] == ["penalty:2018", "permit:2018"]
    assert [
        (log["kind"], log["size"], log["published"], log["anchored"], log["anchors"])
        for log in described["logs"]
    ] == [("records", 3, 3, 3, 1), ("access", 16, 16, 16, 1)]
    assert all(vkey.startswith(log["origin"] + "+") for log in described["logs"] for vkey in log["vkeys"])
    assert repr(world.keys) == "Keys(…)"
