# SPDX-License-Identifier: Apache-2.0
"""What every reader yields, and the limits that every reader keeps."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self, TypeAlias

from node.records.chunks import CHUNK_ROWS, Part, PartPacker, PlainLines
from node.records.headers import HeaderPlace
from node.records.values import Cell

if TYPE_CHECKING:
    from types import TracebackType

Row: TypeAlias = "Sequence[Cell] | str"
"""The cells of a row, empty when blank; or the rule code of a row that could not be read."""

FindHeader: TypeAlias = Callable[[Sequence[Sequence[Cell]]], HeaderPlace]
"""Finds the header among the first rows; raises InvalidInput ``header-not-found``."""

_MIB = 2**20
_CHUNK_BYTES = 2**21
"""A chunk ends behind the row with which it holds as many, so that long rows do not fill memory by hundreds."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How much of a file a reader takes before it gives up.

    Args:
        file_bytes: Greatest size of the file.
        columns: Most columns; cells beyond make the file refused.
        line_bytes: Longest line of a text file.
        child_memory_bytes: Address space of the process that reads a workbook; its shared strings may unpack to twice as much.
        child_cpu_seconds: Processor time of that process.
        child_silence_seconds: Longest wait for one part of a message of that process.
        child_wait_seconds: Longest wait for that process, all of them together.
        whole_sheet_bytes: Greatest size, unpacked, of a sheet that is read as a whole; larger ones are streamed, and
            those that do not fit into the memory of the process.
        unpacked_bytes: Greatest size, unpacked, of one part of a workbook.
    """

    file_bytes: int = 4_096 * _MIB
    columns: int = 1_000
    line_bytes: int = 4 * _MIB
    child_memory_bytes: int = 480 * _MIB
    child_cpu_seconds: int = 3_600
    child_silence_seconds: float = 900.0
    child_wait_seconds: float = 7_200.0
    whole_sheet_bytes: int = 64 * _MIB
    unpacked_bytes: int = 16_384 * _MIB


@dataclass(slots=True)
class Table:
    """An open file, its header read.

    Args:
        format: ``csv``, ``ndjson``, ``xlsx`` or ``xls``.
        encoding: Of a text file, None for workbooks.
        header: Cells of the header row.
        header_row: Number of the header row, from 1; 0 when the format has none.
        date1904: Whether serial dates count from 1904.
        chunks: The rows below the header as chunks of ``node.records.chunks``, to be read once.
        close: Releases the file, and the process that reads it.
        notes: What was left out of the file, as a place and a code of ``node.records.rules.WARNINGS``.
    """

    format: str
    encoding: str | None
    header: list[Cell]
    header_row: int
    date1904: bool
    chunks: Iterator[bytes]
    close: Callable[[], None] = field(repr=False)
    notes: tuple[str, ...] = ()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def pack_rows(parts: Iterable[Part], first_row: int, start_row: int) -> Iterator[bytes]:
    """Pack rows into chunks.

    Args:
        parts: Consecutive rows, or lines of them.
        first_row: Number of the first of them.
        start_row: Rows with smaller numbers are passed over, for an import that goes on where it stopped.

    Yields:
        Chunks of at most 500 rows, fewer where they are long; stretches of blank rows are left out.
    """
    number = first_row
    packer = PartPacker()
    held: list[bytes] = []
    held_from = size = weight = 0
    filled = False
    for part in parts:
        count = len(part.lines) if isinstance(part, PlainLines) else 1
        begin = max(0, start_row - number)
        while begin < count:
            if not held:
                held_from = number + begin
            end = min(count, begin + CHUNK_ROWS - size)
            piece = part._replace(lines=part.lines[begin:end]) if isinstance(part, PlainLines) else part
            packed = packer.pack(piece)
            held.append(packed)
            filled = filled or _is_filled(piece)
            size += end - begin
            weight += len(packed)
            begin = end
            if size == CHUNK_ROWS or weight >= _CHUNK_BYTES:
                if filled:
                    yield packer.join(held_from, held)
                held, size, weight, filled = [], 0, 0, False
        number += count
    if filled:
        yield packer.join(held_from, held)


def _is_filled(part: Part) -> bool:
    if isinstance(part, PlainLines):
        return any(line.decode(part.encoding).replace(part.delimiter, "").strip() for line in part.lines)
    return bool(part)
