# SPDX-License-Identifier: Apache-2.0
"""Handing the box of a sealed event to the regulator, before anything is released on it (docs/protocol/exchange.md).

    deposit    a member to the regulator: the box, the warrant, and which part of which look it is
    deposited  the regulator's answer: its own event, which names the box, with its receipt; or why it took nothing

Both are compact JWS under a node key, sealed like a request: POST /exchange/v1/deposit. The regulator's event is of kind
``sealed`` with ``n`` 0, the digest of the box and of the warrant in the open: its receipt is the receipt for the box.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final

from node.access.box import (
    PAD_BYTES,
    REPLY,
    Envelope,
    deposit_info,
    deposited_info,
    max_envelope_bytes,
    open_box,
    pad,
)
from node.access.event import MAX_ENTRY_BYTES, RID_BYTES, parse_event
from node.access.receipt import MAX_RECEIPT_BYTES, MAX_SKEW_SECONDS, verify_receipt
from node.access.request import SEALED
from node.access.warrant import MAX_WARRANT_BYTES, Warrant, parse_warrant
from node.core.canonical import check_members
from node.core.clock import MAX_TIME
from node.core.encoding import encode_b64u, parse_b64u
from node.core.members import check_integer, check_text
from node.core.uscc import parse_uscc
from node.crypto.ed25519 import key_id16
from node.crypto.hpke import OVERHEAD_BYTES, seal
from node.crypto.jws import sign_jws, verify_jws
from node.crypto.token import parse_token, token_digest
from node.errors import AccessDenied, InvalidInput, Verification

if TYPE_CHECKING:
    from collections.abc import Callable

    from node.core.types import MemberCode
    from node.crypto.ed25519 import Ed25519Signer
    from node.crypto.hpke import ExchangeKey

TYP: Final = "sealed-deposit+jwt"
DEPOSITED_TYP: Final = "sealed-deposited+jwt"
MAX_DEPOSIT_BYTES: Final = 1 << 19
"""Greatest size of a deposit before it is sealed, padding included: 512 KiB."""
MAX_BOX_BYTES: Final = 260_000
"""Greatest size of the box in it: what base64url makes of it twice still fits."""
MAX_DEPOSITED_BYTES: Final = 1 << 17
"""Greatest size of the answer before it is sealed, padding included: 128 KiB."""
ASK: Final = "ask"
GRANT: Final = "grant"
RECEIVE: Final = "receive"
PARTS: Final = (ASK, GRANT, RECEIVE)

_DIGEST_BYTES: Final = 32
_CODE: Final = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")
_MAX_CODE_CHARS: Final = 64
_NAMES: Final = ("iss", "aud", "iat", "rid", "part", "peer", "ask", "box", "warrant")
_DEPOSITED_NAMES: Final = ("iss", "aud", "iat", "req", "code", "event", "receipt")


@dataclass(frozen=True, slots=True)
class Deposit:
    """What a deposit says; nothing of it is verified.

    Attributes:
        iss: The member whose event it is.
        aud: The regulator.
        iat: Second at which it was signed.
        rid: 16 bytes of the request.
        part: ``ask``, ``grant`` or ``receive``: which of the look's events it is.
        peer: The other side of the exchange: of the asker's events the provider, of the provider's the asker.
        ask: SHA-256 of the box of the asker's first event; None in the deposit of that event itself.
        box: The ten openings, sealed to the regulator (``node.access.sealed``).
        warrant: The warrant, JWT.
        digest: SHA-256 of the JWS.
    """

    iss: MemberCode
    aud: MemberCode
    iat: int
    rid: bytes
    part: str
    peer: MemberCode
    ask: bytes | None
    box: bytes
    warrant: str
    digest: bytes

    @property
    def box_digest(self) -> bytes:
        """SHA-256 of the box: ``box`` of the sealed event."""
        return sha256(self.box).digest()


@dataclass(frozen=True, slots=True)
class Deposited:
    """The regulator's answer; nothing of it is verified until ``verify_deposited`` returned it.

    Attributes:
        event: The regulator's event; None when it took nothing.
        receipt: Its receipt, compact JWS; None likewise.
        code: Why it took nothing; None when it did.
    """

    iss: MemberCode
    aud: MemberCode
    iat: int
    req: bytes
    code: str | None
    event: bytes | None
    receipt: str | None


def build_deposit(
    *,
    signer: Ed25519Signer,
    iss: str,
    aud: str,
    iat: int,
    rid: bytes,
    part: str,
    peer: str,
    ask: bytes | None,
    box: bytes,
    warrant: str,
) -> str:
    """Build a deposit; for the claims see ``Deposit``.

    Raises:
        InvalidInput: As ``parse_deposit``.
    """
    payload = {
        "iss": iss,
        "aud": aud,
        "iat": iat,
        "rid": encode_b64u(rid),
        "part": part,
        "peer": peer,
        "ask": None if ask is None else encode_b64u(ask),
        "box": encode_b64u(box),
        "warrant": warrant,
    }
    token = sign_jws(TYP, payload, signer)
    parse_deposit(token)
    return token


def authenticate_deposit(token: str, find_key: Callable[[str], bytes]) -> None:
    """Verify that a member signed this token as a deposit, before its claims are read.

    Raises:
        InvalidInput: ``jws-…``, ``json-…``, ``base64…``, ``token-not-canonical``.
        Verification: ``ed25519-signature``, or what ``find_key`` raises.
    """
    jws = parse_token(token, typ=TYP, max_bytes=MAX_DEPOSIT_BYTES)
    verify_jws(jws, find_key(jws.header["kid"]))


def parse_deposit(token: str) -> Deposit:
    """Parse a deposit; nothing is verified.

    Args:
        token: Compact JWS, untrusted, at most 512 KiB.

    Raises:
        InvalidInput: ``deposit-part`` for a part that no look has, or one that names the first box where it must not;
            ``deposit-self`` where two of the three members are the same; ``box-size``; the codes of the members.
    """
    jws = parse_token(token, typ=TYP, max_bytes=MAX_DEPOSIT_BYTES)
    claims = check_members(jws.payload, "deposit", required=_NAMES)
    deposit = Deposit(
        iss=parse_uscc(check_text(claims["iss"], "iss")),
        aud=parse_uscc(check_text(claims["aud"], "aud")),
        iat=check_integer(claims["iat"], "iat", most=MAX_TIME),
        rid=parse_b64u(check_text(claims["rid"], "rid"), length=RID_BYTES),
        part=check_text(claims["part"], "part"),
        peer=parse_uscc(check_text(claims["peer"], "peer")),
        ask=_find_digest(claims["ask"], "ask"),
        box=parse_b64u(check_text(claims["box"], "box", max_chars=MAX_DEPOSIT_BYTES)),
        warrant=check_text(claims["warrant"], "warrant", max_chars=MAX_WARRANT_BYTES),
        digest=token_digest(token),
    )
    if deposit.part not in PARTS or (deposit.ask is None) is not (deposit.part == ASK):
        raise InvalidInput(
            "deposit-part",
            f"deposit is of no part of a look, or names its first box where it must not: {PARTS}",
        )
    if len({deposit.iss, deposit.aud, deposit.peer}) < len((deposit.iss, deposit.aud, deposit.peer)):
        raise InvalidInput("deposit-self", "a deposit is between three members: two are the same")
    if not PAD_BYTES + OVERHEAD_BYTES <= len(deposit.box) <= MAX_BOX_BYTES:
        raise InvalidInput("box-size", f"box has {len(deposit.box)} bytes, want at most {MAX_BOX_BYTES}")
    parse_warrant(deposit.warrant)
    return deposit


def build_deposited(
    *,
    signer: Ed25519Signer,
    iss: str,
    aud: str,
    iat: int,
    req: bytes,
    code: str | None = None,
    event: bytes | None = None,
    receipt: str | None = None,
) -> str:
    """Build the answer to a deposit: either a code, or event and receipt.

    Raises:
        InvalidInput: As ``parse_deposited``.
    """
    payload = {
        "iss": iss,
        "aud": aud,
        "iat": iat,
        "req": encode_b64u(req),
        "code": code,
        "event": None if event is None else event.decode(),
        "receipt": receipt,
    }
    token = sign_jws(DEPOSITED_TYP, payload, signer)
    parse_deposited(token)
    return token


def parse_deposited(token: str) -> Deposited:
    """Parse the answer to a deposit; nothing is verified.

    Args:
        token: Compact JWS, untrusted, at most 128 KiB.

    Raises:
        InvalidInput: ``deposited-result`` unless it has either a code, or event and receipt; the codes of the members.
    """
    jws = parse_token(token, typ=DEPOSITED_TYP, max_bytes=MAX_DEPOSITED_BYTES)
    claims = check_members(jws.payload, "deposited", required=_DEPOSITED_NAMES)
    code, event, receipt = (
        None if claims[name] is None else check_text(claims[name], name, max_chars=most)
        for name, most in (
            ("code", _MAX_CODE_CHARS),
            ("event", MAX_ENTRY_BYTES),
            ("receipt", MAX_RECEIPT_BYTES),
        )
    )
    is_refused = code is not None
    if is_refused is (event is not None) or is_refused is (receipt is not None):
        raise InvalidInput("deposited-result", "want either a code, or an event and its receipt")
    if code is not None and not _CODE.fullmatch(code):
        raise InvalidInput("deposited-result", "code is none: want words of a-z and 0-9 with hyphens")
    return Deposited(
        iss=parse_uscc(check_text(claims["iss"], "iss")),
        aud=parse_uscc(check_text(claims["aud"], "aud")),
        iat=check_integer(claims["iat"], "iat", most=MAX_TIME),
        req=parse_b64u(check_text(claims["req"], "req"), length=_DIGEST_BYTES),
        code=code,
        event=None if event is None else event.encode(),
        receipt=receipt,
    )


def verify_deposited(
    token: str,
    *,
    deposit: Deposit,
    warrant: Warrant,
    find_key: Callable[[str], bytes],
    log: str,
    now_seconds: int,
    anchor_limit_seconds: int | None = None,
) -> Deposited:
    """Verify that the regulator holds a box: its event names the box, and its receipt promises the event.

    Args:
        token: Content of the answer's box, untrusted.
        deposit: What this node deposited.
        warrant: The warrant in it.
        find_key: Returns the regulator's node key (32 bytes) by ``kid``, valid now, or raises.
        log: Origin of the regulator's open access log, from the registry.
        now_seconds: This node's clock.
        anchor_limit_seconds: The network's limit; None leaves ``anchor_by`` to the caller.

    Raises:
        InvalidInput: As ``parse_deposited``.
        Verification: ``deposited-other`` for the answer to something else, ``deposited-event`` when the event is not about
            this box; ``answer-time``; the codes of the receipt.
        AccessDenied: The regulator's code: it took nothing.
    """
    jws = parse_token(token, typ=DEPOSITED_TYP, max_bytes=MAX_DEPOSITED_BYTES)
    public = find_key(jws.header["kid"])
    verify_jws(jws, public)
    given = parse_deposited(token)
    if (given.iss, given.aud, given.req) != (deposit.aud, deposit.iss, deposit.digest):
        raise Verification("deposited-other", "the answer is not the regulator's to this deposit")
    if not deposit.iat - MAX_SKEW_SECONDS <= given.iat <= now_seconds + MAX_SKEW_SECONDS:
        raise Verification(
            "answer-time",
            f"answer was signed {given.iat - deposit.iat} seconds after the deposit: compare the clocks",
        )
    if (code := given.code) is not None:
        raise AccessDenied(code, f"{deposit.aud} did not take the sealed event")
    assert given.event is not None, "parsed"
    assert given.receipt is not None, "parsed"
    verify_receipt(
        given.receipt,
        public=public,
        entry=given.event,
        iss=deposit.aud,
        aud=deposit.iss,
        log=log,
        anchor_limit_seconds=anchor_limit_seconds,
    )
    event = parse_event(given.event)
    want = (SEALED, 0, deposit.rid, deposit.box_digest, warrant.digest, warrant.open_by)
    if (event.kind, event.n, event.rid, event.box, event.warrant, event.open_by) != want:
        raise Verification("deposited-event", "the regulator's event is not about this box")
    return given


def seal_deposit(jws: str, *, public: bytes, from_: MemberCode, to: MemberCode) -> Envelope:
    """Seal a deposit to the regulator.

    Raises:
        InvalidInput: ``exchange-key``, ``box-size``.
    """
    kid = key_id16(public)
    return Envelope(from_, to, kid, seal(public, deposit_info(from_, to, kid), pad(jws, MAX_DEPOSIT_BYTES)))


def open_deposit(envelope: Envelope, key: ExchangeKey) -> str:
    """Open the envelope of a deposit and return its JWS, of which nothing is verified.

    Raises:
        InvalidInput: ``box-padding``.
        Verification: ``box-kid``, ``box-open``.
    """
    return open_box(envelope, key, key.kid, deposit_info(envelope.from_, envelope.to, envelope.kid))


def seal_deposited(jws: str, *, public: bytes, req: bytes, from_: MemberCode, to: MemberCode) -> Envelope:
    """Seal the answer to the exchange key of whoever deposited.

    Args:
        jws: The answer, signed.
        public: The member's exchange key, 1,216 bytes, from the registry.
        req: SHA-256 of the deposit, 32 bytes.
        from_: The regulator.
        to: The member.

    Raises:
        InvalidInput: ``exchange-key``, ``box-size``.
    """
    box = seal(public, deposited_info(from_, to, req), pad(jws, MAX_DEPOSITED_BYTES))
    return Envelope(from_, to, REPLY, box)


def open_deposited(envelope: Envelope, key: ExchangeKey, *, req: bytes) -> str:
    """Open the envelope of the answer to a deposit and return its JWS, of which nothing is verified.

    Raises:
        InvalidInput: ``box-padding``.
        Verification: ``box-kid``, ``box-open``.
    """
    return open_box(envelope, key, REPLY, deposited_info(envelope.from_, envelope.to, req))


MAX_DEPOSIT_ENVELOPE_BYTES: Final = max_envelope_bytes(MAX_DEPOSIT_BYTES)
"""Greatest body of the deposit route."""


def _find_digest(value: Any, name: str) -> bytes | None:
    return None if value is None else parse_b64u(check_text(value, name), length=_DIGEST_BYTES)
