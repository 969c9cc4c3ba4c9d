# SPDX-License-Identifier: Apache-2.0
"""A disk that fails on demand: doubles of the file layer and of LevelDB that count calls and act at a chosen one.

One :class:`Faults` is shared by both doubles, so that "call number n" runs through everything that a store does to
its disk. What was written but not synced is known, and can be taken away as a power cut would.
"""

from __future__ import annotations

import errno
import os
import shutil
import signal
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from node.errors import Fatal
from node.storage.files import OsFiles
from node.storage.leveldb import Database, Tuning, open_leveldb

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from node.storage.leveldb import DatabaseSnapshot

MODES = ("fail-before", "fail-torn", "fail-after")
"""The call does nothing, half of what it should (writes of bytes), or all of it; then it reports an error."""

KILL_MODES = ("kill-before", "kill-torn", "kill-after")
"""The same, and the process is killed instead."""


class PowerCutError(BaseException):
    """The machine stopped: nothing that the process does after this reaches the disk."""


class Faults:
    """Decide what happens at each call.

    Args:
        at: Number of the call to act at, from 0; None to count only.
        mode: One of MODES, KILL_MODES, or the same with ``cut-`` for a power cut.
    """

    def __init__(self, at: int | None = None, mode: str = "fail-before") -> None:
        self.at = at
        self.mode = mode
        self.calls: list[str] = []
        self.dead = False

    def run(self, name: str, whole: Callable[[], object], torn: Callable[[], object] | None = None) -> object:
        """Carry out one call, or what the fault leaves of it."""
        if self.dead:
            raise PowerCutError
        number = len(self.calls)
        self.calls.append(name)
        if number != self.at:
            return whole()
        how, when = self.mode.split("-")
        if when == "after":
            whole()
        elif when == "torn" and torn is not None:
            torn()
        if how == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        if how == "cut":
            self.dead = True
            raise PowerCutError
        if name.startswith("database"):
            raise Fatal("store-write-failed", "LevelDB refused a write: injected")
        raise OSError(errno.EIO, "injected")


class FaultyFiles:
    """Implement ``node.storage.files.Files`` over the real files.

    Args:
        faults: What happens at each call that changes something.
        longest_write: Most bytes that one write takes; the rest is left to the caller, as systems may.
        free: Free bytes to report, None for the truth.
    """

    def __init__(self, faults: Faults, *, longest_write: int | None = None, free: int | None = None) -> None:
        self.faults = faults
        self.longest_write = longest_write
        self.free = free
        self._real = OsFiles()
        self._paths: dict[int, str] = {}
        self._synced_sizes: dict[str, int] = {}
        self._unsynced_entries: set[str] = set()

    def lose_unsynced(self) -> None:
        """Take away what no sync has made durable: bytes at the end of files, new files and directories."""
        for path, size in self._synced_sizes.items():
            with suppress(FileNotFoundError):
                os.truncate(path, size)
        for path in sorted(self._unsynced_entries, reverse=True):
            if Path(path).is_dir():
                shutil.rmtree(path)
            else:
                Path(path).unlink(missing_ok=True)

    def make_dir(self, path: str) -> None:
        def whole() -> None:
            if not Path(path).is_dir():
                self._unsynced_entries.add(path)
            self._real.make_dir(path)

        self.faults.run("make_dir", whole)

    def list_dir(self, path: str) -> tuple[list[str], list[str]]:
        return self._real.list_dir(path)

    def sync_dir(self, path: str) -> None:
        def whole() -> None:
            self._real.sync_dir(path)
            self._unsynced_entries = {
                entry for entry in self._unsynced_entries if Path(entry).parent != Path(path)
            }

        self.faults.run("sync_dir", whole)

    def create(self, path: str) -> int:
        def whole() -> int:
            descriptor = self._real.create(path)
            self._paths[descriptor] = path
            self._synced_sizes[path] = 0
            self._unsynced_entries.add(path)
            return descriptor

        descriptor = self.faults.run("create", whole)
        assert isinstance(descriptor, int)
        return descriptor

    def open(self, path: str, *, write: bool) -> int:
        if not write:
            return self._real.open(path, write=False)

        def whole() -> int:
            descriptor = self._real.open(path, write=True)
            self._paths[descriptor] = path
            self._synced_sizes.setdefault(path, self._real.size(path))
            return descriptor

        descriptor = self.faults.run("open", whole)
        assert isinstance(descriptor, int)
        return descriptor

    def write(self, descriptor: int, data: memoryview, offset: int) -> int:
        written = self.faults.run(
            "write",
            lambda: self._real.write(descriptor, data[: self.longest_write], offset),
            lambda: self._real.write(descriptor, data[: len(data) // 2], offset),
        )
        assert isinstance(written, int)
        return written

    def read(self, descriptor: int, length: int, offset: int) -> bytes:
        return self._real.read(descriptor, length, offset)

    def sync(self, descriptor: int) -> None:
        def whole() -> None:
            self._real.sync(descriptor)
            path = self._paths[descriptor]
            self._synced_sizes[path] = self._real.size(path)

        self.faults.run("sync", whole)

    def close(self, descriptor: int) -> None:
        self._paths.pop(descriptor, None)
        self._real.close(descriptor)

    def size(self, path: str) -> int:
        return self._real.size(path)

    def truncate(self, path: str, length: int) -> None:
        self.faults.run("truncate", lambda: self._real.truncate(path, length))

    def rename(self, old: str, new: str) -> None:
        def whole() -> None:
            self._real.rename(old, new)
            if old in self._synced_sizes:
                self._synced_sizes[new] = self._synced_sizes.pop(old)
            self._unsynced_entries.discard(old)

        self.faults.run("rename", whole)

    def remove(self, path: str) -> None:
        self.faults.run("remove", lambda: self._real.remove(path))

    def remove_dir(self, path: str) -> None:
        self.faults.run("remove_dir", lambda: self._real.remove_dir(path))

    def link(self, old: str, new: str) -> None:
        self.faults.run("link", lambda: self._real.link(old, new))

    def free_bytes(self, path: str) -> int:
        return self._real.free_bytes(path) if self.free is None else self.free


class FaultyDatabase:
    """Implement ``node.storage.leveldb.Database`` over a LevelDB; its writes are calls like those of files."""

    def __init__(self, faults: Faults, real: Database) -> None:
        self._faults = faults
        self._real = real

    def write(self, changes: Iterable[tuple[bytes, bytes | None]]) -> None:
        self._faults.run("database.write", lambda: self._real.write(changes))

    def snapshot(self) -> DatabaseSnapshot:
        return self._real.snapshot()

    def compact(self, first: bytes, last: bytes) -> None:
        self._real.compact(first, last)

    def close(self) -> None:
        self._real.close()


class FaultyDisk:
    """Both doubles, ready for ``open_store(..., files=disk.files, open_database=disk.open_database)``."""

    def __init__(self, faults: Faults) -> None:
        self.faults = faults
        self.files = FaultyFiles(faults)
        self._databases: list[Database] = []

    def open_database(self, path: str, tuning: Tuning, *, create: bool) -> Database:
        database = FaultyDatabase(self.faults, open_leveldb(path, tuning, create=create))
        self._databases.append(database)
        return database

    def abandon(self) -> None:
        """Let go of the databases as a dead process does; LevelDB writes nothing when it is closed."""
        for database in self._databases:
            database.close()
