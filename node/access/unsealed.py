# SPDX-License-Identifier: Apache-2.0
"""What a regulator says that the box of a sealed event held when it opened it (docs/protocol/exchange.md, Opening).

    {"iss","iat","member","box":"<b64u SHA-256>","open":["<disclosure>"],"warrant":"<JWT>"}

Whoever has the event sees whether it is what was sealed: the event names box and warrant, and has the digests of its ten openings.
A regulator that says something else of a box than it held signs a lie that its own box, opened again, shows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from node.access.event import SALTED_NAMES, verify_openings
from node.access.opening import parse_opening
from node.access.request import SEALED
from node.access.warrant import MAX_WARRANT_BYTES, parse_warrant
from node.access.warrant import TYP as WARRANT_TYP
from node.core.canonical import check_members
from node.core.clock import MAX_TIME
from node.core.encoding import encode_b64u, parse_b64u
from node.core.members import check_integer, check_list, check_text
from node.core.uscc import parse_uscc
from node.crypto.jws import sign_jws, verify_jws
from node.crypto.token import parse_token
from node.errors import InvalidInput, Verification

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from node.access.event import ParsedEvent
    from node.access.warrant import Warrant
    from node.core.types import MemberCode
    from node.crypto.ed25519 import Ed25519Signer

TYP: Final = "sealed-opened+jwt"
MAX_OPENED_BYTES: Final = 1 << 19
"""Greatest size of a statement: what the largest box holds, and its warrant."""
FILE_SUFFIX: Final = ".opened.jwt"
_NAMES: Final = ("iss", "iat", "member", "box", "open", "warrant")
_DIGEST_BYTES: Final = 32


@dataclass(frozen=True, slots=True)
class OpenedBox:
    """What a statement says; nothing of it is verified.

    Attributes:
        iss: The regulator.
        iat: Second at which it signed.
        member: Whose event it is.
        box: SHA-256 of the box, 32 bytes.
        openings: The ten disclosures that it held, in the order of ``SALTED_NAMES``.
        warrant: What the warrant says under which it was sealed.
        token: That warrant, JWT.
    """

    iss: MemberCode
    iat: int
    member: MemberCode
    box: bytes
    openings: tuple[str, ...]
    warrant: Warrant
    token: str


def build_opened(
    *,
    signer: Ed25519Signer,
    iss: str,
    iat: int,
    member: str,
    box: bytes,
    openings: Sequence[str],
    warrant: str,
) -> str:
    """Build a statement; for the claims see ``OpenedBox``.

    Raises:
        InvalidInput: As ``parse_opened``.
    """
    payload = {
        "iss": iss,
        "iat": iat,
        "member": member,
        "box": encode_b64u(box),
        "open": list(openings),
        "warrant": warrant,
    }
    token = sign_jws(TYP, payload, signer)
    parse_opened(token)
    return token


def parse_opened(token: str) -> OpenedBox:
    """Parse a statement; nothing is verified.

    Args:
        token: Compact JWS, untrusted, at most 512 KiB.

    Raises:
        InvalidInput: ``sealed-openings`` unless it has the ten openings in their order; ``opened-issuer`` for one that is not
            by the regulator of its warrant; the codes of the members.
    """
    jws = parse_token(token, typ=TYP, max_bytes=MAX_OPENED_BYTES)
    claims = check_members(jws.payload, "opened", required=_NAMES)
    openings = tuple(
        check_text(text, "open", max_chars=MAX_OPENED_BYTES)
        for text in check_list(claims["open"], "open", max_items=len(SALTED_NAMES))
    )
    if tuple(parse_opening(text)[0] for text in openings) != SALTED_NAMES:
        raise InvalidInput(
            "sealed-openings", "a statement does not have the ten openings of an event, in their order"
        )
    warrant = check_text(claims["warrant"], "warrant", max_chars=MAX_WARRANT_BYTES)
    opened = OpenedBox(
        iss=parse_uscc(check_text(claims["iss"], "iss")),
        iat=check_integer(claims["iat"], "iat", most=MAX_TIME),
        member=parse_uscc(check_text(claims["member"], "member")),
        box=parse_b64u(check_text(claims["box"], "box"), length=_DIGEST_BYTES),
        openings=openings,
        warrant=parse_warrant(warrant),
        token=warrant,
    )
    if opened.warrant.iss != opened.iss:
        raise InvalidInput("opened-issuer", f"{opened.iss} is not the regulator of the warrant")
    return opened


def authenticate_opened(token: str, find_key: Callable[[MemberCode, str], bytes]) -> OpenedBox:
    """Verify that the regulator of a warrant signed both the warrant and what was sealed under it.

    Args:
        token: The statement, untrusted.
        find_key: Returns a node key (32 bytes) of a member by ``kid``, or raises.

    Raises:
        InvalidInput: As ``parse_opened``.
        Verification: ``ed25519-signature``, ``jws-key``, or what ``find_key`` raises.
    """
    opened = parse_opened(token)
    for text, typ, most in (
        (token, TYP, MAX_OPENED_BYTES),
        (opened.token, WARRANT_TYP, MAX_WARRANT_BYTES),
    ):
        jws = parse_token(text, typ=typ, max_bytes=most)
        verify_jws(jws, find_key(opened.iss, jws.header["kid"]))
    return opened


def verify_opened(opened: OpenedBox, event: ParsedEvent, member: str) -> dict[str, Any]:
    """Verify that a box held what its event says, and return the ten values by name.

    Args:
        opened: From ``authenticate_opened``.
        event: An event whose leaf is known to be in the access log of ``member``.
        member: Whose log it is in.

    Raises:
        Verification: ``sealed-box`` when the event is not sealed, or was logged with another box or warrant, or by another
            member; ``opening-digest`` when the box held something else than the event says.
    """
    names = (event.kind, event.box, event.warrant, member)
    if names != (SEALED, opened.box, opened.warrant.digest, opened.member):
        raise Verification(
            "sealed-box", f"{event.kind} event of {member} was not logged with this box and warrant"
        )
    return verify_openings(event, opened.openings)
