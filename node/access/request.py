# SPDX-License-Identifier: Apache-2.0
"""The request of an exchange (protocol §8): who asks whom about what and why, with the asker's own event and receipt.

A provider checks it in this order (docs/protocol/exchange.md); what fails before 2 is nobody's and only counted, what
fails behind it is the signer's and logged as ``deny``:

    1  the form of the token                                 authenticate_request
    2  the signature, under a node key of the sender         authenticate_request
    3  the form of the claims                                parse_request
    4  sender, receiver and time                             check_request
    5  the ask event: receipt, leaf, openings = claims       check_request
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from node.access.box import MAX_REQUEST_BYTES
from node.access.consent import MAX_CONSENT_BYTES, parse_consent
from node.access.event import RID_BYTES
from node.access.logged import LoggedEvent, encode_logged, parse_logged, verify_logged
from node.access.question import (
    AskedSubject,
    ItemQuery,
    encode_items,
    encode_subject,
    parse_items,
    parse_subject,
    parse_words,
)
from node.access.receipt import MAX_SKEW_SECONDS
from node.access.received import parse_received, verify_received
from node.access.warrant import MAX_WARRANT_BYTES, parse_warrant
from node.core.canonical import check_members
from node.core.clock import MAX_TIME
from node.core.encoding import encode_b64u, parse_b64u
from node.core.members import check_integer, check_text
from node.core.uscc import parse_member
from node.crypto.hpke import PUBLIC_BYTES, check_exchange_key
from node.crypto.jws import verify_jws
from node.crypto.token import build_token, parse_token, token_digest
from node.errors import InvalidInput, Verification
from node.log.checkpoint import MAX_CHECKPOINT, parse_origin, parse_signed_checkpoint

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from node.access.event import ParsedEvent
    from node.access.logged import OpenedEvent
    from node.core.types import MemberCode
    from node.crypto.ed25519 import Ed25519Signer
    from node.crypto.jws import Jws
    from node.log.checkpoint import Origin

TYP: Final = "exchange-request+jwt"
MAX_VALID_SECONDS: Final = 300
"""How far the asker's clock may be ahead of the provider's."""
ASK: Final = "ask"
SEALED: Final = "sealed"

_NAMES: Final = (
    "iss",
    "aud",
    "iat",
    "exp",
    "rid",
    "sealed",
    "subject",
    "items",
    "purpose",
    "basis",
    "case",
    "consent",
    "reply",
    "ask",
    "received",
    "checkpoint",
)


@dataclass(frozen=True, slots=True)
class AnyRequest(ABC):
    """What requests of every kind say; nothing of it is verified until ``check_request`` returned.

    Attributes:
        iss: The asker.
        aud: The provider.
        iat: Second at which it was signed.
        exp: Second from which on it is void, at most 300 behind ``iat``.
        rid: 16 random bytes, shared by the events of this request.
        sealed: Warrant of a sealed look, JWT, or None.
        items: Which fields of which catalogue items.
        purpose: Code of the purpose.
        basis: Legal basis, or None.
        case: Case number, or None.
        consent: Consent of the subject, JWT, or None.
        reply: One-time exchange key that the answer is sealed to, 1,216 bytes.
        ask: The asker's own event.
        received: How earlier questions to this provider ended, at most 16 (``node.access.received``).
        checkpoint: The asker's newest signed access-log checkpoint.
        digest: SHA-256 of the JWS: ``req`` of the events and of the answer.
    """

    iss: MemberCode
    aud: MemberCode
    iat: int
    exp: int
    rid: bytes
    sealed: str | None
    items: tuple[ItemQuery, ...]
    purpose: str
    basis: str | None
    case: str | None
    consent: str | None
    reply: bytes
    ask: LoggedEvent
    received: tuple[LoggedEvent, ...]
    checkpoint: str
    digest: bytes

    @abstractmethod
    def subject_value(self) -> dict[str, str] | None:
        """Give ``subject`` as the events about this request must have it."""

    @abstractmethod
    def is_logged_as(self, event: ParsedEvent) -> bool:
        """Tell whether what stands in the open of an event is that of the asker's own event about this request."""


