# SPDX-License-Identifier: Apache-2.0
"""Events on their way to being paired: rows of one width, spread over buckets by request id and kept outside memory.

All rows of one request fall into one bucket, and buckets are looked at one after the other, so that memory holds a
256th of the events at a time. Whoever makes up request ids can fill one bucket; it is then as large as his own log.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol
from zlib import crc32

if TYPE_CHECKING:
    from collections.abc import Iterator

KINDS: Final = ("ask", "grant", "deny", "receive", "sealed", "bulk")
BUCKETS: Final = 256
NOT_OPENED: Final = 0xFFFF
ELSEWHERE: Final = 0xFFFE
"""A peer that was opened and whose log is not in the audit."""

OPENED: Final = 1
_ROW: Final = struct.Struct("<22s43sHBBQQH48s8sQQq")
_HELD_BYTES: Final = 8 << 20


class Scratch(Protocol):
    """Bytes kept outside memory for as long as an audit runs; lost with it."""

    def append(self, name: str, data: bytes) -> None:
        """Append to what is kept under a name."""
        ...

    def read(self, name: str, offset: int, length: int) -> bytes:
        """Read as much of it as is there; nothing for a name under which nothing is kept."""
        ...

    def length(self, name: str) -> int:
        """Give how many bytes are kept under a name."""
        ...


class Row(NamedTuple):
    """An event that another member's log has its part of.

    Attributes:
        rid: 22 base64url characters.
        req: 43 base64url characters, zeros where the kind has none.
        log: Number of its log in the audit.
        kind: Place in ``KINDS``.
        flags: ``OPENED`` or nothing.
        place: In its log.
        t_ms: The time that it claims.
        peer: Number of a member, ``ELSEWHERE`` or ``NOT_OPENED``.
        marks: What both sides must agree on, eight bytes for each name of ``opened.AGREED``.
        released: Eight bytes; zeros where absent or not opened.
        start: Seconds; it was not logged before. Chain time of the last anchor that does not cover it, or five minutes before
            the heartbeat under that one, whichever is earlier: an anchor may have waited for the chain meanwhile. 0 where
            nothing says since when.
        end: Chain time of the first anchor that covers it; 0 while none does.
        since: Place of that heartbeat; -1 where there is none.
    """

    rid: bytes
    req: bytes
    log: int
    kind: int
    flags: int
    place: int
    t_ms: int
    peer: int
    marks: bytes
    released: bytes
    start: int
    end: int
    since: int


pack_row = _ROW.pack


class Buckets:
    """Takes rows and gives them back together with all others of their request."""

    def __init__(self, scratch: Scratch) -> None:
        self._scratch = scratch
        self._held: list[list[bytes]] = [[] for _ in range(BUCKETS)]
        self._bytes = 0

    def add(self, rid: bytes, row: bytes) -> None:
        """Add a row as ``pack_row`` writes it."""
        self._held[crc32(rid) & (BUCKETS - 1)].append(row)
        self._bytes += _ROW.size
        if self._bytes >= _HELD_BYTES:
            self.flush()

    def flush(self) -> None:
        """Put what is held outside memory."""
        for number, rows in enumerate(self._held):
            if rows:
                self._scratch.append(f"rows-{number}", b"".join(rows))
                rows.clear()
        self._bytes = 0

    def requests(self, number: int) -> Iterator[list[Row]]:
        """Give the rows of a bucket, those of one request together, in the order of their logs and places."""
        self.flush()
        data = self._scratch.read(f"rows-{number}", 0, self._scratch.length(f"rows-{number}"))
        group: list[Row] = []
        rid = b""
        for packed in sorted(_split(data)):
            row = Row._make(_ROW.unpack(packed))
            if row.rid != rid:
                if group:
                    yield group
                group, rid = [], row.rid
            group.append(row)
        if group:
            yield group


def _split(data: bytes) -> list[bytes]:
    return [data[at : at + _ROW.size] for at in range(0, len(data), _ROW.size)]
