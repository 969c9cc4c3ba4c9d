# SPDX-License-Identifier: Apache-2.0
"""A last write that a power cut tore is cut off; whatever else is wrong with a log of LevelDB is left as it is."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from node.errors import Fatal
from node.storage.leveldb import open_leveldb
from node.storage.opening import SECRETS_TUNING
from node.storage.tornlog import find_torn_write
from tests.support.errors import raises_code

SECTOR = 512
SIZES = (40, 300, 700, 3_000, 90_000, 200)
"""Bytes of each write: within a sector, over sectors, over blocks."""


def write_all(path, sizes):
    """Give the bytes of a log, and where each write of it begins."""
    database = open_leveldb(str(path), SECRETS_TUNING, create=True)
    (log,) = Path(path).glob("*.log")
    noise, starts = random.Random(7), []
    for number, size in enumerate(sizes):
        starts.append(log.stat().st_size)
        database.write([(b"n", b"%d" % number), (b"v%d" % number, noise.randbytes(size))])
    data = log.read_bytes()
    database.close()
    return data, starts


def lose(data, begin, lost):
    """Give a log in which sectors from ``begin`` on are lost as a power cut loses them."""
    torn = bytearray(data)
    at = begin
    while at < len(data):
        stop = min(len(data), at + SECTOR - at % SECTOR)
        if lost():
            torn[at:stop] = bytes(stop - at)
        at = stop
    return bytes(torn)


@pytest.mark.parametrize("last", range(1, len(SIZES)))
def test_torn_last_write_is_found_and_what_is_left_opens(tmp_path, last):
    data, starts = write_all(tmp_path / "whole", SIZES[: last + 1])
    chance = random.Random(last)
    assert find_torn_write(data) is None
    found = 0
    for number in range(20):
        torn = lose(data, starts[last], lambda: chance.random() < 0.4)
        at = find_torn_write(torn)
        assert at in (None, starts[last])
        found += at is not None
        path = tmp_path / str(number)
        open_leveldb(str(path), SECRETS_TUNING, create=True).close()
        (log,) = path.glob("*.log")
        log.write_bytes(torn)
        database = open_leveldb(str(path), SECRETS_TUNING, create=False)
        count = int(database.snapshot().get(b"n")) + 1
        assert count in ((last,) if torn != data else (last + 1,))
        database.close()
    # Within one sector it is lost whole, which LevelDB itself takes for the end.
    assert found > 5 or SIZES[last] < SECTOR


def test_lost_sector_of_an_earlier_write_is_damage(tmp_path):
    data, starts = write_all(tmp_path / "whole", SIZES)
    for place in range(len(SIZES) - 1):
        start, end = starts[place], starts[place + 1]
        for at in range(start - start % SECTOR + SECTOR, end - SECTOR, SECTOR):
            torn = data[:at] + bytes(SECTOR) + data[at + SECTOR :]
            assert find_torn_write(torn) is None, (place, at)


def test_flipped_bit_is_damage(tmp_path):
    data, starts = write_all(tmp_path / "whole", SIZES)
    chance = random.Random(3)
    for start in starts:
        for _ in range(20):
            at = start + chance.randrange(40)
            flipped = bytearray(data)
            flipped[at] ^= 1 << chance.randrange(8)
            assert find_torn_write(bytes(flipped)) is None, at


def test_flipped_bit_in_the_last_write_is_not_cut_off(tmp_path):
    path = tmp_path / "store"
    data, starts = write_all(path, SIZES)
    other = tmp_path / "other"
    open_leveldb(str(other), SECRETS_TUNING, create=True).close()
    (log,) = other.glob("*.log")
    flipped = data[: starts[-1] + 50] + bytes((data[starts[-1] + 50] ^ 4,)) + data[starts[-1] + 51 :]
    log.write_bytes(flipped)
    with raises_code(Fatal, "store-corrupt"):
        open_leveldb(str(other), SECRETS_TUNING, create=False)
    assert log.read_bytes() == flipped
