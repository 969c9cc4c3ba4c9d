# SPDX-License-Identifier: Apache-2.0
"""Steps 2 and 3 of asking: log an ``ask`` for each provider in one commit, and only then sign, seal and send."""

from __future__ import annotations

from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Final, TypedDict

from node.access.box import encode_envelope, seal_request
from node.access.bulk_request import build_bulk_request
from node.access.decision import refuse
from node.access.event import RID_BYTES
from node.access.request import MAX_VALID_SECONDS, build_request
from node.access.warrant import parse_warrant
from node.core.encoding import encode_b64u
from node.crypto.hpke import ExchangeKey
from node.crypto.token import token_digest
from node.errors import AccessDenied, NodeError, Unavailable
from node.service.exchange.approvals import ApprovalCharge
from node.service.exchange.ledger import OpenQuestion, find_seen_head, is_open, put_question
from node.service.exchange.untold import NOTHING, Told
from node.service.limiting import UseCharge, charge_all, rule_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from node.access.decision import Decision
    from node.access.logged import LoggedEvent
    from node.access.question import ItemQuery
    from node.access.request import AnyRequest
    from node.core.types import EntryIndex, MemberCode
    from node.crypto.ed25519 import Ed25519Signer
    from node.ports.peers import Peers
    from node.service.drafting import EventDraft
    from node.service.exchange.directory import Peer
    from node.service.exchange.orders import Order, Question
    from node.service.exchange.permits import Judged
    from node.service.exchange.side import Side
    from node.service.limiting import Charge
    from node.service.looking import Also, Logged
    from node.service.sealing import Sealed
    from node.service.transaction import Transaction


class Common(TypedDict):
    """What requests of both kinds are built of."""

    signer: Ed25519Signer
    iss: str
    aud: str
    iat: int
    exp: int
    rid: bytes
    items: Sequence[ItemQuery]
    purpose: str
    basis: str | None
    case: str | None
    reply: bytes
    ask: LoggedEvent
    checkpoint: str
    received: Sequence[LoggedEvent]


VALID_SECONDS: Final = 120
"""How long a request may be answered; as long as the message may be tried again, and the clocks differ."""
assert VALID_SECONDS <= MAX_VALID_SECONDS


@dataclass(slots=True)
class Ready:
    """A question that may be logged.

    Attributes:
        peer: Who is asked.
        draft: What is logged, of its plain kind.
        charges: What it uses up.
        sealed: The same as a sealed event whose box the regulator holds; None without a warrant.
    """

    peer: Peer
    draft: EventDraft
    charges: tuple[Charge, ...]
    sealed: Sealed | None = None


@dataclass(frozen=True, slots=True)
class Sent:
    """A question that was logged, and, once it was sent, its request, reply key and answer to come.

    Attributes:
        peer: Who is asked.
        place: Place of its ``ask`` in the access logs.
        exp: Second from which on nobody answers it.
        draft: What was logged; its ``receive`` says the same.
        logged: The ``ask``.
        sealed: What the regulator holds of it; None without a warrant.
        told: How earlier questions ended, which its request says.
        least_seq: Read before it was sent: an answer to it shows no older status head.
        request: The request; None where none could be sent.
        reply: Opens the answer; None where none could be sent.
        future: The envelope that comes back, or why none does.
    """

    peer: Peer
    place: int
    exp: int
    draft: EventDraft
    logged: Logged
    sealed: Sealed | None = None
    told: Told = NOTHING
    least_seq: int = 0
    request: AnyRequest | None = None
    reply: ExchangeKey | None = None
    future: Future[bytes] = field(default_factory=Future)


def draft_for(side: Side, base: EventDraft, order: Order, peer: Peer, judged: Judged) -> Ready:
    """Draft the ``ask`` of one provider.

    Args:
        side: This node.
        base: What all of them have in common.
        order: What is asked.
        peer: The provider.
        judged: What was decided: granted.
    """
    code, rid = peer.member.code, side.random(RID_BYTES)
    consent = order.consents.get(code)
    digest = None if consent is None else encode_b64u(token_digest(consent))
    rule = judged.decision.rule
    draft = replace(
        base, peer=code, rid=rid, rule=rule, consent=digest, n=len(base.lines) or 1, released=None
    )
    charges = judged.charges
    if order.approval is not None:
        charges = (*charges, ApprovalCharge.of(order.approval, side.clock.now_seconds()))
    if order.warrant is not None:
        charges = (*charges, UseCharge.of_warrant(parse_warrant(order.warrant), rid, 1))
    return Ready(peer, draft, charges)