@dataclass(frozen=True, slots=True)
class Request(AnyRequest):
    """A request about one subject.

    Attributes:
        subject: About whom.
    """

    subject: AskedSubject

    def subject_value(self) -> dict[str, str]:
        """Give ``subject`` as the events about this request must have it."""
        return encode_subject(self.subject)

    def is_logged_as(self, event: ParsedEvent) -> bool:
        """Tell whether what stands in the open of an event is that of the asker's own event about this request."""
        want = (ASK, None) if self.sealed is None else (SEALED, token_digest(self.sealed))
        return (event.kind, event.warrant) == want and event.rid == self.rid and event.n == 1


def build_request(
    *,
    signer: Ed25519Signer,
    iss: str,
    aud: str,
    iat: int,
    exp: int,
    rid: bytes,
    subject: AskedSubject,
    items: Sequence[ItemQuery],
    purpose: str,
    basis: str | None,
    case: str | None,
    reply: bytes,
    ask: LoggedEvent,
    checkpoint: str,
    received: Sequence[LoggedEvent] = (),
    consent: str | None = None,
    sealed: str | None = None,
) -> tuple[str, Request]:
    """Build a request, and give it as it reads. The caller logged the ask event: its receipt is at hand.

    Args:
        signer: The asker's node key.
        iss: USCC of the asker.
        aud: USCC of the provider.
        iat: Now, in seconds.
        exp: At most 300 seconds later.
        rid: The ask event's, 16 bytes.
        subject: About whom.
        items: Ascending by vct, fields ascending.
        purpose: Code of the purpose.
        basis: Legal basis, or None.
        case: Case number, or None.
        reply: Public half of a one-time exchange key.
        ask: The ask event (``sealed`` under a warrant), with the openings of ``select_openings``.
        checkpoint: The asker's newest signed access-log checkpoint.
        received: ``receive`` events toward the provider whose receipts it does not hold yet, at most 16, with the
            openings of ``select_received``.
        consent: JWT, or None.
        sealed: Warrant, JWT, or None.

    Raises:
        InvalidInput: As ``parse_request``: it contradicts itself and must not be signed.
    """
    payload = {
        "iss": iss,
        "aud": aud,
        "iat": iat,
        "exp": exp,
        "rid": encode_b64u(rid),
        "sealed": sealed,
        "subject": encode_subject(subject),
        "items": encode_items(items),
        "purpose": purpose,
        "basis": basis,
        "case": case,
        "consent": consent,
        "reply": encode_b64u(reply),
        "ask": encode_logged(ask),
        "received": list(map(encode_logged, received)),
        "checkpoint": checkpoint,
    }
    token, jws = build_token(TYP, payload, signer, max_bytes=MAX_REQUEST_BYTES)
    return token, parse_request(token, jws)


def authenticate_request(
    token: str, find_key: Callable[[str], bytes], *, typs: frozenset[str] = frozenset((TYP,))
) -> Jws:
    """Verify that a member signed this token as a request, before its claims are read (steps 1 and 2).

    Args:
        token: Content of the box, untrusted.
        find_key: Returns the node key (32 bytes) of the envelope's sender by ``kid``, valid now, or raises.
        typs: Which kinds of request it may be.

    Raises:
        InvalidInput: ``jws-…``, ``json-…``, ``base64…``, ``token-not-canonical``.
        Verification: ``ed25519-signature``, or what ``find_key`` raises.
    """
    jws = parse_token(token, typ=typs, max_bytes=MAX_REQUEST_BYTES)
    verify_jws(jws, find_key(jws.header["kid"]))
    return jws


