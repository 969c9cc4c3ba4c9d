# SPDX-License-Identifier: Apache-2.0
"""Back up the store of a home directory, and put a backup back.

Both work on a store that is open (the running node's) or opens it for the time it takes. What a backup is:
``node.storage.backup``; what a restored store may still do: ``node.service.startup``.
"""

from __future__ import annotations

from importlib.metadata import version
from typing import TYPE_CHECKING

from node.bootstrap import load_network, open_chain
from node.core.types import MemberCode
from node.errors import Conflict, Fatal, InvalidInput, NodeError
from node.log.checkpoint import log_id
from node.log.tree import root_at
from node.service.assembly import open_readers
from node.service.missing import take_stock
from node.storage.backup import (
    abandon_backup,
    begin_backup,
    copy_store,
    finish_backup,
    load_manifest,
    restore_store,
)
from node.storage.heads import DiskHeadFiles
from node.storage.manifest import KEEP_SECONDS, BackedUpLog, Manifest
from node.storage.opening import open_store
from node.storage.retention import find_expired, prune_backups
from node.storage.state import FORMAT

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from node.config import Settings
    from node.core.clock import Clock
    from node.ports import Reads
    from node.service.missing import Account
    from node.storage.backup import Tell
    from node.storage.disk import DiskStore
    from node.storage.retention import KeptBackup, Pruned


def store_path(settings: Settings) -> Path:
    """Give the directory of a home's store."""
    return settings.path(settings.data_dir) / "store"


def store_identity(settings: Settings) -> str:
    """Give the identity that a home's store carries."""
    return f"{load_network(settings).domain}/{MemberCode(settings.member)}"


def back_up_offline(settings: Settings, directory: Path, clock: Clock, tell: Tell) -> tuple[Path, Manifest]:
    """Back up the store of a node that is stopped.

    Raises:
        Unavailable: ``store-locked``: the node runs; ``backup-failed``.
        Conflict: ``backup-exists``.
        InvalidInput: ``backup-place``.
    """
    store = open_store(store_path(settings), store_identity(settings).encode())
    try:
        return back_up(settings, store, directory, clock, tell)
    finally:
        store.close()


def back_up(
    settings: Settings, store: DiskStore, directory: Path, clock: Clock, tell: Tell
) -> tuple[Path, Manifest]:
    """Write a backup of an open store into a new directory below ``directory``; commits go on meanwhile.

    Args:
        settings: Of the home directory.
        store: Its store.
        directory: Where backups are kept, absolute; outside data, heads and keys of the node.
        clock: The clock.
        tell: Told the bytes written so far; may raise to give up.

    Returns:
        The backup and its manifest.

    Raises:
        InvalidInput: ``backup-place``.
        Conflict: ``backup-exists``.
        Unavailable: ``backup-failed``.
    """
    require_place(settings, directory)
    now = clock.now_seconds()
    identity = store_identity(settings)
    partial = begin_backup(directory, f"{settings.member}-{clock.now_ms()}")
    try:
        with store.snapshot() as snapshot:
            logs = _logs_of(snapshot, identity)
            files = copy_store(snapshot, str(store_path(settings)), str(partial / "store"), tell)
            streams = dict(snapshot.lengths())
        manifest = Manifest(
            identity, FORMAT, version("ironcage"), now, now + KEEP_SECONDS, logs, streams, files
        )
        return finish_backup(partial, manifest), manifest
    except BaseException:
        abandon_backup(partial)
        raise


def require_place(settings: Settings, directory: Path) -> None:
    """Refuse a place for backups that is relative, or that lies in or around what they are to save.

    Raises:
        InvalidInput: ``backup-place``.
    """
    if not directory.is_absolute():
        raise InvalidInput("backup-place", "the directory of a backup is relative: want an absolute path")
    place = directory.resolve()
    for setting in (settings.data_dir, settings.head_dir, settings.keys_dir):
        own = settings.path(setting).resolve()
        if place == own or own in place.parents or place in own.parents:
            lies = "around" if place in own.parents else "in"
            raise InvalidInput(
                "backup-place",
                f"{place} lies {lies} {own}: keep backups apart from the node's own directories",
            )


