# SPDX-License-Identifier: Apache-2.0
"""Other members' logs as gossip reads them: keys from the chain, tiles from their nodes (C2SP tlog-tiles).

Trust: nothing of the tiles; whoever reads them recomputes a root that a signature covered. Of a log's two keys the
Ed25519 one is taken: the chain names the other by digest alone, and ML-DSA keys are trusted from a policy only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from node.crypto.note import ED25519, build_vkey
from node.errors import Unavailable
from node.log.checkpoint import log_id, parse_origin
from node.log.merkle import HASH_BYTES
from node.log.tiles import tile_path, tile_width
from node.ports.peers import PeerAddress

if TYPE_CHECKING:
    from collections.abc import Sequence

    from node.client.peers import PeerPost
    from node.core.types import MemberCode
    from node.crypto.note import VKey
    from node.log.tree import TileReader
    from node.ports import AnchorChain


class PeerLogs:
    """Implements ``node.ports.witnesses.LogSources``.

    Args:
        chain: Says whose log it is, its key, and where the member's node is.
        post: Fetches the tiles.
    """

    def __init__(self, chain: AnchorChain, post: PeerPost) -> None:
        self._chain = chain
        self._post = post

    def find_vkeys(self, origin: str) -> Sequence[VKey]:
        """Find the Ed25519 key of a log that is on the chain.

        Raises:
            Unavailable: The chain cannot be asked now.
        """
        info = self._chain.log_info(log_id(origin))
        if info is None or info.member != parse_origin(origin).member:
            return ()
        return (build_vkey(origin, ED25519, info.ed25519),)

    def open_tiles(self, origin: str, size: int) -> TileReader:
        """Give the tiles of a log at a size; reading one raises Unavailable when it does not come."""
        parsed = parse_origin(origin)
        return _PeerTiles(self, parsed.member, f"/log/{parsed.kind}/{parsed.n}", size)

    def fetch(self, member: MemberCode, path: str) -> bytes:
        """Fetch what a member's node shows.

        Raises:
            NodeError: It does not answer, or has not said where it is.
        """
        endpoint = self._chain.endpoint(member)
        if endpoint is None:
            raise Unavailable("peer-unreachable", f"the chain does not say where {member} is reached")
        return self._post.get(PeerAddress(member, endpoint.url, endpoint.tls_key), path).result()


class _PeerTiles:
    def __init__(self, logs: PeerLogs, member: MemberCode, path: str, size: int) -> None:
        self._logs = logs
        self._member = member
        self._path = path
        self._size = size

    def read_tile(self, level: int, index: int) -> bytes:
        """Read the hashes that a tile has in a tree of this size."""
        width = tile_width(level, index, self._size)
        if not width:
            return b""
        data = self._logs.fetch(self._member, f"{self._path}/{tile_path(level, index, width)}")
        if len(data) != width * HASH_BYTES:
            raise Unavailable(
                "peer-answer", f"{self._member} gives a tile of {len(data)} bytes, want {width * HASH_BYTES}"
            )
        return data
