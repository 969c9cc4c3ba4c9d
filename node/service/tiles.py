# SPDX-License-Identifier: Apache-2.0
"""The tiles of a log in the store, and the inner nodes beside them, as the tree code reads and writes them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from node.log.tree import TileCache
from node.service.layout import inner_key, tile_key

if TYPE_CHECKING:
    from collections.abc import Iterable

    from node.log.tree import TileWrite
    from node.ports import Batch, Reads
    from node.service.layout import LogKind


class StoredTiles:
    """A ``node.log.tree.TileReader`` over the store."""

    def __init__(self, reads: Reads, log: LogKind, number: int = 0) -> None:
        self._reads = reads
        self._log = log
        self._number = number

    def read_tile(self, level: int, index: int) -> bytes:
        """Read all hashes stored in a tile; empty when there is none."""
        return self._reads.get(tile_key(self._log, level, index, self._number)) or b""

    def read_inner(self, level: int, index: int) -> bytes:
        """Read the inner nodes stored beside a tile; empty when there are none."""
        return self._reads.get(inner_key(self._log, level, index, self._number)) or b""

    def cached(self) -> TileCache:
        """Read through a cache, from which proofs are built."""
        return TileCache(self, self.read_inner)


def put_tiles(batch: Batch, log: LogKind, number: int, writes: Iterable[TileWrite]) -> None:
    """Write the tiles that an extension touched, and inner nodes beside those that became full."""
    for write in writes:
        batch.put(tile_key(log, write.level, write.index, number), write.data)
        if write.inner:
            batch.put(inner_key(log, write.level, write.index, number), write.inner)
