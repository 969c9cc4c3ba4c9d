# SPDX-License-Identifier: Apache-2.0
"""The day on which both logs of an older node fill a tile, and the day on which they use all slots of small commits.

Usage: ``python -m tests.chaos.faultfs.edges ROOT NOTES``, with faultfs.c preloaded; ROOT holds what ``build_base`` left, and
NOTES what was told of it.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from node.access.event import RID_BYTES, build_pad
from node.log.merkle import leaf_hash, verify_inclusion
from node.log.tree import recompute_root, root_at
from node.service.layout import LogKind
from node.storage.ahead import SLOTS
from tests.chaos.faultfs.child import Faultfs
from tests.chaos.faultfs.days import SEGMENT_BYTES, START, DiskWorld, anchor, correct, show, told_before
from tests.chaos.faultfs.recorded import Base
from tests.support.clock import ManualClock
from tests.support.node_world import WHY, penalty

TILE = 256
LOOKS_BEFORE = 14
"""Looks between the last anchor of a base, which ends at 16 entries before the edge, and the edge."""
ROWS_BEFORE = 5
"""Records that a base's records log lacks to its edge."""
ADDED = 1_000_000
"""Document numbers of the day begin here."""
SLOT_SEGMENT_BYTES = 1 << 20
"""So that no segment is full before the slots are."""


class Notes(list):
    """Facts told outside, in the place of the journal."""

    def note(self, **facts):
        self.append(facts)


def build_base(folder, entries):
    """Make a node whose logs are a few entries from ``entries``, a multiple of 256.

    Args:
        folder: An empty directory.
        entries: Size of both logs that the day fills.
    """
    path, notes = folder / "base", Notes()
    path.mkdir()
    with DiskWorld(path, seed="base") as world:
        world.chain.faultfs = notes
        world.join()
        world.uploads.chunk_rows = 500
        world.import_penalties(range(entries - ROWS_BEFORE - 1))  # the anchor adds a status head
        pads = entries - 2 * 16
        world.services.sequencer.run(
            lambda t: [t.append(LogKind.ACCESS, build_pad(world.random(RID_BYTES))) for _ in range(pads)]
        )
        anchor(world, notes.note)
        for _ in range(LOOKS_BEFORE):
            notes.note(opened=show(world))
        assert world.sizes() == (entries - ROWS_BEFORE, entries - 2)
        notes.note(clock=world.clock.now_seconds())
    told = folder / "told.json"
    told.write_text(json.dumps(notes), encoding="utf-8")
    return Base(path, told)


def grow(world, note, count, *, chunk_rows=4):
    """Import ``count`` new records and note what is acknowledged."""
    before = world.records.size()
    first = ADDED + before
    world.uploads.chunk_rows = chunk_rows
    job_id = world.upload([penalty(number) for number in range(first, first + count)])
    note(job=job_id, rows=[first, first + count])
    assert world.services.importer.run_job(job_id).accepted == count
    added = range(before, world.records.size())
    note(done=job_id, leaves=[world.records.leaf(index).hex() for index in added])


def fill_tiles(world, note):
    """Reach the edge with one entry to spare, fill the tile, begin the next one; with looks in the same way."""
    edge = world.access.size() + 2
    assert world.records.size() == edge - ROWS_BEFORE
    grow(world, note, ROWS_BEFORE - 2)
    note(opened=show(world))
    anchor_at(world, note, LogKind.RECORDS, edge - 1)
    # One log's tile was filled by a heartbeat or a pad, the other one's is by a record.
    grow(world, note, 1)
    assert world.records.size() == edge
    note(opened=show(world))
    anchor_at(world, note, LogKind.RECORDS, edge + 1)


def anchor_at(world, note, log, size):
    anchor(world, note)
    assert world.services.readers[log].size() == size, "the day does not meet its edge"


def fill_whole_tiles(world, note):
    """Pass edges within one commit: by less than a chunk, and by more than a tile; then change and erase records."""
    size = world.records.size()
    grow(world, note, 2 * TILE - 2 - size % TILE, chunk_rows=400)
    assert world.records.size() % TILE == TILE - 2
    grow(world, note, 4)
    assert world.records.size() % TILE == 2
    leaf = world.leaf(2)
    world.services.records.withdraw(leaf, officer="wang", ground="撤销处罚")
    note(withdrawn=leaf.hex())
    note(corrected=correct(world).hex())
    erased = world.leaf(4)
    world.services.eraser.erase(erased, ground="ordered", why=WHY, with_versions=True)
    note(erased=erased.hex())
    assert world.services.eraser.purge_all() == 0
    anchor(world, note)


def use_all_slots(world, note):
    """Look until every slot for small commits is taken, cut off there, and a few looks more."""
    note(cut=False)
    for _ in range(SLOTS - 4):
        note(opened=show(world))
    note(cut=True)
    for _ in range(8):
        note(opened=show(world))
    note(cut=False)


DAYS = {"tiles": (fill_tiles, fill_whole_tiles), "slots": (use_all_slots,)}


def check_trees(world):
    """Check that tiles of all levels, inner nodes and entries of both logs say the same at the right edge."""
    for reader in world.services.readers.values():
        size = reader.size()
        root = root_at(reader.tiles, size)
        assert recompute_root(reader.tiles, 0, size) == root
        for index in (*range(max(0, size - 20), size), size - size % TILE - 1, size // 2):
            if index < 0:
                continue
            leaf = reader.leaf(index)
            assert leaf_hash(reader.entry(reader.row(index))) == leaf
            verify_inclusion(index, size, leaf, reader.inclusion_path(index, size), root)


def main(root, notes, name="tiles"):
    faultfs = Faultfs()
    told = told_before(notes)
    now = next(facts["clock"] for facts in json.loads(Path(notes).read_bytes()) if "clock" in facts)
    clock = ManualClock(max(START, now))
    segment_bytes = SLOT_SEGMENT_BYTES if name == "slots" else SEGMENT_BYTES
    chain = told.chain(clock)
    with DiskWorld(root, chain=chain, clock=clock, seed=name, segment_bytes=segment_bytes) as world:
        world.chain.faultfs = faultfs
        world.join()
        for part in DAYS[name]:
            part(world, faultfs.note)


if __name__ == "__main__":
    main(*sys.argv[1:])
