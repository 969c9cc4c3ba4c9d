# SPDX-License-Identifier: Apache-2.0
"""CRC-32C of ranges, and the bit that explains a wrong one."""

from __future__ import annotations

import random

import pytest

from node.storage.crc32c import Checksums, crc32c, find_flipped_bit

# RFC 3720 appendix B.4, as numbers.
VECTORS = (
    (bytes(32), 0x8A9136AA),
    (b"\xff" * 32, 0x62A8AB43),
    (bytes(range(32)), 0x46DD794E),
    (bytes(range(31, -1, -1)), 0x113FDB5C),
)


@pytest.mark.parametrize(("data", "crc"), VECTORS)
def test_rfc_3720(data, crc):
    assert crc32c(data) == crc
    assert Checksums(b"before" + data + b"behind").of(6, 6 + len(data)) == crc


def test_every_range():
    data = random.Random(1).randbytes(60)
    checksums = Checksums(data)
    for start in range(61):
        for end in range(start, 61):
            assert checksums.of(start, end) == crc32c(data[start:end])


@pytest.mark.parametrize("length", [1, 2, 300])
def test_flipped_bit_is_found(length):
    data = random.Random(length).randbytes(length)
    for bit in range(8 * length):
        flipped = bytearray(data)
        flipped[bit // 8] ^= 1 << bit % 8
        assert find_flipped_bit(crc32c(data) ^ crc32c(bytes(flipped)), length) == bit


def test_two_flipped_bits_are_none():
    data = bytes(1_000)
    chance = random.Random(2)
    for _ in range(100):
        flipped = bytearray(data)
        for bit in chance.sample(range(8_000), 2):
            flipped[bit // 8] ^= 1 << bit % 8
        assert find_flipped_bit(crc32c(data) ^ crc32c(bytes(flipped)), len(data)) is None
