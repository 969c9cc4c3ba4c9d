# SPDX-License-Identifier: Apache-2.0
"""Check everything that finds records again, and the reports and counters beside it, against the entries."""

from __future__ import annotations

from functools import partial
from hashlib import sha256
from typing import TYPE_CHECKING, Final

import msgpack

from node.core.ids import parse_uuid7
from node.records.status import INVALID, SUSPENDED, VALID
from node.records.tombstone import parse_tombstone
from node.service import layout
from node.service.fsck import boxes, exchanges, ledgers, looks
from node.service.fsck.findings import Finding, Marks, guarded
from node.service.issuing import DIGEST_BYTES
from node.service.jobs import DONE, parse_job
from node.service.layout import LogKind
from node.service.sending import Pending
from node.service.status import current_status, parse_history

if TYPE_CHECKING:
    from collections.abc import Iterator

    from node.ports import Reads
    from node.service.fsck.findings import Tally
    from node.service.reading import Logs

_LEAF_BYTES: Final = 16
_INDEX_BYTES: Final = 8
_OF_A_LOG: Final = tuple(bytes((byte,)) + log.value for byte in b"aceMmNntUyz" for log in LogKind)
_ONE: Final = tuple(bytes((byte,)) for byte in b"ABDFGHJKOPRXdghijkloqsuvwx")
CHECKED: Final = (layout.DOCUMENT_PREFIX, *_ONE)
"""Prefixes of the keys that are checked here and in node.service.fsck.status."""
PREFIXES: Final = sorted(
    {*_OF_A_LOG, *CHECKED, *boxes.CHECKED, *exchanges.CHECKED, *ledgers.CHECKED, *looks.CHECKED}
)
"""What the keys of a node begin with (node.service.layout); each is checked by the part of node.service.fsck that names it."""


