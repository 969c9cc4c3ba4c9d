# SPDX-License-Identifier: Apache-2.0
"""The tiles of a log as another node serves them (C2SP tlog-tiles). Everything that comes is untrusted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from node.errors import Unavailable
from node.log.merkle import HASH_BYTES
from node.log.tiles import tile_path, tile_width

if TYPE_CHECKING:
    from node.client.api import NodeClient
    from node.log.checkpoint import Origin


class RemoteTiles:
    """A ``node.log.tree.TileReader`` over HTTP, for the tree of one size.

    Args:
        client: Calls the node.
        origin: The log.
        size: Entries of the tree, from its signed checkpoint.
    """

    def __init__(self, client: NodeClient, origin: Origin, size: int) -> None:
        self._client = client
        self._base = f"/log/{origin.kind}/{origin.n}"
        self._size = size

    def read_tile(self, level: int, index: int) -> bytes:
        """Fetch the hashes that a tile has in the tree of this size; none where it has no such tile.

        Raises:
            Unavailable: ``peer-tile`` when another number of bytes comes, or the node does not answer.
            NotFound, AccessDenied: The node's own refusal.
        """
        width = tile_width(level, index, self._size)
        if not width:
            return b""
        data = self._client.get_bytes(f"{self._base}/{tile_path(level, index, width)}")
        if len(data) != width * HASH_BYTES:
            raise Unavailable(
                "peer-tile", f"tile ({level}, {index}) has {len(data)} bytes, want {width * HASH_BYTES}"
            )
        return data
