# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

import consortium.anvil
from consortium.anvil import Anvil, find_anvil, start_anvil
from node.errors import NotFound, Unavailable
from tests.support.errors import raises_code


def empty_package(tmp_path, monkeypatch):
    package = tmp_path / "contracts"
    package.mkdir()
    monkeypatch.setattr(consortium.anvil.contracts, "__file__", str(package / "__init__.py"))
    monkeypatch.setenv("PATH", str(tmp_path))
    return package


def test_a_missing_program_is_named(tmp_path, monkeypatch):
    empty_package(tmp_path, monkeypatch)
    with raises_code(NotFound, "anvil-missing"):
        find_anvil()


def test_the_pinned_program_comes_before_the_path(tmp_path, monkeypatch):
    package = empty_package(tmp_path, monkeypatch)
    on_path = tmp_path / "anvil"
    on_path.write_text("#!/bin/sh\n")
    on_path.chmod(0o755)
    assert find_anvil() == on_path
    monkeypatch.setattr(consortium.anvil.platform, "system", lambda: "Linux")
    monkeypatch.setattr(consortium.anvil.platform, "machine", lambda: "aarch64")
    pinned = package / "node_modules" / "@foundry-rs" / "anvil-linux-arm64" / "bin" / "anvil"
    pinned.parent.mkdir(parents=True)
    pinned.write_text("")
    assert find_anvil() == pinned


def test_a_program_that_ends_at_once_is_an_error_with_its_words(tmp_path, monkeypatch):
    empty_package(tmp_path, monkeypatch)
    program = tmp_path / "anvil"
    program.write_text("#!/bin/sh\necho 'no room left' >&2\nexit 3\n")
    program.chmod(0o755)
    with raises_code(Unavailable, "chain-start") as caught:
        start_anvil(tmp_path / "state")
    assert "no room left" in caught.value.message


class Impatient(Anvil):
    """A chain that comes to no rest, before a user who presses Ctrl-C a second time."""

    def rest(self):
        raise KeyboardInterrupt


def test_a_chain_whose_user_does_not_wait_for_its_rest_ends_all_the_same(tmp_path):
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        with pytest.raises(KeyboardInterrupt), Impatient(child, port=1, chain_id=1, directory=tmp_path):
            pass
        assert child.wait(60) == -signal.SIGTERM
    finally:
        child.kill()
        child.communicate()


def test_a_chain_whose_user_does_not_wait_for_its_start_is_not_left_behind(tmp_path, monkeypatch):
    said = tmp_path / "state" / "pid"

    def interrupt(seconds):
        # Which the program may not have written as a whole.
        if said.is_file() and said.read_text().endswith("\n"):
            raise KeyboardInterrupt

    empty_package(tmp_path, monkeypatch)
    program = tmp_path / "anvil"
    program.write_text("#!/bin/sh\necho $$ >$HOME/pid\nexec /bin/sleep 600\n")
    program.chmod(0o755)
    monkeypatch.setattr(consortium.anvil.time, "sleep", interrupt)
    with pytest.raises(KeyboardInterrupt):
        start_anvil(tmp_path / "state")
    with pytest.raises(ProcessLookupError):
        os.kill(int(said.read_text()), signal.SIGKILL)
