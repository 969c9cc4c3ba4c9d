# SPDX-License-Identifier: Apache-2.0
"""Every call of a commit, of creation and of recovery fails in every way; what the store says then, and after."""

from __future__ import annotations

import shutil

import pytest

from node.errors import Fatal, NodeError, Unavailable
from node.ports import Batch
from node.storage.leveldb import MIB
from node.storage.opening import open_store
from tests.support.errors import raises_code
from tests.support.faults import MODES, Faults, FaultyDisk, FaultyFiles, PowerCutError
from tests.support.naive_store import numbered_batch, numbered_differences

IDENTITY = b"demo.example/91110000000000000X"
BATCHES = 4
CUT_MODES = ("cut-before", "cut-torn", "cut-after")


def open_on(disk, path, *, create=True):
    return open_store(
        path,
        IDENTITY,
        create=create,
        files=disk.files,
        open_database=disk.open_database,
        segment_bytes=400,
    )


def reopen(path):
    return open_store(path, IDENTITY, create=True, segment_bytes=400)


def commit_all(store) -> int:
    """Commit the batches and return how many were acknowledged before one was not."""
    for number in range(BATCHES):
        try:
            store.commit(numbered_batch(number))
        except (NodeError, PowerCutError):
            return number
    return BATCHES


def check_reopened(path, least: int, most: int) -> int:
    store = reopen(path)
    count = int(store.get(b"n") or -1) + 1
    assert least <= count <= most
    assert numbered_differences(store, count) == []
    store.commit(numbered_batch(count))
    assert numbered_differences(store, count + 1) == []
    store.close()
    store = reopen(path)
    assert numbered_differences(store, count + 1) == []
    store.close()
    return count


def count_calls(path) -> tuple[list[str], int]:
    """Return the calls that creation and all commits make, and how many of them creation makes."""
    disk = FaultyDisk(Faults())
    store = open_on(disk, path)
    created = len(disk.faults.calls)
    assert commit_all(store) == BATCHES
    store.close()
    return disk.faults.calls, created


def places(calls, mode, *, first=0) -> list[int]:
    """Return the numbers of the calls at which a mode is a case of its own: only writes of bytes can tear."""
    return [at for at in range(first, len(calls)) if calls[at] == "write" or not mode.endswith("torn")]


@pytest.mark.parametrize("mode", MODES)
def test_failed_call_poisons_and_reopening_recovers(tmp_path, mode):
    calls, created = count_calls(tmp_path / "whole")
    assert {"make_dir", "sync_dir", "create", "write", "sync", "database.write"} <= set(calls)
    for at in places(calls, mode, first=created):
        path = tmp_path / str(at)
        disk = FaultyDisk(Faults(at, mode))
        store = open_on(disk, path)
        acknowledged = commit_all(store)
        assert acknowledged < BATCHES
        with pytest.raises(Fatal) as caught:
            store.commit(numbered_batch(acknowledged))
        assert caught.value.code == "store-poisoned"
        with pytest.raises(Fatal) as caught:
            store.purge()
        assert caught.value.code == "store-poisoned"
        assert numbered_differences(store, acknowledged) == []
        store.close()
        last_call_of_commit = calls[at] == "database.write" and calls[at + 1 : at + 2] != ["database.write"]
        persisted = acknowledged + 1 if mode == "fail-after" and last_call_of_commit else acknowledged
        assert check_reopened(path, acknowledged, persisted) == persisted


def test_failed_commit_says_what_failed(tmp_path):
    _, created = count_calls(tmp_path / "whole")
    store = open_on(FaultyDisk(Faults(created, "fail-before")), tmp_path / "store")
    with pytest.raises(Fatal) as caught:
        store.commit(numbered_batch(0))
    assert caught.value.code == "store-commit-failed"
    assert "injected" in caught.value.message
    store.close()


@pytest.mark.parametrize("mode", CUT_MODES)
def test_power_cut_at_every_call(tmp_path, mode):
    """Whatever no sync had made durable is gone; acknowledged batches are not among it."""
    calls, _ = count_calls(tmp_path / "whole")
    for at in places(calls, mode):
        path = tmp_path / str(at)
        disk = FaultyDisk(Faults(at, mode))
        acknowledged = 0
        try:
            store = open_on(disk, path)
        except PowerCutError:
            pass
        else:
            acknowledged = commit_all(store)
        assert disk.faults.dead
        disk.abandon()
        disk.files.lose_unsynced()
        check_reopened(path, acknowledged, acknowledged + 1)


def test_power_cut_after_acknowledgement_loses_nothing(tmp_path):
    disk = FaultyDisk(Faults())
    store = open_on(disk, tmp_path / "store")
    for number in range(BATCHES):
        store.commit(numbered_batch(number))
    disk.abandon()
    disk.files.lose_unsynced()
    check_reopened(tmp_path / "store", BATCHES, BATCHES)


