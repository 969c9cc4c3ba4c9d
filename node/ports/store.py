# SPDX-License-Identifier: Apache-2.0
"""Storage: one transactional byte store per node (DESIGN section 7, Store; docs/storage.md)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from node.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from types import TracebackType
    from typing import Self


class Batch:
    """Collect changes that become visible and durable together, or not at all.

    Changes of one key apply in the order in which they were made; bytes of one stream are appended in the order
    in which they were given. A batch is filled by one thread, is committed once and is not used after that.

    Keys, in both key spaces, are non-empty and do not begin with a zero byte: those keys belong to the store.

    Attributes:
        changes: (key, value) to put, (key, None) to delete, in order.
        secret_changes: The same for the database of wrapped secrets.
        appends: For every stream touched, the pieces to append.
    """

    __slots__ = ("appends", "changes", "secret_changes")

    def __init__(self) -> None:
        self.changes: list[tuple[bytes, bytes | None]] = []
        self.secret_changes: list[tuple[bytes, bytes | None]] = []
        self.appends: dict[str, list[bytes]] = {}

    def append(self, stream: str, data: bytes) -> None:
        """Append ``data`` to the end of ``stream``; a stream comes into being with its first bytes."""
        pieces = self.appends.get(stream)
        if pieces is None:
            self.appends[stream] = [data]
        else:
            pieces.append(data)

    def put(self, key: bytes, value: bytes) -> None:
        """Set ``key`` to ``value``, whether or not it is there."""
        if key[:1] <= b"\x00":
            raise _unusable_key(key)
        self.changes.append((key, value))

    def delete(self, key: bytes) -> None:
        """Remove ``key``; an absent key is no error."""
        if key[:1] <= b"\x00":
            raise _unusable_key(key)
        self.changes.append((key, None))

    def put_secret(self, key: bytes, value: bytes) -> None:
        """Set a wrapped secret (never a secret in the clear)."""
        if key[:1] <= b"\x00":
            raise _unusable_key(key)
        self.secret_changes.append((key, value))

    def delete_secret(self, key: bytes) -> None:
        """Remove a wrapped secret; an absent one is no error."""
        if key[:1] <= b"\x00":
            raise _unusable_key(key)
        self.secret_changes.append((key, None))

    def change_all(self, changes: Mapping[bytes, bytes | None]) -> None:
        """Set many keys, or remove those whose value is None, in a tenth of the time of single calls."""
        _check_keys(changes)
        self.changes.extend(changes.items())

    def change_all_secrets(self, changes: Mapping[bytes, bytes | None]) -> None:
        """Set or remove many wrapped secrets."""
        _check_keys(changes)
        self.secret_changes.extend(changes.items())


def _check_keys(keys: Iterable[bytes]) -> None:
    # An unusable key sorts before every usable one.
    first = min(keys, default=b"\x01")
    if first[:1] <= b"\x00":
        raise _unusable_key(first)


def _unusable_key(key: bytes) -> InvalidInput:
    got = "an empty key" if not key else "a key with first byte 0x00"
    return InvalidInput("store-key", f"unusable store key: got {got}, want a first byte of at least 0x01")


class Reads(Protocol):
    """Read committed state; safe to call from any thread, also while a commit runs.

    Each call sees the state after some acknowledged commit, whole, and no later call of the same thread sees an
    earlier one. Calls that must see the same state use a :class:`Snapshot`.

    Raises:
        Unavailable: ``store-closed``, or ``store-read-failed`` when the operating system refuses a read.
        Fatal: ``store-corrupt`` or ``store-truncated`` when what is stored is not what was committed.
    """

    def get(self, key: bytes) -> bytes | None:
        """Return the value of ``key``, or None."""
        ...

    def get_all(self, keys: Sequence[bytes]) -> list[bytes | None]:
        """Return the value of each key, or None, all of one committed state."""
        ...

    def get_secret(self, key: bytes) -> bytes | None:
        """Return the wrapped secret stored under ``key``, or None (never stored, or erased)."""
        ...

    def scan(
        self, start: bytes, stop: bytes | None, *, reverse: bool = False, limit: int | None = None
    ) -> Iterator[tuple[bytes, bytes]]:
        """Yield (key, value) with start ≤ key < stop in byte order; the whole scan sees one state.

        Args:
            start: First key, inclusive; ``b""`` is the beginning.
            stop: First key not wanted; None is the end.
            reverse: From the last key of the range to the first.
            limit: Greatest number of pairs, from the end that comes first; None is all.
        """
        ...

    def read(self, stream: str, offset: int, length: int) -> bytes:
        """Return exactly ``length`` committed bytes of ``stream``.

        Args:
            stream: Name of the stream.
            offset: First byte, from the beginning of the stream, in bytes.
            length: Number of bytes; 0 is allowed.

        Raises:
            InvalidInput: ``store-range`` when not all of these bytes are committed.
        """
        ...

    def length(self, stream: str) -> int:
        """Return the committed length of ``stream`` in bytes; 0 when nothing was ever appended."""
        ...


class Snapshot(Reads, Protocol):
    """One committed state, unchanged by later commits; release it soon, it holds back LevelDB's clean-up."""

    def close(self) -> None:
        """Release the snapshot; a second call does nothing, a read after it raises ``store-closed``."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class Store(Reads, Protocol):
    """The node's transactional byte store: one writer, any number of readers."""

    format: int

    def commit(self, batch: Batch) -> None:
        """Make a batch durable and visible, whole; when this returns, the batch survives power loss.

        Raises:
            InvalidInput: ``store-stream`` or ``store-batch-size``; nothing was written.
            Unavailable: ``store-disk-full`` or ``store-closed``; nothing was written, try again later.
            Fatal: ``store-commit-failed``; whether the batch is stored is known after reopening only. Every
                later commit raises ``store-poisoned``; reads go on from the last acknowledged state.
        """
        ...

    def snapshot(self) -> Snapshot:
        """Return the last acknowledged state as a snapshot; use it as a context manager."""
        ...

    def purge(self, ranges: Sequence[tuple[bytes, bytes]] = (), secrets: Sequence[bytes] = ()) -> bool:
        """Take deleted secrets, and what was replaced or deleted in ranges of keys, from the disk itself.

        The bounds (first, last) of a range are no keys in use. False when a reader of an older state still needs it,
        or a copy of the store that cannot be removed now.

        Raises:
            InvalidInput: ``store-purge``: a secret is not deleted.
            Unavailable, Fatal: As for a commit.
        """
        ...

    def require_room(self) -> None:
        """Refuse when the disk is so full that every commit is refused.

        Raises:
            Unavailable: ``store-disk-full``.
        """
        ...

    def close(self) -> None:
        """Wait for calls in flight, then release everything; a second call does nothing."""
        ...
