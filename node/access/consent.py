# SPDX-License-Identifier: Apache-2.0
"""Consent of a subject to be asked about (授权查询, protocol §8): who may ask whom, what, why, how often, until when.

The member at whose window it was given signs it with its node key; an identity provider that gives consents is a
member like any other. It names one provider, who counts its uses: nobody else could count them for certain.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from node.access.decision import SUBJECT
from node.access.question import (
    AskedSubject,
    ItemQuery,
    covers,
    encode_items,
    encode_subject,
    parse_items,
    parse_subject,
    parse_words,
)
from node.access.receipt import MAX_SKEW_SECONDS
from node.core.canonical import check_members
from node.core.clock import MAX_TIME
from node.core.encoding import encode_b64u, parse_b64u
from node.core.members import check_integer, check_text
from node.core.uscc import parse_uscc
from node.crypto.jws import sign_jws, verify_jws
from node.crypto.token import parse_token, token_digest
from node.errors import InvalidInput, Verification

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from node.core.types import MemberCode
    from node.crypto.ed25519 import Ed25519Signer

TYP: Final = "consent+jwt"
MAX_CONSENT_BYTES: Final = 16_384
MAX_USES: Final = 10_000
JTI_BYTES: Final = 16
_NAMES: Final = ("iss", "aud", "iat", "exp", "jti", "asker", "subject", "items", "purpose", "uses")


@dataclass(frozen=True, slots=True)
class Consent:
    """What a consent says; nothing of it is verified until ``verify_consent`` returned it.

    Attributes:
        iss: The member at whose window it was given.
        aud: The only provider it is for.
        iat: Second at which it was signed.
        exp: Second from which on it is void.
        jti: 16 random bytes, so that two consents never are one.
        asker: The only member that may use it.
        subject: Who consented.
        items: What may be asked for, at most.
        purpose: Code of the only purpose.
        uses: How often, at least once.
        digest: SHA-256 of the JWT: names it in events, and the provider counts by it.
    """

    iss: MemberCode
    aud: MemberCode
    iat: int
    exp: int
    jti: bytes
    asker: MemberCode
    subject: AskedSubject
    items: tuple[ItemQuery, ...]
    purpose: str
    uses: int
    digest: bytes


def build_consent(
    *,
    signer: Ed25519Signer,
    iss: str,
    aud: str,
    iat: int,
    exp: int,
    jti: bytes,
    asker: str,
    subject: AskedSubject,
    items: Sequence[ItemQuery],
    purpose: str,
    uses: int,
) -> str:
    """Build a consent, signed by the node key of the member at whose window it was given.

    Args:
        signer: Node key of ``iss``.
        iss: USCC of that member.
        aud: USCC of the provider.
        iat: Now, in seconds.
        exp: Second from which on it is void.
        jti: 16 random bytes.
        asker: USCC of the member that may use it.
        subject: Who consented.
        items: Ascending by vct, fields ascending.
        purpose: Code of the purpose.
        uses: 1 to 10,000.

    Raises:
        InvalidInput: As ``parse_consent``.
    """
    payload = {
        "iss": iss,
        "aud": aud,
        "iat": iat,
        "exp": exp,
        "jti": encode_b64u(jti),
        "asker": asker,
        "subject": encode_subject(subject),
        "items": encode_items(items),
        "purpose": purpose,
        "uses": uses,
    }
    token = sign_jws(TYP, payload, signer)
    parse_consent(token)
    return token


def parse_consent(token: str) -> Consent:
    """Parse a consent; nothing is verified.

    Args:
        token: Compact JWS, untrusted, at most 16 KiB.

    Raises:
        InvalidInput: ``consent-validity`` for an end that is not behind the beginning, and the codes of token and
            members.
    """
    jws = parse_token(token, typ=TYP, max_bytes=MAX_CONSENT_BYTES)
    claims = check_members(jws.payload, "consent", required=_NAMES)
    consent = Consent(
        iss=parse_uscc(check_text(claims["iss"], "iss")),
        aud=parse_uscc(check_text(claims["aud"], "aud")),
        iat=check_integer(claims["iat"], "iat", most=MAX_TIME),
        exp=check_integer(claims["exp"], "exp", most=MAX_TIME),
        jti=parse_b64u(check_text(claims["jti"], "jti"), length=JTI_BYTES),
        asker=parse_uscc(check_text(claims["asker"], "asker")),
        subject=parse_subject(claims["subject"]),
        items=parse_items(claims["items"]),
        purpose=parse_words(claims["purpose"], "purpose"),
        uses=check_integer(claims["uses"], "uses", least=1, most=MAX_USES),
        digest=token_digest(token),
    )
    if consent.exp <= consent.iat:
        raise InvalidInput("consent-validity", "consent ends before it begins")
    return consent


def verify_consent(
    token: str,
    *,
    find_key: Callable[[str, MemberCode], bytes],
    aud: str,
    asker: str,
    subject: AskedSubject,
    items: Sequence[ItemQuery],
    purpose: str,
    now_seconds: int,
) -> Consent:
    """Verify that a consent allows this question now; how often it was used the caller counts by its digest.

    Args:
        token: The consent, untrusted.
        find_key: Returns the node key (32 bytes) of a member by ``kid`` that was valid when the consent was given and
            may sign consents, or raises.
        aud: The provider.
        asker: The member that asks.
        subject: About whom.
        items: What is asked for.
        purpose: Code of the purpose.
        now_seconds: The provider's clock.

    Raises:
        InvalidInput: As ``parse_consent``.
        Verification: ``jws-key``, ``ed25519-signature``, ``consent-expired``, ``consent-early``, ``consent-aud``,
            ``consent-asker``, ``consent-subject``, ``consent-purpose``, ``consent-scope``.
    """
    consent = parse_consent(token)
    jws = parse_token(token, typ=TYP, max_bytes=MAX_CONSENT_BYTES)
    verify_jws(jws, find_key(jws.header["kid"], consent.iss))
    if now_seconds >= consent.exp:
        raise Verification("consent-expired", f"consent expired {now_seconds - consent.exp} seconds ago")
    if consent.iat > now_seconds + MAX_SKEW_SECONDS:
        raise Verification("consent-early", f"consent begins in {consent.iat - now_seconds} seconds")
    if consent.aud != aud:
        raise Verification("consent-aud", f"consent is for another provider: got {consent.aud}, want {aud}")
    if consent.asker != asker:
        raise Verification(
            "consent-asker", f"consent is for another asker: got {consent.asker}, want {asker}"
        )
    if consent.subject != subject:
        raise Verification(
            "consent-subject", "consent is of another subject than the one that is asked about"
        )
    if consent.purpose != purpose:
        raise Verification("consent-purpose", "consent is for another purpose")
    # Whom a record is about is known to whoever may see any of it.
    seen = [ItemQuery(item.vct, (*item.fields, SUBJECT)) for item in consent.items]
    if not covers(seen, items):
        raise Verification("consent-scope", "more is asked for than the consent names")
    return consent
