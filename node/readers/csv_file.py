# SPDX-License-Identifier: Apache-2.0
"""Separated text: rows out of lines, where a broken row costs only itself.

The quotation mark is the weak point of the format: one that is never closed swallows every line behind it. A
record that the strict grammar refuses, or that spans lines and has the wrong number of cells, is therefore taken
back: its first line becomes a refused row and reading goes on at its second line.
"""

from __future__ import annotations

import csv
import sys
from collections import deque
from itertools import chain, islice
from typing import IO, TYPE_CHECKING

from node.errors import InvalidInput
from node.readers.encodings import TextEncoding, find_encoding
from node.readers.table import CHUNK_CHARACTERS, FindHeader, Limits, Row, Table, pack_rows
from node.records.chunks import CHUNK_ROWS, MAX_LINE, Part, PlainLines
from node.records.headers import MAX_TITLE_ROWS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from node.records.headers import HeaderPlace
    from node.records.values import Cell

_DELIMITERS = (",", "\t", ";", "|", "，")
_MOST_BROKEN_RECORDS = 1_000
_BROKEN_RECORDS = ("row-quote", "row-cut")
_MAX_RECORD_CHARACTERS = 2**20
"""Longest record of several lines: far more than a row of a spreadsheet holds."""
_QUOTE = '"'
_NEWLINES = "\r\n"
_REPLACEMENT = "\ufffd"
_FORMULA_TEXT = '="'


def open_csv(path: Path, *, find_header: FindHeader, limits: Limits, start_row: int) -> Table:
    """Open a file of separated values.

    Args:
        path: The file, known to be text.
        find_header: Finds the header among the first rows.
        limits: Limits of readers.
        start_row: First row wanted, as Excel numbers it.

    Raises:
        InvalidInput: ``file-encoding``, ``file-format``, ``file-columns``, ``header-not-found``.
    """
    encoding = find_encoding(path, line_bytes=limits.line_bytes)
    errors = "replace" if encoding.broken_lines else "strict"
    delimiter, header, place = _find_dialect(
        path, encoding.name, errors, find_header, most=limits.columns + 1
    )
    if len(header) > limits.columns:
        raise InvalidInput(
            "file-columns",
            f"file has more than {limits.columns} columns: delete those that are no part of the table",
        )
    file = path.open(encoding=encoding.name, errors=errors, newline="")
    lines = _Lines(file, encoding)
    parts = _read_parts(lines, delimiter, (_width_of(header), len(header)))
    return Table(
        format="csv",
        encoding=encoding.name,
        header=header,
        header_row=place.header + 1,
        date1904=False,
        chunks=pack_rows(parts, 1, max(start_row, place.data + 1)),
        close=file.close,
    )


def _find_dialect(
    path: Path, encoding: str, errors: str, find_header: FindHeader, *, most: int
) -> tuple[str, list[Cell], HeaderPlace]:
    """Find the delimiter under which the first rows hold a header; at most so many cells of each are looked at."""
    failure: InvalidInput | None = None
    for delimiter in _DELIMITERS:
        with path.open(encoding=encoding, errors=errors, newline="") as file:
            parts = _read_parts(_Lines(file, TextEncoding(encoding, frozenset())), delimiter, None)
            rows = chain.from_iterable(
                part.read_rows() if isinstance(part, PlainLines) else (part,) for part in parts
            )
            head: list[list[Cell]] = [
                [] if isinstance(row, str) else list(row[:most]) for row in islice(rows, MAX_TITLE_ROWS + 1)
            ]
        try:
            place = find_header(head)
        except InvalidInput as error:
            failure = failure or error
            continue
        return delimiter, head[place.header], place
    assert failure is not None, "there is at least one delimiter"
    raise failure


def _width_of(header: list[Cell]) -> int:
    return max((place for place, cell in enumerate(header) if cell), default=-1) + 1