def parse_request(token: str, jws: Jws | None = None) -> Request:
    """Parse the claims of a request; nothing is verified (step 3).

    Args:
        token: Compact JWS, at most 256 KiB.
        jws: The same as ``parse_token`` gave it; by default it is parsed here.

    Raises:
        InvalidInput: ``request-validity`` for times that do not fit each other, ``request-checkpoint`` for a note
            that is not of an access log of iss, ``request-self``, and the codes of the members.
    """
    jws = jws or parse_token(token, typ=TYP, max_bytes=MAX_REQUEST_BYTES)
    claims = check_members(jws.payload, "request", required=_NAMES)
    request = Request(
        sealed=_find_text(claims, "sealed", MAX_WARRANT_BYTES),
        subject=parse_subject(claims["subject"]),
        consent=_find_text(claims, "consent", MAX_CONSENT_BYTES),
        **parse_common(claims, token),
    )
    check_common(request)
    if request.consent is not None:
        parse_consent(request.consent)
    if request.sealed is not None:
        parse_warrant(request.sealed)
    return request


def parse_common(claims: Mapping[str, Any], token: str) -> dict[str, Any]:
    """Parse the claims that requests of every kind have, for the attributes of ``AnyRequest``.

    Raises:
        InvalidInput: The codes of the members.
    """
    return {
        "iss": parse_member(check_text(claims["iss"], "iss")),
        "aud": parse_member(check_text(claims["aud"], "aud")),
        "iat": check_integer(claims["iat"], "iat", most=MAX_TIME),
        "exp": check_integer(claims["exp"], "exp", most=MAX_TIME),
        "rid": parse_b64u(check_text(claims["rid"], "rid"), length=RID_BYTES),
        "items": parse_items(claims["items"]),
        "purpose": parse_words(claims["purpose"], "purpose"),
        "basis": None if claims["basis"] is None else parse_words(claims["basis"], "basis"),
        "case": None if claims["case"] is None else parse_words(claims["case"], "case"),
        "reply": parse_b64u(check_text(claims["reply"], "reply"), length=PUBLIC_BYTES),
        "ask": parse_logged(claims["ask"], "ask"),
        "received": parse_received(claims["received"]),
        "checkpoint": check_text(claims["checkpoint"], "checkpoint", max_chars=MAX_CHECKPOINT),
        "digest": token_digest(token),
    }


def check_common(request: AnyRequest) -> None:
    """Refuse a request that contradicts itself.

    Raises:
        InvalidInput: ``request-self``, ``request-validity``, ``exchange-key``, ``request-checkpoint``.
    """
    if request.iss == request.aud:
        raise InvalidInput("request-self", f"request of {request.iss} is to itself: want another member")
    if not 0 < request.exp - request.iat <= MAX_VALID_SECONDS:
        raise InvalidInput(
            "request-validity",
            f"request is valid for {request.exp - request.iat} seconds, want 1 to {MAX_VALID_SECONDS}",
        )
    check_exchange_key(request.reply)
    origin = parse_note_origin(request.checkpoint)
    if (origin.member, origin.kind) != (request.iss, "access"):
        raise InvalidInput("request-checkpoint", f"checkpoint is not of an access log of {request.iss}")


