# SPDX-License-Identifier: Apache-2.0
"""With the wrapping key a check finds every flipped bit in what is sealed, and shows nothing of it."""

import os

import msgpack
import pytest

from node.service.fsck.seals import SealCheck
from node.service.keeping import LocalKeeper
from node.service.layout import history_key, secret_key
from tests.support.node_world import WHY, NodeWorld


@pytest.fixture
def world():
    with NodeWorld() as world:
        world.join()
        world.import_penalties(range(4))
        world.anchor()
        world.services.records.show(world.leaf(), WHY)
        yield world


def check(world, key=None):
    seals = SealCheck(LocalKeeper(key, os.urandom) if key else world.keeper)
    found = [finding for reader in world.services.readers.values() for finding in seals.run(reader)]
    return seals.count, [(finding.code, finding.place) for finding in found]


def test_everything_sealed_opens(world):
    assert check(world) == (5, [])


@pytest.mark.parametrize("place", [0, 3])
def test_a_flipped_bit_in_sealed_values_is_named(world, place):
    row = world.records.row(place)
    world.store.damage_stream("records.0/values", row.values_offset + row.values_length - 1)
    assert world.check() == [], "without a key nobody can tell"
    assert check(world)[1] == [("values-seal", f"records entry {place}")]


def test_a_flipped_bit_in_a_sealed_look_is_named(world):
    (index, row), *_ = [pair for pair in world.access.rows(0, world.access.size()) if pair[1].values_length]
    world.store.damage_stream("access.0/values", row.values_offset)
    assert check(world)[1] == [("values-seal", f"access entry {index}")]


def test_a_flipped_bit_in_a_wrapped_secret_is_named(world):
    key = secret_key(world.records.kind, 2)
    wrapped = world.store.get_secret(key)
    world.store.damage_secret(key, wrapped[:-1] + bytes((wrapped[-1] ^ 1,)))
    assert check(world)[1] == [("wrap-tag", "records entry 2")]


def test_a_flipped_bit_in_a_sealed_ground_is_named(world):
    world.services.records.withdraw(world.leaf(1), officer="wang", ground="撤销")
    assert check(world) == (5, [])
    [[status, at_ms, sealed]] = msgpack.unpackb(world.store.get(history_key(1)))
    damaged = sealed[:-1] + bytes((sealed[-1] ^ 1,))
    world.store.damage(history_key(1), msgpack.packb([[status, at_ms, damaged]]))
    assert world.check() == [], "without a key nobody can tell"
    assert check(world)[1] == [("ground-seal", "records entry 1")]


def test_with_another_key_nothing_opens(world):
    count, found = check(world, bytes(32))
    assert count == len(found) == 5
