# SPDX-License-Identifier: Apache-2.0
"""Head files: what is promised stays, whatever happens while it is written."""

from __future__ import annotations

from hashlib import sha256

import pytest

from node.core.types import RootHash
from node.errors import Conflict, Fatal, Unavailable
from node.log.head import Head, encode_head, parse_head
from node.storage.heads import DiskHeadFiles
from node.storage.memory import MemoryHeadFiles
from tests.support.faults import MODES, Faults, FaultyFiles, PowerCutError

ORIGIN = "demo.example/91110000000000000X/records/0"
OTHER = "demo.example/91110000000000000X/access/0"


def head_of(size: int, *, origin: str = ORIGIN, root: int | None = None) -> Head:
    return Head(origin, size, RootHash(bytes([size if root is None else root]) * 32))


@pytest.fixture(params=["disk", "memory"])
def heads(request, tmp_path):
    return MemoryHeadFiles() if request.param == "memory" else DiskHeadFiles(tmp_path / "heads")


def test_stored_head_is_loaded(heads):
    assert heads.load(ORIGIN) is None
    heads.store(head_of(1))
    heads.store(head_of(2, origin=OTHER))
    assert heads.load(ORIGIN) == head_of(1)
    assert heads.load(OTHER) == head_of(2, origin=OTHER)
    heads.store(head_of(3))
    heads.store(head_of(3))
    assert heads.load(ORIGIN) == head_of(3)


def test_smaller_head_is_refused(heads):
    heads.store(head_of(3))
    with pytest.raises(Conflict) as caught:
        heads.store(head_of(2))
    assert caught.value.code == "head-behind"
    assert heads.load(ORIGIN) == head_of(3)


def test_other_root_at_the_same_size_is_refused(heads):
    heads.store(head_of(3))
    with pytest.raises(Conflict) as caught:
        heads.store(head_of(3, root=9))
    assert caught.value.code == "log-fork"
    assert heads.load(ORIGIN) == head_of(3)
    heads.store(head_of(4))


def test_refusals_hold_after_a_restart(tmp_path):
    DiskHeadFiles(tmp_path / "heads").store(head_of(3))
    with pytest.raises(Conflict):
        DiskHeadFiles(tmp_path / "heads").store(head_of(2))


def test_names_and_modes(tmp_path):
    DiskHeadFiles(tmp_path / "heads").store(head_of(1))
    (file,) = (tmp_path / "heads").iterdir()
    assert file.name == sha256(ORIGIN.encode()).hexdigest() + ".head"
    assert file.read_bytes() == encode_head(head_of(1))
    assert file.stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "heads").stat().st_mode & 0o777 == 0o700


def test_directory_with_missing_parent(tmp_path):
    with pytest.raises(Unavailable) as caught:
        DiskHeadFiles(tmp_path / "volume" / "heads")
    assert caught.value.code == "head-unreadable"


@pytest.mark.parametrize("content", [b"", b"ironcage", encode_head(head_of(1))[:-1], b"x" * 5000, b"\xff"])
def test_damaged_file(tmp_path, content):
    heads = DiskHeadFiles(tmp_path / "heads")
    heads.store(head_of(1))
    (file,) = (tmp_path / "heads").iterdir()
    file.write_bytes(content)
    heads = DiskHeadFiles(tmp_path / "heads")
    for call in (lambda: heads.load(ORIGIN), lambda: heads.store(head_of(2))):
        with pytest.raises(Fatal) as caught:
            call()
        assert caught.value.code == "head-corrupt"
    assert file.read_bytes() == content


def test_file_of_another_log(tmp_path):
    heads = DiskHeadFiles(tmp_path / "heads")
    heads.store(head_of(1))
    (file,) = (tmp_path / "heads").iterdir()
    file.write_bytes(encode_head(head_of(1, origin=OTHER)))
    with pytest.raises(Fatal) as caught:
        heads.load(ORIGIN)
    assert caught.value.code == "head-corrupt"


