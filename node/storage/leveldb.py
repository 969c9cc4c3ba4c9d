# SPDX-License-Identifier: Apache-2.0
"""LevelDB as this package uses it, and the only place that imports plyvel.

plyvel has wheels up to CPython 3.11, plyvel-next (the same API under another name) from 3.12 on; the one that is
installed is taken. Third-party exceptions are translated here and go no further.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Protocol

from node.errors import Fatal, NodeError, Unavailable
from node.storage.files import sync_directory
from node.storage.room import is_full, refuse_full
from node.storage.tornlog import check_logs, mend_last_write

try:
    import plyvel as _plyvel
except ImportError:
    import plyvel_next as _plyvel

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_KEY = itemgetter(0)
_TICK_NS = 20_000_000
"""Longer than the step in which a kernel moves the times of files."""
_COARSE_TICK_NS = 2_000_000_000
"""Step of the times of a file system that keeps whole seconds only, or every second one of them."""

MIB = 1024 * 1024
"""Bytes in a mebibyte."""


@dataclass(frozen=True, slots=True)
class Tuning:
    """How one LevelDB is tuned; the reasons stand in docs/storage.md (Tuning).

    Attributes:
        write_buffer_bytes: Size of a memtable; two of them can be in memory.
        block_bytes: Size of a table block before it is closed.
        block_cache_bytes: Cache for blocks of tables that are not memory-mapped.
        table_bytes: Size at which a compaction begins a new table file.
        bloom_bits: Bits of Bloom filter for each key.
        open_tables: Greatest number of tables kept open.
    """

    write_buffer_bytes: int
    block_bytes: int
    block_cache_bytes: int
    table_bytes: int
    bloom_bits: int
    open_tables: int


class DatabaseSnapshot(Protocol):
    """One state of a database, unchanged by later writes."""

    def get(self, key: bytes) -> bytes | None:
        """Return the value of ``key``, or None."""
        ...

    def iterate(self, start: bytes, stop: bytes | None, *, reverse: bool) -> Iterator[tuple[bytes, bytes]]:
        """Return an iterator over start ≤ key < stop; it stays valid after the snapshot is closed."""
        ...

    def close(self) -> None:
        """Release it."""
        ...


class Database(Protocol):
    """An ordered map of bytes with atomic, synced writes."""

    def write(self, changes: Iterable[tuple[bytes, bytes | None]]) -> None:
        """Apply all changes as one write, synced to the disk; None deletes, of one key the last change holds."""
        ...

    def snapshot(self) -> DatabaseSnapshot:
        """Return the present state."""
        ...

    def compact(self, first: bytes, last: bytes) -> None:
        """Merge the tables of each level that touch first ≤ key ≤ last into the next, dropping what is hidden."""
        ...

    def close(self) -> None:
        """Release files and lock; no call may be in flight."""
        ...


class OpenDatabase(Protocol):
    """How a store comes by its databases."""

    def __call__(self, path: str, tuning: Tuning, *, create: bool) -> Database:
        """Open the database in directory ``path``; ``create`` if it must be new, otherwise it must exist."""
        ...


class LevelSnapshot:
    """A snapshot of a LevelDB; implements :class:`DatabaseSnapshot`.

    Checksums are verified on every read: without that a flipped bit in a table is passed on as data. It makes a
    read that finds its key 5 µs slower, and one that finds nothing no slower.
    """

    __slots__ = ("_path", "_raw")

    def __init__(self, raw: Any, path: str) -> None:
        self._raw = raw
        self._path = path

    def get(self, key: bytes) -> bytes | None:
        """Implement :meth:`DatabaseSnapshot.get`."""
        try:
            value: bytes | None = self._raw.get(key, verify_checksums=True)
        except (_plyvel.Error, RuntimeError) as error:
            raise _read_error(error, self._path) from error
        return value

    def iterate(self, start: bytes, stop: bytes | None, *, reverse: bool) -> Iterator[tuple[bytes, bytes]]:
        """Implement :meth:`DatabaseSnapshot.iterate`; the raw iterator is made at once, so that it pins this state.

        plyvel loses the pair at ``start`` when it is the only one of a reversed range, so a reversed range is
        given to it without its start.
        """
        try:
            raw = self._raw.iterator(
                start=None if reverse else start, stop=stop, reverse=reverse, verify_checksums=True
            )
        except (_plyvel.Error, RuntimeError) as error:
            raise _read_error(error, self._path) from error
        return _pairs(raw, start, self._path)

    def close(self) -> None:
        """Implement :meth:`DatabaseSnapshot.close`."""
        self._raw.close()


class LevelDatabase:
    """A LevelDB; implements :class:`Database`.

    LevelDB syncs what it writes to a log, but not the name of a log that it has just begun: a power cut could take the
    whole file, with every write in it. So the directory is synced whenever names in it have changed.
    """

    __slots__ = ("_path", "_raw", "_synced_at_ns")

    def __init__(self, raw: Any, path: str) -> None:
        self._raw = raw
        self._path = path
        self._synced_at_ns: int | None = None

    def write(self, changes: Iterable[tuple[bytes, bytes | None]]) -> None:
        """Implement :meth:`Database.write`."""
        try:
            batch = self._raw.write_batch(sync=True)
            put, delete = batch.put, batch.delete
            # Neighbours in a sorted batch share their way through the memtable: 4,000 keys go in 40 % faster. The
            # sort is stable, so the last change of a key still wins.
            for key, value in sorted(changes, key=_KEY):
                if value is None:
                    delete(key)
                else:
                    put(key, value)
            batch.write()
            self._sync_names()
        except (_plyvel.Error, RuntimeError) as error:
            raise Fatal("store-write-failed", f"LevelDB refused a write: {_text(error)}") from error
        except OSError as error:
            raise Fatal(
                "store-write-failed", f"{self._path} cannot be synced: got {error.strerror}"
            ) from error

    def _sync_names(self) -> None:
        """Sync the directory when it has changed since it was synced last.

        Times of files move in ticks of some milliseconds, on a few file systems of a second or two; a tick that has
        not ended yet may bring more.
        """
        changed_ns = os.stat(self._path).st_mtime_ns  # noqa: PTH116  # one system call, for every commit
        if changed_ns != self._synced_at_ns:
            tick_ns = _TICK_NS if changed_ns % 1_000_000_000 else _COARSE_TICK_NS
            ended = time.time_ns() - changed_ns > tick_ns
            sync_directory(self._path)
            self._synced_at_ns = changed_ns if ended else None

    def snapshot(self) -> LevelSnapshot:
        """Implement :meth:`Database.snapshot`."""
        return LevelSnapshot(self._raw.snapshot(), self._path)

    def compact(self, first: bytes, last: bytes) -> None:
        """Implement :meth:`Database.compact`; plyvel takes bounds left out for the empty range."""
        self._raw.compact_range(start=first, stop=last)

    def close(self) -> None:
        """Implement :meth:`Database.close`."""
        self._raw.close()


def open_leveldb(path: str, tuning: Tuning, *, create: bool) -> LevelDatabase:
    """Open a LevelDB; implements :class:`OpenDatabase`.

    Paranoid checks make a damaged write-ahead log an error; without them LevelDB drops what it cannot read,
    acknowledged writes included, and says so in a log file only. What it drops even so is looked for before it gets
    to see the logs. A last write that a power cut has torn looks damaged, too; it was not acknowledged, and is kept
    aside and cut off (node.storage.tornlog).

    Raises:
        Unavailable: ``store-locked`` when a process has it open; ``store-disk-full``, since opening writes a little;
            ``store-open-failed`` when the operating system refuses for another reason.
        Fatal: ``store-corrupt`` when it is damaged.
    """
    try:
        lost = None if create else check_logs(path)
        if lost is not None:
            raise Fatal("store-corrupt", f"database {path} is damaged: got {lost}")
        try:
            raw = _open(path, tuning, create=create)
        except _plyvel.CorruptionError:
            if create or not mend_last_write(path):
                raise
            raw = _open(path, tuning, create=create)
    except _plyvel.IOError as error:
        text = _text(error)
        if text.startswith("IO error: lock "):
            raise Unavailable("store-locked", f"the store is open in another process: got {text}") from error
        if is_full(text):
            raise refuse_full(path) from error
        raise Unavailable("store-open-failed", f"the store cannot be opened: got {text}") from error
    except _plyvel.Error as error:
        raise Fatal("store-corrupt", f"database {path} is damaged: got {_text(error)}") from error
    return LevelDatabase(raw, path)


def _open(path: str, tuning: Tuning, *, create: bool) -> Any:
    return _plyvel.DB(
        path,
        create_if_missing=create,
        error_if_exists=create,
        paranoid_checks=True,
        compression=None,
        write_buffer_size=tuning.write_buffer_bytes,
        block_size=tuning.block_bytes,
        lru_cache_size=tuning.block_cache_bytes,
        max_file_size=tuning.table_bytes,
        bloom_filter_bits=tuning.bloom_bits,
        max_open_files=tuning.open_tables,
    )


def _pairs(raw: Any, start: bytes, path: str) -> Iterator[tuple[bytes, bytes]]:
    """Yield what a raw iterator yields, down to the key ``start``."""
    try:
        for pair in raw:
            if pair[0] < start:
                return
            yield pair
    except (_plyvel.Error, RuntimeError) as error:
        raise _read_error(error, path) from error
    finally:
        raw.close()


def _read_error(error: Exception, path: str) -> NodeError:
    if isinstance(error, RuntimeError):  # plyvel's word for a closed database, snapshot or iterator
        return Unavailable("store-closed", "the store is closed")
    if isinstance(error, _plyvel.IOError):
        return Unavailable("store-read-failed", f"database {path} cannot be read: got {_text(error)}")
    return Fatal("store-corrupt", f"database {path} is damaged: got {_text(error)}")


def _text(error: Exception) -> str:
    """Return LevelDB's message, which plyvel passes on as bytes."""
    message = error.args[0] if error.args else ""
    if isinstance(message, bytes):
        message = message.decode("ascii", "backslashreplace")
    return str(message)[:300]
