# SPDX-License-Identifier: Apache-2.0
"""How many secrets have come out, on disk, so that the count never goes back (docs/protocol/access-log.md).

    magic(20) count(8) ceiling(8) boot(16)         big-endian

The count is written before a secret comes out and not synced: a process that is killed loses nothing of it, since the
kernel has it. What a machine that stops without warning may lose is less than STEP: before the count passes the ceiling
a ceiling STEP further is synced, and after another boot counting goes on from the ceiling. So a count may be too large by
less than STEP for each such stop, and is never too small.
"""

from __future__ import annotations

import fcntl
import os
import struct
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from node.errors import Fatal, Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable

STEP: Final = 1_024
"""Secrets that come out between two syncs of the ceiling."""
LOCK_SECONDS: Final = 5.0
"""Longest wait for the key process of a node that was killed to end."""
_LOCK_STEP_SECONDS: Final = 0.02
_FORM: Final = struct.Struct(">20sQQ16s")
_NUMBERS: Final = struct.Struct(">QQ")
_MAGIC: Final = b"ironcage/unwraps/v1\n"
_NO_BOOT: Final = bytes(16)
_MODE: Final = 0o600


def boot_id(path: Path = Path("/proc/sys/kernel/random/boot_id")) -> bytes:
    """Give the 16 bytes that name this boot of the machine; zeros where it has no name: then every start is another."""
    try:
        return bytes.fromhex(path.read_text(encoding="ascii").strip().replace("-", ""))
    except (OSError, ValueError):
        return _NO_BOOT


class UnwrapCounter:
    """Counts on from what a file says; one process at a time.

    Args:
        path: The file; made when it is not there.
        boot: Names this boot of the machine, 16 bytes.
        sync: Makes a file durable.

    Raises:
        Fatal: ``unwraps-form``: the file is no counter.
        Unavailable: ``unwraps-held``: another process counts there; ``unwraps-file``: it cannot be read or written.
    """

    def __init__(self, path: Path, boot: bytes, sync: Callable[[int], None] = os.fsync) -> None:
        self._sync = sync
        try:
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, _MODE)
            self.count = self._take(boot)
            self._ceiling = self.count + STEP
            os.pwrite(self._file, _FORM.pack(_MAGIC, self.count, self._ceiling, boot), 0)
            self._sync(self._file)
            directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                self._sync(directory)
            finally:
                os.close(directory)
        except BlockingIOError:
            raise Unavailable("unwraps-held", f"another process counts in {path.name}") from None
        except OSError as error:
            raise Unavailable("unwraps-file", f"{path.name}: {error.strerror}") from error

    def add(self) -> int:
        """Count one more, before it comes out.

        Raises:
            Unavailable: ``unwraps-file``: it cannot be counted, so nothing may come out.
        """
        self.raise_to(self.count + 1)
        return self.count

    def raise_to(self, count: int) -> None:
        """Count on from at least a number.

        Raises:
            Unavailable: ``unwraps-file``.
        """
        if count <= self.count:
            return
        try:
            if count > self._ceiling:
                self._write(self.count, count + STEP)
                self._sync(self._file)
            self._write(count, max(self._ceiling, count))
        except OSError as error:
            raise Unavailable("unwraps-file", f"the count cannot be written: {error.strerror}") from error
        self.count = count

    def close(self) -> None:
        """Write down exactly how far it came."""
        self._write(self.count, self.count)
        self._sync(self._file)
        os.close(self._file)

    def _take(self, boot: bytes) -> int:
        self._lock()
        data = os.pread(self._file, _FORM.size + 1, 0)
        if not data:
            return 0
        if len(data) != _FORM.size or not data.startswith(_MAGIC):
            raise Fatal(
                "unwraps-form", "the file of the unwrap counter is damaged: want 52 bytes of its form"
            )
        _, count, ceiling, before = _FORM.unpack(data)
        return int(count if boot == before != _NO_BOOT else max(count, ceiling))

    def _lock(self) -> None:
        """Hold the file; the key process of a node that was killed may take a moment to end."""
        deadline = time.monotonic() + LOCK_SECONDS
        while True:
            try:
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(_LOCK_STEP_SECONDS)
            else:
                return

    def _write(self, count: int, ceiling: int) -> None:
        os.pwrite(self._file, _NUMBERS.pack(count, ceiling), len(_MAGIC))
        self._ceiling = ceiling
