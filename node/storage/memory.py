# SPDX-License-Identifier: Apache-2.0
"""The same ports in memory: for tests, and as the plain statement of what the store on disk means.

It passes the conformance suite of the store on disk. Nothing survives the process.
"""

from __future__ import annotations

import threading
from bisect import bisect_left
from typing import TYPE_CHECKING

from node.errors import InvalidInput, Unavailable
from node.storage.heads import check_follows
from node.storage.reading import check_read_key
from node.storage.segments import check_append
from node.storage.state import FORMAT

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from types import TracebackType
    from typing import Self

    from node.log.head import Head
    from node.ports import Batch


class _Contents:
    """Everything that a state consists of; the streams are shared, since they only grow."""

    __slots__ = ("lengths", "main", "order", "secrets", "streams")

    def __init__(self) -> None:
        self.main: dict[bytes, bytes] = {}
        self.secrets: dict[bytes, bytes] = {}
        self.streams: dict[str, bytearray] = {}
        self.lengths: dict[str, int] = {}
        self.order: list[bytes] | None = None

    def copy(self) -> _Contents:
        copied = _Contents()
        copied.main = dict(self.main)
        copied.secrets = dict(self.secrets)
        copied.streams = self.streams
        copied.lengths = dict(self.lengths)
        return copied

    def ordered(self) -> list[bytes]:
        """Return the keys in order; sorted again only after a commit."""
        if self.order is None:
            self.order = sorted(self.main)
        return self.order


class _Life:
    """What a store and its snapshots share: one lock, and whether the store is open."""

    __slots__ = ("lock", "open")

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.open = True


class _MemoryReads:
    """Implement ``node.ports.Reads``."""

    def __init__(self, contents: _Contents | None, life: _Life) -> None:
        self._contents = contents
        self._life = life
        self._lock = life.lock

    def _open(self) -> _Contents:
        if self._contents is None or not self._life.open:
            raise Unavailable("store-closed", "the store or the snapshot is closed")
        return self._contents

    def get(self, key: bytes) -> bytes | None:
        """Return the value of ``key``, or None."""
        check_read_key(key)
        with self._lock:
            return self._open().main.get(key)

    def get_all(self, keys: Sequence[bytes]) -> list[bytes | None]:
        """Return the value of each key, or None."""
        for key in keys:
            check_read_key(key)
        with self._lock:
            return list(map(self._open().main.get, keys))

    def get_secret(self, key: bytes) -> bytes | None:
        """Return a wrapped secret, or None."""
        check_read_key(key)
        with self._lock:
            return self._open().secrets.get(key)

    def scan(
        self, start: bytes, stop: bytes | None, *, reverse: bool = False, limit: int | None = None
    ) -> Iterator[tuple[bytes, bytes]]:
        """Return an iterator over start ≤ key < stop, bound to the state at the time of this call."""
        with self._lock:
            contents = self._open()
            keys = contents.ordered()
            end = len(keys) if stop is None else bisect_left(keys, stop)
            chosen = keys[bisect_left(keys, start) : end]
            if reverse:
                chosen.reverse()
            if limit is not None:
                chosen = chosen[: max(limit, 0)]
            return iter([(key, contents.main[key]) for key in chosen])

    def read(self, stream: str, offset: int, length: int) -> bytes:
        """Return exactly ``length`` committed bytes of a stream."""
        with self._lock:
            contents = self._open()
            committed = contents.lengths.get(stream, 0)
            if offset < 0 or length < 0 or offset + length > committed:
                raise InvalidInput(
                    "store-range",
                    f"bytes outside the committed part of stream {stream!a}: got {length} bytes from {offset}, "
                    f"want within {committed}",
                )
            return bytes(contents.streams[stream][offset : offset + length]) if length else b""

    def length(self, stream: str) -> int:
        """Return the committed length of a stream in bytes."""
        with self._lock:
            return self._open().lengths.get(stream, 0)


class MemorySnapshot(_MemoryReads):
    """One committed state; implements ``node.ports.Snapshot``."""

    def close(self) -> None:
        """Let go of the state."""
        self._contents = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class MemoryStore(_MemoryReads):
    """Implement ``node.ports.Store`` in memory; copies its dictionaries only for a commit after a snapshot."""

    format = FORMAT

    def __init__(self) -> None:
        super().__init__(_Contents(), _Life())
        self._shared = False

    def commit(self, batch: Batch) -> None:
        """Make a batch visible, whole.

        Raises:
            InvalidInput: ``store-stream`` or ``store-batch-size``.
            Unavailable: ``store-closed``.
        """
        with self._lock:
            contents = self._open()
            for name, pieces in batch.appends.items():
                check_append(name, sum(map(len, pieces)))
            if self._shared:
                contents = self._contents = contents.copy()
                self._shared = False
            contents.order = None
            for key, value in batch.changes:
                _change(contents.main, key, value)
            for key, value in batch.secret_changes:
                _change(contents.secrets, key, value)
            for name, pieces in batch.appends.items():
                if added := b"".join(pieces):
                    stream = contents.streams.setdefault(name, bytearray())
                    stream += added
                    contents.lengths[name] = len(stream)

    def snapshot(self) -> MemorySnapshot:
        """Return the present state."""
        with self._lock:
            self._shared = True
            return MemorySnapshot(self._open(), self._life)

    def purge(self, ranges: Sequence[tuple[bytes, bytes]] = (), secrets: Sequence[bytes] = ()) -> bool:
        """Do nothing: what is deleted is gone from memory already.

        Raises:
            InvalidInput: ``store-purge``: a secret is not deleted.
            Unavailable: ``store-closed``.
        """
        del ranges
        if any(key in self._open().secrets for key in secrets):
            raise InvalidInput("store-purge", "a secret that is to be purged is not deleted")
        self._open()
        return True

    def require_room(self) -> None:
        """Implement :meth:`node.ports.store.Store.require_room`: memory has room, or the process ends."""

    def close(self) -> None:
        """Drop everything; snapshots are closed with it."""
        with self._lock:
            self._life.open = False
            self._contents = None


class MemoryHeadFiles:
    """Implement ``node.ports.HeadFiles`` in memory."""

    def __init__(self) -> None:
        self._heads: dict[str, Head] = {}

    def load(self, origin: str) -> Head | None:
        """Return the head stored for ``origin``, or None."""
        return self._heads.get(origin)

    def store(self, head: Head) -> None:
        """Store ``head``.

        Raises:
            Conflict: ``head-behind`` or ``log-fork``.
        """
        check_follows(self._heads.get(head.origin), head)
        self._heads[head.origin] = head


def _change(target: dict[bytes, bytes], key: bytes, value: bytes | None) -> None:
    if value is None:
        target.pop(key, None)
    else:
        target[key] = value
