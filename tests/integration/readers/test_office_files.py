# SPDX-License-Identifier: Apache-2.0
"""Files as offices produce them, from their bytes to what becomes of every row: taken, refused by rule, or all refused."""

import io
import struct
import zipfile
from functools import partial

import openpyxl
import pytest

from node.errors import InvalidInput
from node.readers.opening import open_table
from node.readers.table import Limits
from node.records.chunks import parse_chunk
from node.records.headers import find_header, map_headers
from node.records.rows import RowValidator, ValidRow
from tests.support.errors import raises_code
from tests.support.penalty_files import HEADER, csv_text, penalty_row
from tests.support.rows import COMPANY, ISSUER, PENALTY, TODAY, values_of
from tests.support.workbooks import MAIN, store_parts, store_xls, store_xlsx

BOTH = pytest.mark.parametrize("limits", [Limits(), Limits(whole_sheet_bytes=1)], ids=["whole", "streamed"])
DATES = '<cellXfs><xf numFmtId="0"/><xf numFmtId="14"/></cellXfs>'
MARK = b"\xef\xbb\xbf"


def read(path, limits=None):
    """Read a file to its end and give the values of its clean rows, and the refusals as (row, rule, column)."""
    with open_table(path, find_header=partial(find_header, PENALTY), limits=limits) as table:
        validator = RowValidator(PENALTY, map_headers(PENALTY, table.header), issuer=ISSUER, today=TODAY)
        values, refused = [], []
        for chunk in map(parse_chunk, table.chunks):
            for number, row in enumerate(chunk.rows, chunk.first_row):
                result = row if isinstance(row, str) else validator.check(row, number) if row else None
                if isinstance(result, str):
                    refused.append((number, result, None))
                elif isinstance(result, ValidRow):
                    values.append(values_of(result))
                elif result is not None:
                    refused.extend((number, found.rule, found.column) for found in result)
    return values, refused


def read_text(tmp_path, text, encoding="utf-8"):
    path = tmp_path / "f.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode(encoding))
    return read(path)


def rows(*numbers, **changes):
    return [penalty_row(number, **changes) for number in numbers]


CLEAN = csv_text(rows(1, 2, 3))
BODY = CLEAN.split("\r\n", 1)[1]
MANY = csv_text(rows(*range(3_000)))


# Text: what goes in as it is.


@pytest.mark.parametrize(
    "text",
    [
        CLEAN.encode() + MARK + BODY.encode(),
        MARK + MARK + CLEAN.encode() + BODY.encode(),
        CLEAN.encode() + BODY.replace("\r\n", "\r").encode(),
        b"sep=,\r\n" + CLEAN.encode() + BODY.encode(),
        (CLEAN + BODY).replace("\r\n", ",,,\r\n").encode("gbk"),
        (csv_text(rows(1, 2, 3, CF_SY="一\r\n二\n三")) + BODY).encode(),
        (csv_text([["基本信息", *[""] * 9, "处罚信息"], HEADER, list(PENALTY.field_codes), *rows(1, 2, 3)], header=["双公示"]) + BODY).encode(),
        (CLEAN.split("\r\n", 1)[0] + "\r\n" + ",,,,\r\n" * 2_000 + BODY + BODY).encode(),
    ],
    ids=["mark-in-the-middle", "two-marks", "mixed-ends-of-line", "sep-line", "trailing-separators", "lines-in-cells", "two-header-rows", "blank-rows"],
)  # fmt: skip
def test_text_that_goes_in(tmp_path, text):
    values, refused = read_text(tmp_path, text)
    assert (len(values), refused) == (6, [])


@pytest.mark.parametrize("delimiter", [";", "\t", "|", "，"])
def test_separators(tmp_path, delimiter):
    assert len(read_text(tmp_path, CLEAN.replace(",", delimiter))[0]) == 3


@pytest.mark.parametrize("encoding", ["utf-8", "gbk"])
def test_lines_that_end_with_carriage_returns_alone_in_a_large_file(tmp_path, encoding):
    """Of more than the 4 MiB that one line may have."""
    text = csv_text(rows(*range(15_000))).replace("\r\n", "\r")
    spoilt = text.encode(encoding).replace("〔2026〕7号".encode(encoding), b"\xff\xff\xff", 1)
    assert len(spoilt) > Limits().line_bytes
    values, refused = read_text(tmp_path, spoilt)
    assert (len(values), refused) == (14_999, [(9, "row-encoding", None)])


