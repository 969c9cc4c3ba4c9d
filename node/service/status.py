# SPDX-License-Identifier: Apache-2.0
"""Status of records: places in lists, changes, and the status head of each anchor period (protocol section 4)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import msgpack

from node.crypto.token import token_digest
from node.errors import Conflict, NotFound
from node.records.names import StatusUri
from node.records.status import (
    INVALID,
    LIST_SIZE,
    SUSPENDED,
    VALID,
    StatusList,
    build_status_head,
    encode_status_token,
    status_path,
)
from node.service import layout
from node.service.layout import NO_LIST, LogKind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from node.core.types import EntryIndex, MemberCode
    from node.crypto.ed25519 import Ed25519Signer
    from node.ports import Reads
    from node.service.reading import Logs
    from node.service.transaction import Transaction

Place = tuple[int, int]
_BITMAP_BYTES: Final = LIST_SIZE // 8
_DRAW_BYTES: Final = 8


@dataclass(frozen=True, slots=True)
class StoredChange:
    """One change of a record's status as the store keeps it.

    Attributes:
        status: The new status.
        at_ms: When, milliseconds.
        sealed: Officer and ground, sealed (node.service.grounds); empty once the record is erased.
    """

    status: int
    at_ms: int
    sealed: bytes


class StatusAllocator:
    """Hands out random free places; used by the importer's thread only.

    A place is marked used in the commit that uses it (``mark_used``); a place handed out and not used is free
    again after a restart.
    """

    def __init__(self, reads: Reads, random: Callable[[int], bytes]) -> None:
        self._random = random
        self._list = -1
        self._free: list[int] = []
        for key, used in reads.scan(layout.status_used_key(0), layout.stop_of(b"u"), reverse=True, limit=1):
            self._list, self._free = layout.u32(key[1:]), _free_places(used)

    def take(self, count: int) -> list[Place]:
        """Hand out ``count`` places, opening new lists as needed."""
        places: list[Place] = []
        while len(places) < count:
            if not self._free:
                self._list += 1
                self._free = list(range(LIST_SIZE))
            free = self._free
            wanted = min(count - len(places), len(free))
            for draw in memoryview(self._random(wanted * _DRAW_BYTES)).cast("Q"):
                at = draw % len(free)
                places.append((self._list, free[at]))
                free[at] = free[-1]
                free.pop()
        return places

    def give_back(self, places: Iterable[Place]) -> None:
        """Take back places that were not used; those of older lists stay unused."""
        self._free.extend(place for number, place in places if number == self._list)


def _free_places(used: bytes) -> list[int]:
    return [n for n in range(LIST_SIZE) if not used[n >> 3] >> (n & 7) & 1]


def mark_used(transaction: Transaction, places: Iterable[Place]) -> None:
    """Mark places as used in this commit; the first use of a list creates it.

    Raises:
        Conflict: A place is used already (two allocators at work); nothing is written.
    """
    bitmaps: dict[int, bytearray] = {}
    for number, place in places:
        if number not in bitmaps:
            stored = transaction.get(layout.status_used_key(number))
            bitmaps[number] = bytearray(stored or bytes(_BITMAP_BYTES))
        bitmap = bitmaps[number]
        if bitmap[place >> 3] >> (place & 7) & 1:
            raise Conflict("status-place-used", f"place {place} of status list {number} is used already")
        bitmap[place >> 3] |= 1 << (place & 7)
    for number, bitmap in bitmaps.items():
        _create_lists(transaction, number)
        transaction.put(layout.status_used_key(number), bytes(bitmap))


def _create_lists(transaction: Transaction, number: int) -> None:
    """Create a list and those before it that nothing came to use: the lists of a head have no gap."""
    empty = StatusList().to_bytes()
    while number >= 0 and transaction.get(layout.status_list_key(number)) is None:
        transaction.put(layout.status_list_key(number), empty)
        transaction.put(layout.status_dirty_key(number), b"")
        number -= 1


def open_fresh_list(transaction: Transaction, reads: Reads, skipped: int) -> None:
    """Have the next places come from a new list, and pass over lists that a lost store may have begun.

    Args:
        transaction: The commit.
        reads: The store.
        skipped: How many lists to pass over, at least 1.
    """
    newest = -1
    for key, _ in reads.scan(layout.status_list_key(0), layout.stop_of(b"k"), reverse=True, limit=1):
        newest = layout.u32(key[1:])
    number = newest + skipped
    _create_lists(transaction, number)
    transaction.put(layout.status_used_key(number), bytes(_BITMAP_BYTES))


def pass_over_heads(transaction: Transaction, reads: Reads, passed: int) -> None:
    """Leave out numbers of status heads that a lost store may have signed (docs/adr/0018)."""
    transaction.put(layout.passed_heads_key(_next_head(reads) + passed), b"")


def _next_head(reads: Reads) -> int:
    """Number of the next status head: behind the newest one, and behind those that were passed over."""
    following = 0
    for key, _ in reads.scan(layout.status_head_key(0), layout.stop_of(b"H"), reverse=True, limit=1):
        following = layout.parse_u64(key[1:]) + 1
    for key, _ in reads.scan(layout.passed_heads_key(0), layout.stop_of(b"G"), reverse=True, limit=1):
        following = max(following, layout.parse_u64(key[1:]))
    return following


def require_changeable(transaction: Transaction, reader: Logs, index: EntryIndex) -> layout.Row:
    """Give the row of a record whose status may still change.

    Raises:
        NotFound: The entry is no record.
        Conflict: The record is withdrawn or superseded already; that is final.
    """
    row = reader.row(index)
    if row.status_list == NO_LIST:
        raise NotFound("record-unknown", f"entry {index} of the records log is no record")
    if StatusList(transaction.get(layout.status_list_key(row.status_list))).get(row.status_index) == INVALID:
        raise Conflict("record-withdrawn", f"record at index {index} is withdrawn or superseded already")
    return row


def change_status(transaction: Transaction, reader: Logs, index: EntryIndex, change: StoredChange) -> None:
    """Set the status of a record.

    Raises:
        NotFound: The entry is no record.
        Conflict: The record is withdrawn or superseded already, or has this status.
    """
    row = require_changeable(transaction, reader, index)
    key = layout.status_list_key(row.status_list)
    states = StatusList(transaction.get(key))
    if states.get(row.status_index) == change.status:
        raise Conflict("status-unchanged", f"record at index {index} has this status already")
    history = parse_history(transaction.get(layout.history_key(index)))
    history.append(change)
    states.set(row.status_index, change.status)
    transaction.put(key, states.to_bytes())
    transaction.put(layout.status_dirty_key(row.status_list), b"")
    transaction.put(layout.history_key(index), encode_history(history))


def current_status(reads: Reads, row: layout.Row) -> int:
    """Read the status of a record as it is now (the next status head will say it)."""
    states = reads.get(layout.status_list_key(row.status_list))
    return VALID if states is None else StatusList(states).get(row.status_index)


def invalidate_erased(transaction: Transaction, row: layout.Row, index: EntryIndex, at_ms: int) -> None:
    """Leave of a record that is being erased the times of its changes, and withdraw it if it is in force."""
    key = layout.status_list_key(row.status_list)
    states = StatusList(transaction.get(key))
    stored = parse_history(transaction.get(layout.history_key(index)))
    history = [StoredChange(change.status, change.at_ms, b"") for change in stored]
    if states.get(row.status_index) in (VALID, SUSPENDED):
        history.append(StoredChange(INVALID, at_ms, b""))
        states.set(row.status_index, INVALID)
        transaction.put(key, states.to_bytes())
        transaction.put(layout.status_dirty_key(row.status_list), b"")
    transaction.put(layout.history_key(index), encode_history(history))


def parse_history(data: bytes | None) -> list[StoredChange]:
    """Decode the status history of a record, oldest first."""
    return [] if data is None else [StoredChange(*item) for item in msgpack.unpackb(data)]


def encode_history(history: list[StoredChange]) -> bytes:
    """Encode the status history of a record."""
    packed: bytes = msgpack.packb([[c.status, c.at_ms, c.sealed] for c in history])
    return packed


@dataclass(frozen=True, slots=True)
class StatusHead:
    """A status head in the records logs: its sequence number, place and number of lists."""

    seq: int
    place: int
    lists: int


class StatusPublisher:
    """Writes the status heads and finds what evidence needs of them."""

    def __init__(self, reads: Reads, signer: Ed25519Signer, domain: str, member: MemberCode) -> None:
        self._reads = reads
        self._signer = signer
        self._domain = domain
        self._member = member

    def append_head(self, transaction: Transaction, now_seconds: int) -> StatusHead:
        """Re-issue the tokens of changed lists and append the next status head to the records log."""
        newest = self.newest()
        seq = _next_head(self._reads)
        changed = self._changed_lists(transaction)
        digests = self.digests(newest) if newest else []
        for number in changed:
            token = self._token(transaction, number, now_seconds)
            digest = token_digest(token)
            digests[number : number + 1] = [digest]
            transaction.put(layout.token_key(digest), token.encode())
            transaction.put(layout.token_digest_key(number, seq), digest)
            transaction.delete(layout.status_dirty_key(number))
        head = build_status_head(self._member, now_seconds, seq, digests, self._signer)
        index = transaction.append(LogKind.RECORDS, head.encode())
        transaction.put(
            layout.status_head_key(seq),
            msgpack.packb([transaction.place(LogKind.RECORDS, index), len(digests)]),
        )
        return StatusHead(seq, transaction.place(LogKind.RECORDS, index), len(digests))

    def newest(self, accept: Callable[[int], bool] = lambda _place: True) -> StatusHead | None:
        """Find the newest status head whose place is accepted."""
        start, stop = layout.status_head_key(0), layout.stop_of(b"H")
        for key, value in self._reads.scan(start, stop, reverse=True):
            place, lists = msgpack.unpackb(value)
            if accept(place):
                return StatusHead(layout.parse_u64(key[1:]), place, lists)
        return None

    def digests(self, head: StatusHead) -> list[bytes]:
        """Give the token digests that a head commits to, by list number."""
        return [self._digest(number, head.seq) for number in range(head.lists)]

    def token(self, head: StatusHead, number: int) -> str:
        """Get the token of a list under a head.

        Raises:
            NotFound: The head does not cover the list (a record younger than the head).
        """
        if number >= head.lists:
            raise NotFound(
                "status-unknown", f"status head {head.seq} has {head.lists} lists, wanted list {number}"
            )
        token = self._reads.get(layout.token_key(self._digest(number, head.seq)))
        if token is None:
            raise NotFound("status-unknown", f"token of list {number} under head {head.seq} is not stored")
        return token.decode()

    def path(self, head: StatusHead, number: int) -> list[bytes]:
        """Build the path of a list's token in a head's tree."""
        return status_path(self.digests(head), number)

    def _digest(self, number: int, seq: int) -> bytes:
        start, stop = layout.token_digest_key(number, 0), layout.token_digest_key(number, seq + 1)
        for _, digest in self._reads.scan(start, stop, reverse=True, limit=1):
            return digest
        raise NotFound("status-unknown", f"status list {number} has no token under head {seq}")

    def _changed_lists(self, transaction: Transaction) -> list[int]:
        """List what changed since the last head, earlier operations of this commit included."""
        prefix = b"D"
        stored = [key for key, _ in self._reads.scan(prefix, layout.stop_of(prefix))]
        return sorted({layout.u32(key[1:]) for key in (*stored, *transaction.find_put(prefix))})

    def _token(self, transaction: Transaction, number: int, now_seconds: int) -> str:
        states = StatusList(transaction.get(layout.status_list_key(number)))
        return encode_status_token(
            states, StatusUri(self._domain, self._member, number), now_seconds, self._signer
        )
