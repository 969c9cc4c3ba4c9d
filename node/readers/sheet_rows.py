# SPDX-License-Identifier: Apache-2.0
"""The rows of a sheet of an .xlsx, taken out of its XML as it is fed (ECMA-376 part 1, 18.3).

Straight on expat, without a tree: nothing is held but the rows of a block, so that neither endless rows, cells, texts
and tags nor deep nesting can fill memory. Document type declarations are refused, so there are no entities to expand.
Rows in plain form are cut by a regular expression (``node.readers.plain_xml``); both ways give the same cells.
"""

from __future__ import annotations

import re
from operator import itemgetter
from typing import TYPE_CHECKING, NamedTuple

from node.readers.cell_values import MAX_COLUMN, CellValues, Columns, unescape
from node.readers.plain_xml import (
    OddError,
    PlainFeeder,
    append_text,
    build_parser,
    names_like,
    parse_attributes,
    resolve,
    unreadable,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from node.readers.plain_xml import Attributes
    from node.readers.shared_strings import Strings
    from node.records.values import Cell

MAX_ROW = 1_048_576
_MAX_DIGITS = 9
_CACHED_TAGS = 2**12
_CACHED_CELLS = 2**17
"""Cells of the shapes that are kept; with 100 characters each they take some tens of mebibytes."""
INLINE = "inlineStr"
_PLAIN_ROW = re.compile('[ \t\n]*+<row r="([0-9]{1,7})"([^>]{0,255}+)>')
# Behind the attribute r: the other attributes, the text of the value, the text of an inline string.
_PLAIN_CELL = re.compile(
    '<c r="([A-Z]++)[0-9]*+"([^>]*+)>'
    "(?:(?:<f>[^<&]*+</f>)?+<v>([^<]*+)</v></c>"
    '|<is><t(?: xml:space="preserve")?+>([^<]*+)</t></is></c>)?+'
)
_PIECES = _PLAIN_CELL.groups + 1


class SheetRows:
    """Reads the rows of a sheet, once.

    Args:
        strings: Shared strings of the workbook.
        dates: Numbers of the cell styles that show a date.
        date1904: Whether dates count from 1904.
    """

    def __init__(self, strings: Strings, dates: frozenset[int], *, date1904: bool) -> None:
        self._values = CellValues(strings, dates, date1904=date1904)
        self._shapes = _Shapes(self._values)
        self._row_attributes: set[str] = {""}
        self._row_number = 0
        self._done: list[tuple[int, list[Cell]]] = []

    def read(self, parts: Iterable[bytes]) -> Iterator[list[Cell]]:
        """Read the rows, gaps as blank rows, so that the n-th row is row n of the sheet."""
        expected = 1
        for _ in self._build_feeder().feed_all(parts):
            for number, row in self._done:
                while expected < number:
                    yield []
                    expected += 1
                yield row
                expected += 1
            self._done.clear()

    def _build_feeder(self) -> PlainFeeder:  # noqa: C901, PLR0915  called for each tag: no calls below
        parser = build_parser()
        columns, done, reader_of = Columns(), self._done, self._values.reader_of
        texts: list[str] = []
        row: list[Cell] | None = None
        kind: str | None = None
        style: str | None = None
        phonetic = False
        inside = False
        name_c = name_v = name_row = name_t = name_ph = name_data = ""

        def start(name: str, attributes: Attributes) -> None:  # noqa: C901, PLR0912  same
            nonlocal row, kind, style, phonetic, inside
            nonlocal name_c, name_v, name_row, name_t, name_ph, name_data
            if name == name_v or (name == name_t and kind == INLINE and not phonetic):
                if kind is not None:
                    parser.CharacterDataHandler = collect
            elif name == name_c:
                if row is None:
                    return
                if kind is not None:
                    raise unreadable("a cell of a sheet stands inside another")
                place = attributes.get("r")
                if place is not None:
                    column = columns[place.rstrip("0123456789")]
                    missing = column - len(row)
                    if missing < 0:
                        raise unreadable("cells of a sheet stand out of order")
                    if missing:
                        row.extend([None] * missing)
                elif len(row) >= MAX_COLUMN:
                    raise unreadable("a row of a sheet has more cells than any spreadsheet")
                kind = attributes.get("t", "n")
                style = attributes.get("s")
            elif name == name_row:
                if row is not None:
                    raise unreadable("a row of a sheet stands inside another")
                if inside:
                    self._row_number = _number_of(attributes.get("r"), self._row_number + 1)
                    row = []
            elif name == name_ph:
                phonetic = True
            elif name == name_data:
                inside = True
            elif not name_c:
                name_c, name_v, name_row, name_t, name_ph, name_data = names_like(
                    name, "c", "v", "row", "t", "rPh", "sheetData"
                )

        def collect(text: str) -> None:
            append_text(texts, text)

        def end(name: str) -> None:
            nonlocal row, kind, phonetic, inside
            if name in (name_v, name_t):
                parser.CharacterDataHandler = None
            elif name == name_c:
                if kind is not None and row is not None:
                    row.append(reader_of(kind, style)("".join(texts)) if texts else None)
                    kind = None
                    texts.clear()
            elif name == name_row:
                if row is not None:
                    done.append((self._row_number, row))
                    row = None
            elif name == name_ph:
                phonetic = False
            elif name == name_data:
                inside = False

        def is_between() -> bool:
            return inside and row is None and not phonetic and name_c == "c"

        parser.StartElementHandler = start
        parser.EndElementHandler = end
        return PlainFeeder(parser, "</row>", is_between, self._take)

    def _take(self, elements: list[str], first: int) -> int:
        """Take rows in plain form, as ``PlainFeeder`` wants it."""
        for number in range(first, len(elements)):
            try:
                self._take_row(elements[number])
            except OddError:
                return number
        return len(elements)

    def _take_row(self, element: str) -> None:
        found = _PLAIN_ROW.match(element)
        if found is None:
            raise OddError
        digits, attributes = found.groups()
        if attributes not in self._row_attributes:
            parse_attributes(attributes)
            if len(self._row_attributes) >= _CACHED_TAGS:
                self._row_attributes.clear()
            self._row_attributes.add(attributes)
        row = self._cut_cells(element[found.end() :])
        self._row_number = _number_of(digits, self._row_number + 1)
        self._done.append((self._row_number, row))

    def _cut_cells(self, text: str) -> list[Cell]:
        pieces = _PLAIN_CELL.split(text)
        if any(pieces[::_PIECES]):
            raise OddError
        if len(pieces) == 1:
            return []
        shape = self._shapes[*pieces[1::_PIECES], *pieces[2::_PIECES]]
        values, inlines = pieces[3::_PIECES], pieces[4::_PIECES]
        if "&" in text:
            values = [value and resolve(value) for value in values]
            inlines = [inline and resolve(inline) for inline in inlines]
        # Every inline string has a text, if the other cells have none, which is looked at below.
        if inlines.count(None) != len(shape.others):
            raise OddError
        cells: list[Cell] = [*inlines, None]
        if "_x" in text or "" in inlines:
            cells = [(inline and unescape(inline)) or None for inline in (*inlines, None)]
        for place, read in shape.others:
            value = values[place]
            if value and read:
                cells[place] = read(value)
            elif (value is None) != (read is None) or inlines[place] is not None:
                raise OddError
        row = list(shape.pick(cells))
        row.pop()
        return row


class _Shape(NamedTuple):
    """What the places and attributes of the cells of a row tell.

    Args:
        others: Number of each cell that is no inline string, and what reads it, None where its tag is closed.
        pick: Of the cells and a None behind them, takes the row with its gaps, and that None.
    """

    others: list[tuple[int, Callable[[str], Cell] | None]]
    pick: itemgetter[tuple[Cell, ...]]


class _Shapes(dict[tuple[str, ...], _Shape]):
    """Shapes of rows, of which a sheet has few, by the letters of the cells and then what stands behind their places."""

    def __init__(self, values: CellValues) -> None:
        super().__init__()
        self._values = values
        self._columns = Columns()
        self._weight = 0

    def __missing__(self, key: tuple[str, ...]) -> _Shape:
        count = len(key) // 2
        picked: list[int] = []
        others: list[tuple[int, Callable[[str], Cell] | None]] = []
        for number, (letters, text) in enumerate(zip(key[:count], key[count:], strict=True)):
            gap = self._columns[letters] - len(picked)
            if gap < 0:
                raise OddError
            picked += [-1] * gap
            picked.append(number)
            attributes = parse_attributes(text.removesuffix("/"))
            kind = attributes.get("t", "n")
            if text.endswith("/"):
                others.append((number, None))
            elif kind != INLINE:
                others.append((number, self._values.reader_of(kind, attributes.get("s"))))
        if self._weight >= _CACHED_CELLS:
            self.clear()
            self._weight = 0
        self._weight += len(key) + len(picked)
        self[key] = _Shape(others, itemgetter(*picked, -1))
        return self[key]


def _number_of(text: str | None, expected: int) -> int:
    """Return the number of a row, which must not go back."""
    if text is None:
        number = expected
    else:
        number = int(text) if text.isascii() and text.isdigit() and len(text) <= _MAX_DIGITS else -1
    if number < expected:
        raise unreadable("rows of a sheet stand out of order")
    if number > MAX_ROW:
        raise unreadable("a sheet has more rows than any spreadsheet")
    return number