class IndexCheck:
    """Compares the indices of the records log with the tally of its entries."""

    def __init__(self, reads: Reads, records: Logs, tally: Tally) -> None:
        self._reads = reads
        self._records = records
        self._tally = tally
        self._erased: set[int] = set()

    def run(self) -> Iterator[Finding]:
        """Check all of them."""
        superseded = Marks(*self._tally.records.sizes)
        yield from guarded("records", self._check_leaves)
        yield from guarded("erasures", self._check_erasures)
        yield from guarded("records", lambda: self._check_superseded(superseded))
        yield from guarded("identities", lambda: self._check_identities(superseded))
        yield from guarded("subjects", self._check_subjects)
        yield from guarded("imports", self._check_jobs)
        yield from guarded("receipts", self._check_pairs)
        yield from guarded("transaction under way", self._check_pending)
        yield from guarded("shared documents", self._check_documents)
        yield from self._check_keys()

    def _check_leaves(self) -> Iterator[Finding]:
        found = Marks(*self._tally.records.sizes)
        for key, value in self._reads.scan(b"l", layout.stop_of(b"l")):
            place = f"look-up by leaf hash {key[1:].hex()}"
            yield from guarded(place, partial(self._check_leaf, place, key, value, found))
        yield from self._missing(found, "look-up by leaf hash does not find the record")

    def _check_leaf(self, place: str, key: bytes, value: bytes, found: Marks) -> Iterator[Finding]:
        index = layout.parse_u64(value)
        fits = index in self._tally.records and self._records.leaf(index)[:_LEAF_BYTES] == key[1:]
        if not fits or not found.add(index):
            yield Finding("fsck-index", place, f"entry {index} is not the record with this leaf hash")

    def _check_erasures(self) -> Iterator[Finding]:
        """An erased record has a tombstone, no secret, and is found by its leaf hash alone."""
        without = dict(self._tally.tombstones)
        for key, value in self._reads.scan(b"x", layout.stop_of(b"x")):
            index = layout.parse_u64(key[1:])
            self._erased.add(index)
            place = f"erasure of records entry {index}"
            yield from guarded(place, partial(self._check_erasure, place, index, value, without))
        for at in without.values():
            yield Finding("fsck-erasure", f"records entry {at}", "tombstone of a record that is not erased")
        for key, value in self._reads.scan(b"X", layout.stop_of(b"X")):
            if layout.parse_u64(key[1:]) not in self._erased or type(msgpack.unpackb(value)) is not list:
                yield Finding("fsck-erasure", f"key {key.hex()}", "what is to be purged is of no erasure")

    def _check_erasure(
        self, place: str, index: int, value: bytes, without: dict[bytes, int]
    ) -> Iterator[Finding]:
        ground, erased, final_by, at, *_ = msgpack.unpackb(value)
        leaf = self._records.leaf(index)
        if without.pop(leaf, None) != at:
            yield Finding("fsck-erasure", place, f"entry {at} is not its tombstone")
            return
        tombstone = parse_tombstone(self._records.entry(self._records.row(at)))
        if (tombstone.ground, tombstone.erased, tombstone.final_by) != (ground, erased, final_by):
            yield Finding("fsck-erasure", place, "its tombstone says something else")
        if self._reads.get_secret(layout.secret_key(LogKind.RECORDS, index)) is not None:
            yield Finding("fsck-erasure", place, "the secret of the erased record is still there")
        history = parse_history(self._reads.get(layout.history_key(index)))
        status = current_status(self._reads, self._records.row(index))
        if any(change.sealed for change in history) or status in (VALID, SUSPENDED):
            yield Finding(
                "fsck-erasure", place, "erased record is in force, or grounds of its changes are kept"
            )

    def _check_superseded(self, superseded: Marks) -> Iterator[Finding]:
        for index, leaf in self._tally.supersedes:
            place = f"records entry {index}"
            yield from guarded(place, partial(self._check_old, place, leaf, superseded))

    def _check_old(self, place: str, leaf: bytes, superseded: Marks) -> Iterator[Finding]:
        old = self._records.index_of(leaf)
        superseded.add(old)
        if current_status(self._reads, self._records.row(old)) != INVALID:
            yield Finding("fsck-status", place, f"record {old}, which it corrects, is not invalid")

    def _check_identities(self, superseded: Marks) -> Iterator[Finding]:
        found = Marks(*self._tally.records.sizes)
        for key, value in self._reads.scan(b"i", layout.stop_of(b"i")):
            place = f"identity {key[1:].hex()}"
            index = layout.parse_u64(value[:_INDEX_BYTES])
            if len(key) != 1 + DIGEST_BYTES or len(value) != _INDEX_BYTES + DIGEST_BYTES:
                yield Finding("fsck-index", place, "identity or what it leads to has the wrong length")
            elif index not in self._tally.records or not found.add(index):
                yield Finding("fsck-index", place, f"entry {index} is no record, or has two identities")
            if index in self._erased:
                yield Finding("fsck-erasure", place, f"a digest of erased record {index} is kept")
        # A correction takes over the identity of the record that it corrects, unless it changed the identity.
        for index in (*superseded, *self._erased):
            found.add(index)
        yield from self._missing(found, "no identity leads to the record")

    def _check_subjects(self) -> Iterator[Finding]:
        found = Marks(*self._tally.records.sizes)
        for key, value in self._reads.scan(b"s", layout.stop_of(b"s")):
            place = f"subject {key[1:].hex()}"
            index = layout.parse_u64(key[1 + DIGEST_BYTES :])
            if value or index not in self._tally.records or not found.add(index):
                yield Finding("fsck-index", place, f"entry {index} is no record, or has two subjects")
            if index in self._erased:
                yield Finding("fsck-erasure", place, f"a digest of erased record {index} is kept")
        for index in self._erased:
            found.add(index)
        yield from self._missing(found, "no subject leads to the record")

    def _missing(self, found: Marks, detail: str) -> Iterator[Finding]:
        for index in self._tally.records:
            if index not in found:
                yield Finding("fsck-index", f"records entry {index}", detail)

    def _check_jobs(self) -> Iterator[Finding]:
        known = set()
        for key, value in self._reads.scan(b"j", layout.stop_of(b"j")):
            place = f"import {key[1:].hex()}"
            known.add(key[1:])
            yield from guarded(place, partial(_check_job, place, key, value))
        for key, value in self._reads.scan(b"J", layout.stop_of(b"J")):
            place = f"refusals {key[1:].hex()}"
            rows = [refusal[0] for refusal in msgpack.unpackb(value)]
            if key[1 : 1 + _LEAF_BYTES] not in known or layout.parse_u64(key[-_INDEX_BYTES:]) != min(rows):
                yield Finding("fsck-import", place, "refused rows belong to no import, or to another place")

    def _check_pairs(self) -> Iterator[Finding]:
        tally = self._tally
        scanned = self._reads.scan(layout.PAIR_KEY, layout.stop_of(layout.PAIR_KEY))
        counted = {key[1:].decode("ascii"): layout.parse_u64(value) for key, value in scanned}
        passed, base = (
            layout.parse_u64(self._reads.get(key) or bytes(8))
            for key in (layout.PASSED_PAIRS_KEY, layout.PAIR_BASE_KEY)
        )
        found = sum(counted.values()) - passed
        if found != tally.looks:
            yield Finding("fsck-pairs", "receipts", f"{found} receipts are counted, want {tally.looks}")
        for aud, (first, last) in tally.pairs.items():
            given = counted.get(aud, 0)
            if given < last or (not (base or passed) and (given != last or first > 1 + tally.unnumbered)):
                yield Finding("fsck-pairs", f"receipts for {aud}", f"{given} are counted, want {last}")
        noted = sum(1 for _ in self._reads.scan(b"R", layout.stop_of(b"R")))
        if noted != tally.looks - tally.unnumbered:
            yield Finding("fsck-pairs", "receipts", f"{noted} receipts are noted beside {tally.looks} events")

    def _check_pending(self) -> Iterator[Finding]:
        stored = self._reads.get(layout.PENDING_TRANSACTION_KEY)
        if stored is not None:
            Pending(*msgpack.unpackb(stored))
        return iter(())

    def _check_documents(self) -> Iterator[Finding]:
        prefix = layout.DOCUMENT_PREFIX
        for key, value in self._reads.scan(prefix, layout.stop_of(prefix)):
            if sha256(value).digest() != key[len(prefix) :]:
                yield Finding(
                    "fsck-document", f"document {key[len(prefix) :].hex()}", "it has another digest"
                )

    def _check_keys(self) -> Iterator[Finding]:
        """Look between the ranges of known keys, and at keys that are all they say."""
        for bare in (b"G", b"O"):
            for key, value in self._reads.scan(bare, layout.stop_of(bare)):
                if value:
                    yield Finding("fsck-key", f"key {key.hex()}", "there are bytes under a key that has none")
        edge = b"\x01"
        for prefix in (*PREFIXES, None):
            for key, _ in self._reads.scan(edge, prefix, limit=1):
                yield Finding("fsck-key", f"key {key.hex()}", "no part of a node writes such a key")
            edge = layout.stop_of(prefix) if prefix else b""


def _check_job(place: str, key: bytes, value: bytes) -> Iterator[Finding]:
    job = parse_job(value)
    counted = job.accepted + job.duplicate + job.refused
    if parse_uuid7(job.id) != key[1:] or (job.state == DONE and job.read != counted):
        yield Finding("fsck-import", place, "report does not fit its import, or does not add up")