def check_request(
    request: AnyRequest,
    *,
    public: bytes,
    from_: str,
    to: str,
    log: str,
    now_seconds: int,
    anchor_limit_seconds: int | None = None,
) -> OpenedEvent:
    """Check an authenticated request against its envelope, the time and its own ask event (steps 4 and 5).

    Left to the caller, who has the registry, the policy and the store: the age of the log's last anchor, the
    checkpoint's signatures and consistency, the rules of the purpose, consent and warrant, whether the rid was
    seen before, and what the request says was received before (``node.access.received.verify_received``).

    Args:
        request: From ``parse_request`` or ``parse_bulk_request``, its signature verified.
        public: The node key that signed the request, which must have signed the receipt too.
        from_: Sender of the envelope.
        to: This member.
        log: Origin of from_'s open access log, from the registry.
        now_seconds: This node's clock.
        anchor_limit_seconds: The network's limit; None leaves ``anchor_by`` to the caller.

    Returns:
        The ask event with its openings.

    Raises:
        InvalidInput: ``opening-…``.
        Verification: ``request-iss``, ``request-aud``, ``request-early``, ``request-expired``, ``request-event``
            when the event is no ask of this request, ``request-differs`` when an opening says something else than
            the request, and the codes of ``verify_logged``.
    """
    if request.iss != from_:
        raise Verification("request-iss", f"request is by another member: got {request.iss}, want {from_}")
    if request.aud != to:
        raise Verification("request-aud", f"request is for another member: got {request.aud}, want {to}")
    if request.iat > now_seconds + MAX_SKEW_SECONDS:
        raise Verification(
            "request-early",
            f"request was signed {request.iat - now_seconds} seconds from now: compare the clocks",
        )
    if now_seconds >= request.exp:
        raise Verification("request-expired", f"request expired {now_seconds - request.exp} seconds ago")
    opened = verify_logged(
        request.ask,
        public=public,
        iss=from_,
        aud=to,
        log=log,
        now_seconds=now_seconds,
        anchor_limit_seconds=anchor_limit_seconds,
    )
    if not request.is_logged_as(opened.event):
        raise Verification(
            "request-event", f"event of kind {opened.event.kind} is not the one of this request"
        )
    if differing := find_differences(opened.values, asked_values(request), but=("rule",)):
        raise Verification(
            "request-differs", f"event says something else than the request about {', '.join(differing)}"
        )
    return opened


def verify_request(
    token: str,
    *,
    public: bytes,
    from_: str,
    to: str,
    log: str,
    now_seconds: int,
    anchor_limit_seconds: int | None = None,
) -> Request:
    """Verify a request in all five steps and what comes along with it, with one key that the caller trusts.

    Raises:
        InvalidInput, Verification: As ``authenticate_request``, ``parse_request``, ``check_request`` and
            ``verify_received``.
    """
    authenticate_request(token, lambda _kid: public)
    request = parse_request(token)
    check_request(
        request,
        public=public,
        from_=from_,
        to=to,
        log=log,
        now_seconds=now_seconds,
        anchor_limit_seconds=anchor_limit_seconds,
    )
    for shown in request.received:
        verify_received(
            shown,
            find_key=lambda _kid: public,
            iss=from_,
            aud=to,
            log=log,
            now_seconds=now_seconds,
            anchor_limit_seconds=anchor_limit_seconds,
        )
    return request


def asked_values(request: AnyRequest) -> dict[str, Any]:
    """Give the values that the ask event of a request must have, but for ``officer`` and ``rule``."""
    return {
        "peer": request.aud,
        "subject": request.subject_value(),
        "purpose": request.purpose,
        "basis": request.basis,
        "case": request.case,
        "items": encode_items(request.items),
        "consent": None if request.consent is None else encode_b64u(token_digest(request.consent)),
        "released": None,
    }


def find_differences(opened: Mapping[str, Any], want: Mapping[str, Any], *, but: Sequence[str]) -> list[str]:
    """Name the openings that say something else than the message they came with; names, never values.

    Args:
        opened: Values by name.
        want: What the message says, by name.
        but: Names about which the message says nothing.
    """
    return [name for name in opened if name not in but and opened[name] != want[name]]


def parse_note_origin(note: str) -> Origin:
    """Parse the origin of a signed checkpoint; signatures are not checked.

    Raises:
        InvalidInput: The codes of note, checkpoint and origin.
    """
    return parse_origin(parse_signed_checkpoint(note)[0].origin)


def _find_text(claims: Mapping[str, Any], name: str, max_chars: int) -> str | None:
    return None if claims[name] is None else check_text(claims[name], name, max_chars=max_chars)
