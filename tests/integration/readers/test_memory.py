# SPDX-License-Identifier: Apache-2.0
"""Files made to fill memory: whoever reads them stays below 512 MiB, and the file is refused or read to its end."""

import json
import subprocess
import sys
import zipfile

import pytest

from tests.support.penalty_files import HEADER, csv_text, penalty_row
from tests.support.project import ROOT
from tests.support.workbooks import MAIN, store_parts

MOST_BYTES = 512 * 2**20
MIB = 2**20


def read(path):
    """Read a file in a process of its own; give what came of it."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.support.reading_child", str(path)],
        cwd=ROOT, capture_output=True, check=False, timeout=1_000,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr.decode()
    told = json.loads(done.stdout)
    assert max(told["peaks"]) < MOST_BYTES, told
    return told


def store_text(path, pieces, *, size=None):
    """Write a text file out of pieces, and make it as large as ``size`` with what costs no disk."""
    with path.open("wb") as file:
        for piece in pieces:
            file.write(piece)
        if size is not None:
            file.truncate(size)
    return path


def clean(count=3):
    return csv_text([penalty_row(n) for n in range(count)]).encode()


CELLS = b"12," * (MIB + 2**18) + b"\r\n"
SWALLOWING = b'",x,"\n'


@pytest.mark.parametrize(
    ("pieces", "size", "code", "rows"),
    [
        pytest.param([clean(), b"x" * (5 * MIB)], 2**31, "file-format", 0, id="2-GiB-of-one-line"),
        pytest.param([b"x" * (5 * MIB)], 2**31, "file-format", 0, id="2-GiB-of-one-line-from-the-first-byte"),
        pytest.param([b",".join([*(name.encode() for name in HEADER), *[b"x"] * 10**6])], None, "file-columns", 0, id="a-million-columns"),
        pytest.param([b"\xe5\xad\x97," * MIB + b"\n"] * 12, None, "header-not-found", 0, id="long-rows-where-the-header-is-sought", marks=pytest.mark.slow),
        pytest.param([clean(), *[CELLS] * 10], None, None, 13, id="a-million-cells-in-each-of-many-rows", marks=pytest.mark.slow),
        pytest.param([clean(), *[b"1," * 60_000 + b"\r\n"] * 1_000], None, None, 1_003, id="plain-lines-as-long-as-may-be"),
        pytest.param([b'{"a":"' + b"x" * (3 * MIB) + b'"}\n'] * 40, None, "header-not-found", 0, id="ndjson-of-long-texts"),
        pytest.param([b'{"%d%s":1}\n' % (n, b"x" * (3 * MIB)) for n in range(60)], None, "header-not-found", 0, id="ndjson-of-long-names", marks=pytest.mark.slow),
    ],
)  # fmt: skip
def test_text_that_would_fill_memory(tmp_path, pieces, size, code, rows):
    told = read(store_text(tmp_path / "f.csv", pieces, size=size))
    assert (told["code"], told["rows"]) == (code, rows)


def test_a_quoted_cell_in_every_line_makes_no_endless_record(tmp_path):
    """Each line closes one quotation mark and opens the next, so that the whole file is one record to the grammar."""
    count = 3 * MIB // len(SWALLOWING)
    told = read(store_text(tmp_path / "f.csv", [clean(), b'"\n', SWALLOWING * count]))
    assert (told["code"], told["rows"], told["refused"]) == (None, 3 + count, {"row-quote": 1})


def store_bomb(path, before, filling, after, *, mebibytes=100):
    """Write an .xlsx of some kilobytes whose sheet unpacks to many mebibytes."""
    store_parts(path, "")
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    header = "".join(f"<c t='str'><v>{name}</v></c>" for name in HEADER)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name, data in parts.items():
            with archive.open(name, "w") as part:
                if not name.endswith("s.xml"):
                    part.write(data)
                    continue
                start = f'<worksheet xmlns="{MAIN}"><sheetData><row>{header}</row>'
                part.write(start.encode() + before)
                for _ in range(mebibytes):
                    part.write(filling * (MIB // len(filling)))
                part.write(after + b"</sheetData></worksheet>")
    return path


BOMBS = {
    "text": (b"<row><c t='str'><v>", b"a", b"</v></c></row>", "workbook-unreadable"),
    "cells": (b"<row>", b"<c/>", b"</row>", "workbook-unreadable"),
    "tag": (b"<row x='", b"a", b"'/>", "workbook-unreadable"),
    "comment": (b"<!--", b"aaaa", b"-->", "workbook-unreadable"),
    "rows": (b"", b"<row></row>", b"", "workbook-unreadable"),
    "other-elements": (b"<row><y>", b"<x/>", b"</y></row>", None),
}


@pytest.mark.parametrize("kind", BOMBS)
def test_a_sheet_that_would_fill_memory_or_time(tmp_path, kind):
    before, filling, after, code = BOMBS[kind]
    mebibytes = 4 if code is None else 100
    told = read(store_bomb(tmp_path / "f.xlsx", before, filling, after, mebibytes=mebibytes))
    assert told["code"] == code


def test_a_sheet_that_hides_its_size_from_the_choice_of_a_reader(tmp_path):
    """The archive says that the sheet is small, so it is read as a whole; the limit of the process ends that."""
    path = store_bomb(
        tmp_path / "f.xlsx", b"", b"<row><c><v>1</v></c><c><v>2</v></c></row>", b"", mebibytes=200
    )
    data = bytearray(path.read_bytes())
    place = data.rfind(b"xl/worksheets/s.xml") - 46
    assert data[place : place + 4] == b"PK\x01\x02"
    data[place + 24 : place + 28] = (1_000).to_bytes(4, "little")
    path.write_bytes(data)
    assert read(path)["code"] in {"workbook-cut", "workbook-unreadable", "workbook-too-large"}


@pytest.mark.slow
def test_shared_strings_that_would_fill_memory(tmp_path):
    path = tmp_path / "f.xlsx"
    store_parts(path, "")
    text = f"<si><t>{'云州恒泰商贸有限公司' * 2_500}</t></si>".encode()
    with (
        zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED, compresslevel=1) as archive,
        archive.open("xl/sharedStrings.xml", "w") as part,
    ):
        part.write(f'<sst xmlns="{MAIN}">'.encode())
        for _ in range(7_000):
            part.write(text)
        part.write(b"</sst>")
    assert read(path)["code"] == "workbook-too-large"


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_a_workbook_of_a_million_rows_is_read_to_its_end(tmp_path):
    header = "".join(f"<c t='str'><v>{name}</v></c>" for name in HEADER)
    row = b"<row>" + b"<c t='str'><v>\xe4\xba\x91\xe5\xb7\x9e</v></c>" * 30 + b"</row>"
    path = tmp_path / "f.xlsx"
    store_parts(path, "")
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name, data in parts.items():
            with archive.open(name, "w", force_zip64=True) as part:
                if not name.endswith("s.xml"):
                    part.write(data)
                    continue
                part.write(f'<worksheet xmlns="{MAIN}"><sheetData><row>{header}</row>'.encode())
                for _ in range(1_000):
                    part.write(row * 1_000)
                part.write(b"</sheetData></worksheet>")
    told = read(path)
    assert (told["code"], told["rows"]) == (None, 1_000_000)
