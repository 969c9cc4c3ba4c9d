# SPDX-License-Identifier: Apache-2.0
"""Receipts: a node's signed promise that an access event stands in its log (protocol §7).

A receipt is signed only after its entry and the head file are durable, and is given with the event's bytes, so that
whoever takes it recomputes the leaf instead of believing it. What convicts the signer of a receipt that was not
honoured is in the protocol; here it is only made, read and checked.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from node.access.event import RID_BYTES, parse_event
from node.core.canonical import check_members
from node.core.clock import MAX_TIME
from node.core.encoding import encode_b64u, parse_b64u
from node.core.members import check_integer, check_text
from node.core.recent import Recent
from node.core.types import EntryIndex, LeafHash
from node.core.uscc import parse_member
from node.crypto.jws import parse_jws, verify_jws
from node.crypto.token import build_token
from node.errors import InvalidInput, Verification
from node.log.checkpoint import parse_origin
from node.log.merkle import leaf_hash

if TYPE_CHECKING:
    from node.access.event import ParsedEvent
    from node.core.types import MemberCode
    from node.crypto.ed25519 import Ed25519Signer
    from node.crypto.jws import Jws

TYP: Final = "log-receipt+jwt"
MAX_AGE_SECONDS: Final = 360
"""How old a receipt is at most when the other side gets it: a request is valid for 300 s, and clocks differ by 60."""
MAX_SKEW_SECONDS: Final = 60
"""How far a clock of another member may be ahead, and a receipt's time be from its event's."""
MAX_RECEIPT_BYTES: Final = 4 * 1024
_LEAF_BYTES: Final = 32
_RECENT: Final[Recent[tuple[Jws, Receipt]]] = Recent(128)
"""A receipt is read as it is made or comes in, as it is verified, and as it is kept: the same text each time."""


@dataclass(frozen=True, slots=True)
class Receipt:
    """What a receipt says. Nothing of it is verified until ``verify_receipt`` returned it.

    Attributes:
        iss: The member that promises.
        aud: The other side; ``iss`` itself for a local look.
        log: Origin of the access log.
        idx: Index of the event in that log.
        leaf: RFC 6962 leaf hash of the event.
        rid: 16 bytes, the event's.
        pair: Counts receipts from iss to aud, from 1, without gaps.
        iat: Second at which it was signed.
        anchor_by: Second of block time by which the entry is anchored.
    """

    iss: MemberCode
    aud: MemberCode
    log: str
    idx: EntryIndex
    leaf: LeafHash
    rid: bytes
    pair: int
    iat: int
    anchor_by: int


def build_receipt(
    *,
    signer: Ed25519Signer,
    iss: str,
    aud: str,
    log: str,
    idx: int,
    leaf: bytes,
    rid: bytes,
    pair: int,
    iat: int,
    anchor_limit_seconds: int,
) -> str:
    """Build a receipt. The caller made sure that entry and head file are durable.

    Args:
        signer: The member's node key.
        iss: USCC of this member.
        aud: USCC of the other side, iss for a local look.
        log: Origin of this member's open access log.
        idx: Index of the event.
        leaf: Its leaf hash, 32 bytes.
        rid: Its rid, 16 bytes.
        pair: Number of this receipt from iss to aud, from 1.
        iat: Now, in seconds.
        anchor_limit_seconds: The network's ``anchor_limit``.

    Raises:
        InvalidInput: ``receipt-…`` and ``json-…``: the promise contradicts itself and must not be signed.
    """
    payload = {
        "iss": iss,
        "aud": aud,
        "log": log,
        "idx": idx,
        "leaf": encode_b64u(leaf),
        "rid": encode_b64u(rid),
        "pair": pair,
        "iat": iat,
        "anchor_by": iat + anchor_limit_seconds,
    }
    token, jws = build_token(TYP, payload, signer, max_bytes=MAX_RECEIPT_BYTES)
    _RECENT.put(token, (jws, _read_claims(jws)))
    return token


def parse_receipt(token: str) -> Receipt:
    """Parse a receipt; nothing is verified.

    Args:
        token: Compact JWS, untrusted, at most 4 KiB.

    Raises:
        InvalidInput: ``jws-…``, ``json-…``, ``base64…`` codes, and ``receipt-log`` for a log that is not an
            access log of iss, ``receipt-anchor-by`` for a time before iat.
    """
    return read_receipt(token)[1]


def verify_receipt(
    token: str,
    *,
    public: bytes,
    entry: bytes,
    iss: str,
    aud: str,
    log: str,
    anchor_limit_seconds: int | None = None,
) -> Receipt:
    """Verify that a receipt promises exactly this event.

    Args:
        token: The receipt, untrusted.
        public: iss's node key, 32 bytes, from the registry or a policy.
        entry: The event's bytes as they came with the receipt.
        iss: The member that must have signed.
        aud: The member it must be meant for.
        log: Origin of iss's open access log, from the registry or a policy.
        anchor_limit_seconds: The network's limit; None leaves ``anchor_by`` to the caller.

    Raises:
        InvalidInput: The receipt or the event is malformed.
        Verification: ``jws-key``, ``ed25519-signature``, ``receipt-iss``, ``receipt-aud``, ``receipt-log``,
            ``receipt-leaf``, ``receipt-rid``, ``receipt-anchor-by``.
    """
    jws, receipt = read_receipt(token)
    verify_jws(jws, public)
    if receipt.iss != iss:
        raise Verification("receipt-iss", f"receipt is by another member: got {receipt.iss}, want {iss}")
    if receipt.aud != aud:
        raise Verification("receipt-aud", f"receipt is for another member: got {receipt.aud}, want {aud}")
    if receipt.log != log:
        raise Verification("receipt-log", f"receipt is of another log: got {receipt.log}, want {log}")
    if receipt.leaf != leaf_hash(entry):
        raise Verification(
            "receipt-leaf", f"receipt for index {receipt.idx} is not for the event given with it"
        )
    event: ParsedEvent = parse_event(entry)
    if receipt.rid != event.rid:
        raise Verification(
            "receipt-rid", f"receipt for index {receipt.idx} names another request than its event"
        )
    if anchor_limit_seconds is not None and receipt.anchor_by != receipt.iat + anchor_limit_seconds:
        raise Verification(
            "receipt-anchor-by",
            f"receipt promises another limit: got {receipt.anchor_by - receipt.iat} s, want {anchor_limit_seconds} s",
        )
    return receipt


def check_receipt_time(receipt: Receipt, event: ParsedEvent, *, now_seconds: int) -> None:
    """Refuse a receipt that was not signed just now: what promises an anchor for the year 2100 promises nothing.

    Args:
        receipt: From ``verify_receipt``.
        event: The event that it promises.
        now_seconds: The clock of who is given the receipt.

    Raises:
        Verification: ``receipt-time``.
    """
    age = now_seconds - receipt.iat
    if not -MAX_SKEW_SECONDS <= age <= MAX_AGE_SECONDS:
        raise Verification(
            "receipt-time",
            f"receipt was signed {age} seconds ago: want {-MAX_SKEW_SECONDS} to {MAX_AGE_SECONDS}",
        )
    check_receipt_event_time(receipt, event)


def check_receipt_event_time(receipt: Receipt, event: ParsedEvent) -> None:
    """Refuse a receipt that is dated otherwise than its event, however old both are.

    Raises:
        Verification: ``receipt-time``.
    """
    apart = event.t_ms // 1_000 - receipt.iat
    if abs(apart) > MAX_SKEW_SECONDS:
        raise Verification(
            "receipt-time",
            f"receipt and its event are {abs(apart)} seconds apart: want at most {MAX_SKEW_SECONDS}",
        )


def read_receipt(token: str) -> tuple[Jws, Receipt]:
    """Parse a receipt together with its signature, for one who has still to find the key.

    Raises:
        InvalidInput: As ``parse_receipt``.
    """
    # What is no text is refused below; it may be nothing that can be looked for.
    known = _RECENT.find(token) if type(token) is str else None
    if known is None:
        jws = parse_jws(token, typ=TYP, max_bytes=MAX_RECEIPT_BYTES)
        known = jws, _read_claims(jws)
        _RECENT.put(token, known)
    return known


def _read_claims(jws: Jws) -> Receipt:
    claims = check_members(
        jws.payload,
        "receipt",
        required=("iss", "aud", "log", "idx", "leaf", "rid", "pair", "iat", "anchor_by"),
    )
    receipt = Receipt(
        iss=parse_member(check_text(claims["iss"], "iss")),
        aud=parse_member(check_text(claims["aud"], "aud")),
        log=check_text(claims["log"], "log"),
        idx=EntryIndex(check_integer(claims["idx"], "idx")),
        leaf=LeafHash(parse_b64u(check_text(claims["leaf"], "leaf"), length=_LEAF_BYTES)),
        rid=parse_b64u(check_text(claims["rid"], "rid"), length=RID_BYTES),
        pair=check_integer(claims["pair"], "pair", least=1),
        iat=check_integer(claims["iat"], "iat", most=MAX_TIME),
        anchor_by=check_integer(claims["anchor_by"], "anchor_by", most=MAX_TIME),
    )
    origin = parse_origin(receipt.log)
    if origin.member != receipt.iss or origin.kind != "access":
        raise InvalidInput(
            "receipt-log", f"log of a receipt is not an access log of its issuer: {receipt.log}"
        )
    if receipt.anchor_by < receipt.iat:
        raise InvalidInput("receipt-anchor-by", "receipt promises an anchor before it was signed")
    return receipt
