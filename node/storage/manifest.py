# SPDX-License-Identifier: Apache-2.0
"""What a backup says about itself: whose it is, of what state, what belongs to it, until when it may be kept.

``manifest.json`` is written last, so a directory without one is no backup. Its form is canonical JSON.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

from node.core.canonical import check_members, encode_json, parse_json
from node.errors import Conflict, Fatal, InvalidInput

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

VERSION: Final = 1
KEEP_SECONDS: Final = 30 * 86_400
"""Longest life of a backup: it holds the secrets of records that may be erased meanwhile (protocol section 10)."""
MANIFEST: Final = "manifest.json"
MAX_MANIFEST_BYTES: Final = 64 << 20
NOT_INCLUDED: Final = ("head files", "key files", "passphrase", "tokens", "settings", "uploads")
"""What is left out: what convicts a backup that is put back must not be in it, nor what opens it."""


@dataclass(frozen=True, slots=True)
class BackedUpLog:
    """One log as it was: origin, entries, root as hex, entries under its last anchor, time of that anchor in seconds."""

    origin: str
    size: int
    root: str
    anchored: int
    anchored_at: int | None


@dataclass(frozen=True, slots=True)
class BackedUpFile:
    """One file of the store: path below the backup, bytes, SHA-256 as hex."""

    path: str
    bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """What belongs to a backup.

    Attributes:
        identity: Whose store: ``<exchange domain>/<USCC>``.
        format: Version of the store's layout.
        release: Version of the program that made it.
        made_at: When, in seconds.
        expires_at: When it is to be removed, in seconds.
        logs: The logs, as the store had them.
        streams: Committed length of every stream in bytes.
        files: Every file.
    """

    identity: str
    format: int
    release: str
    made_at: int
    expires_at: int
    logs: Sequence[BackedUpLog]
    streams: Mapping[str, int]
    files: Sequence[BackedUpFile]

    @property
    def total_bytes(self) -> int:
        """Bytes of all files."""
        return sum(file.bytes for file in self.files)


def encode_manifest(manifest: Manifest) -> bytes:
    """Encode as canonical JSON."""
    return encode_json({**asdict(manifest), "not_included": list(NOT_INCLUDED), "v": VERSION})


def parse_manifest(data: bytes, *, newest_format: int) -> Manifest:
    """Read a manifest.

    Args:
        data: The file, untrusted.
        newest_format: Greatest format of a store that this program reads.

    Raises:
        Fatal: ``backup-damaged`` when it is none.
        Conflict: ``backup-newer`` when a newer release made it.
    """
    try:
        fields = parse_json(data, max_bytes=MAX_MANIFEST_BYTES, what="manifest")
        if type(fields) is dict and type(fields.get("v")) is int and fields["v"] > VERSION:
            raise Conflict(
                "backup-newer", f"a newer release made this backup: got version {fields['v']}, want {VERSION}"
            )
        manifest = _parse(fields)
    except InvalidInput as error:
        raise Fatal("backup-damaged", f"{MANIFEST} is not one: {error.message}") from error
    if manifest.format > newest_format:
        raise Conflict(
            "backup-newer",
            f"a newer release wrote this store: got format {manifest.format}, want at most {newest_format}",
        )
    return manifest


def _parse(value: Any) -> Manifest:
    names = ("identity", "format", "release", "made_at", "expires_at", "logs", "streams", "files")
    fields = check_members(value, "manifest", required=(*names, "not_included", "v"))
    logs = [BackedUpLog(**_object(log, BackedUpLog)) for log in _list(fields["logs"])]
    files = [BackedUpFile(**_object(file, BackedUpFile)) for file in _list(fields["files"])]
    numbers = [fields["format"], fields["made_at"], fields["expires_at"]]
    numbers += [log.size for log in logs] + [file.bytes for file in files]
    streams = fields["streams"]
    well_formed = (
        fields["v"] == VERSION
        and all(type(number) is int and number >= 0 for number in numbers)
        and type(streams) is dict
        and all(type(length) is int and length >= 0 for length in streams.values())
        and all(type(fields[name]) is str for name in ("identity", "release"))
        and all(_is_inside(file.path) and type(file.sha256) is str for file in files)
    )
    if not well_formed:
        raise InvalidInput("backup-damaged", "a member has the wrong type or a value that cannot be")
    return Manifest(**{name: fields[name] for name in names} | {"logs": logs, "files": files})


def _list(value: Any) -> list[Any]:
    if type(value) is not list:
        raise InvalidInput("backup-damaged", "a member is no array")
    return value


def _object(value: Any, kind: type[Any]) -> dict[str, Any]:
    return check_members(value, "manifest", required=tuple(kind.__dataclass_fields__))


def _is_inside(path: Any) -> bool:
    """Tell whether a path leads to a file below the backup's store and nowhere else."""
    if type(path) is not str or not path.isascii() or not path.isprintable():
        return False
    parts = path.split("/")
    return parts[0] == "store" and all(part not in {"", ".", ".."} for part in parts)