def test_header_alone(tmp_path):
    assert read_text(tmp_path, csv_text([])) == ([], [])


# Text: what is refused as a whole, and what the message tells the operator to do.


@pytest.mark.parametrize(
    ("data", "code", "advice"),
    [
        (MANY.encode() + MANY.split("\r\n", 1)[1].encode("gbk"), "file-encoding", "CSV UTF-8"),
        (MANY.encode("gbk") + MANY.split("\r\n", 1)[1].encode(), "file-encoding", "line 3002 at byte"),
        (CLEAN.encode("utf-16"), "file-encoding", "CSV UTF-8"),
        (CLEAN.encode("utf-16-le"), "file-encoding", "CSV UTF-8"),
        (CLEAN.encode("utf-16-be"), "file-encoding", "CSV UTF-8"),
        (CLEAN.replace("未按", "未\0按", 1).encode(), "file-format", "export or copy it again"),
        (CLEAN.encode() + bytes(4_096), "file-format", f"byte {len(CLEAN.encode())} is zero"),
        (b"\r\n" * 100, "file-empty", "holds nothing"),
        (MARK, "file-empty", "holds nothing"),
        (b",,,\r\n" * 100, "header-not-found", "first 10 rows"),
        (BODY.encode(), "header-not-found", "want at least"),
        (csv_text([[*r, "x"] for r in rows(1)], header=[*HEADER, HEADER[0]]).encode(), "header-duplicate", "columns 1 and 31"),
        (b'<html><meta charset="gbk"><table>', "file-markup", "save it as .xlsx"),
        (b'<?xml version="1.0"?><?mso-application progid="Excel.Sheet"?><Workbook>', "file-markup", "save it as .xlsx"),
        (b"MIME-Version: 1.0\r\nContent-Type: multipart/related\r\n", "file-markup", "save it as .xlsx"),
        (MARK + b'[{"a":1}]', "file-format", "one object a line"),
    ],
)  # fmt: skip
def test_text_that_is_refused_as_a_whole(tmp_path, data, code, advice):
    with raises_code(InvalidInput, code) as caught:
        read_text(tmp_path, data)
    assert advice in caught.value.message


# Text: rows and cells.


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"CF_XDR_SHXYM": "1.23457E+17"}, "number-precision-lost"),
        ({"CF_CFJGDM": "1.15E+16"}, "number-precision-lost"),
        ({"CF_XDR_SHXYM": f"'{COMPANY}"}, "uscc-form"),
        ({"CF_JDRQ": "1899-12-31"}, "date-range"),
        ({"CF_JDRQ": "1900-02-29"}, "date-range"),
        ({"CF_JDRQ": "10000-01-01"}, "date-format"),
        ({"CF_XDR_MC": "云州\u200b恒泰"}, "text-control-character"),
        ({"CF_XDR_MC": "\u202e云州恒泰"}, "text-control-character"),
        ({"CF_XDR_MC": "云州\x07恒泰"}, "text-control-character"),
        ({"CF_XDR_MC": "云州\x1b[31m恒泰"}, "text-control-character"),
        ({"CF_SY": "字" * 32_767}, "text-too-long"),
        ({"CF_SY": "字" * 40_000}, "text-too-long"),
    ],
)
def test_cells_that_refuse_their_row(tmp_path, changes, rule):
    values, refused = read_text(
        tmp_path, csv_text([penalty_row(1), penalty_row(2, **changes), penalty_row(3)])
    )
    assert len(values) == 2
    assert refused == [(3, rule, next(iter(changes)))]


@pytest.mark.parametrize(
    ("code", "written", "value"),
    [
        ("CF_XDR_SHXYM", f'="{COMPANY}"', COMPANY),
        ("CF_XDR_SHXYM", f"\u00a0{COMPANY}\u3000", COMPANY),
        ("CF_XDR_SHXYM", f"\u200b{COMPANY}\ufeff", COMPANY),
        ("CF_XDR_MC", "云州😀恒泰", "云州😀恒泰"),
        ("CF_WFXW", "未按规定，明码标价", "未按规定，明码标价"),
    ],
)
def test_cells_that_go_in(tmp_path, code, written, value):
    values, refused = read_text(tmp_path, csv_text(rows(1, **{code: written})))
    assert refused == []
    assert values[0][code] == value


