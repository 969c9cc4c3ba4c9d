# SPDX-License-Identifier: Apache-2.0
"""Bodies of the messages that the reading process sends, parsed as what they are: bytes from an untrusted side.

A workbook that takes over its reader can send what it likes. What comes out here has the types it should, and ends the
import otherwise.
"""

from __future__ import annotations

import re
from itertools import chain
from typing import TYPE_CHECKING, NamedTuple

import msgpack

from node.core.printable import cut_line
from node.errors import InvalidInput
from node.records.chunks import CELL_TYPES

if TYPE_CHECKING:
    from node.records.values import Cell

MAX_ROWS = 2**24
"""Sixteen times as many rows as a sheet of a spreadsheet program has."""
_MAX_SHEETS = 2**16
_MAX_MESSAGE = 300
_CHUNK_PARTS = 2
_CHUNK_HEAD_BYTES = 10
"""The array of two and the longest integer: ``node.records.chunks``."""
_MAX_NAME = 31
"""Characters that a spreadsheet program lets a sheet's name have."""
_CODE = re.compile(r"[a-z0-9]{1,30}(?:-[a-z0-9]{1,30}){0,5}")


class SheetHead(NamedTuple):
    """First rows of a sheet: its number and name, the date system of the workbook, whether it hides sheets, the rows."""

    sheet: int
    name: str
    date1904: bool
    hides_sheets: bool
    rows: list[list[Cell]]


def parse_head(body: bytes) -> SheetHead:
    """Parse the first rows of a sheet.

    Raises:
        InvalidInput: ``workbook-unreadable``.
    """
    try:
        sheet, name, date1904, hides_sheets, rows = msgpack.unpackb(body)
        if type(sheet) is not int or not 0 <= sheet < _MAX_SHEETS or type(name) is not str:
            raise ValueError
        if type(date1904) is not bool or type(hides_sheets) is not bool:
            raise ValueError
        if type(rows) is not list or not all(type(row) is list for row in rows):
            raise ValueError
        if not CELL_TYPES.issuperset(map(type, chain.from_iterable(rows))):
            raise ValueError
    except (ValueError, TypeError, msgpack.UnpackException):
        raise broken_reader() from None
    return SheetHead(
        sheet,
        cut_line(name, most_characters=_MAX_NAME),
        date1904=date1904,
        hides_sheets=hides_sheets,
        rows=rows,
    )


def parse_first_row(chunk: bytes) -> int | None:
    """Parse the number of the first row of a chunk, whose rows nobody has looked at yet; None when there is none."""
    head = msgpack.Unpacker(max_buffer_size=_CHUNK_HEAD_BYTES)
    head.feed(chunk[:_CHUNK_HEAD_BYTES])
    try:
        first = head.unpack() if head.read_array_header() == _CHUNK_PARTS else None
    except (ValueError, msgpack.UnpackException):
        return None
    return first if type(first) is int else None


def parse_failure(body: bytes) -> InvalidInput:
    """Parse why the reading process gave up into the error that it is."""
    try:
        code, message = msgpack.unpackb(body)
        if not _CODE.fullmatch(code):
            raise ValueError
        return InvalidInput(code, cut_line(message, most_characters=_MAX_MESSAGE))
    except (ValueError, TypeError, msgpack.UnpackException):
        return broken_reader()


def broken_reader() -> InvalidInput:
    """Build the error for a reading process that sends what no reader sends."""
    return InvalidInput(
        "workbook-unreadable", "workbook broke its reader: it sends something that is no answer"
    )
