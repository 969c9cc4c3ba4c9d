# SPDX-License-Identifier: Apache-2.0
"""Demands on the chain: a member asks which leaf stands at a place, its log's owner shows it (protocol section 3)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from node.core.types import LogId
    from node.evidence.promises import DemandOnChain
    from node.log.anchor import Anchor
    from node.ports.chain import SignedTransaction


class DemandChain(Protocol):
    """AnchorLog's demands as one member's node sees and uses them. Signing sends and asks nothing.

    Raises (every method that asks):
        Unavailable: ``chain-away``, ``chain-answer`` or ``chain-rpc``. The same call may succeed later.
    """

    def newest(self) -> tuple[int, int]:
        """Give number and time in seconds of the newest block."""
        ...

    def find_demand(self, log_id: LogId, index: int) -> DemandOnChain:
        """Say where the demand for an entry stands; its state is NONE when there is none."""
        ...

    def fetch_demanded(self, log_id: LogId, from_block: int, to_block: int) -> list[int]:
        """Fetch the indices that were demanded of a log in a range of at most 1,000 blocks, both inclusive."""
        ...

    def sign_demand(self, log_id: LogId, index: int, nonce: int) -> SignedTransaction:
        """Sign a demand for an entry that an anchor covers."""
        ...

    def sign_answer(
        self,
        log_id: LogId,
        anchor: Anchor,
        index: int,
        leaf: bytes,
        path: Sequence[bytes],
        nonce: int,
    ) -> SignedTransaction:
        """Sign the answer to a demand.

        Args:
            log_id: The log.
            anchor: Any anchor of it that covers the entry, as the chain accepted it.
            index: The entry.
            leaf: Its leaf hash, 32 bytes.
            path: Its inclusion path in the tree of the anchor.
            nonce: Of this member's operator key.
        """
        ...

    def sign_default(self, log_id: LogId, index: int, nonce: int) -> SignedTransaction:
        """Sign the note that a demand is overdue; a hundred blocks later, signed again, that it is a default."""
        ...
