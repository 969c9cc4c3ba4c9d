# SPDX-License-Identifier: Apache-2.0
"""Warrants for sealed looks (protocol §8): a regulator lets a member look without the subject being shown it.

A sealed look is in the log like any other. What it was about is encrypted to the regulator, and opened by a day that
stands in the event; unopened after that day it is a finding by itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from node.core.canonical import check_members
from node.core.clock import MAX_TIME
from node.core.encoding import encode_b64u, parse_b64u
from node.core.members import check_integer, check_text
from node.core.uscc import parse_uscc
from node.crypto.jws import sign_jws, verify_jws
from node.crypto.token import parse_token, token_digest
from node.errors import InvalidInput, Verification

if TYPE_CHECKING:
    from collections.abc import Callable

    from node.core.types import MemberCode
    from node.crypto.ed25519 import Ed25519Signer

TYP: Final = "warrant+jwt"
MAX_WARRANT_BYTES: Final = 4_096
MAX_LOOKS: Final = 1_000_000
MOST_SEALED_SECONDS: Final = 5 * 366 * 86_400
"""Longest that looks may stay sealed, from the signing of the warrant: five years (docs/adr/0033)."""
JTI_BYTES: Final = 16
_NAMES: Final = ("iss", "asker", "iat", "exp", "jti", "looks", "open_by")


@dataclass(frozen=True, slots=True)
class Warrant:
    """What a warrant says; nothing of it is verified until ``verify_warrant`` returned it.

    Attributes:
        iss: The regulator, to whom the sealed disclosures are encrypted.
        asker: The only member that may use it.
        iat: Second at which it was signed.
        exp: Second from which on no look may be sealed under it.
        jti: 16 random bytes.
        looks: Greatest number of sealed looks under it.
        open_by: Second by which each of them must be opened, not before ``exp``.
        digest: SHA-256 of the JWT: ``warrant`` of the sealed events.
    """

    iss: MemberCode
    asker: MemberCode
    iat: int
    exp: int
    jti: bytes
    looks: int
    open_by: int
    digest: bytes


def build_warrant(
    *,
    signer: Ed25519Signer,
    iss: str,
    asker: str,
    iat: int,
    exp: int,
    jti: bytes,
    looks: int,
    open_by: int,
) -> str:
    """Build a warrant, signed by the node key of a member with role regulator.

    Args:
        signer: Node key of ``iss``.
        iss: USCC of the regulator.
        asker: USCC of the member that may look.
        iat: Now, in seconds.
        exp: Second from which on it is void.
        jti: 16 random bytes.
        looks: Greatest number of looks, at least 1.
        open_by: Second by which they must be opened, not before ``exp``, at most five years behind ``iat``.

    Raises:
        InvalidInput: As ``parse_warrant``.
    """
    payload = {
        "iss": iss,
        "asker": asker,
        "iat": iat,
        "exp": exp,
        "jti": encode_b64u(jti),
        "looks": looks,
        "open_by": open_by,
    }
    token = sign_jws(TYP, payload, signer)
    parse_warrant(token)
    return token


def parse_warrant(token: str) -> Warrant:
    """Parse a warrant; nothing is verified.

    Args:
        token: Compact JWS, untrusted, at most 4 KiB.

    Raises:
        InvalidInput: ``warrant-validity`` unless iat < exp ≤ open_by ≤ iat + five years, and the codes of token and members.
    """
    jws = parse_token(token, typ=TYP, max_bytes=MAX_WARRANT_BYTES)
    claims = check_members(jws.payload, "warrant", required=_NAMES)
    warrant = Warrant(
        iss=parse_uscc(check_text(claims["iss"], "iss")),
        asker=parse_uscc(check_text(claims["asker"], "asker")),
        iat=check_integer(claims["iat"], "iat", most=MAX_TIME),
        exp=check_integer(claims["exp"], "exp", most=MAX_TIME),
        jti=parse_b64u(check_text(claims["jti"], "jti"), length=JTI_BYTES),
        looks=check_integer(claims["looks"], "looks", least=1, most=MAX_LOOKS),
        open_by=check_integer(claims["open_by"], "open_by", most=MAX_TIME),
        digest=token_digest(token),
    )
    if not warrant.iat < warrant.exp <= warrant.open_by:
        raise InvalidInput("warrant-validity", "warrant does not begin, end and open in this order")
    if warrant.open_by - warrant.iat > MOST_SEALED_SECONDS:
        raise InvalidInput(
            "warrant-validity",
            f"warrant seals for {warrant.open_by - warrant.iat} seconds: want at most {MOST_SEALED_SECONDS}",
        )
    return warrant


def verify_warrant(
    token: str,
    *,
    find_key: Callable[[str, MemberCode], bytes],
    asker: str,
    open_by: int,
    now_seconds: int,
) -> Warrant:
    """Verify that a warrant allows a sealed look now; how many there were the caller counts by its digest.

    Args:
        token: The warrant, untrusted.
        find_key: Returns the node key (32 bytes) of a member with role regulator by ``kid``, or raises.
        asker: The member that looks.
        open_by: What the sealed event says; at most the warrant's.
        now_seconds: This node's clock.

    Raises:
        InvalidInput: As ``parse_warrant``.
        Verification: ``jws-key``, ``ed25519-signature``, ``warrant-expired``, ``warrant-early``, ``warrant-asker``,
            ``warrant-open-by``.
    """
    warrant = parse_warrant(token)
    jws = parse_token(token, typ=TYP, max_bytes=MAX_WARRANT_BYTES)
    verify_jws(jws, find_key(jws.header["kid"], warrant.iss))
    if now_seconds >= warrant.exp:
        raise Verification("warrant-expired", f"warrant expired {now_seconds - warrant.exp} seconds ago")
    if warrant.iat > now_seconds:
        raise Verification("warrant-early", f"warrant begins in {warrant.iat - now_seconds} seconds")
    if warrant.asker != asker:
        raise Verification(
            "warrant-asker", f"warrant is for another asker: got {warrant.asker}, want {asker}"
        )
    if open_by > warrant.open_by:
        raise Verification("warrant-open-by", "sealed event would be opened later than its warrant says")
    return warrant
