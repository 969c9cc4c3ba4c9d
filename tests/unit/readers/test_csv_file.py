# SPDX-License-Identifier: Apache-2.0
"""Separated text: dialects, titles, broken quotes, cut files, resuming."""

from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.errors import InvalidInput
from node.readers.opening import open_table
from node.readers.table import Limits
from node.records.chunks import CHUNK_ROWS, parse_chunk
from node.records.headers import find_header
from tests.support.errors import raises_code
from tests.support.rows import PERMIT, build_row

FIND = partial(find_header, PERMIT)
CODES = list(PERMIT.field_codes)
HEADER = ",".join(CODES)
ROW = build_row(item=PERMIT)
LINE = ",".join(ROW)


def read(path, **options):
    """Return the table and its rows by number."""
    with open_table(path, find_header=FIND, **options) as table:
        rows = {}
        for chunk in map(parse_chunk, table.chunks):
            rows |= {chunk.first_row + place: row for place, row in enumerate(chunk.rows)}
        return table, rows


def read_text(tmp_path, text, encoding="utf-8", **options):
    path = tmp_path / "file.csv"
    path.write_bytes(text.encode(encoding))
    return read(path, **options)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gbk", "gb18030"])
@pytest.mark.parametrize("delimiter", [",", "\t", ";", "|", "，"])
@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
def test_dialects(tmp_path, encoding, delimiter, newline):
    if newline == "\r" and encoding == "gb18030":
        delimiter = ","
    text = newline.join([delimiter.join(CODES), delimiter.join(ROW), delimiter.join(ROW), ""])
    table, rows = read_text(tmp_path, text, encoding)
    assert table.header == CODES
    assert (table.format, table.header_row, table.date1904) == ("csv", 1, False)
    assert rows == {2: ROW, 3: ROW}


def test_titles_blank_lines_and_numbers_of_rows(tmp_path):
    text = f"信息表,,\n\n{HEADER}\n{LINE}\n\n,,,\n{LINE}\n"
    table, rows = read_text(tmp_path, text)
    assert table.header_row == 3
    assert rows == {4: ROW, 5: [], 6: [], 7: ROW}


def test_codes_below_names_belong_to_the_header(tmp_path):
    names = ",".join(field.zh for field in PERMIT.fields)
    _, rows = read_text(tmp_path, f"{names}\n{HEADER}\n{LINE}\n")
    assert rows == {3: ROW}


def test_cells_with_lines_delimiters_and_quotes(tmp_path):
    row = [*ROW]
    row[CODES.index("XK_NR")] = '第一行,\r\n第"二"行'
    line = ",".join('"' + cell.replace('"', '""') + '"' for cell in row)
    _, rows = read_text(tmp_path, f"{HEADER}\n{line}\n{LINE}\n")
    assert rows == {2: row, 3: ROW}


def test_text_formulas_are_unwrapped(tmp_path):
    wrapped = LINE.replace("91520100MA00000156", '="91520100MA00000156"')
    quoted = LINE.replace("91520100MA00000156", '"=""91520100MA00000156"""')
    _, rows = read_text(tmp_path, f"{HEADER}\n{wrapped}\n{quoted}\n")
    assert rows == {2: ROW, 3: ROW}


def test_a_quote_that_never_closes_costs_its_row_alone(tmp_path):
    _, rows = read_text(tmp_path, f'{HEADER}\n{LINE}\n"{LINE}\n{LINE}\n{LINE}\n')
    assert rows == {2: ROW, 3: "row-quote", 4: ROW, 5: ROW}


def test_a_quote_that_closes_rows_later_costs_its_row_alone(tmp_path):
    with_quotes = LINE.replace("道路普通货物运输", '"道路,普通货物运输"')
    expected = [cell.replace("道路普通", "道路,普通") for cell in ROW]
    _, rows = read_text(tmp_path, f'{HEADER}\n"{LINE}\n{LINE}\n{with_quotes}\n{LINE}\n')
    assert rows == {2: "row-quote", 3: ROW, 4: expected, 5: ROW}


def test_text_behind_a_closing_quote_costs_its_row_alone(tmp_path):
    _, rows = read_text(tmp_path, f'{HEADER}\n"云州"恒泰,{LINE}\n{LINE}\n')
    assert rows == {2: "row-quote", 3: ROW}


def test_a_quote_that_swallows_the_rest_does_not_fill_memory(tmp_path):
    text = f'{HEADER}\n"{LINE}\n' + f"{LINE}\n" * 2_000
    _, rows = read_text(tmp_path, text)
    assert rows[2] == "row-quote"
    assert [number for number, row in rows.items() if row != ROW] == [2]
    assert len(rows) == 2_001


def test_too_many_broken_quotes_refuse_the_file(tmp_path):
    with raises_code(InvalidInput, "file-quotes"):
        read_text(tmp_path, f"{HEADER}\n" + '"x"y\n' * 1_001)


