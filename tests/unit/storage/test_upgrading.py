# SPDX-License-Identifier: Apache-2.0
"""Stores of other formats: upgraded after a copy, gone on with when interrupted, put back, refused."""

import os
import shutil
from pathlib import Path
from typing import NamedTuple

import msgpack
import pytest

from node.bootstrap import carry_upgrade
from node.errors import Conflict, Fatal, NodeError, NotFound
from node.ports import Batch
from node.service import layout
from node.service.assembly import open_logs
from node.service.drafting import Release
from node.service.fsck.checker import Checker
from node.service.grounds import GroundSealer
from node.service.keeping import LocalKeeper
from node.service.layout import LogKind
from node.service.looking import _MINT, Look
from node.service.status import parse_history
from node.service.upgrades import SealGrounds
from node.storage.leveldb import open_leveldb
from node.storage.opening import MAIN_TUNING, open_store, undo_upgrade
from node.storage.state import FORMAT, STORE_KEY
from node.storage.upgrading import COPY, FORMAT_FILE, UPGRADE_KEY, Progress, encode_progress, run_steps
from tests.support.errors import raises_code
from tests.support.faults import Faults, FaultyDisk, FaultyFiles
from tests.support.node_world import DOMAIN, NodeWorld
from tests.support.old_stores import make_format_1
from tests.support.rows import ISSUER

IDENTITY = f"{DOMAIN}/{ISSUER}".encode()
GROUND = "复议机关撤销，当事人来函"
OLD = {n: [(2, 1_800_000_000_000, "wang", GROUND), (1, 1_800_000_000_001, "li", GROUND * 2)] for n in (1, 3)}
OTHER = LocalKeeper(bytes(32), os.urandom)


class Held(NamedTuple):
    """The keys that nobody else knows."""

    keeper: LocalKeeper
    index: bytes


@pytest.fixture(scope="module")
def old_store(tmp_path_factory):
    """A store of format 1 with six records, two of them withdrawn; and its world's head files."""
    path = tmp_path_factory.mktemp("old") / "store"
    with NodeWorld(store=open_store(path, IDENTITY, create=True)) as world:
        world.join()
        world.import_penalties(range(6))
        for entry in OLD:
            world.services.records.withdraw(world.records.leaf(entry), officer="wang", ground="x")
        world.anchor()
        heads, keys = world.heads, Held(world.keeper, world.keys.index)
    make_format_1(path, OLD)
    return path, heads, keys


@pytest.fixture
def old(old_store, tmp_path):
    shutil.copytree(old_store[0], tmp_path / "store")
    return tmp_path / "store"


def upgrade(path, keys, disk=None, told=None):
    options = {} if disk is None else {"files": disk.files, "open_database": disk.open_database}
    store = open_store(path, IDENTITY, upgrade=True, **options)
    try:
        records = open_logs(store, DOMAIN, ISSUER)[LogKind.RECORDS]
        step = SealGrounds(records, keys.keeper, os.urandom)
        run_steps(store, store.find_upgrade(), [step], lambda *said: told is not None and told.append(said))
    finally:
        store.close()


def check_upgraded(path, heads, keys):
    store = open_store(path, IDENTITY)
    try:
        logs = open_logs(store, DOMAIN, ISSUER)
        sealer = GroundSealer(logs[LogKind.RECORDS], keys.keeper, os.urandom)
        for entry, want in OLD.items():
            look = Look(0, {entry: Release(entry, "", "", {})}, frozenset(), _MINT)
            found = sealer.open(look, entry, parse_history(store.get(layout.history_key(entry))))
            assert [(c.status, c.at_ms, c.officer, c.ground) for c in found] == want
        assert store.find_upgrade() is None
        assert Checker(store, logs, heads).run() == []
    finally:
        store.close()
    assert format_of(path, "main") == format_of(path, "secrets") == FORMAT


def holds_ground(path):
    return [file for file in path.rglob("*") if file.is_file() and GROUND.encode() in file.read_bytes()]


def test_grounds_are_sealed_and_gone_from_the_disk(old, old_store):
    _, heads, keys = old_store
    assert holds_ground(old)
    told = []
    upgrade(old, keys, told=told)
    assert told == [("seal-grounds", 0), ("seal-grounds", 2)]
    check_upgraded(old, heads, keys)
    # The copy alone still has them, until the log grows.
    assert {file.relative_to(old).parts[0] for file in holds_ground(old)} == {COPY}


