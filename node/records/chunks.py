# SPDX-License-Identifier: Apache-2.0
"""Rows on their way from a reader to the workers that check them.

They travel as msgpack, so that the process between passes them on without looking inside.
"""

from __future__ import annotations

import csv
import io
from itertools import chain
from types import NoneType
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import msgpack

from node.errors import InvalidInput
from node.records.rules import RULES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from node.records.values import Cell

CHUNK_ROWS = 500
"""Most rows of one chunk."""

MAX_LINE = 131_072
"""Bytes of the longest plain line: csv takes as many characters for one field."""

_ENCODINGS = frozenset({"utf-8", "gb18030"})
_PART_TYPES = {list, str, bytes}
CELL_TYPES = frozenset({str, int, float, NoneType})
"""What a cell can be."""


class PlainLines(NamedTuple):
    """Consecutive lines of separated text, each of them one row, not yet cut into cells.

    Args:
        delimiter: What parts the cells.
        encoding: ``utf-8`` or ``gb18030``.
        lines: Text in that encoding, at most MAX_LINE bytes each, without quotation marks, ended by a newline.
    """

    delimiter: str
    encoding: str
    lines: list[bytes]

    def read_rows(self) -> list[list[Cell]]:
        """Cut the lines into cells; a blank row is empty, and what is no text is replaced."""
        return _cut(self.delimiter, b"".join(self.lines).decode(self.encoding, "replace"))

    def encode(self) -> bytes:
        """Put a line that says how to read them in front of the lines."""
        return b"".join([f"{self.encoding} {self.delimiter}\n".encode(), *self.lines])


class RowChunk(NamedTuple):
    """Consecutive rows of a file.

    Args:
        first_row: Number of the first row as Excel shows it, from 1.
        rows: The cells of each row; an empty list for a blank row, which is skipped; a rule code of
            ``node.records.rules.RULES`` for a row that the reader could not read.
    """

    first_row: int
    rows: list[list[Cell] | str]


Part: TypeAlias = "Sequence[Cell] | str | PlainLines"
"""A row as in ``RowChunk``, or many that are still lines."""


class PartPacker:
    """Packs the parts of chunks; cells are text, numbers or None. Lines go as they are: who parses the chunk cuts them."""

    def __init__(self) -> None:
        self._packer = msgpack.Packer()

    def pack(self, part: Part) -> bytes:
        """Pack a part for ``join``."""
        packed: bytes = self._packer.pack(part.encode() if isinstance(part, PlainLines) else part)
        return packed

    def join(self, first_row: int, packed: Sequence[bytes]) -> bytes:
        """Join packed parts to a chunk, the first of which has that row."""
        head, number = self._packer.pack_array_header(2), self._packer.pack(first_row)
        return b"".join([head, number, self._packer.pack_array_header(len(packed)), *packed])


def encode_chunk(first_row: int, parts: Sequence[Part]) -> bytes:
    """Encode a chunk as ``PartPacker`` does."""
    packer = PartPacker()
    return packer.join(first_row, [packer.pack(part) for part in parts])


def parse_chunk(data: bytes) -> RowChunk:
    """Parse a chunk that :func:`encode_chunk` wrote in another process of this program.

    That process may be one that reads a workbook, which the workbook may have taken over: what comes out has the
    types that ``RowChunk`` says, whatever came in.

    Raises:
        InvalidInput: ``workbook-unreadable``.
    """
    try:
        first_row, parts = msgpack.unpackb(data)
        kinds = set(map(type, parts))
        if type(first_row) is not int or not kinds <= _PART_TYPES:
            raise ValueError
        if str in kinds and any(type(part) is str and part not in RULES for part in parts):
            raise ValueError
        if bytes not in kinds:
            return RowChunk(first_row, _check_cells(parts))
        rows: list[list[Cell] | str] = []
        for part in parts:
            if isinstance(part, bytes):
                rows.extend(_parse_lines(part))
            else:
                rows += _check_cells([part])
        return RowChunk(first_row, rows)
    except (ValueError, TypeError, IndexError, csv.Error, msgpack.UnpackException):
        raise InvalidInput(
            "workbook-unreadable", "the process that reads the file sent something that is no chunk of rows"
        ) from None


def _check_cells(rows: list[list[Cell] | str]) -> list[list[Cell] | str]:
    # One pass in C over all cells; a rule code in the place of a row counts as letters.
    if not CELL_TYPES.issuperset(map(type, chain.from_iterable(rows))):
        raise ValueError
    return rows


def _parse_lines(part: bytes) -> list[list[Cell]]:
    head, _, lines = part.partition(b"\n")
    encoding, _, delimiter = head.decode().partition(" ")
    if encoding not in _ENCODINGS:
        raise ValueError
    return _cut(delimiter, lines.decode(encoding))


def _cut(delimiter: str, text: str) -> list[list[Cell]]:
    plain = text.replace("\r\n", "\n") if "\r" in text else text
    lines = plain.split("\n")
    if not lines[-1]:
        lines.pop()
    rows: list[list[Any]]
    if '"' in plain or "\r" in plain or len(delimiter) != 1 or max(map(len, lines), default=0) > MAX_LINE:
        rows = list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True))
    else:
        # Nothing of what csv does is left but this, which takes half of the time.
        rows = [line.split(delimiter) for line in lines]
    return [row if row and (row[0].strip() or "".join(row).strip()) else [] for row in rows]
