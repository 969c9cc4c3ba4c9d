# SPDX-License-Identifier: Apache-2.0
"""What lies in a directory of backups, and what of it is to go: a backup holds the secrets of records erased since.

What is no backup, or none any more, holds them too: one that was interrupted, one that was half removed, one that is
damaged or of a newer release. Such a directory is known by its name, ``<member>-<milliseconds>``, and ages by it.
"""

from __future__ import annotations

import re
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from node.errors import Conflict, Fatal, NotFound, Unavailable
from node.storage.backup import PARTIAL, load_manifest
from node.storage.files import OsFiles
from node.storage.manifest import KEEP_SECONDS, MANIFEST

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from node.storage.manifest import Manifest

PARTIAL_SECONDS: Final = 86_400
"""Age from which on a backup that is not finished was interrupted: none takes so long."""
_NAME: Final = re.compile(rf"([0-9A-Z]{{18}})-([0-9]{{1,16}})({re.escape(PARTIAL)})?")


@dataclass(frozen=True, slots=True)
class KeptBackup:
    """A backup, or what was to be one.

    Attributes:
        path: Its directory.
        made_at: When it was begun, in seconds.
        expires_at: When it is to be removed, in seconds.
        complete: Whether its manifest reads and every file is there with its length.
    """

    path: Path
    made_at: int
    expires_at: int
    complete: bool


@dataclass(frozen=True, slots=True)
class Pruned:
    """What was removed, and the newest complete backup when its time is over too: it stays."""

    removed: Sequence[Path]
    kept: Path | None


def list_backups(directory: Path, identity: str) -> list[KeptBackup]:
    """List the backups of one node in a directory, and what was to be one, oldest first.

    A manifest tells the second only; within one, the milliseconds in the name decide.

    Args:
        directory: The directory; other nodes may keep theirs in it.
        identity: Whose: ``<exchange domain>/<USCC>``. Where no manifest reads, the code in the name decides.

    Raises:
        Unavailable: ``backup-unreadable``: the directory cannot be read.
    """
    try:
        places = list(directory.iterdir()) if directory.is_dir() else []
    except OSError as error:
        raise Unavailable("backup-unreadable", f"{directory} cannot be read: {error.strerror}") from error
    looked = [_look(path, identity) for path in places if path.is_dir() and not path.is_symlink()]
    found = [kept for kept in looked if kept is not None]
    return sorted(found, key=lambda kept: (kept.made_at, kept.path))


def find_expired(directory: Path, identity: str, now_seconds: int) -> list[KeptBackup]:
    """List what is to be removed from a directory of backups.

    Raises:
        Unavailable: As ``list_backups``.
    """
    return [kept for kept in list_backups(directory, identity) if kept.expires_at <= now_seconds]


def prune_backups(directory: Path, identity: str, now_seconds: int) -> Pruned:
    """Remove the backups of one node whose time is over, but not the newest complete one, whatever the clock says.

    Raises:
        Unavailable: ``backup-unreadable``; ``backup-stays``: one could not be removed, all others were.
    """
    kept = list_backups(directory, identity)
    newest = next((each for each in reversed(kept) if each.complete), None)
    expired = [each for each in kept if each.expires_at <= now_seconds]
    removed, failure = [], None
    for each in expired:
        if each == newest:
            continue
        try:
            remove_backup(each.path)
        except OSError as error:
            failure = Unavailable("backup-stays", f"{each.path} could not be removed: {error.strerror}")
        else:
            removed.append(each.path)
    if failure is not None:
        raise failure
    return Pruned(removed, newest.path if newest in expired and newest is not None else None)


def remove_backup(backup: Path) -> None:
    """Remove a backup: first what makes it one, then the rest.

    Raises:
        OSError: The system refused.
    """
    (backup / MANIFEST).unlink(missing_ok=True)
    OsFiles().sync_dir(str(backup))
    shutil.rmtree(backup)


def _look(path: Path, identity: str) -> KeptBackup | None:
    named = _NAME.fullmatch(path.name)
    manifest = None if path.name.endswith(PARTIAL) else _read(path)
    if manifest is not None:
        if manifest.identity != identity:
            return None
        return KeptBackup(path, manifest.made_at, manifest.expires_at, _is_whole(path, manifest))
    if named is None or named[1] != identity.rpartition("/")[2]:
        return None
    made_at = int(named[2]) // 1000
    return KeptBackup(
        path, made_at, made_at + (PARTIAL_SECONDS if named[3] else KEEP_SECONDS), complete=False
    )


def _read(path: Path) -> Manifest | None:
    try:
        return load_manifest(path)
    except (NotFound, Conflict, Fatal, Unavailable):
        return None


def _is_whole(path: Path, manifest: Manifest) -> bool:
    try:
        return all((path / file.path).stat().st_size == file.bytes for file in manifest.files)
    except OSError:
        return False
