# SPDX-License-Identifier: Apache-2.0
"""Settings that must fit each other."""

import pytest

from node.bootstrap import open_node
from node.config import load_settings
from node.errors import InvalidInput, NotFound
from tests.support.errors import raises_code
from tests.support.rows import ISSUER

NEEDED = f'member = "{ISSUER}"\nname_zh = "局"\n'


def settings_of(home, **paths):
    home.mkdir(exist_ok=True)
    lines = [f'{name} = "{path}"' for name, path in paths.items()]
    (home / "config.toml").write_text(NEEDED + "\n".join(lines), encoding="utf-8")
    return load_settings(home)


@pytest.mark.parametrize(
    ("data", "heads"),
    [
        ("data", "data"),
        ("data", "data/heads"),
        ("data", "./x/../data/a/b"),
        ("store/data", "store"),
        ("data", "link/heads"),
        (".", "heads"),
    ],
)
def test_head_files_within_the_store_are_refused_at_start(tmp_path, data, heads):
    home = tmp_path / "home"
    (home / "data").mkdir(parents=True)
    (home / "link").symlink_to(home / "data")
    settings = settings_of(home, data_dir=data, head_dir=heads)
    with raises_code(InvalidInput, "config-head-dir"), open_node(settings, ""):
        pass
    assert list((home / "data").iterdir()) == []


@pytest.mark.parametrize(
    ("data", "heads"), [("data", "heads"), ("data", "data-heads"), ("a/data", "a/heads")]
)
def test_head_files_beside_the_store_are_not(tmp_path, data, heads):
    settings = settings_of(tmp_path / "home", data_dir=data, head_dir=heads)
    settings.require_separate_heads()
    with raises_code(NotFound, "network-missing"), open_node(settings, ""):
        pass
