# SPDX-License-Identifier: Apache-2.0
"""The commits with which both logs of a log engine pass 65,536 entries, where a tile of the second level is full.

Usage: ``python -m tests.chaos.faultfs.levels ROOT NOTES``, with faultfs.c preloaded; ROOT holds what ``build_base`` left.
There is no node here: entries are a few bytes, so that a base takes seconds.
"""

from __future__ import annotations

import json
import sys
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from node.log.merkle import leaf_hash, root_of, verify_inclusion
from node.log.tree import build_inclusion_path, recompute_root, root_at
from node.service.layout import LogKind
from node.service.sequencer import MAX_ENTRIES, Sequencer
from node.service.tiles import StoredTiles
from node.storage.heads import DiskHeadFiles
from node.storage.opening import open_store
from tests.chaos.faultfs.child import Faultfs
from tests.chaos.faultfs.days import IDENTITY
from tests.chaos.faultfs.recorded import Base

EDGE = 65_536
TILE = 256
SIZES = {
    # One log stops before the edge, at it, and begins the next tile; the other one passes it within one commit.
    LogKind.RECORDS: (EDGE - 3, EDGE - 1, EDGE, EDGE + 2),
    LogKind.ACCESS: (EDGE - 301, EDGE - 300, EDGE + 300, EDGE + 301),
}
"""Entries of each log in the base, and behind each commit of the day."""
ORIGINS = {log: f"zj.example/{log.text}" for log in LogKind}
MORE = 2 * TILE
"""Entries that are appended behind a crash."""


def entry_of(log, index):
    return f"{log.text} {index}".encode()


@cache
def leaves_of(log):
    return [leaf_hash(entry_of(log, index)) for index in range(max(SIZES[log]) + MORE)]


@cache
def root_of_size(log, size):
    return root_of(leaves_of(log)[:size])


class Engine:
    """A store, its head files and the writer."""

    def __init__(self, root):
        self.store = open_store(Path(root) / "store", IDENTITY, create=True)
        self.heads = DiskHeadFiles(Path(root) / "heads")
        self.sequencer = Sequencer(self.store, self.heads, ORIGINS, dict.fromkeys(LogKind, 0))

    def grow_to(self, sizes):
        """Append to both logs in one commit."""

        def append(transaction):
            for log, size in sizes.items():
                for index in range(transaction.size(log), size):
                    transaction.append(log, entry_of(log, index))

        self.sequencer.run(append)

    def sizes(self):
        return {log: self.sequencer.size(log) for log in LogKind}

    def check_log(self, log):
        """Check roots, tiles and proofs around the edge against the plain tree."""
        size, tiles = self.sequencer.size(log), StoredTiles(self.store, log)
        root = root_of_size(log, size)
        assert self.sequencer.root(log) == (size, root)
        assert root_at(tiles, size) == root
        known = EDGE - 2 * TILE
        assert recompute_root(tiles, known, size, verified_root=root_of_size(log, known)) == root
        for index in {0, TILE, *range(EDGE - TILE - 1, size, 19), EDGE - 1, EDGE, size - 1}:
            if index < size:
                path = build_inclusion_path(tiles, index, size)
                verify_inclusion(index, size, leaves_of(log)[index], path, root)
        head = self.heads.load(ORIGINS[log])
        assert head.size <= size
        assert head.root == root_of_size(log, head.size)


@contextmanager
def opened(root):
    engine = Engine(root)
    try:
        yield engine
    finally:
        engine.sequencer.close()
        engine.store.close()


def build_base(folder):
    """Make a store whose logs are a little shorter than 65,536 entries."""
    path, told = folder / "base", folder / "told.json"
    path.mkdir()
    with opened(path) as engine:
        for end in range(MAX_ENTRIES, EDGE + MAX_ENTRIES, MAX_ENTRIES):
            engine.grow_to({log: min(end, sizes[0]) for log, sizes in SIZES.items()})
    told.write_text("[]", encoding="utf-8")
    return Base(path, told)


def check_recovered(root, told):
    """Open what a crash left: all of a commit or nothing of it, and nothing acknowledged is gone; then go on."""
    acknowledged = told.promised[-1]["commits"][0] if told.promised else 0
    with opened(root) as engine:
        commits = [sizes.index(engine.sizes()[log]) for log, sizes in SIZES.items()]
        assert commits in ([acknowledged] * 2, [acknowledged + 1] * 2)
        for log in LogKind:
            engine.check_log(log)
        engine.grow_to({log: size + MORE for log, size in engine.sizes().items()})
        for log in LogKind:
            engine.check_log(log)


def main(root, notes):
    assert json.loads(Path(notes).read_bytes()) == []
    faultfs = Faultfs()
    faultfs.note(cut=False)
    with opened(root) as engine:
        faultfs.note(cut=True)
        for number in range(1, len(SIZES[LogKind.RECORDS])):
            engine.grow_to({log: sizes[number] for log, sizes in SIZES.items()})
            faultfs.note(promised={"commits": [number]})


if __name__ == "__main__":
    main(*sys.argv[1:])
