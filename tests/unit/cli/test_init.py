# SPDX-License-Identifier: Apache-2.0
"""What ``ironcage init`` refuses it refuses before it makes a key, so that the next try finds nothing in its way."""

import pytest

from cli.init import create_home
from node.config import load_settings
from node.errors import Conflict, Fatal, InvalidInput, NotFound
from tests.support.errors import raises_code
from tests.support.rows import ISSUER


def make(home, **changed):
    given = {
        "member": ISSUER,
        "name_zh": "第一部门",
        "name_en": "",
        "roles": ["issuer"],
        "passphrase_file": None,
        "network": None,
        "port": 0,
        "anchor_period_seconds": 300,
    }
    return create_home(home, **{**given, **changed}, scrypt_n=2)


@pytest.mark.parametrize(
    ("changed", "kind", "code"),
    [
        ({"port": 70_000}, InvalidInput, "config-setting"),
        ({"anchor_period_seconds": 0}, InvalidInput, "config-setting"),
        ({"name_zh": ""}, InvalidInput, "config-setting"),
        ({"name_zh": "\x7f"}, InvalidInput, "config-syntax"),
        ({"network": "none.json"}, NotFound, "file-missing"),
        ({"network": "broken.json"}, InvalidInput, "json-syntax"),
        ({"passphrase_file": "none"}, NotFound, "passphrase-missing"),
        ({"passphrase_file": "short"}, InvalidInput, "passphrase-short"),
        ({"passphrase_file": "open"}, Fatal, "key-readable"),
    ],
)
def test_after_a_refusal_the_same_home_can_be_made(tmp_path, monkeypatch, changed, kind, code):
    monkeypatch.chdir(tmp_path)
    for name, text, mode in (
        ("broken.json", "{", 0o644),
        ("short", "short", 0o600),
        ("open", "long enough to protect", 0o644),
    ):
        path = tmp_path / name
        path.write_text(text)
        path.chmod(mode)
    for name in changed.keys() & {"network", "passphrase_file"}:
        changed = {name: tmp_path / changed[name]}
    home = tmp_path / "home"
    with raises_code(kind, code):
        make(home, **changed)
    assert not home.exists()
    make(home)
    assert load_settings(home).member == ISSUER


def test_a_passphrase_file_is_looked_for_where_the_user_stands(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    secret = tmp_path / "secret"
    secret.write_text("long enough to protect\n")
    secret.chmod(0o600)
    make(tmp_path / "home", passphrase_file=secret.relative_to(tmp_path))
    settings = load_settings(tmp_path / "home")
    monkeypatch.chdir("/")
    assert settings.path(settings.passphrase_file) == secret
    assert not (tmp_path / "home" / "keys" / "passphrase").exists()


def test_keys_without_settings_are_left_alone(tmp_path):
    make(tmp_path)
    (tmp_path / "config.toml").unlink()
    before = {path: path.read_bytes() for path in (tmp_path / "keys").iterdir()}
    with raises_code(Conflict, "keys-exist"):
        make(tmp_path)
    assert before == {path: path.read_bytes() for path in (tmp_path / "keys").iterdir()}
