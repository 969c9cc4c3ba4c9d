# SPDX-License-Identifier: Apache-2.0
"""Lines that travel uncut are cut as csv cuts them."""

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.errors import InvalidInput
from node.records.chunks import MAX_LINE, PlainLines, encode_chunk, parse_chunk
from tests.support.errors import raises_code

TEXTS = st.text(alphabet=',;\t" \r\x00\x0b\u2028\u3000aé罚😀', max_size=12)
ENDS = st.sampled_from(["\n", "\r\n"])


def cut_by_csv(delimiter, lines):
    """Cut lines by csv, rows without a character but spaces and delimiters being empty; None where it refuses them."""
    try:
        text = io.StringIO("".join(lines), newline="")
        rows = list(csv.reader(text, delimiter=delimiter, strict=True))
    except csv.Error:
        return None
    return [row if any(cell.strip() for cell in row) else [] for row in rows]


@given(st.lists(st.tuples(TEXTS, ENDS), max_size=6), st.sampled_from(",;\t"), st.booleans())
def test_lines_are_cut_as_csv_cuts_them(pairs, delimiter, ended):
    lines = ["".join(pair) for pair in pairs]
    if lines and not ended:
        lines[-1] = pairs[-1][0]
    wanted = cut_by_csv(delimiter, lines)
    packed = encode_chunk(7, [PlainLines(delimiter, "utf-8", [line.encode() for line in lines])])
    if wanted is None:
        with raises_code(InvalidInput, "workbook-unreadable"):
            parse_chunk(packed)
    else:
        assert parse_chunk(packed) == (7, wanted)


@pytest.mark.parametrize("length", [MAX_LINE, MAX_LINE + 1])
def test_a_line_has_no_more_characters_than_csv_takes_for_a_cell(length):
    packed = encode_chunk(7, [PlainLines(",", "utf-8", [b"a" * length + b"\n"])])
    if length > MAX_LINE:
        with raises_code(InvalidInput, "workbook-unreadable"):
            parse_chunk(packed)
    else:
        assert parse_chunk(packed).rows == [["a" * length]]
