# SPDX-License-Identifier: Apache-2.0
"""Telling a provider that a consent was taken back at the window that gave it (docs/protocol/exchange.md, docs/adr/0032).

    revocation   the window's member to the provider: the digest of the consent, and when it would have ended
    revoked      the provider's answer: its own event, opened but for the officer, with its receipt; or why it took nothing

Both are compact JWS under a node key, sealed like a request: POST /exchange/v1/revocation. A revocation says who gave the
consent (its signer) and nothing of what it says or whose it is. It stays true for ever, so it may be sent as often as
it takes, and an old one that somebody sends again changes nothing.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from node.access.box import (
    PAD_BYTES,
    REPLY,
    Envelope,
    max_envelope_bytes,
    open_box,
    pad,
    revocation_info,
    revoked_info,
)
from node.access.event import REVOKE, RID_BYTES, parse_event, verify_openings
from node.access.logged import OPENED_NAMES, LoggedEvent, encode_logged, parse_logged
from node.access.receipt import MAX_SKEW_SECONDS, check_receipt_event_time, verify_receipt
from node.core.canonical import check_members
from node.core.clock import MAX_TIME
from node.core.encoding import encode_b64u, parse_b64u
from node.core.members import check_integer, check_text
from node.core.uscc import parse_uscc
from node.crypto.ed25519 import key_id16
from node.crypto.hpke import seal
from node.crypto.jws import sign_jws, verify_jws
from node.crypto.token import parse_token, token_digest
from node.errors import AccessDenied, InvalidInput, Verification

if TYPE_CHECKING:
    from collections.abc import Callable

    from node.core.types import MemberCode
    from node.crypto.ed25519 import Ed25519Signer
    from node.crypto.hpke import ExchangeKey

TYP: Final = "consent-revocation+jwt"
REVOKED_TYP: Final = "consent-revoked+jwt"
MAX_REVOCATION_BYTES: Final = PAD_BYTES
"""Greatest size of a revocation before it is sealed, padding included: 4 KiB."""
MAX_REVOKED_BYTES: Final = 1 << 17
"""Greatest size of the answer before it is sealed, padding included: 128 KiB."""
MAX_REVOCATION_ENVELOPE_BYTES: Final = max_envelope_bytes(MAX_REVOCATION_BYTES)
"""Greatest body of the route."""
AT_THE_WINDOW: Final = "window"
"""Rule of the provider's event: the window that gave the consent says so."""

_DIGEST_BYTES: Final = 32
_CODE: Final = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")
_MAX_CODE_CHARS: Final = 64
_NAMES: Final = ("iss", "aud", "iat", "rid", "consent", "exp")
_REVOKED_NAMES: Final = ("iss", "aud", "iat", "req", "code", "revoke")


@dataclass(frozen=True, slots=True)
class Revocation:
    """What a revocation says; nothing of it is verified.

    Attributes:
        iss: The member at whose window the consent was given and taken back.
        aud: Its provider.
        iat: Second at which this was signed.
        rid: 16 bytes: of the window's ``revoke`` event, and of the provider's.
        consent: SHA-256 of the consent.
        exp: Second from which the consent is void anyway.
        digest: SHA-256 of the JWS.
    """

    iss: MemberCode
    aud: MemberCode
    iat: int
    rid: bytes
    consent: bytes
    exp: int
    digest: bytes


@dataclass(frozen=True, slots=True)
class Revoked:
    """The provider's answer; nothing of it is verified until ``verify_revoked`` returned it.

    Attributes:
        revoke: Its event; None when it took nothing.
        code: Why it took nothing; None when it did.
    """

    iss: MemberCode
    aud: MemberCode
    iat: int
    req: bytes
    code: str | None
    revoke: LoggedEvent | None


def build_revocation(
    *, signer: Ed25519Signer, iss: str, aud: str, iat: int, rid: bytes, consent: bytes, exp: int
) -> str:
    """Build a revocation; for the claims see ``Revocation``.

    Raises:
        InvalidInput: As ``parse_revocation``.
    """
    payload = {
        "iss": iss,
        "aud": aud,
        "iat": iat,
        "rid": encode_b64u(rid),
        "consent": encode_b64u(consent),
        "exp": exp,
    }
    token = sign_jws(TYP, payload, signer)
    parse_revocation(token)
    return token


