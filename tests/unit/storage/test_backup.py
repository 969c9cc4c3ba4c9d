# SPDX-License-Identifier: Apache-2.0
"""A backup is the state at one commit, whole or not there; putting it back reads every byte against its digest."""

from __future__ import annotations

import json
import shutil
import threading
from dataclasses import replace

import pytest

from node.errors import Conflict, Fatal, NotFound, Unavailable
from node.ports import Batch
from node.storage.backup import (
    abandon_backup,
    begin_backup,
    copy_store,
    finish_backup,
    load_manifest,
    restore_store,
)
from node.storage.files import OsFiles
from node.storage.manifest import KEEP_SECONDS, BackedUpLog, Manifest, encode_manifest, parse_manifest
from node.storage.opening import open_store
from node.storage.state import FORMAT
from tests.support.errors import raises_code

IDENTITY = b"zj.example/911100000000000000"
NOW = 1_790_000_000


def batch(number):
    made = Batch()
    made.put(b"n", number.to_bytes(8, "big"))
    made.put(b"k%06d" % number, b"v" * 100)
    made.put_secret(b"s%06d" % number, b"w" * 60)
    made.append("records.0/entries", b"%06d" % number)
    return made


@pytest.fixture
def store(tmp_path):
    (tmp_path / "data").mkdir()
    store = open_store(tmp_path / "data" / "store", IDENTITY, create=True, segment_bytes=64)
    for number in range(40):
        store.commit(batch(number))
    yield store
    store.close()


def back_up(store, tmp_path, name="one", tell=lambda _done: None, files=None):
    partial = begin_backup(tmp_path / "backups", name)
    with store.snapshot() as snapshot:
        made = copy_store(snapshot, str(tmp_path / "data" / "store"), str(partial / "store"), tell, files)
        streams = dict(snapshot.lengths())
    manifest = Manifest(IDENTITY.decode(), FORMAT, "0", NOW, NOW + 10, [], streams, made)
    return finish_backup(partial, manifest), manifest


def content(store):
    """Everything that can be read, and what the newest commit was."""
    length = store.length("records.0/entries")
    return (
        list(store.scan(b"\x01", None)),
        [store.get_secret(b"s%06d" % number) for number in range(60)],
        store.read("records.0/entries", 0, length),
    )


def test_a_backup_put_back_is_the_store_that_was(store, tmp_path):
    path, manifest = back_up(store, tmp_path)
    assert load_manifest(path) == manifest
    assert len([file for file in manifest.files if file.path.endswith(".seg")]) == 4
    restore_store(path, manifest, tmp_path / "other", lambda _done: None)
    with_all = content(store)
    store.commit(batch(50))
    other = open_store(tmp_path / "other", IDENTITY)
    assert content(other) == with_all
    other.commit(batch(41))
    other.close()
    assert load_manifest(path) == manifest, "writing to what was put back leaves the backup as it is"


def test_a_backup_made_while_the_store_is_written_is_of_one_commit(store, tmp_path):
    stop = threading.Event()

    def write():
        number = 40
        while not stop.is_set():
            store.commit(batch(number))
            number += 1

    writer = threading.Thread(target=write)
    writer.start()
    try:
        path, manifest = back_up(store, tmp_path)
    finally:
        stop.set()
        writer.join()
    restore_store(path, manifest, tmp_path / "other", lambda _done: None)
    other = open_store(tmp_path / "other", IDENTITY)
    newest = int.from_bytes(other.get(b"n"), "big")
    assert [key for key, _ in other.scan(b"k", b"l")] == [b"k%06d" % number for number in range(newest + 1)]
    entries = other.read("records.0/entries", 0, other.length("records.0/entries"))
    assert entries == b"".join(b"%06d" % number for number in range(newest + 1))
    assert other.get_secret(b"s%06d" % newest) is not None
    assert other.get_secret(b"s%06d" % (newest + 1)) is None
    other.close()