@pytest.mark.parametrize("places", [3, 20, len(LINE.encode()) - 25])
def test_a_file_cut_inside_a_row(tmp_path, places):
    path = tmp_path / "file.csv"
    path.write_bytes(f"{HEADER}\n{LINE}\n".encode() + LINE.encode()[:places].decode(errors="ignore").encode())
    _, rows = read(path)
    assert rows == {2: ROW, 3: "row-cut"}


def test_a_file_cut_inside_a_quoted_cell(tmp_path):
    _, rows = read_text(tmp_path, f'{HEADER}\n{LINE}\n"云州恒泰,')
    assert rows == {2: ROW, 3: "row-cut"}


@pytest.mark.parametrize("encoding", ["utf-8", "gbk", "gb18030"])
def test_a_file_cut_inside_a_character(tmp_path, encoding):
    """Wherever a text is cut, before or within a character, its last row is cut and not of a wrong encoding."""
    path = tmp_path / "file.csv"
    whole = (f"{HEADER}\n" + f"{LINE}\n" * 3).encode(encoding)
    last = LINE.encode(encoding)
    for places in range(1, len(last) - 25):
        path.write_bytes(whole + last[:places])
        _, rows = read(path)
        assert rows == {2: ROW, 3: ROW, 4: ROW, 5: "row-cut"}, places


def test_bytes_that_are_no_text_at_the_end_are_not_a_cut_character(tmp_path):
    path = tmp_path / "file.csv"
    whole = (f"{HEADER}\n" + f"{LINE}\n" * 3).encode()
    for end in (b"\xff", b"\xe4x", LINE.encode()[:4] + b"\n"):
        path.write_bytes(whole + end)
        assert read(path)[1][5] == "row-encoding"


def test_a_last_row_without_newline_is_whole(tmp_path):
    assert read_text(tmp_path, f"{HEADER}\n{LINE}")[1] == {2: ROW}


def test_undecodable_rows_are_refused_alone(tmp_path):
    path = tmp_path / "file.csv"
    lines = [f"{HEADER}\n".encode("gbk"), *[f"{LINE}\n".encode("gbk")] * 200]
    lines[5] = lines[5].replace("云".encode("gbk"), b"\xff", 1)
    lines[7] = f"{LINE}\n".encode()
    path.write_bytes(b"".join(lines))
    table, rows = read(path)
    assert table.encoding == "gb18030"
    assert {number: row for number, row in rows.items() if row != ROW} == {
        6: "row-encoding",
        8: "row-encoding",
    }


def test_ragged_rows_are_handed_over_as_they_are(tmp_path):
    _, rows = read_text(tmp_path, f"{HEADER}\n{LINE},x\na,b\n")
    assert rows == {2: [*ROW, "x"], 3: ["a", "b"]}


def test_rows_come_in_chunks_and_blank_stretches_are_left_out(tmp_path):
    path = tmp_path / "file.csv"
    path.write_text(f"{HEADER}\n" + f"{LINE}\n" * CHUNK_ROWS + "\n" * (CHUNK_ROWS * 3) + f"{LINE}\n")
    with open_table(path, find_header=FIND) as table:
        chunks = [parse_chunk(chunk) for chunk in table.chunks]
    assert [(chunk.first_row, len(chunk.rows)) for chunk in chunks] == [(2, 500), (2002, 1)]


@given(st.integers(1, 1300))
def test_reading_goes_on_at_any_row(tmp_path_factory, start_row):
    path = tmp_path_factory.getbasetemp() / "resume.csv"
    if not path.exists():
        path.write_text(f"{HEADER}\n" + "".join(f"{number},{LINE}\n" for number in range(2, 1200)))
    _, rows = read(path, start_row=start_row)
    assert list(rows) == list(range(max(2, start_row), 1200))
    assert all(row[0] == str(number) for number, row in rows.items())


def test_no_header(tmp_path):
    with raises_code(InvalidInput, "header-not-found"):
        read_text(tmp_path, "a,b\n1,2\n")


def test_too_many_columns(tmp_path):
    with raises_code(InvalidInput, "file-columns"):
        read_text(tmp_path, f"{HEADER}\n{LINE}\n", limits=Limits(columns=20))


ANY_CELL = st.text(st.characters(codec="utf-8", exclude_characters="\0\r"), max_size=12)


@given(st.lists(st.lists(ANY_CELL, min_size=28, max_size=28), max_size=5))
def test_what_a_writer_writes_is_read_back(tmp_path_factory, table):
    import csv

    path = tmp_path_factory.mktemp("csv") / "file.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([CODES, *table])
    _, rows = read(path)
    wanted = [row if any(cell.strip() for cell in row) else [] for row in table]
    found = [rows.get(number, []) for number in range(2, 2 + len(table))]
    assert found == [[_unwrapped(cell) for cell in row] for row in wanted]


def _unwrapped(cell):
    return cell[2:-1] if len(cell) > 2 and cell.startswith('="') and cell.endswith('"') else cell
