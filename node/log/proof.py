# SPDX-License-Identifier: Apache-2.0
"""Inclusion proofs as text that other tools read (C2SP tlog-proof, docs/protocol section 5).

    c2sp.org/tlog-proof@v1
    extra <base64>                  optional, authenticated by nothing
    index <decimal>
    <base64 hash>                   any number, leaf sibling first
                                    (an empty line)
    <signed checkpoint, verbatim>

The size of the tree is not in the proof: it comes from the checkpoint, under its signature.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from node.core.encoding import encode_b64, parse_b64, parse_decimal
from node.errors import InvalidInput
from node.log.checkpoint import MAX_CHECKPOINT, verify_checkpoint
from node.log.merkle import HASH_BYTES, MAX_SIZE, verify_inclusion

if TYPE_CHECKING:
    from collections.abc import Sequence

    from node.core.types import LeafHash
    from node.crypto.note import VKey
    from node.log.checkpoint import VerifiedCheckpoint

HEADER: Final = "c2sp.org/tlog-proof@v1"
MAX_PATH: Final = 63
MAX_PROOF: Final = 2 * MAX_CHECKPOINT
"""Greatest length of a proof in characters."""

_EXTRA: Final = "extra "
_INDEX: Final = "index "


@dataclass(frozen=True, slots=True)
class TlogProof:
    """An inclusion proof with the checkpoint it leads to; nothing in it is verified.

    Attributes:
        index: Place of the entry.
        path: Sibling hashes of 32 bytes, leaf sibling first, at most 63.
        checkpoint_note: The signed checkpoint as received.
        extra: Bytes that nothing authenticates; None when there are none, never empty.
    """

    index: int
    path: tuple[bytes, ...]
    checkpoint_note: str
    extra: bytes | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.index < MAX_SIZE:
            raise InvalidInput("tlog-proof-form", f"proof index is {self.index}, want below {MAX_SIZE}")
        if len(self.path) > MAX_PATH or any(len(item) != HASH_BYTES for item in self.path):
            raise InvalidInput("tlog-proof-form", f"proof path is not at most {MAX_PATH} hashes of 32 bytes")
        if not self.checkpoint_note.strip("\n") or not self.checkpoint_note.endswith("\n"):
            raise InvalidInput("tlog-proof-form", "proof has no checkpoint that ends in a newline")
        if self.extra is not None and not self.extra:
            raise InvalidInput("tlog-proof-form", "proof has an extra line without data")


def encode_tlog_proof(proof: TlogProof) -> str:
    """Encode a proof."""
    lines = [HEADER]
    if proof.extra is not None:
        lines.append(_EXTRA + encode_b64(proof.extra))
    lines.append(f"{_INDEX}{proof.index}")
    lines.extend(encode_b64(item) for item in proof.path)
    return "\n".join(lines) + "\n\n" + proof.checkpoint_note


def parse_tlog_proof(text: str) -> TlogProof:
    """Parse a proof, untrusted; its checkpoint is taken verbatim and not looked into.

    Raises:
        InvalidInput: ``tlog-proof-length``, ``tlog-proof-form``, and the codes of number and base64.
    """
    if len(text) > MAX_PROOF:
        raise InvalidInput("tlog-proof-length", f"proof has {len(text)} characters, want at most {MAX_PROOF}")
    head, separator, note = text.partition("\n\n")
    header, *lines = head.split("\n")
    if header != HEADER or not separator:
        raise InvalidInput("tlog-proof-form", f"proof does not start with {HEADER} and end in a checkpoint")
    extra = None
    if lines and lines[0].startswith(_EXTRA):
        extra = parse_b64(lines.pop(0).removeprefix(_EXTRA))
    if not lines or not lines[0].startswith(_INDEX):
        raise InvalidInput("tlog-proof-form", "proof has no index line where one is due")
    if len(lines) > 1 + MAX_PATH:
        raise InvalidInput("tlog-proof-form", f"proof has {len(lines) - 1} hashes, want at most {MAX_PATH}")
    index = parse_decimal(lines[0].removeprefix(_INDEX), maximum=MAX_SIZE - 1)
    path = tuple(parse_b64(line, length=HASH_BYTES) for line in lines[1:])
    return TlogProof(index, path, note, extra)


def verify_tlog_proof(proof: TlogProof, leaf: LeafHash, vkeys: Sequence[VKey]) -> VerifiedCheckpoint:
    """Verify that a leaf is in the log that signed the proof's checkpoint, and return that checkpoint.

    Args:
        proof: Parsed proof, untrusted.
        leaf: Leaf hash computed from the entry's bytes.
        vkeys: Trusted log keys.

    Raises:
        InvalidInput: The checkpoint is malformed.
        Verification: A signature or the path does not hold.
    """
    verified = verify_checkpoint(proof.checkpoint_note, vkeys)
    verify_inclusion(proof.index, verified.checkpoint.size, leaf, proof.path, verified.checkpoint.root)
    return verified
