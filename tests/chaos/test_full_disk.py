# SPDX-License-Identifier: Apache-2.0
"""A disk that is full from some call of a command on: it says so, leaves nothing by half, and works once there is room."""

from __future__ import annotations

import errno
from itertools import count

import pytest

from node.storage.keyfiles import find_newest_log_keys, load_keys, load_private
from tests.chaos.faultfs.child import ACTIONS, settings
from tests.support.penalty_files import store_penalties
from tests.support.real_node import WAIT_SECONDS, check_clean, real_nodes

ROWS = 30
STEPS = [37, pytest.param(5, marks=[pytest.mark.slow, pytest.mark.timeout(900)])]
"""How many calls lie between two that are tried."""
REFUSED = "WTMO"
"""Calls that a full disk refuses: to write, to make a file longer, to make a directory or a file."""
SUCCESSION_STEPS = [37, pytest.param(7, marks=[pytest.mark.slow, pytest.mark.timeout(900)])]
KEYS = ["record", *(pytest.param(key, marks=pytest.mark.slow) for key in ("exchange", "operator"))]
UNAVAILABLE = 3
SAYS = "the disk is full"


@pytest.fixture(scope="module")
def node(real_chain, tmp_path_factory):
    """Give a node that has records and does not run, before each test and after it."""
    folder = tmp_path_factory.mktemp("full")
    with real_nodes(real_chain.url, folder) as (node,):
        node.start()
        assert node.wait_job(node.order(store_penalties(folder / "rows.csv", range(ROWS))))["state"] == "done"
        node.anchor()
        assert node.stop() == 0
        yield node


def full(root, first, last=2**62, refused=REFUSED):
    """Give the environment of a process for which the disk below ``root`` is full from one call to another."""
    arm = f"{first}:{last}:{ACTIONS.index('fail')}:{errno.ENOSPC}:{refused}"
    return settings(root, arm=arm)


def run_on_full_disk(node, root, step, *arguments):
    """Run a command on a disk that is full from its first call on, then from one ``step`` further, until it finds enough room.

    Yields how it ended when it was refused.
    """
    for number in count(0, step):
        done = node.run(*arguments, environment=full(root, number))
        if done.code == 0:
            assert number > 0, "the disk was never full"
            return
        assert done.code == UNAVAILABLE, done
        assert SAYS in done.err, done
        assert "docs/runbooks/disk-full.md" in done.err
        yield done


@pytest.mark.parametrize("step", STEPS)
def test_a_backup_says_so_and_leaves_nothing(node, tmp_path, step):
    place = tmp_path / "backups"
    for done in run_on_full_disk(node, place, step, "backup", place):
        assert "[backup-failed]" in done.err
        assert not place.exists() or not list(place.iterdir())
    assert len(list(place.iterdir())) == 1
    assert check_clean(node)["records"] == ROWS


@pytest.mark.parametrize("step", STEPS)
def test_a_backup_on_a_node_s_own_full_disk(node, tmp_path, step):
    place = tmp_path / "backups"
    for done in run_on_full_disk(node, node.home / "data", step, "backup", place):
        assert "[store-disk-full]" in done.err
        assert not place.exists()
    assert len(list(place.iterdir())) == 1
    assert check_clean(node)["records"] == ROWS


def test_a_running_node_s_backup_fails_and_the_node_goes_on(node, tmp_path):
    """The disk has room again after so many calls that several backups fail before, each at another one."""
    place = tmp_path / "backups"
    node.settings.update(full(place, 0, 60, "W"))
    try:
        node.start()
    finally:
        node.settings.clear()
    failed = 0
    while (done := node.run("backup", place)).code != 0:
        failed += 1
        assert done.code == UNAVAILABLE, done
        assert "[backup-failed]" in done.err
        assert SAYS in done.err
        assert not place.exists() or not list(place.iterdir())
        node.wait_mode("ready")
    assert failed > 1
    assert len(list(place.iterdir())) == 1
    assert node.stop() == 0
    assert check_clean(node)["records"] == ROWS


@pytest.mark.parametrize("step", STEPS)
def test_a_restore_leaves_nothing_or_says_that_it_is_in_place(node, tmp_path, step):
    made = node.run("backup", tmp_path / "backups", "--json").json["path"]
    data = node.home / "data"
    (data / "store").rename(tmp_path / "lost")
    codes = set()
    for number, done in enumerate(run_on_full_disk(node, data, step, "restore", made)):
        assert not (data / "store.partial").exists()
        if (data / "store").exists():
            assert "[restore-unchecked]" in done.err
            assert check_clean(node)["records"] == ROWS
            (data / "store").rename(tmp_path / f"whole-{number}")
        else:
            assert "[restore-failed]" in done.err
        codes.add(done.err.rpartition("[")[2])
    assert len(codes) == 2, codes
    assert check_clean(node)["records"] == ROWS


@pytest.mark.parametrize("key", KEYS)
def test_a_rotation_leaves_the_old_key(node, key):
    keys = node.home / "keys"
    newest = keys / ("record.pem" if key == "record" else f"{key}.json")
    before = newest.read_bytes()
    for done in run_on_full_disk(node, keys, 2, "key", "rotate", key):
        assert "[key-not-stored]" in done.err
        assert newest.read_bytes() == before
        assert not list(keys.glob("*.new"))
        assert not (keys / "operator.next.json").exists()
    if key == "operator":
        assert node.run("key", "list", "--json").json["pending_operator"] is not None
    else:
        assert newest.read_bytes() != before
    node.start()
    assert node.stop() == 0


@pytest.mark.parametrize("step", SUCCESSION_STEPS)
def test_a_succession_goes_on_where_it_stopped(real_chain, tmp_path, step):
    with real_nodes(real_chain.url, tmp_path) as (node,):
        node.start()
        assert (
            node.wait_job(node.order(store_penalties(tmp_path / "rows.csv", range(ROWS))))["state"] == "done"
        )
        node.anchor()
        assert node.stop() == 0
        keys, passphrase = (
            node.home / "keys",
            load_private(node.home / "keys" / "passphrase").decode().strip(),
        )
        order = ("log", "succeed", "--reason", "planned", "--log", "records", "--by-vote", "--yes")
        for _ in run_on_full_disk(node, node.home, step, *order):
            # The node could start at any moment: no key of a pair is there without the other.
            load_keys(keys, passphrase, find_newest_log_keys(keys))
        assert find_newest_log_keys(keys) == {"records": 1, "access": 0}
        check_clean(node)
        node.start()
        assert (
            node.wait_job(node.order(store_penalties(tmp_path / "more.csv", range(ROWS, ROWS + 5))))[
                "accepted"
            ]
            == 5
        )
        node.anchor()
        assert node.stop() == 0
        assert check_clean(node)["records"] == ROWS + 5


@pytest.mark.parametrize("call", [pytest.param(0, marks=pytest.mark.slow), 20])
def test_a_node_that_cannot_start_says_what_to_do(node, call):
    """At its lock file, and while LevelDB writes a new manifest."""
    node.log.unlink(missing_ok=True)
    node.settings.update(full(node.home / "data", call))
    try:
        node.launch()
    finally:
        node.settings.clear()
    assert node.process.wait(WAIT_SECONDS) == UNAVAILABLE
    said = node.log.read_text()
    # Before it there may be a warning, as of few open files.
    assert said.splitlines()[-1].startswith("store-disk-full: ")
    assert SAYS in said
    node.start()
    assert node.stop() == 0
    assert check_clean(node)["records"] == ROWS
