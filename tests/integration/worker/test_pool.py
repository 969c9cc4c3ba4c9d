# SPDX-License-Identifier: Apache-2.0
"""Worker processes: what they answer, what their death costs, and how they end."""

from __future__ import annotations

import os
import resource
import signal
import time
from concurrent.futures import BrokenExecutor, wait
from pathlib import Path

import pytest

from node.errors import InvalidInput, Unavailable
from node.records.chunks import encode_chunk
from node.service.issuing import IssueTask, encode_task, parse_chunk
from node.worker.keys import KeyProcess
from node.worker.pool import IssuerSetup, IssuingPool
from tests.support.errors import raises_code
from tests.support.rows import ISSUER, PENALTY, build_row

ROWS = 500
HEADER = list(PENALTY.field_codes)
SETUP = IssuerSetup("zj.example", ISSUER, bytes(32), bytes(32), {})


def task(rows=ROWS, *, header=HEADER, item=PENALTY.key):
    row = build_row()
    cells = [[*row] for _ in range(rows)]
    places = [(0, place) for place in range(rows)]
    return encode_task(
        IssueTask(item, header, encode_chunk(2, cells), places, [], "2026-12-31", 1_790_000_000_000)
    )


def load_key():
    return bytes(32)


@pytest.fixture
def keeper(tmp_path):
    keeper = KeyProcess(load_key, tmp_path / "unwraps")
    yield keeper
    keeper.close()


@pytest.fixture
def pool(keeper):
    pool = IssuingPool(SETUP, 2, keeper.open_channel)
    yield pool
    pool.close()


def pids(pool):
    return [worker._process.pid for worker in pool._workers]


def kill(pid):
    os.kill(pid, signal.SIGKILL)
    while (lines := status(pid)) and not any(line.startswith("State:\tZ") for line in lines):
        time.sleep(0.01)


def status(pid):
    try:
        return Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return []


def test_answers_come_back_whole(pool):
    pool.warm()
    futures = [pool.issue(task(rows)) for rows in (1, ROWS, 7)]
    assert [len(parse_chunk(future.result(240)).entries) for future in futures] == [1, ROWS, 7]


def test_an_idle_worker_that_died_is_replaced_unnoticed(pool):
    pool.warm()
    for pid in pids(pool):
        kill(pid)
        # Dead, and not yet collected: a worker that dies a moment later dies over the chunk.
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    assert len(parse_chunk(pool.issue(task(3)).result(240)).entries) == 3


def test_a_worker_that_dies_at_work_fails_its_chunk_alone(pool):
    pool.warm()
    futures = [pool.issue(task()) for _ in range(12)]
    kill(pids(pool)[0])
    wait(futures, 60)
    failed = [future.exception() for future in futures if future.exception() is not None]
    assert len(failed) <= 1
    assert all(isinstance(error, BrokenExecutor) for error in failed)
    assert len(parse_chunk(pool.issue(task(3)).result(240)).entries) == 3


def test_what_a_worker_refuses_is_told(pool):
    with raises_code(InvalidInput, "header-missing"):
        pool.issue(task(1, header=["no", "such", "header"])).result(240)
    with pytest.raises(KeyError):
        pool.issue(task(1, item="no:item")).result(240)
    assert len(parse_chunk(pool.issue(task(1)).result(240)).entries) == 1


def test_a_closed_pool_takes_nothing_and_drops_what_waits(keeper):
    pool = IssuingPool(SETUP, 1, keeper.open_channel)
    pool.warm()
    # More than it gets done before it is closed.
    one = task()
    futures = [pool.issue(one) for _ in range(300)]
    (pid,) = pids(pool)
    pool.close()
    assert all(future.cancelled() or future.result() for future in futures)
    assert any(future.cancelled() for future in futures)
    assert status(pid) == []
    with raises_code(Unavailable, "stopping"):
        pool.issue(task())


def test_setup_prints_no_keys():
    assert repr(SETUP) == "IssuerSetup(…)"


def limit_memory(pid, more_bytes):
    """Let a process have no more memory than it has, but for some; None takes the limit away again."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[0])
    limit = resource.RLIM_INFINITY if more_bytes is None else pages * resource.getpagesize() + more_bytes
    resource.prlimit(pid, resource.RLIMIT_AS, (limit, resource.RLIM_INFINITY))


@pytest.mark.parametrize("more_bytes", [1 << 20, 24 << 20])
def test_a_worker_that_the_system_gives_no_memory_fails_its_chunk_and_nothing_else(keeper, more_bytes):
    """Where it runs out, at the chunk's first bytes or in the middle of the records, decides whether it lives."""
    rows = [[*build_row()] for _ in range(ROWS)]
    for cells in rows:
        cells[HEADER.index("CF_SY")] = "事" * 2_000
    places = [(0, place) for place in range(ROWS)]
    heavy = encode_task(
        IssueTask(PENALTY.key, HEADER, encode_chunk(2, rows), places, [], "2026-12-31", 1_790_000_000_000)
    )
    pool = IssuingPool(SETUP, 1, keeper.open_channel)
    try:
        pool.warm()
        (pid,) = pids(pool)
        limit_memory(pid, more_bytes)
        with pytest.raises((MemoryError, BrokenExecutor)):
            pool.issue(heavy).result(240)
        if status(pid):
            limit_memory(pid, None)
        assert len(parse_chunk(pool.issue(heavy).result(240)).entries) == ROWS
    finally:
        pool.close()
