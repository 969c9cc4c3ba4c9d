# SPDX-License-Identifier: Apache-2.0
"""Key files that are not what they must be: missing, unreadable, readable by others, of another kind, cut off."""

from __future__ import annotations

import os
import shutil
from hashlib import sha256

import pytest

from node.crypto.hpke import seal
from node.errors import Conflict, Fatal, InvalidInput, NotFound, Unavailable, Verification
from node.storage.keyfiles import (
    create_keys,
    create_log_keys,
    ensure_exchange_key,
    find_newest_log_keys,
    has_log_keys,
    load_exchange_key,
    load_keys,
    load_private,
    load_wrapping_key,
    replace_exchange_key,
    store_private,
)
from tests.support.errors import raises_code

PASSPHRASE = "correct horse"
NUMBERS = {"records": 0, "access": 0}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    directory = tmp_path_factory.mktemp("made") / "keys"
    seeds = iter(range(100))
    create_keys(directory, PASSPHRASE, lambda _: sha256(b"%d" % next(seeds)).digest(), scrypt_n=1 << 12)
    return directory


@pytest.fixture
def keys(made, tmp_path):
    return shutil.copytree(made, tmp_path / "keys")


def load(keys):
    return load_keys(keys, PASSPHRASE, NUMBERS)


def used_files(keys):
    return sorted(path for path in keys.iterdir() if path.name != "recovery.json")


def test_each_missing_file_is_named(keys):
    for name in ("operator.json", "access-0.ml-dsa.pem"):
        data = load_private(keys / name)
        (keys / name).unlink()
        with raises_code(NotFound, "key-missing") as caught:
            load(keys)
        assert name in caught.value.message
        store_private(keys / name, data)


def test_each_file_that_others_can_read_is_named(keys):
    for path in used_files(keys):
        for mode in (0o640, 0o604, 0o602):
            path.chmod(mode)
            with raises_code(Fatal, "key-readable") as caught:
                load_private(path)
            assert path.name in caught.value.message
            assert f"{mode:o}" in caught.value.message
        path.chmod(0o600)
    keys.chmod(0o750)
    with raises_code(Fatal, "key-readable"):
        load(keys)


def test_a_file_that_the_system_does_not_read(keys, monkeypatch):
    """Root reads everything, so the refusal comes from a disk that fails."""

    def refuse(path):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr("pathlib.Path.read_bytes", refuse)
    with raises_code(Unavailable, "key-unreadable"):
        load_private(keys / "node.pem")


@pytest.mark.parametrize(
    ("here", "from_", "error", "code"),
    [
        ("records-0.pem", "records-0.ml-dsa.pem", InvalidInput, "keyfile-kind"),
        ("records-0.ml-dsa.pem", "node.pem", InvalidInput, "keyfile-kind"),
        ("node.pem", "operator.json", InvalidInput, "keyfile-form"),
        ("operator.json", "node.pem", InvalidInput, None),
    ],
)
def test_a_file_of_another_kind(keys, here, from_, error, code):
    store_private(keys / here, (keys / from_).read_bytes())
    with pytest.raises(error) as caught:
        load(keys)
    assert code in (None, caught.value.code)
    assert caught.value.message.startswith(f"{here} in {keys}: ")


def test_a_flipped_bit_in_any_key_file_is_refused(keys):
    before, secret = load(keys), load_wrapping_key(keys, PASSPHRASE)
    named: list[bool] = []
    for at, path in enumerate(used_files(keys)):
        whole = load_private(path)
        place = len(whole) * (at + 1) // 13
        store_private(path, whole[:place] + bytes((whole[place] ^ 1,)) + whole[place + 1 :])
        try:
            found, wrapping = load(keys), load_wrapping_key(keys, PASSPHRASE)
        except (InvalidInput, Verification) as error:
            named.append(error.message.startswith(f"{path.name} in {keys}: "))
            continue
        finally:
            store_private(path, whole)
        # What is no part of the secret: the id or the address that a keystore repeats.
        assert found.operator.address == before.operator.address
        assert (wrapping, found.index) == (secret, before.index)
        assert [key.public for key in found.exchange] == [key.public for key in before.exchange]
    assert named
    assert all(named)


