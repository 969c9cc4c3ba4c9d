# SPDX-License-Identifier: Apache-2.0
"""Workbooks through the reading process: both readers agree, and no file takes down the node."""

import os
import zipfile
from datetime import date
from functools import partial
from pathlib import Path

import pytest

from node.errors import InvalidInput
from node.readers.opening import open_table
from node.readers.table import Limits
from node.records.chunks import parse_chunk
from node.records.headers import find_header, map_headers
from node.records.rows import RowValidator, ValidRow
from tests.support.errors import raises_code
from tests.support.rows import ISSUER, PERMIT, TODAY, build_row, values_of
from tests.support.workbooks import store_parts, store_xls, store_xlsx

FIND = partial(find_header, PERMIT)
CODES = list(PERMIT.field_codes)
ROW = [None if cell == "" else cell for cell in build_row(item=PERMIT)]
STREAMED = Limits(whole_sheet_bytes=1)
WHOLE = Limits()


def read(path, **options):
    with open_table(path, find_header=FIND, **options) as table:
        rows = {}
        for chunk in map(parse_chunk, table.chunks):
            rows |= {
                chunk.first_row + place: [None if cell == "" else cell for cell in row]
                for place, row in enumerate(chunk.rows)
            }
        return table, rows


def with_dates(day):
    row = list(ROW)
    for code in ("XK_JDRQ", "XK_YXQZ", "XK_YXQZI"):
        row[CODES.index(code)] = day
    return row


@pytest.mark.parametrize("limits", [WHOLE, STREAMED])
def test_xlsx_by_both_readers(tmp_path, limits):
    path = tmp_path / "file.csv"
    dated = with_dates(date(2026, 3, 2))
    dated[CODES.index("XK_ZT")] = 1
    store_xlsx(path.with_suffix(".xlsx"), {"s": [["信息表"], [], CODES, dated, [], ROW, with_dates(46083)]})
    path.with_suffix(".xlsx").rename(path)
    table, rows = read(path, limits=limits)
    assert (table.format, table.header, table.header_row, table.date1904) == ("xlsx", CODES, 3, False)
    expected = with_dates("2026-03-02")
    expected[CODES.index("XK_ZT")] = 1
    assert rows == {4: expected, 5: [], 6: ROW, 7: with_dates(46083)}


def test_xls(tmp_path):
    path = tmp_path / "file.xls"
    store_xls(path, {"s": [["信息表"], [], CODES, with_dates(date(2026, 3, 2)), [], ROW]})
    table, rows = read(path)
    assert (table.format, table.header, table.header_row) == ("xls", CODES, 3)
    assert rows == {4: with_dates("2026-03-02"), 5: [], 6: ROW}


@pytest.mark.parametrize("limits", [WHOLE, STREAMED])
def test_columns_keep_their_places_when_the_first_ones_are_empty(tmp_path, limits):
    store_xlsx(tmp_path / "b.xlsx", {"s": [[None, None, *CODES], [None, None, *ROW]]})
    table, rows = read(tmp_path / "b.xlsx", limits=limits)
    assert [cell or None for cell in table.header] == [None, None, *CODES]
    assert rows == {2: [None, None, *ROW]}


@pytest.mark.parametrize("limits", [WHOLE, STREAMED])
def test_rows_are_validated_as_those_of_a_text_file(tmp_path, limits):
    row = with_dates(date(2026, 3, 2))
    row[CODES.index("XK_XDR_LB")] = 2
    store_xlsx(tmp_path / "b.xlsx", {"s": [CODES, row]})
    table, rows = read(tmp_path / "b.xlsx", limits=limits)
    validator = RowValidator(PERMIT, map_headers(PERMIT, table.header), issuer=ISSUER, today=TODAY)
    result = validator.check(rows[2], 2)
    assert isinstance(result, ValidRow)
    assert values_of(result, PERMIT)["XK_JDRQ"] == "2026-03-02"
    assert values_of(result, PERMIT)["XK_XDR_LB"] == "法人及非法人组织"


