# SPDX-License-Identifier: Apache-2.0
"""SIGTERM at calls of a command to the disk: what it had begun is undone, no process stays, and the command works again.

A process that stayed would hold the pipe of the command's output, whose end is waited for.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from itertools import count

import pytest

from cli.signals import TERMINATED
from node.errors import NotFound
from node.evidence.policy import encode_policy
from node.storage.keyfiles import find_newest_log_keys, load_keys, load_private
from tests.chaos.faultfs.child import ACTIONS, settings
from tests.support.command_server import ROOT
from tests.support.evidence_world import build_world
from tests.support.penalty_files import store_penalties
from tests.support.real_node import (
    COMMAND,
    WAIT_SECONDS,
    check_clean,
    ironcage,
    real_nodes,
    wait_until,
)

ROWS = 30
STEPS = [29, pytest.param(7, marks=[pytest.mark.slow, pytest.mark.timeout(900)])]
"""How many calls lie between two that are tried."""
FEW, MANY = 12, 100
UNANCHORED = 5
KEYS = ["record", pytest.param("exchange", marks=pytest.mark.slow)]


@pytest.fixture(scope="module")
def node(real_chain, tmp_path_factory):
    """Give a node that has records and does not run, before each test and after it."""
    folder = tmp_path_factory.mktemp("ended")
    with real_nodes(real_chain.url, folder) as (node,):
        node.start()
        assert node.wait_job(node.order(store_penalties(folder / "rows.csv", range(ROWS))))["state"] == "done"
        assert node.stop() == 0
        yield node


def end_at_each_call(node, root, step, *arguments):
    """Run a command with the signal at a call below ``root``, then at one ``step`` further, until it is not reached any more.

    Yields when the command was ended; its last run went to the end.
    """
    for number in count(0, step):
        arm = f"{number}:{number}:{ACTIONS.index('term')}:0:"
        done = node.run(*arguments, environment=settings(root, arm=arm), fresh=True)
        if done.code == 0:
            assert number > 0, "the signal came to no call"
            return
        assert (done.code, done.out, done.err) == (TERMINATED, "", "")
        yield


@pytest.mark.parametrize("step", STEPS)
def test_a_backup_leaves_a_whole_one_or_nothing(node, tmp_path, step):
    records = check_clean(node)["records"]
    place = tmp_path / "backups"
    for _ in end_at_each_call(node, place, step, "backup", place):
        left = list(place.iterdir()) if place.is_dir() else []
        # The signal may come when all is done but the last sync.
        assert all((backup / "manifest.json").is_file() for backup in left)
        assert not list(place.glob("*.partial"))
    assert check_clean(node)["records"] == records


@pytest.mark.parametrize("step", STEPS)
def test_a_restore_leaves_a_whole_store_or_nothing(node, tmp_path, step):
    made = node.run("backup", tmp_path / "backups", "--json").json["path"]
    data, records = node.home / "data", check_clean(node)["records"]
    (data / "store").rename(tmp_path / "lost")
    for number, _ in enumerate(end_at_each_call(node, data, step, "restore", made)):
        assert not (data / "store.partial").exists()
        if (data / "store").exists():
            assert check_clean(node)["records"] == records
            (data / "store").rename(tmp_path / f"whole-{number}")
    assert check_clean(node)["records"] == records


@pytest.mark.parametrize("step", STEPS)
def test_a_check_leaves_the_store_as_it_was(node, step):
    records = check_clean(node)["records"]
    for _ in end_at_each_call(node, node.home / "data", step, "log", "fsck"):
        pass
    assert check_clean(node)["records"] == records


@pytest.mark.parametrize("key", KEYS)
def test_a_rotation_leaves_the_old_key_or_the_new_one(node, key):
    keys = node.home / "keys"
    files = {file.name for file in keys.iterdir()} | {f"{key}.before.json"}
    for _ in end_at_each_call(node, keys, 3, "key", "rotate", key):
        assert {file.name for file in keys.iterdir()} <= files
        assert node.run("key", "list").code == 0
    node.start()
    assert node.stop() == 0


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_succession_goes_on_where_it_stopped(real_chain, tmp_path):
    """Each run takes it further, so the numbers fall on other steps of it."""
    with real_nodes(real_chain.url, tmp_path) as (node,):
        node.start()
        assert node.wait_job(node.order(store_penalties(tmp_path / "1.csv", range(ROWS))))["accepted"] == ROWS
        node.anchor()
        more = store_penalties(tmp_path / "2.csv", range(ROWS, ROWS + UNANCHORED))
        assert node.wait_job(node.order(more))["accepted"] == UNANCHORED
        assert node.stop() == 0
        keys = node.home / "keys"
        passphrase = load_private(keys / "passphrase").decode().strip()
        order = ("log", "succeed", "--reason", "planned", "--log", "records", "--by-vote", "--yes", "--json")
        for number in count(0, 9):
            arm = f"{number}:{number}:{ACTIONS.index('term')}:0:"
            done = node.run(*order, environment=settings(node.home, arm=arm), fresh=True)
            # A call of LevelDB's own thread finds Python anywhere, also where it drops what a handler raises (cli.signals).
            if done.code not in (TERMINATED, -signal.SIGTERM):
                break
            assert (done.out, done.err) == ("", "")
            # The node could start at any moment: no key of a pair is there without the other.
            load_keys(keys, passphrase, find_newest_log_keys(keys))
            check_clean(node)
        assert number > 0, "the signal came to no call"
        # The last signal may have come when all was done.
        assert done.code == 0 or done.json["code"] == "succession-none", done
        assert find_newest_log_keys(keys) == {"records": 1, "access": 0}
        node.start()
        assert node.logs()["records"]["origin"].endswith("/records/1")
        known = ROWS + UNANCHORED
        job = node.wait_job(node.order(store_penalties(tmp_path / "3.csv", range(known + 1))))
        assert (job["accepted"], job["duplicate"]) == (1, known)
        node.anchor()
        assert node.stop() == 0
        check_clean(node)


def wait_backup(node):
    """Wait until a running node makes no backup, and say how the newest ended; ``none`` when there was none."""

    def find():
        with node.client() as client:
            try:
                state = client.get("/api/v1/backups/newest")["state"]
            except NotFound:
                return "none"
        return state if state != "running" else None

    return wait_until(find, "the backup ends")


def test_a_running_node_goes_on_with_a_backup_whose_command_ends(node, tmp_path):
    """The command only waits; before, it makes a mark that shows who may write there, and removes it."""
    place = tmp_path / "backups"
    node.start()
    for number, state in enumerate(["none", "done"]):
        arm = f"{number}:{number}:{ACTIONS.index('term')}:0:"
        done = node.run("backup", place, environment=settings(tmp_path, arm=arm), fresh=True)
        assert (done.code, done.out, done.err) == (TERMINATED, "", "")
        assert wait_backup(node) == state
        assert not list(tmp_path.rglob(".ironcage-*"))
    assert node.run("backup", place).code == 0
    assert node.stop() == 0
    assert [(backup / "manifest.json").is_file() for backup in place.iterdir()] == [True, True]
    check_clean(node)


def test_an_import_goes_on_without_the_command(node, tmp_path):
    node.start()
    workers = node.workers()
    for worker in workers:
        worker.freeze()
    file = store_penalties(tmp_path / "more.csv", range(ROWS, 2 * ROWS))
    command = [*COMMAND, "import", str(file), "--item", "penalty:2018", "--home", str(node.home)]
    with subprocess.Popen(
        [sys.executable, *command],
        cwd=ROOT,
        env=os.environ | {"IRONCAGE_LANG": "en"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    ) as process:
        with node.client() as client:
            job, _ = wait_until(
                lambda: len(jobs := client.get("/api/v1/imports")) == 2 and jobs, "it is taken"
            )
        process.send_signal(signal.SIGTERM)
        said, _ = process.communicate(timeout=WAIT_SECONDS)
    assert (process.returncode, said) == (TERMINATED, b"")
    for worker in workers:
        worker.thaw()
    assert node.wait_job(job)["accepted"] == ROWS
    assert node.stop() == 0


@pytest.fixture(scope="module")
def evidence(tmp_path_factory):
    """A folder of good evidence files, fewer than other processes are started for, and the policy beside it."""
    folder, world = tmp_path_factory.mktemp("evidence"), build_world()
    (folder / "files").mkdir()
    for number in range(FEW):
        (folder / "files" / f"{number:02}.evidence.json").write_bytes(world.export(world.records[1]).data)
    (folder / "policy.json").write_bytes(encode_policy(world.offline_policy()))
    return folder


def test_a_verification_ends_between_two_files(evidence):
    order = ("evidence", "verify", evidence / "files", "--policy", evidence / "policy.json", "--brief")
    for number in range(0, FEW, 3):
        arm = f"{number}:{number}:{ACTIONS.index('term')}:0:"
        done = ironcage(*order, environment=settings(evidence / "files", arm=arm))
        assert (done.code, done.err) == (TERMINATED, "")
        assert len(done.out.splitlines()) == number
    again = ironcage(*order)
    assert (again.code, len(again.out.splitlines())) == (0, FEW + 1)


def test_a_verification_of_many_files_ends_with_its_processes(evidence, tmp_path):
    """One of the files is a pipe: the process that opens it is in the middle of its work, and stays so until it is fed."""
    pipe = tmp_path / "pipe.evidence.json"
    os.mkfifo(pipe)
    places = [pipe, *[str(evidence / "files" / "00.evidence.json")] * MANY]
    order = ["evidence", "verify", *map(str, places), "--policy", str(evidence / "policy.json"), "--brief"]
    with subprocess.Popen(
        [sys.executable, *COMMAND, *order],
        cwd=ROOT,
        env=os.environ | {"IRONCAGE_LANG": "en"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        with pipe.open("wb"):  # waits for its reader
            process.send_signal(signal.SIGTERM)
        # The end of the output comes when the last process has ended, too.
        out, err = process.communicate(timeout=WAIT_SECONDS)
    assert (process.returncode, err) == (TERMINATED, b"")
    assert b"files:" not in out
    pipe.unlink()
    again = ironcage(*[word for word in order if word != str(pipe)])
    assert (again.code, len(again.out.splitlines())) == (0, MANY + 1)
