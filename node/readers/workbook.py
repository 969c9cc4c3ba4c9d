# SPDX-License-Identifier: Apache-2.0
"""Workbooks (.xlsx, .xls), read by a process of their own (``node.readers.child``)."""

from __future__ import annotations

import signal
import subprocess
import sys
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, cast

from node.errors import InvalidInput, Unavailable
from node.readers.bounded_pipe import BoundedPipe
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
from node.readers.messages import (
    MAX_ROWS,
    SheetHead,
    broken_reader,
    parse_failure,
    parse_first_row,
    parse_head,
)
from node.readers.table import FindHeader, Limits, Table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from node.errors import NodeError
    from node.readers.frames import Source
    from node.records.headers import HeaderPlace

_ROOT = Path(__file__).resolve().parents[2]
_ENDED_FROM_OUTSIDE = {-signal.SIGTERM, -signal.SIGINT, -signal.SIGHUP}
"""As a terminal and a service manager end every process of a node; that says nothing of the workbook."""
_END_SECONDS = 10.0
"""Longest wait for the end of a process that has closed its output."""
_OUT_OF_MEMORY = {-signal.SIGABRT, -signal.SIGKILL, -signal.SIGSEGV}


def open_workbook(
    path: Path,
    kind: str,
    *,
    find_header: FindHeader,
    limits: Limits,
    start_row: int,
    is_stopping: Callable[[], bool],
) -> Table:
    """Open the one sheet of a workbook that holds a table.

    Args:
        path: The file.
        kind: ``xlsx`` or ``xls``.
        find_header: Finds the header among the first rows of a sheet.
        limits: Limits of readers.
        start_row: First row wanted, as Excel numbers it.
        is_stopping: Whether the node stops.

    Raises:
        InvalidInput: ``workbook-cut``, ``workbook-encrypted``, ``workbook-unreadable``, ``workbook-too-large``,
            ``workbook-slow``, ``workbook-several-tables``, ``file-columns``, ``header-not-found``.
        Unavailable: ``reader-ended``: the process was ended from outside, as everything is when a machine shuts down;
            ``stopping``.
    """
    child = _Child(path, kind, limits, is_stopping)
    try:
        try:
            head, place, notes = child.find_table(find_header)
        except InvalidInput:
            if not child.out_of_memory or kind != "xlsx" or limits.whole_sheet_bytes == 0:
                raise
            # One stray cell far below or to the right makes a sheet of a few rows immense for the reader of whole sheets.
            child.close()
            child = _Child(path, kind, replace(limits, whole_sheet_bytes=0), is_stopping)
            head, place, notes = child.find_table(find_header)
        header = head.rows[place.header]
        if len(header) > limits.columns:
            raise InvalidInput(
                "file-columns",
                f"sheet has {len(header)} columns: want at most {limits.columns}; delete those that are no part of it",
            )
        chunks = child.read_chunks(head.sheet, place.data, len(header), start_row)
    except BaseException:
        child.close()
        raise
    return Table(
        format=kind,
        encoding=None,
        header=header,
        header_row=place.header + 1,
        date1904=head.date1904,
        chunks=chunks,
        close=child.close,
        notes=notes,
    )


