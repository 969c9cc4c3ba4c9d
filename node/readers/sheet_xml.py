# SPDX-License-Identifier: Apache-2.0
"""A strict streaming reader of .xlsx (ECMA-376), for sheets too large to be held as a whole.

It holds the shared strings and one row. Document type declarations are refused, so there are no entities to
expand; every part has a size limit that is enforced while unpacking, because the sizes that the archive states
are not to be trusted.
"""

from __future__ import annotations

import posixpath
import zipfile
import zlib
from contextlib import closing
from datetime import datetime, timedelta
from typing import IO, TYPE_CHECKING, cast
from xml.etree.ElementTree import ParseError, XMLPullParser
from xml.parsers import expat

from node.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator
    from pathlib import Path
    from xml.etree.ElementTree import Element

    from node.readers.table import Limits
    from node.records.values import Cell

_READ_BYTES = 2**18
_SMALL_PART_BYTES = 2**24
_MAX_ROW = 1_048_576
_MAX_COLUMN = 16_384
_MAX_SERIAL = 2_958_466
"""Serial number of 10000-01-01."""
_MAX_NUMBER = 1e300
_EPOCH = datetime(1899, 12, 30)  # noqa: DTZ001  a spreadsheet's dates have no zone
_EPOCH_1904 = datetime(1904, 1, 1)  # noqa: DTZ001  same
_DATE_FORMATS = frozenset({*range(14, 23), *range(27, 37), *range(45, 48), *range(50, 59)})
_RELATIONSHIP = "http://schemas.openxmlformats.org/officeDocument/2006/relationships}id"
_STRICT_RELATIONSHIP = "http://purl.oclc.org/ooxml/officeDocument/relationships}id"

Attributes = dict[str, str]


class Book:
    """An open .xlsx file.

    Args:
        path: The file.
        limits: Limits of readers.

    Raises:
        InvalidInput: ``workbook-cut``, ``workbook-unreadable``, ``workbook-too-large``.
    """

    def __init__(self, path: Path, limits: Limits) -> None:
        self._limit = limits.unpacked_bytes
        try:
            self._archive = zipfile.ZipFile(path)
        except (zipfile.BadZipFile, OSError, ValueError):
            raise InvalidInput(
                "workbook-cut", "workbook is cut off or damaged: its archive cannot be opened"
            ) from None
        self.date1904 = False
        self.sheets: list[str] = []
        """Names of the parts of the visible worksheets, in the order of the workbook."""
        self._read_workbook()

    def close(self) -> None:
        """Close the file."""
        self._archive.close()

    def size_of(self, part: str) -> int:
        """Return the unpacked size of a sheet and of the shared strings, as the archive states them."""
        sizes = {info.filename: info.file_size for info in self._archive.infolist()}
        return sizes.get(part, 0) + sizes.get("xl/sharedStrings.xml", 0)

    def _read_workbook(self) -> None:
        targets: dict[str, str] = {}
        found: list[str] = []

        def relationship(name: str, attributes: Attributes) -> None:
            if name == "Relationship" and attributes.get("Type", "").endswith("/worksheet"):
                target = attributes.get("Target", "")
                targets[attributes.get("Id", "")] = posixpath.normpath(
                    target.lstrip("/") if target.startswith("/") else posixpath.join("xl", target)
                )

        def workbook(name: str, attributes: Attributes) -> None:
            if name == "workbookPr":
                self.date1904 = attributes.get("date1904", "0") in {"1", "true", "on"}
            elif name == "sheet" and attributes.get("state", "visible") == "visible":
                found.append(attributes.get(_RELATIONSHIP, attributes.get(_STRICT_RELATIONSHIP, "")))

        self._parse("xl/_rels/workbook.xml.rels", relationship, limit=_SMALL_PART_BYTES)
        self._parse("xl/workbook.xml", workbook, limit=_SMALL_PART_BYTES)
        self.sheets = [targets[key] for key in found if key in targets]

    def read_rows(self, part: str) -> Iterator[list[Cell]]:
        """Read the rows of a sheet, gaps as blank rows, so that the n-th row is row n of the sheet."""
        sheet = _Sheet(
            self._read_strings(), self._read_date_styles(), _EPOCH_1904 if self.date1904 else _EPOCH
        )
        expected = 1
        for element, namespace in _read_elements(self._read_part(part, self._limit), "sheetData", "row"):
            number = sheet.number_of(element, expected)
            while expected < number:
                yield []
                expected += 1
            yield sheet.read_row(element, namespace)
            expected += 1

    def _read_strings(self) -> list[str]:
        if "xl/sharedStrings.xml" not in self._archive.namelist():
            return []
        parts = self._read_part("xl/sharedStrings.xml", self._limit)
        return [_text_of(element, namespace) for element, namespace in _read_elements(parts, "sst", "si")]

    def _read_date_styles(self) -> frozenset[int]:
        """Return the numbers of the cell styles that show a date."""
        formats: dict[int, str] = {}
        styles: list[int] = []
        inside = [False]

        def start(name: str, attributes: Attributes) -> None:
            if name == "numFmt":
                formats[_integer(attributes.get("numFmtId"))] = attributes.get("formatCode", "")
            elif name == "cellXfs":
                inside[0] = True
            elif name == "xf" and inside[0]:
                styles.append(_integer(attributes.get("numFmtId", "0")))

        def end(name: str) -> None:
            if name == "cellXfs":
                inside[0] = False

        if "xl/styles.xml" in self._archive.namelist():
            self._parse("xl/styles.xml", start, end, limit=_SMALL_PART_BYTES)
        return frozenset(
            number
            for number, style in enumerate(styles)
            if (_shows_date(formats[style]) if style in formats else style in _DATE_FORMATS)
        )

    def _parse(
        self,
        part: str,
        start: Callable[[str, Attributes], None],
        end: Callable[[str], None] | None = None,
        *,
        limit: int,
    ) -> None:
        parser = _build_parser(start, end)
        with closing(self._read_part(part, limit)) as blocks:
            for data in blocks:
                _feed(parser, data, last=False)
        _feed(parser, b"", last=True)

    def _read_part(self, part: str, limit: int) -> Generator[bytes]:
        try:
            with self._archive.open(part) as file:
                yield from _read_limited(file, limit)
        except KeyError:
            raise InvalidInput("workbook-unreadable", "workbook lacks a part that every .xlsx has") from None
        except (
            zipfile.BadZipFile,
            zlib.error,
            OSError,
            EOFError,
            NotImplementedError,
            RuntimeError,
            ValueError,
        ):
            raise InvalidInput("workbook-cut", "workbook is cut off or damaged inside") from None


