# SPDX-License-Identifier: Apache-2.0
"""The rows and shared strings of an .xlsx, taken out of their XML as it is fed (ECMA-376 part 1, 18.3 and 18.4).

Straight on expat, without a tree: nothing is held but the row at hand, so that neither endless rows, cells, texts
and tags nor deep nesting can fill memory. Document type declarations are refused, so there are no entities to expand.
"""

from __future__ import annotations

import re
from array import array
from datetime import datetime, timedelta
from typing import TYPE_CHECKING
from xml.parsers import expat

from node.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from node.records.values import Cell

MAX_ROW = 1_048_576
MAX_COLUMN = 16_384
MAX_CELL_CHARACTERS = 2**20
"""Far more than the 32,767 that a spreadsheet program takes."""
_MAX_TOKEN_BYTES = 2**22
_MAX_SERIAL = 2_958_466
"""Serial number of 10000-01-01."""
_MAX_NUMBER = 1e300
_EPOCH = datetime(1899, 12, 30)  # noqa: DTZ001  a spreadsheet's dates have no zone
_EPOCH_1904 = datetime(1904, 1, 1)  # noqa: DTZ001  same
_CACHED_STRINGS = 2**16
_ESCAPED = re.compile("_x([0-9A-Fa-f]{4})_")
_AGAIN = "open it in Excel and save it as .xlsx again"

Attributes = dict[str, str]


def unreadable(reason: str) -> InvalidInput:
    """Build the error for a workbook that is not what a workbook must be."""
    return InvalidInput("workbook-unreadable", f"{reason}: {_AGAIN}")


def refuse_doctype(*_declaration: object) -> None:
    """Refuse a document type, as a handler of expat."""
    raise unreadable("a part of the workbook declares a document type, which none may")


def feed(parser: expat.XMLParserType, data: bytes, *, last: bool) -> None:
    """Give a parser more of its document.

    Raises:
        InvalidInput: ``workbook-unreadable``: no well-formed XML.
    """
    try:
        parser.Parse(data, last)
    except expat.ExpatError as error:
        if error.code == expat.errors.codes[expat.errors.XML_ERROR_NO_MEMORY]:
            raise MemoryError from None
        raise unreadable("a part of the workbook is no well-formed XML") from None


def feed_all(parser: expat.XMLParserType, parts: Iterable[bytes]) -> Iterator[None]:
    """Give a parser its whole document, block by block; no tag or comment may be endless.

    Yields:
        None after each block.

    Raises:
        InvalidInput: ``workbook-unreadable``.
    """
    fed = 0
    try:
        for data in parts:
            feed(parser, data, last=False)
            fed += len(data)
            # Expat begins an unfinished tag anew with every block, which takes time by the square of its length.
            if fed - max(parser.CurrentByteIndex, 0) > _MAX_TOKEN_BYTES:
                raise unreadable("a part of the workbook holds an endless tag")
            yield
        feed(parser, b"", last=True)
        yield
    finally:
        # The handlers hold the parser.
        parser.StartElementHandler = parser.EndElementHandler = parser.CharacterDataHandler = None


class Strings:
    """Shared strings, packed: a large workbook has millions of them.

    Args:
        parts: The XML that holds them, block by block.

    Raises:
        InvalidInput: ``workbook-unreadable``.
    """

    def __init__(self, parts: Iterable[bytes] = ()) -> None:
        self._data = bytearray()
        self._ends = array("Q", [0])
        self._cache: dict[str, str] = {}
        if parts:
            self._load(parts)

    def _load(self, parts: Iterable[bytes]) -> None:  # noqa: C901  called for each tag: no calls below
        parser = _build_parser()
        texts: list[str] = []
        name_si = name_t = name_ph = ""
        phonetic = False

        def start(name: str, _attributes: Attributes) -> None:
            nonlocal name_si, name_t, name_ph, phonetic
            if not name_si:
                name_si, name_t, name_ph = _names_like(name, "si", "t", "rPh")
            elif name == name_si:
                texts.clear()
            elif name == name_ph:
                phonetic = True
            elif name == name_t and not phonetic:
                parser.CharacterDataHandler = collect

        def collect(text: str) -> None:
            _append(texts, text)

        def end(name: str) -> None:
            nonlocal phonetic
            parser.CharacterDataHandler = None
            if name == name_si:
                self._data += _unescape("".join(texts)).encode("utf-8", "surrogatepass")
                self._ends.append(len(self._data))
            elif name == name_ph:
                phonetic = False

        parser.StartElementHandler = start
        parser.EndElementHandler = end
        for _ in feed_all(parser, parts):
            continue

    def get(self, number: str) -> str:
        """Return a string by its decimal number.

        Raises:
            InvalidInput: ``workbook-unreadable``: there is no such string.
        """
        found = self._cache.get(number)
        if found is None:
            place = int(number) if number.isascii() and number.isdigit() else -1
            if not 0 <= place < len(self._ends) - 1:
                raise unreadable("a cell refers to a shared string that is not there")
            found = self._data[self._ends[place] : self._ends[place + 1]].decode("utf-8", "surrogatepass")
            if len(self._cache) >= _CACHED_STRINGS:
                self._cache.clear()
            self._cache[number] = found
        return found


def _names_like(root: str, *names: str) -> list[str]:
    """Return names with the prefix of a document's root, where it has one."""
    prefix, separator, _ = root.rpartition(":")
    return [f"{prefix}{separator}{name}" for name in names]


