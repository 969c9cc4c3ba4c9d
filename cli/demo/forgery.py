# SPDX-License-Identifier: Apache-2.0
"""Three ways to cheat, made for the demonstration: a changed field, a rewritten log, somebody else's policy."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

from node.core.canonical import encode_json, parse_json
from node.core.encoding import encode_b64u, parse_b64u
from node.core.types import LeafHash, LogId, RootHash
from node.log.merkle import leaf_hash
from node.log.tiles import tile_path
from node.log.tree import TILE_WIDTH, TreeWriter, build_consistency_proof

if TYPE_CHECKING:
    from pathlib import Path

    from node.client.api import NodeClient
    from node.ports import TransactionOutcome

MAX_EVIDENCE_BYTES: Final = 2 << 20
MAX_DISCLOSURE_BYTES: Final = 1 << 20
HASH_BYTES: Final = 32


def change_one_character(evidence: bytes, field: str) -> tuple[bytes, str, str]:
    """Change one character of one disclosed field.

    Returns:
        The changed file, the field's value before and after.
    """
    file = parse_json(evidence, max_bytes=MAX_EVIDENCE_BYTES, what="evidence")
    jwt, *disclosures, end = file["record"].split("~")
    for place, text in enumerate(disclosures):
        salt, name, value = parse_json(parse_b64u(text), max_bytes=MAX_DISCLOSURE_BYTES, what="disclosure")
        if name == field:
            changed = value[:-1] + ("9" if value[-1] != "9" else "8")
            disclosures[place] = encode_b64u(encode_json([salt, name, changed]))
            file["record"] = "~".join([jwt, *disclosures, end])
            return encode_json(file), value, changed
    raise AssertionError(f"the evidence does not disclose {field}")


class _Tiles:
    """Tiles of a log that was rewritten, in memory."""

    def __init__(self, leaves: list[bytes]) -> None:
        self._tiles: dict[tuple[int, int], bytes] = {}
        self._writer = TreeWriter()
        for write in self._writer.extend(b"".join(leaves)):
            self._tiles[write.level, write.index] = write.data

    def read_tile(self, level: int, index: int) -> bytes:
        """Read a tile."""
        return self._tiles.get((level, index), b"")

    def root(self) -> RootHash:
        """Give the root over all leaves."""
        return self._writer.root()


def fetch_leaves(client: NodeClient, size: int) -> list[bytes]:
    """Fetch the leaf hashes of a node's records log from its open tiles."""
    leaves: list[bytes] = []
    for index in range(-(-size // TILE_WIDTH)):
        width = min(TILE_WIDTH, size - index * TILE_WIDTH)
        data = client.get_bytes(f"/log/records/0/{tile_path(0, index, width)}")
        leaves.extend(data[at : at + HASH_BYTES] for at in range(0, len(data), HASH_BYTES))
    return leaves


def send_rewritten_log(home: Path, client: NodeClient, anchored_size: int, victim: int) -> TransactionOutcome:
    """Anchor a log in which one old entry was replaced, with the department's own operator key.

    The node itself would refuse; this goes past it, straight to the contract.

    Args:
        home: Home directory of the node.
        client: The node, for its public tiles.
        anchored_size: Size of the log's last anchor.
        victim: Index of the entry that is replaced.

    Returns:
        What became of the transaction.
    """
    from node.bootstrap import chain_url, load_network
    from node.chain.evm import EvmChain
    from node.chain.rpc import Rpc
    from node.chain.transport import HttpTransport
    from node.config import load_settings
    from node.log.checkpoint import build_origin, log_id
    from node.ports import AnchorRequest
    from node.service.assembly import LOG_NUMBERS
    from node.storage.keyfiles import load_keys, load_private

    settings = load_settings(home)
    network = load_network(settings)
    passphrase = load_private(home / "keys" / "passphrase").decode().strip()
    keys = load_keys(home / "keys", passphrase, {log.text: n for log, n in LOG_NUMBERS.items()})
    leaves = fetch_leaves(client, anchored_size)
    leaves[victim] = leaf_hash(b"this penalty never happened")
    leaves.append(LeafHash(leaf_hash(b"and here is a new entry")))
    forged = _Tiles(leaves)
    proof = build_consistency_proof(forged, anchored_size, len(leaves))
    origin = build_origin(network.domain, settings.member, "records", 0)
    request = AnchorRequest(LogId(log_id(origin)), len(leaves), forged.root(), proof)
    chain: Any = EvmChain(Rpc(HttpTransport(chain_url(settings, network))), network.settings(), keys.operator)
    try:
        signed = chain.sign_anchor([request], chain.next_nonce())
        chain.send(signed.raw)
        for _ in range(200):
            outcome: TransactionOutcome | None = chain.find_outcome(signed.tx_hash)
            if outcome is not None:
                return outcome
            time.sleep(0.1)
    finally:
        chain.close()
    raise AssertionError("the chain did not settle the transaction in 20 seconds")