def test_unreadable_file(tmp_path):
    class UnreadableFiles(FaultyFiles):
        def read(self, descriptor, length, offset):
            raise OSError(5, "Input/output error")

    DiskHeadFiles(tmp_path / "heads").store(head_of(1))
    with pytest.raises(Unavailable) as caught:
        DiskHeadFiles(tmp_path / "heads", UnreadableFiles(Faults())).load(ORIGIN)
    assert caught.value.code == "head-unreadable"


def sound_files(path):
    return sorted(parse_head(file.read_bytes()).size for file in path.iterdir())


def test_two_files_hold_the_two_newest_heads(tmp_path):
    heads = DiskHeadFiles(tmp_path / "heads")
    for size in (1, 9, 10, 99, 100):
        heads.store(head_of(size))
        assert DiskHeadFiles(tmp_path / "heads").load(ORIGIN) == head_of(size)
    assert sound_files(tmp_path / "heads") == [99, 100]


@pytest.mark.parametrize("content", [b"", encode_head(head_of(2))[:-9], b"x" * 5000])
def test_one_damaged_file_of_two_is_a_write_that_was_cut_off(tmp_path, content):
    heads = DiskHeadFiles(tmp_path / "heads")
    heads.store(head_of(1))
    heads.store(head_of(2))
    (newest,) = [file for file in (tmp_path / "heads").iterdir() if b"\n2\n" in file.read_bytes()]
    newest.write_bytes(content)
    assert DiskHeadFiles(tmp_path / "heads").load(ORIGIN) == head_of(1)
    DiskHeadFiles(tmp_path / "heads").store(head_of(3))
    assert sound_files(tmp_path / "heads") == [1, 3]


def test_two_damaged_files_are_no_promise(tmp_path):
    heads = DiskHeadFiles(tmp_path / "heads")
    heads.store(head_of(1))
    heads.store(head_of(2))
    for file in (tmp_path / "heads").iterdir():
        file.write_bytes(file.read_bytes()[:-1])
    with pytest.raises(Fatal) as caught:
        DiskHeadFiles(tmp_path / "heads").load(ORIGIN)
    assert caught.value.code == "head-corrupt"


def calls_of_stores(path) -> list[list[str]]:
    files = FaultyFiles(Faults())
    heads = DiskHeadFiles(path, files)
    calls = []
    for size in (1, 2, 3):
        files.faults.calls.clear()
        heads.store(head_of(size))
        calls.append(list(files.faults.calls))
    return calls


def test_calls_of_a_store(tmp_path):
    new = ["create", "write", "sync", "rename", "sync_dir"]
    assert calls_of_stores(tmp_path / "heads") == [new, new, ["open", "write", "sync"]]


@pytest.mark.parametrize("mode", [*MODES, "cut-before", "cut-torn", "cut-after"])
@pytest.mark.parametrize("stored", [1, 2], ids=["second file", "in place"])
def test_every_call_fails(tmp_path, stored, mode):
    """The old or the new head is there, never half of one; once stored, a head survives a power cut."""
    calls = calls_of_stores(tmp_path / "whole")[stored]
    if stored == 1:
        calls = ["remove", *calls]  # of what a crash left
    for number, call in enumerate(calls):
        path = tmp_path / f"{number}"
        faults = Faults(mode=mode)
        files = FaultyFiles(faults)
        heads = DiskHeadFiles(path, files)
        for size in range(1, stored + 1):
            heads.store(head_of(size))
        (path / f"{sha256(ORIGIN.encode()).hexdigest()}.2.head.new").write_bytes(b"left by a crash")
        faults.at = len(faults.calls) + number
        with pytest.raises((Fatal, PowerCutError)) as caught:
            heads.store(head_of(stored + 1))
        if mode.startswith("fail"):
            assert caught.value.code == "head-not-stored"
        files.lose_unsynced()
        survived = DiskHeadFiles(path).load(ORIGIN)
        if stored == 1:
            written = call == "sync_dir" or (call == "rename" and mode.endswith("after"))
        else:
            written = call == "sync" or (call == "write" and mode.endswith("after"))
        assert survived == head_of(stored + written)
        DiskHeadFiles(path).store(head_of(stored + 2))
        assert DiskHeadFiles(path).load(ORIGIN) == head_of(stored + 2)
