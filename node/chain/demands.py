# SPDX-License-Identifier: Apache-2.0
"""AnchorLog's demands over an EVM chain's JSON-RPC; implements ``DemandChain`` (docs/chain.md)."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from node.core.clock import MAX_TIME
from node.errors import Unavailable
from node.evidence.promises import DemandOnChain, DemandState

if TYPE_CHECKING:
    from collections.abc import Sequence

    from node.chain.account import ChainAccount
    from node.chain.contracts import AnchorLog
    from node.core.types import LogId
    from node.log.anchor import Anchor
    from node.ports import SignedTransaction

DEMAND_GAS: Final = 200_000
ANSWER_GAS: Final = 400_000
"""The longest path among them."""
DEFAULT_GAS: Final = 100_000


@dataclass(frozen=True, slots=True)
class EvmDemands:
    """The demands of one network, made and answered with one operator key.

    Args:
        logs: The contract.
        account: Signs.
    """

    logs: AnchorLog
    account: ChainAccount

    def newest(self) -> tuple[int, int]:
        """Give number and time in seconds of the newest block."""
        block = self.logs.rpc.newest_block()
        return block.number, block.time

    def find_demand(self, log_id: LogId, index: int) -> DemandOnChain:
        """Say where the demand for an entry stands."""
        ((state, _, demanded_at, overdue_block, leaf),) = self.logs.read("demandOf", log_id, index)
        if state > max(DemandState) or demanded_at > MAX_TIME:
            raise Unavailable("chain-answer", f"chain node gives a malformed demand for entry {index}")
        return DemandOnChain(DemandState(state), demanded_at, leaf, overdue_block)

    def fetch_demanded(self, log_id: LogId, from_block: int, to_block: int) -> list[int]:
        """Fetch the indices that were demanded of a log in a range of blocks."""
        topics = (self.logs.abi.topic("Demanded"), log_id)
        events = self.logs.rpc.events(self.logs.address, topics, from_block=from_block, to_block=to_block)
        return [self.logs.abi.decode_event("Demanded", event.topics, event.data)["index"] for event in events]

    def sign_demand(self, log_id: LogId, index: int, nonce: int) -> SignedTransaction:
        """Sign a demand for an entry."""
        data = self.logs.abi.encode_call("demand", log_id, index)
        return self.account.sign(self.logs.address, data, gas=DEMAND_GAS, nonce=nonce)

    def sign_answer(
        self, log_id: LogId, anchor: Anchor, index: int, leaf: bytes, path: Sequence[bytes], nonce: int
    ) -> SignedTransaction:
        """Sign the answer to a demand."""
        fields = dataclasses.astuple(anchor)
        data = self.logs.abi.encode_call("answer", log_id, fields, index, leaf, list(path))
        return self.account.sign(self.logs.address, data, gas=ANSWER_GAS, nonce=nonce)

    def sign_default(self, log_id: LogId, index: int, nonce: int) -> SignedTransaction:
        """Sign that a demand is overdue, or a default."""
        data = self.logs.abi.encode_call("recordDefault", log_id, index)
        return self.account.sign(self.logs.address, data, gas=DEFAULT_GAS, nonce=nonce)