def test_ragged_rows(tmp_path):
    row = penalty_row(1)
    values, refused = read_text(tmp_path, csv_text([row[:10], [*row, "x"], row]))
    assert len(values) == 1
    assert [(number, rule) for number, rule, _ in refused] == [
        (2, "row-too-few-cells"),
        (3, "cell-without-column"),
    ]


def test_a_file_cut_in_the_middle_of_a_quoted_cell_gives_its_whole_rows(tmp_path):
    text = csv_text(rows(1, 2, 3, CF_SY='一，"二"，' + "三" * 40))
    values, refused = read_text(tmp_path, text[: text.rindex("三三")])
    assert (len(values), refused) == (2, [(4, "row-cut", None)])


# Workbooks.


def cells(*row):
    """The XML of a row of texts; a cell that is XML already stays."""
    made = (c if c.startswith("<c") else f'<c t="str"><v>{c}</v></c>' for c in row)
    return f"<row>{''.join(made)}</row>"


def store_cell(path, code, cell, **parts):
    """Store a sheet with one row, one cell of it given as XML."""
    row = penalty_row(1)
    row[PENALTY.field_codes.index(code)] = cell
    store_parts(path, cells(*HEADER) + cells(*row), styles=DATES, **parts)
    return path


@BOTH
@pytest.mark.parametrize(
    ("code", "cell", "expected"),
    [
        ("CF_SY", '<c t="str"><f>A1</f><v>算出</v></c>', "算出"),
        ("CF_SY", "<c><f>A1</f></c>", "field-required"),
        ("CF_SY", '<c t="str"><f>A1</f><v></v></c>', "field-required"),
        ("CF_CFLB", '<c t="e"><f>A1</f><v>#N/A</v></c>', "field-required"),
        ("CF_CFLB", '<c t="e"><v>#REF!</v></c>', "field-required"),
        ("CF_JDRQ", '<c s="1"><v>46083</v></c>', "2026-03-02"),
        ("CF_JDRQ", '<c s="1"><v>46083.75</v></c>', "2026-03-02"),
        ("CF_JDRQ", "<c><v>46083</v></c>", "2026-03-02"),
        ("CF_JDRQ", '<c t="d"><v>2026-03-02T00:00:00</v></c>', "2026-03-02"),
        ("CF_JDRQ", '<c s="1"><v>60</v></c>', "date-range"),
        ("CF_JDRQ", '<c s="1"><v>1</v></c>', "date-range"),
        ("CF_JDRQ", '<c s="1"><v>2958465</v></c>', "date-range"),
        ("CF_JDRQ", '<c s="1"><v>2958466</v></c>', "date-format"),
        ("CF_JDRQ", '<c s="1"><v>1E+10</v></c>', "date-format"),
        ("CF_XDR_SHXYM", "<c><v>9.15201E+17</v></c>", "number-precision-lost"),
        ("CF_XDR_SHXYM", "<c><v>915201000000001234</v></c>", "number-precision-lost"),
        ("CF_SY", '<c t="str"><v>一_x0007_二</v></c>', "text-control-character"),
        ("CF_SY", '<c t="str"><v>一_xD800_二</v></c>', "一_xD800_二"),
        ("CF_SY", f'<c t="inlineStr"><is><t>{"字" * 32_768}</t></is></c>', "text-too-long"),
        ("CF_XDR_MC", '<c t="inlineStr"><is><r><t>云州</t></r><r><t>😀</t></r><rPh><t>yun</t></rPh></is></c>', "云州😀"),
    ],
)  # fmt: skip
def test_cells_of_workbooks(tmp_path, limits, code, cell, expected):
    values, refused = read(store_cell(tmp_path / "f.xlsx", code, cell), limits)
    assert [v[code] for v in values] + [rule for _, rule, _ in refused] == [expected]


@BOTH
@pytest.mark.parametrize("value", ["1E+308", "NaN", "-1", "0"])
def test_numbers_that_no_date_has_refuse_their_row_alone(tmp_path, limits, value):
    path = store_cell(tmp_path / "f.xlsx", "CF_JDRQ", f'<c s="1"><v>{value}</v></c>')
    values, refused = read(path, limits)
    assert (values, [(number, column) for number, _, column in refused]) == ([], [(2, "CF_JDRQ")])