def test_an_erased_secret_is_not_in_a_backup_made_afterwards(store, tmp_path):
    marked = b"the-marked-secret-of-one-record" * 2
    wanted = Batch()
    wanted.put_secret(b"s-marked", marked)
    store.commit(wanted)
    gone = Batch()
    gone.delete_secret(b"s-marked")
    store.commit(gone)
    path, _ = back_up(store, tmp_path)
    assert not any(marked in file.read_bytes() for file in path.rglob("*") if file.is_file())


@pytest.mark.parametrize("stop_after", [0, 1, 3])
def test_an_interrupted_backup_is_none(store, tmp_path, stop_after):
    told = []

    def tell(done):
        told.append(done)
        if len(told) > stop_after:
            raise Unavailable("stopping", "node is stopping")

    with raises_code(Unavailable, "stopping"):
        back_up(store, tmp_path, tell=tell)
    partial = tmp_path / "backups" / "one.partial"
    with raises_code(NotFound, "backup-missing"):
        load_manifest(partial)
    with raises_code(Conflict, "backup-exists"):
        begin_backup(tmp_path / "backups", "one")
    abandon_backup(partial)
    back_up(store, tmp_path)


def test_nothing_is_overwritten(store, tmp_path):
    path, manifest = back_up(store, tmp_path)
    with raises_code(Conflict, "backup-exists"):
        back_up(store, tmp_path)
    with raises_code(Conflict, "restore-not-empty"):
        restore_store(path, manifest, tmp_path / "data" / "store", lambda _done: None)


def test_every_byte_of_a_backup_is_checked(store, tmp_path):
    path, manifest = back_up(store, tmp_path)
    for file in manifest.files:
        damaged = path / file.path
        good = damaged.read_bytes()
        if not good:
            continue
        for bad in (bytes([good[0] ^ 1]) + good[1:], good[:-1], good + b"x"):
            damaged.write_bytes(bad)
            with raises_code(Fatal, "backup-damaged"):
                restore_store(path, manifest, tmp_path / "other", lambda _done: None)
            assert not (tmp_path / "other").exists()
            assert not (tmp_path / "other.partial").exists()
        damaged.write_bytes(good)
    (path / manifest.files[0].path).unlink()
    with raises_code(Fatal, "backup-damaged"):
        restore_store(path, manifest, tmp_path / "other", lambda _done: None)


class WatchedFiles(OsFiles):
    """Knows whether a file of a database is being read."""

    reading = -1

    def open(self, path, *, write):
        descriptor = super().open(path, write=write)
        if not write and "/streams/" not in path:
            self.reading = descriptor
        return descriptor

    def close(self, descriptor):
        if descriptor == self.reading:
            self.reading = -1
        super().close(descriptor)


def test_a_backup_can_be_stopped_while_a_database_is_hashed(store, tmp_path):
    files = WatchedFiles()

    def tell(_done):
        if files.reading >= 0:
            raise Unavailable("stopping", "node is stopping")

    with raises_code(Unavailable, "stopping"):
        back_up(store, tmp_path, tell=tell, files=files)


@pytest.mark.parametrize("lost", ["", "/00000000000000000000.seg", "/00000000000000000066.seg"])
def test_a_stream_that_is_not_whole_makes_no_backup(store, tmp_path, lost):
    path = tmp_path / "data" / "store" / "streams" / "records.0" / f"entries{lost}"
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    with raises_code(Fatal, "store-truncated"):
        back_up(store, tmp_path)


def test_what_is_refused_at_the_last_look_is_not_put_in_place(store, tmp_path):
    path, manifest = back_up(store, tmp_path)

    def refuse(partial):
        open_store(partial, IDENTITY).close()
        raise Fatal("backup-damaged", "it is not what its manifest names")

    with raises_code(Fatal, "backup-damaged"):
        restore_store(path, manifest, tmp_path / "other", lambda _done: None, check=refuse)
    assert not list(tmp_path.glob("other*"))