def test_the_copy_goes_with_the_first_entry(old, old_store):
    _, heads, keys = old_store
    upgrade(old, keys)
    store = open_store(old, IDENTITY)
    batch = Batch()
    batch.put(b"v\x00\x09", b"item:1")
    store.commit(batch)
    assert (old / COPY).is_dir()
    batch = Batch()
    batch.append("records.0/entries", b"x")
    store.commit(batch)
    store.close()
    assert not (old / COPY).exists()
    assert holds_ground(old) == []
    with raises_code(NotFound, "upgrade-copy-missing"):
        undo_upgrade(old, IDENTITY)
    del heads


def test_a_death_between_the_marks_of_both_databases_is_made_good(old, old_store):
    _, heads, keys = old_store
    upgrade(old, keys)
    database = open_leveldb(str(old / "secrets"), MAIN_TUNING, create=False)
    database.write([(STORE_KEY, msgpack.packb([1, IDENTITY], use_bin_type=True))])
    database.close()
    check_upgraded(old, heads, keys)


def test_an_upgrade_that_an_older_release_left_unfinished_is_gone_on_with(old, old_store):
    """The release of format 2 marked the store and died before it had sealed anything."""
    _, heads, keys = old_store
    owner = (STORE_KEY, msgpack.packb([2, IDENTITY], use_bin_type=True))
    begun = (UPGRADE_KEY, encode_progress(Progress(1, 0, b"")))
    for name, changes in (("main", [owner, begun]), ("secrets", [owner])):
        database = open_leveldb(str(old / name), MAIN_TUNING, create=False)
        database.write(changes)
        database.close()
    upgrade(old, keys)
    check_upgraded(old, heads, keys)


def test_a_copy_that_cannot_be_removed_is_tried_again(old, old_store):
    """It holds the secret that an erasure deletes: while it is there, nothing is purged."""
    upgrade(old, old_store[2])

    class KeptFiles(FaultyFiles):
        keeps = True

        def remove(self, path):
            if self.keeps and COPY in path:
                raise OSError(13, "Permission denied")
            super().remove(path)

    files = KeptFiles(Faults())
    store = open_store(old, IDENTITY, files=files)
    secret = layout.secret_key(LogKind.RECORDS, 1)
    batch = Batch()
    batch.append("records.0/entries", b"x")
    batch.delete_secret(secret)
    store.commit(batch)
    assert not store.purge([], [secret])
    assert (old / COPY).is_dir()
    files.keeps = False
    assert store.purge([], [secret])
    assert not (old / COPY).exists()
    store.close()


def test_an_old_store_is_not_read_half_upgraded(old, old_store):
    with raises_code(Conflict, "store-format-older"):
        open_store(old, IDENTITY)
    open_store(old, IDENTITY, upgrade=True).close()
    with raises_code(Conflict, "store-format-older"):
        open_store(old, IDENTITY)
    upgrade(old, old_store[2])
    check_upgraded(old, *old_store[1:])


def count_calls(source, keys, path):
    shutil.copytree(source, path)
    disk = FaultyDisk(Faults())
    upgrade(path, keys, disk)
    return len(disk.faults.calls)


@pytest.mark.parametrize("stride", [7, pytest.param(1, marks=pytest.mark.slow)])
@pytest.mark.parametrize("mode", ["fail-before", "fail-after"])
def test_an_upgrade_that_dies_at_any_call_goes_on(old_store, tmp_path, mode, stride):
    source, heads, keys = old_store
    calls = count_calls(source, keys, tmp_path / "whole")
    assert calls > 20
    for at in range(0, calls, stride):
        path = tmp_path / f"{at}"
        shutil.copytree(source, path)
        with pytest.raises(NodeError):
            upgrade(path, keys, FaultyDisk(Faults(at, mode)))
        upgrade(path, keys)
        check_upgraded(path, heads, keys)
        shutil.rmtree(path)


def test_undone_before_anything_was_appended(old, old_store):
    before = histories_of(old)
    upgrade(old, old_store[2])
    undo_upgrade(old, IDENTITY)
    assert format_of(old) == 1
    assert histories_of(old) == before
    assert sorted(path.name for path in old.iterdir()) == ["main", "secrets", "streams"]
    upgrade(old, old_store[2])
    check_upgraded(old, *old_store[1:])


def test_an_undo_that_was_cut_off_goes_on(old, old_store):
    upgrade(old, old_store[2])
    (old / "secrets").rename(old / "secrets.after")
    with raises_code(Conflict, "store-undo-unfinished"):
        open_store(old, IDENTITY, upgrade=True)
    undo_upgrade(old, IDENTITY)
    assert format_of(old) == 1
    upgrade(old, old_store[2])
    check_upgraded(old, *old_store[1:])


