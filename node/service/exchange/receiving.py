# SPDX-License-Identifier: Apache-2.0
"""Steps 4 to 6 of asking: verify each answer, log its ``receive``, and only then show it; and close what was lost."""

from __future__ import annotations

from concurrent.futures import FIRST_COMPLETED, wait
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Final

from node.access.answer import DENY, released_of, verify_answer
from node.access.box import MAX_ANSWER_BYTES, open_answer, parse_envelope
from node.errors import Conflict, NodeError, Verification
from node.evidence.answered import check_heads, verify_answered
from node.service.drafting import EventDraft
from node.service.exchange.ledger import close_question, is_open, list_open, put_promise, put_seen_head
from node.service.exchange.orders import FAILED, Outcome
from node.service.exchange.side import require_searched

if TYPE_CHECKING:
    from collections.abc import Sequence

    from node.access.answer import Answer
    from node.core.types import EntryIndex, MemberCode
    from node.evidence.answered import AnsweredRecord
    from node.service.exchange.directory import Peer
    from node.service.exchange.ledger import OpenQuestion
    from node.service.exchange.sending import Sent
    from node.service.exchange.side import Side
    from node.service.looking import Logged
    from node.service.transaction import Transaction

RECEIVE: Final = "receive"
LOST_SECONDS: Final = 60
"""How long behind its end a question without answer is taken for lost."""
_REQ_UNSENT: Final = bytes(32)
"""What stands for the request of a question that was never sent, or of which nobody knows any more what was sent."""


@dataclass(frozen=True, slots=True)
class _Received:
    """An answer that holds, its records, its JWS, and the number of the status head it shows."""

    answer: Answer
    records: tuple[AnsweredRecord, ...]
    token: str
    seq: int | None


def receive_all(side: Side, sent: Sequence[Sent]) -> list[Outcome]:
    """Take the answers as they come; the slowest provider delays no other's event."""
    waiting = {one.future: one for one in sent}
    outcomes = []
    while waiting:
        done, _ = wait(waiting, return_when=FIRST_COMPLETED)
        outcomes += [_receive(side, waiting.pop(future)) for future in done]
    return outcomes


def close_lost(side: Side) -> int:
    """Log the ``receive`` of questions that were lost when this node died, once nobody answers them any more.

    Raises:
        NodeError: The log or the store cannot be used now; calling again goes on.
    """
    now = side.clock.now_seconds()
    lost = [one for one in list_open(side.reads) if now > one.exp + LOST_SECONDS]
    for question in lost:
        _close(side, question)
    return len(lost)


def _receive(side: Side, sent: Sent) -> Outcome:
    received: _Received | None = None
    error: NodeError | None = None
    try:
        received = _verify(side, sent, sent.future.result())
    except NodeError as failure:
        error = failure
    try:
        logged = _log_receive(side, sent, received)
    except NodeError as failure:
        # What is not in the log is not shown.
        return Outcome(sent.peer.member.code, FAILED, failure.code, failure.message, (sent.logged.receipt,))
    receipts = (sent.logged.receipt, logged.receipt)
    if received is None:
        assert error is not None, "an answer or an error"
        return Outcome(sent.peer.member.code, FAILED, error.code, error.message, receipts)
    answer = received.answer
    return Outcome(
        sent.peer.member.code,
        answer.result,
        answer.code,
        None,
        receipts,
        answer,
        received.records,
        received.token,
    )


def _verify(side: Side, sent: Sent, body: bytes) -> _Received:
    """Verify an answer.

    Raises:
        InvalidInput, Verification, AccessDenied: It does not hold, or its sender may not answer now.
    """
    peer, request, reply = sent.peer, sent.request, sent.reply
    assert request is not None, "an answer comes to what was sent"
    assert reply is not None, "an answer comes to what was sent"
    now = side.clock.now_seconds()
    envelope = parse_envelope(body, max_plaintext_bytes=MAX_ANSWER_BYTES)
    if (envelope.from_, envelope.to) != (peer.member.code, side.member):
        raise Verification(
            "envelope-to",
            f"envelope is from {envelope.from_} for {envelope.to}: want an answer to this question",
        )
    token = open_answer(envelope, reply, req=request.digest)
    answer = verify_answer(
        token,
        request=request,
        find_key=partial(side.find_node_key, peer),
        log=side.require_speaking(peer),
        now_seconds=now,
        anchor_limit_seconds=side.anchor_limit_seconds,
    )
    records = verify_answered(answer, request=request, find_key=partial(_record_key, peer))
    seq = check_heads(
        records, now_seconds=now, limit_seconds=side.anchor_limit_seconds, least_seq=sent.least_seq
    )
    require_searched(peer, answer.as_of)
    side.require_newest(peer, answer.checkpoint)
    for note in (answer.checkpoint, answer.as_of):
        side.gossip.observe(note)
    side.gossip.require_honest(peer.member.code)
    return _Received(answer, tuple(records), token, seq)


def _log_receive(side: Side, sent: Sent, received: _Received | None) -> Logged:
    answer = None if received is None else received.answer
    released = None if answer is None or answer.result == DENY else released_of(answer.records)
    draft = replace(
        sent.draft,
        kind=RECEIVE,
        req=_REQ_UNSENT if sent.request is None else sent.request.digest,
        released=released,
        n=max(1, len(released or ())),
    )

    def also(transaction: Transaction, index: EntryIndex) -> None:
        _require_open(transaction, sent.place)
        close_question(transaction, sent.place)
        if answer is not None:
            place = side.access_reader.place(index)
            put_promise(transaction, place, answer.iss, answer.grant.event, answer.grant.receipt)
        if received is not None and received.seq is not None:
            put_seen_head(transaction, received.answer.iss, received.seq)

    return side.access.log(draft, also)


def _close(side: Side, question: OpenQuestion) -> None:
    """Log that nothing was received; what was asked stands in the ask event of the same rid."""
    draft = EventDraft(
        kind=RECEIVE, peer=question.provider, rid=question.rid, req=question.req or _REQ_UNSENT
    )

    def also(transaction: Transaction, _index: EntryIndex) -> None:
        _require_open(transaction, question.place)
        close_question(transaction, question.place)

    side.access.log(draft, also)


def _require_open(transaction: Transaction, place: int) -> None:
    if not is_open(transaction, place):
        raise Conflict("question-closed", f"the question at place {place} has its receive already")


def _record_key(peer: Peer, kid: str, member: MemberCode) -> bytes:
    public = peer.record_keys.get(kid) if member == peer.member.code else None
    if public is None:
        raise Verification("member-key", f"{member} has no valid record key {kid}")
    return public