@pytest.mark.parametrize("limits", [WHOLE, STREAMED])
def test_a_number_that_no_integer_of_64_bits_holds_is_read(tmp_path, limits):
    """As spreadsheets make of a long code that was entered without an apostrophe."""
    numbers = [10**18, 10**19, 2 * 10**19, -(10**19), 1.5e25, 1e299]
    store_xlsx(tmp_path / "b.xlsx", {"s": [CODES, [*numbers, *ROW[len(numbers) :]]]})
    _, rows = read(tmp_path / "b.xlsx", limits=limits)
    assert rows[2] == [*numbers, *ROW[len(numbers) :]]


@pytest.mark.parametrize("limits", [WHOLE, STREAMED])
@pytest.mark.parametrize("encoding", ["GBK", "utf-7", "no-such", "idna", "hex"])
def test_a_workbook_in_an_encoding_that_none_may_have_is_refused(tmp_path, limits, encoding):
    store_parts(tmp_path / "b.xlsx", "<row/>", doctype=f'<?xml version="1.0" encoding="{encoding}"?>')
    with raises_code(InvalidInput, "workbook-unreadable") as caught:
        read(tmp_path / "b.xlsx", limits=limits)
    assert "encoding" in caught.value.message


@pytest.mark.parametrize("limits", [WHOLE, STREAMED])
def test_reading_goes_on_at_any_row(tmp_path, limits):
    store_xlsx(tmp_path / "b.xlsx", {"s": [CODES, *[[number, *ROW[1:]] for number in range(2, 1100)]]})
    _, rows = read(tmp_path / "b.xlsx", limits=limits, start_row=700)
    assert list(rows) == list(range(700, 1100))
    assert all(row[0] == number for number, row in rows.items())


@pytest.mark.parametrize("limits", [WHOLE, STREAMED])
def test_the_one_visible_sheet_with_a_table_is_taken(tmp_path, limits):
    sheets = {"说明": [["填报说明"]], "hidden": [CODES, ROW, ROW], "数据": [CODES, ROW]}
    store_xlsx(tmp_path / "b.xlsx", sheets)
    table, rows = read(tmp_path / "b.xlsx", limits=limits)
    assert rows == {2: ROW}
    assert table.notes == ("sheet 数据: sheet-taken",)


@pytest.mark.parametrize("limits", [WHOLE, STREAMED])
def test_sheets_that_are_left_out_are_spoken_of_and_no_others(tmp_path, limits):
    store_xlsx(tmp_path / "b.xlsx", {"数据": [CODES, ROW]})
    assert read(tmp_path / "b.xlsx", limits=limits)[0].notes == ()
    store_xlsx(tmp_path / "b.xlsx", {"数据": [CODES, ROW], "hidden": [["x"]]})
    assert read(tmp_path / "b.xlsx", limits=limits)[0].notes == ("sheet 数据: sheet-taken",)


@pytest.mark.parametrize("limits", [WHOLE, STREAMED])
def test_several_tables_are_refused(tmp_path, limits):
    store_xlsx(tmp_path / "b.xlsx", {"一月": [CODES, ROW], "二月": [CODES, ROW], "说明": [["x"]]})
    with raises_code(InvalidInput, "workbook-several-tables") as caught:
        read(tmp_path / "b.xlsx", limits=limits)
    assert caught.value.message.startswith("2 of 3 visible sheets")


def test_a_workbook_without_a_table(tmp_path):
    store_xlsx(tmp_path / "b.xlsx", {"s": [["x"]]})
    with raises_code(InvalidInput, "header-not-found"):
        read(tmp_path / "b.xlsx")
    store_xlsx(tmp_path / "b.xlsx", {"hidden": [CODES, ROW], "s": []})
    with raises_code(InvalidInput, "header-not-found") as caught:
        read(tmp_path / "b.xlsx")
    assert caught.value.message.endswith("hidden sheets are not read: show the one with the table")