def test_a_newer_store_is_refused_and_left_as_it_was(old, old_store):
    upgrade(old, old_store[2])
    (old / FORMAT_FILE).write_text(f"{FORMAT + 1}\n")
    before = {path: path.stat().st_mtime_ns for path in old.rglob("*")}
    for upgrading in (False, True):
        with pytest.raises(Conflict) as caught:
            open_store(old, IDENTITY, upgrade=upgrading)
        assert caught.value.code == "store-format-newer"
        assert f"got format {FORMAT + 1}" in caught.value.message
    assert {path: path.stat().st_mtime_ns for path in old.rglob("*")} == before


def test_what_a_lost_secret_had_sealed_is_dropped_and_counted(old, old_store):
    store = open_store(old, IDENTITY, upgrade=True)
    batch = Batch()
    batch.delete_secret(layout.secret_key(LogKind.RECORDS, 3))
    store.commit(batch)
    step = SealGrounds(open_logs(store, DOMAIN, ISSUER)[LogKind.RECORDS], old_store[2].keeper, os.urandom)
    run_steps(store, store.find_upgrade(), [step], lambda *_: None)
    assert step.lost == 2
    assert [change.sealed for change in parse_history(store.get(layout.history_key(3)))] == [b"", b""]
    store.close()


def test_foreign_keys_do_not_touch_an_upgrade(old, old_store):
    """A node, and ``node upgrade``, that meet a pending upgrade with other keys leave every ground as it is."""
    _, heads, keys = old_store
    store = open_store(old, IDENTITY, upgrade=True)
    before = list(store.scan(b"", None))
    foreign = {"wrapping": keys._replace(keeper=OTHER), "index": keys._replace(index=bytes(32))}
    for name, others in foreign.items():
        with raises_code(Conflict, "keys-of-another-store") as caught:
            carry_upgrade(store, DOMAIN, ISSUER, *others, lambda *_: None)
        assert f"{name}.json" in caught.value.message
    assert list(store.scan(b"", None)) == before
    carry_upgrade(store, DOMAIN, ISSUER, *keys, lambda *_: None)
    store.close()
    check_upgraded(old, heads, keys)


def test_a_check_that_refuses_begins_no_upgrade(old):
    def refuse(stored):
        assert stored.get(layout.KEY_CHECK_KEY)
        raise Conflict("keys-of-another-store", "others")

    with raises_code(Conflict, "keys-of-another-store"):
        open_store(old, IDENTITY, upgrade=True, before_upgrade=refuse)
    assert format_of(old) == 1
    assert sorted(path.name for path in old.iterdir()) == ["main", "secrets", "streams"]


def test_a_key_that_opens_nothing_drops_no_ground(old, old_store):
    """Stores from before the key check say nothing of their keys; the secrets themselves do."""
    _, heads, keys = old_store
    store = open_store(old, IDENTITY, upgrade=True)
    batch = Batch()
    batch.delete(layout.KEY_CHECK_KEY)
    store.commit(batch)
    before = list(store.scan(b"o", b"p"))
    with raises_code(Conflict, "keys-of-another-store"):
        carry_upgrade(store, DOMAIN, ISSUER, OTHER, keys.index, lambda *_: None)
    assert list(store.scan(b"o", b"p")) == before
    carry_upgrade(store, DOMAIN, ISSUER, *keys, lambda *_: None)
    store.close()
    check_upgraded(old, heads, keys)


@pytest.mark.parametrize("entry", OLD)
def test_a_damaged_secret_among_sound_ones_loses_its_own_grounds_alone(old, old_store, entry):
    store = open_store(old, IDENTITY, upgrade=True)
    batch = Batch()
    batch.put_secret(layout.secret_key(LogKind.RECORDS, entry), bytes(60))
    store.commit(batch)
    carry_upgrade(store, DOMAIN, ISSUER, *old_store[2], lambda *_: None)
    dropped = {
        n: [not change.sealed for change in parse_history(store.get(layout.history_key(n)))] for n in OLD
    }
    assert dropped == {n: [n == entry] * 2 for n in OLD}
    store.close()


def test_a_format_file_that_contradicts_the_databases_is_named(old):
    (old / FORMAT_FILE).write_text(f"{FORMAT}\n")
    with raises_code(Fatal, "store-corrupt"):
        open_store(old, IDENTITY, upgrade=True)
    Path(old / FORMAT_FILE).write_text("?\n")
    open_store(old, IDENTITY, upgrade=True).close()


def format_of(path, name="main"):
    database = open_leveldb(str(path / name), MAIN_TUNING, create=False)
    try:
        return msgpack.unpackb(database.snapshot().get(STORE_KEY))[0]
    finally:
        database.close()


def histories_of(path):
    database = open_leveldb(str(path / "main"), MAIN_TUNING, create=False)
    try:
        return [database.snapshot().get(layout.history_key(entry)) for entry in OLD]
    finally:
        database.close()