class _Lines:
    """The lines of a file for ``csv.reader``, remembering those of the record at hand so that they can go back.

    Args:
        file: The open file.
        encoding: Its encoding, which knows the lines that are not text.
    """

    def __init__(self, file: IO[str], encoding: TextEncoding) -> None:
        self._file = file
        self._broken = encoding.broken_lines
        self._newline = encoding.newline
        self._taken_characters = 0
        self._number = 0
        self._waiting: deque[tuple[str, bool]] = deque()
        self.taken: list[tuple[str, bool]] = []

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        if self._waiting:
            line, damaged = self._waiting.popleft()
        else:
            line = next(self._file)
            damaged = bool(self._broken) and (self._number in self._broken or _REPLACEMENT in line)
            # Lines are counted by one kind of end: a lone carriage return ends none where newlines do.
            self._number += self._newline in line[-2:]
        if self.taken:
            self._taken_characters += len(line)
            if self._taken_characters > _MAX_RECORD_CHARACTERS:
                self._waiting.appendleft((line, damaged))
                raise csv.Error("a quoted cell goes on and on")
        self.taken.append((line, damaged))
        return line

    def begin_record(self) -> None:
        """Forget the record before."""
        self.taken.clear()
        self._taken_characters = 0

    def take_plain(self) -> list[str]:
        """Take lines that are whole records for sure: without quotation marks, undamaged, not too long, ended.

        Returns:
            At most 500 lines, fewer when they are long; none when the next line needs care.
        """
        plain: list[str] = []
        if self._broken:
            return plain
        characters = 0
        while len(plain) < CHUNK_ROWS and characters < CHUNK_CHARACTERS:
            line = self._waiting.popleft()[0] if self._waiting else next(self._file, "")
            if not line:
                break
            if _QUOTE in line or line[-1] not in _NEWLINES or len(line) > MAX_LINE:
                self._waiting.appendleft((line, False))
                break
            plain.append(line)
            characters += len(line)
        return plain

    def put_back(self) -> None:
        """Give back all lines of the record at hand but the first."""
        self._waiting.extendleft(reversed(self.taken[1:]))
        del self.taken[1:]

    @property
    def is_damaged(self) -> bool:
        """Tell whether a line of the record at hand could not be decoded."""
        return bool(self._broken) and any(damaged for _, damaged in self.taken)

    @property
    def ends_open(self) -> bool:
        """Tell whether the record at hand ends the file without a newline."""
        return not self._waiting and not self.taken[-1][0].endswith(("\n", "\r"))


def _read_parts(lines: _Lines, delimiter: str, widths: tuple[int, int] | None) -> Iterator[Part]:
    """Read rows; with least and greatest width, take back records that span lines and fit neither."""
    broken = 0
    while True:
        plain = lines.take_plain()
        if plain:
            yield PlainLines(delimiter, plain)
            continue
        found = _read_record(lines, delimiter, widths)
        if found is None:
            return
        broken += found in _BROKEN_RECORDS
        if broken > _MOST_BROKEN_RECORDS:
            raise InvalidInput(
                "file-quotes",
                f"more than {_MOST_BROKEN_RECORDS} rows have broken quotation marks: export the file again, as .xlsx",
            )
        yield found


def _read_record(lines: _Lines, delimiter: str, widths: tuple[int, int] | None) -> Row | None:
    """Read one record with care: it may span lines, be cut or be damaged. None at the end of the file."""
    least, most = widths or (0, sys.maxsize)
    lines.begin_record()
    try:
        row = next(csv.reader(lines, delimiter=delimiter, strict=True))
    except StopIteration:
        return None
    except csv.Error:
        row = None
    if row is None or (len(lines.taken) > 1 and not least <= len(row) <= most):
        cut = len(lines.taken) == 1 and lines.ends_open
        damaged = lines.taken[0][1]
        lines.put_back()
        return "row-encoding" if damaged else "row-cut" if cut else "row-quote"
    if lines.is_damaged:
        return "row-encoding"
    if row and len(row) < least and lines.ends_open:
        return "row-cut"
    if any(_FORMULA_TEXT in line for line, _ in lines.taken):
        row = [_unwrap(cell) for cell in row]
    return row if "".join(row).strip() else []


def _unwrap(cell: str) -> str:
    """Take the text out of ``="…"``, by which exporters keep spreadsheets from rewriting long digits."""
    return (
        cell[2:-1]
        if len(cell) > len(_FORMULA_TEXT) and cell.startswith(_FORMULA_TEXT) and cell.endswith('"')
        else cell
    )
