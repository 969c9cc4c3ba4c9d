# SPDX-License-Identifier: Apache-2.0
"""A full disk is told from a failing one, whether the system says so or LevelDB."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from node.errors import Fatal, NotFound, Unavailable
from node.storage.backup import restore_store
from node.storage.leveldb import open_leveldb
from node.storage.manifest import BackedUpFile, Manifest
from node.storage.opening import open_store
from node.storage.placemark import placemark
from node.storage.room import describe_failure, is_full, refuse_unwritten
from node.storage.state import FORMAT
from tests.support.errors import raises_code
from tests.support.faults import Faults, FaultyFiles

IDENTITY = b"x.example/11520100MB0000001A"


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_and_a_quota_say_what_to_do(number):
    error = OSError(number, "as the system says it", "/data/store")
    assert is_full(error)
    assert "make room" in describe_failure(error)
    refused = refuse_unwritten(error)
    assert (type(refused), refused.code) == (Unavailable, "store-disk-full")
    assert refused.message.startswith("/data/store: ")


def test_another_failure_is_named_as_the_system_names_it():
    error = OSError(errno.EACCES, "Permission denied", "/data/store")
    assert not is_full(error)
    assert describe_failure(error) == "got Permission denied"
    assert isinstance(refuse_unwritten(error), NotFound)
    assert refuse_unwritten(error).code == "file-access"


def test_what_leveldb_quotes_is_understood():
    assert is_full("IO error: /data/store/main/LOCK: No space left on device")
    assert is_full("IO error: /data/store/main/000003.log: Disk quota exceeded")
    assert not is_full("IO error: /data/store/main/000003.log: Input/output error")
    assert "make room" in describe_failure("IO error: /x: No space left on device")
    assert describe_failure("IO error: /x: Input/output error") == "IO error: /x: Input/output error"


class FullFiles(FaultyFiles):
    """Files of a disk that takes no new file."""

    def create(self, path):
        raise OSError(errno.ENOSPC, "No space left on device", path)


class FullDatabase:
    """A LevelDB on a disk that is full, which still opens."""

    def __init__(self, real):
        self.snapshot, self.close = real.snapshot, real.close

    def write(self, _changes):
        raise Fatal("store-write-failed", "LevelDB refused a write: IO error: /x: No space left on device")


def test_a_file_that_opening_writes_finds_no_room(tmp_path):
    open_store(tmp_path / "store", IDENTITY, create=True).close()
    (tmp_path / "store" / "format").unlink()
    with raises_code(Unavailable, "store-disk-full") as caught:
        open_store(tmp_path / "store", IDENTITY, files=FullFiles(Faults()))
    assert "make room" in str(caught.value)
    open_store(tmp_path / "store", IDENTITY).close()


def test_a_repair_that_finds_no_room_is_no_damage(tmp_path):
    def open_full(path, tuning, *, create):
        return FullDatabase(open_leveldb(path, tuning, create=create))

    with raises_code(Unavailable, "store-disk-full"):
        open_store(tmp_path / "new", IDENTITY, create=True, open_database=open_full)
    open_store(tmp_path / "new", IDENTITY, create=True).close()


def test_a_restore_that_will_not_fit_is_refused_before_it_begins(tmp_path):
    manifest = Manifest(
        IDENTITY.decode(), FORMAT, "0", 0, 10, [], {}, [BackedUpFile("store/main/1", 7, "00")]
    )
    store = tmp_path / "data" / "store"
    store.parent.mkdir()
    with raises_code(Unavailable, "restore-failed") as caught:
        restore_store(tmp_path, manifest, store, lambda _done: None, FaultyFiles(Faults(), free=6))
    assert "got 6 bytes free, want 7" in str(caught.value)
    assert list(store.parent.iterdir()) == []


def test_a_mark_that_finds_no_room_is_no_lack_of_rights(tmp_path, monkeypatch):
    def full(path, *_mode, **_options):
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    monkeypatch.setattr("pathlib.Path.touch", full)
    with raises_code(Unavailable, "backup-failed"), placemark(tmp_path, bytes):
        pass


def test_a_mark_goes_when_a_signal_comes_while_it_is_left(tmp_path, monkeypatch):
    real = Path.touch

    def ended_behind_it(path, *mode, **options):
        real(path, *mode, **options)
        raise SystemExit(143)

    monkeypatch.setattr("pathlib.Path.touch", ended_behind_it)
    with pytest.raises(SystemExit), placemark(tmp_path, bytes):
        pass
    assert list(tmp_path.iterdir()) == []