def _read_limited(file: IO[bytes], limit: int) -> Iterator[bytes]:
    size = 0
    while data := file.read(_READ_BYTES):
        size += len(data)
        if size > limit:
            raise InvalidInput(
                "workbook-too-large", f"a part of the workbook unpacks to more than {limit} bytes"
            )
        yield data


def _build_parser(
    start: Callable[[str, Attributes], None],
    end: Callable[[str], None] | None,
) -> expat.XMLParserType:
    parser = expat.ParserCreate(namespace_separator="}")

    def start_local(name: str, attributes: Attributes) -> None:
        start(name.rpartition("}")[2], attributes)

    parser.StartElementHandler = start_local
    if end is not None:
        parser.EndElementHandler = lambda name: end(name.rpartition("}")[2])
    parser.StartDoctypeDeclHandler = _refuse_doctype
    return parser


def _refuse_doctype(*_declaration: object) -> None:
    raise InvalidInput(
        "workbook-unreadable", "a part of the workbook declares a document type, which none may"
    )


def _feed(parser: expat.XMLParserType, data: bytes, *, last: bool) -> None:
    try:
        parser.Parse(data, last)
    except expat.ExpatError:
        raise InvalidInput("workbook-unreadable", "a part of the workbook is no well-formed XML") from None


def _integer(text: str | None) -> int:
    return int(text) if text is not None and text.isascii() and text.isdigit() else -1


def _shows_date(code: str) -> bool:
    """Tell whether a number format shows a date, quoted text and [colours] aside."""
    plain: list[str] = []
    closing = ""
    skip = False
    for character in code.split(";", 1)[0].lower():
        if skip:
            skip = False
        elif closing:
            closing = "" if character == closing else closing
        elif character == "\\":
            skip = True
        elif character in '"[':
            closing = '"' if character == '"' else "]"
        else:
            plain.append(character)
    return any(character in "ymdhs" for character in plain) and "general" not in "".join(plain)


def _read_elements(parts: Generator[bytes], parent: str, name: str) -> Iterator[tuple[Element, str]]:
    """Read the elements of one name below one parent, each complete, and forget them afterwards.

    Yields:
        The element and the prefix ``{namespace}`` of its document.
    """
    parser: XMLPullParser[Element] = XMLPullParser(("start", "end"))
    namespace = None
    holder: Element | None = None
    prolog = _Prolog()
    try:
        for data in parts:
            if namespace is None:
                namespace = prolog.find_namespace(data)
            parser.feed(data)
            if namespace is None:
                continue
            wanted, holding = namespace + name, namespace + parent
            for event, element in cast("Iterator[tuple[str, Element]]", parser.read_events()):
                tag = element.tag
                if event == "end":
                    if tag == wanted:
                        yield element, namespace
                elif tag == holding:
                    holder = element
            if holder is not None:
                # The parser keeps a hold of the element it is in; those before it are done.
                del holder[:]
        parser.close()
    except ParseError:
        raise InvalidInput("workbook-unreadable", "a part of the workbook is no well-formed XML") from None
    finally:
        # The archive stays open as long as one of its parts does.
        parts.close()


