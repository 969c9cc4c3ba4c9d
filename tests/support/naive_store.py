# SPDX-License-Identifier: Apache-2.0
"""What a store should answer, in the plainest way; and batches that a second process can make again by number."""

from __future__ import annotations

from dataclasses import dataclass, field
from hashlib import shake_128
from typing import TYPE_CHECKING

from node.ports import Batch

if TYPE_CHECKING:
    from node.ports import Reads

ENTRIES = "records.0/entries"
VALUES = "records.0/values"


@dataclass
class NaiveStore:
    """Whole copies of everything."""

    main: dict[bytes, bytes] = field(default_factory=dict)
    secrets: dict[bytes, bytes] = field(default_factory=dict)
    streams: dict[str, bytes] = field(default_factory=dict)

    def commit(self, batch: Batch) -> None:
        for target, changes in ((self.main, batch.changes), (self.secrets, batch.secret_changes)):
            for key, value in changes:
                if value is None:
                    target.pop(key, None)
                else:
                    target[key] = value
        for stream, pieces in batch.appends.items():
            self.streams[stream] = self.streams.get(stream, b"") + b"".join(pieces)

    def copy(self) -> NaiveStore:
        return NaiveStore(dict(self.main), dict(self.secrets), dict(self.streams))

    def scan(
        self, start: bytes, stop: bytes | None, *, reverse: bool = False, limit: int | None = None
    ) -> list[tuple[bytes, bytes]]:
        pairs = sorted((key, value) for key, value in self.main.items() if key >= start)
        if stop is not None:
            pairs = [pair for pair in pairs if pair[0] < stop]
        if reverse:
            pairs.reverse()
        return pairs if limit is None else pairs[:limit]


def differences(store: Reads, naive: NaiveStore, secret_keys: set[bytes], streams: set[str]) -> list[str]:
    """Name everything in which a store is not what it should be; empty when nothing."""
    found = []
    if list(store.scan(b"", None)) != naive.scan(b"", None):
        found.append("main")
    found += [
        f"secret {key!r}" for key in sorted(secret_keys) if store.get_secret(key) != naive.secrets.get(key)
    ]
    for stream in sorted(streams):
        want = naive.streams.get(stream, b"")
        if store.length(stream) != len(want) or store.read(stream, 0, len(want)) != want:
            found.append(f"stream {stream}")
    return found


def numbered_batch(number: int) -> Batch:
    """Return batch ``number`` of a fixed sequence that puts, overwrites and deletes in every part of a store."""
    noise = shake_128(b"%d" % number).digest(600)
    batch = Batch()
    batch.put(b"n", b"%d" % number)
    batch.put(b"k%d" % (number % 7), noise[:40])
    if number % 3 == 2:
        batch.delete(b"k%d" % ((number + 3) % 7))
    batch.append(ENTRIES, noise[: 100 + 37 * number % 200])
    if number % 2:
        batch.append(VALUES, noise[300 : 310 + number % 50])
        batch.append(VALUES, b"|")
    if number % 4:
        batch.put_secret(b"s%d" % (number % 5), noise[40:100])
        batch.put_secret(b"s%d" % (10 + number), noise[100:160])
    if number % 4 > 1:
        batch.delete_secret(b"s%d" % (9 + number))
    return batch


def numbered_state(count: int) -> NaiveStore:
    """Return what a store holds after batches 0 to ``count`` - 1."""
    naive = NaiveStore()
    for number in range(count):
        naive.commit(numbered_batch(number))
    return naive


def numbered_secret_keys(count: int) -> set[bytes]:
    """Return every secret key that batches 0 to ``count`` - 1 touch."""
    return {key for number in range(count) for key, _ in numbered_batch(number).secret_changes}


def numbered_differences(store: Reads, count: int) -> list[str]:
    """Compare a store with what batches 0 to ``count`` - 1 make of it; one more batch is looked for as well."""
    return differences(store, numbered_state(count), numbered_secret_keys(count + 1), {ENTRIES, VALUES})
