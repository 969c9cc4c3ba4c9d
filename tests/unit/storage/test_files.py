# SPDX-License-Identifier: Apache-2.0
"""A small file is replaced whole or not at all, whichever call fails and whenever the power goes."""

from __future__ import annotations

import stat

import pytest

from node.storage.files import NEW, OsFiles, replace_file
from tests.support.faults import MODES, Faults, FaultyFiles, PowerCutError

CALLS = ["create", "write", "sync", "rename", "sync_dir"]
OLD, LATER = b"what was there", b"what comes in its place"


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "small"
    replace_file(OsFiles(), str(path), OLD)
    return path


def test_its_calls(path):
    faults = Faults()
    replace_file(FaultyFiles(faults), str(path), LATER)
    assert faults.calls == CALLS
    assert path.read_bytes() == LATER
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_short_writes_are_completed(path):
    replace_file(FaultyFiles(Faults(), longest_write=7), str(path), LATER)
    assert path.read_bytes() == LATER


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("at", range(len(CALLS)), ids=CALLS)
def test_a_call_fails(path, at, mode):
    with pytest.raises(OSError, match="injected"):
        replace_file(FaultyFiles(Faults(at, mode)), str(path), LATER)
    is_renamed = CALLS[at] == "sync_dir" or (CALLS[at] == "rename" and mode == "fail-after")
    assert path.read_bytes() == (LATER if is_renamed else OLD)
    assert [each.name for each in path.parent.iterdir()] == [path.name]


@pytest.mark.parametrize("when", ["before", "torn", "after"])
@pytest.mark.parametrize("at", range(len(CALLS)), ids=CALLS)
def test_the_power_goes(path, at, when):
    files = FaultyFiles(Faults(at, f"cut-{when}"))
    with pytest.raises(PowerCutError):
        replace_file(files, str(path), LATER)
    files.lose_unsynced()
    assert path.read_bytes() in (OLD, LATER)
    replace_file(OsFiles(), str(path), LATER)
    assert [each.name for each in path.parent.iterdir()] == [path.name]


def test_what_a_crash_left_is_not_written_over(path):
    path.with_name(path.name + NEW).write_bytes(b"half of what somebody wrote, and longer than that")
    faults = Faults()
    replace_file(FaultyFiles(faults), str(path), LATER)
    assert faults.calls == ["remove", *CALLS]
    assert path.read_bytes() == LATER
    assert [each.name for each in path.parent.iterdir()] == [path.name]


def test_once_replaced_it_stays_so(path):
    files = FaultyFiles(Faults())
    replace_file(files, str(path), LATER)
    files.lose_unsynced()
    assert path.read_bytes() == LATER
