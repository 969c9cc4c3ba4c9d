# SPDX-License-Identifier: Apache-2.0
"""Rows on their way from a reader to the workers that check them.

They travel as msgpack, so that the process between passes them on without looking inside.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import msgpack

if TYPE_CHECKING:
    from collections.abc import Sequence

    from node.records.values import Cell

CHUNK_ROWS = 500
"""Most rows of one chunk."""


class RowChunk(NamedTuple):
    """Consecutive rows of a file.

    Args:
        first_row: Number of the first row as Excel shows it, from 1.
        rows: The cells of each row; an empty list for a blank row, which is skipped; a rule code of
            ``node.records.rules.RULES`` for a row that the reader could not read.
    """

    first_row: int
    rows: list[list[Cell] | str]


def encode_chunk(first_row: int, rows: Sequence[Sequence[Cell] | str]) -> bytes:
    """Encode a chunk; cells are text, numbers or None."""
    packed: bytes = msgpack.packb((first_row, rows))
    return packed


def parse_chunk(data: bytes) -> RowChunk:
    """Parse a chunk that :func:`encode_chunk` wrote in this program, in another process of it."""
    first_row, rows = msgpack.unpackb(data)
    return RowChunk(first_row, rows)
