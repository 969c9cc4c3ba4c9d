# SPDX-License-Identifier: Apache-2.0
"""Checkpoints: what a log signs about itself (docs/protocol section 2 *Checkpoint*, C2SP tlog-checkpoint).

    <origin>
    <size>
    <base64 of the root>            the body ends here
                                    (an empty line)
    — <origin> <base64>             Ed25519 (0x01) over the body
    — <origin> <base64>             ML-DSA-44 (0x06) over (origin, 0, size, root) and the time

C2SP allows extension lines after the root. They are refused here, because the ML-DSA-44 line does not cover them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from typing import TYPE_CHECKING, Final, Literal, cast

from node.core.encoding import encode_b64, parse_b64, parse_decimal
from node.core.types import LogId, RootHash
from node.core.uscc import parse_uscc
from node.crypto.note import (
    ED25519,
    Note,
    encode_note,
    find_signatures,
    parse_note,
    sign_note,
    sign_subtree,
    verify_note_signature,
    verify_subtree,
)
from node.errors import InvalidInput, Verification
from node.log.merkle import EMPTY_ROOT, HASH_BYTES, MAX_SIZE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from node.core.types import MemberCode
    from node.crypto.ed25519 import Ed25519Signer
    from node.crypto.mldsa import MlDsa44Signer
    from node.crypto.note import VKey

MAX_CHECKPOINT: Final = 65_536
"""Greatest length of a signed checkpoint in characters: our two lines and a dozen post-quantum witnesses."""

MAX_ORIGIN: Final = 255
_BODY_LINES: Final = 3
_DOMAIN: Final = re.compile(r"[a-z0-9.-]{1,63}")
_KINDS: Final = ("records", "access")

LogKindText = Literal["records", "access"]


@dataclass(frozen=True, slots=True)
class Origin:
    """The name of a log, taken apart.

    Attributes:
        domain: Exchange domain.
        member: The member whose log it is.
        kind: ``records`` or ``access``.
        n: 0 for the first log of that kind, one more with each succession.
    """

    domain: str
    member: MemberCode
    kind: LogKindText
    n: int


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What a log says of itself: (origin, size, root).

    Raises:
        InvalidInput: ``checkpoint-form`` when a value cannot stand in a checkpoint.
    """

    origin: str
    size: int
    root: RootHash

    def __post_init__(self) -> None:
        if not self.origin.isprintable() or not 0 < len(self.origin.encode()) <= MAX_ORIGIN:
            raise InvalidInput(
                "checkpoint-form", f"origin is not one printable line of 1 to {MAX_ORIGIN} bytes"
            )
        if not 0 <= self.size <= MAX_SIZE:
            raise InvalidInput("checkpoint-form", f"checkpoint size is {self.size}, want 0 to {MAX_SIZE}")
        if len(self.root) != HASH_BYTES:
            raise InvalidInput("checkpoint-form", f"checkpoint root has {len(self.root)} bytes, want 32")
        if not self.size and self.root != EMPTY_ROOT:
            raise InvalidInput(
                "checkpoint-form", "checkpoint of an empty log has another root than the empty tree"
            )


@dataclass(frozen=True, slots=True)
class VerifiedCheckpoint:
    """A checkpoint whose signatures hold.

    Attributes:
        checkpoint: The tree head.
        algorithms: What signed it: always ``ed25519``, and ``ml-dsa-44`` when that line was there and its key known.
        timestamp_seconds: Time in the ML-DSA-44 line, a claim of the signer; None without that line.
    """

    checkpoint: Checkpoint
    algorithms: frozenset[str]
    timestamp_seconds: int | None


def build_origin(domain: str, member: str, kind: str, n: int) -> str:
    """Build the origin ``<domain>/<USCC>/<records|access>/<n>``.

    Raises:
        InvalidInput: ``origin-form`` or the code of the member code's own fault.
    """
    origin = f"{domain}/{member}/{kind}/{n}"
    parse_origin(origin)
    return origin


def parse_origin(text: str) -> Origin:
    """Parse the origin of one of our logs.

    Raises:
        InvalidInput: ``origin-form`` when it is not ``<domain>/<USCC>/<records|access>/<n>``, or the code of the
            member code's or number's own fault.
    """
    # What is no text is refused as it always was; it may be nothing that a cache can look for.
    return _parse_origin_once(text) if type(text) is str else _parse_origin(text)


def _parse_origin(text: str) -> Origin:
    match text.split("/"):
        case [domain, member, kind, number] if _DOMAIN.fullmatch(domain) and kind in _KINDS:
            return Origin(domain, parse_uscc(member), cast("LogKindText", kind), parse_decimal(number))
        case _:
            raise InvalidInput("origin-form", "origin is not <domain>/<member>/<records|access>/<n>")


_parse_origin_once: Final = lru_cache(maxsize=1024)(_parse_origin)
"""Every message names the same few logs many times."""


def log_id(origin: str) -> LogId:
    """Hash an origin to the id that contracts know the log by."""
    return LogId(sha256(origin.encode()).digest())


def encode_checkpoint(checkpoint: Checkpoint) -> str:
    """Encode the body of a checkpoint: three lines, each with its newline."""
    return f"{checkpoint.origin}\n{checkpoint.size}\n{encode_b64(checkpoint.root)}\n"


