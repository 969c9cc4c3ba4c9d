# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import threading

import pytest

from node.errors import Fatal, InvalidInput
from node.log.merkle import EMPTY_ROOT, verify_consistency, verify_inclusion
from node.log.tree import (
    TileCache,
    TreeWriter,
    build_consistency_proof,
    build_inclusion_path,
    recompute_root,
    root_at,
)
from tests.support.trees import MemoryTiles, grow, naive_root, numbered_leaf

DEEP = 256 * 256 + 256 + 3
"""Three levels of tiles, partial on the two lowest."""


@pytest.fixture(scope="module")
def deep():
    return grow(DEEP, batch=10_000)


def _leaves(start, stop):
    return b"".join(numbered_leaf(number) for number in range(start, stop))


def test_an_empty_tree_has_the_empty_root():
    assert TreeWriter().root() == EMPTY_ROOT
    assert root_at(MemoryTiles(), 0) == EMPTY_ROOT
    assert TreeWriter.load(MemoryTiles(), 0).root() == EMPTY_ROOT
    assert TreeWriter().extend(b"") == []


def test_each_touched_tile_is_written_once_with_its_final_content():
    writer = TreeWriter()
    writer.extend(_leaves(0, 250))
    writes = writer.extend(_leaves(250, 600))
    assert [(write.level, write.index, len(write.data) // 32) for write in writes] == [
        (0, 0, 256),
        (0, 1, 256),
        (0, 2, 88),
        (1, 0, 2),
    ]
    assert writes[0].data == _leaves(0, 256)
    assert [len(write.inner) for write in writes] == [512, 512, 0, 0]
    for write in writes[:2]:
        groups = [range(start, start + 16) for start in range(256 * write.index, 256 * write.index + 256, 16)]
        assert write.inner == b"".join(naive_root([numbered_leaf(n) for n in group]) for group in groups)
    assert writes[3].data == b"".join(
        naive_root([numbered_leaf(number) for number in range(start, start + 256)]) for start in (0, 256)
    )


def test_a_tile_that_becomes_exactly_full_leaves_no_empty_tile():
    writer = TreeWriter()
    writer.extend(_leaves(0, 255))
    writes = writer.extend(_leaves(255, 256))
    assert [(write.level, write.index, len(write.data) // 32) for write in writes] == [(0, 0, 256), (1, 0, 1)]


def test_batches_do_not_change_the_tree(deep):
    writer, tiles = deep
    alone, alone_tiles = grow(DEEP)
    assert alone.root() == writer.root()
    assert alone_tiles.tiles == tiles.tiles
    assert alone_tiles.inner == tiles.inner
    assert set(tiles.inner) == {key for key, data in tiles.tiles.items() if len(data) == 256 * 32}
    assert sorted(level for level, _ in tiles.tiles if level) == [1, 1, 2]


def test_a_loaded_tree_goes_on_like_the_one_that_was_stored(deep):
    writer, tiles = deep
    loaded = TreeWriter.load(tiles, DEEP)
    assert (loaded.size, loaded.root()) == (DEEP, writer.root())
    more = _leaves(DEEP, DEEP + 300)
    ours = writer.copy()
    assert loaded.extend(more) == ours.extend(more)
    assert loaded.root() == ours.root()


def test_an_older_size_loads_from_wider_tiles(deep):
    _, tiles = deep
    older = TreeWriter.load(tiles, 65_700)
    assert older.root() == grow(65_700)[0].root() == root_at(tiles, 65_700)


def test_a_copy_leaves_its_original_alone():
    writer, _ = grow(300)
    root = writer.root()
    copy = writer.copy()
    copy.extend(_leaves(300, 900))
    assert (writer.size, writer.root()) == (300, root)
    assert copy.root() == grow(900)[0].root()


def test_leaf_hashes_of_another_length_change_nothing():
    writer, _ = grow(5)
    root = writer.root()
    with pytest.raises(InvalidInput):
        writer.extend(bytes(33))
    assert (writer.size, writer.root()) == (5, root)


@pytest.mark.parametrize("size", [1, 2, 255, 256, 257, 65_535, 65_536, 65_537, DEEP])
@pytest.mark.parametrize("stored", [True, False])
def test_proofs_at_tile_borders_verify(deep, size, stored):
    _, tiles = deep
    cache = TileCache(tiles, tiles.read_inner) if stored else TileCache(tiles)
    root = root_at(cache, size)
    for index in {0, size // 2, size - 1, min(255, size - 1), min(256, size - 1)}:
        verify_inclusion(index, size, numbered_leaf(index), build_inclusion_path(cache, index, size), root)
    for old_size in {1, 255, 256, 257, size // 2, size - 1, size} & set(range(1, size + 1)):
        proof = build_consistency_proof(cache, old_size, size)
        verify_consistency(old_size, size, root_at(cache, old_size), root, proof)


def test_every_tree_continues_the_empty_one():
    _, tiles = grow(10)
    assert build_consistency_proof(tiles, 0, 10) == build_consistency_proof(tiles, 0, 0) == []


def test_proofs_outside_the_tree_are_refused():
    _, tiles = grow(10)
    for index, size in ((10, 10), (-1, 10), (0, 0)):
        with pytest.raises(InvalidInput):
            build_inclusion_path(tiles, index, size)
    with pytest.raises(InvalidInput):
        build_consistency_proof(tiles, 11, 10)


def test_a_proof_reads_few_tiles_and_upper_ones_once(deep):
    _, tiles = deep
    cache = TileCache(tiles)
    build_inclusion_path(cache, 0, DEEP)
    tiles.reads = 0
    build_inclusion_path(cache, 40_000, DEEP)
    assert tiles.reads == 1
    build_inclusion_path(cache, 40_001, DEEP)
    assert tiles.reads == 1


def test_a_cache_sees_the_log_grow():
    writer, tiles = grow(100)
    cache = TileCache(tiles)
    assert root_at(cache, 100) == writer.root()
    tiles.apply(writer.extend(_leaves(100, 400)))
    assert root_at(cache, 400) == writer.root()
    verify_inclusion(399, 400, numbered_leaf(399), build_inclusion_path(cache, 399, 400), writer.root())
    assert cache.read_tile(0, 0) == _leaves(0, 256)


def test_a_cache_keeps_what_it_knows_of_a_tile_that_grows():
    writer, tiles = grow(40)
    cache = TileCache(tiles, tiles.read_inner)
    assert root_at(cache, 40) == writer.root()
    tiles.corrupt(0, 0, 3)
    tiles.apply(writer.extend(_leaves(40, 100)))
    assert root_at(cache, 100) == writer.root() == grow(100)[0].root()
    # What no longer holds what it held is not mixed with what is known of it.
    tiles.corrupt(0, 0, 3)
    tiles.tiles[0, 0] += _leaves(100, 101)
    damaged = TileCache(tiles)
    assert root_at(cache, 101) == root_at(damaged, 101) != grow(101)[0].root()


def test_inner_nodes_are_taken_for_what_the_tile_above_says(deep):
    _, tiles = deep
    tiles = tiles.copy()
    tiles.corrupt_inner(0, 7, 3)
    for index in (7 * 256, 7 * 256 + 255):
        with pytest.raises(Fatal, match=r"tile \(0, 7\) .* inner nodes") as caught:
            build_inclusion_path(TileCache(tiles, tiles.read_inner), index, DEEP)
        assert caught.value.code == "log-tile-corrupt"
    tiles.inner[0, 7] = tiles.inner[0, 7][:-32]
    with pytest.raises(Fatal, match=r"tile \(0, 7\)"):
        root_at(TileCache(tiles, tiles.read_inner), 7 * 256 + 3)


def test_a_tile_of_before_without_inner_nodes_is_computed(deep):
    writer, tiles = deep
    tiles = tiles.copy()
    del tiles.inner[0, 7], tiles.inner[1, 0]
    cache = TileCache(tiles, tiles.read_inner)
    path = build_inclusion_path(cache, 7 * 256 + 9, DEEP)
    verify_inclusion(7 * 256 + 9, DEEP, numbered_leaf(7 * 256 + 9), path, writer.root())
    assert recompute_root(cache, 0, DEEP) == writer.root()


@pytest.mark.parametrize("tile", [(0, 0), (0, 256), (1, 0)])
def test_recomputing_finds_other_inner_nodes(deep, tile):
    writer, tiles = deep
    tiles = tiles.copy()
    tiles.corrupt_inner(*tile, 15)
    with pytest.raises(Fatal, match="inner nodes") as caught:
        recompute_root(TileCache(tiles, tiles.read_inner), 0, DEEP)
    assert caught.value.code == "log-tile-corrupt"
    assert str(tile) in caught.value.message
    # A reader that has none is asked for none.
    assert recompute_root(tiles, 0, DEEP) == writer.root()


def test_a_cache_keeps_within_its_bounds(deep):
    writer, tiles = deep
    cache = TileCache(tiles, tiles.read_inner, upper_tiles=1, leaf_tiles=2)
    for index in range(0, DEEP, 997):
        verify_inclusion(
            index, DEEP, numbered_leaf(index), build_inclusion_path(cache, index, DEEP), writer.root()
        )
    assert len(cache._upper._kept) == 1
    assert len(cache._leaves._kept) == 2


def test_a_cache_serves_several_threads(deep):
    writer, tiles = deep
    cache = TileCache(tiles, tiles.read_inner, upper_tiles=1, leaf_tiles=2)
    failures = []

    def prove(first):
        try:
            for index in range(first, DEEP, 1_003):
                path = build_inclusion_path(cache, index, DEEP)
                verify_inclusion(index, DEEP, numbered_leaf(index), path, writer.root())
        except Exception as error:  # noqa: BLE001 - a thread's failure is carried to the assertion below
            failures.append(error)

    threads = [threading.Thread(target=prove, args=(first,)) for first in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


def test_a_missing_or_cut_tile_is_fatal():
    _, tiles = grow(600)
    tiles.tiles[0, 2] = tiles.tiles[0, 2][:-32]
    for call in (
        lambda: TreeWriter.load(tiles, 600),
        lambda: root_at(tiles, 600),
        lambda: recompute_root(tiles, 0, 600),
        lambda: build_inclusion_path(tiles, 599, 600),
    ):
        with pytest.raises(Fatal, match=r"tile \(0, 2\)") as caught:
            call()
        assert caught.value.code == "log-tile-missing"
    assert root_at(tiles, 599) == grow(599)[0].root()


@pytest.mark.parametrize("verified_size", [0, 1, 255, 256, 65_535, 65_536, 65_537, 65_792, DEEP - 1, DEEP])
def test_recomputing_from_any_verified_size_gives_the_root(deep, verified_size):
    writer, tiles = deep
    root = root_at(tiles, verified_size)
    assert recompute_root(tiles, verified_size, DEEP, verified_root=root) == writer.root()


def test_recomputing_an_older_size_takes_wider_tiles(deep):
    _, tiles = deep
    assert recompute_root(tiles, 1_000, 65_700) == grow(65_700)[0].root()


@pytest.mark.parametrize(
    ("tile", "place", "named"),
    [((0, 7), 3, "(1, 0) holds at 7"), ((1, 0), 7, "(1, 0) holds at 7"), ((2, 0), 0, "(2, 0) holds at 0")],
)
def test_recomputing_names_the_tile_that_disagrees(tile, place, named):
    _, tiles = grow(DEEP)
    tiles.corrupt(*tile, place)
    with pytest.raises(Fatal) as caught:
        recompute_root(tiles, 0, DEEP)
    assert caught.value.code == "log-tile-corrupt"
    assert named in caught.value.message


def test_recomputing_finds_damage_below_the_verified_size():
    writer, tiles = grow(700)
    root, older = writer.root(), root_at(tiles, 600)
    tiles.corrupt(0, 2, 1)
    assert recompute_root(tiles, 600, 700) != root
    with pytest.raises(Fatal, match="size 600"):
        recompute_root(tiles, 600, 700, verified_root=older)


def test_a_flip_in_the_last_partial_tile_changes_the_recomputed_root():
    writer, tiles = grow(700)
    tiles.corrupt(0, 2, 180)
    assert recompute_root(tiles, 600, 700) != writer.root()
