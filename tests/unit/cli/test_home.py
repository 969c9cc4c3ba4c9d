# SPDX-License-Identifier: Apache-2.0
"""With whose token a command speaks to the node."""

import os

import pytest

from cli.home import TOKEN_FILE, open_client
from cli.output import exit_code_of
from node.client.api import NodeClient
from node.errors import Fatal, InvalidInput, NotFound
from node.storage.processes import find_start
from tests.support.errors import raises_code


@pytest.fixture
def home(tmp_path):
    for name, mode in (("run", 0o700), ("keys", 0o700)):
        (tmp_path / name).mkdir(mode=mode)
    (tmp_path / "run" / "node.json").write_text(
        f'{{"pid":{os.getpid()},"started":{find_start(os.getpid())},"url":"http://127.0.0.1:9","v":1}}'
    )
    for path, text in ((tmp_path / "keys" / TOKEN_FILE, "ict_home\n"), (tmp_path / "mine", "ict_mine\n")):
        path.write_text(text)
        path.chmod(0o600)
    return tmp_path


def sent_by(client):
    with client:
        return client._http.headers["Authorization"]


def test_a_token_file_of_ones_own_comes_before_that_of_the_home(home):
    assert sent_by(open_client(home)) == "Bearer ict_home"
    assert sent_by(open_client(home, home / "mine")) == "Bearer ict_mine"
    with raises_code(NotFound, "key-missing") as missing:
        open_client(home, home / "none")
    assert exit_code_of(missing.value) == 2
    (home / "mine").chmod(0o644)
    with raises_code(Fatal, "key-readable"):
        open_client(home, home / "mine")


@pytest.mark.parametrize("url", ["foo", "", "ftp://node.example", "http://"])
def test_an_address_that_is_none_is_wrong_usage(url):
    with raises_code(InvalidInput, "node-url"):
        NodeClient(url)
