# SPDX-License-Identifier: Apache-2.0
"""Head files on disk: the newest promise of each log, outside the data directory (protocol section 2 *Head file*)."""

from __future__ import annotations

import threading
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

from node.errors import Conflict, Fatal, InvalidInput, Unavailable
from node.log.head import MAX_HEAD, encode_head, parse_head
from node.storage.files import OsFiles, read_up_to, write_all

if TYPE_CHECKING:
    from os import PathLike

    from node.log.head import Head
    from node.storage.files import Files


class DiskHeadFiles:
    """Implement ``node.ports.HeadFiles`` on a directory, one file for each origin.

    A head is replaced by temporary file, sync, rename and sync of the directory; a crash leaves the old or the new
    one. A head that does not follow the stored one is refused here too, since this is the last place before a
    promise becomes durable.

    Args:
        head_dir: Directory of the head files; made with mode 0700 when it is missing, its parent must exist. It
            must not be in the data directory or its backups.
        files: The operating system; tests pass one that fails.

    Raises:
        Unavailable: ``head-unreadable`` when the directory cannot be made.
    """

    def __init__(self, head_dir: str | PathLike[str], files: Files | None = None) -> None:
        self._dir = str(Path(head_dir).absolute())
        self._files = files or OsFiles()
        self._lock = threading.Lock()
        self._newest: dict[str, Head] = {}
        try:
            self._files.make_dir(self._dir)
            self._files.sync_dir(str(Path(self._dir).parent))
        except OSError as error:
            raise Unavailable(
                "head-unreadable", f"{self._dir} cannot be made: got {error.strerror}"
            ) from error

    def load(self, origin: str) -> Head | None:
        """Return the head stored for ``origin``, or None when there is none.

        Raises:
            Fatal: ``head-corrupt``.
            Unavailable: ``head-unreadable``.
        """
        path = self._path(origin)
        try:
            descriptor = self._files.open(path, write=False)
            try:
                data = read_up_to(self._files, descriptor, MAX_HEAD + 1, 0)
            finally:
                self._files.close(descriptor)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise Unavailable("head-unreadable", f"{path} cannot be read: got {error.strerror}") from error
        try:
            head = parse_head(data)
        except InvalidInput as error:
            raise Fatal("head-corrupt", f"{path} is not a head file: {error}") from error
        if head.origin != origin:
            raise Fatal("head-corrupt", f"{path} is of another log: got {head.origin}, want {origin}")
        return head

    def store(self, head: Head) -> None:
        """Make ``head`` durable in place of the one before it.

        Raises:
            Conflict: ``head-behind`` or ``log-fork``.
            Fatal: ``head-corrupt`` or ``head-not-stored``.
            Unavailable: ``head-unreadable``.
        """
        with self._lock:
            newest = self._newest.pop(head.origin, None) or self.load(head.origin)
            check_follows(newest, head)
            if newest != head:
                self._replace(self._path(head.origin), encode_head(head))
            self._newest[head.origin] = head

    def _replace(self, path: str, content: bytes) -> None:
        temporary = f"{path}.tmp"
        try:
            with suppress(FileNotFoundError):
                self._files.remove(temporary)
            descriptor = self._files.create(temporary)
            try:
                write_all(self._files, descriptor, content, 0)
                self._files.sync(descriptor)
            finally:
                self._files.close(descriptor)
            self._files.rename(temporary, path)
            self._files.sync_dir(self._dir)
        except OSError as error:
            raise Fatal(
                "head-not-stored", f"{path} is not replaced for certain: got {error.strerror}"
            ) from error

    def _path(self, origin: str) -> str:
        return f"{self._dir}/{sha256(origin.encode()).hexdigest()}.head"


def check_follows(stored: Head | None, head: Head) -> None:
    """Check that ``head`` may replace ``stored``.

    Raises:
        Conflict: ``head-behind`` when it is smaller, ``log-fork`` when it has the same size and another root.
    """
    if stored is None:
        return
    if head.size < stored.size:
        raise Conflict(
            "head-behind", f"head of {head.origin} goes back: got size {head.size}, want {stored.size}"
        )
    if head.size == stored.size and head.root != stored.root:
        raise Conflict(
            "log-fork", f"head of {head.origin} at size {head.size} has another root than was promised"
        )
