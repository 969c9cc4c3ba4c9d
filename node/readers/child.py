# SPDX-License-Identifier: Apache-2.0
"""The process that reads one workbook, started as ``python -m node.readers.child``.

A workbook is untrusted and its readers hold much of it in memory, so this happens in a process with limits of its
own on memory and processor time; if it dies, the node reports the file as unreadable and lives on. The process
knows nothing of catalogue items: it shows the first rows of every visible sheet, is told which sheet and row to
start from, and sends chunks.
"""

from __future__ import annotations

import gc
import resource
import sys
from datetime import date, datetime, time, timedelta
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple

import msgpack

from node.errors import InvalidInput
from node.readers.cell_values import format_moment
from node.readers.frames import (
    CHOICE,
    FAILURE,
    HEAD,
    HEADS_END,
    OUT_OF_MEMORY,
    ROWS,
    ROWS_END,
    receive_frame,
    send_frame,
)
from node.readers.plain_xml import unreadable
from node.readers.sheet_xml import STRINGS, Book
from node.readers.table import Limits, pack_rows
from node.records.headers import MAX_TITLE_ROWS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from node.records.values import Cell

_HEAD_ROWS = MAX_TITLE_ROWS + 1
_YOUNG_OBJECTS = 50_000
"""So many before the collector looks for cycles; rows have none."""
_PLAIN_TYPES = frozenset({str, int, float, type(None)})


def main() -> None:
    """Read the workbook that the arguments name and answer on standard output."""
    path, kind, *numbers = sys.argv[1:]
    memory_bytes, cpu_seconds, whole_sheet_bytes, unpacked_bytes = map(int, numbers)
    resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    # The soft limit ends the process with a signal of its own, by which the node tells the reason.
    resource.setrlimit(resource.RLIMIT_CPU, (cpu_seconds, cpu_seconds + 5))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    gc.set_threshold(_YOUNG_OBJECTS)
    limits = Limits(
        child_memory_bytes=memory_bytes, whole_sheet_bytes=whole_sheet_bytes, unpacked_bytes=unpacked_bytes
    )
    output = sys.stdout.buffer
    try:
        _serve(Path(path), kind, limits, sys.stdin.buffer, output)
    except InvalidInput as error:
        send_frame(output, FAILURE, [error.code, error.message])
    except MemoryError:
        send_frame(output, OUT_OF_MEMORY)
    except BrokenPipeError:
        # The node lost interest; there is nobody to tell.
        sys.stderr.close()


def _serve(path: Path, kind: str, limits: Limits, source: BinaryIO, output: BinaryIO) -> None:
    book = _open_sheets(path, kind, limits)
    readers = []
    for number, sheet in enumerate(book.sheets):
        rows = sheet.read_rows()
        head = list(islice(rows, _HEAD_ROWS))
        readers.append((head, rows))
        send_frame(output, HEAD, [number, sheet.name, book.date1904, book.hides_sheets, head])
    send_frame(output, HEADS_END)
    frame = receive_frame(source)
    if frame is None or frame[0] != CHOICE:
        return
    chosen, first, width, start_row = msgpack.unpackb(frame[1])
    head, rows = readers[chosen]
    del readers
    padded = (_pad(row, width) for row in islice(chain(head, rows), first, None))
    for chunk in pack_rows(padded, first + 1, start_row):
        send_frame(output, ROWS, chunk)
    send_frame(output, ROWS_END)


def _pad(row: Sequence[Cell], width: int) -> Sequence[Cell]:
    """Fill a row up to the width of the header, since workbooks do not store trailing blanks; empty a blank row."""
    if not any(row) and not any(isinstance(cell, int | float) for cell in row):
        return ()
    return row if len(row) >= width else [*row, *([None] * (width - len(row)))]


class _WholeSheet:
    """A sheet that the fast reader loads as a whole."""

    def __init__(self, workbook: Any, name: str, number: int) -> None:
        self.name = name
        self._workbook = workbook
        self._number = number

    def read_rows(self) -> Iterator[list[Cell]]:
        import python_calamine  # noqa: PLC0415  loaded already where there is such a sheet

        try:
            sheet = self._workbook.get_sheet_by_index(self._number)
        except (python_calamine.CalamineError, OSError, ValueError):
            raise unreadable("a sheet of the workbook is damaged") from None
        indent: list[Cell] = [None] * (sheet.start[1] if sheet.start else 0)
        for row in sheet.iter_rows():
            yield indent + [cell if type(cell) in _PLAIN_TYPES else _cell_text(cell) for cell in row]


class _StreamedSheet:
    """A sheet that is read row by row."""

    def __init__(self, book: Book, name: str, part: str) -> None:
        self.name = name
        self._book = book
        self._part = part

    def read_rows(self) -> Iterator[list[Cell]]:
        return self._book.read_rows(self._part)


def _cell_text(cell: object) -> Cell:
    """Return the text of a cell that is neither text nor number."""
    if isinstance(cell, bool):
        return "TRUE" if cell else "FALSE"
    if isinstance(cell, datetime):
        return format_moment(cell)
    if isinstance(cell, date | time):
        return cell.isoformat()
    assert isinstance(cell, timedelta), f"spreadsheet reader returned {type(cell).__name__}"
    return str(cell)


class _Opened(NamedTuple):
    """An open workbook, its visible worksheets alone."""

    date1904: bool
    hides_sheets: bool
    sheets: Sequence[_WholeSheet | _StreamedSheet]


def _open_sheets(path: Path, kind: str, limits: Limits) -> _Opened:
    """Open the visible sheets: for streaming where one is large, otherwise for the fast reader."""
    date1904 = False
    if kind == "xlsx":
        book = Book(path, limits)
        date1904 = book.date1904
        if any(book.size_of(part) > limits.whole_sheet_bytes for _, part in book.sheets):
            sheets = [_StreamedSheet(book, name, part) for name, part in book.sheets]
            return _Opened(date1904, book.hides_sheets, sheets)
        for part in (*(part for _, part in book.sheets), STRINGS):
            book.check_prolog(part)
        book.close()
    return _open_whole_sheets(path, date1904=date1904)


def _open_whole_sheets(path: Path, *, date1904: bool) -> _Opened:
    # Loading the extension costs 20 ms, which the streaming reader saves.
    import python_calamine  # noqa: PLC0415

    try:
        if path.suffix:
            # By a path with an ending it would go by that ending; uploads have none.
            with path.open("rb") as file:
                workbook = python_calamine.CalamineWorkbook.from_filelike(file)
        else:
            workbook = python_calamine.CalamineWorkbook.from_path(path)
        worksheets = [
            (number, sheet)
            for number, sheet in enumerate(workbook.sheets_metadata)
            if sheet.typ == python_calamine.SheetTypeEnum.WorkSheet
        ]
        visible = [
            _WholeSheet(workbook, sheet.name, number)
            for number, sheet in worksheets
            if sheet.visible == python_calamine.SheetVisibleEnum.Visible
        ]
    except python_calamine.PasswordError:
        raise InvalidInput(
            "workbook-encrypted", "workbook is protected by a password: save it without and send that"
        ) from None
    except (python_calamine.CalamineError, OSError, ValueError):
        raise unreadable("workbook is damaged or in a form that is not supported") from None
    return _Opened(date1904, len(visible) < len(worksheets), visible)


if __name__ == "__main__":
    main()
