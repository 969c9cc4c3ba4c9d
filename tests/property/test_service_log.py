# SPDX-License-Identifier: Apache-2.0
"""Whatever groups entries came in, the log reads, serves and proves as a plain list of them would."""

from __future__ import annotations

from contextlib import contextmanager
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from node.core.types import EntryIndex
from node.errors import InvalidInput, NotFound
from node.log.checkpoint import build_origin
from node.log.merkle import leaf_hash, root_of, verify_consistency, verify_inclusion
from node.log.tiles import encode_bundle, tile_width
from node.log.tree import recompute_root, root_at
from node.service.assembly import LOG_NUMBERS, open_readers
from node.service.layout import NO_LIST, LogKind, Row
from node.service.sequencer import Sequencer
from tests.support.errors import raises_code
from tests.support.node_world import DOMAIN, FaultyHeads, FaultyStore
from tests.support.rows import ISSUER

ORIGINS = {log: build_origin(DOMAIN, ISSUER, log.text, 0) for log in LogKind}
LOGS = st.sampled_from(LogKind)


@st.composite
def entries(draw):
    """One entry with what its row says."""
    return {
        "entry": draw(st.binary(min_size=1, max_size=40)),
        "key": draw(st.binary(min_size=16, max_size=16)),
        "values": draw(st.binary(max_size=30)),
        "status": draw(st.just((NO_LIST, 0)) | st.tuples(st.integers(0, 2**32 - 2), st.integers(0, 131_071))),
        "kind": draw(st.integers(0, 2**16 - 1)),
        "disclosure": draw(st.integers(0, 3)),
    }


# Groups of the sizes that matter: single looks, chunks, and one that ends a tile.
GROUPS = st.lists(
    st.tuples(LOGS, st.lists(entries(), min_size=1, max_size=4), st.sampled_from([1, 1, 1, 63, 128, 256])),
    min_size=1,
    max_size=8,
)


@contextmanager
def filled(groups):
    """A store filled group by group, its readers, and the entries as a list for each log."""
    store = FaultyStore()
    sequencer = Sequencer(store, FaultyHeads(), ORIGINS, LOG_NUMBERS)
    naive = {log: [] for log in LogKind}
    for log, some, times in groups:
        group = [entry | {"entry": b"%d/" % n + entry["entry"]} for n in range(times) for entry in some]

        def append(transaction, log=log, group=group):
            return [transaction.append(log, **entry) for entry in group]

        first = len(naive[log])
        assert sequencer.run(append) == list(range(first, first + len(group)))
        naive[log].extend(group)
    try:
        yield store, open_readers(store, DOMAIN, ISSUER), naive, sequencer
    finally:
        sequencer.close()


@given(GROUPS, st.data())
@settings(max_examples=25)
def test_rows_entries_and_values_are_those_of_the_list(groups, data):
    with filled(groups) as (store, readers, naive, _):
        for log, reader in readers.items():
            expected = naive[log]
            assert reader.size() == len(expected)
            start = data.draw(st.integers(0, len(expected)))
            stop = data.draw(st.integers(start, len(expected)))
            rows = list(reader.rows(start, stop))
            assert [index for index, _ in rows] == list(range(start, stop))
            for index, row in rows:
                entry = expected[index]
                assert reader.entry(row) == entry["entry"]
                assert reader.values(row) == entry["values"]
                assert (row.key, row.kind, row.disclosure) == (
                    entry["key"],
                    entry["kind"],
                    entry["disclosure"],
                )
                assert (row.status_list, row.status_index) == entry["status"]
                assert reader.row(index) == row
            assert_streams_are_dense(store, reader, [row for _, row in reader.rows(0, len(expected))])
            for index in (-1, len(expected)):
                with raises_code(NotFound, "entry-unknown"):
                    reader.row(index)


def assert_streams_are_dense(store, reader, rows: list[Row]):
    """Entries lie back to back behind their lengths, values back to back."""
    for before, after in pairwise(rows):
        assert after.entry_offset == before.entry_offset + before.entry_length + 2
        assert after.values_offset == before.values_offset + before.values_length
    if rows:
        last = rows[-1]
        assert rows[0].entry_offset == 2
        assert store.length(f"{reader.kind.text}.0/entries") == last.entry_offset + last.entry_length
        assert store.length(f"{reader.kind.text}.0/values") == last.values_offset + last.values_length


@given(GROUPS, st.data())
@settings(max_examples=25)
def test_bundles_tiles_and_proofs_are_those_of_the_list(groups, data):
    with filled(groups) as (_, readers, naive, sequencer):
        log = data.draw(st.sampled_from([log for log in LogKind if naive[log]]))
        reader = readers[log]
        written = [entry["entry"] for entry in naive[log]]
        leaves = [leaf_hash(entry) for entry in written]
        size = len(written)
        assert sequencer.root(log) == (size, root_of(leaves))
        assert root_at(reader.tiles, size) == recompute_root(reader.tiles, 0, size) == root_of(leaves)

        number = data.draw(st.integers(0, (size - 1) // 256))
        width = data.draw(st.integers(1, min(256, size - 256 * number)))
        part = slice(256 * number, 256 * number + width)
        assert reader.bundle(number, width) == encode_bundle(written[part])
        assert reader.tile(0, number, width) == b"".join(leaves[part])
        if size >= 256:
            full = size // 256
            assert reader.tile(1, 0, full) == b"".join(
                root_of(leaves[256 * n : 256 * n + 256]) for n in range(full)
            )

        old = data.draw(st.integers(0, size))
        new = data.draw(st.integers(old, size))
        if new:
            index = data.draw(st.integers(0, new - 1))
            assert reader.leaf(index) == leaves[index]
            path = reader.inclusion_path(index, new)
            verify_inclusion(index, new, leaves[index], path, root_of(leaves[:new]))
            with pytest.raises(InvalidInput):
                reader.inclusion_path(new, new)
        if old:
            proof = reader.consistency_proof(old, new)
            verify_consistency(old, new, root_of(leaves[:old]), root_of(leaves[:new]), proof)


@given(GROUPS, st.integers(0, 4), st.integers(0, 6), st.integers(-2, 300))
@settings(max_examples=30)
def test_what_the_log_does_not_reach_is_not_found(groups, level, number, width):
    with filled(groups) as (_, readers, naive, _):
        for log, reader in readers.items():
            size = len(naive[log])
            if 1 <= width <= tile_width(level, number, size):
                assert len(reader.tile(level, number, width)) == 32 * width
            else:
                with raises_code(NotFound, "tile-unknown"):
                    reader.tile(level, number, width)
            if 1 <= width <= tile_width(0, number, size):
                reader.bundle(number, width)
            else:
                with raises_code(NotFound, "tile-unknown"):
                    reader.bundle(number, width)


@given(GROUPS)
@settings(max_examples=20)
def test_a_new_start_continues_with_the_same_tree(groups):
    with filled(groups) as (store, readers, naive, sequencer):
        sequencer.close()
        again = Sequencer(store, FaultyHeads(), ORIGINS, LOG_NUMBERS)
        try:
            for log in LogKind:
                index = again.run(lambda transaction, log=log: transaction.append(log, b"next"))
                assert index == EntryIndex(len(naive[log]))
                leaves = [leaf_hash(entry["entry"]) for entry in naive[log]] + [leaf_hash(b"next")]
                assert again.root(log) == (len(leaves), root_of(leaves))
                assert readers[log].entry(readers[log].row(index)) == b"next"
        finally:
            again.close()