@pytest.mark.parametrize("mode", ["fail-before", "fail-after", "cut-before", "cut-after"])
def test_recovery_that_fails_is_repeated(tmp_path, mode):
    """A tail, a segment too many and a journal entry to discard are still repaired when the repair was broken off."""
    damaged = tmp_path / "damaged"
    disk = FaultyDisk(Faults())
    store = open_on(disk, damaged)
    for number in range(BATCHES):
        store.commit(numbered_batch(number))
    batch = Batch()
    batch.append("records.0/entries", b"x" * 500)
    batch.append("records.0/values", b"y")
    batch.append("new/stream", b"z")
    batch.put_secret(b"s1", b"never committed")
    batch.delete_secret(b"s2")
    writes = [number for number, call in enumerate(disk.faults.calls) if call == "database.write"]
    disk.faults.at = len(disk.faults.calls) + len(measure_calls(tmp_path / "measure", batch)) - 1
    disk.faults.mode = "cut-before"
    with pytest.raises(PowerCutError):
        store.commit(batch)
    assert len([call for call in disk.faults.calls if call == "database.write"]) == len(writes) + 2
    disk.abandon()

    whole = FaultyDisk(Faults())
    shutil.copytree(damaged, tmp_path / "whole")
    open_on(whole, tmp_path / "whole", create=False).close()
    assert {"truncate", "remove", "sync_dir", "database.write"} <= set(whole.faults.calls)
    for at in places(whole.faults.calls, mode):
        path = tmp_path / f"repair-{at}"
        shutil.copytree(damaged, path)
        broken = FaultyDisk(Faults(at, mode))
        with pytest.raises((NodeError, PowerCutError)) as caught:
            open_on(broken, path, create=False)
        if isinstance(caught.value, NodeError):
            assert caught.value.code in {"store-open-failed", "store-write-failed"}
        broken.abandon()
        check_reopened(path, BATCHES, BATCHES)


def measure_calls(path, batch) -> list[str]:
    disk = FaultyDisk(Faults())
    store = open_on(disk, path)
    for number in range(BATCHES):
        store.commit(numbered_batch(number))
    before = len(disk.faults.calls)
    store.commit(batch)
    store.close()
    return disk.faults.calls[before:]


def test_short_writes_are_completed(tmp_path):
    disk = FaultyDisk(Faults())
    disk.files.longest_write = 7
    store = open_on(disk, tmp_path / "store")
    for number in range(BATCHES):
        store.commit(numbered_batch(number))
    assert numbered_differences(store, BATCHES) == []
    store.close()
    assert disk.faults.calls.count("write") > 10 * BATCHES


def test_full_disk_is_noticed_before_anything_is_written(tmp_path):
    faults = Faults()
    files = FaultyFiles(faults)
    store = open_store(tmp_path / "store", IDENTITY, create=True, files=files, reserve_bytes=1000)
    batch = Batch()
    batch.append("s", b"x" * 100)
    files.free = 1099
    before = list(faults.calls)
    with pytest.raises(Unavailable) as caught:
        store.commit(batch)
    assert caught.value.code == "store-disk-full"
    assert faults.calls == before
    store.require_room()
    files.free = 999
    with raises_code(Unavailable, "store-disk-full"):
        store.require_room()
    files.free = 1100
    store.commit(batch)
    assert store.read("s", 0, 100) == b"x" * 100
    store.close()


def test_a_purge_keeps_space_for_the_tables_that_it_writes(tmp_path):
    """LevelDB that runs out of space in a merge refuses every write from then on."""
    faults = Faults()
    files = FaultyFiles(faults)
    disk = FaultyDisk(faults)
    store = open_store(
        tmp_path / "store", IDENTITY, create=True, files=files, open_database=disk.open_database
    )
    for number in range(BATCHES):
        store.commit(numbered_batch(number))
    files.free = 128 * MIB
    before = list(faults.calls)
    with pytest.raises(Unavailable) as caught:
        store.purge([(b"\x01", b"\xff")])
    assert caught.value.code == "store-disk-full"
    assert faults.calls == before
    files.free = 1024 * MIB
    assert store.purge([(b"\x01", b"\xff")])
    store.close()


def test_interrupted_commit_poisons(tmp_path):
    class InterruptedFiles(FaultyFiles):
        interrupted = False

        def write(self, descriptor, data, offset):
            if self.interrupted:
                raise KeyboardInterrupt
            return super().write(descriptor, data, offset)

    files = InterruptedFiles(Faults())
    store = open_store(tmp_path / "store", IDENTITY, create=True, files=files)
    files.interrupted = True
    with pytest.raises(KeyboardInterrupt):
        store.commit(numbered_batch(0))
    with pytest.raises(Fatal) as caught:
        store.commit(numbered_batch(0))
    assert caught.value.code == "store-poisoned"
    store.close()
    check_reopened(tmp_path / "store", 0, 0)
