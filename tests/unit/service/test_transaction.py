# SPDX-License-Identifier: Apache-2.0
"""Leaves and nodes of a commit: however they come to be hashed, they are those of RFC 6962."""

from __future__ import annotations

from collections import Counter

import pytest

from node.log.merkle import leaf_hash, root_of
from node.log.tree import TreeWriter
from node.ports import Batch
from node.service import layout
from node.service.layout import LogKind
from node.service.sequencer import load_tail
from node.service.tiles import put_tiles
from node.service.transaction import Appended, Transaction
from node.storage.memory import MemoryStore

LOG = LogKind.RECORDS


@pytest.mark.parametrize("before", [0, 3, 255])
@pytest.mark.parametrize("count", [1, 15, 16, 40, 257, 800])
def test_a_commit_hashes_what_nobody_has_hashed_yet(before, count):
    """Every third entry brings its leaf, every fifth is asked for its own within the commit."""
    store = MemoryStore()
    entries = [b"entry %d" % number * (1 + number % 90) for number in range(before + count)]
    leaves = [leaf_hash(entry) for entry in entries]
    sealed = None
    for start, stop in ((0, before), (before, before + count)):
        tails = {log: load_tail(store, log, 0) for log in LogKind}
        transaction = Transaction(store, tails)
        for number in range(start, stop):
            given = {} if number % 3 else {"leaf": leaves[number]}
            index = transaction.append(LOG, entries[number], **given)
            if number % 5 == 0:
                assert transaction.leaf(LOG, index) == leaves[number]
        sealed, after = transaction.seal()
        if stop > start:
            assert after[LOG].tree.root() == root_of(leaves[:stop])
            store.commit(sealed)
    expected = Batch()
    tree = TreeWriter()
    tree.extend(b"".join(leaves[:before]))
    put_tiles(expected, LOG, 0, tree.extend(b"".join(leaves[before:])))
    kept = (layout.rows_key(LOG, before), layout.size_key(LOG))
    assert Counter(change for change in sealed.changes if change[0] not in kept) == Counter(expected.changes)


def test_leaves_that_come_in_columns_stand_between_others():
    tails = {log: load_tail(MemoryStore(), log, 0) for log in LogKind}
    transaction = Transaction(MemoryStore(), tails)
    entries = [b"%d" % number for number in range(60)]
    leaves = [leaf_hash(entry) for entry in entries]
    for entry in entries[:20]:
        transaction.append(LOG, entry)
    appended = Appended(
        entries=entries[20:40],
        keys=[bytes(16)] * 20,
        values=[b"values"] * 20,
        statuses=[(0, number) for number in range(20)],
        kind=1,
        disclosures=bytes(20),
        leaves=leaves[20:40],
    )
    assert transaction.append_all(LOG, appended) == range(20, 40)
    for entry in entries[40:]:
        transaction.append(LOG, entry)
    assert [transaction.leaf(LOG, index) for index in (0, 19, 20, 39, 40, 59)] == [
        leaves[index] for index in (0, 19, 20, 39, 40, 59)
    ]
    batch, after = transaction.seal()
    assert after[LOG].tree.root() == root_of(leaves)
    stream = b"".join(batch.appends[layout.entries_stream(LOG, 0)])
    assert stream == b"".join(len(entry).to_bytes(2, "big") + entry for entry in entries)
