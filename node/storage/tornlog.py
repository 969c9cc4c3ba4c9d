# SPDX-License-Identifier: Apache-2.0
"""Tell a LevelDB log whose last write was torn by a power cut from one that is damaged, and cut the torn write off.

A power cut may keep some sectors of a write that was never synced and lose others. LevelDB takes that for damage and
does not open, although nothing that was acknowledged is missing: every write of ours is synced before the next one
begins, so only the last record of a log can be torn. It is cut off when all of this holds; otherwise the log stays as
it is and the store is refused as damaged:

* its checksum does not fit, or its header is lost;
* a sector of it reads as zeros from where the record (or the sector) begins. Logs are new files that only grow, so
  what a cut loses reads as zeros. Values hold zeros, too, so this alone proves nothing;
* no single bit, flipped back, makes its checksum fit: neither in the data nor in the header. Where that bit would be the
  only one of a sector that reads as zeros, a lost sector and a flipped bit leave the same bytes, and the checksum says
  what was written: the bit is set again (:func:`find_lost_bit`);
* no sound record begins behind it, at any byte to the end of the file.

What is cut off is kept first (:func:`find_unsettled`). The other way round LevelDB passes over a last record that
ends behind the end of the file, and over a block from a header of zeros on, without a word: right for what a crash
leaves, wrong for a length in which a bit has flipped. :func:`find_passed_over` finds where it would be wrong.

Format: blocks of 32 KiB; a record in them is CRC-32C (masked, little-endian), length (2 bytes), type, payload.
"""

from __future__ import annotations

import os
import re
import struct
from pathlib import Path
from typing import TYPE_CHECKING, Final

from node.storage.crc32c import Checksums, crc32c, find_flipped_bit
from node.storage.files import sync_directory

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

KEPT: Final = "torn"
"""Directory beside a database in which is kept what was cut off; in it one directory for each time, numbered from 1."""
SETTLED: Final = "settled"
"""File in such a directory: everything that belongs to that time is there."""

_BLOCK: Final = 32_768
_SECTOR: Final = 512
_HEADER: Final = struct.Struct("<IHB")
_FULL, _FIRST, _MIDDLE, _LAST = 1, 2, 3, 4
_BEGINS: Final = (_FULL, _FIRST)
_ENDS: Final = (_FULL, _LAST)
_BEGIN: Final = re.compile(b"[\x01\x02]")
_MASK_DELTA: Final = 0xA282EAD8


def mend_last_write(directory: str) -> bool:
    """Cut a torn write off the newest log or the manifest of a LevelDB that nobody has open, durably, or set its lost bit.

    What is cut off is durable beside the database before that, see :data:`KEPT`.

    Returns:
        Whether anything was changed.

    Raises:
        OSError: The system refused.
    """
    mended = [_mend(path) for path in _candidates(Path(directory))]
    return any(mended)


def find_unsettled(parent: Path) -> Path | None:
    """Find the directory of a cut whose start of the store has not come to its end, beside the databases."""
    newest = list_kept(parent)[-1:]
    return newest[0] if newest and not (newest[0] / SETTLED).exists() else None


def settle(folder: Path, kept: Iterable[tuple[str, bytes]]) -> None:
    """Keep what else goes with a cut, each under a name, durably, and note that this is all of it.

    Raises:
        OSError: The system refused; the next start does it again.
    """
    for name, data in kept:
        _write(folder / name, data)
    sync_directory(folder)
    _write(folder / SETTLED, b"")
    sync_directory(folder)


def list_kept(parent: Path) -> list[Path]:
    """List the directories of all cuts beside the databases, oldest first; they stay until somebody removes them."""
    return sorted((parent / KEPT).glob("[0-9]*"), key=_number)


def remove_kept_secrets(parent: Path) -> None:
    """Remove what was cut off the database of secrets, since an erased secret may be in it.

    Raises:
        OSError: The system refused.
    """
    for folder in list_kept(parent):
        found = list(folder.glob("secrets-*"))
        for path in found:
            path.unlink()
        if found:
            sync_directory(folder)


def check_logs(directory: str) -> str | None:
    """Find what opening a LevelDB would lose without an error; None when there is nothing of the kind.

    Returns:
        File and place in it.

    Raises:
        OSError: The system refused.
    """
    folder = Path(directory)
    for path in (*folder.glob("*.log"), *_find_manifest(folder)):
        found = find_passed_over(path.read_bytes())
        if found is not None:
            return f"{path.name} at byte {found}"
    return None


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
        torn = (
            _has_hole(data, begin, end if kind else len(data))
            and not _is_one_bit_off(data, offset)
            and not _is_any_sound(data, offset + 1, len(data))
        )
        return begin if torn else None
    return None


def find_lost_bit(data: bytes) -> tuple[int, int] | None:
    """Find the one bit that the first record which does not fit its checksum lacks, in a sector that reads as zeros.

    Returns:
        Place of its byte, and the bit as a mask; None when there is no such bit.
    """
    for offset, length, kind in _records(data):
        end = offset + _HEADER.size + length
        if not kind or end > len(data) or _is_sound(data, offset, length):
            continue
        masked, _, _ = _HEADER.unpack_from(data, offset)
        begin = offset + _HEADER.size - 1
        bit = find_flipped_bit(crc32c(data[begin:end]) ^ _unmask(masked), end - begin)
        if bit is None:
            return None
        at = begin + bit // 8
        sector = at - at % _SECTOR
        return None if any(data[sector : sector + _SECTOR]) else (at, 1 << bit % 8)
    return None