def authenticate_revocation(token: str, find_key: Callable[[str], bytes]) -> None:
    """Verify that a member signed this token as a revocation, before its claims are read.

    Raises:
        InvalidInput: ``jws-…``, ``json-…``, ``base64…``, ``token-not-canonical``.
        Verification: ``ed25519-signature``, or what ``find_key`` raises.
    """
    jws = parse_token(token, typ=TYP, max_bytes=MAX_REVOCATION_BYTES)
    verify_jws(jws, find_key(jws.header["kid"]))


def parse_revocation(token: str) -> Revocation:
    """Parse a revocation; nothing is verified.

    Args:
        token: Compact JWS, untrusted, at most 4 KiB.

    Raises:
        InvalidInput: ``revocation-self`` where provider and window are one member; the codes of token and members.
    """
    jws = parse_token(token, typ=TYP, max_bytes=MAX_REVOCATION_BYTES)
    claims = check_members(jws.payload, "revocation", required=_NAMES)
    revocation = Revocation(
        iss=parse_uscc(check_text(claims["iss"], "iss")),
        aud=parse_uscc(check_text(claims["aud"], "aud")),
        iat=check_integer(claims["iat"], "iat", most=MAX_TIME),
        rid=parse_b64u(check_text(claims["rid"], "rid"), length=RID_BYTES),
        consent=parse_b64u(check_text(claims["consent"], "consent"), length=_DIGEST_BYTES),
        exp=check_integer(claims["exp"], "exp", most=MAX_TIME),
        digest=token_digest(token),
    )
    if revocation.iss == revocation.aud:
        raise InvalidInput("revocation-self", "a member does not tell itself that a consent was taken back")
    return revocation


def build_revoked(
    *,
    signer: Ed25519Signer,
    iss: str,
    aud: str,
    iat: int,
    req: bytes,
    code: str | None = None,
    revoke: LoggedEvent | None = None,
) -> str:
    """Build the answer to a revocation: either a code, or the event.

    Raises:
        InvalidInput: As ``parse_revoked``.
    """
    payload = {
        "iss": iss,
        "aud": aud,
        "iat": iat,
        "req": encode_b64u(req),
        "code": code,
        "revoke": None if revoke is None else encode_logged(revoke),
    }
    token = sign_jws(REVOKED_TYP, payload, signer)
    parse_revoked(token)
    return token


def parse_revoked(token: str) -> Revoked:
    """Parse the answer to a revocation; nothing is verified.

    Args:
        token: Compact JWS, untrusted, at most 128 KiB.

    Raises:
        InvalidInput: ``revoked-result`` unless it has either a code or an event; the codes of the members.
    """
    jws = parse_token(token, typ=REVOKED_TYP, max_bytes=MAX_REVOKED_BYTES)
    claims = check_members(jws.payload, "revoked", required=_REVOKED_NAMES)
    code = None
    if claims["code"] is not None:
        code = check_text(claims["code"], "code", max_chars=_MAX_CODE_CHARS)
        if not _CODE.fullmatch(code):
            raise InvalidInput("revoked-result", "code is none: want words of a-z and 0-9 with hyphens")
    revoke = None if claims["revoke"] is None else parse_logged(claims["revoke"], "revoke")
    if (code is None) is (revoke is None):
        raise InvalidInput("revoked-result", "want either a code or an event")
    return Revoked(
        iss=parse_uscc(check_text(claims["iss"], "iss")),
        aud=parse_uscc(check_text(claims["aud"], "aud")),
        iat=check_integer(claims["iat"], "iat", most=MAX_TIME),
        req=parse_b64u(check_text(claims["req"], "req"), length=_DIGEST_BYTES),
        code=code,
        revoke=revoke,
    )


