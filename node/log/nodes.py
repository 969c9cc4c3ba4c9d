# SPDX-License-Identifier: Apache-2.0
"""The nodes inside one tile: sixteen of them are stored, the others are hashed when somebody asks for them.

    height 8        the root of a full tile, which the tile above holds
           5 to 7   folded from the inner nodes: 15 hashes
           4        the inner nodes, stored beside a full tile: the roots of its 16 groups of 16 hashes
           1 to 3   folded from one group: 15 hashes
           0        the tile

So a proof from a full tile takes 30 hashes instead of the 255 of the whole tile, and both halves are checked: whoever
takes inner nodes from a store compares the root that they give with the tile above, and each group is compared here
with its inner node (docs/adr/0030).
"""

from __future__ import annotations

import struct
from hashlib import sha256
from typing import TYPE_CHECKING, Final, TypeAlias

from node.errors import Fatal
from node.log.merkle import HASH_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

HashAll: TypeAlias = "Callable[[bytes, Sequence[bytes]], list[bytes]]"
"""Hashes messages by SHA-256, a prefix in front of each, as ``hash_each`` does."""

INNER_HEIGHT: Final = 4
INNER_WIDTH: Final = 1 << INNER_HEIGHT
INNER_BYTES: Final = INNER_WIDTH * HASH_BYTES
"""Length of the inner nodes of a full tile, and of a group of its hashes: there are 16 groups of 16."""

_PAIR: Final = struct.Struct(f"{2 * HASH_BYTES}s")
_PAIR_BYTES: Final = _PAIR.size


class TileNodes:
    """Any node of one tile. Safe for several threads: two that ask for one group at once compute the same.

    Args:
        level: Level of the tile, for what is said when it is damaged.
        index: Place of the tile in its level, for the same.
        data: The hashes of the tile, 1 to 256 of 32 bytes.
        inner: The roots of its complete groups.
    """

    __slots__ = ("_groups", "_name", "_upper", "data")

    def __init__(self, level: int, index: int, data: bytes, inner: bytes) -> None:
        self.data = data
        self._name = f"tile ({level}, {index})"
        self._upper = rows_of(inner)
        self._groups: dict[int, list[bytes]] = {}

    @property
    def inner(self) -> bytes:
        """The roots of the complete groups."""
        return self._upper[0]

    def node(self, height: int, offset: int) -> bytes:
        """Give the root of the complete subtree of hashes ``offset << height`` to ``(offset + 1 << height) - 1``.

        Args:
            height: 0 to 8.
            offset: Place among the nodes of that height.

        Raises:
            Fatal: ``log-tile-corrupt`` when the group that it lies in does not give its inner node.
        """
        if height >= INNER_HEIGHT:
            return _cut(self._upper[height - INNER_HEIGHT], offset)
        low = INNER_HEIGHT - height
        return _cut(self._group(offset >> low)[height], offset & (1 << low) - 1)

    def siblings(self, offset: int, rise: int) -> list[bytes]:
        """Give the siblings on the way from a hash up to the root of the subtree of that height, lowest first.

        Raises:
            Fatal: As ``node``.
        """
        path = []
        group, place = divmod(offset, INNER_WIDTH)
        for row in self._group(group)[: min(rise, INNER_HEIGHT)]:
            path.append(_cut(row, place ^ 1))
            place >>= 1
        for row in self._upper[: max(0, rise - INNER_HEIGHT)]:
            path.append(_cut(row, group ^ 1))
            group >>= 1
        return path

    def _group(self, number: int) -> list[bytes]:
        rows = self._groups.get(number)
        if rows is None:
            rows = rows_of(self.data[number * INNER_BYTES : (number + 1) * INNER_BYTES])
            if len(rows) > INNER_HEIGHT and rows[INNER_HEIGHT] != _cut(self.inner, number):
                raise Fatal(
                    "log-tile-corrupt",
                    f"{self._name} has at {number} an inner node that its hashes do not give",
                )
            self._groups[number] = rows
        return rows


def rows_of(data: bytes) -> list[bytes]:
    """Give the rows above some hashes, those first, each row the parents of the complete pairs below it."""
    rows = [data]
    while len(data) >= _PAIR_BYTES:
        data = _parents(data)
        rows.append(data)
    return rows


def hash_each(prefix: bytes, messages: Sequence[bytes]) -> list[bytes]:
    """Hash messages by SHA-256 one by one, a prefix in front of each."""
    digest = sha256
    return [digest(prefix + message).digest() for message in messages]


def inner_of(data: bytes, hash_all: HashAll = hash_each) -> bytes:
    """Give the roots of the complete groups among the hashes of tiles; of inner nodes, the roots of their tiles."""
    for _ in range(INNER_HEIGHT):
        data = _parents(data, hash_all)
    return data


def _cut(row: bytes, place: int) -> bytes:
    return row[place * HASH_BYTES : (place + 1) * HASH_BYTES]


def _parents(data: bytes, hash_all: HashAll = hash_each) -> bytes:
    """Hash complete pairs."""
    whole = data[: len(data) // _PAIR_BYTES * _PAIR_BYTES]
    return b"".join(hash_all(b"\x01", [pair for (pair,) in _PAIR.iter_unpack(whole)]))
