# SPDX-License-Identifier: Apache-2.0
"""A log in an audit: its tree as far as it was walked, and what the walk found out about it."""

from __future__ import annotations

from array import array
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from node.core.types import LeafHash
from node.log.merkle import HASH_BYTES
from node.log.tree import TILE_BYTES, TILE_WIDTH, TreeWriter

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from node.cage.numbering import Numbering
    from node.cage.rows import Scratch
    from node.log.anchor import Anchor


class Tiles:
    """The tree of a log that is being walked, as a ``TileReader``: leaf hashes outside memory, the rest inside."""

    def __init__(self, scratch: Scratch, name: str) -> None:
        self._scratch = scratch
        self._name = name
        self._writer = TreeWriter()
        self._upper: dict[tuple[int, int], bytes] = {}

    def extend(self, leaves: bytes) -> None:
        """Append leaf hashes back to back."""
        self._scratch.append(self._name, leaves)
        for write in self._writer.extend(leaves):
            if write.level:
                self._upper[write.level, write.index] = write.data

    def root(self) -> bytes:
        """Give the root of all that was appended."""
        return self._writer.root()

    def read_tile(self, level: int, index: int) -> bytes:
        """Read a tile."""
        if level:
            return self._upper.get((level, index), b"")
        return self._scratch.read(self._name, index * TILE_BYTES, TILE_BYTES)

    def leaves(self, size: int) -> Iterator[LeafHash]:
        """Give the leaf hashes of the first entries, a tile read at a time."""
        for start in range(0, size, TILE_WIDTH):
            tile = self.read_tile(0, start // TILE_WIDTH)[: (size - start) * HASH_BYTES]
            for at in range(0, len(tile), HASH_BYTES):
                yield LeafHash(tile[at : at + HASH_BYTES])

    def leaf(self, index: int) -> LeafHash:
        """Read one leaf hash."""
        return LeafHash(self._scratch.read(self._name, index * HASH_BYTES, HASH_BYTES))


@dataclass(slots=True)
class AuditedLog:
    """A log in the audit, and what the walk found out about it.

    Attributes:
        number: In this audit.
        member: USCC of its owner.
        origin: Its name.
        n: 0, or how many logs it succeeded.
        is_open: False for one that has a successor.
        anchors: From the chain, oldest first, each following the one before.
        tiles: Its tree.
        numbered: Its events that took numbers of receipts.
        size: Entries walked so far.
        events: Of them events.
        beats: Claimed times of its heartbeats, milliseconds, in their order.
        broken: Size of the first anchor whose root is another; None while all agree.
        partial: Why the walk ended early, None when it did not.
    """

    number: int
    member: str
    origin: str
    n: int
    is_open: bool
    anchors: Sequence[Anchor]
    tiles: Tiles
    numbered: Numbering
    size: int = 0
    events: int = 0
    beats: array[int] = field(default_factory=lambda: array("q"))
    broken: int | None = None
    partial: str | None = None

    @property
    def anchored(self) -> int:
        """Entries under the last anchor."""
        return self.anchors[-1].size if self.anchors else 0

    def find_cover(self, index: int) -> Anchor | None:
        """Find the first anchor over an entry, by halving."""
        low, high = 0, len(self.anchors)
        while low < high:
            middle = (low + high) // 2
            if self.anchors[middle].size <= index:
                low = middle + 1
            else:
                high = middle
        return self.anchors[low] if low < len(self.anchors) else None
