# SPDX-License-Identifier: Apache-2.0
"""Check entry by entry: what each one says is what its row, its tile and its secret say."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from node.access.event import ParsedEvent, parse_entry
from node.core.ids import parse_uuid7
from node.log.merkle import leaf_hash
from node.records.issue import ABSENT
from node.records.names import parse_status_uri
from node.records.record import parse_record
from node.records.status import LIST_SIZE, MAX_STATUS_HEAD_BYTES, STATUS_HEAD_TYP
from node.records.token import parse_token
from node.service import layout
from node.service.fsck.findings import Finding
from node.service.layout import DISCLOSURES, NO_LIST, LogKind
from node.service.transaction import LENGTH_PREFIX_BYTES

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from node.core.types import EntryIndex
    from node.ports import Reads
    from node.records.record import Record
    from node.service.fsck.findings import Tally
    from node.service.layout import Row
    from node.service.reading import LogReader

_NO_KEY: Final = bytes(16)


class EntryCheck:
    """Checks single entries and keeps the tally of them.

    Args:
        reads: The store.
        kinds: Catalogue item, ``<item>:<version>``, of each kind number.
        tally: What the entries say.
    """

    def __init__(self, reads: Reads, kinds: Mapping[int, str], tally: Tally) -> None:
        self._reads = reads
        self._kinds = kinds
        self._tally = tally

    def check(self, reader: LogReader, index: EntryIndex, row: Row) -> Iterator[Finding]:
        """Check one entry whose row lies where it must."""
        place = f"{reader.kind.text} entry {index}"
        stream = layout.entries_stream(reader.kind, reader.number)
        begin = row.entry_offset - LENGTH_PREFIX_BYTES
        data = self._reads.read(stream, begin, LENGTH_PREFIX_BYTES + row.entry_length)
        entry = data[LENGTH_PREFIX_BYTES:]
        if int.from_bytes(data[:LENGTH_PREFIX_BYTES], "big") != row.entry_length:
            yield Finding("fsck-stream", place, "length before the entry is not that of its row")
        if reader.leaf(index) != leaf_hash(entry):
            yield Finding("fsck-leaf", place, "leaf hash in the level-0 tile is not that of the entry")
        if reader.kind is LogKind.ACCESS:
            yield from self._check_event(reader, index, row, entry)
        elif row.status_list == NO_LIST:
            parse_token(entry, typ=STATUS_HEAD_TYP, max_bytes=MAX_STATUS_HEAD_BYTES)
            self._tally.heads.append(index)
            yield from _check_plain(row, place)
        else:
            yield from self._check_record(reader, index, row, entry)

    def _check_event(self, reader: LogReader, index: EntryIndex, row: Row, entry: bytes) -> Iterator[Finding]:
        place = f"{reader.kind.text} entry {index}"
        event = parse_entry(entry)
        if not isinstance(event, ParsedEvent):
            yield from _check_plain(row, place)
            return
        self._tally.looks += 1
        if row.key != event.rid or not row.values_length or _is_record(row):
            yield Finding("fsck-row", place, "row does not fit the event")
        reader.values(row)
        reader.wrapped_secret(index)

    def _check_record(
        self, reader: LogReader, index: EntryIndex, row: Row, entry: bytes
    ) -> Iterator[Finding]:
        place = f"{reader.kind.text} entry {index}"
        record = parse_record(entry)
        claims = record.claims
        item = f"{claims.item.item}:{claims.item.version}"
        here = (row.key, row.status_list, row.status_index, self._kinds.get(row.kind))
        there = (parse_uuid7(claims.jti), parse_status_uri(claims.status_uri).k, claims.status_idx, item)
        if here != there or not 0 < row.disclosure < len(DISCLOSURES):
            yield Finding("fsck-row", place, "row does not fit the record")
        self._tally.records.add(index)
        if claims.supersedes is not None:
            self._tally.supersedes.append((index, claims.supersedes))
        bitmap = self._tally.places.setdefault(row.status_list, bytearray(LIST_SIZE // 8))
        byte, bit = row.status_index >> 3, 1 << (row.status_index & 7)
        if bitmap[byte] & bit:
            yield Finding("fsck-status", place, "another record has the same place in the status list")
        bitmap[byte] |= bit
        yield from _check_values(reader.values(row), record, place)
        reader.wrapped_secret(index)


def _check_values(stored: bytes, record: Record, place: str) -> Iterator[Finding]:
    """Check what lies before the sealed values: the place of each field's digest. What is sealed stays so."""
    count = stored[0]
    positions = [at for at in stored[1 : 1 + count] if at != ABSENT]
    if len(stored) <= 1 + count or len(set(positions)) != len(positions):
        yield Finding("fsck-values", place, "places of digests before the sealed values do not fit")
    elif max(positions, default=0) >= len(record.digests):
        yield Finding("fsck-values", place, "place of a digest lies behind the last one")


def _check_plain(row: Row, place: str) -> Iterator[Finding]:
    if row.key != _NO_KEY or row.values_length or _is_record(row):
        yield Finding("fsck-row", place, "row speaks of more than the entry has")


def _is_record(row: Row) -> bool:
    return (row.status_list, row.status_index, row.kind, row.disclosure) != (NO_LIST, 0, 0, 0)
