# SPDX-License-Identifier: Apache-2.0
"""The tiles of a log as the store holds them, read by the tree code."""

from __future__ import annotations

from typing import TYPE_CHECKING

from node.service.layout import tile_key

if TYPE_CHECKING:
    from node.ports import Reads
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
