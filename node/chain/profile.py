# SPDX-License-Identifier: Apache-2.0
"""Engine profiles: what a transaction costs on an engine and when one of its blocks is final (docs/chain.md).

Finality is a property of the consensus and cannot be asked from an arbitrary chain node, so it comes from the
engine's name in the network file and not from the RPC.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from node.errors import InvalidInput

Finality = Literal["block", "depth", "tag"]

CLIQUE_GAS_PRICE_WEI: Final = 1_000_000_000
"""Relayed by geth's default pool; at 0 only the node that was asked would mine it."""

DEFAULT_DEPTH_BLOCKS: Final = 12
"""Blocks on top after which an unknown engine without the tag ``finalized`` counts as settled."""

ENGINES: Final = ("anvil", "qbft", "fisco", "clique", "other")


@dataclass(frozen=True, slots=True)
class EngineProfile:
    """How to use one engine.

    Attributes:
        engine: Its name.
        gas_price_wei: Price of every transaction.
        finality: ``block``: what is in a block stays. ``depth``: ``depth_blocks`` blocks on top make it stay.
            ``tag``: what the engine calls ``finalized`` stays; an engine without that tag goes by depth.
        depth_blocks: Blocks on top, 0 where finality is ``block``.
    """

    engine: str
    gas_price_wei: int
    finality: Finality
    depth_blocks: int

    def is_final(self, block: int, newest: int, finalized: int | None) -> bool:
        """Tell whether a block of the present history can no longer be taken back.

        Args:
            block: Its height.
            newest: Height of the newest block.
            finalized: Height of the block that the engine calls finalized, None where there is no such tag.
        """
        if self.finality == "tag" and finalized is not None:
            return block <= finalized
        return newest - block >= self.depth_blocks


def build_profile(
    engine: str,
    *,
    gas_price_wei: int | None = None,
    signers: int | None = None,
    depth_blocks: int | None = None,
) -> EngineProfile:
    """Build the profile of an engine from the settings of the network file.

    Args:
        engine: One of ENGINES.
        gas_price_wei: Instead of the engine's own price.
        signers: For clique, and only there: number of signers, at least 1.
        depth_blocks: For other, and only there: blocks on top that settle a block, at least 1.

    Raises:
        InvalidInput: ``chain-engine``.
    """
    if engine not in ENGINES:
        raise InvalidInput("chain-engine", f"unknown engine: want one of {', '.join(ENGINES)}")
    if (signers is not None) != (engine == "clique") or (depth_blocks is not None and engine != "other"):
        raise InvalidInput(
            "chain-engine", f"settings do not fit {engine}: want signers with clique, depth with other only"
        )
    if (signers is not None and signers < 1) or (depth_blocks is not None and depth_blocks < 1):
        raise InvalidInput("chain-engine", f"settings of {engine} are out of range: want at least 1")
    finality: Finality = "block"
    own_price, depth = 0, 0
    if signers is not None:
        # Clique lets a signer seal at most one of floor(n/2)+1 consecutive blocks, so as many blocks on top have
        # as many distinct signers: more than half stand behind the block.
        own_price, finality, depth = CLIQUE_GAS_PRICE_WEI, "depth", signers // 2 + 1
    elif engine == "other":
        own_price, finality, depth = CLIQUE_GAS_PRICE_WEI, "tag", depth_blocks or DEFAULT_DEPTH_BLOCKS
    return EngineProfile(engine, own_price if gas_price_wei is None else gas_price_wei, finality, depth)
