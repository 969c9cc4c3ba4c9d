# SPDX-License-Identifier: Apache-2.0
"""Small appends are written ahead: which commits sync segments, and what opening makes of segments that lack bytes."""

from __future__ import annotations

import shutil
from contextlib import suppress

import msgpack
import pytest

from node.errors import Conflict, Fatal, NodeError
from node.ports import Batch
from node.storage.ahead import MAX_BYTES, SLOTS, slot_key
from node.storage.backup import copy_store
from node.storage.leveldb import open_leveldb
from node.storage.opening import MAIN_TUNING, SECRETS_TUNING, open_store
from node.storage.state import STORE_KEY
from node.storage.upgrading import FORMAT_FILE, run_steps
from tests.support.errors import raises_code
from tests.support.faults import Faults, FaultyDisk, PowerCutError

IDENTITY = b"demo.example/91110000000000000X"
ENTRIES, VALUES = "log/entries", "log/values"
FIRST = {ENTRIES: b"first entry", VALUES: b"first values"}


def batch_of(appends):
    batch = Batch()
    for stream, data in appends.items():
        batch.append(stream, data)
    return batch


def opened(path, disk=None, **more):
    doubles = {} if disk is None else {"files": disk.files, "open_database": disk.open_database}
    return open_store(path, IDENTITY, create=True, **doubles, **more)


def commit(store, *appends):
    for parts in appends:
        store.commit(batch_of(parts))


def slots_of(path):
    """Which slots of a store that nobody has open are taken."""
    main = open_leveldb(str(path / "main"), MAIN_TUNING, create=False)
    taken = [slot for slot in range(256) if main.snapshot().get(slot_key(slot)) is not None]
    main.close()
    return taken


@pytest.fixture
def disk():
    return FaultyDisk(Faults())


@pytest.fixture
def calls(disk):
    return disk.faults.calls


@pytest.fixture
def store(tmp_path, disk):
    """A store with two streams, whose next commits can be written ahead."""
    made = opened(tmp_path / "store", disk, segment_bytes=200_000)
    commit(made, FIRST)
    disk.faults.calls.clear()
    yield made
    made.close()


def test_a_small_append_is_durable_with_one_sync(store, calls):
    commit(store, {ENTRIES: b"a", VALUES: b"b"})
    assert calls == ["write", "write", "database.write"]


def test_a_large_append_syncs_every_segment_that_lacks_a_sync(tmp_path, store, calls):
    commit(store, {ENTRIES: b"a", VALUES: b"b"}, {ENTRIES: b"c"})
    calls.clear()
    commit(store, {ENTRIES: bytes(MAX_BYTES + 1)})
    assert calls == ["write", "sync", "sync", "database.write"]
    calls.clear()
    commit(store, {ENTRIES: bytes(MAX_BYTES)})
    assert calls == ["write", "database.write"]
    store.close()
    assert slots_of(tmp_path / "store") == []


def test_a_new_segment_syncs_the_one_before_it(tmp_path, disk):
    store = opened(tmp_path / "store", disk, segment_bytes=20)
    commit(store, {ENTRIES: b"0123456789"}, {ENTRIES: b"0123456789"})
    disk.faults.calls.clear()
    commit(store, {ENTRIES: b"next"})
    assert disk.faults.calls == ["sync", "create", "sync_dir", "write", "sync", "database.write"]
    disk.abandon()
    disk.files.lose_unsynced()
    store = opened(tmp_path / "store", segment_bytes=20)
    assert store.read(ENTRIES, 0, 24) == b"01234567890123456789next"
    store.close()


def test_when_all_slots_are_taken_segments_are_synced(store, calls):
    commit(store, *[{ENTRIES: b"%d" % number} for number in range(SLOTS)])
    assert "sync" not in calls
    calls.clear()
    commit(store, {ENTRIES: b"one more"})
    assert calls == ["write", "sync", "database.write"]
    calls.clear()
    commit(store, {ENTRIES: b"and one"})
    assert calls == ["write", "database.write"]