@pytest.mark.parametrize(
    "path", ["store/../x", "/store/x", "other/x", "store//x", "store/.", "", "store/a\n", "store/é"]
)
def test_a_manifest_leads_to_no_file_outside_its_backup(store, tmp_path, path):
    made, manifest = back_up(store, tmp_path)
    del made
    bent = replace(manifest, files=[replace(manifest.files[0], path=path)])
    with raises_code(Fatal, "backup-damaged"):
        parse_manifest(encode_manifest(bent), newest_format=FORMAT)


def test_a_manifest_is_read_strictly(store, tmp_path):
    _, manifest = back_up(store, tmp_path)
    data = encode_manifest(manifest)
    assert parse_manifest(data, newest_format=FORMAT) == manifest
    for old, new in (
        (b'"v":1', b'"v":0'),
        (b'"format":', b'"formats":'),
        (b'"made_at":1', b'"made_at":-1'),
        (b'"streams":{', b'"streams":{"x":null,'),
    ):
        assert old in data
        with raises_code(Fatal, "backup-damaged"):
            parse_manifest(data.replace(old, new), newest_format=FORMAT)
    with raises_code(Conflict, "backup-newer"):
        parse_manifest(data.replace(b'"v":1', b'"v":2'), newest_format=FORMAT)
    with raises_code(Conflict, "backup-newer"):
        parse_manifest(data, newest_format=FORMAT - 1)


LOG = BackedUpLog("zj.example/911100000000000000/records/0", 7, "ab" * 32, 5, NOW)


def test_every_member_of_a_manifest_has_its_type_and_range(store, tmp_path):
    _, manifest = back_up(store, tmp_path)
    fields = json.loads(encode_manifest(replace(manifest, logs=[LOG])))
    assert parse_manifest(json.dumps(fields).encode(), newest_format=FORMAT).logs == [LOG]
    segment = next(n for n, file in enumerate(fields["files"]) if "/streams/" in file["path"])
    bent = [
        *((name, value) for name in ("identity", "release") for value in (7, "", "a\nb", "x" * 201, ["aa"])),
        *(("format", value) for value in (0, True, "2", None)),
        *(("made_at", value) for value in (-1, True, 2**53 - 1, NOW + 11)),
        *(("expires_at", value) for value in (NOW - 1, NOW + KEEP_SECONDS + 1, 2**53 - 1, None)),
        *(("logs", value) for value in ({}, [[]], None)),
        *(("logs", 0, "origin", value) for value in (["aa"], None, "")),
        *(("logs", 0, "size", value) for value in (-1, True, 4, "7")),
        *(("logs", 0, "root", value) for value in (["aa"], "ab" * 31, "AB" * 32, None)),
        *(("logs", 0, "anchored", value) for value in (-1, 8, None, [])),
        *(("logs", 0, "anchored_at", value) for value in (-1, "x", 2**53 - 1, [])),
        *(("streams", value) for value in ([], {}, {"records.0/entries": 239}, {"../x": 1})),
        *(("files", segment, "bytes", value) for value in (0, True, 65, None)),
        *(("files", 0, "sha256", value) for value in (["aa"], "ab", "g" * 64)),
        *(("files", 0, "path", value) for value in (7, fields["files"][segment]["path"])),
        *(("not_included", value) for value in ("x", [7])),
        ("v", True),
    ]
    for *place, last, value in bent:
        changed = json.loads(json.dumps(fields))
        inner = changed
        for name in place:
            inner = inner[name]
        inner[last] = value
        with raises_code(Fatal, "backup-damaged"):
            parse_manifest(json.dumps(changed).encode(), newest_format=FORMAT)


def test_a_manifest_that_leaves_out_a_segment_is_refused(store, tmp_path):
    _, manifest = back_up(store, tmp_path)
    for left_out in (file for file in manifest.files if "/streams/" in file.path):
        files = [file for file in manifest.files if file != left_out]
        with raises_code(Fatal, "backup-damaged"):
            parse_manifest(encode_manifest(replace(manifest, files=files)), newest_format=FORMAT)
