# SPDX-License-Identifier: Apache-2.0
"""The key process: what it answers, what its death costs, and that its count never goes back."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from functools import partial
from pathlib import Path

import pytest

from node.crypto.wrap import unwrap_secret, wrap_secret
from node.errors import Fatal, InvalidInput, NotFound, Unavailable, Verification
from node.records.sealed import Subject, seal_values
from node.service.keeping import LocalKeeper
from node.worker.keys import KeyProcess, wrap_over
from node.worker.keys_counter import STEP, UnwrapCounter
from node.worker.pool import IssuingPool
from tests.integration.worker.test_pool import SETUP, parse_chunk, status, task
from tests.support.errors import raises_code

KEY = bytes(range(32))
NAME = "019a2b3c-0000-7000-8000-000000000001"
SECRET = b"s" * 32
BOOT, OTHER_BOOT = b"a" * 16, b"b" * 16


def load_key():
    return KEY


def load_nothing():
    raise NotFound("key-missing", "key file wrapping.json is missing in keys")


def load_again(marker):
    """Load the key, but not while a file is there."""
    if Path(marker).exists():
        return load_nothing()
    return KEY


@pytest.fixture
def path(tmp_path):
    return tmp_path / "unwraps"


@pytest.fixture
def keeper(path):
    keeper = KeyProcess(load_key, path)
    keeper.wait_ready()
    yield keeper
    keeper.close()


def kill(keeper):
    os.kill(keeper.pid, signal.SIGKILL)
    os.waitid(os.P_PID, keeper.pid, os.WEXITED | os.WNOWAIT)


# ---- what it answers


def test_it_gives_what_the_key_itself_gives(keeper):
    local = LocalKeeper(KEY, os.urandom)
    wrapped = keeper.wrap(SECRET, NAME)
    assert unwrap_secret(KEY, wrapped, NAME) == SECRET
    assert keeper.unwrap(local.wrap(SECRET, NAME), NAME) == SECRET
    assert keeper.history_key(wrapped, NAME) == local.history_key(wrapped, NAME)
    assert keeper.key_check() == local.key_check()
    names = [f"{n:036d}" for n in range(50)]
    secrets = [os.urandom(32) for _ in names]
    assert [
        unwrap_secret(KEY, w, n) for w, n in zip(keeper.wrap_all(secrets, names), names, strict=True)
    ] == secrets
    sealed = seal_values(SECRET, NAME, Subject("uscc", "91350100M000100Y43"), ["甲", None])
    keeper.check_sealed(wrapped, NAME, sealed)
    with raises_code(Verification, "values-seal"):
        keeper.check_sealed(wrapped, NAME, sealed[:-1] + b"?")


def test_refusals_come_back_as_they_are_and_the_next_request_is_answered(keeper):
    with raises_code(Verification, "wrap-tag"):
        keeper.unwrap(keeper.wrap(SECRET, NAME), "another")
    with raises_code(InvalidInput, "key-request"):
        keeper.unwrap(5, NAME)
    assert keeper.unwrap(keeper.wrap(SECRET, NAME), NAME) == SECRET


def test_what_comes_out_is_counted_and_nothing_else_is(keeper):
    wrapped = keeper.wrap(SECRET, NAME)
    keeper.history_key(wrapped, NAME)
    keeper.wrap_all([SECRET], [NAME])
    with raises_code(Verification, "wrap-tag"):
        keeper.unwrap(wrapped, "another")
    assert keeper.unwraps == 0
    for count in range(1, 6):
        keeper.unwrap(wrapped, NAME)
        assert keeper.unwraps == count


def test_a_worker_s_channel_wraps_and_does_nothing_else(keeper):
    with keeper.open_channel() as channel:
        [wrapped] = wrap_over(channel, [SECRET], [NAME])
        assert keeper.unwrap(wrapped, NAME) == SECRET
        channel.sendall(b"u\0\0\0\0")
        assert channel.recv(1) == b"", "whoever asks for more on it is cut off"
    assert keeper.unwraps == 1


def test_other_processes_of_this_account_do_not_read_its_memory():
    program = "import ctypes; from node.worker.keys_server import _hide_memory as hide; hide(); print(ctypes.CDLL(None).prctl(3))"
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True, text=True)
    assert told.stdout == "0\n", "PR_GET_DUMPABLE"


# ---- its death


def test_when_it_is_killed_reads_are_refused_and_it_starts_again(keeper):
    wrapped = keeper.wrap(SECRET, NAME)
    for count in (3, 6):
        for _ in range(3):
            keeper.unwrap(wrapped, NAME)
        before = keeper.pid
        kill(keeper)
        with raises_code(Unavailable, "key-process-ended"):
            keeper.unwrap(wrapped, NAME)
        assert keeper.unwraps == count, "the last count that was heard stays"
        keeper.wait_ready()
        assert keeper.pid != before
        assert keeper.unwraps == count, "no more came out, and what came out is not forgotten"


def test_one_that_hangs_is_taken_for_dead(keeper):
    wrapped = keeper.wrap(SECRET, NAME)
    keeper._channel.settimeout(0.2)
    before = keeper.pid
    os.kill(before, signal.SIGSTOP)
    with raises_code(Unavailable, "key-process-ended"):
        keeper.unwrap(wrapped, NAME)
    assert status(before) == []
    assert keeper.unwrap(wrapped, NAME) == SECRET
    assert keeper.unwraps == 1


def test_one_that_cannot_start_says_why_until_it_can(path, tmp_path):
    marker = tmp_path / "no-key"
    marker.touch()
    keeper = KeyProcess(partial(load_again, str(marker)), path)
    try:
        for _ in range(2):
            with raises_code(NotFound, "key-missing"):
                keeper.wrap(SECRET, NAME)
        marker.unlink()
        # The one that was started at the last refusal may have looked before that.
        try:
            keeper.wait_ready()
        except NotFound:
            keeper.wait_ready()
        assert keeper.unwrap(keeper.wrap(SECRET, NAME), NAME) == SECRET
    finally:
        keeper.close()
    with raises_code(Unavailable, "stopping"):
        keeper.wrap(SECRET, NAME)
    with raises_code(Unavailable, "stopping"):
        keeper.open_channel()


def test_workers_get_a_new_channel_when_it_has_died(keeper):
    pool = IssuingPool(SETUP, 1, keeper.open_channel)
    try:
        pool.issue(task(2)).result(240)
        kill(keeper)
        with pytest.raises(Exception, match="ended"):
            pool.issue(task(2)).result(240)
        # Nobody looks at a record meanwhile: what only imports finds out and starts it again by itself.
        with raises_code(Unavailable, "key-process-ended"):
            pool.issue(task(2)).result(240)
        chunk = parse_chunk(pool.issue(task(2)).result(240))
        assert keeper.unwraps == 0
        assert len(chunk.secrets) == 2
    finally:
        pool.close()


def test_it_ends_with_the_node_however_that_ended(path):
    """Its parent is killed; nobody closes anything."""
    program = textwrap.dedent(
        """
        import sys, time
        from pathlib import Path
        from node.worker.keys import KeyProcess
        from tests.integration.worker.test_keys import load_key
        if __name__ == "__main__":
            keeper = KeyProcess(load_key, Path(sys.argv[1]))
            keeper.wait_ready()
            print(keeper.pid, flush=True)
            time.sleep(600)
        """
    )
    script = path.with_name("parent.py")
    script.write_text(program)
    root = Path(__file__).parents[3]
    with subprocess.Popen(
        [sys.executable, str(script), str(path)], stdout=subprocess.PIPE, env={"PYTHONPATH": str(root)}
    ) as parent:
        pid = int(parent.stdout.readline())
        parent.kill()
    while status(pid) and "State:\tZ (zombie)" not in status(pid):
        os.sched_yield()


# ---- the count on disk


def counted(path, boot=BOOT, sync=os.fsync):
    return UnwrapCounter(path, boot, sync)


def leave(counter):
    """Leave a counter as a process does that is killed."""
    os.close(counter._file)


@pytest.mark.parametrize("times", [0, 1, STEP - 1, STEP, STEP + 1, 3 * STEP + 7])
def test_the_count_goes_on_where_it_was(path, times):
    counter = counted(path)
    for _ in range(times):
        counter.add()
    leave(counter)
    counter = counted(path)
    assert counter.count == times, "killed: the kernel has what was written"
    counter.add()
    counter.close()
    assert counted(path, OTHER_BOOT).count == times + 1, "closed: exact over a restart of the machine"


@pytest.mark.parametrize("times", [0, 1, STEP, STEP + 1])
def test_after_a_power_cut_it_is_never_too_small_and_at_most_a_step_too_large(path, times):
    """What was not synced is gone: the file is what the last sync left of it."""
    synced = []
    counter = counted(path, sync=lambda descriptor: (os.fsync(descriptor), synced.append(path.read_bytes())))
    for _ in range(times):
        counter.add()
    leave(counter)
    for left in (synced[-1], path.read_bytes()):
        path.write_bytes(left)
        counter = counted(path, OTHER_BOOT)
        assert times <= counter.count <= times + STEP
        leave(counter)


def test_a_machine_without_a_name_for_its_boots_counts_on_from_the_ceiling(path):
    counter = counted(path, bytes(16))
    counter.add()
    leave(counter)
    assert counted(path, bytes(16)).count == STEP


def test_it_is_raised_and_never_lowered(path):
    counter = counted(path)
    for to, want in ((5, 5), (3, 5), (10 * STEP, 10 * STEP)):
        counter.raise_to(to)
        assert counter.count == want
    leave(counter)
    assert counted(path).count == 10 * STEP


def test_two_do_not_count_in_one_file(path):
    counter = counted(path)
    with raises_code(Unavailable, "unwraps-held"):
        counted(path)
    counter.close()


@pytest.mark.parametrize(
    "damage", [b"x", b"ironcage/unwraps/v1\n", b"y" * 52, b"ironcage/unwraps/v1\n" + bytes(33)]
)
def test_a_damaged_file_is_not_counted_on(path, damage):
    path.write_bytes(damage)
    with raises_code(Fatal, "unwraps-form"):
        counted(path)


def test_what_cannot_be_counted_does_not_come_out(path, monkeypatch):
    counter = counted(path)
    keeper = LocalKeeper(KEY, os.urandom, counter.add)
    wrapped = wrap_secret(KEY, SECRET, NAME, bytes(12))

    def full(descriptor, data, offset):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "pwrite", full)
    with raises_code(Unavailable, "unwraps-file"):
        keeper.unwrap(wrapped, NAME)
    monkeypatch.undo()
    keeper.unwrap(wrapped, NAME)
    assert counter.count == 1
