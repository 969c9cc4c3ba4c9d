# SPDX-License-Identifier: Apache-2.0
"""Erase a record (protocol section 10, docs/erasure.md).

    1. the order stands in the access log as an ``erase`` event: only then the record is opened, by the one function that
       may, to find the digests under which it is indexed
    2. one commit: the tombstone into the records log; the record's secret deleted, its identity, content and subject
       digests deleted, the grounds of its status changes dropped, its status invalid if it was in force; and the note that
       its traces have to be purged from the disk
    3. purge: the store rewrites what still holds deleted bytes
    4. the note is removed

Before the commit of 2 nothing has happened but an order, behind it the record can never be opened again. The note makes 3
and 4 happen however often the node dies on the way: every start takes them up, and so does a timer while a reader held the
old state. The record's entry stays in the log, and everything that was ever proved about it goes on verifying.
"""

from __future__ import annotations

import threading
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from hashlib import sha256
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

import msgpack

from node.core.encoding import encode_b64u
from node.core.types import EntryIndex
from node.errors import InvalidInput, NodeError, NotFound, Verification
from node.records.identity import DIGEST_BYTES
from node.records.names import parse_vct
from node.records.record import parse_record
from node.records.status import INVALID
from node.records.tombstone import BACKUP_SECONDS, Tombstone, build_tombstone, check_ground
from node.service import layout
from node.service.drafting import OWN_DEPARTMENT, Release
from node.service.layout import NO_LIST, LogKind
from node.service.status import current_status, invalidate_erased

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from node.core.clock import Clock
    from node.core.types import LeafHash, MemberCode
    from node.crypto.ed25519 import Ed25519Signer
    from node.ports import Reads, Store
    from node.service.drafting import Purpose
    from node.service.layout import Row
    from node.service.looking import AccessLog, Look
    from node.service.reading import Logs
    from node.service.sequencer import Sequencer
    from node.service.transaction import Transaction
    from node.service.vault import Vault

KIND: Final = "erase"
_COARSE_BYTES: Final = 3
"""Prefix letter and two bytes of a digest: all of it that may stand in LevelDB's own log of compactions."""
_BEYOND: Final = b"\xff" * 32
_PLACE_BYTES: Final = 8


@dataclass(frozen=True, slots=True)
class Erasure:
    """An erased record.

    Attributes:
        place: Its entry in the records log, as a place (node.service.layout).
        ground: Code of the ground.
        erased: When its secret was deleted, in seconds.
        final_by: When the last backup with its secret has expired, in seconds.
        tombstone: Entry of the tombstone in the records log.
        event: Entry of the event in the access log.
        purged: Whether the deleted bytes are gone from this node's disk.
        versions: Places of the records that it corrected or that corrected it, directly or through others, as known when
            it was erased.
    """

    place: EntryIndex
    ground: str
    erased: int
    final_by: int
    tombstone: EntryIndex
    event: EntryIndex
    purged: bool
    versions: tuple[EntryIndex, ...]


@dataclass(frozen=True, slots=True)
class Erased:
    """What an order to erase has led to.

    Attributes:
        erasure: The erasure.
        receipt: Receipt of its event; None when it was done before.
        also: Other versions of the record that were erased with it.
    """

    erasure: Erasure
    receipt: str | None
    also: tuple[Erased, ...] = ()


@dataclass(frozen=True, slots=True)
class ShownErasure:
    """What can be shown of an erasure to anybody.

    Attributes:
        leaf: Leaf hash of the record.
        item: Catalogue item of the record, ``<item>:<version>``.
        tombstone: The signed token.
        origin: The log that the tombstone is in.
        index: Its entry there.
        stage: How far that entry has come.
        open_versions: Leaf hashes of other versions of the record that are not erased.
    """

    leaf: LeafHash
    item: str
    tombstone: str
    origin: str
    index: EntryIndex
    stage: str
    open_versions: tuple[LeafHash, ...]


@dataclass(frozen=True, slots=True)
class _Order:
    """What is decided before the commit."""

    place: EntryIndex
    row: Row
    leaf: LeafHash
    ground: str
    identities: Sequence[bytes]
    subject: bytes
    event: int
    versions: Sequence[EntryIndex]