def list_expired(settings: Settings, directory: Path, now_seconds: int) -> list[KeptBackup]:
    """List what is left in a directory of this node's backups although its time is over.

    Raises:
        Unavailable: ``backup-unreadable``.
    """
    return find_expired(directory, store_identity(settings), now_seconds)


def prune(settings: Settings, directory: Path, now_seconds: int) -> Pruned:
    """Remove this node's backups whose time is over, but not the newest complete one.

    Raises:
        Unavailable: ``backup-unreadable``, ``backup-stays``.
    """
    return prune_backups(directory, store_identity(settings), now_seconds)


def load_backup(settings: Settings, backup: Path) -> Manifest:
    """Load the manifest of a backup that is to be put back into a home directory.

    Raises:
        NotFound: ``backup-missing``.
        Conflict: ``store-other-node``: it is another node's; ``backup-newer``.
        Fatal: ``backup-damaged``.
        Unavailable: ``backup-unreadable``.
    """
    manifest = load_manifest(backup)
    identity = store_identity(settings)
    if manifest.identity != identity:
        raise Conflict(
            "store-other-node", f"the backup is of another node: got {manifest.identity}, want {identity}"
        )
    return manifest


def needs_upgrade(manifest: Manifest) -> bool:
    """Tell whether an older release made a backup: put back, it is upgraded at its start before anybody reads it."""
    return manifest.format < FORMAT


def restore(settings: Settings, backup: Path, manifest: Manifest, tell: Tell) -> None:
    """Put a backup in place, once its logs and streams are seen to be those of the manifest (if this release reads it).

    Raises:
        Conflict: ``restore-not-empty``, or what ``open_store`` refuses; nothing is in place.
        Fatal: ``backup-damaged``; nothing is in place.
        Unavailable: ``restore-failed``; nothing is in place.
    """
    store_dir = store_path(settings)
    store_dir.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    restore_store(backup, manifest, store_dir, tell, check=lambda partial: _compare(partial, manifest))


def _compare(place: Path, manifest: Manifest) -> None:
    """Compare what is to become the store with the manifest."""
    if needs_upgrade(manifest):
        return
    store = open_store(place, manifest.identity.encode())
    try:
        with store.snapshot() as snapshot:
            streams = dict(snapshot.lengths())
            found = {(log.origin, log.size, log.root) for log in _logs_of(snapshot, manifest.identity)}
    finally:
        store.close()
    if streams != dict(manifest.streams):
        raise Fatal("backup-damaged", "the streams in the backup are not as long as its manifest says")
    if found != {(log.origin, log.size, log.root) for log in manifest.logs}:
        raise Fatal("backup-damaged", "the logs in the backup are not those that its manifest names")


def take_stock_of(settings: Settings, told: Callable[[NodeError], None] = lambda _error: None) -> Account:
    """Say what the store of a stopped node lacks of what was promised and anchored.

    Args:
        settings: Of the home directory.
        told: Told why the chain could not be asked.

    Raises:
        Unavailable: ``store-locked``: the node runs.
    """
    network = load_network(settings)
    member = MemberCode(settings.member)
    store = open_store(store_path(settings), store_identity(settings).encode())
    try:
        readers = open_readers(store, network.domain, member)
        heads = DiskHeadFiles(settings.path(settings.head_dir))
        log_ids = {kind: log_id(reader.origin) for kind, reader in readers.items()}
        try:
            with open_chain(settings, network) as chain:
                return take_stock(store, readers, heads, log_ids, chain)
        except InvalidInput as error:
            told(error)
            return take_stock(store, readers, heads, log_ids, None)
    finally:
        store.close()


def _logs_of(reads: Reads, identity: str) -> list[BackedUpLog]:
    domain, _, member = identity.partition("/")
    logs = []
    for reader in open_readers(reads, domain, member).values():
        size, anchor = reader.size(), reader.find_anchor()
        root = root_at(reader.tiles, size).hex()
        anchored = (anchor.anchor.size, anchor.anchor.time) if anchor else (0, None)
        logs.append(BackedUpLog(reader.origin, size, root, *anchored))
    return logs
