# SPDX-License-Identifier: Apache-2.0
"""Copy a store while it is written to, and put a copy back.

A backup is the state at one commit: both databases are read through one snapshot into new ones, streams are copied up
to the length that was committed then. The writer never waits. What is written meanwhile lies behind those lengths or
outside the snapshot.

    <directory>/<name>.partial/store/…       while it is made; one that was interrupted is never taken for a backup
    <directory>/<name>/store/…               renamed when every file and the manifest are durable
    <directory>/<name>/manifest.json

Putting it back reads every byte against its digest into ``<store>.partial``, looks at that as a store, and renames it.
What becomes of backups later: ``node.storage.retention``.
"""

from __future__ import annotations

import shutil
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Final

from node.errors import Conflict, Fatal, NotFound, Unavailable
from node.storage.files import OsFiles, read_up_to, write_all, write_file
from node.storage.leveldb import MIB, open_leveldb
from node.storage.manifest import MANIFEST, BackedUpFile, encode_manifest, parse_manifest
from node.storage.opening import MAIN_TUNING, SECRETS_TUNING
from node.storage.room import describe_failure
from node.storage.segments import find_segments
from node.storage.state import FORMAT, JOURNAL_KEY, Journal, applied, encode_journal, parse_journal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from node.storage.files import Files
    from node.storage.leveldb import Tuning
    from node.storage.manifest import Manifest
    from node.storage.reading import DiskSnapshot

    Tell = Callable[[int], None]
    """Told the bytes done so far; may raise to end the work."""

PIECE_BYTES: Final = 4 * MIB
PARTIAL: Final = ".partial"
_IGNORED: Final = frozenset({"LOCK", "LOG", "LOG.old"})
"""Files of a LevelDB that hold none of its data."""


def copy_store(
    snapshot: DiskSnapshot, store: str, target: str, tell: Tell, files: Files | None = None
) -> list[BackedUpFile]:
    """Copy the state of a snapshot to a new directory, durably.

    Args:
        snapshot: The state; held by the caller.
        store: Directory of the store that it belongs to.
        target: Directory to make; its parent must exist.
        tell: Told the bytes written so far.
        files: The operating system; tests pass one that fails.

    Returns:
        All files of the copy, with paths that begin with ``store/``.

    Raises:
        Unavailable: ``backup-failed`` when the system refuses to write; whatever ``tell`` raises.
    """
    copier = _Copier(files or OsFiles(), tell)
    try:
        copier.make_dirs(target)
        made = [
            *copier.copy_database(snapshot, "main", target, MAIN_TUNING),
            *copier.copy_database(snapshot, "secrets", target, SECRETS_TUNING),
            *copier.copy_streams(snapshot, f"{store}/streams", target),
        ]
        copier.files.sync_dir(target)
    except OSError as error:
        raise Unavailable(
            "backup-failed", f"{target} could not be written: {describe_failure(error)}"
        ) from error
    return made


def begin_backup(directory: Path, name: str) -> Path:
    """Make the directory of a backup that is not complete yet.

    Raises:
        Conflict: ``backup-exists``: there is one of this name.
        Unavailable: ``backup-failed``.
    """
    final, partial = directory / name, directory / f"{name}{PARTIAL}"
    if final.exists() or partial.exists():
        raise Conflict("backup-exists", f"{final} is there already: nothing is overwritten")
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        partial.mkdir(mode=0o700)
    except OSError as error:
        raise Unavailable("backup-failed", f"{partial} cannot be made: {describe_failure(error)}") from error
    except BaseException:
        # A signal that came while it was made.
        abandon_backup(partial)
        raise
    return partial


def finish_backup(partial: Path, manifest: Manifest, files: Files | None = None) -> Path:
    """Write the manifest and give the backup its name; only now it is one.

    Raises:
        Unavailable: ``backup-failed``.
    """
    files = files or OsFiles()
    final = partial.with_name(partial.name.removesuffix(PARTIAL))
    try:
        write_file(files, str(partial / MANIFEST), encode_manifest(manifest))
        files.sync_dir(str(partial))
        files.rename(str(partial), str(final))
        files.sync_dir(str(final.parent))
    except OSError as error:
        raise Unavailable(
            "backup-failed", f"{final} could not be finished: {describe_failure(error)}"
        ) from error
    return final


