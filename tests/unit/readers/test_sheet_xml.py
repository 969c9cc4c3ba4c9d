# SPDX-License-Identifier: Apache-2.0
"""The streaming reader of .xlsx: what the format allows, and what a hostile file may not do."""

import struct
import zipfile
from datetime import date, datetime, time

import pytest
from openpyxl.utils.datetime import CALENDAR_MAC_1904

from node.errors import InvalidInput
from node.readers.sheet_xml import Book
from node.readers.table import Limits
from tests.support.errors import raises_code
from tests.support.workbooks import store_parts, store_xlsx

LIMITS = Limits()


def read(path, limits=LIMITS):
    book = Book(path, limits)
    try:
        return list(book.read_rows(book.sheets[0][1]))
    finally:
        book.close()


def read_parts(tmp_path, sheet, **parts):
    store_parts(tmp_path / "b.xlsx", sheet, **parts)
    return read(tmp_path / "b.xlsx")


def test_cells_of_a_spreadsheet_program(tmp_path):
    rows = [
        ["文本", 12, 2.5, None, True, "a<b&c"],
        [],
        [None, date(2026, 3, 2), datetime.fromisoformat("2026-03-02T09:30"), time(9, 30), "#N/A", "=1+1"],
    ]
    store_xlsx(tmp_path / "b.xlsx", {"s": rows})
    found = read(tmp_path / "b.xlsx")
    assert found[0] == ["文本", 12, 2.5, None, "TRUE", "a<b&c"]
    assert found[1] == []
    assert found[2][:5] == [None, "2026-03-02", "2026-03-02 09:30:00", "1899-12-30 09:30:00", None]


def test_dates_count_from_1904_where_the_workbook_says_so(tmp_path):
    store_xlsx(tmp_path / "b.xlsx", {"s": [[date(2026, 3, 2)]]}, epoch=CALENDAR_MAC_1904)
    book = Book(tmp_path / "b.xlsx", LIMITS)
    assert book.date1904
    assert next(book.read_rows(book.sheets[0][1])) == ["2026-03-02"]
    book.close()


def test_rows_and_cells_may_lack_their_places(tmp_path):
    sheet = (
        "<row><c><v>1</v></c><c/><c><v>3</v></c></row><row r='4'><c r='B4'><v>5</v></c><c><v>6</v></c></row>"
    )
    assert read_parts(tmp_path, sheet) == [[1, None, 3], [], [], [None, 5, 6]]


def test_texts_in_all_their_forms(tmp_path):
    strings = "<si><t>甲</t></si><si><r><t>乙</t></r><r><rPr/><t xml:space='preserve'> 丙</t></r><rPh><t>yi</t></rPh></si><si/>"
    sheet = (
        "<row><c t='s'><v>0</v></c><c t='s'><v>1</v></c><c t='s'><v>2</v></c>"
        "<c t='inlineStr'><is><t>丁</t></is></c><c t='inlineStr'/><c t='str'><f>A1</f><v>戊</v></c>"
        "<c t='b'><v>0</v></c><c t='e'><v>#REF!</v></c><c t='d'><v>2026-03-02</v></c></row>"
    )
    assert read_parts(tmp_path, sheet, strings=strings) == [
        ["甲", "乙 丙", None, "丁", None, "戊", "FALSE", None, "2026-03-02"]
    ]


@pytest.mark.parametrize(
    ("code", "cell"),
    [
        ("yyyy-mm-dd", "2026-03-02"),
        ('yyyy"年"m"月"d"日"', "2026-03-02"),
        ("[$-804]m/d/yy", "2026-03-02"),
        ("General", 46083),
        ('0.00"day"', 46083),
        ("[Red]0", 46083),
        (r"0\d", 46083),
        ("#,##0;yyyy", 46083),
    ],
)
def test_number_formats_tell_dates(tmp_path, code, cell):
    escaped = code.replace('"', "&quot;")
    styles = (
        f'<numFmts><numFmt numFmtId="164" formatCode="{escaped}"/></numFmts><cellStyleXfs><xf numFmtId="14"/></cellStyleXfs>'
        '<cellXfs><xf numFmtId="0"/><xf numFmtId="164"/></cellXfs>'
    )
    assert read_parts(tmp_path, "<row><c s='1'><v>46083</v></c></row>", styles=styles) == [[cell]]


