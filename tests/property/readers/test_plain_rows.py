# SPDX-License-Identifier: Apache-2.0
"""Sheets and shared strings give the same, cut in plain form or read tag by tag: the same values or the same refusal.

A CDATA section in front makes expat read the whole rest; nothing else about a document changes by it.
"""

import gc
import tracemalloc

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from node.errors import InvalidInput
from node.readers.plain_xml import PlainFeeder, build_parser
from node.readers.shared_strings import Strings
from node.readers.sheet_rows import SheetRows
from tests.support.calls import calls_of

ALONE = "<![CDATA[]]>"
STRINGS = b"<sst><si><t>one</t></si><si><t/></si><si><t>three</t></si></sst>"
TEXTS = [
    "", "云州", "12", "2.50", "-1e3", "1e999", "nan", "46083.5", "0", "2", "9", "1_0", " ", "a b", "\n", "\r\n", "\r", "\t",
    "&amp;", "&lt;a&gt;", "&#10;", "&#x4E91;", "&#0;", "&#xD800;", "&#x110000;", "&#9999999;", "&nbsp;", "&", "a&amp", "_x000D_", "_x00",
    "]]>", "]]", "<![CDATA[<v>]]>", "<!-- </row> -->", "<?p </c>?>", "\ufffe", "\ufffd", "\x01", "\x7f", "𠮷", "　", '"', "'", ">", "</row>", "<row>",
]  # fmt: skip
ATTRIBUTES = [
    "", ' s="1"', ' t="s"', ' t="n"', ' t="str"', ' t="b"', ' t="e"', ' t="d"', ' t="inlineStr"', ' s="1" t="n"', ' t="n" s="0"',
    " t='str'", ' cm="1" t="str"', ' t="&#115;"', ' t="s" t="s"', ' r="B1"', "x", 's="1"', " s=1", ' a="/"', ' a=">"', ' a="<"', " ", "/", ' x:y="1"',
]  # fmt: skip
ROW_ATTRIBUTES = [
    "",
    ' spans="1:3"',
    ' ht="15" customHeight="1"',
    ' r="9"',
    " x",
    ' a="&amp;"',
    ' a="&no;"',
    "/",
]
GAPS = [
    "",
    "",
    "",
    "",
    "\n",
    "\r\n ",
    "x",
    "<!-- c -->",
    "<y/>",
    "</sheetData>",
    "<rPh>",
    "<row/>",
    "<!--",
    ALONE,
]
text = st.sampled_from(TEXTS) | st.lists(st.sampled_from(TEXTS), max_size=3).map("".join)
attributes = st.sampled_from(ATTRIBUTES[:14] * 4 + ATTRIBUTES)


@st.composite
def cells(draw, letters):
    value = draw(st.sampled_from(["12", "0", "云州", ""]) | text)
    body = draw(
        st.sampled_from(
            [
                f"<v>{value}</v>",
                f"<is><t>{value}</t></is>",
                f'<is><t xml:space="preserve">{value}</t></is>',
                f"<f>A1</f><v>{value}</v>",
                f"<v>{value}</v><v>{value}</v>",
                f"<is><r><t>{value}</t></r><rPh><t>x</t></rPh></is>",
                "<v/>",
                "",
            ]
        )
    )
    place = draw(
        st.sampled_from(
            [f' r="{letters}1"'] * 8 + ["", ' r="AA7"', f' r="{letters}"', ' r="XFE1"', ' r="a1"']
        )
    )
    kind = draw(attributes)
    return draw(
        st.sampled_from(
            [f"<c{place}{kind}>{body}</c>"] * 8 + [f"<c{place}{kind}/>", f"<c{place}{kind}>{body}"]
        )
    )


@st.composite
def plain_cells(draw, letters):
    kind, body = draw(
        st.sampled_from(
            [
                (' t="s"', "<v>2</v>"), (' t="s"', "<v>1</v>"), ("", "<v>12</v>"), (' s="1"', "<v>46083.5</v>"), (' t="str"', "<v>云</v>"),
                (' t="inlineStr"', "<is><t>云&amp;</t></is>"), (' t="inlineStr"', "<is><t></t></is>"), (' t="inlineStr"', "<v>x</v>"),
                ("", "<is><t>7</t></is>"), (' t="b"', "<v>1</v>"), (' t="e"', "<v>#N/A</v>"),
            ]
        )
    )  # fmt: skip
    return draw(st.sampled_from([f'<c r="{letters}1"{kind}>{body}</c>'] * 6 + [f'<c r="{letters}1"/>', ""]))


@st.composite
def rows(draw, number):
    one = draw(st.sampled_from([plain_cells] * 4 + [cells]))
    inside = "".join(draw(one(letters)) for letters in "ABCD")
    place = draw(st.sampled_from([f' r="{number}"'] * 12 + ["", ' r="3"', ' r="0"', ' r="x"']))
    kind = draw(st.sampled_from(ROW_ATTRIBUTES[:3] * 8 + ROW_ATTRIBUTES))
    return draw(st.sampled_from([f"<row{place}{kind}>{inside}</row>"] * 20 + [f"<row{place}{kind}/>"]))


