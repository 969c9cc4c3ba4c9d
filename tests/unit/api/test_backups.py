# SPDX-License-Identifier: Apache-2.0
"""Where a caller may have a backup made: an administrator anywhere, an operator where he may write himself."""

import errno
import os
from pathlib import Path

import pytest

from node.storage.placemark import placemark

ROUTE = "/api/v1/backups"


def order(world, role, directory, mark=None):
    answer = world.post(ROUTE, role, {"directory": str(directory)} | ({} if mark is None else {"mark": mark}))
    return answer.status_code, answer.json().get("code")


def test_an_operator_who_only_has_a_token_cannot_say_where(world, tmp_path):
    guess = ".ironcage-" + "0" * 32
    (tmp_path / "other").mkdir()
    with placemark(tmp_path / "other", os.urandom) as elsewhere:
        for mark in (None, guess, elsewhere):
            assert order(world, "operator", tmp_path, mark) == (403, "backup-place")
    assert world.get(f"{ROUTE}/newest", "administrator").json()["code"] == "backup-unknown"


def test_an_administrator_can(world, tmp_path):
    assert order(world, "administrator", tmp_path) == (202, None)


@pytest.mark.parametrize("below", [".", "new", "new/er"])
def test_an_operator_says_so_by_a_mark(world, tmp_path, below):
    with placemark(tmp_path / below, os.urandom) as mark:
        assert order(world, "operator", tmp_path / below, mark) == (202, None)
    assert list(tmp_path.rglob(".ironcage-*")) == []
    assert order(world, "operator", tmp_path / below, mark) == (403, "backup-place")


@pytest.mark.parametrize(
    "mark", ["", "../secret", ".ironcage-", ".ironcage-" + "g" * 32, ".ironcage-" + "0" * 32 + "\n"]
)
def test_a_mark_is_no_other_name(world, tmp_path, mark):
    assert order(world, "operator", tmp_path, mark) == (400, "request-shape")


def test_where_one_may_not_write_one_leaves_no_mark():
    with placemark(Path("/proc/nowhere"), os.urandom) as mark:
        assert mark is None


def test_where_one_may_not_even_look_one_leaves_no_mark(tmp_path, monkeypatch):
    def hidden(path):
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr("pathlib.Path.is_dir", hidden)
    with placemark(tmp_path / "below", os.urandom) as mark:
        assert mark is None
