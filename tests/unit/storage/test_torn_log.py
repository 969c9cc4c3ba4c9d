# SPDX-License-Identifier: Apache-2.0
"""A last write that a power cut tore is cut off; whatever else is wrong with a log of LevelDB is left as it is."""

from __future__ import annotations

import random
import shutil
from pathlib import Path

import pytest

from node.errors import Fatal, Unavailable
from node.ports import Batch
from node.storage.leveldb import open_leveldb
from node.storage.opening import SECRETS_TUNING, open_store
from node.storage.state import parse_journal
from node.storage.tornlog import (
    KEPT,
    SETTLED,
    find_lost_bit,
    find_passed_over,
    find_torn_write,
    find_unsettled,
    list_kept,
    settle,
)
from tests.support.errors import raises_code
from tests.support.faults import Faults, FaultyFiles

IDENTITY = b"demo.example/91110000000000000X"
SECTOR = 512
SIZES = (40, 300, 700, 3_000, 70_000, 200)
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
        for at in range(start - start % SECTOR + SECTOR, end - SECTOR, 7 * SECTOR):
            torn = data[:at] + bytes(SECTOR) + data[at + SECTOR :]
            assert find_torn_write(torn) is None, (place, at)


def flip(data, bit):
    flipped = bytearray(data)
    flipped[bit // 8] ^= 1 << bit % 8
    return bytes(flipped)


def headers(data):
    """Give where each physical record begins."""
    at = 0
    while at + 7 <= len(data):
        yield at
        at += 7 + int.from_bytes(data[at + 4 : at + 6], "little")
        if 32_768 - at % 32_768 < 7:
            at += 32_768 - at % 32_768


@pytest.fixture(scope="module")
def sparse(tmp_path_factory):
    """A log as imports and withdrawals write it: values that are nearly all zeros; and where the last write begins."""
    values = [b"".join((bytes(size // 3), b"\x04", bytes(2 * size // 3))) for size in (300, 33_000)]
    path = tmp_path_factory.mktemp("sparse") / "database"
    database = open_leveldb(str(path), SECRETS_TUNING, create=True)
    (log,) = Path(path).glob("*.log")
    for number, value in enumerate((*values, bytes(7_000))):
        last = log.stat().st_size
        database.write([(b"n", b"%d" % number), (b"v%d" % number, value)])
    data = log.read_bytes()
    database.close()
    return data, last


@pytest.fixture
def log_of(tmp_path):
    """Give a function that makes a new database whose log holds some bytes."""
    made = []

    def make(data):
        path = tmp_path / f"made{len(made)}"
        made.append(path)
        open_leveldb(str(path), SECRETS_TUNING, create=True).close()
        (log,) = path.glob("*.log")
        log.write_bytes(data)
        return path, log

    return make


def test_no_flipped_bit_is_torn(tmp_path, sparse):
    """Nor in a write that reads as zeros in many sectors, as an undamaged one does, too."""
    chance = random.Random(3)
    for data in (write_all(tmp_path / "whole", SIZES)[0], sparse[0]):
        bits = [8 * at + bit for at in headers(data) for bit in range(56)]
        for bit in chance.sample(bits, 40) + chance.sample(range(8 * len(data)), 40):
            assert find_torn_write(flip(data, bit)) is None, bit


def test_lost_sectors_among_zeros_are_torn(sparse):
    data, last = sparse
    torn = data[: last + 20] + bytes(len(data) - last - 20)
    assert find_torn_write(torn) == last


def test_flipped_bit_of_a_header_loses_nothing(sparse, log_of):
    """Of a length LevelDB itself would make a write that is not there, and report nothing."""
    data, last = sparse
    passed_over = 0
    for at in [at for at in headers(data) if at >= last]:
        for bit in range(56):
            flipped = flip(data, 8 * at + bit)
            path, log = log_of(flipped)
            with raises_code(Fatal, "store-corrupt"):
                open_leveldb(str(path), SECRETS_TUNING, create=False)
            assert log.read_bytes() == flipped
            assert not (path.parent / KEPT).exists()
            passed_over += find_passed_over(flipped) is not None
    assert passed_over > 4


def test_flipped_bit_in_zeros_is_not_cut_off(sparse, log_of):
    data, last = sparse
    chance = random.Random(8)
    for _ in range(30):
        flipped = flip(data, chance.randrange(8 * last, 8 * len(data)))
        path, log = log_of(flipped)
        with raises_code(Fatal, "store-corrupt"):
            open_leveldb(str(path), SECRETS_TUNING, create=False)
        assert log.read_bytes() == flipped


def test_the_only_bit_of_a_lost_sector_is_set_again(tmp_path):
    """A power cut and a flipped bit leave the same bytes, and the checksum says what was written."""
    value = bytes(3_000) + b"\x10" + bytes(5_000)
    path = tmp_path / "database"
    database = open_leveldb(str(path), SECRETS_TUNING, create=True)
    (log,) = path.glob("*.log")
    for number in range(2):
        last = log.stat().st_size
        database.write([(b"v%d" % number, value)])
    data = log.read_bytes()
    database.close()
    at = data.index(b"\x10", last + 100)
    assert find_lost_bit(data) is None
    assert find_lost_bit(flip(data, 8 * at + 5)) is None, "a bit that was not there is damage"
    lost = flip(data, 8 * at + 4)
    assert find_lost_bit(lost) == (at, 1 << 4)
    made = tmp_path / "made"
    open_leveldb(str(made), SECRETS_TUNING, create=True).close()
    (other,) = made.glob("*.log")
    other.write_bytes(lost)
    opened = open_leveldb(str(made), SECRETS_TUNING, create=False)
    assert [opened.snapshot().get(b"v%d" % number) for number in range(2)] == [value, value]
    opened.close()
    assert not (tmp_path / KEPT).exists()


def test_write_with_a_sound_one_behind_it_is_not_torn(tmp_path):
    """Wherever that one begins, and though its own header does not say where it is."""
    data, starts = write_all(tmp_path / "whole", (3_000, 3_000, 3_000))
    for at in range(starts[1] - starts[1] % SECTOR, starts[2] - SECTOR, SECTOR):
        first = max(at, starts[1])
        torn = data[:first] + bytes(at + SECTOR - first) + data[at + SECTOR :]
        assert find_torn_write(torn) is None, at
        if at < starts[1]:
            assert find_passed_over(torn) is not None


def test_end_of_a_write_that_was_cut_off_is_none(tmp_path, log_of):
    """What a killed process leaves."""
    data, starts = write_all(tmp_path / "whole", (300, 3_000, 40_000))
    for start in starts[1:]:
        for length in (3, 7, 8, 200, 2_000):
            assert find_passed_over(data[: start + length]) is None
            path, _ = log_of(data[: start + length])
            database = open_leveldb(str(path), SECRETS_TUNING, create=False)
            assert int(database.snapshot().get(b"n")) == starts.index(start) - 1
            database.close()


def test_what_is_cut_off_is_kept(tmp_path, log_of):
    data, starts = write_all(tmp_path / "whole", SIZES)
    torn = data[: starts[4] + 2_048] + bytes(8_192) + data[starts[4] + 10_240 : starts[5]]
    at = find_torn_write(torn)
    assert at == starts[4]
    for _ in range(2):
        path, log = log_of(torn)
        open_leveldb(str(path), SECRETS_TUNING, create=False).close()
        (folder,) = (tmp_path / KEPT).iterdir()
        kept = folder / f"{path.name}-{log.name}-{at}"
        assert kept.read_bytes() == torn[at:]
        assert kept.stat().st_mode & 0o777 == 0o600
    assert find_unsettled(tmp_path) == folder
    settle(folder, [("more", b"12")])
    assert (folder / "more").read_bytes() == b"12"
    assert find_unsettled(tmp_path) is None
    path, _ = log_of(torn)
    open_leveldb(str(path), SECRETS_TUNING, create=False).close()
    assert find_unsettled(tmp_path) == folder.with_name("2")


def tear(path):
    """Tear the last commit off the log of the main database, as a power cut would."""
    (log,) = (path / "main").glob("*.log")
    data = log.read_bytes()
    start = [at for at in headers(data) if data[at + 6] in (1, 2)][-1]
    hole = start - start % SECTOR + 2 * SECTOR
    log.write_bytes(data[:hole] + bytes(SECTOR) + data[hole + SECTOR :])


def test_segments_and_journal_of_a_torn_commit_are_kept(tmp_path):
    """Also when the start in which the log is cut does not come to its end."""
    made, path = tmp_path / "made", tmp_path / "store"
    store = open_store(made, IDENTITY, create=True)
    for number in range(2):
        noise = random.Random(number).randbytes(3_000)
        batch = Batch()
        batch.append("a/entries", noise)
        batch.put(b"k", noise)
        batch.put_secret(b"s", noise)
        store.commit(batch)
    shutil.copytree(made, path)
    store.close()
    tear(path)
    faults = Faults(0, "fail-before")
    with raises_code(Unavailable, "store-open-failed"):
        open_store(path, IDENTITY, files=FaultyFiles(faults))
    assert faults.calls == ["truncate"]
    folder = path / KEPT / "1"
    (folder / SETTLED).unlink()
    (folder / "a-entries-3000").unlink()
    store = open_store(path, IDENTITY)
    assert store.get(b"k") == random.Random(0).randbytes(3_000)
    store.close()
    assert (folder / "a-entries-3000").read_bytes() == noise
    assert parse_journal((folder / "secrets-journal").read_bytes()).changes == [(b"s", noise)]
    assert len(list(folder.iterdir())) == 4
    assert [entry.name for entry in folder.parent.iterdir()] == ["1"]


def test_kept_secrets_go_with_an_erasure(tmp_path):
    path = tmp_path / "store"
    store = open_store(path, IDENTITY, create=True)
    batch = Batch()
    batch.put_secret(b"s", b"wrapped")
    store.commit(batch)
    for name in ("1/secrets-000005.log-70", "1/main-000005.log-70", "2/secrets-journal"):
        kept = path / KEPT / name
        kept.parent.mkdir(parents=True, exist_ok=True)
        kept.write_bytes(b"wrapped")
    batch = Batch()
    batch.delete_secret(b"s")
    store.commit(batch)
    assert store.purge(secrets=[b"s"])
    store.close()
    assert [kept.name for kept in (path / KEPT).rglob("*-*")] == ["main-000005.log-70"]
    assert [folder.name for folder in list_kept(path)] == ["1", "2"]


def test_flipped_bit_of_a_header_in_the_manifest_loses_nothing(tmp_path):
    """Without its last line LevelDB would take an older set of tables for the whole."""
    path = tmp_path / "database"
    for number in range(2):
        database = open_leveldb(str(path), SECRETS_TUNING, create=not number)
        database.write([(b"k%d" % number, bytes(2_000))])
        database.close()
    (manifest,) = path.glob("MANIFEST-*")
    data = manifest.read_bytes()
    places = list(headers(data))
    assert len(places) > 1
    for at in places:
        for bit in range(56):
            copy = tmp_path / f"{at}-{bit}"
            shutil.copytree(path, copy)
            (copy / manifest.name).write_bytes(flip(data, 8 * at + bit))
            with raises_code(Fatal, "store-corrupt"):
                open_leveldb(str(copy), SECRETS_TUNING, create=False)
            shutil.rmtree(copy)