@st.composite
def documents(draw):
    parts = []
    for number in range(1, draw(st.integers(1, 8))):
        parts += [draw(rows(number)), draw(st.sampled_from(["", "", "", *GAPS]))]
    return _spoil(draw, "".join(parts))


@st.composite
def string_documents(draw):
    one = st.sampled_from(["<si><t>{}</t></si>"] * 6 + [
        '<si><t xml:space="preserve">{}</t></si>', "<si><t>{}", "<si/>", "<si><t/></si>", "<t>{}</t>", "<si>{}<si>", "</si>",
        "<si><r><t>{}</t></r><rPh><t>x</t></rPh></si>", "<x:si><x:t>{}</x:t></x:si>", "<si><t>{}</t><t>b</t></si>",
    ])  # fmt: skip
    parts = draw(st.lists(st.tuples(one, text, st.sampled_from(GAPS)), max_size=6))
    return _spoil(draw, "".join(form.format(value) + gap for form, value, gap in parts))


def _spoil(draw, document):
    """Cut out or double a piece, now and then."""
    if draw(st.integers(0, 4)) == 0:
        first, last = sorted(draw(st.tuples(*[st.integers(0, len(document))] * 2)))
        first = max(first, last - 12)
        middle = draw(st.sampled_from(["", document[first:last] * 2, "<", ">", '"', "&"]))
        return document[:first] + middle + document[last:]
    return document


HEADS = [
    "",
    '<?xml version="1.0" encoding="UTF-8"?>\n',
    '<?xml version="1.0" encoding="iso-8859-1"?>',
    "\ufeff",
]


def _blocks(document, size):
    data = document.encode("utf-8", "surrogatepass")
    return [data[at : at + size] for at in range(0, len(data), size)]


def _outcome(read):
    try:
        return [repr(value) for value in read()]
    except InvalidInput as error:
        return error.code


def _read_sheet(head, document, size, *, front=""):
    whole = f"{head}<worksheet>{front}<sheetData>{document}</sheetData></worksheet>"
    rows = SheetRows(Strings([STRINGS]), frozenset({1}), date1904=False)
    return _outcome(lambda: rows.read(_blocks(whole, size)))


def _read_strings(head, document, size, *, front=""):
    def read():
        strings = Strings(_blocks(f"{head}<sst>{front}{document}</sst>", size))
        return [strings.get(str(number)) for number in range(len(strings._ends) - 1)]

    return _outcome(read)


@given(st.sampled_from(HEADS), documents(), st.sampled_from([10, 70, 300, 10_000]))
@example("", '<row r="1"></row><row r="2"><c r="A1"x><v>1</v></c></row>', 10_000)
@example("", '<row r="1"></row><row r="2"><c r="A1" t="n" t="n"/></row>', 10_000)
@example("", '<row r="1"></row><row r="2"><c r="A1"/><v>1</v></c></row>', 10_000)
@example("", '<row r="1"></row><row r="2"><c r="A1"></row>', 10_000)
@example(
    "", '<row r="1"></row><row r="2"><c r="A1"/><is><t></t></is></c><c r="B1" t="inlineStr"></row>', 10_000
)
@example("", '<row r="1"></row><!-- <row r="2"></row> --><row r="3"><c r="A1"><v>3</v></c></row>', 40)
@example("", '<row r="1"></row><![CDATA[ </row><row r="2"></row> ]]>', 40)
@example("", '<row r="1"></row></sheetData><row r="2"></row><sheetData>', 10_000)
@example("", "".join(f'<row r="{n}"><c r="A{n}" s="{n}"><v>46083</v></c></row>' for n in (1, 2, 3)), 10_000)
@example("", "".join(f'<row r="{n}"><c r="A1{n}" s="1{n}"><v>1</v></c></row>' for n in (4, 5)), 10_000)
@example(
    "",
    '<row r="1"/><row r="2"></row><row r="3"><c r="A3"><v>1</v></c></row><row r="4"><c r="A\0"><v>2</v></c></row>',
    10_000,
)
@example(
    "",
    '<row r="1"></row><row r="2"><!-- <a>1</a> --></row><row r="3"><!-- <a>1 --><c r="A3"/> --></row>',
    10_000,
)
@example(
    "",
    '<row r="1"></row><row r="2"><c r="A2"><v></v></c></row><row r="3"><c r="A3"><v>3</v></c></row>',
    10_000,
)
@example("", '<row r="1"></row><row r="2" a=">1"><c r="A2"><v>2</v></c></row>', 10_000)
@example("", '<row r="1"></row><row r="2"><sheetData/></row><row r="3"><c r="A3"><v>3</v></c></row>', 10_000)
@example("", '<row r="1"></row><row r="2"></row ><row r="3"></row>', 10_000)
@example("", '<row r="1"></row><row r="2"><c r="A2" t="str"><v>&#95;x0041_</v></c></row>', 10_000)
def test_a_sheet_is_the_same_cut_or_read_by_tags(head, document, size):
    assert _read_sheet(head, document, size) == _read_sheet(head, document, size, front=ALONE)


