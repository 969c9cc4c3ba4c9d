# SPDX-License-Identifier: Apache-2.0
"""The rows of a sheet of an .xlsx, taken out of its XML as it is fed (ECMA-376 part 1, 18.3).

Straight on expat, without a tree: nothing is held but the rows of a block, so that neither endless rows, cells, texts
and tags nor deep nesting can fill memory. Document type declarations are refused, so there are no entities to expand.

Most rows differ from an earlier one in their number and their texts alone. So a row is cut into the texts between its
tags and what is left, its shape. The first row of a shape is read tag by tag, with marks for texts, which tells where
each text belongs; the others of that shape are taken by that.
"""

from __future__ import annotations

import re
from operator import itemgetter
from typing import TYPE_CHECKING, NamedTuple

from node.errors import InvalidInput
from node.readers.cell_values import CellValues, unescape
from node.readers.plain_xml import JOINT, MARK, OddError, PlainFeeder, decode_text, feed, resolve
from node.readers.sheet_tags import SheetTags, number_row

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from node.readers.shared_strings import Strings
    from node.records.values import Cell

_CACHED_BYTES = 2**24
"""Of the shapes that are kept, about."""
_BYTES_OF_SHAPE = 2**9
_BYTES_OF_CELL = 2**6
_ROW = re.compile(b'[ \t\r\n]*+<row r="([0-9]{1,7})"')
_TEXT = re.compile(b">([^<]++)")
_NUMBERED = re.compile(b' r="[A-Z]*+' + MARK + b'"')
_NEVER_PLAIN = (b"<!", b"<?", b"sheetData")
"""In comments, CDATA and instructions tags are text; and without the tag around it a row is balanced by itself."""


class SheetRows:
    """Reads the rows of a sheet, once.

    Args:
        strings: Shared strings of the workbook.
        dates: Numbers of the cell styles that show a date.
        date1904: Whether dates count from 1904.
    """

    def __init__(self, strings: Strings, dates: frozenset[int], *, date1904: bool) -> None:
        values = CellValues(strings, dates, date1904=date1904)
        self._tags = SheetTags(values.reader_of)
        self._shapes = _Shapes(values)

    def read(self, parts: Iterable[bytes]) -> Iterator[list[Cell]]:
        """Read the rows, gaps as blank rows, so that the n-th row is row n of the sheet."""
        expected = 1
        tags = self._tags
        for _ in PlainFeeder(tags.parser, b"</row>", tags.is_between, self._take).feed_all(parts):
            for number, row in tags.done:
                while expected < number:
                    yield []
                    expected += 1
                yield row
                expected += 1
            tags.done.clear()

    def _take(self, elements: list[bytes], first: int) -> int:
        """Take rows of known shapes, as ``PlainFeeder`` wants it."""
        for number in range(first, len(elements)):
            try:
                self._take_row(elements[number])
            except OddError:
                return number
        return len(elements)

    def _take_row(self, element: bytes) -> None:
        found = _ROW.match(element)
        if found is None:
            raise OddError
        pieces = _TEXT.split(element)
        key = JOINT.join(pieces[::2]).replace(found[1] + b'"', MARK + b'"')
        shape = self._shapes.get(key) or self._shapes.learn(key, pieces)
        row = shape.read(pieces[1::2])
        tags = self._tags
        tags.row_number = number_row(found[1].decode(), tags.row_number + 1)
        tags.done.append((tags.row_number, row))


class _Shape(NamedTuple):
    """Where the texts of a row belong.

    Args:
        readers: Number of each text that is no text to the reader of the row, and what reads it.
        letters: Numbers of the texts that are.
        pick: Of the texts and a None behind them, takes the row with its gaps, and that None twice.
    """

    readers: list[tuple[int, Callable[[str], Cell]]]
    letters: list[int]
    pick: itemgetter[tuple[Cell, ...]]

    def read(self, texts: list[bytes]) -> list[Cell]:
        """Return the cells of a row of this shape.

        Raises:
            OddError: Expat shall read it.
            InvalidInput: ``workbook-unreadable``.
        """
        text = decode_text(MARK.join(texts))
        parts = text.split("\0")
        if "&" in text or "_x" in text:
            parts = list(map(resolve, parts))
            for place in self.letters:
                parts[place] = unescape(parts[place])
        cells: list[Cell] = [*parts, None]
        for place, read in self.readers:
            cells[place] = read(parts[place])
        row = list(self.pick(cells))
        del row[-2:]
        return row


class _Shapes(dict[bytes, _Shape]):
    """Shapes of rows, of which a sheet has few: without its texts, and a mark instead of the number of the row."""

    def __init__(self, values: CellValues) -> None:
        super().__init__()
        self._values = values
        self._weight = 0

    def learn(self, key: bytes, pieces: list[bytes]) -> _Shape:
        """Read the first row of a shape.

        Raises:
            OddError: Another row of that shape might have to be read otherwise.
        """
        if any(mark in key for mark in _NEVER_PLAIN) or MARK in _NUMBERED.sub(b"", key):
            raise OddError
        marked = list(pieces)
        marked[1::2] = [b">%d;" % place for place in range(len(pieces) // 2)]
        tags = SheetTags(lambda kind, style: lambda text: (kind, style, text))
        try:
            feed(
                tags.parser,
                b"<worksheet><sheetData>%b</row></sheetData></worksheet>" % b"".join(marked),
                last=True,
            )
        except InvalidInput:
            raise OddError from None
        finally:
            tags.close()
        if len(tags.done) != 1:
            raise OddError
        cells = tags.done[0][1]
        if self._weight >= _CACHED_BYTES:
            self.clear()
            self._weight = 0
        self._weight += len(key) + _BYTES_OF_SHAPE + _BYTES_OF_CELL * len(cells)
        self[key] = self._build(cells)
        return self[key]

    def _build(self, cells: list[tuple[str, str | None, str] | None]) -> _Shape:
        """Build a shape out of its cells: the attributes ``t`` and ``s`` and the marks of the texts of each."""
        readers: list[tuple[int, Callable[[str], Cell]]] = []
        letters: list[int] = []
        picked: list[int] = []
        for cell in cells:
            if cell is None:
                picked.append(-1)
                continue
            kind, style, marks = cell
            mark = marks.removesuffix(";")
            if not mark.isdecimal():
                raise OddError
            place = int(mark)
            picked.append(place)
            read = self._values.reader_of(kind, style)
            if read is unescape:
                letters.append(place)
            else:
                readers.append((place, read))
        return _Shape(readers, letters, itemgetter(*picked, -1, -1))
