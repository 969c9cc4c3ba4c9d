# SPDX-License-Identifier: Apache-2.0
"""A strict streaming reader of .xlsx (ECMA-376), for sheets too large to be held as a whole.

It holds the shared strings and one row. Every part has a size limit. A part of which the archive states more is refused
before it is unpacked; one that holds more than is stated is cut there by ``zipfile``, which refuses it by its sum.
"""

from __future__ import annotations

import posixpath
import zipfile
import zlib
from contextlib import closing
from typing import TYPE_CHECKING
from xml.parsers import expat

from node.errors import InvalidInput
from node.readers.plain_xml import feed, refuse_doctype, unreadable
from node.readers.shared_strings import Strings
from node.readers.sheet_rows import SheetRows

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator
    from pathlib import Path

    from node.readers.table import Limits
    from node.records.values import Cell

_READ_BYTES = 2**18
_SMALL_PART_BYTES = 2**24
_MAX_DIGITS = 9
STRINGS = "xl/sharedStrings.xml"
_STRINGS_A_BYTE = 2
"""Bytes of shared strings, tags included, for each byte of memory: they are held, packed, and tags are rarely half of them."""
_PROLOG_BYTES = 2**20
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
        self._strings_limit = min(limits.unpacked_bytes, _STRINGS_A_BYTE * limits.child_memory_bytes)
        self._strings: Strings | None = None
        try:
            self._archive = zipfile.ZipFile(path)
        except (zipfile.BadZipFile, NotImplementedError, OSError, ValueError):
            raise InvalidInput(
                "workbook-cut", "workbook is cut off or damaged: fetch or save it again"
            ) from None
        self.date1904 = False
        self.hides_sheets = False
        self.sheets: list[tuple[str, str]] = []
        """Name and part of each visible worksheet, in the order of the workbook."""
        self._read_workbook()

    def close(self) -> None:
        """Close the file."""
        self._archive.close()

    def size_of(self, part: str) -> int:
        """Return the unpacked size of a sheet and of the shared strings, as the archive states them."""
        sizes = {info.filename: info.file_size for info in self._archive.infolist()}
        return sizes.get(part, 0) + sizes.get(STRINGS, 0)

    def _read_workbook(self) -> None:
        targets: dict[str, str] = {}
        found: list[tuple[str, str]] = []

        def relationship(name: str, attributes: Attributes) -> None:
            if name == "Relationship" and attributes.get("Type", "").endswith("/worksheet"):
                target = attributes.get("Target", "")
                targets[attributes.get("Id", "")] = posixpath.normpath(
                    target.lstrip("/") if target.startswith("/") else posixpath.join("xl", target)
                )

        def workbook(name: str, attributes: Attributes) -> None:
            if name == "workbookPr":
                self.date1904 = attributes.get("date1904", "0") in {"1", "true", "on"}
            elif name == "sheet" and attributes.get("state", "visible") != "visible":
                self.hides_sheets = True
            elif name == "sheet":
                key = attributes.get(_RELATIONSHIP, attributes.get(_STRICT_RELATIONSHIP, ""))
                found.append((attributes.get("name", ""), key))

        self._parse("xl/_rels/workbook.xml.rels", relationship, limit=_SMALL_PART_BYTES)
        self._parse("xl/workbook.xml", workbook, limit=_SMALL_PART_BYTES)
        self.sheets = [(name, targets[key]) for name, key in found if key in targets]

    def read_rows(self, part: str) -> Iterator[list[Cell]]:
        """Read the rows of a sheet, gaps as blank rows, so that the n-th row is row n of the sheet."""
        if self._strings is None:
            self._strings = self._load_strings()
        rows = SheetRows(self._strings, self._read_date_styles(), date1904=self.date1904)
        with closing(self._read_part(part, self._limit)) as blocks:
            yield from rows.read(blocks)

    def _load_strings(self) -> Strings:
        if STRINGS not in self._archive.namelist():
            return Strings()
        with closing(self._read_part(STRINGS, self._strings_limit)) as blocks:
            return Strings(blocks)

    def check_prolog(self, part: str) -> None:
        """Refuse a part that declares a document type; the reader of whole sheets would pass over it."""
        if part not in self._archive.namelist():
            return
        seen: list[str] = []
        parser = _build_parser(lambda name, _attributes: seen.append(name), None)
        fed = 0
        with closing(self._read_part(part, self._limit)) as blocks:
            for data in blocks:
                feed(parser, data, last=False)
                fed += len(data)
                if seen:
                    return
                if fed > _PROLOG_BYTES:
                    raise unreadable("a part of the workbook does not begin")

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
                feed(parser, data, last=False)
        feed(parser, b"", last=True)

    def _read_part(self, part: str, limit: int) -> Generator[bytes]:
        try:
            if self._archive.getinfo(part).file_size > limit:
                raise InvalidInput(
                    "workbook-too-large",
                    f"a part of the workbook unpacks to more than {limit} bytes: save it as CSV or in parts",
                )
            with self._archive.open(part) as file:
                while data := file.read(_READ_BYTES):
                    yield data
        except KeyError:
            raise unreadable("workbook lacks a part that every .xlsx has") from None
        except (
            zipfile.BadZipFile,
            zlib.error,
            OSError,
            EOFError,
            NotImplementedError,
            RuntimeError,
            ValueError,
        ):
            raise InvalidInput(
                "workbook-cut", "workbook is cut off or damaged inside: fetch or save it again"
            ) from None


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
    parser.StartDoctypeDeclHandler = refuse_doctype
    return parser


def _integer(text: str | None) -> int:
    digits = text is not None and text.isascii() and text.isdigit() and len(text) <= _MAX_DIGITS
    return int(text) if text is not None and digits else -1


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
