# SPDX-License-Identifier: Apache-2.0
"""Encodings of text files: found from the whole, few broken lines tolerated, mixtures refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.errors import InvalidInput
from node.readers.encodings import find_encoding
from tests.support.errors import raises_code
from tests.support.rows import PENALTY

LINE = "云州恒泰商贸有限公司,法人及非法人组织,罚款"


def find(tmp_path, data, line_bytes=2**22):
    path = tmp_path / "file"
    path.write_bytes(data)
    return find_encoding(path, line_bytes=line_bytes)


@pytest.mark.parametrize(
    ("encoding", "found"),
    [
        ("utf-8", "utf-8"),
        ("utf-8-sig", "utf-8-sig"),
        ("gbk", "gb18030"),
        ("gb18030", "gb18030"),
        ("ascii", "utf-8"),
    ],
)
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_known_encodings(tmp_path, encoding, found, newline):
    lines = ["a,b,c"] * 3 if encoding == "ascii" else [LINE] * 3
    result = find(tmp_path, newline.join(lines).encode(encoding))
    assert (result.name, result.broken_lines) == (found, frozenset())


def test_gb18030_holds_more_than_gbk(tmp_path):
    assert find(tmp_path, f"{LINE}𠮷\n".encode("gb18030")).name == "gb18030"


def test_an_empty_mark_is_utf8(tmp_path):
    assert find(tmp_path, b"\xef\xbb\xbfa,b\n").name == "utf-8-sig"


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-be", "utf-32"])
def test_wide_encodings_are_named(tmp_path, encoding):
    mark = b"\xfe\xff" if encoding == "utf-16-be" else b""
    with raises_code(InvalidInput, "file-encoding") as caught:
        find(tmp_path, mark + LINE.encode(encoding))
    assert encoding[:6].upper() in caught.value.message


def test_zero_bytes_are_no_text(tmp_path):
    with raises_code(InvalidInput, "file-format"):
        find(tmp_path, b"a,b\n\0\0\n")


def test_other_encodings_are_refused(tmp_path):
    with raises_code(InvalidInput, "file-encoding") as caught:
        find(tmp_path, b"a,b\n" + "été,naïve\n".encode("latin-1") * 5)
    assert "the first is line 2 at byte 4" in caught.value.message


def test_a_mixture_is_refused_with_its_place(tmp_path):
    whole = f"{LINE}\n".encode() * 30 + f"{LINE}\n".encode("gbk") * 20
    with raises_code(InvalidInput, "file-encoding") as caught:
        find(tmp_path, whole)
    place = 30 * (len(LINE.encode()) + 1)
    assert f"20 of 50 lines do not fit, the first is line 31 at byte {place}" in caught.value.message
    with raises_code(InvalidInput, "file-encoding") as caught:
        find(tmp_path, f"{LINE}\n".encode("gbk") * 30 + f"{LINE}\n".encode() * 20)
    assert "GB18030" in caught.value.message
    assert "line 31 " in caught.value.message


def test_a_few_broken_lines_cost_only_themselves(tmp_path):
    lines = [f"{LINE}\n".encode()] * 200
    lines[7] = lines[7][:-3] + b"\xe5\n"
    lines[9] = f"{LINE}\n".encode("gbk")
    assert find(tmp_path, b"".join(lines)).broken_lines == {7, 9}


def test_utf8_lines_in_a_gbk_file_are_broken_though_they_decode(tmp_path):
    lines = [f"{LINE}\n".encode("gbk")] * 200
    lines[100] = f"{LINE}款\n".encode()
    result = find(tmp_path, b"".join(lines))
    assert (result.name, result.broken_lines) == ("gb18030", {100})


def test_lines_too_short_to_tell_follow_the_rest(tmp_path):
    # “一” in GBK reads as a Cyrillic letter in UTF-8.
    lines = [f"{LINE}\n".encode("gbk")] * 200
    lines[5] = "一一一一一一一一\n".encode("gbk")
    lines[5].decode("utf-8")
    assert find(tmp_path, b"".join(lines)) == find(tmp_path, f"{LINE}\n".encode("gbk"))


def test_endless_lines_are_no_text(tmp_path):
    with raises_code(InvalidInput, "file-format"):
        find(tmp_path, b"a" * 5_000_000)


def test_large_files_are_read_in_blocks(tmp_path):
    line = f"{LINE * 20}\n"
    data = [line.encode("gbk")] * 5_000
    data[4_000] = b"\xff\xff\xff\n"
    assert find(tmp_path, b"".join(data)).broken_lines == {4_000}


WORDS = sorted({character for field in PENALTY.fields for character in field.zh if not character.isascii()})


@given(st.lists(st.text(WORDS, min_size=4, max_size=30), min_size=1))
def test_chinese_text_below_a_header_is_never_mistaken(tmp_path_factory, lines):
    folder = tmp_path_factory.mktemp("encodings")
    text = "\n".join([LINE, *lines])
    assert find(folder, text.encode("utf-8")).name == "utf-8"
    assert find(folder, text.encode("gbk")) == find(folder, LINE.encode("gbk"))