@given(st.sampled_from(HEADS), string_documents(), st.sampled_from([10, 70, 300, 10_000]))
@example("", "<si><t>a</t></si><si><t>b</t></si><t>c</t><si><t>d</t></si>", 10_000)
@example("", "<si><t>a</t></si><si><t>b</si>c</t></si>", 10_000)
@example(
    "",
    "<si><t>云</t></si>" * 70 + "<si><t/></si>" + "<si><t>a</t></si>" * 70 + "<si><t>_x0041_</t></si>",
    10_000,
)
def test_shared_strings_are_the_same_cut_or_read_by_tags(head, document, size):
    assert _read_strings(head, document, size) == _read_strings(head, document, size, front=ALONE)


def test_bytes_of_another_encoding_are_not_taken_for_rows():
    """In UTF-16 the bytes of a tag can be those of other letters."""
    letters = b'</row><row r="2"><c r="A1"><v>1</v></c></row>' + b" "
    hidden = letters[: len(letters) // 2 * 2].decode("utf-16-be")
    data = f'<worksheet><sheetData><row r="1"></row>{hidden}</sheetData></worksheet>'.encode("utf-16-be")
    for mark in (b"", b"\xfe\xff"):
        rows = SheetRows(Strings(), frozenset(), date1904=False)
        assert list(rows.read([mark + data])) == [[]]


def test_elements_are_offered_only_where_the_parser_stands_between_them():
    offered, declined = [], []

    def take(elements, first):
        for number in range(first, len(elements)):
            if b"!" in elements[number]:
                declined.append(elements[number])
                return number
            offered.append(elements[number])
        return len(elements)

    feeder = PlainFeeder(build_parser(), b"</a>", lambda: True, take)
    blocks = [b"<r><a>1</a><a>2</a><a>", b"3</a><!-- <a>4</a><a>5</a>", b"--><a>6</a>", b"<a>7</a></r>"]
    assert len(list(feeder.feed_all(blocks))) == len(blocks) + 1
    assert (offered, declined) == ([b"<a>2", b"<a>3", b"<a>7"], [b"<!-- <a>4"])


def _count_calls(document):
    rows = SheetRows(Strings([STRINGS]), frozenset({1}), date1904=False)
    read = []
    return calls_of(lambda: read.extend(rows.read([document.encode()])))["python"] / len(read)


def test_a_row_costs_few_calls():
    """What a row in plain form costs, whatever its width; read by tags, each of its 30 cells takes at least six calls."""
    row = "".join(f'<c r="A{chr(65 + n)}1" t="inlineStr"><is><t>云州</t></is></c>' for n in range(26))
    row += '<c r="BA1" s="1"><v>46083</v></c><c r="BB1" t="s"><v>2</v></c><c r="BC1" s="1"/>'
    rows = "".join(f'<row r="{number}" spans="1:30">{row}</row>' for number in range(1, 1_001))
    document = f"<worksheet>%s<sheetData>{rows}</sheetData></worksheet>"
    assert _count_calls(document % "") < 8
    assert _count_calls(document % ALONE) > 100


def _rows_of_other_shapes(inside, count):
    rows = "".join(f'<row r="{number}" a="{number}-">{inside}</row>' for number in range(1, count + 1))
    return f"<worksheet><sheetData>{rows}</sheetData></worksheet>"


@pytest.mark.parametrize("cell", ["", '<c t="inlineStr"><is><t>a</t><t>b</t></is></c>'])
def test_learning_shapes_leaves_nothing_to_the_collector(cell):
    """A parser holds 64 KiB: those of thousands of rows, each of its own shape, would fill the memory of the process."""
    document = _rows_of_other_shapes(cell, 50).encode()
    gc.collect()
    gc.disable()
    try:
        before = len(gc.get_objects())
        rows = SheetRows(Strings(), frozenset(), date1904=False)
        assert sum(1 for _ in rows.read([document])) == 50
        shapes = len(rows._shapes)
        del rows
        assert len(gc.get_objects()) - before < 500
    finally:
        gc.enable()
    assert shapes == (0 if cell else 49)


@pytest.mark.parametrize("inside", ["", '<c t="str"><v>a</v></c>', "<c><v>1</v></c>" * 30, "<c/>" * 300])
def test_shapes_weigh_what_they_hold(inside):
    """Else the limit of what is kept would be none: rows can differ in one attribute, and hold no cell."""
    document = _rows_of_other_shapes(inside, 500).encode()
    rows = SheetRows(Strings(), frozenset(), date1904=False)
    tracemalloc.start()
    try:
        assert sum(1 for _ in rows.read([document])) == 500
        gc.collect()
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert held < 1.25 * rows._shapes._weight
