# SPDX-License-Identifier: Apache-2.0
"""Files are known by what they hold."""

import re
from functools import partial
from pathlib import Path

import pytest

from node.errors import InvalidInput, NotFound
from node.readers.opening import find_format, open_table
from node.readers.table import Limits
from node.records.headers import find_header
from tests.support.errors import raises_code
from tests.support.rows import PERMIT
from tests.support.workbooks import store_xls, store_xlsx

ROOT = Path(__file__).parents[3]
COMPOUND = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"


def find(tmp_path, data, **limits):
    path = tmp_path / "upload"
    path.write_bytes(data)
    return find_format(path, Limits(**limits))


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"a,b\n1,2\n", "csv"),
        (b"\xef\xbb\xbfa;b\n", "csv"),
        ("行政".encode("gbk"), "csv"),
        (b'{"a":1}\n', "ndjson"),
        (b'\xef\xbb\xbf \n {"a":1}\n', "ndjson"),
        (COMPOUND + bytes(600), "xls"),
    ],
)
def test_formats(tmp_path, data, kind):
    assert find(tmp_path, data) == kind


def test_workbooks(tmp_path):
    store_xlsx(tmp_path / "a", {"s": [["x"]]})
    store_xls(tmp_path / "b", {"s": [["x"]]})
    assert find_format(tmp_path / "a", Limits()) == "xlsx"
    assert find_format(tmp_path / "b", Limits()) == "xls"


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "file-empty"),
        (b"\xef\xbb\xbf \r\n", "file-empty"),
        (b"<html><table>", "file-markup"),
        (b'\xef\xbb\xbf\n<?xml version="1.0"?><Workbook>', "file-markup"),
        (b'[{"a":1}]', "file-format"),
        (b"%PDF-1.7", "file-format"),
        (b"\x1f\x8b\x08", "file-format"),
        (b"PK\x03\x04 cut", "workbook-cut"),
        (COMPOUND + bytes(504) + "EncryptedPackage".encode("utf-16-le"), "workbook-encrypted"),
    ],
)
def test_what_is_not_accepted(tmp_path, data, code):
    with raises_code(InvalidInput, code):
        find(tmp_path, data)


def test_large_and_missing_files(tmp_path):
    with raises_code(InvalidInput, "file-too-large"):
        find(tmp_path, b"a,b\n", file_bytes=3)
    for path in (tmp_path / "gone", tmp_path):
        with raises_code(NotFound, "file-missing"):
            open_table(path, find_header=partial(find_header, PERMIT))


def test_every_reason_to_refuse_a_file_stands_in_the_documents():
    page = (ROOT / "docs" / "import.md").read_text()
    codes = set()
    for path in [*(ROOT / "node" / "readers").glob("*.py"), ROOT / "node" / "records" / "headers.py"]:
        codes |= set(re.findall(r'"((?:file|workbook|header)-[a-z-]+)"', path.read_text()))
    assert codes > {"file-encoding", "workbook-encrypted", "header-missing"}
    assert [code for code in sorted(codes) if f"`{code}`" not in page] == []
