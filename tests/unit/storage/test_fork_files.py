# SPDX-License-Identifier: Apache-2.0
"""Files with proofs of forks: whole, private, and written again without harm."""

from __future__ import annotations

import stat

import pytest

from node.errors import Unavailable
from node.storage.forks import DiskForkFiles


def test_a_proof_is_whole_and_private_and_may_be_written_again(tmp_path):
    files = DiskForkFiles(tmp_path / "forks")
    for data in (b"one", b"two"):
        place = files.store("a.fork.json", data)
    assert place == str(tmp_path / "forks" / "a.fork.json")
    assert (tmp_path / "forks" / "a.fork.json").read_bytes() == b"two"
    assert stat.S_IMODE((tmp_path / "forks" / "a.fork.json").stat().st_mode) == 0o600
    assert [path.name for path in (tmp_path / "forks").iterdir()] == ["a.fork.json"]


def test_what_cannot_be_written_is_said(tmp_path):
    (tmp_path / "forks").write_text("a file where the directory should be")
    with pytest.raises(Unavailable) as caught:
        DiskForkFiles(tmp_path / "forks").store("a.fork.json", b"one")
    assert caught.value.code == "fork-not-stored"