@BOTH
@pytest.mark.parametrize("style", ["0", "1"])
def test_dates_that_count_from_1904(tmp_path, limits, style):
    path = tmp_path / "f.xlsx"
    store_cell(path, "CF_JDRQ", f'<c s="{style}"><v>44621</v></c>', workbook_pr='<workbookPr date1904="1"/>')
    with open_table(path, find_header=partial(find_header, PENALTY), limits=limits) as table:
        assert table.date1904
        row = parse_chunk(next(table.chunks)).rows[0]
    assert row[PENALTY.field_codes.index("CF_JDRQ")] == ("2026-03-02" if style == "1" else 44621)


@BOTH
def test_merged_titles_two_header_rows_and_merged_cells(tmp_path, limits):
    """A merged cell has a value in its first row alone; the others are refused, not guessed."""
    book = openpyxl.Workbook()
    sheet = book.active
    for row in (
        ["双公示"],
        ["基本信息", *[""] * 9, "处罚"],
        HEADER,
        list(PENALTY.field_codes),
        *rows(1, 2, 3),
    ):
        sheet.append(row)
    for place in ("A1:AD1", "A2:J2", "A6:A7"):
        sheet.merge_cells(place)
    book.save(tmp_path / "f.xlsx")
    values, refused = read(tmp_path / "f.xlsx", limits)
    assert (len(values), refused) == (2, [(7, "field-required", "CF_XDR_MC")])


@BOTH
def test_hidden_rows_and_columns_are_rows_and_columns(tmp_path, limits):
    book = openpyxl.Workbook()
    for row in (HEADER, *rows(1, 2, 3)):
        book.active.append(row)
    book.active.row_dimensions[3].hidden = True
    book.active.column_dimensions["C"].hidden = True
    book.save(tmp_path / "f.xlsx")
    values, refused = read(tmp_path / "f.xlsx", limits)
    assert ([v["CF_XDR_SHXYM"] for v in values], refused) == ([COMPANY] * 3, [])


@BOTH
@pytest.mark.parametrize("name", ["f.csv", "f.xlsm", "f.xls"])
def test_a_workbook_under_another_name_or_with_macros(tmp_path, limits, name):
    path = tmp_path / name
    store_xlsx(path.with_suffix(".xlsx"), {"s": [HEADER, *rows(1, 2, 3)]})
    with zipfile.ZipFile(path.with_suffix(".xlsx"), "a") as archive:
        archive.writestr("xl/vbaProject.bin", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(2_000))
    path.with_suffix(".xlsx").rename(path)
    assert len(read(path, limits)[0]) == 3


def test_an_old_workbook_under_the_name_of_another_office_suite(tmp_path):
    store_xls(tmp_path / "f.xls", {"s": [HEADER, *rows(1, 2, 3)]})
    assert len(read((tmp_path / "f.xls").rename(tmp_path / "f.et"))[0]) == 3


def test_as_many_rows_as_an_old_workbook_can_have(tmp_path):
    few = ("CF_XDR_MC", "CF_XDR_LB")
    store_xls(tmp_path / "f.xls", {"s": [HEADER, *[["云州", "企业"]] * 65_535]})
    with open_table(tmp_path / "f.xls", find_header=partial(find_header, PENALTY)) as table:
        chunks = [parse_chunk(chunk) for chunk in table.chunks]
    assert chunks[-1].first_row + len(chunks[-1].rows) - 1 == 65_536
    assert chunks[-1].rows[-1][: len(few)] == ["云州", "企业"]


ENTITIES = "".join(f'<!ENTITY {chr(98 + n)} "{f"&{chr(97 + n)};" * 10}">' for n in range(9))
DOCTYPES = {
    "unused": '<!DOCTYPE x [<!ENTITY a "lol">]>',
    "billion-laughs": f'<!DOCTYPE x [<!ENTITY a "lol">{ENTITIES}]>',
    "external": '<!DOCTYPE x [<!ENTITY j SYSTEM "file:///etc/passwd">]>',
}