def find_passed_over(data: bytes) -> int | None:
    """Find where LevelDB leaves out sound records, or one whose length has a flipped bit, and reports no damage."""
    at = 0
    while at + _HEADER.size <= len(data):
        stop = at - at % _BLOCK + _BLOCK
        _, length, kind = _HEADER.unpack_from(data, at)
        end = at + _HEADER.size + length
        if end > min(stop, len(data)):
            if len(data) >= stop:  # LevelDB reports it
                return None
            lost = _is_one_bit_off(data, at) or _is_any_sound(data, at + 1, len(data))
            return at if lost else None
        if not (length or kind):
            if any(data[at:stop]) and _is_any_sound(data, at + 1, stop):
                return at
            end = stop
        elif stop - end < _HEADER.size:
            end = stop
        at = end
    return None


def _candidates(directory: Path) -> Iterator[Path]:
    logs = sorted(directory.glob("*.log"), key=lambda path: (len(path.name), path.name))
    yield from logs[-1:]
    yield from _find_manifest(directory)


def _find_manifest(directory: Path) -> Iterator[Path]:
    current = directory / "CURRENT"
    if not current.is_file():
        return
    manifest = directory / current.read_bytes().decode("ascii", "replace").rstrip("\n").replace("\0", "")
    if manifest.name.startswith("MANIFEST-") and manifest.is_file():
        yield manifest


def _mend(path: Path) -> bool:
    data = path.read_bytes()
    lost = find_lost_bit(data)
    if lost is not None:
        at, bit = lost
        data = data[:at] + bytes([data[at] | bit]) + data[at + 1 :]
        _put(path, at, data[at : at + 1])
    found = find_torn_write(data)
    if found is None:
        return lost is not None
    _keep(path, found, data[found:])
    descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        os.ftruncate(descriptor, found)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    return True


def _put(path: Path, offset: int, data: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.pwrite(descriptor, data, offset)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _keep(path: Path, offset: int, data: bytes) -> None:
    """Keep what is about to be cut off a log, under the name of database, log and place in it."""
    parent = path.parent.parent
    folder = find_unsettled(parent)
    if folder is None:
        folder = parent / KEPT / str(max(map(_number, list_kept(parent)), default=0) + 1)
        folder.parent.mkdir(mode=0o700, exist_ok=True)
        folder.mkdir(mode=0o700)
    _write(folder / f"{path.parent.name}-{path.name}-{offset}", data)
    for directory in (folder, folder.parent, parent):
        sync_directory(directory)


def _write(path: Path, data: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(descriptor)


def _number(folder: Path) -> int:
    return int(folder.name) if folder.name.isdigit() else 0


def _records(data: bytes) -> Iterator[tuple[int, int, int]]:
    """Go through the physical records: (offset, length of the payload, type), type 0 for a header that is none.

    Behind a lost header the next block is where records are found again.
    """
    at = 0
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


def _mask(crc: int) -> int:
    return ((crc >> 15 | crc << 17) + _MASK_DELTA) & 0xFFFF_FFFF


def _unmask(masked: int) -> int:
    rotated = (masked - _MASK_DELTA) & 0xFFFF_FFFF
    return (rotated >> 17 | rotated << 15) & 0xFFFF_FFFF


def _is_sound(data: bytes, offset: int, length: int) -> bool:
    masked, _, _ = _HEADER.unpack_from(data, offset)
    checked = data[offset + _HEADER.size - 1 : offset + _HEADER.size + length]
    return bool(masked == _mask(crc32c(checked)))


def _is_one_bit_off(data: bytes, offset: int) -> bool:
    """Say whether one bit, flipped back, makes a record sound: of its checksum, its length, its type or its data."""
    masked, length, _ = _HEADER.unpack_from(data, offset)
    checked = data[offset + _HEADER.size - 1 : offset - offset % _BLOCK + _BLOCK]
    checksums = Checksums(checked)
    for bit in range(16):
        other = length ^ 1 << bit
        if other < len(checked) and _mask(checksums.of(0, 1 + other)) == masked:
            return True
    if length >= len(checked):
        return False
    crc = checksums.of(0, 1 + length)
    if (_mask(crc) ^ masked).bit_count() == 1:
        return True
    return find_flipped_bit(crc ^ _unmask(masked), 1 + length) is not None


def _is_any_sound(data: bytes, start: int, end: int) -> bool:
    """Say whether a sound record begins at any byte of a range; the first part of a write, or all of one."""
    for base in range(start - start % _BLOCK, end, _BLOCK):
        block = data[base : base + _BLOCK]
        checksums: Checksums | None = None
        for found in _BEGIN.finditer(block, max(start - base, 0) + _HEADER.size - 1):
            at = found.start() - _HEADER.size + 1
            masked, length, _ = _HEADER.unpack_from(block, at)
            if found.end() + length <= len(block):
                checksums = checksums or Checksums(block)
                if masked == _mask(checksums.of(found.start(), found.end() + length)):
                    return True
    return False


def _has_hole(data: bytes, begin: int, end: int) -> bool:
    """Say whether what lies in one sector of a range is zeros."""
    at, end = begin, min(end, len(data))
    while at < end:
        stop = min(end, at + _SECTOR - at % _SECTOR)
        if not any(data[at:stop]):
            return True
        at = stop
    return False