class _Child:
    """The reading process, as its node sees it."""

    def __init__(self, path: Path, kind: str, limits: Limits, is_stopping: Callable[[], bool]) -> None:
        self.out_of_memory = False
        """Whether the process ended because it needed more memory than it may take."""
        numbers = (
            limits.child_memory_bytes,
            limits.child_cpu_seconds,
            limits.whole_sheet_bytes,
            limits.unpacked_bytes,
        )
        command = [sys.executable, "-m", "node.readers.child", str(path.resolve()), kind, *map(str, numbers)]
        self._process = subprocess.Popen(  # noqa: S603  our own module; the path is one argument, no shell
            command,
            cwd=_ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            # What a crashing reader prints may hold cells of the workbook.
            stderr=subprocess.DEVNULL,
        )
        output = cast("BinaryIO", self._process.stdout).fileno()
        self._output: Source = BoundedPipe(
            output, limits.child_silence_seconds, limits.child_wait_seconds, is_stopping
        )

    def find_table(self, find_header: FindHeader) -> tuple[SheetHead, HeaderPlace, tuple[str, ...]]:
        """Return the first rows of the one sheet that has a header, the header's place and notes."""
        failure = InvalidInput(
            "header-not-found", "workbook has no visible worksheet: show the one with the table"
        )
        found: list[tuple[SheetHead, HeaderPlace]] = []
        sheets, hides_sheets = 0, False
        for kind, body in self._receive_until(HEADS_END):
            if kind != HEAD:
                raise broken_reader()
            head = parse_head(body)
            if head.sheet != sheets:
                raise broken_reader()  # each once, in order: so they end
            sheets += 1
            hides_sheets = head.hides_sheets
            try:
                place = find_header(head.rows)
            except InvalidInput as error:
                failure = error if sheets == 1 else failure
                continue
            found.append((head, place))
        if not found and hides_sheets:
            raise InvalidInput(
                "header-not-found",
                f"{failure.message}; hidden sheets are not read: show the one with the table",
            )
        if not found:
            raise failure
        if len(found) > 1:
            raise InvalidInput(
                "workbook-several-tables",
                f"{len(found)} of {sheets} visible sheets hold a table: hide all but one, or send each as a file",
            )
        # Sheets that are hidden or hold no table are left out, which must not go unsaid.
        head, place = found[0]
        notes = (f"sheet {head.name}: sheet-taken",) if sheets > 1 or head.hides_sheets else ()
        return head, place, notes

    def read_chunks(self, sheet: int, first: int, width: int, start_row: int) -> Iterator[bytes]:
        """Ask for the rows of a sheet and yield their chunks as they come."""
        with suppress(BrokenPipeError):  # it has ended: how, shows where its rows are received
            send_frame(cast("BinaryIO", self._process.stdin), CHOICE, [sheet, first, width, start_row])
        return self._receive_chunks()

    def _receive_chunks(self) -> Iterator[bytes]:
        """Yield chunks in the order of their rows: a process that was taken over sends no row twice, and none without end."""
        last = 0
        for kind, body in self._receive_until(ROWS_END):
            first = parse_first_row(body) if kind == ROWS else None
            if first is None or not last < first <= MAX_ROWS:
                raise broken_reader()
            last = first
            yield body

    def _receive_until(self, last: bytes) -> Iterator[tuple[bytes, bytes]]:
        while True:
            frame = receive_frame(self._output)
            if frame is None:
                raise self._describe_death()
            kind, body = frame
            if kind == FAILURE:
                raise parse_failure(body)
            if kind == OUT_OF_MEMORY:
                raise self._describe_memory()
            if kind == last:
                return
            yield kind, body

    def _describe_death(self) -> NodeError:
        try:
            code = self._process.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            return broken_reader()
        if code in _ENDED_FROM_OUTSIDE:
            return Unavailable(
                "reader-ended",
                "the process that reads the workbook was ended from outside",
            )
        if code == -signal.SIGXCPU:
            return InvalidInput(
                "workbook-too-large", "workbook took longer to read than a reader may run: send it in parts"
            )
        if code in _OUT_OF_MEMORY:
            return self._describe_memory()
        return InvalidInput(
            "workbook-unreadable",
            f"workbook broke its reader (exit code {code}): open it in Excel and save it as .xlsx again",
        )

    def _describe_memory(self) -> InvalidInput:
        self.out_of_memory = True
        return InvalidInput(
            "workbook-too-large",
            "workbook needs more memory than a reader may take: save it as CSV or in parts",
        )

    def close(self) -> None:
        """End the process, whether or not it is done."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                try:
                    pipe.close()
                except BrokenPipeError:
                    continue