def verify_revoked(
    token: str,
    *,
    revocation: Revocation,
    find_key: Callable[[str], bytes],
    log: str,
    now_seconds: int,
    anchor_limit_seconds: int,
) -> LoggedEvent:
    """Verify that the provider took a revocation: its event names the consent, and its receipt promises the event.

    The event may be old: where the first answer was lost it is given again as it was.

    Args:
        token: Content of the answer's box, untrusted.
        revocation: What this node sent.
        find_key: Returns the provider's node key (32 bytes) by ``kid``, valid now, or raises.
        log: Origin of the provider's open access log, from the registry.
        now_seconds: This node's clock.
        anchor_limit_seconds: The network's limit.

    Raises:
        InvalidInput: As ``parse_revoked``.
        Verification: ``revoked-other`` for the answer to something else; ``revoked-event`` when the event is not about this
            consent; ``receipt-…`` and ``opening-…``.
        AccessDenied: The provider's code: it took nothing.
    """
    jws = parse_token(token, typ=REVOKED_TYP, max_bytes=MAX_REVOKED_BYTES)
    public = find_key(jws.header["kid"])
    verify_jws(jws, public)
    given = parse_revoked(token)
    if (given.iss, given.aud, given.req) != (revocation.aud, revocation.iss, revocation.digest):
        raise Verification("revoked-other", "the answer is not the provider's to this revocation")
    if (code := given.code) is not None:
        raise AccessDenied(code, f"{revocation.aud} did not take the revocation")
    logged = given.revoke
    assert logged is not None, "parsed"
    receipt = verify_receipt(
        logged.receipt,
        public=public,
        entry=logged.event,
        iss=revocation.aud,
        aud=revocation.iss,
        log=log,
        anchor_limit_seconds=anchor_limit_seconds,
    )
    event = parse_event(logged.event)
    check_receipt_event_time(receipt, event)
    if receipt.iat > now_seconds + MAX_SKEW_SECONDS:
        # What promises an anchor for the year 2100 promises nothing.
        raise Verification("receipt-time", f"receipt is dated {receipt.iat - now_seconds} seconds ahead")
    values = verify_openings(event, logged.open)
    if values.keys() != set(OPENED_NAMES):
        raise Verification("logged-open", "other values are opened than all but the officer")
    said = (event.kind, event.rid, values["peer"], values["consent"], values["rule"])
    want = (REVOKE, revocation.rid, revocation.iss, encode_b64u(revocation.consent), AT_THE_WINDOW)
    if said != want:
        raise Verification("revoked-event", "the provider's event is not about this consent")
    return logged


def seal_revocation(jws: str, *, public: bytes, from_: MemberCode, to: MemberCode) -> Envelope:
    """Seal a revocation to the provider.

    Raises:
        InvalidInput: ``exchange-key``, ``box-size``.
    """
    kid = key_id16(public)
    box = seal(public, revocation_info(from_, to, kid), pad(jws, MAX_REVOCATION_BYTES))
    return Envelope(from_, to, kid, box)


def open_revocation(envelope: Envelope, key: ExchangeKey) -> str:
    """Open the envelope of a revocation and return its JWS, of which nothing is verified.

    Raises:
        InvalidInput: ``box-padding``.
        Verification: ``box-kid``, ``box-open``.
    """
    return open_box(envelope, key, key.kid, revocation_info(envelope.from_, envelope.to, envelope.kid))


def seal_revoked(jws: str, *, public: bytes, req: bytes, from_: MemberCode, to: MemberCode) -> Envelope:
    """Seal the answer to the exchange key of whoever sent the revocation.

    Args:
        jws: The answer, signed.
        public: The member's exchange key, 1,216 bytes, from the registry.
        req: SHA-256 of the revocation, 32 bytes.
        from_: The provider.
        to: The member.

    Raises:
        InvalidInput: ``exchange-key``, ``box-size``.
    """
    box = seal(public, revoked_info(from_, to, req), pad(jws, MAX_REVOKED_BYTES))
    return Envelope(from_, to, REPLY, box)


def open_revoked(envelope: Envelope, key: ExchangeKey, *, req: bytes) -> str:
    """Open the envelope of the answer to a revocation and return its JWS, of which nothing is verified.

    Raises:
        InvalidInput: ``box-padding``.
        Verification: ``box-kid``, ``box-open``.
    """
    return open_box(envelope, key, REPLY, revoked_info(envelope.from_, envelope.to, req))
