# SPDX-License-Identifier: Apache-2.0
"""The tile tree against the recursion of RFC 6962, at any size, in any batches."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.errors import Fatal, Verification
from node.log.merkle import verify_consistency, verify_inclusion
from node.log.tree import (
    TileCache,
    TreeWriter,
    build_consistency_proof,
    build_inclusion_path,
    recompute_root,
    root_at,
)
from tests.support.trees import MemoryTiles, grow, naive_consistency, naive_path, naive_root, numbered_leaf

MOST = 1_200
LEAVES = [numbered_leaf(number) for number in range(MOST)]
_, STORED = grow(MOST)
CACHE = TileCache(STORED, STORED.read_inner, upper_tiles=1, leaf_tiles=1)
COMPUTED = TileCache(STORED, upper_tiles=1, leaf_tiles=1)
"""The same tree without its stored inner nodes."""

sizes = st.integers(1, MOST)
pairs = st.tuples(sizes, sizes).map(sorted)


@given(st.lists(st.integers(0, 300), max_size=6))
def test_any_batches_give_the_tree_of_the_recursion(batches):
    writer, tiles, size = TreeWriter(), MemoryTiles(), 0
    for count in batches:
        leaves = [numbered_leaf(number) for number in range(size, size + count)]
        writes = writer.extend(b"".join(leaves))
        assert len({(write.level, write.index) for write in writes}) == len(writes)
        tiles.apply(writes)
        old_size, old_root, size = size, root_at(tiles, size), size + count
        root = naive_root([numbered_leaf(number) for number in range(size)])
        assert writer.root() == root_at(tiles, size) == TreeWriter.load(tiles, size).root() == root
        cache = TileCache(tiles, tiles.read_inner)
        assert root_at(cache, size) == root
        assert recompute_root(cache, old_size, size, verified_root=old_root) == root


@given(pairs)
def test_inclusion_paths_of_any_older_size(pair):
    index, size = pair[0] - 1, pair[1]
    path = build_inclusion_path(CACHE, index, size)
    assert path == build_inclusion_path(COMPUTED, index, size) == naive_path(index, LEAVES[:size])
    verify_inclusion(index, size, LEAVES[index], path, naive_root(LEAVES[:size]))


@given(pairs)
def test_consistency_proofs_between_any_two_sizes(pair):
    old_size, new_size = pair
    proof = build_consistency_proof(CACHE, old_size, new_size)
    assert proof == build_consistency_proof(COMPUTED, old_size, new_size)
    assert proof == naive_consistency(old_size, LEAVES[:new_size])
    verify_consistency(
        old_size, new_size, naive_root(LEAVES[:old_size]), naive_root(LEAVES[:new_size]), proof
    )


@given(pairs, st.data())
def test_any_changed_bit_breaks_a_path(pair, data):
    index, size = pair[0] - 1, pair[1]
    path = build_inclusion_path(CACHE, index, size)
    parts = [LEAVES[index], root_at(CACHE, size), *path]
    which = data.draw(st.integers(0, len(parts) - 1))
    bit = data.draw(st.integers(0, 255))
    parts[which] = (int.from_bytes(parts[which], "big") ^ 1 << bit).to_bytes(32, "big")
    with pytest.raises(Verification):
        verify_inclusion(index, size, parts[0], parts[2:], parts[1])


@given(pairs, st.data())
def test_any_changed_bit_breaks_a_consistency_proof(pair, data):
    old_size, new_size = pair
    proof = build_consistency_proof(CACHE, old_size, new_size)
    parts = [root_at(CACHE, old_size), root_at(CACHE, new_size), *proof]
    which = data.draw(st.integers(0, len(parts) - 1))
    bit = data.draw(st.integers(0, 255))
    parts[which] = (int.from_bytes(parts[which], "big") ^ 1 << bit).to_bytes(32, "big")
    with pytest.raises(Verification):
        verify_consistency(old_size, new_size, parts[0], parts[1], parts[2:])


@given(pairs, st.integers(0, MOST - 1))
def test_a_path_holds_for_one_index_of_its_tree_only(pair, other):
    index, size = pair[0] - 1, pair[1]
    path = build_inclusion_path(CACHE, index, size)
    if other != index:
        with pytest.raises(Verification):
            verify_inclusion(other, size, LEAVES[index], path, root_at(CACHE, size))


@given(st.integers(0, MOST // 256 - 1), st.integers(0, 255), st.integers(0, MOST))
def test_one_flipped_bit_in_a_full_tile_is_found(tile, place, verified_size):
    tiles = STORED.copy()
    tiles.corrupt(0, tile, place)
    touched = verified_size < (tile + 1) * 256
    try:
        found = recompute_root(tiles, verified_size, MOST) != root_at(STORED, MOST)
    except Fatal as error:
        found = error.code == "log-tile-corrupt"
    assert found is touched


@given(pairs, st.integers(0, MOST // 256 - 1), st.integers(0, 255), st.booleans())
def test_a_flipped_bit_in_a_full_tile_or_its_inner_nodes_gives_no_wrong_proof(pair, tile, place, inner):
    tiles = STORED.copy()
    if inner:
        tiles.corrupt_inner(0, tile, place % 16)
    else:
        tiles.corrupt(0, tile, place)
    low, high = pair
    for build, naive in (
        (
            lambda cache: build_inclusion_path(cache, low - 1, high),
            lambda: naive_path(low - 1, LEAVES[:high]),
        ),
        (
            lambda cache: build_consistency_proof(cache, low, high),
            lambda: naive_consistency(low, LEAVES[:high]),
        ),
        (lambda cache: root_at(cache, low), lambda: naive_root(LEAVES[:low])),
    ):
        with suppress(Fatal):
            assert build(TileCache(tiles, tiles.read_inner)) == naive()
    if inner:
        with pytest.raises(Fatal):
            recompute_root(TileCache(tiles, tiles.read_inner), 0, MOST)
