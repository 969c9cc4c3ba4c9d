# SPDX-License-Identifier: Apache-2.0
"""Check a whole store: derive everything again from the entries, and compare with what is stored and was signed.

    1. every entry: its row points at it, its leaf hash is the one in the level-0 tile, its look-ups find it
    2. every tile above, and the root at every signed and anchored size
    3. every signed checkpoint under the log's own keys, every anchor against the root at its size
    4. the head file

What is wrong is named by place. Nothing is repaired: a log that does not check out goes on under a successor.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

from node.errors import NodeError
from node.log.checkpoint import verify_checkpoint
from node.log.head import check_continues
from node.log.merkle import leaf_hash
from node.log.tree import recompute_root, root_at
from node.service import layout
from node.service.layout import NO_LIST, LogKind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from node.crypto.note import VKey
    from node.ports import HeadFiles, Reads
    from node.service.layout import Row
    from node.service.reading import LogReader

STEP: Final = 4_096


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is wrong: stable code, place, and what was got and wanted."""

    code: str
    place: str
    detail: str


@dataclass(slots=True)
class Counts:
    """What was looked at."""

    entries: int = 0
    records: int = 0
    checkpoints: int = 0
    anchors: int = 0


class Checker:
    """Checks the logs of one store.

    Args:
        reads: The store, or a snapshot of it.
        readers: Its logs.
        heads: The head files.
        vkeys: The keys of each log's checkpoints.
        progress: Told the log and how many entries were checked.
    """

    def __init__(
        self,
        reads: Reads,
        readers: Mapping[LogKind, LogReader],
        heads: HeadFiles,
        vkeys: Mapping[LogKind, Sequence[VKey]],
        progress: Callable[[str, int], None] = lambda _log, _count: None,
    ) -> None:
        self._reads = reads
        self._readers = readers
        self._heads = heads
        self._vkeys = vkeys
        self._progress = progress
        self.counts = Counts()

    def run(self) -> list[Finding]:
        """Check everything; an empty list means that nothing wrong was found."""
        findings: list[Finding] = []
        for log, reader in self._readers.items():
            findings.extend(self._check_log(log, reader))
        return findings

    def _check_log(self, log: LogKind, reader: LogReader) -> Iterator[Finding]:
        size = reader.size()
        yield from self._check_entries(log, reader, size)
        yield from self._guarded(f"{log.text} tree", lambda: self._check_tree(reader, size))
        yield from self._check_checkpoints(log, reader, size)
        yield from self._check_anchors(log, reader, size)
        yield from self._guarded(f"{log.text} head file", lambda: self._check_head(reader, size))

    @staticmethod
    def _check_tree(reader: LogReader, size: int) -> Iterator[Finding]:
        if size:
            recompute_root(reader.tiles, 0, size)
        return iter(())

    def _check_entries(self, log: LogKind, reader: LogReader, size: int) -> Iterator[Finding]:
        expected_offset = 0
        for index, row in reader.rows(0, size):
            place = f"{log.text} entry {index}"
            if row.entry_offset != expected_offset + 2:
                yield Finding(
                    "fsck-row", place, f"entry offset is {row.entry_offset}, want {expected_offset + 2}"
                )
            expected_offset = row.entry_offset + row.entry_length
            yield from self._guarded(place, partial(self._check_entry, log, reader, index, row))
            self.counts.entries += 1
            if self.counts.entries % STEP == 0:
                self._progress(log.text, index)
        stored = self._reads.length(layout.entries_stream(log, reader.number))
        if stored != expected_offset:
            yield Finding(
                "fsck-stream", f"{log.text} entries", f"stream has {stored} bytes, want {expected_offset}"
            )

    def _check_entry(self, log: LogKind, reader: LogReader, index: int, row: Row) -> Iterator[Finding]:
        place = f"{log.text} entry {index}"
        entry = reader.entry(row)
        leaf = leaf_hash(entry)
        if reader.leaf(index) != leaf:
            yield Finding("fsck-leaf", place, "leaf hash in the level-0 tile is not that of the entry")
        if log is LogKind.RECORDS and row.status_list != NO_LIST:
            self.counts.records += 1
            found = self._reads.get(layout.leaf_key(leaf))
            if found is None or layout.parse_u64(found) != index:
                yield Finding("fsck-index", place, "look-up by leaf hash does not find the record")
            used = self._reads.get(layout.status_used_key(row.status_list))
            if used is None or not used[row.status_index >> 3] >> (row.status_index & 7) & 1:
                yield Finding(
                    "fsck-status", place, "the record's place in its status list is not marked used"
                )
        if row.values_length:
            reader.values(row)
            reader.wrapped_secret(index)

    def _check_checkpoints(self, log: LogKind, reader: LogReader, size: int) -> Iterator[Finding]:
        prefix = b"c" + log.value
        for key, note in self._reads.scan(layout.checkpoint_key(log, 0), layout.stop_of(prefix)):
            signed_size = layout.parse_u64(key[2:])
            self.counts.checkpoints += 1
            place = f"{log.text} checkpoint {signed_size}"
            yield from self._guarded(place, partial(self._check_note, log, reader, note, signed_size, size))

    def _check_note(
        self, log: LogKind, reader: LogReader, note: bytes, signed_size: int, size: int
    ) -> Iterator[Finding]:
        place = f"{log.text} checkpoint {signed_size}"
        checkpoint = verify_checkpoint(note.decode(), self._vkeys[log]).checkpoint
        if checkpoint.size != signed_size or checkpoint.origin != reader.origin or signed_size > size:
            yield Finding("fsck-checkpoint", place, "signed checkpoint is not of this log and size")
        elif root_at(reader.tiles, signed_size) != checkpoint.root:
            yield Finding("fsck-checkpoint", place, "the entries do not give the signed root")

    def _check_anchors(self, log: LogKind, reader: LogReader, size: int) -> Iterator[Finding]:
        newest = reader.find_anchor()
        for i in range(1, (newest.anchor.i if newest else 0) + 1):
            found = reader.find_anchor(i)
            self.counts.anchors += 1
            place = f"{log.text} anchor {i}"
            if found is None:
                yield Finding("fsck-anchor", place, "anchor is not stored")
            elif found.anchor.size > size or root_at(reader.tiles, found.anchor.size) != found.anchor.root:
                yield Finding("fsck-anchor", place, "the entries do not give the anchored root")

    def _check_head(self, reader: LogReader, size: int) -> Iterator[Finding]:
        head = self._heads.load(reader.origin)
        at_head = root_at(reader.tiles, head.size) if head is not None and head.size <= size else None
        check_continues(head, size, at_head)
        return iter(())

    @staticmethod
    def _guarded(place: str, check: Callable[[], Iterator[Finding]]) -> Iterator[Finding]:
        """Run a check; its findings, or the error it ended with, are the findings of its place."""
        try:
            yield from check()
        except NodeError as error:
            yield Finding(error.code, place, error.message)
