# SPDX-License-Identifier: Apache-2.0
"""Files are known by what they hold."""

import io
import re
import struct
import zipfile
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


END = struct.Struct("<4s4HIIH")
LARGE_END = struct.Struct("<4sQ2H2I4Q")


def archive(parts, *, comment=b""):
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as made:
        for number in range(parts):
            made.writestr(f"{number}", b"")
        made.comment = comment
    return data.getvalue()


def with_end(data, *, entries, size):
    """Claim another directory in the record at the end of an archive without comment."""
    return data[: -END.size] + END.pack(b"PK\x05\x06", 0, 0, entries, entries, size, 0, 0)


def with_long_end(data, *, entries, size):
    """Put the long records before the end, which zipfile believes even where the short one fits."""
    long = LARGE_END.pack(b"PK\x06\x06", 44, 45, 45, 0, 0, entries, entries, size, 0)
    locator = struct.pack("<4sIQI", b"PK\x06\x07", 0, len(data) - END.size, 1)
    return data[: -END.size] + long + locator + data[-END.size :]


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (archive(10_001), "workbook-too-large"),
        (archive(10_001, comment=b"x" * 65_535), "workbook-too-large"),
        (with_end(archive(1), entries=1, size=(4 << 20) + 1), "workbook-too-large"),
        (with_end(archive(1), entries=0xFFFF, size=0xFFFFFFFF), "workbook-too-large"),
        (with_long_end(archive(1), entries=10_001, size=47), "workbook-too-large"),
        (with_long_end(archive(1), entries=1, size=1 << 40), "workbook-too-large"),
        (with_long_end(archive(1), entries=1, size=47).replace(b"PK\x06\x06", b"PK\x06\x00"), "workbook-cut"),
        (archive(3)[: -END.size], "workbook-cut"),
        (archive(3), "file-format"),
        (archive(3, comment=b"x" * 65_535), "file-format"),
    ],
    ids=range(10),
)
def test_the_directory_of_an_archive_is_bounded_before_it_is_read(tmp_path, monkeypatch, data, code):
    opened = []
    real = zipfile.ZipFile
    monkeypatch.setattr(zipfile, "ZipFile", lambda path: opened.append(path) or real(path))
    with raises_code(InvalidInput, code):
        find(tmp_path, data)
    assert bool(opened) == (code == "file-format")


def test_a_workbook_with_long_records_is_still_one(tmp_path):
    store_xlsx(tmp_path / "a", {"s": [["x"]]})
    data = (tmp_path / "a").read_bytes()
    _, _, _, entries, _, size, offset, _ = END.unpack(data[-END.size :])
    long = LARGE_END.pack(b"PK\x06\x06", 44, 45, 45, 0, 0, entries, entries, size, offset)
    locator = struct.pack("<4sIQI", b"PK\x06\x07", 0, len(data) - END.size, 1)
    assert find(tmp_path, data[: -END.size] + long + locator + data[-END.size :]) == "xlsx"


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
