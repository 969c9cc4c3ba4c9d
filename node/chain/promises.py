# SPDX-License-Identifier: Apache-2.0
"""What a verifier asks the chain node about a receipt: block times, the anchor over an entry, a demand, a closing.

Implements ``ReceiptChain`` of ``node.evidence``. As quick to import as ``node.chain.reader``: the words of four answers
are told apart by their places.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from node.chain.reader import RpcChainReader
from node.chain.rpc import CallReverted
from node.core.clock import MAX_TIME
from node.core.encoding import parse_hex
from node.core.types import RootHash
from node.crypto.keccak import keccak256
from node.errors import InvalidInput, Unavailable
from node.evidence.promises import DemandOnChain, DemandState
from node.log.anchor import Anchor, anchor_commitment

if TYPE_CHECKING:
    from collections.abc import Iterator

    from node.chain.rpc import Event

WINDOW_BLOCKS: Final = 1_000
"""Blocks asked of eth_getLogs at once; engines refuse more."""

_ADDRESS_BYTES: Final = 20
_WORD_BYTES: Final = 32
_HEAD: Final = keccak256(b"head(bytes32)")[:4]
_LOG_INFO: Final = keccak256(b"logInfo(bytes32)")[:4]
_DEMAND_OF: Final = keccak256(b"demandOf(bytes32,uint64)")[:4]
_ANCHORED: Final = keccak256(
    b"Anchored(bytes32,uint64,(uint64,uint64,uint64,uint64,uint64,bytes32,uint64,uint64))"
)
_UNKNOWN_LOG: Final = keccak256(b"UnknownLog(bytes32)")[:4]
_HEAD_WORDS: Final = 5
_INFO_WORDS: Final = 11
_CLOSES_AT: Final = 6
_DEMAND_WORDS: Final = 5
_ANCHOR_WORDS: Final = 8


class RpcReceiptReader(RpcChainReader):
    """A chain asked by JSON-RPC on behalf of one who verifies receipts."""

    def block_time(self, number: int) -> int:
        """Give the time in seconds of a block that is not newer than ``head_block``.

        Raises:
            Unavailable: ``chain-answer`` also when the chain node does not have the block.
        """
        return self._block(number).time

    def first_cover(self, contract: str, log_id: bytes, index: int) -> Anchor | None:
        """Find the anchor that is the first to cover an entry; None while none does, or without such a log.

        Anchors are walked back from the last one by their events; the one that is found is held against the
        contract's commitment, so that no event is believed by itself.

        Raises:
            Unavailable: ``chain-answer`` also when events are missing or contradict the commitment.
        """
        words = self._read(contract, _HEAD + log_id, _HEAD_WORDS)
        if words is None or words[0] <= index:
            return None
        last, to_block = words[1], words[2]
        for anchor in self._walk_back(contract, log_id, last, to_block):
            if anchor.prev_size <= index:
                if self.commitment(contract, log_id, anchor.i) != anchor_commitment(anchor):
                    break
                return anchor
        raise Unavailable(
            "chain-answer",
            f"chain node {self._rpc.place} gives no anchor over entry {index} that it has committed to",
        )

    def demand(self, contract: str, log_id: bytes, index: int) -> DemandOnChain:
        """Give where a demand for an entry stands."""
        data = _DEMAND_OF + log_id + index.to_bytes(_WORD_BYTES, "big")
        words = self._read(contract, data, _DEMAND_WORDS)
        if words is None or words[0] > max(DemandState) or words[2] > MAX_TIME:
            raise Unavailable("chain-answer", "the contract says nothing about demands")
        leaf = words[4].to_bytes(_WORD_BYTES, "big")
        return DemandOnChain(DemandState(words[0]), words[2], leaf, words[3])

    def closes_at(self, contract: str, log_id: bytes) -> int | None:
        """Give the second at which a log was or will be closed; None while no end is known, or without such a log."""
        words = self._read(contract, _LOG_INFO + log_id, _INFO_WORDS)
        if words is None or words[_CLOSES_AT] == 0:
            return None
        if words[_CLOSES_AT] > MAX_TIME:
            raise Unavailable(
                "chain-answer", f"chain node gives a time that is in no calendar: want at most {MAX_TIME}"
            )
        return words[_CLOSES_AT]

    def _walk_back(self, contract: str, log_id: bytes, last: int, to_block: int) -> Iterator[Anchor]:
        address = parse_hex(contract, length=_ADDRESS_BYTES)
        wanted = last
        while wanted:
            events = self._rpc.events(
                address,
                (_ANCHORED, log_id),
                from_block=max(0, to_block - WINDOW_BLOCKS + 1),
                to_block=to_block,
            )
            anchor = None
            for event in reversed(events):
                anchor = _parse_anchor(event)
                if anchor.i != wanted:
                    return
                wanted -= 1
                yield anchor
            if anchor is None:
                return
            to_block = anchor.prev_block

    def _read(self, contract: str, data: bytes, count: int) -> list[int] | None:
        """Call a function that changes nothing; None when it knows no such log."""
        try:
            answer = self._rpc.call(parse_hex(contract, length=_ADDRESS_BYTES), data)
        except CallReverted as reverted:
            if reverted.data[:4] == _UNKNOWN_LOG:
                return None
            answer = b""
        if len(answer) != count * _WORD_BYTES:
            raise Unavailable(
                "chain-answer", f"the contract gives {len(answer)} bytes, want {count * _WORD_BYTES}"
            )
        return _words(answer)


def _parse_anchor(event: Event) -> Anchor:
    if len(event.data) != _ANCHOR_WORDS * _WORD_BYTES:
        raise Unavailable("chain-answer", "chain node gives a malformed event of an anchor")
    i, prev_size, prev_block, prev_time, size, root, block, time = _words(event.data)
    try:
        return Anchor(
            i,
            prev_size,
            prev_block,
            prev_time,
            size,
            RootHash(root.to_bytes(_WORD_BYTES, "big")),
            block,
            time,
        )
    except InvalidInput as error:
        raise Unavailable("chain-answer", f"chain node gives a malformed event: {error.message}") from None


def _words(data: bytes) -> list[int]:
    return [int.from_bytes(data[at : at + _WORD_BYTES], "big") for at in range(0, len(data), _WORD_BYTES)]