def test_a_truncated_workbook(tmp_path):
    path = tmp_path / "b.xlsx"
    store_xlsx(path, {"s": [CODES, ROW]})
    path.write_bytes(path.read_bytes()[:-100])
    with raises_code(InvalidInput, "workbook-cut"):
        read(path)


def test_a_truncated_old_workbook(tmp_path):
    path = tmp_path / "b.xls"
    store_xls(path, {"s": [CODES, ROW]})
    path.write_bytes(path.read_bytes()[:1_000])
    with raises_code(InvalidInput, "workbook-unreadable"):
        read(path)


def test_a_damaged_sheet_is_refused_by_both_readers(tmp_path):
    store_parts(tmp_path / "b.xlsx", "<row><c><v>1</v></row>")
    for limits in (WHOLE, STREAMED):
        with raises_code(InvalidInput, "workbook-unreadable"):
            read(tmp_path / "b.xlsx", limits=limits)


def test_too_many_columns(tmp_path):
    store_xlsx(tmp_path / "b.xlsx", {"s": [CODES, ROW]})
    with raises_code(InvalidInput, "file-columns"):
        read(tmp_path / "b.xlsx", limits=Limits(columns=20))


def test_a_workbook_that_needs_too_much_memory(tmp_path):
    # 150 MB of shared strings in a file of some kilobytes, for a process that may have 100 MiB.
    text = f"<si><t>{'云州恒泰商贸有限公司' * 2_500}</t></si>" * 2_000
    store_parts(tmp_path / "b.xlsx", "", strings=text)
    with raises_code(InvalidInput, "workbook-too-large") as caught:
        read(tmp_path / "b.xlsx", limits=Limits(child_memory_bytes=100 * 2**20))
    assert "save it as CSV" in caught.value.message


@pytest.mark.parametrize("limits", [WHOLE, STREAMED])
def test_a_stray_cell_in_the_last_corner_does_no_harm(tmp_path, limits):
    """The reader of whole sheets would hold 17,000,000,000 cells; the streaming one takes over."""
    header, row = ("".join(f"<c t='str'><v>{cell or ''}</v></c>" for cell in cells) for cells in (CODES, ROW))
    stray = '<row r="1048576"><c r="XFD1048576"><v>1</v></c></row>'
    store_parts(tmp_path / "b.xlsx", f"<row>{header}</row><row>{row}</row>{stray}")
    _, rows = read(tmp_path / "b.xlsx", limits=limits)
    assert rows[2] == ROW
    assert [number for number, cells in rows.items() if any(cells)] == [2, 1_048_576]


def test_a_workbook_that_takes_too_long(tmp_path):
    header = "<row>" + "".join(f"<c t='str'><v>{code}</v></c>" for code in CODES) + "</row>"
    row = "<row>" + "<c t='str'><v>云</v></c>" * 1_000 + "</row>"
    store_parts(tmp_path / "b.xlsx", header + row * 4_000)
    with raises_code(InvalidInput, "workbook-too-large") as caught:
        read(tmp_path / "b.xlsx", limits=Limits(child_cpu_seconds=1, whole_sheet_bytes=1))
    assert "longer" in caught.value.message


def children():
    task = Path(f"/proc/self/task/{os.getpid()}/children")
    return task.read_text().split() if task.exists() else []


def test_closing_early_ends_the_reading_process(tmp_path):
    store_xlsx(tmp_path / "b.xlsx", {"s": [CODES, *[ROW] * 3_000]})
    before = children()
    with open_table(tmp_path / "b.xlsx", find_header=FIND) as table:
        next(table.chunks)
        assert len(children()) == len(before) + 1
    assert children() == before


def test_an_archive_of_another_kind(tmp_path):
    with zipfile.ZipFile(tmp_path / "b.xlsx", "w") as archive:
        archive.writestr("content.xml", "<x/>")
    with raises_code(InvalidInput, "file-format"):
        read(tmp_path / "b.xlsx")
