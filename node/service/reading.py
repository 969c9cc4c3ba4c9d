# SPDX-License-Identifier: Apache-2.0
"""Reading a log from the store: entries, rows, bundles, checkpoints, anchors and proofs.

Everything here is committed and may be shown in the form in which it lies in the log: digests, never values.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import msgpack

from node.core.recent import Recent
from node.core.types import EntryIndex, LeafHash, TreeSize
from node.errors import NotFound
from node.log.anchor import Anchor
from node.log.merkle import leaf_hash
from node.log.proof import TlogProof, encode_tlog_proof
from node.log.tree import build_consistency_proof, build_inclusion_path
from node.service import layout
from node.service.layout import LogKind
from node.service.tiles import StoredTiles

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from node.ports import Reads
    from node.service.layout import Row

BUNDLE_ENTRIES: Final = 256
TILE_BYTES: Final = 8192
_ROWS: Final = 256
"""Rows that a reader keeps: a record's is needed when it is found, named, opened, and for its status."""


@dataclass(frozen=True, slots=True)
class StoredAnchor:
    """An anchor the chain accepted, with the transaction that brought it and its gas."""

    anchor: Anchor
    transaction: bytes
    gas_used: int


def encode_stored_anchor(stored: StoredAnchor) -> bytes:
    """Encode for the store."""
    a = stored.anchor
    fields = [a.i, a.prev_size, a.prev_block, a.prev_time, a.size, a.root, a.block, a.time]
    packed: bytes = msgpack.packb([fields, stored.transaction, stored.gas_used])
    return packed


def parse_stored_anchor(data: bytes) -> StoredAnchor:
    """Decode from the store."""
    fields, transaction, gas_used = msgpack.unpackb(data)
    return StoredAnchor(Anchor(*fields), transaction, gas_used)


