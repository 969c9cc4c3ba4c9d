# SPDX-License-Identifier: Apache-2.0
"""Where the passphrase of the keys comes from: a systemd credential, a private file, or a question on the terminal."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from contextlib import suppress

import pytest

from node.config import load_settings
from node.errors import Fatal, NotFound, Unavailable, Verification
from node.serving import PASSPHRASE_CREDENTIAL, load_passphrase
from tests.support.errors import raises_code
from tests.support.project import ROOT
from tests.support.real_node import make_home

CREDENTIAL, TYPED = "from systemd, twelve", "typed by hand, twelve"
ASK = """
import sys
from pathlib import Path
from node.config import load_settings
from node.serving import load_passphrase
found = load_passphrase(load_settings(Path(sys.argv[1])))
print("right" if found == sys.argv[2][::-1] else "wrong")
"""


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return make_home(tmp_path_factory.mktemp("home") / "node", 1).home


@pytest.fixture(autouse=True)
def no_terminal(monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO())
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)


@pytest.fixture
def file(home):
    """The file that ``init`` made."""
    path = home / "keys" / "passphrase"
    before = path.read_bytes()
    yield path
    path.write_bytes(before)
    path.chmod(0o600)


def test_the_file_that_the_settings_name(home, file):
    file.write_text("kept in a file, twelve\n")
    assert load_passphrase(load_settings(home)) == "kept in a file, twelve"


def test_a_credential_comes_before_the_file(home, tmp_path, monkeypatch):
    (tmp_path / PASSPHRASE_CREDENTIAL).write_text(CREDENTIAL + "\n")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    assert load_passphrase(load_settings(home)) == CREDENTIAL


def test_credentials_of_something_else_change_nothing(home, file, tmp_path, monkeypatch):
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    assert load_passphrase(load_settings(home)) == file.read_text().strip()


@pytest.mark.parametrize("mode", [0o640, 0o604])
def test_a_file_that_others_can_read_is_refused(home, file, mode):
    file.chmod(mode)
    with raises_code(Fatal, "key-readable"):
        load_passphrase(load_settings(home))


@pytest.mark.parametrize("credential", [False, True])
def test_what_is_no_text_is_no_passphrase(home, file, tmp_path, monkeypatch, credential):
    """And nothing of it is shown."""
    path = tmp_path / PASSPHRASE_CREDENTIAL if credential else file
    path.write_bytes(b"secret \xff\xfe twelve")
    if credential:
        monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    with raises_code(Verification, "keyfile-passphrase") as caught:
        load_passphrase(load_settings(home))
    assert "secret" not in caught.value.message
    assert caught.value.__cause__ is None


def test_a_credential_that_the_system_does_not_read(home, tmp_path, monkeypatch):
    """Root reads everything, so the refusal comes from a disk that fails."""

    def refuse(path):
        raise OSError(5, "Input/output error")

    (tmp_path / PASSPHRASE_CREDENTIAL).write_text(CREDENTIAL)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    settings = load_settings(home)
    monkeypatch.setattr("pathlib.Path.read_bytes", refuse)
    with raises_code(Unavailable, "key-unreadable"):
        load_passphrase(settings)


def without_file(home, tmp_path):
    """A home like this one whose settings name no file."""
    lines = (home / "config.toml").read_text().splitlines(keepends=True)
    kept = [line for line in lines if not line.startswith("passphrase_file")]
    assert len(kept) == len(lines) - 1
    (tmp_path / "config.toml").write_text("".join(kept))
    return tmp_path


def test_without_file_and_terminal_there_is_none(home, tmp_path):
    with raises_code(NotFound, "passphrase-missing"):
        load_passphrase(load_settings(without_file(home, tmp_path)))


def test_it_is_asked_for_on_the_terminal_and_not_shown(home, tmp_path):
    asked = without_file(home, tmp_path)
    terminal, line = os.openpty()
    command = [sys.executable, "-c", ASK, str(asked), TYPED[::-1]]
    with subprocess.Popen(
        command, cwd=ROOT, stdin=line, stdout=line, stderr=line, start_new_session=True
    ) as child:
        os.close(line)
        shown = answer(terminal)
    os.close(terminal)
    assert child.returncode == 0, shown
    assert b"right" in shown
    assert TYPED.encode() not in shown


def answer(terminal):
    """Type the passphrase once it is asked for; everything that the terminal showed."""
    shown = b""
    while "口令".encode() not in shown:
        shown += os.read(terminal, 1024)
    os.write(terminal, TYPED.encode() + b"\n")
    # One whose other end is closed gives an error.
    with suppress(OSError):
        while piece := os.read(terminal, 1024):
            shown += piece
    return shown