def abandon_backup(partial: Path) -> None:
    """Remove what there is of a backup that will not be finished."""
    shutil.rmtree(partial, ignore_errors=True)


def load_manifest(backup: Path) -> Manifest:
    """Load the manifest of a backup.

    Raises:
        NotFound: ``backup-missing``: there is none, so this is no backup or one that was never finished.
        Unavailable: ``backup-unreadable``.
        Conflict, Fatal: As ``parse_manifest``.
    """
    path = backup / MANIFEST
    try:
        if not path.is_file():
            raise NotFound("backup-missing", f"{backup} is no complete backup: it has no {MANIFEST}")
        data = path.read_bytes()
    except OSError as error:
        raise Unavailable("backup-unreadable", f"{path} cannot be read: {error.strerror}") from error
    return parse_manifest(data, newest_format=FORMAT)


def restore_store(
    backup: Path,
    manifest: Manifest,
    store: Path,
    tell: Tell,
    files: Files | None = None,
    *,
    check: Callable[[Path], None] = lambda _partial: None,
) -> None:
    """Put the store of a backup in place, every byte checked against the manifest.

    Args:
        backup: The backup.
        manifest: Its manifest.
        store: Where the store is to be; must not exist or be empty.
        tell: Told the bytes read so far.
        files: The operating system; tests pass one that fails.
        check: Called with what is to become the store, before it does; raises to refuse it.

    Raises:
        Conflict: ``restore-not-empty``.
        Fatal: ``backup-damaged``: a file is missing or differs; nothing is in place.
        Unavailable: ``restore-failed``, for want of room too; nothing is in place.
        NodeError: Whatever ``check`` raises; nothing is in place.
    """
    if store.exists() and (not store.is_dir() or any(store.iterdir())):
        raise Conflict(
            "restore-not-empty",
            f"{store} holds a store already: move it away and keep it, it may be the newer one",
        )
    partial = store.with_name(store.name + PARTIAL)
    copier = _Copier(files or OsFiles(), tell)
    try:
        shutil.rmtree(partial, ignore_errors=True)
        _require_room(copier.files, store, manifest.total_bytes)
        for part in ("", "/main", "/secrets", "/streams"):
            copier.make_dirs(f"{partial}{part}")
        for file in manifest.files:
            target = partial / file.path.removeprefix("store/")
            copier.make_dirs(str(target.parent))
            copier.restore_file(backup / file.path, file, target)
        copier.sync_made()
        check(partial)
        if store.exists():
            store.rmdir()
        copier.files.rename(str(partial), str(store))
        copier.files.sync_dir(str(store.parent))
    except OSError as error:
        raise Unavailable(
            "restore-failed", f"{store} could not be put in place: {describe_failure(error)}"
        ) from error
    except Unavailable as error:
        if error.code != "store-disk-full":
            raise
        raise Unavailable(
            "restore-failed", f"{store} could not be put in place: {describe_failure(error.message)}"
        ) from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _require_room(files: Files, store: Path, size: int) -> None:
    """Refuse at once what would fill the disk after hours."""
    free = files.free_bytes(str(store.parent))
    if free < size:
        raise Unavailable(
            "restore-failed",
            f"too little space for {store}: got {free} bytes free, want {size}; make room and restore again",
        )


def settled(pairs: Iterable[tuple[bytes, bytes]]) -> Iterator[tuple[bytes, bytes]]:
    """Go through a database with its journal carried out, in the order of its keys but for new ones, which come last.

    A secret that was erased a moment ago still stands in the database, and its deletion in the journal.
    """
    changes: dict[bytes, bytes | None] = {}
    for key, value in pairs:
        if key == JOURNAL_KEY:
            journal = parse_journal(value)
            changes = dict(applied(journal.changes))
            yield key, encode_journal(Journal(journal.seq, []))
        elif key not in changes:
            yield key, value
    yield from ((key, value) for key, value in changes.items() if value is not None)