class LogReader:
    """Reads one log of this node.

    Args:
        reads: The store or a snapshot of it.
        kind: Which log.
        number: Succession number.
        origin: The log's origin.
    """

    def __init__(self, reads: Reads, kind: LogKind, number: int, origin: str) -> None:
        self._reads = reads
        self.kind = kind
        self.number = number
        self.origin = origin
        self._rows: Recent[Row] = Recent(_ROWS)
        self.tiles = StoredTiles(reads, kind, number).cached()

    def place(self, index: int) -> int:
        """Name an entry among those of all logs of this kind."""
        return layout.place_of(self.number, index)

    def size(self) -> int:
        """Number of committed entries."""
        return layout.parse_u64(self._reads.get(layout.size_key(self.kind, self.number)) or bytes(8))

    def was_opened(self) -> bool:
        """Whether this store had the chain open this log; a successor is opened before it is in any store."""
        return self.number > 0 or self._reads.get(layout.opened_key(self.kind)) is not None

    def row(self, index: int) -> Row:
        """Get the open facts about an entry.

        Raises:
            NotFound: There is no entry with this index.
        """
        known = self._rows.find(index)
        if known is not None:
            return known
        if 0 <= index < self.size():
            for first, block in self._blocks(index):
                row = layout.parse_row(block, index - first, self.number)
                # A row is written with its entry and never again.
                self._rows.put(index, row)
                return row
        raise NotFound("entry-unknown", f"the {self.kind.text} log has no entry {index}")

    def rows(self, start: int, stop: int) -> Iterator[tuple[EntryIndex, Row]]:
        """Go through the rows of a range of entries, in order."""
        first = next((first for first, _ in self._blocks(start)), start)
        for key, block in self._reads.scan(
            layout.rows_key(self.kind, first, self.number), layout.rows_key(self.kind, stop, self.number)
        ):
            base = layout.parse_u64(key[2:]) & layout.INDEX_MASK
            for at in range(max(0, start - base), min(len(block) // layout.ROW_BYTES, stop - base)):
                yield EntryIndex(base + at), layout.parse_row(block, at, self.number)

    def _blocks(self, index: int) -> Iterator[tuple[int, bytes]]:
        """Find the block of rows that an entry is in, with the index of its first."""
        start = layout.rows_key(self.kind, 0, self.number)
        stop = layout.rows_key(self.kind, index + 1, self.number)
        for key, block in self._reads.scan(start, stop, reverse=True, limit=1):
            yield layout.parse_u64(key[2:]) & layout.INDEX_MASK, block

    def entry(self, row: Row) -> bytes:
        """Read an entry's bytes."""
        stream = layout.entries_stream(self.kind, self.number)
        return self._reads.read(stream, row.entry_offset, row.entry_length)

    def values(self, row: Row) -> bytes:
        """Read an entry's positions and sealed values; empty when it has none."""
        if not row.values_length:
            return b""
        stream = layout.values_stream(self.kind, self.number)
        return self._reads.read(stream, row.values_offset, row.values_length)

    def wrapped_secret(self, index: int) -> bytes:
        """Get an entry's wrapped secret.

        Raises:
            NotFound: ``record-erased``, or ``secret-unknown`` when it is not there although nobody erased it.
        """
        wrapped = self._reads.get_secret(layout.secret_key(self.kind, self.place(index)))
        if wrapped is None:
            if (
                self.kind is LogKind.RECORDS
                and self._reads.get(layout.erasure_key(self.place(index))) is not None
            ):
                raise NotFound(
                    "record-erased",
                    f"the record at index {index} was erased; its tombstone says when and on what ground",
                )
            raise NotFound("secret-unknown", f"entry {index} of the {self.kind.text} log has no secret")
        return wrapped

    def receipt_facts(self, index: int) -> tuple[str, int]:
        """Get whom the receipt of an event is for, and its number.

        Raises:
            NotFound: ``receipt-unknown``: the entry is no event.
        """
        stored = self._reads.get(layout.receipt_key(self.place(index)))
        if stored is None:
            raise NotFound("receipt-unknown", f"entry {index} of the {self.kind.text} log has no receipt")
        return layout.parse_receipt(stored)

    def history(self, index: int) -> bytes | None:
        """Get the status history of a record as it is stored; None when its status never changed."""
        return self._reads.get(layout.history_key(self.place(index)))

    def index_of(self, leaf: bytes) -> EntryIndex:
        """Find the entry with a leaf hash (records log).

        Raises:
            NotFound: No entry has this leaf hash.
        """
        found = self._reads.get(layout.leaf_key(leaf))
        if found is not None:
            number, index = layout.split_place(layout.parse_u64(found))
            if number == self.number and leaf_hash(self.entry(self.row(index))) == leaf:
                return EntryIndex(index)
        raise NotFound("record-unknown", f"no record with leaf hash {leaf.hex()[:16]}… in this node's log")

    def bundle(self, number: int, width: int) -> bytes:
        """Read ``width`` entries of bundle ``number`` in the C2SP form.

        Raises:
            NotFound: The log does not reach that far.
        """
        start = number * BUNDLE_ENTRIES
        if not 1 <= width <= BUNDLE_ENTRIES or start + width > self.size():
            raise NotFound("tile-unknown", f"entry bundle {number} of width {width} is not in the log")
        first, last = self.row(start), self.row(start + width - 1)
        begin = first.entry_offset - 2
        end = last.entry_offset + last.entry_length
        return self._reads.read(layout.entries_stream(self.kind, self.number), begin, end - begin)

    def tile(self, level: int, number: int, width: int) -> bytes:
        """Read ``width`` hashes of a tile.

        Raises:
            NotFound: The log does not reach that far.
        """
        data = self._reads.get(layout.tile_key(self.kind, level, number, self.number)) or b""
        if not 1 <= width <= BUNDLE_ENTRIES or len(data) < width * 32:
            raise NotFound("tile-unknown", f"tile {level}/{number} of width {width} is not in the log")
        return data[: width * 32]

    def leaf(self, index: int) -> LeafHash:
        """Get the leaf hash of an entry."""
        tile, place = divmod(index, BUNDLE_ENTRIES)
        return LeafHash(self.tile(0, tile, place + 1)[place * 32 :])

    def published_size(self) -> TreeSize:
        """Size of the newest published checkpoint; 0 when there is none."""
        note = self.find_checkpoint()
        return TreeSize(note[0] if note else 0)

    def find_checkpoint(self, size: int | None = None) -> tuple[TreeSize, str] | None:
        """Find the published checkpoint of exactly this size, or the newest one."""
        if size is not None:
            note = self._reads.get(layout.checkpoint_key(self.kind, size, self.number))
            return None if note is None else (TreeSize(size), note.decode())
        start = layout.checkpoint_key(self.kind, 0, self.number)
        stop = layout.last_of(b"c" + self.kind.value, self.number)
        for key, data in self._reads.scan(start, stop, reverse=True, limit=1):
            return TreeSize(layout.parse_u64(key[2:]) & layout.INDEX_MASK), data.decode()
        return None

    def first_checkpoint_over(self, index: int) -> tuple[TreeSize, str] | None:
        """Find the smallest published checkpoint that covers an entry."""
        start = layout.checkpoint_key(self.kind, index + 1, self.number)
        stop = layout.last_of(b"c" + self.kind.value, self.number)
        for key, data in self._reads.scan(start, stop, limit=1):
            return TreeSize(layout.parse_u64(key[2:]) & layout.INDEX_MASK), data.decode()
        return None

    def find_anchor(self, i: int | None = None) -> StoredAnchor | None:
        """Find anchor number ``i`` (from 1), or the newest one."""
        if i is not None:
            data = self._reads.get(layout.anchor_key(self.kind, i, self.number))
            return None if data is None else parse_stored_anchor(data)
        start = layout.anchor_key(self.kind, 0, self.number)
        stop = layout.last_of(b"a" + self.kind.value, self.number)
        for _, data in self._reads.scan(start, stop, reverse=True, limit=1):
            return parse_stored_anchor(data)
        return None

    def find_anchored_at(self) -> int | None:
        """Find the chain time of the newest anchor, of the log's opening while there is none; in seconds, None before that."""
        newest = self.find_anchor()
        if newest is not None:
            return newest.anchor.time
        opened = self._reads.get(layout.opened_at_key(self.kind, self.number))
        return None if opened is None else layout.parse_u64(opened)

    def anchored_size(self) -> TreeSize:
        """Size of the newest anchor; 0 when there is none."""
        newest = self.find_anchor()
        return TreeSize(newest.anchor.size if newest else 0)

    def first_anchor_over(self, index: int) -> StoredAnchor | None:
        """Find the first anchor that covers an entry, by bisection over the anchors' numbers."""
        newest = self.find_anchor()
        if newest is None or newest.anchor.size <= index:
            return None
        low, high = 1, newest.anchor.i
        while low < high:
            middle = (low + high) // 2
            found = self.find_anchor(middle)
            if found is None or found.anchor.size <= index:
                low = middle + 1
            else:
                high = middle
        return self.find_anchor(low)

    def inclusion_path(self, index: int, size: int) -> list[bytes]:
        """Build the inclusion path of an entry in the tree of a size."""
        return build_inclusion_path(self.tiles, index, size)

    def consistency_proof(self, old_size: int, new_size: int) -> list[bytes]:
        """Build the consistency proof between two sizes."""
        return build_consistency_proof(self.tiles, old_size, new_size)

    def tlog_proof(self, index: int, size: int) -> str:
        """Build the tlog-proof of an entry under the published checkpoint of a size.

        Raises:
            NotFound: No checkpoint of that size was published.
        """
        found = self.find_checkpoint(size)
        if found is None:
            raise NotFound("checkpoint-unknown", f"no checkpoint of size {size} was published")
        return encode_tlog_proof(TlogProof(index, tuple(self.inclusion_path(index, size)), found[1]))

    def stage(self, index: int) -> str:
        """Say how far an entry has come: integrated, published or anchored (sequenced ones are integrated)."""
        if index < self.anchored_size():
            return "anchored"
        return "published" if index < self.published_size() else "integrated"


class Logs:
    """All logs of one kind that a node ever had; their entries are named by place (node.service.layout).

    Args:
        reads: The store or a snapshot of it.
        readers: The logs, from number 0 to the open one.
    """

    def __init__(self, reads: Reads, readers: Sequence[LogReader]) -> None:
        self._reads = reads
        self.readers = tuple(readers)

    @property
    def open(self) -> LogReader:
        """The newest log, the only one that grows."""
        return self.readers[-1]

    @property
    def kind(self) -> LogKind:
        """The kind of these logs."""
        return self.open.kind

    def find(self, number: int) -> LogReader | None:
        """Find a log by its number."""
        return self.readers[number] if 0 <= number < len(self.readers) else None

    def locate(self, place: int) -> tuple[LogReader, EntryIndex]:
        """Give the log and the index that a place stands for.

        Raises:
            NotFound: There is no such log.
        """
        number, index = layout.split_place(place)
        reader = self.find(number)
        if reader is None:
            raise NotFound("entry-unknown", f"this node has no {self.kind.text} log {number}")
        return reader, EntryIndex(index)

    def proven(self, place: int) -> tuple[LogReader, EntryIndex]:
        """Give the log and index under which an entry is, or will be, anchored: the last log that took it over."""
        while (moved := self._reads.get(layout.moved_key(self.kind, place))) is not None:
            place = layout.parse_u64(moved)
        return self.locate(place)

    def row(self, place: int) -> Row:
        """Get the open facts about an entry; they stay where it was first."""
        reader, index = self.locate(place)
        return reader.row(index)

    def entry(self, row: Row) -> bytes:
        """Read an entry's bytes."""
        return self.readers[row.number].entry(row)

    def values(self, row: Row) -> bytes:
        """Read an entry's positions and sealed values; empty when it has none."""
        return self.readers[row.number].values(row)

    def wrapped_secret(self, place: int) -> bytes:
        """Get an entry's wrapped secret."""
        reader, index = self.locate(place)
        return reader.wrapped_secret(index)

    def leaf(self, place: int) -> LeafHash:
        """Get the leaf hash of an entry."""
        reader, index = self.locate(place)
        return reader.leaf(index)

    def index_of(self, leaf: bytes) -> EntryIndex:
        """Find the place of the entry with a leaf hash (records logs).

        Raises:
            NotFound: No entry has this leaf hash.
        """
        found = self._reads.get(layout.leaf_key(leaf))
        if found is not None:
            place = layout.parse_u64(found)
            if leaf_hash(self.entry(self.row(place))) == leaf:
                return EntryIndex(place)
        raise NotFound("record-unknown", f"no record with leaf hash {leaf.hex()[:16]}… in this node's log")

    def stage(self, place: int) -> str:
        """Say how far an entry has come, in the log that proves it."""
        reader, index = self.proven(place)
        return reader.stage(index)
