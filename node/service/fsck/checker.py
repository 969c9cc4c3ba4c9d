# SPDX-License-Identifier: Apache-2.0
"""Check a whole store: derive everything again from the entries, and compare with what is stored and was signed.

    1. every entry: its row leads to it and says what it says, its leaf hash is the one in the level-0 tile
    2. every tile above, and the root at every signed and anchored size
    3. every signed checkpoint under the log's own keys, every anchor against the root at its size and the one before
    4. the head file
    5. every index, counter and report against the entries (node.service.fsck.indices)
    6. status lists, tokens and heads (node.service.fsck.status)
    7. uses of consents, rates, versions of documents (node.service.fsck.ledgers); exchanges (node.service.fsck.exchanges)
    8. receipts, boxes and warrants of sealed looks (node.service.fsck.boxes)
    9. looks by their subjects (node.service.fsck.looks)

What is wrong is named by place. Nothing is repaired: a log that does not check out goes on under a successor. No key
is needed and nothing is decrypted, so sealed values, wrapped secrets and keyed digests are checked for their presence
and form only; what was changed in them shows when a record is opened.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

from node.core.types import EntryIndex
from node.crypto.note import parse_vkey
from node.log.checkpoint import verify_checkpoint
from node.log.head import check_continues
from node.log.nodes import INNER_BYTES
from node.log.tiles import tile_width
from node.log.tree import TILE_BYTES, recompute_root, root_at
from node.service import layout
from node.service.fsck.boxes import BoxCheck
from node.service.fsck.entries import EntryCheck
from node.service.fsck.exchanges import ExchangeCheck
from node.service.fsck.findings import Counts, Finding, Marks, Tally, guarded, name_of
from node.service.fsck.indices import IndexCheck
from node.service.fsck.ledgers import LedgerCheck
from node.service.fsck.looks import LooksCheck
from node.service.fsck.status import StatusCheck
from node.service.layout import ROW_BYTES, LogKind
from node.service.transaction import LENGTH_PREFIX_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from node.log.anchor import Anchor
    from node.ports import HeadFiles, Reads
    from node.service.layout import Row
    from node.service.reading import LogReader, Logs

ALGORITHMS: Final = {"ed25519", "ml-dsa-44"}
STEP: Final = 4_096
HASH_BYTES: Final = 32


class Checker:
    """Checks the logs of one store.

    Args:
        reads: The store, or a snapshot of it.
        logs: Its logs, those that have a successor too.
        heads: The head files.
        progress: Told the log and how many entries were checked.
    """

    def __init__(
        self,
        reads: Reads,
        logs: Mapping[LogKind, Logs],
        heads: HeadFiles,
        progress: Callable[[str, int], None] = lambda _log, _count: None,
    ) -> None:
        self._reads = reads
        self._logs = logs
        self._heads = heads
        self._progress = progress
        self.counts = Counts()

    def run(self) -> list[Finding]:
        """Check everything; an empty list means that nothing wrong was found."""
        return list(guarded("store", self._run))

    def _run(self) -> Iterator[Finding]:
        records = self._logs[LogKind.RECORDS]
        tally = Tally(self._marks(LogKind.RECORDS), self._marks(LogKind.ACCESS))
        entries = EntryCheck(self._reads, self._kinds(), tally, {log: self._taken(log) for log in self._logs})
        for log, logs in self._logs.items():
            for reader in logs.readers:
                yield from guarded(f"{name_of(reader)} log", partial(self._check_log, log, reader, entries))
        self.counts.records = sum(1 for _ in tally.records)
        yield from StatusCheck(self._reads, records, tally).run()
        yield from IndexCheck(self._reads, records, tally).run()
        yield from LedgerCheck(self._reads, self._logs).run()
        yield from ExchangeCheck(self._reads, self._logs[LogKind.ACCESS]).run()
        yield from BoxCheck(self._reads, self._logs[LogKind.ACCESS], tally.sealed).run()
        looks = LooksCheck(self._reads, self._logs[LogKind.ACCESS], tally.records)
        yield from guarded("looks by subject", looks.run)

    def _marks(self, log: LogKind) -> Marks:
        """Give an empty set of places of the logs of a kind."""
        # Every entry takes bytes of the stream, so a size that was damaged makes no set larger than that.
        most = [
            min(reader.size(), self._reads.length(layout.entries_stream(log, reader.number)))
            for reader in self._logs[log].readers
        ]
        return Marks(*most)

    def _taken(self, log: LogKind) -> dict[int, int]:
        """Give where each entry that a log took over stood before, by its place there now."""
        prefix = b"m" + log.value
        stored = self._reads.scan(prefix, layout.stop_of(prefix))
        return {layout.parse_u64(value): layout.parse_u64(key[2:]) for key, value in stored}

    def _kinds(self) -> dict[int, str]:
        stored = self._reads.scan(layout.kind_key(0), layout.stop_of(b"v"))
        return {int.from_bytes(key[1:], "big"): name.decode("utf-8", "replace") for key, name in stored}

    def _check_log(self, log: LogKind, reader: LogReader, entries: EntryCheck) -> Iterator[Finding]:
        size = reader.size()
        yield from self._check_rows(log, reader, size, entries)
        yield from guarded(f"{name_of(reader)} tree", lambda: self._check_tree(log, reader, size))
        yield from self._check_checkpoints(log, reader, size)
        yield from guarded(f"{name_of(reader)} anchors", lambda: self._check_anchors(reader, size))
        if reader is self._logs[log].open:
            yield from guarded(f"{name_of(reader)} head file", lambda: self._check_head(reader, size))

    # ---- rows and entries

    def _check_rows(
        self, log: LogKind, reader: LogReader, size: int, entries: EntryCheck
    ) -> Iterator[Finding]:
        """Go through the blocks of rows: one behind the other, to the size of the log, and so in the streams."""
        expected, entries_end, values_end = 0, 0, 0
        for key, block in self._reads.scan(
            layout.rows_key(log, 0, reader.number), layout.last_of(b"e" + log.value, reader.number)
        ):
            first = layout.parse_u64(key[2:]) & layout.INDEX_MASK
            if first != expected or not block or len(block) % ROW_BYTES:
                yield Finding(
                    "fsck-row",
                    f"{name_of(reader)} rows {first}",
                    f"block of rows is cut or out of place: want {expected}",
                )
            expected = first + len(block) // ROW_BYTES
            for place in range(len(block) // ROW_BYTES):
                row = layout.parse_row(block, place, reader.number)
                here = (row.entry_offset, row.values_offset)
                if here != (entries_end + LENGTH_PREFIX_BYTES, values_end):
                    yield Finding(
                        "fsck-row",
                        f"{name_of(reader)} entry {first + place}",
                        "row leads to another place in the streams",
                    )
                entries_end, values_end = (
                    row.entry_offset + row.entry_length,
                    row.values_offset + row.values_length,
                )
                yield from self._check_entry(reader, EntryIndex(first + place), row, entries)
        if expected != size:
            yield Finding("fsck-row", f"{name_of(reader)} rows", f"rows end at {expected}, want {size}")
        ends = {layout.entries_stream: entries_end, layout.values_stream: values_end}
        for name, end in ends.items():
            stream = name(log, reader.number)
            if self._reads.length(stream) != end:
                yield Finding(
                    "fsck-stream", f"stream {stream}", f"has {self._reads.length(stream)} bytes, want {end}"
                )

    def _check_entry(
        self, reader: LogReader, index: EntryIndex, row: Row, entries: EntryCheck
    ) -> Iterator[Finding]:
        place = f"{name_of(reader)} entry {index}"
        yield from guarded(place, partial(entries.check, reader, index, row))
        self.counts.entries += 1
        if self.counts.entries % STEP == 0:
            self._progress(reader.kind.text, index)

    # ---- tiles, checkpoints, anchors, head file

    def _check_tree(self, log: LogKind, reader: LogReader, size: int) -> Iterator[Finding]:
        for letter, what in ((b"t", "tile"), (b"N", "inner nodes of tile")):
            prefix = letter + log.value
            for key, data in self._reads.scan(prefix, layout.stop_of(prefix)):
                level = key[2]
                number, index = layout.split_place(layout.parse_u64(key[3:]))
                if number != reader.number:
                    continue
                want = tile_width(level, index, size) * HASH_BYTES
                if letter == b"N":
                    want = INNER_BYTES if want == TILE_BYTES else 0
                if len(data) != want or not data:
                    yield Finding(
                        "fsck-tile",
                        f"{name_of(reader)} {what} {level}/{index}",
                        f"has {len(data)} bytes, want {want}",
                    )
        if size:
            recompute_root(reader.tiles, 0, size)

    def _check_checkpoints(self, log: LogKind, reader: LogReader, size: int) -> Iterator[Finding]:
        prefix = b"c" + log.value
        for key, note in self._reads.scan(
            layout.checkpoint_key(log, 0, reader.number), layout.last_of(prefix, reader.number)
        ):
            signed_size = layout.parse_u64(key[2:]) & layout.INDEX_MASK
            self.counts.checkpoints += 1
            place = f"{name_of(reader)} checkpoint {signed_size}"
            yield from guarded(place, partial(self._check_note, log, reader, note, signed_size, size))

    def _check_note(
        self, log: LogKind, reader: LogReader, note: bytes, signed_size: int, size: int
    ) -> Iterator[Finding]:
        place = f"{name_of(reader)} checkpoint {signed_size}"
        vkeys = (self._reads.get(layout.vkeys_key(log, reader.number)) or b"").decode().split("\n")
        verified = verify_checkpoint(note.decode(), [parse_vkey(text) for text in vkeys])
        checkpoint = verified.checkpoint
        if verified.algorithms != ALGORITHMS:
            yield Finding("fsck-checkpoint", place, "a signature of the log's own keys is missing")
        if checkpoint.size != signed_size or checkpoint.origin != reader.origin or signed_size > size:
            yield Finding("fsck-checkpoint", place, "signed checkpoint is not of this log and size")
        elif root_at(reader.tiles, signed_size) != checkpoint.root:
            yield Finding("fsck-checkpoint", place, "the entries do not give the signed root")

    def _check_anchors(self, reader: LogReader, size: int) -> Iterator[Finding]:
        newest = reader.find_anchor()
        before: Anchor | None = None
        for i in range(1, (newest.anchor.i if newest else 0) + 1):
            self.counts.anchors += 1
            place = f"{name_of(reader)} anchor {i}"
            found = reader.find_anchor(i)
            if found is None:
                yield Finding("fsck-anchor", place, "anchor is not stored")
                before = None
                continue
            yield from guarded(place, partial(self._check_anchor, reader, place, found.anchor, before, size))
            if found.anchor.i != i:
                yield Finding("fsck-anchor", place, f"anchor is number {found.anchor.i}")
            before = found.anchor

    def _check_anchor(
        self, reader: LogReader, place: str, anchor: Anchor, before: Anchor | None, size: int
    ) -> Iterator[Finding]:
        if anchor.size > size or root_at(reader.tiles, anchor.size) != anchor.root:
            yield Finding("fsck-anchor", place, "the entries do not give the anchored root")
        if reader.find_checkpoint(anchor.size) is None:
            yield Finding("fsck-anchor", place, "the checkpoint that was anchored is not stored")
        previous = (anchor.prev_size, anchor.prev_block, anchor.prev_time)
        if before is not None and previous != (before.size, before.block, before.time):
            yield Finding("fsck-anchor", place, "it does not follow the anchor before it")

    def _check_head(self, reader: LogReader, size: int) -> Iterator[Finding]:
        head = self._heads.load(reader.origin)
        at_head = root_at(reader.tiles, head.size) if head is not None and head.size <= size else None
        check_continues(head, size, at_head)
        return iter(())
