# SPDX-License-Identifier: Apache-2.0
"""The token file: private, changed as a whole, and taken up by a running node at once."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from node.errors import Fatal, InvalidInput, NotFound, Unavailable
from node.service.tokens import add_token, encode_tokens, new_token, revoke_token
from node.storage.keyfiles import store_private
from node.storage.tokenfile import TOKENS_FILE, TokenFile
from tests.support.errors import raises_code
from tests.support.node_world import FixedRandom

NOW = 1_800_000_000
RANDOM = FixedRandom("token file")


def make(name):
    return new_token(name, "officer", None, RANDOM)[1]


@pytest.fixture
def keys(tmp_path):
    store_private(tmp_path / TOKENS_FILE, encode_tokens([make("li")]))
    return tmp_path


def names(tokens):
    return [entry.name for entry in tokens.current()]


def test_a_running_node_takes_up_each_change(keys):
    node, command = TokenFile(keys), TokenFile(keys)
    assert names(node) == ["li"]
    command.change(lambda entries: add_token(entries, make("wang"), NOW))
    assert names(node) == ["li", "wang"]
    command.change(lambda entries: revoke_token(entries, "li"))
    assert names(node) == ["wang"]


def test_an_unchanged_file_is_read_once(keys):
    node = TokenFile(keys)
    assert node.current() is node.current()


def test_it_stays_private(keys):
    TokenFile(keys).change(lambda entries: add_token(entries, make("wang"), NOW))
    assert (keys / TOKENS_FILE).stat().st_mode & 0o777 == 0o600
    assert [path.name for path in keys.iterdir()] == [TOKENS_FILE]


def test_a_change_that_is_refused_changes_nothing(keys):
    before = (keys / TOKENS_FILE).read_bytes()
    with raises_code(NotFound, "token-account"):
        TokenFile(keys).change(lambda entries: revoke_token(entries, "nobody"))
    assert (keys / TOKENS_FILE).read_bytes() == before


def test_changes_at_the_same_time_are_all_there(keys):
    def add(number):
        TokenFile(keys).change(lambda entries: add_token(entries, make(f"n{number}"), NOW))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(add, range(24)))
    assert sorted(names(TokenFile(keys))) == sorted(["li", *(f"n{n}" for n in range(24))])


def spoil_content(file):
    store_private(file, b"{}")


def spoil_mode(file):
    file.chmod(0o644)


def remove(file):
    file.unlink()


@pytest.mark.parametrize(
    ("spoil", "error"), [(spoil_content, InvalidInput), (spoil_mode, Fatal), (remove, NotFound)]
)
def test_nobody_is_let_in_on_an_old_list(keys, spoil, error):
    node = TokenFile(keys)
    assert names(node) == ["li"]
    spoil(keys / TOKENS_FILE)
    for _ in range(2):
        with raises_code(Unavailable, "tokens-unreadable") as caught:
            node.current()
        assert "li" not in caught.value.message.split()
    with pytest.raises(error):
        TokenFile(keys).load()
    remove(keys / TOKENS_FILE) if spoil is not remove else None
    store_private(keys / TOKENS_FILE, encode_tokens([make("wang")]))
    assert names(node) == ["wang"]