def log_asks(side: Side, ready: Sequence[Ready]) -> tuple[list[Sent], dict[MemberCode, Decision]]:
    """Log an ``ask`` for each provider, and what it uses up, in one commit.

    Returns:
        What is to be sent, and by provider what cannot be asked any more: another question used up meanwhile what
        allowed it.

    Raises:
        Unavailable: The log or the store cannot be used now; nothing was sent.
    """
    exp = side.clock.now_seconds() + VALID_SECONDS
    drafts = []
    for one in ready:
        also = _open_question(side, one, exp)
        if one.sealed is not None:
            drafts.append((one.sealed.draft, one.sealed.keep(side, also)))
        else:
            drafts.append((one.draft, also))
    sent: list[Sent] = []
    refused: dict[MemberCode, Decision] = {}
    for one, logged in zip(ready, side.access.log_all(drafts), strict=True):
        if isinstance(logged, AccessDenied):
            refused[one.peer.member.code] = refuse(rule_of(logged), logged)
        else:
            place = side.access_reader.place(logged.index)
            sent.append(Sent(one.peer, place, exp, one.draft, logged, one.sealed))
    return sent, refused


def send(side: Side, peers: Peers, sent: Sent, order: Order, question: Question, note: str) -> Sent:
    """Sign, seal and send what was logged; where it cannot be sent, the future says why.

    Args:
        side: This node.
        peers: Carries the envelope.
        sent: What was logged.
        order: What is asked.
        question: The same, in the form that a request has.
        note: Newest signed checkpoint of this node's access log.
    """
    peer, code, told = sent.peer, sent.peer.member.code, NOTHING
    try:
        if peer.address is None or peer.exchange_key is None:
            raise Unavailable("peer-unreachable", f"the chain does not say where {code} is reached")
        side.require_speaking(peer)
        side.gossip.require_honest(code)
        reply = ExchangeKey.generate(side.random)
        told = side.untold.take(code)
        common: Common = {
            "signer": side.node_key,
            "iss": side.member,
            "aud": code,
            "iat": min(side.clock.now_seconds(), sent.exp - 1),
            "exp": sent.exp,
            "rid": sent.logged.rid,
            "items": question.items,
            "purpose": order.purpose,
            "basis": order.basis,
            "case": order.case,
            "reply": reply.public,
            "ask": sent.logged.to_show(),
            "checkpoint": note,
            "received": told.events,
        }
        request: AnyRequest
        if question.is_bulk:
            is_approved = order.approval is not None
            token, request = build_bulk_request(texts=sent.logged.lines, approved=is_approved, **common)
        else:
            consent = order.consents.get(code)
            token, request = build_request(
                subject=question.subject, consent=consent, sealed=order.warrant, **common
            )
        body = encode_envelope(seal_request(token, public=peer.exchange_key, from_=side.member, to=code))
        least_seq = find_seen_head(side.reads, code)
        known = OpenQuestion(sent.place, code, sent.logged.rid, sent.exp, request.digest)
        side.sequencer.submit(partial(_note_sent, known), entries=0)
        future = peers.send(peer.address, body)
    except NodeError as error:
        side.untold.give_back(told)
        failed: Future[bytes] = Future()
        failed.set_exception(error)
        return replace(sent, future=failed)
    return replace(sent, told=told, least_seq=least_seq, request=request, reply=reply, future=future)


def _open_question(side: Side, ready: Ready, exp: int) -> Also:
    provider, rid, charge = ready.peer.member.code, ready.draft.rid, charge_all(ready.charges)
    assert rid is not None, "drafted with one"

    def also(transaction: Transaction, index: EntryIndex) -> None:
        charge(transaction, index)
        place = side.access_reader.place(index)
        put_question(transaction, OpenQuestion(place, provider, rid, exp))

    return also


def _note_sent(question: OpenQuestion, transaction: Transaction) -> None:
    if is_open(transaction, question.place):
        put_question(transaction, question)
