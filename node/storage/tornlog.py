# SPDX-License-Identifier: Apache-2.0
"""Tell a LevelDB log whose last write was torn by a power cut from one that is damaged, and cut the torn write off.

A power cut may keep some sectors of a write that was never synced and lose others. LevelDB takes that for damage and
does not open, although nothing that was acknowledged is missing: every write of ours is synced before the next one
begins, so only the last record of a log can be torn. It is cut off when all of this holds; otherwise the log stays as
it is and the store is refused as damaged:

* its checksum does not fit, or its header is lost;
* a sector of it reads as zeros from where the record (or the sector) begins. Logs are new files that only grow, so
  what a cut loses reads as zeros, while a flipped bit does not;
* no other record begins behind it.

Format: blocks of 32 KiB; a record in them is CRC-32C (masked, little-endian), length (2 bytes), type, payload.
"""

from __future__ import annotations

import os
import struct
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

_BLOCK: Final = 32_768
_SECTOR: Final = 512
_HEADER: Final = struct.Struct("<IHB")
_FULL, _FIRST, _MIDDLE, _LAST = 1, 2, 3, 4
_BEGINS: Final = (_FULL, _FIRST)
_ENDS: Final = (_FULL, _LAST)
_MASK_DELTA: Final = 0xA282EAD8
_POLYNOMIAL: Final = 0x82F63B78


def cut_torn_write(directory: str) -> bool:
    """Cut a torn write off the newest log or the manifest of a LevelDB that nobody has open, durably.

    Returns:
        Whether anything was cut.

    Raises:
        OSError: The system refused.
    """
    cut = [_cut(path) for path in _candidates(Path(directory))]
    return any(cut)


def find_torn_write(data: bytes) -> int | None:
    """Find where the last write of a log begins when it is torn; None when there is no such write."""
    start: int | None = None
    for offset, length, kind in _records(data):
        end = offset + _HEADER.size + length
        if kind in _BEGINS:
            start = offset
        if kind and (end > len(data) or _is_sound(data, offset, length)):
            start = None if kind in _ENDS else start
            continue
        begin = offset if start is None else start
        # Zeros to the end, where a record could begin, are what LevelDB takes for the end.
        if not kind and start is None and not any(data[offset:]):
            return None
        torn = _has_hole(data, begin, end if kind else len(data)) and _is_last(data, offset, end, kind)
        return begin if torn else None
    return None


def _candidates(directory: Path) -> Iterator[Path]:
    logs = sorted(directory.glob("*.log"), key=lambda path: (len(path.name), path.name))
    yield from logs[-1:]
    manifest = directory / (directory / "CURRENT").read_bytes().decode("ascii", "replace").rstrip("\n")
    if manifest.name.startswith("MANIFEST-") and manifest.is_file():
        yield manifest


def _cut(path: Path) -> bool:
    found = find_torn_write(path.read_bytes())
    if found is None:
        return False
    descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        os.ftruncate(descriptor, found)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    return True


def _records(data: bytes, at: int = 0) -> Iterator[tuple[int, int, int]]:
    """Go through the physical records: (offset, length of the payload, type), type 0 for a header that is none.

    Behind a lost header the next block is where records are found again.
    """
    while at + _HEADER.size <= len(data):
        left = _BLOCK - at % _BLOCK
        if left < _HEADER.size:
            at += left
            continue
        _, length, kind = _HEADER.unpack_from(data, at)
        if kind not in (_FULL, _FIRST, _MIDDLE, _LAST) or length > left - _HEADER.size:
            yield at, 0, 0
            at += left
            continue
        yield at, length, kind
        at += _HEADER.size + length


def _is_sound(data: bytes, offset: int, length: int) -> bool:
    masked, _, _ = _HEADER.unpack_from(data, offset)
    crc = _crc32c(memoryview(data)[offset + _HEADER.size - 1 : offset + _HEADER.size + length])
    return bool(masked == ((crc >> 15 | crc << 17) + _MASK_DELTA) & 0xFFFF_FFFF)


def _has_hole(data: bytes, begin: int, end: int) -> bool:
    """Say whether what lies in one sector of a range is zeros."""
    at, end = begin, min(end, len(data))
    while at < end:
        stop = min(end, at + _SECTOR - at % _SECTOR)
        if not any(data[at:stop]):
            return True
        at = stop
    return False


def _is_last(data: bytes, offset: int, end: int, kind: int) -> bool:
    """Say whether no record begins behind a damaged one at ``offset``."""
    if not kind:
        end = offset - offset % _BLOCK + _BLOCK
        for at in range(offset + 1, min(end, len(data)) - _HEADER.size):
            _, length, found = _HEADER.unpack_from(data, at)
            if (
                found in _BEGINS
                and at + _HEADER.size + length <= min(end, len(data))
                and _is_sound(data, at, length)
            ):
                return False
    return not any(found in _BEGINS for _, _, found in _records(data, end))


def _table() -> tuple[int, ...]:
    table = []
    for byte in range(256):
        crc = byte
        for _ in range(8):
            crc = crc >> 1 ^ (_POLYNOMIAL if crc & 1 else 0)
        table.append(crc)
    return tuple(table)


_TABLE: Final = _table()


def _crc32c(data: memoryview) -> int:
    """CRC-32C (RFC 3720 appendix B.4); a megabyte takes about 0.1 s, and only a store that does not open needs it."""
    crc, table = 0xFFFF_FFFF, _TABLE
    for byte in data:
        crc = table[(crc ^ byte) & 0xFF] ^ crc >> 8
    return crc ^ 0xFFFF_FFFF
