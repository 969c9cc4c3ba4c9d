# SPDX-License-Identifier: Apache-2.0
"""A process number names a process only together with the time of its start."""

import os
import subprocess
import sys

import pytest

from node.storage.processes import find_start, is_alive


def test_this_process_lives():
    started = find_start(os.getpid())
    assert isinstance(started, int)
    assert is_alive(os.getpid(), started)


def test_another_program_under_the_same_number_is_not_it():
    assert not is_alive(os.getpid(), find_start(os.getpid()) - 1)
    assert not is_alive(os.getpid(), None)


def test_a_process_that_ended():
    ended = subprocess.Popen([sys.executable, "-c", ""])
    started = find_start(ended.pid)
    ended.wait()
    assert not is_alive(ended.pid, started)


def test_a_process_of_another_account_is_not_ours(monkeypatch):
    def refuse(_pid, _signal):
        raise PermissionError

    monkeypatch.setattr(os, "kill", refuse)
    assert not is_alive(os.getpid(), find_start(os.getpid()))


@pytest.mark.parametrize("pid", [0, -1, True, None, "1", 1.0, 2**80])
def test_what_is_no_number_of_a_process(pid):
    assert not is_alive(pid, 1)


def test_a_name_with_brackets_and_blanks_hides_nothing(tmp_path):
    program = tmp_path / "a) b (c"
    program.symlink_to("/bin/sleep")
    running = subprocess.Popen([str(program), "60"])
    try:
        assert is_alive(running.pid, find_start(running.pid))
    finally:
        running.kill()
        running.wait()
