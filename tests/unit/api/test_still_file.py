# SPDX-License-Identifier: Apache-2.0
"""A file that is sent is sent as it was when sending began, or not at all."""

import os

import pytest

from node.client.still_file import StillFile
from node.errors import InvalidInput
from tests.support.errors import raises_code


def grow(path):
    with path.open("a") as file:
        file.write("more")


def rewrite(path):
    status = path.stat()
    path.write_text("other content"[: status.st_size])
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns + 1))


def test_a_file_that_nobody_touches_is_read_whole(tmp_path):
    path = tmp_path / "f"
    path.write_text("0123456789")
    with path.open("rb") as stream:
        still = StillFile(stream)
        assert [still.read(4), still.read(4), still.read(4), still.read(4)] == [b"0123", b"4567", b"89", b""]


@pytest.mark.parametrize("change", [grow, rewrite, lambda path: os.truncate(path, 5)])
def test_the_end_of_a_file_that_was_written_to_is_not_given(tmp_path, change):
    path = tmp_path / "f"
    path.write_text("0123456789")
    with path.open("rb") as stream:
        still = StillFile(stream)
        assert still.read(4) == b"0123"
        change(path)
        with raises_code(InvalidInput, "file-changing"):
            for _ in range(3):
                still.read(4)