def test_a_home_without_an_exchange_key_gets_one_and_keeps_it(keys):
    """Homes that an older release made have none."""
    (keys / "exchange.json").unlink()
    assert load(keys).exchange == ()
    with raises_code(Verification, "keyfile-passphrase"):
        ensure_exchange_key(keys, "another", os.urandom, scrypt_n=1 << 12)
    assert not (keys / "exchange.json").exists()
    assert ensure_exchange_key(keys, PASSPHRASE, os.urandom, scrypt_n=1 << 12)
    assert not ensure_exchange_key(keys, PASSPHRASE, os.urandom, scrypt_n=1 << 12)
    [key] = load(keys).exchange
    assert key.public == load_exchange_key(keys, PASSPHRASE).public


def test_a_replaced_exchange_key_opens_until_the_next_one(keys):
    first = load_exchange_key(keys, PASSPHRASE)
    kids = [replace_exchange_key(keys, PASSPHRASE, os.urandom, scrypt_n=1 << 12) for _ in range(2)]
    assert kids[0] == (first.kid, kids[1][0])
    box = seal(first.public, b"info", b"request")
    newest, before = load(keys).exchange
    assert (newest.kid, before.kid) == (kids[1][1], kids[1][0])
    assert first.open(b"info", box) == b"request"
    with raises_code(Verification, "box-open"):
        before.open(b"info", box)


def test_what_a_broken_write_left_is_written_over(keys):
    (keys / "node.pem.new").write_bytes(b"half")
    data = (keys / "node.pem").read_bytes()
    store_private(keys / "node.pem", data)
    assert not (keys / "node.pem.new").exists()
    assert load_private(keys / "node.pem") == data


def test_a_full_disk_leaves_the_key_that_was_there(keys, monkeypatch):
    before = load_private(keys / "node.pem")

    def full(descriptor, data, offset):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "pwrite", full)
    with raises_code(Unavailable, "key-not-stored"):
        store_private(keys / "node.pem", b"another")
    assert load_private(keys / "node.pem") == before
    assert not (keys / "node.pem.new").exists()


def test_a_pair_of_log_keys_counts_once_both_are_there(keys, monkeypatch):
    """A node whose succession was cut off in between starts, with the keys that it had."""
    real, written = os.pwrite, []

    def full_from_the_second_file_on(descriptor, data, offset):
        if written and not offset:
            raise OSError(28, "No space left on device")
        written.append(descriptor)
        return real(descriptor, data, offset)

    monkeypatch.setattr(os, "pwrite", full_from_the_second_file_on)
    with raises_code(Unavailable, "key-not-stored"):
        create_log_keys(keys, "records", 1, PASSPHRASE, bytes)
    monkeypatch.undo()
    assert written
    assert find_newest_log_keys(keys) == NUMBERS
    assert not has_log_keys(keys, "records", 1)
    create_log_keys(keys, "records", 1, PASSPHRASE, bytes)
    assert find_newest_log_keys(keys) == NUMBERS | {"records": 1}
    assert has_log_keys(keys, "records", 1)


def test_short_writes_are_completed(keys, monkeypatch):
    real = os.pwrite
    monkeypatch.setattr(os, "pwrite", lambda descriptor, data, offset: real(descriptor, data[:7], offset))
    store_private(keys / "note", b"longer than seven bytes")
    assert load_private(keys / "note") == b"longer than seven bytes"


def test_keys_of_an_init_that_was_broken_off_are_not_written_over(keys):
    with raises_code(Conflict, "keys-exist") as caught:
        create_keys(keys, PASSPHRASE, lambda _: bytes(32), scrypt_n=1 << 12)
    assert "begin again" in caught.value.message


def test_keys_are_made_in_a_home_below_a_directory_that_this_account_may_not_read(tmp_path, monkeypatch):
    """As systemd's for states of dynamic users; root reads everything, so the system's answer is put in."""
    real, home = os.open, tmp_path / "home"

    def refuse(path, *rest):
        if str(path) == str(tmp_path):
            raise PermissionError(13, "Permission denied", path)
        return real(path, *rest)

    monkeypatch.setattr(os, "open", refuse)
    create_keys(home / "keys", PASSPHRASE, lambda length: sha256(b"1").digest()[:length], scrypt_n=1 << 12)
    assert load(home / "keys").operator.address