class _Prolog:
    """Watches a document up to its first element: no document type, and the namespace of the whole."""

    def __init__(self) -> None:
        self._first: list[str] = []
        self._parser = expat.ParserCreate(namespace_separator="}")
        self._parser.StartDoctypeDeclHandler = _refuse_doctype
        self._parser.StartElementHandler = lambda name, _attributes: self._first.append(name)

    def find_namespace(self, data: bytes) -> str | None:
        """Feed more of the document and return ``{namespace}`` once its first element is seen."""
        _feed(self._parser, data, last=False)
        if not self._first:
            return None
        namespace, separator, _ = self._first[0].rpartition("}")
        return f"{{{namespace}{separator}" if separator else ""


def _text_of(element: Element, namespace: str) -> str:
    """Return the text of a string item; phonetic readings (``rPh``) are no part of it."""
    parts = []
    for child in element:
        if child.tag == namespace + "t":
            parts.append(child.text or "")
        elif child.tag == namespace + "r":
            parts.extend(text.text or "" for text in child if text.tag == namespace + "t")
    return "".join(parts)


class _Sheet:
    """Turns row elements into cells."""

    def __init__(self, strings: list[str], dates: frozenset[int], epoch: datetime) -> None:
        self._strings = strings
        self._dates = {str(style) for style in dates}
        self._epoch = epoch
        self._columns: dict[str, int] = {}

    def number_of(self, element: Element, expected: int) -> int:
        """Return the number of a row, which must not go back."""
        number = _integer(element.get("r")) if element.get("r") is not None else expected
        if not expected <= number <= _MAX_ROW:
            raise InvalidInput("workbook-unreadable", "rows of a sheet stand out of order")
        return number

    def read_row(self, element: Element, namespace: str) -> list[Cell]:
        """Return the cells of a row."""
        row: list[Cell] = []
        for cell in element:
            place = cell.get("r")
            if place is not None:
                letters = place.rstrip("0123456789")
                column = self._columns.get(letters)
                if column is None:
                    column = self._columns.setdefault(letters, _column_of(letters))
                if column != len(row):
                    if column < len(row):
                        raise InvalidInput("workbook-unreadable", "cells of a sheet stand out of order")
                    row.extend([None] * (column - len(row)))
            row.append(self._read_cell(cell, namespace))
        return row

    def _read_cell(self, cell: Element, namespace: str) -> Cell:
        kind = cell.get("t", "n")
        if kind == "inlineStr":
            inline = cell.find(namespace + "is")
            return None if inline is None else _text_of(inline, namespace) or None
        value = cell.find(namespace + "v")
        text = None if value is None else value.text
        if not text:
            return None
        if kind == "s":
            number = _integer(text)
            if not 0 <= number < len(self._strings):
                raise InvalidInput(
                    "workbook-unreadable", "a cell refers to a shared string that is not there"
                )
            return self._strings[number] or None
        if kind == "n":
            return self._read_number(text, cell.get("s"))
        if kind == "b":
            return "TRUE" if text == "1" else "FALSE"
        # An error (#N/A) is no value; the reader of whole sheets leaves it empty too.
        return None if kind == "e" else text

    def _read_number(self, text: str, style: str | None) -> Cell:
        try:
            value = float(text)
        except ValueError:
            raise InvalidInput("workbook-unreadable", "a number cell holds no number") from None
        if style in self._dates and 0 <= value < _MAX_SERIAL:
            return format_moment(self._epoch + timedelta(days=value))
        if not -_MAX_NUMBER < value < _MAX_NUMBER:
            raise InvalidInput("workbook-unreadable", "a number cell holds a number beyond all spreadsheets")
        return int(value) if value.is_integer() else value


def format_moment(moment: datetime) -> str:
    """Write a date cell as text, without the time when it is midnight."""
    if (moment.hour, moment.minute, moment.second) == (0, 0, 0):
        return moment.date().isoformat()
    return moment.isoformat(sep=" ", timespec="seconds")


def _column_of(letters: str) -> int:
    """Return the column of letters such as ``AB``, from 0."""
    column = 0
    for character in letters:
        if not "A" <= character <= "Z":
            raise InvalidInput("workbook-unreadable", "a cell has a malformed place")
        column = column * 26 + ord(character) - ord("A") + 1
    if not 0 < column <= _MAX_COLUMN:
        raise InvalidInput("workbook-unreadable", "a cell has a malformed place")
    return column - 1