@pytest.mark.parametrize("loss", ["bytes at the end", "everything but the name", "zeros"])
def test_what_a_power_cut_takes_from_segments_is_put_back(tmp_path, store, disk, loss):
    commit(store, *[{ENTRIES: b"entry %d" % number, VALUES: b"%d" % number} for number in range(9)])
    want = {stream: store.read(stream, 0, store.length(stream)) for stream in FIRST}
    path = tmp_path / "cut"
    shutil.copytree(tmp_path / "store", path)
    for stream, synced in FIRST.items():
        (segment,) = (path / "streams" / stream).glob("*.seg")
        rest = len(want[stream]) - len(synced)
        left = {
            "bytes at the end": want[stream][: len(synced) + rest // 2],
            "zeros": synced + bytes(rest + 3),
        }
        segment.write_bytes(left.get(loss, synced))
    for _ in range(2):
        again = opened(path)
        assert {stream: again.read(stream, 0, again.length(stream)) for stream in FIRST} == want
        again.close()
        assert slots_of(path) == []
        for stream in FIRST:
            (segment,) = (path / "streams" / stream).glob("*.seg")
            assert segment.read_bytes() == want[stream]


@pytest.mark.parametrize("stream", FIRST)
def test_bytes_that_were_synced_are_missed(tmp_path, store, stream):
    commit(store, {ENTRIES: b"a", VALUES: b"b"})
    shutil.copytree(tmp_path / "store", tmp_path / "cut")
    (segment,) = (tmp_path / "cut" / "streams" / stream).glob("*.seg")
    segment.write_bytes(FIRST[stream][:-1])
    with raises_code(Fatal, "store-truncated") as caught:
        opened(tmp_path / "cut")
    assert f"want {len(FIRST[stream])}" in caught.value.message


@pytest.mark.parametrize(
    "mode", ["fail-before", "fail-torn", "fail-after", "cut-before", "cut-torn", "cut-after"]
)
def test_completing_that_fails_is_repeated(tmp_path, store, disk, mode):
    commit(store, {ENTRIES: b"a", VALUES: b"b"}, {ENTRIES: b"cc"})
    disk.abandon()
    disk.files.lose_unsynced()
    damaged = tmp_path / "store"
    whole = FaultyDisk(Faults())
    shutil.copytree(damaged, tmp_path / "whole")
    opened(tmp_path / "whole", whole).close()
    assert whole.faults.calls == ["open", "write", "open", "write", "write", "sync", "sync", "database.write"]
    for at, call in enumerate(whole.faults.calls):
        if mode.endswith("torn") and call != "write":
            continue
        path = tmp_path / str(at)
        shutil.copytree(damaged, path)
        broken = FaultyDisk(Faults(at, mode))
        with pytest.raises((NodeError, PowerCutError)):
            opened(path, broken)
        broken.abandon()
        broken.files.lose_unsynced()
        again = opened(path)
        assert again.read(ENTRIES, 0, 14) == FIRST[ENTRIES] + b"acc"
        assert again.read(VALUES, 0, 13) == FIRST[VALUES] + b"b"
        again.close()


@pytest.mark.parametrize("mode", ["fail-before", "fail-after", "cut-before", "cut-after"])
@pytest.mark.parametrize("at", range(4))
def test_a_commit_that_syncs_and_fails_loses_nothing_that_was_written_ahead(tmp_path, store, disk, mode, at):
    commit(store, {ENTRIES: b"a", VALUES: b"b"})
    disk.faults.at, disk.faults.mode = len(disk.faults.calls) + at, mode
    with pytest.raises((Fatal, PowerCutError)):
        commit(store, {ENTRIES: bytes(MAX_BYTES + 1)})
    disk.abandon()
    disk.files.lose_unsynced()
    again = opened(tmp_path / "store")
    happened = mode.endswith("after") and at == 3
    assert again.length(ENTRIES) == 12 + happened * (MAX_BYTES + 1)
    assert again.read(ENTRIES, 0, 12) == FIRST[ENTRIES] + b"a"
    assert again.read(VALUES, 0, 13) == FIRST[VALUES] + b"b"
    again.close()


@pytest.mark.parametrize("at", range(2))
def test_a_close_that_fails_leaves_the_slots(tmp_path, store, disk, at):
    commit(store, {ENTRIES: b"a"}, {ENTRIES: b"b"})
    disk.faults.at = len(disk.faults.calls) + at
    store.close()
    assert slots_of(tmp_path / "store") == [0, 1]
    disk.files.lose_unsynced()
    again = opened(tmp_path / "store")
    assert again.read(ENTRIES, 0, 13) == FIRST[ENTRIES] + b"ab"
    again.close()
    assert slots_of(tmp_path / "store") == []


def test_a_store_that_failed_empties_no_slots(tmp_path, store, disk):
    commit(store, {ENTRIES: b"a"})
    disk.faults.at = len(disk.faults.calls)
    with suppress(Fatal):
        commit(store, {ENTRIES: b"b"})
    store.close()
    assert slots_of(tmp_path / "store") == [0]


def test_a_backup_made_while_slots_are_taken_is_of_one_commit(tmp_path, store):
    """It holds the slots of its own commits and no byte of later ones, written ahead or not."""
    commit(store, {ENTRIES: b"a", VALUES: b"b"}, {ENTRIES: b"cc"})
    with store.snapshot() as snapshot:
        commit(store, {ENTRIES: b"later"}, {ENTRIES: bytes(MAX_BYTES + 1)}, {VALUES: b"later"})
        copy_store(snapshot, str(tmp_path / "store"), str(tmp_path / "backup"), lambda _: None)
    assert slots_of(tmp_path / "backup") == [0, 1]
    for _ in range(2):
        again = opened(tmp_path / "backup")
        assert [again.length(stream) for stream in FIRST] == [14, 13]
        assert again.read(ENTRIES, 0, 14) == FIRST[ENTRIES] + b"acc"
        assert again.read(VALUES, 0, 13) == FIRST[VALUES] + b"b"
        again.close()


def test_a_store_of_format_2_is_upgraded_by_its_mark_alone(tmp_path, store):
    commit(store, {ENTRIES: b"a"})
    store.close()
    path = tmp_path / "store"
    for name, tuning in (("main", MAIN_TUNING), ("secrets", SECRETS_TUNING)):
        database = open_leveldb(str(path / name), tuning, create=False)
        database.write([(STORE_KEY, msgpack.packb([2, IDENTITY]))])
        database.close()
    (path / FORMAT_FILE).write_text("2\n")
    with raises_code(Conflict, "store-format-older"):
        opened(path)
    upgraded = open_store(path, IDENTITY, upgrade=True)
    run_steps(upgraded, upgraded.find_upgrade(), [], lambda *_: None)
    upgraded.close()
    again = opened(path)
    commit(again, {ENTRIES: b"b"})
    assert again.read(ENTRIES, 0, 13) == FIRST[ENTRIES] + b"ab"
    again.close()


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"\xc1",
        msgpack.packb(1),
        msgpack.packb([[ENTRIES, 11]]),
        msgpack.packb([[ENTRIES, 11, "ab"]]),
        msgpack.packb([[ENTRIES, 11, b"ab", 1]]),
        msgpack.packb([[ENTRIES.encode(), 11, b"ab"]]),
        msgpack.packb([[ENTRIES, True, b"a"]]),
        msgpack.packb([[ENTRIES, 0, FIRST[ENTRIES] + b"ab"]]),
        msgpack.packb([[ENTRIES, 13, b""]]),
        msgpack.packb([[ENTRIES, 12, b"ab"]]),
        msgpack.packb([[ENTRIES, 11, b"a"]]),
        msgpack.packb([[ENTRIES, 10, b"x"], [ENTRIES, 12, b"b"]]),
        msgpack.packb([["log/other", 1, b"a"]]),
        msgpack.packb([[ENTRIES, 11, b"ab"]]) + b"\x00",
    ],
)
def test_a_slot_that_cannot_be_is_damage(tmp_path, store, value):
    commit(store, {ENTRIES: b"ab"})
    shutil.copytree(tmp_path / "store", tmp_path / "bent")
    main = open_leveldb(str(tmp_path / "bent" / "main"), MAIN_TUNING, create=False)
    main.write([(slot_key(0), value)])
    main.close()
    before = [path.read_bytes() for path in sorted((tmp_path / "bent").rglob("*.seg"))]
    with raises_code(Fatal, "store-corrupt"):
        opened(tmp_path / "bent")
    assert [path.read_bytes() for path in sorted((tmp_path / "bent").rglob("*.seg"))] == before
