# SPDX-License-Identifier: Apache-2.0
"""NDJSON: columns from all members, numbers kept as written, bad lines refused alone."""

import json
import sys
from functools import partial

import pytest

from node.errors import InvalidInput
from node.readers.opening import open_table
from node.readers.table import Limits
from node.records.chunks import parse_chunk
from node.records.headers import find_header
from tests.support.errors import raises_code
from tests.support.rows import PERMIT, PERMIT_ROW

FIND = partial(find_header, PERMIT)
LINE = json.dumps(PERMIT_ROW, ensure_ascii=False)


def read(tmp_path, text, encoding="utf-8", **options):
    path = tmp_path / "file"
    path.write_bytes(text if isinstance(text, bytes) else text.encode(encoding))
    with open_table(path, find_header=FIND, **options) as table:
        rows = {}
        for chunk in map(parse_chunk, table.chunks):
            rows |= {chunk.first_row + place: row for place, row in enumerate(chunk.rows)}
        return table, rows


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gbk"])
def test_objects_become_rows(tmp_path, encoding):
    table, rows = read(tmp_path, f"{LINE}\n\n{LINE}", encoding)
    assert (table.format, table.header, table.header_row) == ("ndjson", list(PERMIT_ROW), 0)
    assert rows == {1: list(PERMIT_ROW.values()), 2: [], 3: list(PERMIT_ROW.values())}


def test_members_may_come_late_and_be_absent(tmp_path):
    more = json.dumps({"BZ": "备注", "XK_WSH": "8号"})
    table, rows = read(tmp_path, f"{LINE}\n{more}\n")
    assert table.header == [*PERMIT_ROW, "BZ"]
    assert rows[1] == [*PERMIT_ROW.values(), None]
    assert {name: cell for name, cell in zip(table.header, rows[2], strict=True) if cell} == {
        "BZ": "备注",
        "XK_WSH": "8号",
    }


@pytest.mark.parametrize(
    ("written", "cell"),
    [
        ("1.50", "1.50"),
        ("12345678901234567890", "12345678901234567890"),
        ("-1", "-1"),
        ("true", "TRUE"),
        ("null", None),
    ],
)
def test_values_keep_their_digits(tmp_path, written, cell):
    _, rows = read(tmp_path, f"{LINE}\n" + '{"XK_BZ":' + written + "}\n")
    assert rows[2][-1] == cell


@pytest.mark.parametrize(
    ("line", "rule"),
    [
        ("{", "row-json"),
        ("[1]", "row-json"),
        ('"x"', "row-json"),
        ('{"BZ":"a","BZ":"b"}', "row-json"),
        ('{"BZ":NaN}', "row-json"),
        ('{"BZ":"\\ud800"}', "row-json"),
        ('{"\\ud800":"x"}', "row-json"),
        ("[" * 100_000, "row-json"),
        ('{"BZ":["a"]}', "row-json-nested"),
        ('{"BZ":{}}', "row-json-nested"),
    ],
)
def test_bad_lines_are_refused_alone(tmp_path, line, rule):
    _, rows = read(tmp_path, f"{LINE}\n{line}\n{LINE}\n")
    assert rows[2] == rule
    assert isinstance(rows[1], list)
    assert isinstance(rows[3], list)


def test_depth_is_refused_where_a_library_has_raised_the_limit_of_recursion(tmp_path):
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(1_000_000)
    try:
        _, rows = read(tmp_path, f"{LINE}\n{'[' * 1_000_000}\n")
    finally:
        sys.setrecursionlimit(limit)
    assert rows[2] == "row-json"


def test_a_file_cut_inside_an_object(tmp_path):
    assert read(tmp_path, f"{LINE}\n{LINE[:40]}")[1][2] == "row-cut"
    place = LINE.encode().index("云".encode()) + 1
    assert read(tmp_path, f"{LINE}\n".encode() + LINE.encode()[:place])[1][2] == "row-cut"
    assert read(tmp_path, f"{LINE}\n".encode() + LINE.encode()[:place] + b"\n")[1][2] == "row-encoding"


def test_undecodable_lines_are_refused_alone(tmp_path):
    lines = [f"{LINE}\n".encode()] * 150
    lines[9] = lines[9].replace("云".encode(), b"\xff")
    assert read(tmp_path, b"".join(lines))[1][10] == "row-encoding"


def test_reading_goes_on_at_any_row(tmp_path):
    assert list(read(tmp_path, f"{LINE}\n" * 5, start_row=4)[1]) == [4, 5]


def test_limits_and_headers(tmp_path):
    with raises_code(InvalidInput, "file-columns"):
        read(tmp_path, f"{LINE}\n", limits=Limits(columns=10))
    with raises_code(InvalidInput, "header-not-found"):
        read(tmp_path, '{"a":1}\n')
