# SPDX-License-Identifier: Apache-2.0
"""A signal in the middle of a command: what it had begun is undone, whatever comes after it, and the same command works again."""

from __future__ import annotations

import os
import signal

import pytest

from cli.signals import TERMINATED, ended_in_order
from node.bootstrap import hold_store
from node.config import load_settings
from node.core.clock import SystemClock
from node.crypto.keyfile import encode_private_key
from node.ports import Batch
from node.recovery import back_up_offline, load_backup, restore, store_identity, store_path
from node.storage.keyfiles import load_signing_key, make_private_directory, replace_signing_key, store_private
from node.storage.opening import open_store
from tests.bench.homes import make_home

PASSPHRASE = "correct horse"
ENTRY = b"entry" * 1_000


@pytest.fixture(autouse=True)
def handlers():
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture
def settings(tmp_path):
    settings = load_settings(make_home(tmp_path))
    store_path(settings).parent.mkdir(exist_ok=True)
    store = open_store(store_path(settings), store_identity(settings).encode(), create=True)
    batch = Batch()
    batch.append("records.0/entries", ENTRY)
    store.commit(batch)
    store.close()
    return settings


class Signal:
    """Sends a signal to this process at one call of many, and two more at once when that is undone."""

    def __init__(self, at, number=signal.SIGTERM):
        self.at, self.number, self.calls = at, number, 0

    def __call__(self, *_):
        self.calls += 1
        if self.calls > self.at:
            signal.raise_signal(self.number)


def ends(code, command):
    """Run a command to the end that a signal makes of it."""

    def signalled():
        try:
            command()
        finally:
            signal.raise_signal(signal.SIGTERM)
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(SystemExit) as caught, ended_in_order():
        signalled()
    assert caught.value.code == code
    for number in (signal.SIGTERM, signal.SIGINT):
        assert signal.getsignal(number) == signal.SIG_IGN, "a second signal would end the process otherwise"
        signal.signal(number, signal.SIG_DFL)


def signalled_at_each_call(command, check):
    """Run a command again and again, with a signal at each of its calls in turn; give how many there were."""
    number = 0
    while True:
        at = Signal(number)
        try:
            with ended_in_order():
                command(at)
        except SystemExit as ended:
            assert ended.code == TERMINATED  # noqa: PT017 - whether it ends or not is what is found out
        else:
            return number
        for each in (signal.SIGTERM, signal.SIGINT):
            signal.signal(each, signal.SIG_DFL)
        check()
        number += 1


def test_a_backup_leaves_nothing(settings, tmp_path):
    place = tmp_path / "backups"
    clock = SystemClock()

    def check():
        assert list(place.iterdir()) == []

    assert signalled_at_each_call(lambda at: back_up_offline(settings, place, clock, at), check) > 3
    (made,) = place.iterdir()
    assert load_backup(settings, made).streams == {"records.0/entries": len(ENTRY)}


def test_a_restore_leaves_nothing(settings, tmp_path):
    made, manifest = back_up_offline(settings, tmp_path / "backups", SystemClock(), lambda _: None)
    store = store_path(settings)
    store.rename(tmp_path / "lost")

    def check():
        assert list(store.parent.iterdir()) == []

    assert signalled_at_each_call(lambda at: restore(settings, made, manifest, at), check) > 3
    opened = open_store(store, manifest.identity.encode())
    assert opened.read("records.0/entries", 0, len(ENTRY)) == ENTRY
    opened.close()


def test_a_rotation_leaves_the_key_that_was_there_and_the_store_free(settings):
    keys = settings.path(settings.keys_dir)
    make_private_directory(keys)
    store_private(keys / "record.pem", encode_private_key("ed25519", b"r" * 32, PASSPHRASE))
    kid = load_signing_key(keys, "record", PASSPHRASE).kid

    def random(length):
        signal.raise_signal(signal.SIGTERM)
        return os.urandom(length)

    def rotate(random):
        with hold_store(settings):
            return replace_signing_key(keys, "record", PASSPHRASE, random)

    ends(TERMINATED, lambda: rotate(random))
    assert load_signing_key(keys, "record", PASSPHRASE).kid == kid
    assert rotate(os.urandom)[0] == kid


def test_ctrl_c_is_told_from_sigterm():
    with pytest.raises(KeyboardInterrupt), ended_in_order():
        signal.raise_signal(signal.SIGINT)


class Last:
    """Gets the signal in its finaliser."""

    def __del__(self):
        signal.raise_signal(signal.SIGTERM)


def lose_a_signal():
    Last()
    while True:
        signal.pause()


def test_a_signal_in_a_finaliser_is_raised_again():
    with pytest.raises(SystemExit) as caught, ended_in_order():
        lose_a_signal()
    assert caught.value.code == TERMINATED


def test_without_a_signal_the_handlers_are_as_before():
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    with ended_in_order():
        pass
    assert {number: signal.getsignal(number) for number in before} == before
