# SPDX-License-Identifier: Apache-2.0
"""The rows of a sheet of an .xlsx, read tag by tag as expat calls (ECMA-376 part 1, 18.3)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from node.readers.cell_values import MAX_COLUMN, Columns
from node.readers.plain_xml import append_text, build_parser, names_like, unreadable

if TYPE_CHECKING:
    from collections.abc import Callable

    from node.readers.plain_xml import Attributes

MAX_ROW = 1_048_576
INLINE = "inlineStr"
_MAX_DIGITS = 9


class SheetTags:
    """A parser whose handlers put rows together.

    Args:
        reader_of: Returns what reads the text of a cell by the attributes ``t`` and ``s`` of the cell.

    Attributes:
        parser: The parser, to be fed.
        row_number: Number of the row that was read last.
        done: Number and cells of the rows that were read; whoever takes them clears it.
        is_between: Tells whether the parser stands between two rows, of tags without a prefix.
    """

    def __init__(self, reader_of: Callable[[str, str | None], Callable[[str], Any]]) -> None:
        self.parser = build_parser()
        self.row_number = 0
        self.done: list[tuple[int, list[Any]]] = []
        self.is_between = self._attach(reader_of)

    def close(self) -> None:
        """Let go of the parser, whose handlers hold it; until the collector met them, thousands would fill memory."""
        parser = self.parser
        parser.StartElementHandler = parser.EndElementHandler = parser.CharacterDataHandler = None

    def _attach(  # noqa: C901, PLR0915  called for each tag: no calls below
        self, reader_of: Callable[[str, str | None], Callable[[str], Any]]
    ) -> Callable[[], bool]:
        parser, columns, done = self.parser, Columns(), self.done
        texts: list[str] = []
        row: list[Any] | None = None
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
                    self.row_number = number_row(attributes.get("r"), self.row_number + 1)
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
                    done.append((self.row_number, row))
                    row = None
            elif name == name_ph:
                phonetic = False
            elif name == name_data:
                inside = False

        parser.StartElementHandler = start
        parser.EndElementHandler = end
        return lambda: inside and row is None and not phonetic and name_c == "c"


def number_row(text: str | None, expected: int) -> int:
    """Return the number of a row, which must not go back.

    Args:
        text: The number as it is written, None where it is not.
        expected: The least number that the row may have.

    Raises:
        InvalidInput: ``workbook-unreadable``.
    """
    if text is None:
        number = expected
    else:
        number = int(text) if text.isascii() and text.isdigit() and len(text) <= _MAX_DIGITS else -1
    if number < expected:
        raise unreadable("rows of a sheet stand out of order")
    if number > MAX_ROW:
        raise unreadable("a sheet has more rows than any spreadsheet")
    return number
