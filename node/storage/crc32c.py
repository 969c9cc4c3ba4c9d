# SPDX-License-Identifier: Apache-2.0
"""CRC-32C (RFC 3720 appendix B.4) as far as a damaged log of LevelDB has to be looked into: slow, and exact.

A CRC is linear: what an error adds to it depends on the error and on how many bytes follow, and on nothing else. So the
difference of two checksums says which single bit would explain it, and the checksum of any range comes from those of
two beginnings. A megabyte takes about 0.1 s to 0.4 s; only a store that was not closed, and ends in the middle of a write,
needs it.
"""

from __future__ import annotations

from typing import Final

_POLYNOMIAL: Final = 0x82F63B78
_ONES: Final = 0xFFFF_FFFF


def _build_table() -> tuple[int, ...]:
    table = []
    for byte in range(256):
        crc = byte
        for _ in range(8):
            crc = crc >> 1 ^ (_POLYNOMIAL if crc & 1 else 0)
        table.append(crc)
    return tuple(table)


_TABLE: Final = _build_table()
_BY_TOP_BYTE: Final = {entry >> 24: number for number, entry in enumerate(_TABLE)}


def _build_shifts(doublings: int) -> tuple[tuple[int, ...], ...]:
    """Say what becomes of each bit of a register behind 1, 2, 4, … zero bytes."""
    columns = tuple(_TABLE[(1 << bit) & 0xFF] ^ (1 << bit) >> 8 for bit in range(32))
    shifts = [columns]
    for _ in range(doublings - 1):
        columns = tuple(_mix(columns, column) for column in columns)
        shifts.append(columns)
    return tuple(shifts)


def _mix(columns: tuple[int, ...], register: int) -> int:
    result = 0
    while register:
        low = register & -register
        result ^= columns[low.bit_length() - 1]
        register ^= low
    return result


_SHIFTS: Final = _build_shifts(17)


def crc32c(data: bytes) -> int:
    """Return the CRC-32C of some bytes."""
    crc, table = _ONES, _TABLE
    for byte in data:
        crc = table[(crc ^ byte) & 0xFF] ^ crc >> 8
    return crc ^ _ONES


class Checksums:
    """The CRC-32C of every range of some bytes, at most 64 KiB of them."""

    __slots__ = ("_registers",)

    def __init__(self, data: bytes) -> None:
        table, register, registers = _TABLE, 0, [0]
        for byte in data:
            register = table[(register ^ byte) & 0xFF] ^ register >> 8
            registers.append(register)
        self._registers = registers

    def of(self, start: int, end: int) -> int:
        """Return the checksum of the bytes from ``start`` to ``end``, which both lie within the data."""
        register, length, number = self._registers[start] ^ _ONES, end - start, 0
        while length:
            if length & 1:
                register = _mix(_SHIFTS[number], register)
            length >>= 1
            number += 1
        return self._registers[end] ^ register ^ _ONES


def find_flipped_bit(difference: int, length: int) -> int | None:
    """Find the bit whose flip explains a checksum.

    Args:
        difference: Checksum that the data has, exclusive-or the one that it should have; not 0.
        length: Of the data in bytes.

    Returns:
        Number of the bit, 0 for the least bit of the first byte; None when no single bit explains it.
    """
    register = difference
    for at in range(length - 1, -1, -1):
        number = _BY_TOP_BYTE[register >> 24]
        register = ((register ^ _TABLE[number]) & 0xFF_FFFF) << 8 | number
        if register < 256 and not register & (register - 1):  # noqa: PLR2004  # all of it in one byte
            return 8 * at + register.bit_length() - 1
    return None
