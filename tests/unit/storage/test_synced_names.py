# SPDX-License-Identifier: Apache-2.0
"""The directory of a LevelDB is synced whenever a name in it may be new, however coarse the times of files are."""

from __future__ import annotations

import os
import time

import pytest

from node.storage.leveldb import open_leveldb
from node.storage.opening import SECRETS_TUNING

SECOND = 1_000_000_000
START = 1_800_000_000 * SECOND


@pytest.mark.parametrize(
    ("changed", "ages", "syncs"),
    [
        # A file system with whole seconds: a second name of the same step would not change the time.
        (START, (SECOND, SECOND, 3 * SECOND, 3 * SECOND), 3),
        (START, (3 * SECOND, 3 * SECOND), 1),
        # One whose times move in milliseconds.
        (START + 4_000_000, (1_000_000, 21_000_000, 22_000_000, SECOND), 2),
        (START + 4_000_000, (21_000_000, SECOND), 1),
    ],
)
def test_directory_is_synced_until_its_step_is_over(tmp_path, monkeypatch, changed, ages, syncs):
    synced = []
    path = str(tmp_path / "database")
    database = open_leveldb(path, SECRETS_TUNING, create=True)
    real = os.fsync
    monkeypatch.setattr(os, "fsync", lambda descriptor: (synced.append(descriptor), real(descriptor)))
    os.utime(path, ns=(changed, changed))
    for age in ages:
        monkeypatch.setattr(time, "time_ns", lambda age=age: changed + age)
        database.write([(b"k", b"v")])
    database.close()
    assert len(synced) == syncs
