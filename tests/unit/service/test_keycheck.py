# SPDX-License-Identifier: Apache-2.0
"""A node that finds other keys than its store was written with does not start, and writes nothing."""

import os
from dataclasses import replace

import msgpack
import pytest

from node.errors import Conflict
from node.service import layout
from node.service.keeping import LocalKeeper
from node.service.layout import LogKind
from tests.support.errors import raises_code
from tests.support.node_world import NodeWorld, build_keys

OTHER = build_keys("11520100000000019P"[::-1])
OTHER_KEEPER = LocalKeeper(bytes(32), os.urandom)


@pytest.fixture
def world():
    with NodeWorld() as world:
        world.join()
        world.import_penalties(range(3))
        yield world


def refused(world, code, **changes):
    right, keeper = world.keys, world.keeper
    world.keeper = changes.pop("keeper", keeper)
    world.keys = replace(right, **changes)
    before = list(world.store.scan(b"", None))
    try:
        with raises_code(Conflict, code) as caught:
            world.restart()
    finally:
        world.keys, world.keeper = right, keeper
    assert list(world.store.scan(b"", None)) == before
    world.start()
    world.anchor()
    assert world.check() == []
    return caught.value.message


def test_wrapping_key_of_another_node(world):
    assert "wrapping.json" in refused(world, "keys-of-another-store", keeper=OTHER_KEEPER)


def test_index_key_of_another_node(world):
    assert "index.json" in refused(world, "keys-of-another-store", index=OTHER.index)


@pytest.mark.parametrize("log", LogKind)
def test_log_keys_of_another_node(world, log):
    message = refused(world, "log-keys-differ", logs=world.keys.logs | {log: OTHER.logs[log]})
    assert log.text in message


def test_nothing_is_taken_over_or_numbered_with_foreign_keys(world):
    """A succession has begun and entries wait to be logged again; a catalogue item is new: a start would write both."""
    world.store.damage(layout.taking_over_key(LogKind.RECORDS), msgpack.packb([0, 0, 3]))
    numbers = list(world.store.scan(b"v", layout.stop_of(b"v")))
    world.store.damage(numbers[-1][0], None)
    before = list(world.store.scan(b"", None))
    world.keeper = OTHER_KEEPER
    with raises_code(Conflict, "keys-of-another-store"):
        world.restart()
    assert list(world.store.scan(b"", None)) == before


def test_a_store_from_before_the_check_takes_the_keys_that_it_meets_first(world):
    world.store.damage(b"K", None)
    world.restart()
    assert len(world.store.get(b"K")) == 32
