# SPDX-License-Identifier: Apache-2.0
"""Small appends are written ahead: into the main database, with the commit point, and into segments that are synced later.

A commit that appends little puts these bytes into its synced write to ``main`` as well, under a key of the store's own,
a *slot*. Its segments are written and not synced, which saves the caller a sync for each of them. The next commit that
syncs segments, because it is large, or begins one, or finds all slots taken, syncs every segment so written and empties
the slots with its own commit point. Opening writes what the slots hold into the segments again, syncs them and empties
the slots (docs/adr/0028-small-appends-are-written-ahead.md).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import msgpack

from node.errors import Fatal

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from node.storage.leveldb import DatabaseSnapshot

SLOTS: Final = 128
"""Commits written ahead until one has to sync the segments."""
MAX_BYTES: Final = 32 * 1024
"""Most bytes appended by a commit that is written ahead; more would cost LevelDB more time than a sync takes."""
_PREFIX: Final = b"\x00ahead"
_END: Final = b"\x00aheae"


@dataclass(frozen=True, slots=True)
class Piece:
    """Bytes of a stream that its segment may lack.

    Attributes:
        stream: Its name.
        offset: Stream offset of the first byte.
        data: The bytes, at least one.
    """

    stream: str
    offset: int
    data: bytes


def slot_key(slot: int) -> bytes:
    """Return the key of a slot, 0 to SLOTS - 1."""
    return _PREFIX + bytes([slot])


def encode_ahead(appends: Mapping[str, bytes], lengths: Mapping[str, int]) -> bytes:
    """Return the value of a slot.

    Args:
        appends: Name of a stream to the bytes appended.
        lengths: Length of every stream in bytes before that.
    """
    packed: bytes = msgpack.packb([[name, lengths[name], data] for name, data in appends.items()])
    return packed


def load_ahead(main: DatabaseSnapshot, lengths: Mapping[str, int]) -> list[Piece]:
    """Load what all slots hold, in the order of the commits.

    Args:
        main: The main database.
        lengths: Committed length of every stream in bytes; the pieces of each stream must lead up to it without a gap.

    Raises:
        Fatal: ``store-corrupt``.
    """
    found = [value for _, value in main.iterate(_PREFIX, _END, reverse=False)]
    pieces = [piece for value in found for piece in _parse(value)]
    ends: dict[str, int] = {}
    for piece in pieces:
        if ends.get(piece.stream, piece.offset) != piece.offset:
            raise _corrupt()
        ends[piece.stream] = piece.offset + len(piece.data)
    if any(lengths.get(stream) != end for stream, end in ends.items()):
        raise _corrupt()
    return pieces


def emptied(slots: Iterable[int]) -> Sequence[tuple[bytes, None]]:
    """Return the changes of the main database that empty slots."""
    return [(slot_key(slot), None) for slot in slots]


def _parse(value: bytes) -> list[Piece]:
    try:
        pieces = [Piece(*piece) for piece in msgpack.unpackb(value, raw=False)]
    except (ValueError, TypeError, msgpack.exceptions.UnpackException) as error:
        raise _corrupt() from error
    for piece in pieces:
        if type(piece.stream) is not str or type(piece.offset) is not int or type(piece.data) is not bytes:
            raise _corrupt()
        if piece.offset < 1 or not piece.data:  # the first append to a segment is never written ahead
            raise _corrupt()
    return pieces


def _corrupt() -> Fatal:
    return Fatal("store-corrupt", "the store's record of small appends is unreadable")
