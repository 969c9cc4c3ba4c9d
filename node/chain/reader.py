# SPDX-License-Identifier: Apache-2.0
"""What a verifier asks the chain node that its policy names: id, a block's hash, a commitment, the height.

Implements the Protocol ``ChainReader`` of ``node.evidence``. Quick to import: no web3, no ABI library, because one
function with two words in and one word out needs neither.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from node.chain.rpc import CallReverted, Rpc
from node.chain.transport import HttpTransport
from node.core.encoding import parse_hex
from node.crypto.keccak import keccak256
from node.errors import InvalidInput, Unavailable

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

    from node.chain.rpc import Block

_ADDRESS_BYTES: Final = 20
_WORD_BYTES: Final = 32
_COMMITMENT: Final = keccak256(b"commitment(bytes32,uint64)")[:4]
_MAX_I: Final = 2**64 - 1


class RpcChainReader:
    """A chain asked by JSON-RPC on behalf of a verifier.

    Args:
        url: Address of the chain node, from the verifier's own policy.

    Raises:
        InvalidInput: ``chain-url``.
    """

    def __init__(self, url: str) -> None:
        self._rpc = Rpc(HttpTransport(url))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Release the connection."""
        self._rpc.close()

    def chain_id(self) -> int:
        """Give the id of the chain."""
        return self._rpc.chain_id()

    def block_hash(self, number: int) -> bytes:
        """Give the hash, 32 bytes, of a block that is not newer than :meth:`head_block`.

        Raises:
            Unavailable: ``chain-answer`` also when the chain node does not have the block.
        """
        return self._block(number).hash

    def head_block(self) -> int:
        """Give the height of the newest block."""
        return self._rpc.block_number()

    def commitment(self, contract: str, log_id: bytes, i: int) -> bytes:
        """Give what AnchorLog keeps of anchor ``i`` of a log: 32 bytes, zeros when there is none.

        Args:
            contract: Address of AnchorLog, 0x and 40 lower-case digits.
            log_id: 32 bytes.
            i: Number of the anchor, from 1.

        Raises:
            InvalidInput: ``hex`` or ``chain-call`` for a malformed argument.
            Unavailable: ``chain-answer`` also when there is no such contract.
        """
        if len(log_id) != _WORD_BYTES or not 0 <= i <= _MAX_I:
            raise InvalidInput(
                "chain-call", "log id or anchor number does not fit: want 32 bytes and 64 bits"
            )
        data = _COMMITMENT + log_id + i.to_bytes(_WORD_BYTES, "big")
        try:
            word = self._rpc.call(parse_hex(contract, length=_ADDRESS_BYTES), data)
        except CallReverted:
            word = b""
        if len(word) != _WORD_BYTES:
            raise Unavailable(
                "chain-answer", f"the contract gives no commitment: got {len(word)} bytes, want {_WORD_BYTES}"
            )
        return word

    def _block(self, number: int) -> Block:
        block = self._rpc.find_block(number)
        if block is None:
            raise Unavailable("chain-answer", f"chain node {self._rpc.place} does not have block {number}")
        return block
