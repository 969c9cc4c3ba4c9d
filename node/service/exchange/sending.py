# SPDX-License-Identifier: Apache-2.0
"""Steps 2 and 3 of asking: log an ``ask`` for each provider in one commit, and only then sign, seal and send."""

from __future__ import annotations

from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Final

from node.access.box import encode_envelope, seal_request
from node.access.event import RID_BYTES
from node.access.request import MAX_VALID_SECONDS, build_request, parse_request
from node.core.encoding import encode_b64u
from node.crypto.hpke import ExchangeKey
from node.crypto.token import token_digest
from node.errors import NodeError, Unavailable
from node.service.exchange.ledger import OpenQuestion, find_seen_head, is_open, put_question
from node.service.limiting import charge_all

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from node.access.request import Request
    from node.core.types import EntryIndex, MemberCode
    from node.ports.peers import Peers
    from node.service.drafting import EventDraft
    from node.service.exchange.directory import Peer
    from node.service.exchange.orders import Order, Question
    from node.service.exchange.permits import Judged
    from node.service.exchange.side import Side
    from node.service.looking import Also, Logged
    from node.service.transaction import Transaction

VALID_SECONDS: Final = 120
"""How long a request may be answered; as long as the message may be tried again, and the clocks differ."""
assert VALID_SECONDS <= MAX_VALID_SECONDS


@dataclass(frozen=True, slots=True)
class Sent:
    """A question that was logged, and, once it was sent, its request, reply key and answer to come.

    Attributes:
        peer: Who is asked.
        place: Place of its ``ask`` in the access logs.
        exp: Second from which on nobody answers it.
        draft: What was logged; its ``receive`` says the same.
        logged: The ``ask``.
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
    least_seq: int = 0
    request: Request | None = None
    reply: ExchangeKey | None = None
    future: Future[bytes] = field(default_factory=Future)


def log_asks(
    side: Side, base: EventDraft, order: Order, peers: Sequence[Peer], judged: Mapping[MemberCode, Judged]
) -> list[Sent]:
    """Log an ``ask`` for each provider, and what it uses up, in one commit.

    Args:
        side: This node.
        base: What all of them have in common.
        order: What is asked.
        peers: Those that a question was granted for.
        judged: What was decided, by provider.

    Raises:
        AccessDenied: What allowed it was used up meanwhile; nothing was logged.
        Unavailable: The log or the store cannot be used now; nothing was logged.
    """
    exp = side.clock.now_seconds() + VALID_SECONDS
    drafts = []
    for peer in peers:
        code, rid = peer.member.code, side.random(RID_BYTES)
        consent = order.consents.get(code)
        digest = None if consent is None else encode_b64u(token_digest(consent))
        draft = replace(
            base, peer=code, rid=rid, rule=judged[code].decision.rule, consent=digest, n=1, released=None
        )
        drafts.append((draft, _open_question(side, code, rid, exp, charge_all(judged[code].charges))))
    logged = side.access.log_all(drafts)
    return [
        Sent(peer, side.access_reader.place(one.index), exp, draft, one)
        for peer, (draft, _), one in zip(peers, drafts, logged, strict=True)
    ]


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
    peer, code = sent.peer, sent.peer.member.code
    try:
        if peer.address is None or peer.exchange_key is None:
            raise Unavailable("peer-unreachable", f"the chain does not say where {code} is reached")
        side.require_speaking(peer)
        side.gossip.require_honest(code)
        reply = ExchangeKey.generate(side.random)
        token = build_request(
            signer=side.node_key,
            iss=side.member,
            aud=code,
            iat=min(side.clock.now_seconds(), sent.exp - 1),
            exp=sent.exp,
            rid=sent.logged.rid,
            subject=question.subject,
            items=question.items,
            purpose=order.purpose,
            basis=order.basis,
            case=order.case,
            reply=reply.public,
            ask=sent.logged.to_show(),
            checkpoint=note,
            consent=order.consents.get(code),
        )
        request = parse_request(token)
        body = encode_envelope(seal_request(token, public=peer.exchange_key, from_=side.member, to=code))
        least_seq = find_seen_head(side.reads, code)
        known = OpenQuestion(sent.place, code, sent.logged.rid, sent.exp, request.digest)
        side.sequencer.submit(partial(_note_sent, known), entries=0)
        future = peers.send(peer.address, body)
    except NodeError as error:
        failed: Future[bytes] = Future()
        failed.set_exception(error)
        return replace(sent, future=failed)
    return replace(sent, least_seq=least_seq, request=request, reply=reply, future=future)


def _open_question(side: Side, provider: MemberCode, rid: bytes, exp: int, charge: Also) -> Also:
    def also(transaction: Transaction, index: EntryIndex) -> None:
        charge(transaction, index)
        place = side.access_reader.place(index)
        put_question(transaction, OpenQuestion(place, provider, rid, exp))

    return also


def _note_sent(question: OpenQuestion, transaction: Transaction) -> None:
    if is_open(transaction, question.place):
        put_question(transaction, question)
