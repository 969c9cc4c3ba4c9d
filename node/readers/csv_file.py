# SPDX-License-Identifier: Apache-2.0
"""Separated text: rows out of lines, where a broken row costs only itself.

The quotation mark is the weak point of the format: one that is never closed swallows every line behind it. A
record that the strict grammar refuses, or that spans lines and has the wrong number of cells, is therefore taken
back: its first line becomes a refused row and reading goes on at its second line.
"""

from __future__ import annotations

import codecs
import csv
import sys
from collections import deque
from contextlib import closing
from dataclasses import replace
from itertools import chain, islice
from typing import TYPE_CHECKING

from node.errors import InvalidInput
from node.readers.encodings import TextEncoding, ends_within_a_character, find_encoding, read_blocks
from node.readers.table import FindHeader, Limits, Row, Table, pack_rows
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
_QUOTE = b'"'
_NEWLINES = (b"\n", b"\r")
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
    delimiter, header, place = _find_dialect(path, encoding, find_header, limits)
    if len(header) > limits.columns:
        raise InvalidInput(
            "file-columns",
            f"file has more than {limits.columns} columns: delete those that are no part of the table",
        )
    blocks = read_blocks(path, limits.line_bytes)
    parts = _read_parts(_Lines(blocks, encoding), delimiter, (_width_of(header), len(header)))
    return Table(
        format="csv",
        encoding=encoding.name,
        header=header,
        header_row=place.header + 1,
        date1904=False,
        chunks=pack_rows(parts, 1, max(start_row, place.data + 1)),
        close=blocks.close,
    )


def _find_dialect(
    path: Path, encoding: TextEncoding, find_header: FindHeader, limits: Limits
) -> tuple[str, list[Cell], HeaderPlace]:
    """Find the delimiter under which the first rows hold a header; no more cells of each are looked at than needed."""
    failure: InvalidInput | None = None
    for delimiter in _DELIMITERS:
        with closing(read_blocks(path, limits.line_bytes)) as blocks:
            parts = _read_parts(_Lines(blocks, replace(encoding, broken_lines=frozenset())), delimiter, None)
            rows = chain.from_iterable(
                part.read_rows() if isinstance(part, PlainLines) else (part,) for part in parts
            )
            head: list[list[Cell]] = [
                [] if isinstance(row, str) else list(row[: limits.columns + 1])
                for row in islice(rows, MAX_TITLE_ROWS + 1)
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

    Neither encoding has the bytes of a quotation mark or an end of line in any other character, so lines stay bytes
    until somebody cuts them.

    Args:
        blocks: The file in blocks that end with a line.
        encoding: Its encoding, which knows the lines that are not text.
    """

    def __init__(self, blocks: Iterator[bytes], encoding: TextEncoding) -> None:
        self._blocks = blocks
        self._mark = codecs.BOM_UTF8 if encoding.name == "utf-8-sig" else b""
        self._broken = encoding.broken_lines
        self._newline = encoding.newline.encode()
        self._taken_characters = 0
        self._number = 0
        self._waiting: deque[bytes] = deque()
        self._all_plain = False
        self.encoding = "gb18030" if encoding.name == "gb18030" else "utf-8"
        self.taken: list[tuple[bytes, bool]] = []

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        if not self._waiting and not self._fill():
            raise StopIteration
        line = self._waiting.popleft()
        text = line.decode(self.encoding, "replace")
        if self.taken:
            self._taken_characters += len(text)
            if self._taken_characters > _MAX_RECORD_CHARACTERS:
                self._waiting.appendleft(line)
                raise csv.Error("a quoted cell goes on and on")
        damaged = bool(self._broken) and (self._number in self._broken or _REPLACEMENT in text)
        self._number += self._ends(line)
        self.taken.append((line, damaged))
        return text

    def _fill(self) -> bool:
        """Take in the next block; say whether there was one."""
        block = next(self._blocks, b"").removeprefix(self._mark)
        self._mark = b""
        lines = block.splitlines(keepends=True)
        self._waiting.extend(lines)
        self._all_plain = _is_plain(block) and max(map(len, lines)) <= MAX_LINE
        return bool(lines)

    def _ends(self, line: bytes) -> bool:
        """Tell whether a line counts: a lone carriage return ends none where newlines do."""
        return self._newline in line[-2:]

    def begin_record(self) -> None:
        """Forget the record before."""
        self.taken.clear()
        self._taken_characters = 0

    def take_plain(self) -> list[bytes]:
        """Take lines that are whole records for sure: without quotation marks, undamaged, not too long, ended.

        Returns:
            At most 500 lines of one block; none when the next line needs care.
        """
        waiting = self._waiting
        plain: list[bytes] = []
        if self._broken or not (waiting or self._fill()):
            return plain
        if self._all_plain:
            return [waiting.popleft() for _ in range(min(CHUNK_ROWS, len(waiting)))]
        while waiting and len(plain) < CHUNK_ROWS and len(waiting[0]) <= MAX_LINE and _is_plain(waiting[0]):
            plain.append(waiting.popleft())
        return plain

    def put_back(self) -> None:
        """Give back all lines of the record at hand but the first."""
        lines = [line for line, _ in self.taken[1:]]
        self._number -= sum(map(self._ends, lines))
        self._waiting.extendleft(reversed(lines))
        self._all_plain = False
        del self.taken[1:]

    @property
    def is_damaged(self) -> bool:
        """Tell whether a line of the record at hand could not be decoded."""
        return bool(self._broken) and any(damaged for _, damaged in self.taken)

    @property
    def ends_open(self) -> bool:
        """Tell whether the record at hand ends the file without a newline."""
        return not self._waiting and not self.taken[-1][0].endswith(_NEWLINES)

    @property
    def ends_within_a_character(self) -> bool:
        """Tell whether the record at hand is one line that ends the file, all of it text but a character that is cut."""
        line, damaged = self.taken[0]
        if not damaged or len(self.taken) > 1 or not self.ends_open:
            return False
        return ends_within_a_character(line, self.encoding)


def _is_plain(text: bytes) -> bool:
    """Tell whether lines hold no quotation mark and end."""
    return _QUOTE not in text and text.endswith(_NEWLINES)


def _read_parts(lines: _Lines, delimiter: str, widths: tuple[int, int] | None) -> Iterator[Part]:
    """Read rows; with least and greatest width, take back records that span lines and fit neither."""
    broken = 0
    while True:
        plain = lines.take_plain()
        if plain:
            yield PlainLines(delimiter, lines.encoding, plain)
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
    if lines.ends_within_a_character:
        return "row-cut"
    if row is None or (len(lines.taken) > 1 and not least <= len(row) <= most):
        cut = len(lines.taken) == 1 and lines.ends_open
        damaged = lines.taken[0][1]
        lines.put_back()
        return "row-encoding" if damaged else "row-cut" if cut else "row-quote"
    if lines.is_damaged:
        return "row-encoding"
    if row and len(row) < least and lines.ends_open:
        return "row-cut"
    if any(_FORMULA_TEXT.encode() in line for line, _ in lines.taken):
        row = [_unwrap(cell) for cell in row]
    return row if "".join(row).strip() else []


def _unwrap(cell: str) -> str:
    """Take the text out of ``="…"``, by which exporters keep spreadsheets from rewriting long digits."""
    return (
        cell[2:-1]
        if len(cell) > len(_FORMULA_TEXT) and cell.startswith(_FORMULA_TEXT) and cell.endswith('"')
        else cell
    )
