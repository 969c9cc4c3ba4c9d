# SPDX-License-Identifier: Apache-2.0
"""An accepted anchor as the contract keeps it (docs/protocol section 3)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from node.crypto.keccak import keccak256
from node.errors import InvalidInput
from node.log.merkle import HASH_BYTES, MAX_SIZE

if TYPE_CHECKING:
    from node.core.types import RootHash

_WORD_BYTES: Final = 32


@dataclass(frozen=True, slots=True)
class Anchor:
    """One anchor of one log, with what binds it to the anchor before.

    Attributes:
        i: Number of the anchor in its log, from 1.
        prev_size: Entries under the previous anchor; 0 for the first.
        prev_block: Block of the previous anchor; of ``openLog`` for the first.
        prev_time: Time of that block in seconds.
        size: Entries under this anchor.
        root: Root of the tree of that size, 32 bytes.
        block: Block of this anchor.
        time: Time of that block in seconds.

    Raises:
        InvalidInput: ``anchor-form`` when no contract could have accepted it.
    """

    i: int
    prev_size: int
    prev_block: int
    prev_time: int
    size: int
    root: RootHash
    block: int
    time: int

    def __post_init__(self) -> None:
        numbers = (self.i, self.prev_size, self.prev_block, self.prev_time, self.size, self.block, self.time)
        if any(not 0 <= number <= MAX_SIZE for number in numbers) or len(self.root) != HASH_BYTES:
            raise InvalidInput(
                "anchor-form", f"anchor {self.i} has a number out of range or a root not of 32 bytes"
            )
        grows = self.prev_size <= self.size and self.prev_block <= self.block and self.prev_time <= self.time
        if not self.i or not grows or (self.i == 1 and self.prev_size):
            raise InvalidInput("anchor-form", f"anchor {self.i} does not continue the anchor before it")


def encode_anchor_abi(anchor: Anchor) -> bytes:
    """Encode as ``abi.encode(Anchor)``: eight words in the order of the struct."""
    return b"".join(
        (
            _word(anchor.i),
            _word(anchor.prev_size),
            _word(anchor.prev_block),
            _word(anchor.prev_time),
            _word(anchor.size),
            anchor.root,
            _word(anchor.block),
            _word(anchor.time),
        )
    )


def anchor_commitment(anchor: Anchor) -> bytes:
    """Hash to the 32 bytes in the contract's history slot of this anchor."""
    return keccak256(encode_anchor_abi(anchor))


def _word(number: int) -> bytes:
    return number.to_bytes(_WORD_BYTES, "big")