def test_the_strict_form_of_the_format(tmp_path):
    sheet = "<row r='1'><c r='A1'><v>1</v></c></row>"
    assert read_parts(tmp_path, sheet, strict=True, target="/xl/worksheets/s.xml") == [[1]]


@pytest.mark.parametrize(
    "sheet",
    [
        "<row r='2'/><row r='2'/>",
        "<row r='0'/>",
        "<row r='1048577'/>",
        "<row r='x'/>",
        "<row><c r='B1'/><c r='A1'/></row>",
        "<row><c r='1'/></row>",
        "<row><c r='a1'/></row>",
        "<row><c r='XFE1'/></row>",
        "<row><c r='AAAAAAAAAA1'/></row>",
        "<row><c t='s'><v>0</v></c></row>",
        "<row><c t='s'><v>-1</v></c></row>",
        "<row><c><v>x</v></c></row>",
        "<row><c>",
        "</sheetData>",
        "&unknown;",
    ],
)
def test_malformed_sheets_are_refused(tmp_path, sheet):
    with raises_code(InvalidInput, "workbook-unreadable"):
        read_parts(tmp_path, sheet)


def test_document_types_are_refused(tmp_path):
    doctype = '<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;">]>'
    with raises_code(InvalidInput, "workbook-unreadable") as caught:
        read_parts(tmp_path, "<row><c t='str'><v>&b;</v></c></row>", doctype=doctype)
    assert "document type" in caught.value.message
    with raises_code(InvalidInput, "workbook-unreadable"):
        read_parts(tmp_path, "", strings="]]>")


def test_what_unpacks_beyond_the_limit_is_refused(tmp_path):
    path = tmp_path / "b.xlsx"
    store_parts(path, "<row><c t='str'><v>" + "0" * 2_000_000 + "</v></c></row>")
    assert path.stat().st_size < 20_000
    with raises_code(InvalidInput, "workbook-too-large"):
        read(path, Limits(unpacked_bytes=1_000_000))


def state_size(path, part, size):
    """Have the archive's directory state another size of a part."""
    data = bytearray(path.read_bytes())
    struct.pack_into("<I", data, data.rfind(part.encode()) - 46 + 24, size)
    path.write_bytes(data)


def test_a_part_that_is_stated_to_be_too_large_is_not_begun(tmp_path):
    path = tmp_path / "b.xlsx"
    store_parts(path, "<row><c t='str'><v>1</v></c></row>")
    assert read(path) == [["1"]]
    state_size(path, "xl/worksheets/s.xml", 2_000)
    assert read(path) == [["1"]]
    with raises_code(InvalidInput, "workbook-too-large"):
        read(path, Limits(unpacked_bytes=1_999))


def test_shared_strings_unpack_to_no_more_than_twice_the_memory_that_may_hold_them(tmp_path):
    path = tmp_path / "b.xlsx"
    store_parts(path, "<row><c t='s'><v>0</v></c></row>", strings="<si><t>甲</t></si>" + "<x/>" * 500_000)
    with zipfile.ZipFile(path) as archive:
        size = archive.getinfo("xl/sharedStrings.xml").file_size
    half = (size + 1) // 2
    assert read(path, Limits(child_memory_bytes=half)) == [["甲"]]
    with raises_code(InvalidInput, "workbook-too-large") as caught:
        read(path, Limits(child_memory_bytes=half - 1))
    assert "save it as CSV" in caught.value.message


def test_archives_that_are_cut_or_lack_parts(tmp_path):
    path = tmp_path / "b.xlsx"
    store_parts(path, "<row/>")
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    with raises_code(InvalidInput, "workbook-cut"):
        read(path)
    path.write_bytes(data.replace(b"xl/_rels/workbook.xml.rels", b"xl/_rels/workbook.xml.relx"))
    with raises_code(InvalidInput, "workbook-unreadable"):
        read(path)


def test_damage_inside_an_archive(tmp_path):
    path = tmp_path / "b.xlsx"
    store_xlsx(path, {"s": [[f"文本{number}" for number in range(20)] for _ in range(200)]})
    data = bytearray(path.read_bytes())
    start = data.index(b"xl/worksheets/sheet1.xml") + 200
    data[start : start + 20] = bytes(20)
    path.write_bytes(data)
    with pytest.raises(InvalidInput) as caught:
        read(path)
    assert caught.value.code in {"workbook-cut", "workbook-unreadable"}