def parse_checkpoint(body: str) -> Checkpoint:
    """Parse the body of a checkpoint, of any log.

    Args:
        body: Text of the note, untrusted until its signatures are checked.

    Raises:
        InvalidInput: ``checkpoint-form`` unless it is exactly three lines, and the codes of number and base64.
    """
    lines = body.split("\n")
    if len(lines) != _BODY_LINES + 1 or lines[-1]:
        raise InvalidInput(
            "checkpoint-form", f"checkpoint has {len(lines) - 1} lines, want origin, size and root"
        )
    return Checkpoint(
        lines[0],
        parse_decimal(lines[1], maximum=MAX_SIZE),
        RootHash(parse_b64(lines[2], length=HASH_BYTES)),
    )


def parse_signed_checkpoint(note: str) -> tuple[Checkpoint, Note]:
    """Parse a signed checkpoint without checking a signature, to learn whose keys to look up.

    Raises:
        InvalidInput: ``checkpoint-length``, and the codes of note and body.
    """
    if len(note) > MAX_CHECKPOINT:
        raise InvalidInput(
            "checkpoint-length", f"checkpoint has {len(note)} characters, want at most {MAX_CHECKPOINT}"
        )
    return _parse_signed_once(note) if type(note) is str else _parse_signed(note)


def _parse_signed(note: str) -> tuple[Checkpoint, Note]:
    parsed = parse_note(note)
    return parse_checkpoint(parsed.text), parsed


_parse_signed_once: Final = lru_cache(maxsize=64)(_parse_signed)
"""A message has its checkpoints read as it comes in, for the chain, and for gossip; and most show the same one."""


def sign_checkpoint(
    checkpoint: Checkpoint, ed25519: Ed25519Signer, ml_dsa_44: MlDsa44Signer, timestamp_seconds: int
) -> str:
    """Sign a checkpoint with both keys of its log.

    The caller has derived the root from stored tiles, holds it durable in the head file, and signs no other
    root at this size, ever.

    Args:
        checkpoint: The tree head.
        ed25519: The log's Ed25519 key.
        ml_dsa_44: The log's ML-DSA-44 key.
        timestamp_seconds: Time of signing.

    Returns:
        The signed note.
    """
    body = encode_checkpoint(checkpoint)
    lines = (
        sign_note(body, checkpoint.origin, ed25519),
        sign_subtree(
            ml_dsa_44,
            name=checkpoint.origin,
            timestamp_seconds=timestamp_seconds,
            origin=checkpoint.origin,
            start=0,
            end=checkpoint.size,
            root=checkpoint.root,
        ),
    )
    return encode_note(Note(body, lines))


def verify_checkpoint(note: str, vkeys: Sequence[VKey]) -> VerifiedCheckpoint:
    """Verify a signed checkpoint against the log keys that the verifier trusts.

    Only keys named like the origin count: a checkpoint is signed by its own log. Lines by other keys (witnesses)
    are ignored. A line by a known key that does not hold spoils the whole note.

    Args:
        note: Signed checkpoint, untrusted.
        vkeys: Trusted keys from the verifier's policy or from the registry; keys of other logs may be among them.

    Raises:
        InvalidInput: The note is not a checkpoint.
        Verification: ``checkpoint-unknown-log`` when no Ed25519 key of that origin is known,
            ``checkpoint-unsigned`` when the known one did not sign, ``checkpoint-line-twice`` when a known key has
            two lines, or the code of the signature that does not hold.
    """
    return verify_parsed_checkpoint(*parse_signed_checkpoint(note), vkeys)


def verify_parsed_checkpoint(checkpoint: Checkpoint, note: Note, vkeys: Sequence[VKey]) -> VerifiedCheckpoint:
    """Verify a checkpoint that was parsed before, to find out whose keys to trust for it.

    Args:
        checkpoint: From parse_signed_checkpoint.
        note: The note that it was parsed from.
        vkeys: As for verify_checkpoint.

    Raises:
        Verification: As verify_checkpoint.
    """
    known = [vkey for vkey in vkeys if vkey.name == checkpoint.origin]
    if not any(vkey.algorithm == ED25519 for vkey in known):
        raise Verification("checkpoint-unknown-log", f"no Ed25519 key of log {checkpoint.origin} is known")
    algorithms = set()
    timestamp_seconds = None
    for vkey in known:
        lines = find_signatures(note, vkey)
        if len(lines) > 1:
            raise Verification(
                "checkpoint-line-twice", f"checkpoint has {len(lines)} lines by one key, want one"
            )
        for line in lines:
            if vkey.algorithm == ED25519:
                verify_note_signature(note.text, line, vkey)
                algorithms.add("ed25519")
            else:
                timestamp_seconds = verify_subtree(
                    line, vkey, origin=checkpoint.origin, start=0, end=checkpoint.size, root=checkpoint.root
                )
                algorithms.add("ml-dsa-44")
    if "ed25519" not in algorithms:
        raise Verification(
            "checkpoint-unsigned", f"checkpoint has no Ed25519 line by log {checkpoint.origin}"
        )
    return VerifiedCheckpoint(checkpoint, frozenset(algorithms), timestamp_seconds)