class _Copier:
    """Writes files and knows how many bytes it wrote."""

    def __init__(self, files: Files, tell: Tell) -> None:
        self.files = files
        self._tell = tell
        self._done = 0
        self._made: set[str] = set()

    def make_dirs(self, path: str) -> None:
        """Make a directory and those above it that are missing."""
        if path not in self._made and not Path(path).is_dir():
            self.make_dirs(str(Path(path).parent))
            self.files.make_dir(path)
            self._made.add(path)

    def sync_made(self) -> None:
        """Make the names in every directory that was made durable."""
        for path in sorted(self._made):
            self.files.sync_dir(path)

    def copy_database(
        self, snapshot: DiskSnapshot, name: str, target: str, tuning: Tuning
    ) -> Iterator[BackedUpFile]:
        path = f"{target}/{name}"
        self.make_dirs(path)
        with _writing(path):
            database = open_leveldb(path, tuning, create=True)
        try:
            batch: list[tuple[bytes, bytes | None]] = []
            size = 0
            for key, value in settled(snapshot.iterate_all(name)):
                batch.append((key, value))
                size += len(key) + len(value)
                if size >= PIECE_BYTES:
                    with _writing(path):
                        database.write(batch)
                    self._count(size)
                    batch, size = [], 0
            with _writing(path):
                database.write(batch)
            self._count(size)
        finally:
            database.close()
        for file in self.files.list_dir(path)[1]:
            if file not in _IGNORED:
                yield self._digest(f"{path}/{file}", f"store/{name}/{file}")
        self.files.sync_dir(path)

    def copy_streams(self, snapshot: DiskSnapshot, source: str, target: str) -> Iterator[BackedUpFile]:
        lengths = snapshot.lengths()
        self.make_dirs(f"{target}/streams")
        found = dict(find_segments(self.files, source))
        for name, end in sorted(lengths.items()):
            starts = found.get(name, [])
            if end and starts[:1] != [0]:
                raise Fatal(
                    "store-truncated", f"{source}/{name} has lost committed bytes: its first segment is gone"
                )
            for start, stop in zip(starts, [*starts[1:], end], strict=True):
                if start >= end:
                    break
                path = f"{target}/streams/{name}/{start:020d}.seg"
                self.make_dirs(str(Path(path).parent))
                digest = self._copy(f"{source}/{name}/{start:020d}.seg", path, min(stop, end) - start)
                yield BackedUpFile(f"store/streams/{name}/{start:020d}.seg", min(stop, end) - start, digest)
        self.sync_made()

    def restore_file(self, source: Path, file: BackedUpFile, target: Path) -> None:
        if not source.is_file() or source.stat().st_size != file.bytes:
            raise Fatal("backup-damaged", f"{file.path} of the backup is missing or has another length")
        if self._copy(str(source), str(target), file.bytes) != file.sha256:
            raise Fatal(
                "backup-damaged", f"{file.path} of the backup is not what was written: its digest differs"
            )

    def _copy(self, source: str, target: str, length: int) -> str:
        """Copy the first ``length`` bytes of a file to a new one, durably; their SHA-256."""
        digest = sha256()
        reading = self.files.open(source, write=False)
        try:
            writing = self.files.create(target)
            try:
                at = 0
                while at < length:
                    piece = read_up_to(self.files, reading, min(PIECE_BYTES, length - at), at)
                    if not piece:
                        raise Fatal("store-truncated", f"{source} has lost committed bytes")
                    write_all(self.files, writing, piece, at)
                    digest.update(piece)
                    at += len(piece)
                    self._count(len(piece))
                self.files.sync(writing)
            finally:
                self.files.close(writing)
        finally:
            self.files.close(reading)
        return digest.hexdigest()

    def _digest(self, path: str, name: str) -> BackedUpFile:
        digest, at = sha256(), 0
        descriptor = self.files.open(path, write=False)
        try:
            while piece := read_up_to(self.files, descriptor, PIECE_BYTES, at):
                digest.update(piece)
                at += len(piece)
                self._tell(self._done)
            self.files.sync(descriptor)
        finally:
            self.files.close(descriptor)
        return BackedUpFile(name, at, digest.hexdigest())

    def _count(self, size: int) -> None:
        self._done += size
        self._tell(self._done)


@contextmanager
def _writing(path: str) -> Iterator[None]:
    """Tell what befalls the database of a copy from what befalls the store."""
    try:
        yield
    except (Fatal, Unavailable) as error:
        raise Unavailable(
            "backup-failed", f"{path} could not be written: {describe_failure(error.message)}"
        ) from error
