# SPDX-License-Identifier: Apache-2.0
"""Check entry by entry: what each one says is what its row, its tile and its secret say."""

from __future__ import annotations

from base64 import urlsafe_b64decode
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

import orjson

from node.access.event import ParsedEvent, parse_entry
from node.access.request import SEALED
from node.core.encoding import parse_b64u
from node.core.ids import parse_uuid7
from node.core.types import EntryIndex
from node.crypto.token import parse_token
from node.errors import InvalidInput
from node.log.merkle import leaf_hash
from node.log.succession import parse_succession
from node.records.names import parse_status_uri, parse_vct
from node.records.profile import ABSENT, RECORD_TYP
from node.records.status import LIST_SIZE, MAX_STATUS_HEAD_BYTES, STATUS_HEAD_TYP
from node.records.tombstone import TOMBSTONE_TYP, parse_tombstone
from node.service import layout
from node.service.fsck.findings import Finding, name_of
from node.service.layout import DISCLOSURES, NO_LIST, LogKind
from node.service.transaction import LENGTH_PREFIX_BYTES

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from node.ports import Reads
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
        taken: Where each entry that a log took over stood before, by its place there now.
    """

    def __init__(
        self, reads: Reads, kinds: Mapping[int, str], tally: Tally, taken: Mapping[LogKind, Mapping[int, int]]
    ) -> None:
        self._reads = reads
        self._taken = taken
        self._kinds = kinds
        self._tally = tally
        passed = (layout.PASSED_PAIRS_KEY, layout.PAIR_BASE_KEY)
        self._passed = any(reads.get(key) is not None for key in passed)

    def check(self, reader: LogReader, index: EntryIndex, row: Row) -> Iterator[Finding]:
        """Check one entry whose row lies where it must."""
        place = f"{name_of(reader)} entry {index}"
        stream = layout.entries_stream(reader.kind, reader.number)
        begin = row.entry_offset - LENGTH_PREFIX_BYTES
        data = self._reads.read(stream, begin, LENGTH_PREFIX_BYTES + row.entry_length)
        entry = data[LENGTH_PREFIX_BYTES:]
        if int.from_bytes(data[:LENGTH_PREFIX_BYTES], "big") != row.entry_length:
            yield Finding("fsck-stream", place, "length before the entry is not that of its row")
        if reader.leaf(index) != leaf_hash(entry):
            yield Finding("fsck-leaf", place, "leaf hash in the level-0 tile is not that of the entry")
        if reader.place(index) in self._taken[reader.kind]:
            yield from self._check_taken(reader, index, row)
        elif reader.number and index == 0:
            parse_succession(entry)
            yield from _check_plain(row, place)
        elif reader.kind is LogKind.ACCESS:
            yield from self._check_event(reader, index, row, entry)
        elif row.status_list == NO_LIST:
            yield from _check_plain(row, place)
            if _is_tombstone(entry):
                self._tally.tombstones[parse_tombstone(entry).leaf] = reader.place(index)
                return
            parse_token(entry, typ=STATUS_HEAD_TYP, max_bytes=MAX_STATUS_HEAD_BYTES)
            self._tally.heads.append(EntryIndex(reader.place(index)))
        else:
            yield from self._check_record(reader, index, row, entry)

    def _check_taken(self, reader: LogReader, index: EntryIndex, row: Row) -> Iterator[Finding]:
        """An entry that was taken over is the one that it stands for, and has nothing beside it but its bytes."""
        place = f"{name_of(reader)} entry {index}"
        yield from _check_plain(row, place)
        before = self._taken[reader.kind][reader.place(index)]
        number, old = layout.split_place(before)
        tile, at = divmod(old, 256)
        hashes = self._reads.get(layout.tile_key(reader.kind, 0, tile, number)) or b""
        if hashes[at * 32 : at * 32 + 32] != reader.leaf(index):
            yield Finding("fsck-leaf", place, f"it is not entry {old} of log {number}, which it stands for")

    def _check_event(self, reader: LogReader, index: EntryIndex, row: Row, entry: bytes) -> Iterator[Finding]:
        place = f"{name_of(reader)} entry {index}"
        event = parse_entry(entry)
        if not isinstance(event, ParsedEvent):
            yield from _check_plain(row, place)
            return
        self._tally.looks += 1
        if event.kind == SEALED:
            self._tally.sealed.add(reader.place(index))
        if row.key != event.rid or not row.values_length or _is_record(row):
            yield Finding("fsck-row", place, "row does not fit the event")
        yield from self._check_receipt(reader.place(index), place)
        reader.values(row)
        reader.wrapped_secret(index)

    def _check_receipt(self, place: int, name: str) -> Iterator[Finding]:
        """Receipts for one member are numbered one after the other, but where numbers were passed over."""
        tally, stored = self._tally, self._reads.get(layout.receipt_key(place))
        if stored is None:
            tally.unnumbered += 1
            if tally.pairs:
                yield Finding("fsck-pairs", name, "it is not known whom its receipt is for")
            return
        aud, pair = layout.parse_receipt(stored)
        first, last = tally.pairs.get(aud, (pair, pair - 1))
        tally.pairs[aud] = first, pair
        if pair != last + 1 and (pair <= last or not self._passed):
            yield Finding("fsck-pairs", name, f"its receipt has number {pair}, want {last + 1}")

    def _check_record(
        self, reader: LogReader, index: EntryIndex, row: Row, entry: bytes
    ) -> Iterator[Finding]:
        place = f"{name_of(reader)} entry {index}"
        claims = _read_claims(entry)
        listed = claims["status"]["status_list"]
        here = (row.key, row.status_list, row.status_index, self._kinds.get(row.kind))
        there = (
            parse_uuid7(claims["jti"]),
            _list_of(listed["uri"]),
            listed["idx"],
            _item_of(claims["vct"]),
        )
        if here != there or not 0 < row.disclosure < len(DISCLOSURES):
            yield Finding("fsck-row", place, "row does not fit the record")
        self._tally.records.add(reader.place(index))
        if "supersedes" in claims:
            self._tally.supersedes.append((EntryIndex(reader.place(index)), parse_b64u(claims["supersedes"])))
        bitmap = self._tally.places.setdefault(row.status_list, bytearray(LIST_SIZE // 8))
        byte, bit = row.status_index >> 3, 1 << (row.status_index & 7)
        if bitmap[byte] & bit:
            yield Finding("fsck-status", place, "another record has the same place in the status list")
        bitmap[byte] |= bit
        yield from _check_values(reader.values(row), len(claims["_sd"]), place)
        if self._reads.get(layout.erasure_key(reader.place(index))) is None:
            reader.wrapped_secret(index)


def _read_claims(entry: bytes) -> dict[str, Any]:
    """Read the claims of a record. Its leaf hash binds the bytes, so only what they say is asked here, not their form."""
    header, payload, _ = entry.split(b".")
    _check_header(header)
    claims: dict[str, Any] = orjson.loads(urlsafe_b64decode(payload + b"=="))
    return claims


@lru_cache(maxsize=64)
def _check_header(header: bytes) -> None:
    typ = orjson.loads(urlsafe_b64decode(header + b"=="))["typ"]
    if typ != RECORD_TYP:
        raise InvalidInput("jws-typ", f"entry with a place in a status list is no record: want {RECORD_TYP}")


@lru_cache(maxsize=4_096)
def _list_of(uri: str) -> int:
    return parse_status_uri(uri).k


@lru_cache(maxsize=64)
def _item_of(vct: str) -> str:
    parsed = parse_vct(vct)
    return f"{parsed.item}:{parsed.version}"


def _check_values(stored: bytes, digests: int, place: str) -> Iterator[Finding]:
    """Check what lies before the sealed values: the place of each field's digest. What is sealed stays so."""
    count = stored[0]
    positions = [at for at in stored[1 : 1 + count] if at != ABSENT]
    if len(stored) <= 1 + count or len(set(positions)) != len(positions):
        yield Finding("fsck-values", place, "places of digests before the sealed values do not fit")
    elif max(positions, default=0) >= digests:
        yield Finding("fsck-values", place, "place of a digest lies behind the last one")


def _is_tombstone(entry: bytes) -> bool:
    header, _, _ = entry.partition(b".")
    try:
        return bool(orjson.loads(urlsafe_b64decode(header + b"=="))["typ"] == TOMBSTONE_TYP)
    except (ValueError, KeyError, TypeError):
        return False


def _check_plain(row: Row, place: str) -> Iterator[Finding]:
    if row.key != _NO_KEY or row.values_length or _is_record(row):
        yield Finding("fsck-row", place, "row speaks of more than the entry has")


def _is_record(row: Row) -> bool:
    return (row.status_list, row.status_index, row.kind, row.disclosure) != (NO_LIST, 0, 0, 0)
