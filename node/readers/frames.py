# SPDX-License-Identifier: Apache-2.0
"""Messages between a node and the process that reads a workbook for it: a kind, a length, a body."""

from __future__ import annotations

import struct
from typing import BinaryIO, Protocol

import msgpack

_HEAD = struct.Struct(">cI")
MAX_FRAME_BYTES = 2**28

HEAD = b"h"
"""First rows of one sheet: [sheet index, name, date1904, whether the workbook hides sheets, rows]."""
HEADS_END = b"z"
"""There are no more sheets."""
CHOICE = b"c"
"""What the node wants: [sheet index, index of the first row, number of columns at least, first row number]."""
ROWS = b"r"
"""One chunk of rows."""
ROWS_END = b"e"
"""There are no more rows."""
OUT_OF_MEMORY = b"m"
"""The workbook does not fit into the memory that the process may take; nothing follows."""
FAILURE = b"f"
"""[code, message] of an InvalidInput; nothing follows."""


class Source(Protocol):
    """Where messages come from."""

    def read(self, length: int, /) -> bytes:
        """Read so many bytes, fewer at the end."""
        ...


def send_frame(pipe: BinaryIO, kind: bytes, body: object = None) -> None:
    """Send one message; a body of bytes goes as it is, any other as msgpack."""
    data = body if isinstance(body, bytes) else msgpack.packb(body)
    pipe.write(_HEAD.pack(kind, len(data)))
    pipe.write(data)
    pipe.flush()


def receive_frame(pipe: Source) -> tuple[bytes, bytes] | None:
    """Receive one message as its kind and the bytes of its body, None at the end of the pipe or inside one."""
    head = pipe.read(_HEAD.size)
    if len(head) < _HEAD.size:
        return None
    kind, length = _HEAD.unpack(head)
    if length > MAX_FRAME_BYTES:
        return None
    body = pipe.read(length)
    return (kind, body) if len(body) == length else None
