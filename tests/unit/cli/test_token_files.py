# SPDX-License-Identifier: Apache-2.0
"""A token that cannot be handed over is not made: the account keeps the one that it has."""

import pytest

from tests.support.real_node import ironcage, make_home


@pytest.fixture
def home(tmp_path):
    return make_home(tmp_path / "node", 1).home


def accounts(home):
    return [(entry["name"], entry["role"]) for entry in ironcage("token", "list", "--json", home=home).json]


@pytest.mark.parametrize(
    "words", [("create", "li", "--role", "officer"), ("rotate", "operator", "--overlap", "0")]
)
def test_a_file_that_cannot_be_written_leaves_the_accounts_as_they_are(home, tmp_path, words):
    kept = (home / "keys" / "tokens.json").read_bytes()
    taken = tmp_path / "taken"
    taken.write_text("mine")
    for out, code in ((tmp_path / "none" / "li.token", "file-access"), (taken, "file-exists")):
        refused = ironcage("token", *words, "-o", out, home=home)
        assert refused.code != 0
        assert f"[{code}]" in refused.err, refused
        assert (home / "keys" / "tokens.json").read_bytes() == kept
    assert taken.read_text() == "mine"


def test_a_file_is_for_its_owner_alone(home, tmp_path):
    out = tmp_path / "li.token"
    assert ironcage("token", "create", "li", "--role", "officer", "-o", out, home=home).code == 0
    assert out.stat().st_mode & 0o777 == 0o600
    assert out.read_text().startswith("ict_")
    assert ("li", "officer") in accounts(home)
