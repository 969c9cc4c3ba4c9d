# SPDX-License-Identifier: Apache-2.0
"""What the log engine costs, counted instead of timed: keys a commit writes, hashes and calls an entry takes, tiles a
proof reads and nodes it hashes, reads that a start needs, however long the log is.
"""

from __future__ import annotations

from collections import Counter

import pytest

from node.log.checkpoint import build_origin
from node.log.head import Head
from node.log.merkle import verify_consistency, verify_inclusion
from node.log.nodes import INNER_HEIGHT, INNER_WIDTH
from node.log.tree import TILE_HEIGHT, TILE_WIDTH, TileCache, build_consistency_proof, build_inclusion_path
from node.service import layout
from node.service.assembly import LOG_NUMBERS
from node.service.layout import LogKind
from node.service.sequencer import load_tail
from node.service.tiles import StoredTiles
from node.service.transaction import Transaction
from node.storage.memory import MemoryStore
from tests.support.calls import calls_of
from tests.support.node_world import DOMAIN, FaultyHeads, FaultyStore, NodeWorld
from tests.support.rows import ISSUER
from tests.support.uniform_tree import LEAF, uniform_root

ENTRIES = 1_000
TILES = ENTRIES // TILE_WIDTH + 1
SIZES = (300, 70_000, 10**7 + 12_345, 10**9 - 1)
TILE_KEY_HEAD = layout.tile_key(LogKind.RECORDS, 0, 0)[:2]
INNER_KEY_HEAD = layout.inner_key(LogKind.RECORDS, 0, 0)[:2]


class HugeStore(FaultyStore):
    """A store whose records log holds any number of entries, all the same. Counts what is read of it."""

    def __init__(self, size):
        super().__init__()
        self.size = size
        self.reads = Counter()

    def get(self, key):
        self.reads["get"] += 1
        if key == layout.size_key(LogKind.RECORDS):
            return layout.u64(self.size)
        if key.startswith(TILE_KEY_HEAD):
            self.reads["tile"] += 1
            level, index = key[2], layout.parse_u64(key[3:])
            whole = self.size >> TILE_HEIGHT * level
            width = max(0, min(TILE_WIDTH, whole - index * TILE_WIDTH))
            return uniform_root(1 << TILE_HEIGHT * level) * width
        if key.startswith(INNER_KEY_HEAD):
            self.reads["inner"] += 1
            level = key[2]
            return uniform_root(1 << TILE_HEIGHT * level + INNER_HEIGHT) * INNER_WIDTH
        return super().get(key)

    def scan(self, *arguments, **options):
        self.reads["scan"] += 1
        return super().scan(*arguments, **options)

    def read(self, *arguments):
        self.reads["read"] += 1
        return super().read(*arguments)


