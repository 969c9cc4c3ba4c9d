# SPDX-License-Identifier: Apache-2.0
"""The nodes of one tile: from all of its hashes, and from its stored inner nodes and one group of hashes."""

from __future__ import annotations

import pytest

from node.errors import Fatal
from node.log.nodes import INNER_BYTES, INNER_HEIGHT, TileNodes, inner_of
from tests.support.trees import naive_path, naive_root, numbered_leaf

LEAVES = [numbered_leaf(number) for number in range(256)]
DATA = b"".join(LEAVES)
INNER = b"".join(naive_root(LEAVES[start : start + 16]) for start in range(0, 256, 16))


def flipped(data, place, bit=0):
    damaged = bytearray(data)
    damaged[place] ^= 1 << bit
    return bytes(damaged)


def test_inner_nodes_are_the_roots_of_complete_groups():
    assert inner_of(DATA) == INNER
    assert inner_of(DATA[: 32 * 47]) == INNER[: 32 * 2]
    assert inner_of(DATA[: 32 * 15]) == b""
    assert inner_of(INNER) == naive_root(LEAVES)


@pytest.mark.parametrize("width", [256, 255, 33, 16, 5, 1])
def test_every_node_of_a_tile(width):
    nodes = TileNodes(0, 0, DATA[: 32 * width], INNER[: width // 16 * 32])
    for height in range(9):
        for offset in range(width >> height):
            below = LEAVES[offset << height : (offset + 1) << height]
            assert nodes.node(height, offset) == naive_root(below)


@pytest.mark.parametrize("rise", range(9))
def test_siblings_up_to_every_height(rise):
    nodes = TileNodes(0, 0, DATA, INNER)
    for offset in (0, 1, 15, 16, 100, 129, 255):
        first = offset >> rise << rise
        assert nodes.siblings(offset, rise) == naive_path(offset - first, LEAVES[first : first + (1 << rise)])


@pytest.mark.parametrize("height", range(INNER_HEIGHT))
def test_a_flipped_hash_is_found_in_its_group_and_leaves_the_others_alone(height):
    nodes = TileNodes(0, 7, flipped(DATA, 32 * 100 + 3), INNER)
    with pytest.raises(Fatal, match=r"tile \(0, 7\) has at 6 "):
        nodes.node(height, 96 >> height)
    with pytest.raises(Fatal, match=r"tile \(0, 7\)"):
        nodes.siblings(97, 8)
    assert nodes.siblings(112, 8) == naive_path(112, LEAVES)


def test_a_flipped_inner_node_is_found_by_its_own_group():
    nodes = TileNodes(0, 7, DATA, flipped(INNER, 32 * 6 + 31))
    with pytest.raises(Fatal, match=r"tile \(0, 7\) has at 6 "):
        nodes.siblings(96, 1)


def test_a_full_tile_has_sixteen_inner_nodes():
    assert len(INNER) == INNER_BYTES == 512