def _append(texts: list[str], text: str) -> None:
    texts.append(text)
    # A text comes whole unless it is long, so that counting costs the rare one alone.
    if len(texts) > 1 and sum(map(len, texts)) > MAX_CELL_CHARACTERS:
        raise unreadable(f"a cell holds more than {MAX_CELL_CHARACTERS} characters")


def _unescape(text: str) -> str:
    """Undo ``_x000D_``, by which characters are written that XML cannot hold (18.18.93, ST_Xstring)."""
    return _ESCAPED.sub(lambda found: chr(int(found[1], 16)), text) if "_x" in text else text


def _build_parser() -> expat.XMLParserType:
    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.buffer_size = 2**16
    parser.StartDoctypeDeclHandler = refuse_doctype
    return parser


class _Columns(dict[str, int]):
    """Columns, from 0, of letters such as ``AB``."""

    def __missing__(self, letters: str) -> int:
        column = 0
        for character in letters:
            if not "A" <= character <= "Z" or column > MAX_COLUMN:
                raise unreadable("a cell has a malformed place")
            column = column * 26 + ord(character) - ord("A") + 1
        if not 0 < column <= MAX_COLUMN:
            raise unreadable("a cell has a malformed place")
        self[letters] = column - 1
        return column - 1


class SheetRows:
    """Reads the rows of a sheet, once.

    Args:
        strings: Shared strings of the workbook.
        dates: Numbers of the cell styles that show a date.
        date1904: Whether dates count from 1904.
    """

    def __init__(self, strings: Strings, dates: frozenset[int], *, date1904: bool) -> None:
        self._strings = strings
        self._dates = {str(style) for style in dates}
        self._epoch = _EPOCH_1904 if date1904 else _EPOCH
        self._done: list[tuple[int, list[Cell]]] = []

    def read(self, parts: Iterable[bytes]) -> Iterator[list[Cell]]:
        """Read the rows, gaps as blank rows, so that the n-th row is row n of the sheet."""
        expected = 1
        parser = self._build_parser()
        for _ in feed_all(parser, parts):
            for number, row in self._done:
                while expected < number:
                    yield []
                    expected += 1
                yield row
                expected += 1
            self._done.clear()

    def _build_parser(self) -> expat.XMLParserType:  # noqa: C901, PLR0915  called for each tag: no calls below
        parser = _build_parser()
        columns = _Columns()
        done, read_value = self._done, self._read_value
        texts: list[str] = []
        row: list[Cell] | None = None
        row_number = 0
        kind: str | None = None
        style: str | None = None
        phonetic = False
        inside = False
        name_c = name_v = name_row = name_t = name_ph = name_data = ""

        def start(name: str, attributes: Attributes) -> None:  # noqa: C901, PLR0912  same
            nonlocal row, row_number, kind, style, phonetic, inside
            nonlocal name_c, name_v, name_row, name_t, name_ph, name_data
            if name == name_v or (name == name_t and kind == "inlineStr" and not phonetic):
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
                    row_number = _number_of(attributes.get("r"), row_number + 1)
                    row = []
            elif name == name_ph:
                phonetic = True
            elif name == name_data:
                inside = True
            elif not name_c:
                name_c, name_v, name_row, name_t, name_ph, name_data = _names_like(
                    name, "c", "v", "row", "t", "rPh", "sheetData"
                )

        def collect(text: str) -> None:
            if texts:
                _append(texts, text)
            else:
                texts.append(text)

        def end(name: str) -> None:
            nonlocal row, kind, phonetic, inside
            if name in (name_v, name_t):
                parser.CharacterDataHandler = None
            elif name == name_c:
                if kind is not None and row is not None:
                    row.append(read_value(kind, style, "".join(texts)) if texts else None)
                    kind = None
                    texts.clear()
            elif name == name_row:
                if row is not None:
                    done.append((row_number, row))
                    row = None
            elif name == name_ph:
                phonetic = False
            elif name == name_data:
                inside = False

        parser.StartElementHandler = start
        parser.EndElementHandler = end
        return parser

    def _read_value(self, kind: str, style: str | None, text: str) -> Cell:
        if kind == "s":
            return self._strings.get(text) or None
        if kind == "n":
            return self._read_number(text, style)
        if kind == "b":
            return "TRUE" if text == "1" else "FALSE"
        # An error (#N/A) is no value; the reader of whole sheets leaves it empty too.
        return None if kind == "e" else _unescape(text)

    def _read_number(self, text: str, style: str | None) -> Cell:
        try:
            value = float(text)
        except ValueError:
            raise unreadable("a number cell holds no number") from None
        if style in self._dates and 0 <= value < _MAX_SERIAL:
            return format_moment(self._epoch + timedelta(days=value))
        if not -_MAX_NUMBER < value < _MAX_NUMBER:
            # No value of any record: as text it is refused with its row.
            return text
        return int(value) if value.is_integer() else value


def _number_of(text: str | None, expected: int) -> int:
    """Return the number of a row, which must not go back."""
    number = expected if text is None else int(text) if text.isascii() and text.isdigit() else -1
    if number < expected:
        raise unreadable("rows of a sheet stand out of order")
    if number > MAX_ROW:
        raise unreadable("a sheet has more rows than any spreadsheet")
    return number


def format_moment(moment: datetime) -> str:
    """Write a date cell as text, without the time when it is midnight."""
    if (moment.hour, moment.minute, moment.second) == (0, 0, 0):
        return moment.date().isoformat()
    return moment.isoformat(sep=" ", timespec="seconds")