def levels_of(size):
    return -(-size.bit_length() // TILE_HEIGHT)


@pytest.mark.parametrize("size", SIZES)
def test_tiles_that_a_proof_reads(size):
    store = HugeStore(size)
    tiles = StoredTiles(store, LogKind.RECORDS)
    for place in (0, size // 3, size - 1):
        store.reads.clear()
        path = build_inclusion_path(tiles.cached(), place, size)
        verify_inclusion(place, size, LEAF, path, uniform_root(size))
        # One tile of each level on the way up, one of each on the right edge.
        assert store.reads["tile"] <= 2 * levels_of(size)
        assert store.reads["inner"] <= levels_of(size)
        store.reads.clear()
        proof = build_consistency_proof(tiles.cached(), place + 1, size)
        verify_consistency(place + 1, size, uniform_root(place + 1), uniform_root(size), proof)
        assert store.reads["tile"] <= 2 * levels_of(size)
        assert store.reads["inner"] <= levels_of(size)


def test_nodes_that_a_proof_hashes():
    """Of a tile that nobody read before: what is above its stored inner nodes, and one group of its leaves."""
    size = 10**7 + 12_345
    cache = StoredTiles(HugeStore(size), LogKind.RECORDS).cached()
    build_inclusion_path(cache, 5, size)
    build_consistency_proof(cache, 6, size)
    group = INNER_WIDTH - 1
    for number in range(1, 40):
        place = number * TILE_WIDTH + 3
        # Each sixteenth tile is the first of its group in the tile above.
        hashes = 2 * group if number % INNER_WIDTH else 3 * group
        assert hashes_of(lambda at=place: build_inclusion_path(cache, at, size)) == hashes
        # Another group of the same tile.
        assert hashes_of(lambda at=place: build_consistency_proof(cache, at + 100, size)) == group
    # As many as before where an older release stored the tile, and one group's twice.
    cache = TileCache(StoredTiles(HugeStore(size), LogKind.RECORDS))
    build_inclusion_path(cache, 5, size)
    assert hashes_of(lambda: build_inclusion_path(cache, TILE_WIDTH + 5, size)) == TILE_WIDTH - 1 + group


def hashes_of(call):
    """Count calls of SHA-256."""
    return calls_of(call)["openssl_sha256"]


def test_a_second_proof_reads_its_own_leaves_at_most():
    size = 10**7
    store = HugeStore(size)
    cache = StoredTiles(store, LogKind.RECORDS).cached()
    build_inclusion_path(cache, 5, size)
    store.reads.clear()
    build_inclusion_path(cache, 6, size)
    assert store.reads["tile"] == 0
    build_inclusion_path(cache, 6 + TILE_WIDTH, size)
    assert store.reads["tile"] == 1


def reads_at_start(size):
    store, heads = HugeStore(size), FaultyHeads()
    origin = build_origin(DOMAIN, ISSUER, LogKind.RECORDS.text, LOG_NUMBERS[LogKind.RECORDS])
    heads.replace(Head(origin, size, uniform_root(size)))
    with NodeWorld(store=store, heads=heads) as world:
        assert world.services.sequencer.root(LogKind.RECORDS) == (size, uniform_root(size))
        assert world.services.sequencer.read_only is None
        return store.reads


def test_a_start_reads_the_right_edge_of_the_tree_and_nothing_else_of_the_log():
    small = reads_at_start(SIZES[0])
    for size in SIZES[1:]:
        reads = reads_at_start(size)
        # The writer loads the edge, the head file is compared with it.
        assert reads["tile"] <= 2 * levels_of(size)
        assert reads["get"] - reads["tile"] == small["get"] - small["tile"]
        assert (reads["scan"], reads["read"]) == (small["scan"], small["read"])


@pytest.fixture(scope="module")
def grown():
    """A thousand entries of a thousand operations, and the calls that they took: C functions by name, ours as one."""
    store = MemoryStore()
    tails = {log: load_tail(store, log, 0) for log in LogKind}
    entry = bytes(700)
    batches = []

    def commit():
        transaction = Transaction(store, tails)
        for _ in range(ENTRIES):
            transaction.append(LogKind.ACCESS, entry)
        batches.append(transaction.seal()[0])

    counts = calls_of(commit)
    return batches[0], counts


def test_keys_that_a_commit_of_entries_writes(grown):
    batch, _ = grown
    # Tiles of the leaves, inner nodes beside all of them but the last, the tile above them, one block of rows, the size.
    assert len(batch.changes) == TILES + TILES - 1 + 1 + 2
    inner = [value for key, value in batch.changes if key[:1] == INNER_KEY_HEAD[:1]]
    # Two bytes an entry.
    assert sum(map(len, inner)) == 2 * TILE_WIDTH * len(inner)
    assert not batch.secret_changes
    # No values were given, so their stream is not touched and not synced.
    assert list(batch.appends) == ["access.0/entries"]
    assert sum(map(len, batch.appends["access.0/entries"])) == ENTRIES * 702


def test_hashes_and_calls_of_an_entry(grown):
    _, counts = grown
    # Leaves in one call, then each row of nodes below the inner nodes; one by one what is above them and at the edge.
    alone = counts["openssl_sha256"]
    assert counts["digest"] - alone <= 2 * (1 + INNER_HEIGHT)
    assert alone <= 60
    assert counts["pack"] <= 2 * ENTRIES + TILES + 10
    assert counts["python"] <= ENTRIES + 200
