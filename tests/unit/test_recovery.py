# SPDX-License-Identifier: Apache-2.0
"""A backup is put in place only when it holds what its manifest names; its place is apart from the node's own."""

from __future__ import annotations

from dataclasses import replace

import pytest

from node.config import load_settings
from node.core.clock import SystemClock
from node.errors import Fatal, InvalidInput
from node.ports import Batch
from node.recovery import back_up, load_backup, require_place, restore, store_identity, store_path
from node.storage.opening import open_store
from tests.bench.homes import make_home
from tests.support.errors import raises_code


def tell(_done):
    pass


@pytest.fixture
def settings(tmp_path):
    return load_settings(make_home(tmp_path))


@pytest.fixture
def backup(settings, tmp_path):
    path = store_path(settings)
    path.parent.mkdir(exist_ok=True)
    store = open_store(path, store_identity(settings).encode(), create=True)
    batch = Batch()
    batch.append("records.0/entries", b"entry")
    store.commit(batch)
    made, _ = back_up(settings, store, tmp_path / "backups", SystemClock(), tell)
    store.close()
    path.rename(path.with_name("lost"))
    return made


def swap_root(manifest):
    return replace(manifest, logs=[replace(manifest.logs[0], root="ab" * 32), *manifest.logs[1:]])


def lengthen_stream(manifest):
    return replace(manifest, streams={"records.0/entries": 6})


def forget_log(manifest):
    return replace(manifest, logs=manifest.logs[1:])


@pytest.mark.parametrize("bend", [swap_root, lengthen_stream, forget_log], ids=lambda bend: bend.__name__)
def test_a_store_that_is_not_what_its_manifest_names_is_not_put_in_place(settings, backup, bend):
    manifest = load_backup(settings, backup)
    for _ in range(2):
        with raises_code(Fatal, "backup-damaged"):
            restore(settings, backup, bend(manifest), tell)
        assert [path.name for path in store_path(settings).parent.iterdir()] == ["lost"]
    restore(settings, backup, manifest, tell)
    store = open_store(store_path(settings), manifest.identity.encode())
    assert store.read("records.0/entries", 0, 5) == b"entry"
    store.close()


def test_backups_lie_neither_in_nor_around_the_nodes_own_directories(settings, tmp_path):
    home = settings.home
    for place in (
        home / "data",
        home / "data" / "backups",
        home / "heads" / "x",
        home / "keys",
        home,
        tmp_path,
    ):
        with raises_code(InvalidInput, "backup-place"):
            require_place(settings, place)
    for place in (tmp_path / "backups", home / "backups"):
        require_place(settings, place)
