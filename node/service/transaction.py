# SPDX-License-Identifier: Apache-2.0
"""One group commit in the making: what the operations in it read and write.

Runs in the writer's thread only. An operation reads through the transaction, so it sees what earlier operations
of the same commit wrote. An operation that raises must do so before its first write; the sequencer holds it to
that, because a half-done operation inside a commit could not be taken out again.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from itertools import chain
from typing import TYPE_CHECKING, Final

from node.core.types import EntryIndex, LeafHash
from node.crypto.sha256 import sha256_all
from node.errors import InvalidInput
from node.log.merkle import LEAF_PREFIX, leaf_hash
from node.log.nodes import hash_each
from node.log.tiles import MAX_ENTRY
from node.ports import Batch
from node.service import layout
from node.service.layout import NO_LIST, ROW, LogKind
from node.service.tiles import put_tiles

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from node.log.tree import TreeWriter
    from node.ports import Store

_LENGTH_PREFIX: Final = struct.Struct(">H")
LENGTH_PREFIX_BYTES: Final = _LENGTH_PREFIX.size
_HASHED_TOGETHER: Final = 16
"""From so many entries on hashing them in one call takes less time than a call for each."""
_prefix = _LENGTH_PREFIX.pack
_pack_row = ROW.pack


@dataclass(slots=True)
class LogTail:
    """Where a log ends: its tree and the lengths of its streams (bytes). Belongs to the sequencer."""

    kind: LogKind
    number: int
    tree: TreeWriter
    entries_length: int
    values_length: int

    @property
    def size(self) -> int:
        """Number of entries."""
        return self.tree.size


@dataclass(frozen=True, slots=True)
class Appended:
    """Entries to append together, one element of each column an entry.

    Attributes:
        entries: Their bytes, 1 to 65,535 each.
        keys: 16 bytes naming the secret's owner (``jti`` or ``rid``).
        values: Positions and sealed values, as they go to the values stream; may be empty.
        statuses: Status list and index; (NO_LIST, 0) for entries without.
        kind: Number of the catalogue item of all of them; 0 when they are no records.
        disclosures: Place of the disclosure class in DISCLOSURES, one byte each.
        leaves: RFC 6962 leaf hashes.
    """

    entries: Sequence[bytes]
    keys: Sequence[bytes]
    values: Sequence[bytes]
    statuses: Sequence[tuple[int, int]]
    kind: int
    disclosures: bytes
    leaves: Sequence[bytes]


@dataclass(slots=True)
class _Growth:
    """What one commit adds to one log; the next entry's index and the ends of the streams count what was there.

    ``entries`` holds the length and the bytes of each; a leaf is empty until somebody hashes the entry.
    """

    size: int
    entries_end: int
    values_end: int
    entries: list[bytes] = field(default_factory=list)
    values: list[bytes] = field(default_factory=list)
    leaves: list[bytes] = field(default_factory=list)
    rows: list[bytes] = field(default_factory=list)

    def leaf(self, number: int) -> bytes:
        self.leaves[number] = leaf = self.leaves[number] or leaf_hash(self.entries[2 * number + 1])
        return leaf

    def hash_leaves(self) -> None:
        missing = [number for number, leaf in enumerate(self.leaves) if not leaf]
        entries = [self.entries[2 * number + 1] for number in missing]
        for number, leaf in zip(missing, _hash_all(LEAF_PREFIX, entries), strict=True):
            self.leaves[number] = leaf


class Transaction:
    """The reads and writes of one group commit."""

    def __init__(self, store: Store, tails: dict[LogKind, LogTail]) -> None:
        self._store = store
        self._tails = tails
        self._puts: dict[bytes, bytes | None] = {}
        self._secret_puts: dict[bytes, bytes | None] = {}
        self._growth: dict[LogKind, _Growth] = {}
        self.writes = 0

    def get(self, key: bytes) -> bytes | None:
        """Read a value as this commit will leave it."""
        if key in self._puts:
            return self._puts[key]
        return self._store.get(key)

    def find_put(self, prefix: bytes) -> list[bytes]:
        """List the keys with a prefix that this commit puts."""
        return [key for key, value in self._puts.items() if value is not None and key.startswith(prefix)]

    def put(self, key: bytes, value: bytes) -> None:
        """Write a value."""
        self._puts[key] = value
        self.writes += 1

    def delete(self, key: bytes) -> None:
        """Remove a value."""
        self._puts[key] = None
        self.writes += 1

    def put_secret(self, key: bytes, value: bytes) -> None:
        """Write a wrapped secret."""
        self._secret_puts[key] = value
        self.writes += 1

    def delete_secret(self, key: bytes) -> None:
        """Remove a wrapped secret."""
        self._secret_puts[key] = None
        self.writes += 1

    def put_all(self, pairs: Iterable[tuple[bytes, bytes]]) -> None:
        """Write many values."""
        self._puts.update(pairs)
        self.writes += 1

    def put_all_secrets(self, pairs: Iterable[tuple[bytes, bytes]]) -> None:
        """Write many wrapped secrets."""
        self._secret_puts.update(pairs)
        self.writes += 1

    def size(self, log: LogKind) -> int:
        """Number of entries of a log as this commit will leave it, so far."""
        return (self._growth.get(log) or self._tails[log]).size

    def place(self, log: LogKind, index: int) -> int:
        """Name an entry that this commit appends among those of all logs of its kind."""
        return layout.place_of(self._tails[log].number, index)

    def append(
        self,
        log: LogKind,
        entry: bytes,
        *,
        key: bytes = bytes(16),
        values: bytes = b"",
        status: tuple[int, int] = (NO_LIST, 0),
        kind: int = 0,
        disclosure: int = 0,
        leaf: bytes = b"",
    ) -> EntryIndex:
        """Append one entry.

        Args:
            log: Which log.
            entry: Its bytes, 1 to 65,535.
            key: 16 bytes naming the secret's owner (``jti`` or ``rid``).
            values: Positions and sealed values, as they go to the values stream.
            status: Status list and index; (NO_LIST, 0) for entries without.
            kind: Number of the catalogue item; 0 when the entry is no record.
            disclosure: Place of the record's disclosure class in DISCLOSURES.
            leaf: RFC 6962 leaf hash when the caller has it already; without it the entries of a commit are hashed together.

        Returns:
            The index the entry has once the commit is durable.

        Raises:
            InvalidInput: The entry is empty or longer than a C2SP bundle can hold.
        """
        length = len(entry)
        if not 0 < length <= MAX_ENTRY:
            raise _wrong_size(length)
        growth = self._growth.get(log) or self._start(log)
        entry_at, values_at, size = growth.entries_end + LENGTH_PREFIX_BYTES, growth.values_end, len(values)
        number, place = status
        growth.rows.append(_pack_row(key, entry_at, length, values_at, size, number, place, kind, disclosure))
        growth.entries += (_prefix(length), entry)
        growth.entries_end = entry_at + length
        if values:
            growth.values.append(values)
            growth.values_end = values_at + size
        growth.leaves.append(leaf)
        index = growth.size
        growth.size = index + 1
        self.writes += 1
        return EntryIndex(index)

    def append_all(self, log: LogKind, appended: Appended) -> range:
        """Append many entries in half the time that as many calls of ``append`` take.

        Returns:
            The indices that the entries have once the commit is durable.

        Raises:
            InvalidInput: An entry is empty or longer than a C2SP bundle can hold; nothing is appended.
        """
        entries = appended.entries
        if not entries:
            return range(self.size(log), self.size(log))
        lengths = list(map(len, entries))
        for length in lengths:
            if not 0 < length <= MAX_ENTRY:
                raise _wrong_size(length)
        growth = self._growth.get(log) or self._start(log)
        entry_at, values_at = growth.entries_end + LENGTH_PREFIX_BYTES, growth.values_end
        rows, kind = [], appended.kind
        for key, length, values, (number, place), disclosure in zip(
            appended.keys, lengths, appended.values, appended.statuses, appended.disclosures, strict=True
        ):
            size = len(values)
            rows.append(_pack_row(key, entry_at, length, values_at, size, number, place, kind, disclosure))
            entry_at += LENGTH_PREFIX_BYTES + length
            values_at += size
        growth.rows += rows
        growth.entries += chain.from_iterable(zip(map(_prefix, lengths), entries, strict=True))
        growth.entries_end = entry_at - LENGTH_PREFIX_BYTES
        growth.values += appended.values
        growth.values_end = values_at
        growth.leaves += appended.leaves
        first = growth.size
        growth.size += len(entries)
        self.writes += 1
        return range(first, growth.size)

    def leaf(self, log: LogKind, index: int) -> LeafHash:
        """Give the leaf hash of an entry that this commit adds."""
        return LeafHash(self._growth[log].leaf(index - self._tails[log].size))

    def seal(self) -> tuple[Batch, dict[LogKind, LogTail]]:
        """Build the batch and the tails as they are once it is durable. The old tails stay as they were."""
        batch = Batch()
        tails = dict(self._tails)
        for log, growth in self._growth.items():
            tails[log] = self._grow(batch, log, growth)
        batch.change_all(self._puts)
        batch.change_all_secrets(self._secret_puts)
        return batch, tails

    def _start(self, log: LogKind) -> _Growth:
        tail = self._tails[log]
        growth = self._growth[log] = _Growth(tail.size, tail.entries_length, tail.values_length)
        return growth

    def _grow(self, batch: Batch, log: LogKind, growth: _Growth) -> LogTail:
        old = self._tails[log]
        growth.hash_leaves()
        tree = old.tree.copy()
        put_tiles(batch, log, old.number, tree.extend(_join(growth.leaves), _hash_all))
        batch.put(layout.rows_key(log, old.size, old.number), _join(growth.rows))
        batch.put(layout.size_key(log, old.number), layout.u64(tree.size))
        batch.append(layout.entries_stream(log, old.number), _join(growth.entries))
        if growth.values_end > old.values_length:
            batch.append(layout.values_stream(log, old.number), _join(growth.values))
        return LogTail(log, old.number, tree, growth.entries_end, growth.values_end)


def _wrong_size(length: int) -> InvalidInput:
    return InvalidInput("entry-size", f"log entry has {length} bytes, want 1 to {MAX_ENTRY}")


def _hash_all(prefix: bytes, messages: Sequence[bytes]) -> list[bytes]:
    if len(messages) < _HASHED_TOGETHER:
        return hash_each(prefix, messages)
    return sha256_all([prefix] * len(messages), messages)


def _join(parts: Sequence[bytes]) -> bytes:
    return b"".join(parts)
