# SPDX-License-Identifier: Apache-2.0
"""Readers: a department's file as rows (docs/import.md)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType
    from typing import Self

    from node.records.values import Cell


class Rows(Protocol):
    """An open file, its header read; used as a context manager.

    Attributes:
        header: Cells of the header row.
        date1904: Whether serial dates count from 1904.
        chunks: The rows below the header as chunks of ``node.records.chunks``, to be read once.
        notes: What was left out of the file: a place and a code of ``node.records.rules.WARNINGS``.
    """

    header: list[Cell]
    date1904: bool
    chunks: Iterator[bytes]
    notes: tuple[str, ...]

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...