@BOTH
@pytest.mark.parametrize("kind", DOCTYPES)
def test_entities_are_refused_by_both_readers(tmp_path, limits, kind):
    text = "字" if kind == "unused" else "&j;"
    path = tmp_path / "f.xlsx"
    store_parts(path, cells(*HEADER) + cells(text, *penalty_row(1)[1:]), doctype=DOCTYPES[kind])
    with raises_code(InvalidInput, "workbook-unreadable") as caught:
        read(path, limits)
    assert "document type" in caught.value.message
    assert "save it as .xlsx again" in caught.value.message


class Pipe(io.RawIOBase):
    """Takes bytes and cannot go back, so that zipfile writes data descriptors."""

    def __init__(self):
        self.data = bytearray()

    def writable(self):
        return True

    def write(self, data):
        self.data += data
        return len(data)


def store_again(path, *, pipe=False, zip64=False, twice=False):
    """Store a clean workbook of three rows by a writer with other habits."""
    store_parts(path, cells(*HEADER) + "".join(cells(*row) for row in rows(1, 2, 3)))
    with zipfile.ZipFile(path) as archive:
        parts = [(name, archive.read(name)) for name in archive.namelist()]
    target = Pipe() if pipe else io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in parts:
            with archive.open(name, "w", force_zip64=zip64) as part:
                part.write(data)
        if twice:
            with pytest.warns(UserWarning, match="Duplicate"):
                archive.writestr("xl/worksheets/s.xml", f'<worksheet xmlns="{MAIN}"/>')
    path.write_bytes(bytes(target.data) if pipe else target.getvalue())
    return path


@BOTH
@pytest.mark.parametrize("habit", ["pipe", "zip64"])
def test_archives_with_data_descriptors_and_long_sizes(tmp_path, limits, habit):
    assert len(read(store_again(tmp_path / "f.xlsx", **{habit: True}), limits)[0]) == 3


@BOTH
def test_an_archive_with_two_parts_of_one_name(tmp_path, limits):
    with raises_code(InvalidInput, "workbook-unreadable") as caught:
        read(store_again(tmp_path / "f.xlsx", twice=True), limits)
    assert "save it as .xlsx again" in caught.value.message


@BOTH
@pytest.mark.parametrize(
    ("field", "value"), [(16, 1), (20, 10), (24, 10), (42, 10)], ids=["crc", "packed", "size", "offset"]
)
def test_an_archive_that_lies_about_a_part(tmp_path, limits, field, value):
    path = store_again(tmp_path / "f.xlsx")
    data = bytearray(path.read_bytes())
    struct.pack_into("<I", data, data.rfind(b"xl/worksheets/s.xml") - 46 + field, value)
    path.write_bytes(data)
    with pytest.raises(InvalidInput) as caught:
        read(path, limits)
    assert caught.value.code in {"workbook-cut", "workbook-unreadable"}
    assert "save it" in caught.value.message


@BOTH
@pytest.mark.parametrize("target", ["../../../../etc/passwd", "/etc/passwd"])
def test_parts_are_looked_for_in_the_archive_alone(tmp_path, limits, target):
    store_parts(tmp_path / "f.xlsx", cells(*HEADER), target=target)
    with raises_code(InvalidInput, "workbook-unreadable"):
        read(tmp_path / "f.xlsx", limits)


@BOTH
def test_a_workbook_cut_in_half(tmp_path, limits):
    path = store_again(tmp_path / "f.xlsx")
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with raises_code(InvalidInput, "workbook-cut") as caught:
        read(path, limits)
    assert "fetch or save it again" in caught.value.message


def test_an_old_workbook_cut_in_half(tmp_path):
    path = tmp_path / "f.xls"
    store_xls(path, {"s": [HEADER, *rows(*range(50))]})
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with raises_code(InvalidInput, "workbook-unreadable"):
        read(path)


def test_a_workbook_behind_a_password_and_one_of_the_binary_form(tmp_path):
    path = tmp_path / "f.xlsx"
    path.write_bytes(
        b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(2_000) + "EncryptedPackage".encode("utf-16-le")
    )
    with raises_code(InvalidInput, "workbook-encrypted") as caught:
        read(path)
    assert "save it without" in caught.value.message
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("xl/workbook.bin", b"")
    with raises_code(InvalidInput, "file-format") as caught:
        read(path)
    assert "save it as .xlsx" in caught.value.message
