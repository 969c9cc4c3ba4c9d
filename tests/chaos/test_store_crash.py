# SPDX-License-Identifier: Apache-2.0
"""``kill -9`` of a process that commits: every acknowledged batch is there once, and nothing is there by half."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from node.errors import NotFound
from node.storage.opening import open_store
from tests.support.faults import KILL_MODES
from tests.support.naive_store import numbered_batch, numbered_differences
from tests.support.real_node import WAIT_SECONDS
from tests.support.store_child import IDENTITY, SEGMENT_BYTES

ROOT = Path(__file__).parents[2]
BATCHES = 6
KILLED = -9


def start(path, *, last, at=-1, mode="kill-before"):
    return subprocess.Popen(
        [sys.executable, "-m", "tests.support.store_child", str(path), str(last), str(at), mode],
        cwd=ROOT,
        stdout=subprocess.PIPE,
    )


def reopen(path, *, create=False):
    return open_store(path, IDENTITY, create=create, segment_bytes=SEGMENT_BYTES)


def acknowledged(output: bytes) -> int | None:
    """Return the number of batches known to be stored by what the child said; None when it never opened."""
    lines = [line for line in output.split(b"\n") if line]
    if not lines:
        return None
    return int(lines[-1]) + 1 if lines[-1].isdigit() else 0


def check_and_go_on(path, least: int, most: int) -> int:
    """Reopen, compare with the naive store, commit one more batch, reopen and compare again."""
    store = reopen(path)
    count = int(store.get(b"n") or -1) + 1
    assert least <= count <= most
    assert numbered_differences(store, count) == []
    store.commit(numbered_batch(count))
    store.close()
    store = reopen(path)
    assert numbered_differences(store, count + 1) == []
    store.close()
    return count + 1


def run_killed_at(tmp_path, at, mode) -> bool:
    """Run a child that kills itself at call ``at`` and check what it leaves; return False when it got through."""
    path = tmp_path / f"{at}-{mode}"
    child = start(path, last=BATCHES, at=at, mode=mode)
    output, _ = child.communicate(timeout=WAIT_SECONDS)
    if child.returncode == 0:
        assert b"calls" in output
        return False
    assert child.returncode == KILLED
    stored = acknowledged(output)
    if stored is None:
        with suppress(NotFound):
            reopen(path).close()
        reopen(path, create=True).close()
    check_and_go_on(path, stored or 0, (stored or 0) + 1)
    return True


def test_killed_at_every_call(tmp_path):
    """Each call of creation and of six commits is a place to die, before, within and after it in turn."""
    at = 0
    while run_killed_at(tmp_path, at, KILL_MODES[at % 3]):
        at += 1
    assert at > 30


@pytest.mark.slow
@pytest.mark.parametrize("mode", KILL_MODES)
def test_killed_at_every_call_in_every_way(tmp_path, mode):
    at = 0
    while run_killed_at(tmp_path, at, mode):
        at += 1
    assert at > 30


def kill_at_random(tmp_path, rounds: int, seed: int) -> None:
    """Kill, check, go on with the same store, again and again: some commits on, and somewhere in the next ones."""
    chance = random.Random(seed)
    path = tmp_path / "store"
    count = 0
    for _ in range(rounds):
        child = start(path, last=10**9)
        assert child.stdout.readline() == b"open\n"
        heard = [child.stdout.readline() for _ in range(chance.randrange(8))]
        time.sleep(chance.uniform(0.0, 0.02))
        child.kill()
        output, _ = child.communicate(timeout=WAIT_SECONDS)
        said = acknowledged(b"".join(heard) + output) or count
        assert said >= count
        count = check_and_go_on(path, said, said + 1)
    assert count > rounds


def test_killed_at_random(tmp_path):
    kill_at_random(tmp_path, rounds=6, seed=1)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2, 6))
def test_killed_at_random_many_times(tmp_path, seed):
    kill_at_random(tmp_path, rounds=25, seed=seed)
