# SPDX-License-Identifier: Apache-2.0
"""The few operations on files that storage needs, as one object that tests can make fail at any call.

Every method is one system call or a fixed sequence of them, raises OSError as the system does and retries nothing:
what a failure means is decided by the callers, which know what they were about to promise.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import Protocol

DIRECTORY_MODE = 0o700
"""Permission bits of every directory."""

FILE_MODE = 0o600
"""Permission bits of every file."""

NEW = ".new"
"""Ending of a file that is to replace another, until it does."""


class Files(Protocol):
    """Operations on files; paths are absolute or relative to the working directory."""

    def make_dir(self, path: str) -> None:
        """Create a directory with mode 0700; one that exists gets that mode. Its parent must exist."""
        ...

    def list_dir(self, path: str) -> tuple[list[str], list[str]]:
        """Return the names of (directories, everything else) in ``path``, sorted; two empty lists if absent."""
        ...

    def sync_dir(self, path: str) -> None:
        """Make creations, renames and removals in ``path`` durable."""
        ...

    def create(self, path: str) -> int:
        """Create a file with mode 0600 that must not exist and return a descriptor to write to it."""
        ...

    def open(self, path: str, *, write: bool) -> int:
        """Open an existing file and return its descriptor."""
        ...

    def write(self, descriptor: int, data: memoryview, offset: int) -> int:
        """Write at ``offset`` and return how many bytes were written, which may be fewer than given."""
        ...

    def read(self, descriptor: int, length: int, offset: int) -> bytes:
        """Read at ``offset``; fewer bytes than asked for mean the end of the file or an interrupted read."""
        ...

    def sync(self, descriptor: int) -> None:
        """Make the data of a file, and the metadata needed to read it back, durable."""
        ...

    def close(self, descriptor: int) -> None:
        """Release a descriptor."""
        ...

    def size(self, path: str) -> int:
        """Return the size of a file in bytes."""
        ...

    def truncate(self, path: str, length: int) -> None:
        """Cut a file to ``length`` bytes and make that durable."""
        ...

    def rename(self, old: str, new: str) -> None:
        """Put ``old`` in the place of ``new``, atomically."""
        ...

    def remove(self, path: str) -> None:
        """Remove a file."""
        ...

    def remove_dir(self, path: str) -> None:
        """Remove an empty directory; an absent one is no error."""
        ...

    def link(self, old: str, new: str) -> None:
        """Give a file a second name."""
        ...

    def free_bytes(self, path: str) -> int:
        """Return the bytes still free to this process in the file system that holds ``path``."""
        ...


class OsFiles:
    """The operating system's files; implements :class:`Files`."""

    def make_dir(self, path: str) -> None:
        """Implement :meth:`Files.make_dir`; the mode is set apart because the umask applies to mkdir."""
        try:
            os.mkdir(path, DIRECTORY_MODE)  # noqa: PTH102  # this layer is the system call
        except FileExistsError:
            os.chmod(path, DIRECTORY_MODE)  # noqa: PTH101  # same

    def list_dir(self, path: str) -> tuple[list[str], list[str]]:
        """Implement :meth:`Files.list_dir`."""
        directories: list[str] = []
        others: list[str] = []
        try:
            with os.scandir(path) as entries:
                for entry in entries:
                    (directories if entry.is_dir(follow_symlinks=False) else others).append(entry.name)
        except FileNotFoundError:
            pass
        return sorted(directories), sorted(others)

    def sync_dir(self, path: str) -> None:
        """Implement :meth:`Files.sync_dir`."""
        sync_directory(path)

    def create(self, path: str) -> int:
        """Implement :meth:`Files.create`."""
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, FILE_MODE)

    def open(self, path: str, *, write: bool) -> int:
        """Implement :meth:`Files.open`."""
        return os.open(path, os.O_RDWR if write else os.O_RDONLY)

    def write(self, descriptor: int, data: memoryview, offset: int) -> int:
        """Implement :meth:`Files.write`."""
        return os.pwrite(descriptor, data, offset)

    def read(self, descriptor: int, length: int, offset: int) -> bytes:
        """Implement :meth:`Files.read`."""
        return os.pread(descriptor, length, offset)

    def sync(self, descriptor: int) -> None:
        """Implement :meth:`Files.sync`; fdatasync also writes a size that has changed."""
        os.fdatasync(descriptor)

    def close(self, descriptor: int) -> None:
        """Implement :meth:`Files.close`."""
        os.close(descriptor)

    def size(self, path: str) -> int:
        """Implement :meth:`Files.size`."""
        return os.stat(path, follow_symlinks=False).st_size  # noqa: PTH116  # this layer is the system call

    def truncate(self, path: str, length: int) -> None:
        """Implement :meth:`Files.truncate`."""
        descriptor = os.open(path, os.O_RDWR)
        try:
            os.ftruncate(descriptor, length)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def rename(self, old: str, new: str) -> None:
        """Implement :meth:`Files.rename`."""
        os.rename(old, new)  # noqa: PTH104  # this layer is the system call

    def remove(self, path: str) -> None:
        """Implement :meth:`Files.remove`."""
        os.unlink(path)  # noqa: PTH108  # this layer is the system call

    def remove_dir(self, path: str) -> None:
        """Implement :meth:`Files.remove_dir`."""
        with suppress(FileNotFoundError):
            os.rmdir(path)  # noqa: PTH106  # this layer is the system call

    def link(self, old: str, new: str) -> None:
        """Implement :meth:`Files.link`."""
        os.link(old, new)  # this layer is the system call

    def free_bytes(self, path: str) -> int:
        """Implement :meth:`Files.free_bytes`."""
        status = os.statvfs(path)
        return status.f_bavail * status.f_frsize


def write_all(files: Files, descriptor: int, data: bytes, offset: int) -> None:
    """Write all of ``data`` at ``offset``, going on after short writes.

    Raises:
        OSError: The system refused; some of the bytes may be written.
    """
    rest = memoryview(data)
    while rest:
        written = files.write(descriptor, rest, offset)
        offset += written
        rest = rest[written:]


def sync_directory(path: str | Path) -> None:
    """Make the names in a directory durable.

    Raises:
        OSError: The system refused.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_file(files: Files, path: str, data: bytes) -> None:
    """Write a file that must not exist, and make its bytes durable; its name is so once its directory is synced.

    Raises:
        OSError: The system refused; there may be a part of it.
    """
    descriptor = files.create(path)
    try:
        write_all(files, descriptor, data, 0)
        files.sync(descriptor)
    finally:
        files.close(descriptor)


def replace_file(files: Files, path: str, data: bytes) -> None:
    """Put ``data`` in the place of a file, or where none is: the whole of the old or of the new is there, whatever happens.

    Raises:
        OSError: The system refused; which of the two is there after a power cut is not known.
    """
    directory, new = Path(path).parent, f"{path}{NEW}"
    if Path(new).name in files.list_dir(str(directory))[1]:
        files.remove(new)  # a crash left it; it was never the file
    try:
        write_file(files, new, data)
        files.rename(new, path)
    except BaseException:
        with suppress(OSError):
            files.remove(new)
        raise
    files.sync_dir(str(directory))


def read_up_to(files: Files, descriptor: int, length: int, offset: int) -> bytes:
    """Return ``length`` bytes from ``offset``, fewer only when the file ends before that.

    Raises:
        OSError: The system refused.
    """
    data = files.read(descriptor, length, offset)
    while 0 < len(data) < length:
        more = files.read(descriptor, length - len(data), offset + len(data))
        if not more:
            break
        data += more
    return data
