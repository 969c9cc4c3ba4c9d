# SPDX-License-Identifier: Apache-2.0
"""What a backup says about itself: whose it is, of what state, what belongs to it, until when it may be kept.

``manifest.json`` is written last, so a directory without one is no backup. Its form is canonical JSON.
"""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

from node.core.canonical import check_members, encode_json, parse_json
from node.core.clock import MAX_TIME
from node.core.encoding import MAX_SAFE_INTEGER
from node.errors import Conflict, Fatal, InvalidInput
from node.storage.segments import check_stream_name

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

VERSION: Final = 1
KEEP_SECONDS: Final = 30 * 86_400
"""Longest life of a backup: it holds the secrets of records that may be erased meanwhile (protocol section 10)."""
MANIFEST: Final = "manifest.json"
MAX_MANIFEST_BYTES: Final = 64 << 20
NOT_INCLUDED: Final = ("head files", "key files", "passphrase", "tokens", "settings", "uploads")
"""What is left out: what convicts a backup that is put back must not be in it, nor what opens it."""
_MAX_TEXT: Final = 200
_DIGEST: Final = re.compile(r"[0-9a-f]{64}")
_TABLE_FILE: Final = re.compile(r"store/(main|secrets)/[A-Za-z0-9][A-Za-z0-9.-]{0,99}")
_SEGMENT_FILE: Final = re.compile(r"store/streams/(.{1,100})/([0-9]{20})\.seg")


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
    _integer(fields["v"], VERSION, VERSION)
    if not all(_is_text(name) for name in _list(fields["not_included"])):
        raise _malformed()
    made_at = _integer(fields["made_at"], 0, MAX_TIME - KEEP_SECONDS)
    files = [_parse_file(file) for file in _list(fields["files"])]
    return Manifest(
        identity=_text(fields["identity"]),
        format=_integer(fields["format"], 1),
        release=_text(fields["release"]),
        made_at=made_at,
        expires_at=_integer(fields["expires_at"], made_at, made_at + KEEP_SECONDS),
        logs=[_parse_log(log) for log in _list(fields["logs"])],
        streams=_parse_streams(fields["streams"], files),
        files=files,
    )


def _parse_log(value: Any) -> BackedUpLog:
    fields = check_members(value, "manifest", required=tuple(BackedUpLog.__dataclass_fields__))
    size, time = _integer(fields["size"], 0), fields["anchored_at"]
    return BackedUpLog(
        origin=_text(fields["origin"]),
        size=size,
        root=_digest(fields["root"]),
        anchored=_integer(fields["anchored"], 0, size),
        anchored_at=None if time is None else _integer(time, 0, MAX_TIME),
    )


def _parse_file(value: Any) -> BackedUpFile:
    """Parse one file, whose path leads to a file of a store and nowhere else."""
    fields = check_members(value, "manifest", required=tuple(BackedUpFile.__dataclass_fields__))
    path = fields["path"]
    if not _is_text(path):
        raise _malformed()
    segment = _SEGMENT_FILE.fullmatch(path)
    if segment:
        check_stream_name(segment[1])
    elif not _TABLE_FILE.fullmatch(path):
        raise _malformed()
    return BackedUpFile(path, _integer(fields["bytes"], 0), _digest(fields["sha256"]))


def _parse_streams(value: Any, files: Sequence[BackedUpFile]) -> dict[str, int]:
    """Parse the lengths of the streams, and check that the segments among the files are all of them and join."""
    if type(value) is not dict or len({file.path for file in files}) < len(files):
        raise _malformed()
    for name in value:
        check_stream_name(name)
    reached: dict[str, int] = defaultdict(int)
    for file in sorted(files, key=lambda file: file.path):
        if segment := _SEGMENT_FILE.fullmatch(file.path):
            if int(segment[2]) != reached[segment[1]] or file.bytes == 0:
                raise _malformed()
            reached[segment[1]] += file.bytes
    lengths = {name: _integer(length, 0) for name, length in value.items()}
    if dict(reached) != {name: length for name, length in lengths.items() if length}:
        raise InvalidInput("backup-damaged", "the segments of a stream are not all of it")
    return lengths


def _list(value: Any) -> list[Any]:
    if type(value) is not list:
        raise _malformed()
    return value


def _integer(value: Any, least: int, most: int = MAX_SAFE_INTEGER) -> int:
    if type(value) is not int or not least <= value <= most:
        raise _malformed()
    return value


def _text(value: Any) -> str:
    if not _is_text(value):
        raise _malformed()
    return str(value)


def _is_text(value: Any) -> bool:
    return type(value) is str and value.isascii() and value.isprintable() and 0 < len(value) <= _MAX_TEXT


def _digest(value: Any) -> str:
    if type(value) is not str or not _DIGEST.fullmatch(value):
        raise _malformed()
    return value


def _malformed() -> InvalidInput:
    return InvalidInput("backup-damaged", "a member has the wrong type or a value that cannot be")
