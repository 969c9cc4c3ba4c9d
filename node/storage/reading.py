# SPDX-License-Identifier: Apache-2.0
"""Reads of one published state of a disk store, shared by the store itself and by its snapshots."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

from node.errors import InvalidInput, Unavailable
from node.storage.state import FIRST_KEY, SECRET_PREFIX

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from types import TracebackType
    from typing import Self

    from node.storage.gate import Gate
    from node.storage.leveldb import DatabaseSnapshot
    from node.storage.segments import Streams

_FIRST_CHUNK = 8
_LAST_CHUNK = 512
_ABSENT = b"\x00absent"  # no wrapped secret: those are longer


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class View:
    """One acknowledged state. It lives as long as anything reads it, which is how a purge knows.

    Attributes:
        main: The main database at that state.
        secrets: The database of secrets, without ``journaled``.
        journaled: Secret changes of the newest journal entry, which take precedence.
        lengths: Committed length of every stream in bytes.
    """

    main: DatabaseSnapshot
    secrets: DatabaseSnapshot
    journaled: Mapping[bytes, bytes | None]
    lengths: Mapping[str, int]


def check_read_key(key: bytes) -> None:
    """Check that ``key`` is a caller's key.

    Raises:
        InvalidInput: ``store-key``.
    """
    if key < FIRST_KEY:
        raise InvalidInput(
            "store-key", "unusable store key: got an empty one or first byte 0x00, want at least 0x01"
        )


class ViewReads:
    """Implement ``node.ports.Reads`` on a view; each call keeps the gate open while it touches LevelDB."""

    def __init__(self, gate: Gate, streams: Streams, view: View | None) -> None:
        self._gate = gate
        self._streams = streams
        self._view = view

    def _current(self) -> View:
        view = self._view
        if view is None:
            raise Unavailable("store-closed", "the store or the snapshot is closed")
        return view

    def get(self, key: bytes) -> bytes | None:
        """Return the value of ``key``, or None."""
        if key < FIRST_KEY:
            check_read_key(key)
        self._gate.enter()
        try:
            return self._current().main.get(key)
        finally:
            self._gate.leave()

    def get_all(self, keys: Sequence[bytes]) -> list[bytes | None]:
        """Return the value of each key, or None; the gate is passed once for all of them."""
        if keys:
            check_read_key(min(keys))
        self._gate.enter()
        try:
            return list(map(self._current().main.get, keys))
        finally:
            self._gate.leave()

    def get_secret(self, key: bytes) -> bytes | None:
        """Return a wrapped secret, or None."""
        if key < FIRST_KEY:
            check_read_key(key)
        self._gate.enter()
        try:
            view = self._current()
            value = view.journaled.get(key, _ABSENT)
            return view.secrets.get(SECRET_PREFIX + key) if value is _ABSENT else value
        finally:
            self._gate.leave()

    def scan(
        self, start: bytes, stop: bytes | None, *, reverse: bool = False, limit: int | None = None
    ) -> Iterator[tuple[bytes, bytes]]:
        """Return an iterator over start ≤ key < stop, bound to the state at the time of this call."""
        start = max(start, FIRST_KEY)
        self._gate.enter()
        try:
            view = self._current()
            if (stop is not None and stop <= start) or (limit is not None and limit < 1):
                return iter(())
            pairs = view.main.iterate(start, stop, reverse=reverse)
        finally:
            self._gate.leave()
        return self._chunked(pairs if limit is None else islice(pairs, limit), view)

    def _chunked(
        self, pairs: Iterator[tuple[bytes, bytes]], _held: View | None = None
    ) -> Iterator[tuple[bytes, bytes]]:
        """Advance LevelDB in chunks, so that the gate is held neither per pair nor while the caller works.

        The view is held as long as the iterator, which keeps its files from being removed.
        """
        size = _FIRST_CHUNK
        while True:
            self._gate.enter()
            try:
                chunk = list(islice(pairs, size))
            finally:
                self._gate.leave()
            yield from chunk
            if len(chunk) < size:
                return
            size = min(4 * size, _LAST_CHUNK)

    def read(self, stream: str, offset: int, length: int) -> bytes:
        """Return exactly ``length`` committed bytes of a stream."""
        self._gate.enter()
        try:
            committed = self._current().lengths.get(stream, 0)
            if offset < 0 or length < 0 or offset + length > committed:
                raise InvalidInput(
                    "store-range",
                    f"bytes outside the committed part of stream {stream!a}: got {length} bytes from {offset}, "
                    f"want within {committed}",
                )
            return self._streams.read(stream, offset, length) if length else b""
        finally:
            self._gate.leave()

    def length(self, stream: str) -> int:
        """Return the committed length of a stream in bytes."""
        self._gate.enter()
        try:
            return self._current().lengths.get(stream, 0)
        finally:
            self._gate.leave()


class DiskSnapshot(ViewReads):
    """One acknowledged state, unchanged by later commits; implements ``node.ports.Snapshot``."""

    def close(self) -> None:
        """Let go of the state; LevelDB is told when the last user has."""
        self._view = None

    def iterate_all(self, database: str) -> Iterator[tuple[bytes, bytes]]:
        """Go through everything in one of the two databases, ``main`` or ``secrets``, the store's own keys too."""
        self._gate.enter()
        try:
            view = self._current()
            source = view.main if database == "main" else view.secrets
            pairs = source.iterate(b"", None, reverse=False)
        finally:
            self._gate.leave()
        return self._chunked(pairs)

    def lengths(self) -> Mapping[str, int]:
        """Return the committed length of every stream in bytes."""
        return self._current().lengths

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
