# SPDX-License-Identifier: Apache-2.0
"""Check status lists, histories, tokens and heads against each other and against the records."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

import msgpack

from node.core.encoding import parse_b64u
from node.crypto.token import parse_token, token_digest
from node.log.merkle import leaf_hash, root_of
from node.records.status import (
    BITS,
    LIST_BYTES,
    LIST_SIZE,
    MAX_STATUS_HEAD_BYTES,
    MAX_STATUS_TOKEN_BYTES,
    STATUS_HEAD_TYP,
    STATUS_LIST_TYP,
    VALID,
    StatusList,
    decompress_places,
)
from node.service import layout
from node.service.fsck.findings import Finding, guarded
from node.service.status import current_status, parse_history

if TYPE_CHECKING:
    from collections.abc import Iterator

    from node.ports import Reads
    from node.service.fsck.findings import Tally
    from node.service.reading import Logs

_NUMBER_BYTES: Final = 4
_CHANGED: Final = tuple(sum(1 for shift in range(0, 8, BITS) if byte >> shift & 3) for byte in range(256))
"""How many of the places in a byte of a list are not valid."""


class StatusCheck:
    """Checks everything that says whether records are in force."""

    def __init__(self, reads: Reads, records: Logs, tally: Tally) -> None:
        self._reads = reads
        self._records = records
        self._tally = tally
        self._changed: dict[int, int] = {}
        self._tokens: dict[int, bytes] = {}

    def run(self) -> Iterator[Finding]:
        """Check all of it."""
        yield from guarded("status histories", self._check_histories)
        yield from guarded("status heads", self._check_heads)
        yield from guarded("status lists", self._check_lists)

    def _check_histories(self) -> Iterator[Finding]:
        for key, value in self._reads.scan(b"o", layout.stop_of(b"o")):
            place = f"status history of records entry {layout.parse_u64(key[1:])}"
            yield from guarded(place, partial(self._check_history, place, key, value))

    def _check_history(self, place: str, key: bytes, value: bytes) -> Iterator[Finding]:
        index = layout.parse_u64(key[1:])
        row = self._records.row(index)
        last = parse_history(value)[-1].status
        if index not in self._tally.records or current_status(self._reads, row) != last:
            yield Finding("fsck-status", place, "its last change is not the status of a record")
        if last != VALID:
            self._changed[row.status_list] = self._changed.get(row.status_list, 0) + 1

    def _check_heads(self) -> Iterator[Finding]:
        """Go through the heads in order, with the tokens that were new in each."""
        new: dict[int, list[tuple[int, bytes]]] = {}
        for key, digest in self._reads.scan(b"h", layout.stop_of(b"h")):
            number, seq = layout.u32(key[1 : 1 + _NUMBER_BYTES]), layout.parse_u64(key[1 + _NUMBER_BYTES :])
            new.setdefault(seq, []).append((number, digest))
            self._tokens[number] = digest
            place = f"token of status list {number} from head {seq}"
            yield from guarded(place, partial(self._check_token, place, digest))
        digests: list[bytes] = []
        heads = list(self._reads.scan(b"H", layout.stop_of(b"H")))
        expected = 0
        for key, value in heads:
            seq = layout.parse_u64(key[1:])
            for number, digest in sorted(new.pop(seq, [])):
                digests[number : number + 1] = [digest]
            place = f"status head {seq}"
            if seq != expected and self._reads.get(layout.passed_heads_key(seq)) is None:
                yield Finding("fsck-status", place, f"number of the head is {seq}, want {expected}")
            expected = seq + 1
            yield from guarded(place, partial(self._check_head, place, seq, value, digests))
        if new or len(heads) != len(self._tally.heads):
            yield Finding(
                "fsck-status", "status heads", f"{len(heads)} are listed, want {len(self._tally.heads)}"
            )

    def _check_token(self, place: str, digest: bytes) -> Iterator[Finding]:
        token = self._reads.get(layout.token_key(digest))
        if token is None or token_digest(token.decode()) != digest:
            yield Finding("fsck-status", place, "no token with this digest is stored")

    def _check_head(self, place: str, seq: int, value: bytes, digests: list[bytes]) -> Iterator[Finding]:
        index, lists = msgpack.unpackb(value)
        entry = self._records.entry(self._records.row(index))
        claims = parse_token(entry, typ=STATUS_HEAD_TYP, max_bytes=MAX_STATUS_HEAD_BYTES).payload
        root = root_of([leaf_hash(digest) for digest in digests])
        signed = (claims["seq"], claims["lists"], parse_b64u(claims["root"]))
        if lists != len(digests) or signed != (seq, len(digests), root):
            yield Finding("fsck-status", place, "the tokens do not give what was signed")

    def _check_lists(self) -> Iterator[Finding]:
        stored = {layout.u32(key[1:]): data for key, data in self._reads.scan(b"k", layout.stop_of(b"k"))}
        used = {layout.u32(key[1:]): data for key, data in self._reads.scan(b"u", layout.stop_of(b"u"))}
        numbers = stored.keys() | used.keys() | self._tally.places.keys() | self._tokens.keys()
        for number in sorted(numbers):
            place = f"status list {number}"
            # A list that was opened for a successor has a bitmap before it has a record.
            none = bytes(LIST_SIZE // 8)
            if bytes(self._tally.places.get(number, none)) != used.get(number, none):
                yield Finding("fsck-status", place, "places marked used are not those of the records")
            if number not in stored:
                yield Finding("fsck-status", place, "list is not stored")
            else:
                yield from guarded(place, partial(self._check_list, place, number, stored[number]))

    def _check_list(self, place: str, number: int, data: bytes) -> Iterator[Finding]:
        StatusList(data)
        changed = sum(map(_CHANGED.__getitem__, data.translate(None, b"\0")))
        if changed != self._changed.get(number, 0):
            yield Finding(
                "fsck-status", place, f"{changed} records are not valid, want {self._changed.get(number, 0)}"
            )
        if self._reads.get(layout.status_dirty_key(number)) is None and not self._is_signed(number, data):
            yield Finding("fsck-status", place, "its newest token says otherwise")

    def _is_signed(self, number: int, data: bytes) -> bool:
        token = self._reads.get(layout.token_key(self._tokens.get(number, b"")))
        if token is None:
            return False
        claims = parse_token(token, typ=STATUS_LIST_TYP, max_bytes=MAX_STATUS_TOKEN_BYTES).payload
        return decompress_places(claims["status_list"]["lst"], max_bytes=LIST_BYTES) == data
