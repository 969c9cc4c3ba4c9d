# SPDX-License-Identifier: Apache-2.0
"""What an auditor asks the chain node that his policy names: all anchors of a log, and which block followed a time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from node.chain.contracts import AnchorLog, load_abi
from node.chain.rpc import CallReverted, Rpc
from node.chain.transport import HttpTransport
from node.core.encoding import parse_hex
from node.errors import Unavailable, Verification
from node.log.checkpoint import log_id

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

    from node.chain.rpc import Block
    from node.evidence.policy import TrustedChain
    from node.log.anchor import Anchor

_ADDRESS_BYTES: Final = 20


class RpcAuditChain:
    """The chain of a policy, asked by JSON-RPC; an ``AuditChain`` of ``node.cage``. All answers are of one moment.

    Args:
        trust: The chain that the auditor believes.
        url: Address of a chain node.

    Raises:
        InvalidInput: ``chain-url``.
    """

    def __init__(self, trust: TrustedChain, url: str) -> None:
        self._trust = trust
        self._rpc = Rpc(HttpTransport(url))
        contract = parse_hex(trust.contract, length=_ADDRESS_BYTES)
        self._contract = AnchorLog(self._rpc, contract, load_abi("AnchorLog"))
        self._head: Block | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._rpc.close()

    def check(self) -> None:
        """Make sure that it is the chain of the policy.

        Raises:
            Verification: ``chain-wrong-chain``.
            Unavailable: It gives no answer.
        """
        block = self._rpc.find_block(self._trust.block)
        if self._rpc.chain_id() != self._trust.id or block is None or block.hash != self._trust.hash:
            raise Verification(
                "chain-wrong-chain",
                f"the chain node at {self._rpc.place} has another chain than the policy names",
            )

    def now_seconds(self) -> int:
        """Give the time of the block up to which the chain is looked at."""
        return self._newest().time

    def head_block(self) -> int:
        """Give its height."""
        return self._newest().number

    def anchors(self, origin: str) -> list[Anchor]:
        """Give all anchors of a log, oldest first; none for a log that was never opened.

        Raises:
            Unavailable: ``chain-answer`` also when they do not follow each other.
        """
        self._newest()
        try:
            return [anchor for anchor, _ in self._contract.fetch_anchors(log_id(origin), 1)]
        except CallReverted:
            return []

    def closes_at(self, origin: str) -> int | None:
        """Give the second at which a log was or will be closed; None while no end is known, or without such a log."""
        try:
            return self._contract.info(log_id(origin)).closes_at
        except CallReverted:
            return None

    def find_block_after(self, seconds: int) -> int | None:
        """Find the first block later than a time; None while there is none."""
        head = self._newest()
        if head.time <= seconds:
            return None
        low, high = 0, head.number
        while low < high:
            middle = (low + high) // 2
            block = self._rpc.find_block(middle)
            if block is None:
                raise Unavailable(
                    "chain-answer", f"chain node {self._rpc.place} does not have block {middle}"
                )
            if block.time > seconds:
                high = middle
            else:
                low = middle + 1
        return low

    def _newest(self) -> Block:
        if self._head is None:
            self._head = self._rpc.find_block("latest")
            if self._head is None:
                raise Unavailable("chain-answer", f"chain node {self._rpc.place} has no newest block")
        return self._head
