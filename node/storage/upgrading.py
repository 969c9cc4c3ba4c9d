# SPDX-License-Identifier: Apache-2.0
"""Take a store that an older release wrote to the format of this one (docs/storage.md, Format versions).

    1. both databases are copied to ``before-upgrade`` beside them: tables by hard link, since they never change
    2. main is marked: new format, and an upgrade under way. From here on an older release refuses the store
    3. the steps run, each in commits of its own that also say how far it has come
    4. the mark goes

Killed before 2 it begins anew, behind it it goes on where it was. The copy can be put back until an entry is appended:
after that it would be a fork, so the store removes it then.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

import msgpack

from node.errors import Conflict, Fatal, NotFound, Unavailable
from node.ports import Batch
from node.storage.files import read_up_to, replace_file, write_file
from node.storage.state import FORMAT, STATE_KEY, format_newer, parse_state

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from node.ports import Store
    from node.storage.files import Files
    from node.storage.leveldb import Database

    Tell = Callable[[str, int], None]
    """Told the name of a step and how much of it is done."""

UPGRADE_KEY: Final = b"\x00upgrade"
"""In the main database while an upgrade is under way: format it came from, number of steps done, cursor."""
COPY_KEY: Final = b"\x00copy"
"""In the main database: committed length of every stream when the copy was made."""
FORMAT_FILE: Final = "format"
COPY: Final = "before-upgrade"
_PARTIAL: Final = COPY + ".partial"
_AFTER: Final = ".after"
_DATABASES: Final = ("secrets", "main")
_IGNORED: Final = frozenset({"LOCK", "LOG", "LOG.old"})
_TABLES: Final = (".ldb", ".sst")
_MAX_FORMAT_BYTES: Final = 16
_PIECE_BYTES: Final = 1 << 20


class Step(Protocol):
    """One step of an upgrade. Doing a part of it twice gives the same as once.

    Attributes:
        from_format: The format that it starts from; it leads to the next.
        name: For people.
        ranges: (first, last) of keys whose older values must leave the disk; the bounds are no keys in use.
    """

    from_format: int
    name: str
    ranges: Sequence[tuple[bytes, bytes]]

    def run(self, store: Store, cursor: bytes) -> Iterator[tuple[Batch, bytes, int]]:
        """Yield the changes behind ``cursor``, the cursor behind them, and how many things they are."""
        ...


@dataclass(frozen=True, slots=True)
class Progress:
    """How far an upgrade has come: the format it came from, steps done, cursor within the next one."""

    from_format: int
    done: int
    cursor: bytes


def encode_progress(progress: Progress) -> bytes:
    """Return the value of the upgrade key."""
    packed: bytes = msgpack.packb([progress.from_format, progress.done, progress.cursor], use_bin_type=True)
    return packed


def parse_progress(value: bytes) -> Progress:
    """Read the value of the upgrade key.

    Raises:
        Fatal: ``store-corrupt``.
    """
    try:
        match msgpack.unpackb(value, raw=False):
            case [int(from_format), int(done), bytes(cursor)]:
                return Progress(from_format, done, cursor)
    except (ValueError, msgpack.exceptions.UnpackException):
        pass
    raise Fatal("store-corrupt", "the store's record of its upgrade is unreadable")


def run_steps(store: Store, progress: Progress | None, steps: Sequence[Step], tell: Tell) -> None:
    """Carry an upgrade that was begun to its end.

    Raises:
        Fatal, Unavailable: The store refuses a commit; the next start goes on.
    """
    if progress is None:
        return
    source = progress.from_format
    due = [step for step in steps if step.from_format >= source]
    for number in range(progress.done, len(due)):
        step, count = due[number], 0
        tell(step.name, count)
        cursor = progress.cursor if number == progress.done else b""
        for batch, reached, changed in step.run(store, cursor):
            _commit(store, batch, Progress(source, number, reached))
            count += changed
            tell(step.name, count)
        if step.ranges and not store.purge(step.ranges):
            raise Unavailable(
                "upgrade-unpurged", f"old values of step {step.name} are being read: start again to finish it"
            )
        _commit(store, Batch(), Progress(source, number + 1, b""))
    _commit(store, Batch(), None)


def _commit(store: Store, batch: Batch, progress: Progress | None) -> None:
    batch.changes.append((UPGRADE_KEY, None if progress is None else encode_progress(progress)))
    store.commit(batch)


# ---- the file that says the format without opening a database


def check_format_file(files: Files, root: str) -> bool:
    """Refuse a store of a newer release before anything of it is opened; give whether the file says our format.

    Raises:
        Conflict: ``store-format-newer``.
        OSError: The file cannot be read.
    """
    if FORMAT_FILE not in files.list_dir(root)[1]:
        return False
    descriptor = files.open(f"{root}/{FORMAT_FILE}", write=False)
    try:
        text = read_up_to(files, descriptor, _MAX_FORMAT_BYTES, 0).strip()
    finally:
        files.close(descriptor)
    found = int(text) if text.isdigit() else 0
    if found > FORMAT:
        raise format_newer(found)
    return found == FORMAT


def write_format_file(files: Files, root: str) -> None:
    """Write it; what the databases say is the truth.

    Raises:
        OSError: It cannot be written.
    """
    replace_file(files, f"{root}/{FORMAT_FILE}", f"{FORMAT}\n".encode())


# ---- the copy


def keep_copy(files: Files, root: str) -> None:
    """Copy both databases of a store that nobody has open, durably and whole or not at all.

    Raises:
        OSError: The system refuses; there may be a part, which the next call removes.
    """
    for name in (_PARTIAL, COPY):
        remove_tree(files, f"{root}/{name}")
    partial = f"{root}/{_PARTIAL}"
    files.make_dir(partial)
    for name in _DATABASES:
        files.make_dir(f"{partial}/{name}")
        for entry in files.list_dir(f"{root}/{name}")[1]:
            old, new = f"{root}/{name}/{entry}", f"{partial}/{name}/{entry}"
            if entry.endswith(_TABLES):
                files.link(old, new)
            elif entry not in _IGNORED:
                _copy_file(files, old, new)
        files.sync_dir(f"{partial}/{name}")
    files.sync_dir(partial)
    files.rename(partial, f"{root}/{COPY}")
    files.sync_dir(root)


def has_copy(files: Files, root: str) -> bool:
    """Say whether a copy is there."""
    return COPY in files.list_dir(root)[0]


def remove_copy(files: Files, root: str) -> None:
    """Remove the copy; it holds secrets and, from format 1, grounds in the clear.

    Raises:
        OSError: The system refuses.
    """
    remove_tree(files, f"{root}/{COPY}")
    files.sync_dir(root)


def encode_lengths(lengths: Mapping[str, int]) -> bytes:
    """Return the value of the copy key."""
    packed: bytes = msgpack.packb(sorted(lengths.items()))
    return packed


def is_undo_unfinished(files: Files, root: str) -> bool:
    """Say whether putting the copy back was begun and not finished."""
    return any(name.endswith(_AFTER) for name in files.list_dir(root)[0])


def put_copy_back(files: Files, root: str, main: Callable[[str], Database]) -> None:
    """Put the databases of before the upgrade back in place; the store must not be open, nor be opened meanwhile.

    The databases are closed before they are moved: LevelDB works by path, and one that stayed open would tidy up in the
    directory that takes its place. So no lock is held for the moment of the renames, and whoever starts the node in it
    would write into a database that goes away. The command says to start it afterwards.

    Args:
        files: The operating system.
        root: The store.
        main: Opens the database in a directory; asked for both main databases, which it locks.

    Raises:
        NotFound: ``upgrade-copy-missing``.
        Conflict: ``upgrade-copy-old``: entries were appended since, and going back would be a fork.
        OSError: The system refuses; calling again goes on.
    """
    copy = f"{root}/{COPY}"
    if not is_undo_unfinished(files, root):
        if not has_copy(files, root):
            raise NotFound(
                "upgrade-copy-missing",
                "there is no copy from before an upgrade: it is removed when the node appends its first entry after it",
            )
        lengths = []
        for path in (f"{root}/main", f"{copy}/main"):
            database = main(path)
            try:
                lengths.append(parse_state(database.snapshot().get(STATE_KEY) or b"").lengths)
            finally:
                database.close()
        if lengths[0] != lengths[1]:
            raise Conflict(
                "upgrade-copy-old",
                "entries were appended since the upgrade: a store put back would contradict them",
            )
    for name in _DATABASES:
        if name in files.list_dir(copy)[0]:
            if name in files.list_dir(root)[0]:
                files.rename(f"{root}/{name}", f"{root}/{name}{_AFTER}")
            files.rename(f"{copy}/{name}", f"{root}/{name}")
            files.sync_dir(root)
    if FORMAT_FILE in files.list_dir(root)[1]:
        files.remove(f"{root}/{FORMAT_FILE}")
    remove_tree(files, copy)
    for name in _DATABASES:
        remove_tree(files, f"{root}/{name}{_AFTER}")
    files.sync_dir(root)


def remove_tree(files: Files, path: str) -> None:
    """Remove a directory with everything in it; an absent one is no error.

    Raises:
        OSError: The system refuses; some of it may be gone.
    """
    directories, others = files.list_dir(path)
    for name in others:
        files.remove(f"{path}/{name}")
    for name in directories:
        remove_tree(files, f"{path}/{name}")
    files.remove_dir(path)


def _copy_file(files: Files, old: str, new: str) -> None:
    descriptor = files.open(old, write=False)
    try:
        size = files.size(old)
        data = b"".join(
            read_up_to(files, descriptor, min(_PIECE_BYTES, size - at), at)
            for at in range(0, size, _PIECE_BYTES)
        )
    finally:
        files.close(descriptor)
    write_file(files, new, data)
