# SPDX-License-Identifier: Apache-2.0
"""Head files on disk: the newest promise of each log, outside the data directory (protocol section 2 *Head file*)."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

from node.errors import Conflict, Fatal, InvalidInput, Unavailable
from node.log.head import MAX_HEAD, encode_head, parse_head
from node.storage.files import OsFiles, read_up_to, replace_file, write_all
from node.storage.room import describe_failure

if TYPE_CHECKING:
    from collections.abc import Iterator
    from os import PathLike

    from node.log.head import Head
    from node.storage.files import Files


@dataclass(frozen=True, slots=True)
class _Pair:
    """The newest head of a log, the file that holds it, and the file that the next one goes to."""

    head: Head
    path: str
    spare: str
    spare_is_sound: bool


class DiskHeadFiles:
    """Implement ``node.ports.HeadFiles`` on a directory, two files for each origin that are written in turn.

    The older file of the two is overwritten in place and synced, a third of the time of replacing it by a rename
    (docs/adr/0014). A crash can leave that one damaged; the other one then holds the head before, whose
    successor was promised to nobody. A head that does not follow the stored one is refused here too, since this
    is the last place before a promise becomes durable.

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
        self._pairs: dict[str, _Pair] = {}
        try:
            self._files.make_dir(self._dir)
            self._files.sync_dir(str(Path(self._dir).parent))
        except OSError as error:
            raise Unavailable(
                "head-unreadable", f"{self._dir} cannot be made: {describe_failure(error)}"
            ) from error

    def load(self, origin: str) -> Head | None:
        """Return the head stored for ``origin``, or None when there is none.

        Raises:
            Fatal: ``head-corrupt``.
            Unavailable: ``head-unreadable``.
        """
        pair = self._load_pair(origin)
        return None if pair is None else pair.head

    def store(self, head: Head) -> None:
        """Make ``head`` durable beside the one before it.

        Raises:
            Conflict: ``head-behind`` or ``log-fork``.
            Fatal: ``head-corrupt`` or ``head-not-stored``.
            Unavailable: ``head-unreadable``.
        """
        with self._lock:
            pair = self._pairs.pop(head.origin, None) or self._load_pair(head.origin)
            if pair is None:
                path, spare = self._paths(head.origin)
                self._replace(path, head)
                pair = _Pair(head, path, spare, spare_is_sound=False)
            else:
                check_follows(pair.head, head)
                if head != pair.head:
                    write = self._overwrite if pair.spare_is_sound else self._replace
                    write(pair.spare, head)
                    pair = _Pair(head, pair.spare, pair.path, spare_is_sound=True)
            self._pairs[head.origin] = pair

    def _load_pair(self, origin: str) -> _Pair | None:
        """Load the newer head of two; a damaged file beside a sound one is a write that was cut off."""
        paths = self._paths(origin)
        found: list[tuple[Head, str]] = []
        damage = None
        for path in paths:
            try:
                head = self._load_file(origin, path)
            except Fatal as error:
                damage = error
            else:
                if head is not None:
                    found.append((head, path))
        if not found:
            if damage is not None:
                raise damage
            return None
        head, path = max(found, key=_size_of)
        return _Pair(head, path, paths[1 - paths.index(path)], spare_is_sound=len(found) == len(paths))

    def _load_file(self, origin: str, path: str) -> Head | None:
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

    def _overwrite(self, path: str, head: Head) -> None:
        """Write over an older head, which is no longer than this one: sizes only grow."""
        with _not_stored(path):
            descriptor = self._files.open(path, write=True)
            try:
                write_all(self._files, descriptor, encode_head(head), 0)
                self._files.sync(descriptor)
            finally:
                self._files.close(descriptor)

    def _replace(self, path: str, head: Head) -> None:
        """Put a new file in the place of one that is not there or damaged."""
        with _not_stored(path):
            replace_file(self._files, path, encode_head(head))

    def _paths(self, origin: str) -> tuple[str, str]:
        name = f"{self._dir}/{sha256(origin.encode()).hexdigest()}"
        return f"{name}.head", f"{name}.2.head"


@contextmanager
def _not_stored(path: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise Fatal(
            "head-not-stored", f"{path} is not written for certain: {describe_failure(error)}"
        ) from error


def _size_of(found: tuple[Head, str]) -> int:
    return found[0].size


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