def find_erasure(reads: Reads, place: int) -> Erasure | None:
    """Find the erasure of a record, None when it is not erased."""
    stored = reads.get(layout.erasure_key(place))
    return None if stored is None else _parse(place, stored, purged=_is_purged(reads, place))


class Eraser:
    """Erases records of this node.

    Args:
        store: The store.
        logs: The records logs.
        sequencer: The writer.
        access: The access log.
        vault: Opens records for logged looks.
        member: This node's member.
        signer: The record key.
        index_key: Keys the digests in indices, 32 bytes.
        clock: The clock.
    """

    def __init__(
        self,
        store: Store,
        logs: Logs,
        sequencer: Sequencer,
        access: AccessLog,
        vault: Vault,
        *,
        member: MemberCode,
        signer: Ed25519Signer,
        index_key: bytes,
        clock: Clock,
    ) -> None:
        self._store = store
        self._logs = logs
        self._sequencer = sequencer
        self._access = access
        self._vault = vault
        self._member = member
        self._signer = signer
        self._index_key = index_key
        self._clock = clock
        self._purging = threading.Lock()

    def erase(self, leaf: bytes, *, ground: str, why: Purpose, with_versions: bool = False) -> Erased:
        """Erase a record for good. One that is erased already stays as it is.

        What is committed is reported as done, whatever happens to the purge: the timer goes on with that.

        Args:
            leaf: Leaf hash of the record, 32 bytes.
            ground: One of ``node.records.tombstone.GROUNDS``; stands in the log, open to all.
            why: Who orders it, and what the access log shall say of it.
            with_versions: Erase the records as well that it corrected or that corrected it, each with an event of its own;
                where one fails the rest stay for another order.

        Raises:
            NotFound: No such record; or ``secret-unknown``: its secret is not there though nobody erased it.
            InvalidInput: ``erase-ground``.
            Unavailable, Conflict, Fatal: The logs did not take it, and nothing is erased.
        """
        check_ground(ground)
        place = self._logs.index_of(leaf)
        row = self._logs.row(place)
        if row.status_list == NO_LIST:
            raise NotFound("record-unknown", f"entry {place} of the records log is no record")
        done = self._erase_one(place, row, ground, why)
        if not with_versions:
            return done
        also: list[Erased] = []
        with suppress(NodeError):
            also.extend(
                self._erase_one(version, self._logs.row(version), ground, why)
                for version in done.erasure.versions
                if self._is_open(version)
            )
        return replace(done, also=tuple(also))

    def _erase_one(self, place: EntryIndex, row: Row, ground: str, why: Purpose) -> Erased:
        receipt = None
        done = find_erasure(self._store, place)
        if done is None:
            order, receipt = self._log(place, row, ground, why)
            done = self._sequencer.run(partial(self._write, order))
        purged = False
        with suppress(NodeError):
            purged = self.purge(place)
        return Erased(replace(done, purged=purged), receipt)

    def _is_open(self, place: int) -> bool:
        return self._store.get_secret(layout.secret_key(LogKind.RECORDS, place)) is not None

    def find(self, leaf: bytes) -> Erasure:
        """Find the erasure of a record.

        Raises:
            NotFound: No such record, or ``erasure-unknown``: it is not erased.
        """
        place = self._logs.index_of(leaf)
        found = find_erasure(self._store, place)
        if found is None:
            raise NotFound("erasure-unknown", f"the record at index {place} is not erased")
        return found

    def list_all(self, *, limit: int, after: int | None = None) -> list[Erasure]:
        """List erasures in the order of the records.

        Args:
            limit: At most this many.
            after: Only records behind this place.
        """
        start = layout.erasure_key(0 if after is None else after + 1)
        found = self._store.scan(start, layout.stop_of(b"x"), limit=limit)
        return [
            _parse(place, value, purged=_is_purged(self._store, place))
            for place, value in ((layout.parse_u64(key[1:]), value) for key, value in found)
        ]

    def show(self, erasure: Erasure) -> ShownErasure:
        """Gather what can be shown of an erasure."""
        record = parse_record(self._logs.entry(self._logs.row(erasure.place)))
        vct = parse_vct(record.claims.vct)
        token = self._logs.entry(self._logs.row(erasure.tombstone)).decode("ascii")
        reader, index = self._logs.proven(erasure.tombstone)
        return ShownErasure(
            self._logs.leaf(erasure.place),
            f"{vct.item}:{vct.version}",
            token,
            reader.origin,
            index,
            reader.stage(index),
            tuple(self._logs.leaf(place) for place in erasure.versions if self._is_open(place)),
        )

    def purge(self, place: int) -> bool:
        """Remove from the disk what an erasure left there; True when nothing is left to do.

        Raises:
            Unavailable, Conflict, Fatal: It cannot be written now; a later call goes on.
        """
        key = layout.purge_key(place)
        with self._purging:
            noted = self._store.get(key)
            if noted is None:
                return True
            ranges = [(first, last) for first, last in msgpack.unpackb(noted)]
            if not self._store.purge(ranges, [layout.secret_key(LogKind.RECORDS, place)]):
                return False
            self._sequencer.run(lambda t: t.delete(key), entries=0)
            return True

    def purge_all(self) -> int:
        """Go on with every erasure whose traces are still on the disk; the number of those that remain.

        Raises:
            Unavailable, Conflict, Fatal: As for ``purge``.
        """
        waiting = [layout.parse_u64(key[1:]) for key, _ in self._store.scan(b"X", layout.stop_of(b"X"))]
        return sum(not self.purge(place) for place in waiting)

    def _log(self, place: EntryIndex, row: Row, ground: str, why: Purpose) -> tuple[_Order, str]:
        """Log the order, then find what leads to the record; give the order to carry out and the receipt."""
        jwt = self._logs.entry(row)
        vct = parse_record(jwt).claims.vct
        self._logs.wrapped_secret(place)
        about = Release(place, encode_b64u(sha256(jwt).digest()), vct, MappingProxyType({}))
        logged = self._access.log_look(KIND, why, [about], rule=OWN_DEPARTMENT)
        leaf = self._logs.leaf(place)
        identities, subject = self._index_keys(logged.look, place)
        versions = self._find_versions(place, row, identities, subject)
        if not self._are_complete(identities, place, versions):
            identities = self._search_identities(place)
        if self._store.get(subject) is None:
            subject = self._search_subject(place) or subject
        order = _Order(place, row, leaf, ground, identities, subject, logged.index, versions)
        return order, logged.receipt

    def _find_versions(
        self, place: EntryIndex, row: Row, identities: Sequence[bytes], subject: bytes
    ) -> list[EntryIndex]:
        """Find the records before and behind one in a line of corrections, the oldest first.

        What a record corrects stands in it. What corrects it is found by its identity, its subject, or among the erased.
        """
        before = self._ancestors(place)
        if current_status(self._store, row) != INVALID:
            return before[::-1]
        behind: set[EntryIndex] = set()
        for candidates in (
            self._places_of_identities(identities),
            self._places_of_subject(subject),
            (
                EntryIndex(layout.parse_u64(key[1:]))
                for key, _ in self._store.scan(b"x", layout.stop_of(b"x"))
            ),
        ):
            for candidate in candidates:
                line = [candidate, *self._ancestors(candidate)]
                if place in line[1:]:
                    behind.update(line[: line.index(place)])
            if behind and current_status(self._store, self._logs.row(max(behind))) != INVALID:
                break
        return sorted({*before, *behind})

    def _places_of_identities(self, keys: Sequence[bytes]) -> Iterator[EntryIndex]:
        for key in keys:
            if (stored := self._store.get(key)) is not None:
                yield EntryIndex(layout.parse_u64(stored[:_PLACE_BYTES]))

    def _places_of_subject(self, key: bytes) -> Iterator[EntryIndex]:
        prefix = key[:-_PLACE_BYTES]
        for found, _ in self._store.scan(prefix, layout.stop_of(prefix)):
            yield EntryIndex(layout.parse_u64(found[-_PLACE_BYTES:]))

    def _ancestors(self, place: int) -> list[EntryIndex]:
        """Give what a record corrected, what that one did, and so on."""
        found: list[EntryIndex] = []
        while (leaf := self._corrects(place)) is not None:
            place = self._logs.index_of(leaf)
            found.append(EntryIndex(place))
        return found

    def _corrects(self, place: int) -> bytes | None:
        """Give the leaf hash of what a record corrects."""
        return parse_record(self._logs.entry(self._logs.row(place))).claims.supersedes

    def _index_keys(self, look: Look, place: EntryIndex) -> tuple[list[bytes], bytes]:
        """Compute the keys under which a record is indexed; of one whose values do not open none that leads anywhere.

        An item that was changed since the import gives other keys. Whoever finds that none leads to the record goes
        through all keys.
        """
        try:
            identities, subject = self._vault.index_digests(look, place, self._index_key)
        except (InvalidInput, NotFound, Verification):
            return [], self._search_subject(place) or layout.subject_key(bytes(DIGEST_BYTES), place)
        return [layout.identity_key(digest) for digest in identities], layout.subject_key(subject, place)

    def _are_complete(self, keys: Sequence[bytes], place: EntryIndex, versions: Sequence[EntryIndex]) -> bool:
        """Say whether one of these identities is that of the record: it leads there, or to what has corrected it."""
        behind = [version for version in versions if version > place]
        found = [self._store.get(key) for key in keys]
        if any(_leads_to(stored, version) for stored in found for version in (place, *behind)):
            return True
        return bool(keys) and any(find_erasure(self._store, version) is not None for version in behind)

    def _search_identities(self, place: EntryIndex) -> list[bytes]:
        return [key for key, value in self._store.scan(b"i", layout.stop_of(b"i")) if _leads_to(value, place)]

    def _search_subject(self, place: EntryIndex) -> bytes | None:
        wanted = layout.u64(place)
        subjects = (key for key, _ in self._store.scan(b"s", layout.stop_of(b"s")) if key.endswith(wanted))
        return next(subjects, None)

    def _write(self, order: _Order, transaction: Transaction) -> Erasure:
        """Erase in this commit, unless another order was faster."""
        place = order.place
        if (stored := transaction.get(layout.erasure_key(place))) is not None:
            return _parse(place, stored, purged=False)
        now_ms = self._clock.now_ms()
        erased = now_ms // 1000
        final_by = erased + BACKUP_SECONDS
        _, proven = self._logs.proven(place)
        tombstone = build_tombstone(
            Tombstone(self._member, erased, proven, order.leaf, order.ground, erased, final_by), self._signer
        )
        at = transaction.append(LogKind.RECORDS, tombstone.encode("ascii"))
        invalidate_erased(transaction, order.row, place, now_ms)
        # A correction has taken the identity over; it finds the newer record, which stays.
        identities = [key for key in order.identities if _leads_to(transaction.get(key), place)]
        for key in (*identities, order.subject):
            transaction.delete(key)
        transaction.delete_secret(layout.secret_key(LogKind.RECORDS, place))
        stored = msgpack.packb(
            [
                order.ground,
                erased,
                final_by,
                transaction.place(LogKind.RECORDS, at),
                transaction.place(LogKind.ACCESS, order.event),
                order.versions,
            ]
        )
        transaction.put(layout.erasure_key(place), stored)
        history = layout.history_key(place)
        # Bounds are no keys in use, and tell of a digest no more than two bytes.
        coarse = [key[:_COARSE_BYTES] for key in (*identities, order.subject)]
        ranges = [(history[:-1], history + b"\x00"), *((key, key + _BEYOND) for key in coarse)]
        transaction.put(layout.purge_key(place), msgpack.packb(ranges))
        return _parse(place, stored, purged=False)


def _leads_to(stored: bytes | None, place: int) -> bool:
    return stored is not None and stored.startswith(layout.u64(place))


def _is_purged(reads: Reads, place: int) -> bool:
    return reads.get(layout.purge_key(place)) is None


def _parse(place: int, stored: bytes, *, purged: bool) -> Erasure:
    ground, erased, final_by, tombstone, event, versions = msgpack.unpackb(stored)
    return Erasure(
        EntryIndex(place),
        ground,
        erased,
        final_by,
        EntryIndex(tombstone),
        EntryIndex(event),
        purged,
        tuple(map(EntryIndex, versions)),
    )
