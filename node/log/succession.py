# SPDX-License-Identifier: Apache-2.0
"""The first entry of a successor log: which log it follows, where that one ended, and why (protocol section 2).

``succession+jwt``, signed by the node key: {iss, iat, predecessor, size, root, reason}. ``predecessor`` is the origin of
the log before, ``size`` and ``root`` are those of its last good anchor (0 and the root of no entries where it has
none): nothing behind that anchor is proven by the old log. ``reason`` is one word; every reason but ``planned`` is a
finding for the auditor.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from node.core.canonical import check_members
from node.core.encoding import encode_b64u, parse_b64u
from node.core.types import RootHash
from node.crypto.jws import sign_jws, verify_jws
from node.crypto.token import parse_token
from node.errors import InvalidInput
from node.log.checkpoint import parse_origin
from node.log.merkle import EMPTY_ROOT

if TYPE_CHECKING:
    from node.crypto.ed25519 import Ed25519Signer
    from node.crypto.jws import Jws

TYP: Final = "succession+jwt"
PLANNED: Final = "planned"
REASONS: Final = (PLANNED, "restored-backup", "lost-entries", "stolen-key")
MAX_SUCCESSION_BYTES: Final = 4_096
_HASH_BYTES: Final = 32
_MAX_INTEGER: Final = 2**53 - 1
_FIELDS: Final = ("iss", "iat", "predecessor", "size", "root", "reason")


@dataclass(frozen=True, slots=True)
class Succession:
    """What a successor log says of itself.

    Attributes:
        iss: USCC of the member, who owns both logs.
        iat: When it was signed, in seconds; a claim.
        predecessor: Origin of the log before.
        size: Entries under its last good anchor.
        root: Root at that size.
        reason: One of ``REASONS``.
    """

    iss: str
    iat: int
    predecessor: str
    size: int
    root: RootHash
    reason: str

    @property
    def planned(self) -> bool:
        """Whether the log before was in order. What is not planned is a finding."""
        return self.reason == PLANNED


def build_succession(succession: Succession, signer: Ed25519Signer) -> str:
    """Sign the first entry of a successor log.

    Raises:
        InvalidInput: As ``parse_succession``: it contradicts itself and must not be signed.
    """
    claims = {
        "iss": succession.iss,
        "iat": succession.iat,
        "predecessor": succession.predecessor,
        "size": succession.size,
        "root": encode_b64u(succession.root),
        "reason": succession.reason,
    }
    token = sign_jws(TYP, claims, signer)
    parse_succession(token)
    return token


def parse_succession(token: str | bytes) -> Succession:
    """Parse the first entry of a successor log; nothing is verified.

    Args:
        token: The entry, untrusted, at most 4 KiB.

    Raises:
        InvalidInput: ``jws-…``, ``json-…``, ``base64…`` and ``origin-…`` codes; ``succession-form`` for values that
            contradict each other; ``token-not-canonical`` for a second spelling.
    """
    return _parse(parse_token(token, typ=TYP, max_bytes=MAX_SUCCESSION_BYTES))


def verify_succession(token: str | bytes, *, public: bytes, origin: str) -> Succession:
    """Verify the first entry of a successor log.

    Args:
        token: The entry.
        public: The member's node key, 32 bytes, trusted by the caller.
        origin: Origin of the log that it is the first entry of.

    Raises:
        InvalidInput: As ``parse_succession``; ``succession-log`` when it does not name the log before that one.
        Verification: The signature does not hold.
    """
    jws = parse_token(token, typ=TYP, max_bytes=MAX_SUCCESSION_BYTES)
    succession = _parse(jws)
    verify_jws(jws, public)
    check_succession(succession, origin)
    return succession


def check_succession(succession: Succession, origin: str) -> None:
    """Check that a succession names the log before that one whose first entry it is.

    Args:
        succession: From ``parse_succession``.
        origin: Origin of the log.

    Raises:
        InvalidInput: ``succession-log``; a code of the origin.
    """
    own, before = parse_origin(origin), parse_origin(succession.predecessor)
    if (own.domain, own.member, own.kind, own.n) != (before.domain, before.member, before.kind, before.n + 1):
        raise InvalidInput("succession-log", f"the succession does not name the log before {origin}")


def _parse(jws: Jws) -> Succession:
    claims: dict[str, Any] = check_members(jws.payload, "succession", required=_FIELDS)
    texts = [claims[name] for name in ("iss", "predecessor", "root", "reason")]
    numbers = [claims[name] for name in ("iat", "size")]
    if not all(type(text) is str for text in texts) or not all(
        type(number) is int and 0 <= number <= _MAX_INTEGER for number in numbers
    ):
        raise InvalidInput("succession-form", "a claim of the succession has the wrong type or range")
    succession = Succession(
        claims["iss"],
        claims["iat"],
        claims["predecessor"],
        claims["size"],
        RootHash(parse_b64u(claims["root"], length=_HASH_BYTES)),
        claims["reason"],
    )
    if parse_origin(succession.predecessor).member != succession.iss:
        raise InvalidInput("succession-form", "the log before is not one of the issuer's")
    if succession.reason not in REASONS:
        raise InvalidInput("succession-form", f"unknown reason: want one of {', '.join(REASONS)}")
    if not succession.size and succession.root != EMPTY_ROOT:
        raise InvalidInput("succession-form", "a log that was never anchored has no root but the empty one")
    return succession
