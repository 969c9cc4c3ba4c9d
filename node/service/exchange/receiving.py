# SPDX-License-Identifier: Apache-2.0
"""Steps 4 to 6 of asking: verify each answer, log its ``receive``, and only then show it; and close what was lost."""

from __future__ import annotations

from concurrent.futures import FIRST_COMPLETED, wait
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypedDict

from node.access.answer import DENY, verify_answer
from node.access.box import MAX_ANSWER_BYTES, open_answer, parse_envelope
from node.access.bulk import hash_lines, released_set
from node.access.bulk_answer import BulkAnswer, verify_bulk_answer
from node.access.bulk_request import BulkRequest
from node.access.event import parse_event
from node.access.request import SEALED, Request
from node.errors import Conflict, NodeError, Verification
from node.evidence.answered import check_heads, verify_answered
from node.service.drafting import EventDraft
from node.service.exchange.ledger import close_question, is_open, list_open, put_promise, put_seen_head
from node.service.exchange.orders import FAILED, Outcome
from node.service.exchange.side import require_searched

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from node.access.answer import Answer
    from node.core.types import EntryIndex, MemberCode
    from node.evidence.answered import AnsweredRecord
    from node.service.exchange.directory import Peer
    from node.service.exchange.ledger import OpenQuestion
    from node.service.exchange.sending import Sent
    from node.service.exchange.side import Side
    from node.service.looking import Logged
    from node.service.sealing import Sealed, Sealer
    from node.service.transaction import Transaction


class Expected(TypedDict):
    """What answers of both kinds are verified against."""

    find_key: Callable[[str], bytes]
    log: str
    now_seconds: int
    anchor_limit_seconds: int


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


def receive_all(side: Side, sent: Sequence[Sent], sealer: Sealer) -> list[Outcome]:
    """Take the answers as they come; the slowest provider delays no other's event."""
    if len(sent) == 1:
        return [_receive(side, sent[0], sealer)]
    waiting = {one.future: one for one in sent}
    outcomes = []
    while waiting:
        done, _ = wait(waiting, return_when=FIRST_COMPLETED)
        outcomes += [_receive(side, waiting.pop(future), sealer) for future in done]
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


def _receive(side: Side, sent: Sent, sealer: Sealer) -> Outcome:
    received: _Received | None = None
    sealed: Sealed | None = None
    error: NodeError | None = None
    try:
        received = _verify(side, sent, sent.future.result())
        sealed = _seal(sealer, sent, received)
    except NodeError as failure:
        # What its regulator does not hold is not shown, either.
        received, error = None, failure
    try:
        logged = _log_receive(side, sent, received, sealed)
    except NodeError as failure:
        # What is not in the log is not shown.
        return Outcome(sent.peer.member.code, FAILED, failure.code, failure.message, (sent.logged.receipt,))
    finally:
        side.untold.give_back(sent.told)
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
    answer: Answer
    expected: Expected = {
        "find_key": partial(side.find_node_key, peer),
        "log": side.require_speaking(peer),
        "now_seconds": now,
        "anchor_limit_seconds": side.anchor_limit_seconds,
    }
    if isinstance(request, BulkRequest):
        answer = verify_bulk_answer(token, request=request, **expected)
    else:
        assert isinstance(request, Request), "there are two kinds of requests"
        answer = verify_answer(token, request=request, **expected)
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


def _seal(sealer: Sealer, sent: Sent, received: _Received) -> Sealed | None:
    """Have the regulator hold what was received under a warrant; None where nothing was that would need a seal."""
    if sent.sealed is None or received.answer.result == DENY:
        return None
    assert sent.request is not None, "answered"
    assert sent.request.sealed is not None, "asked under a warrant"
    return sealer.seal(
        _draft_receive(sent, received.answer),
        token=sent.request.sealed,
        part=RECEIVE,
        ask=sent.sealed.box,
    )


def _draft_receive(sent: Sent, answer: Answer | None) -> EventDraft:
    released, count = _count_released(answer)
    req = _REQ_UNSENT if sent.request is None else sent.request.digest
    if sent.sealed is not None and released is None:
        # Nothing was learnt: its end says no more than that.
        return EventDraft(kind=RECEIVE, peer=sent.peer.member.code, rid=sent.logged.rid, req=req)
    return replace(sent.draft, kind=RECEIVE, req=req, released=released, n=count, lines=())


def _count_released(answer: Answer | None) -> tuple[list[list[Any]] | None, int]:
    """Name what an answer released, and say how many records or lines that are."""
    if answer is None or answer.result == DENY:
        return None, 1
    if isinstance(answer, BulkAnswer):
        lines = [one.text for one in answer.lines]
        return released_set(hash_lines(lines).root), len(lines)
    return list(answer.released), max(1, len(answer.records))


def _log_receive(side: Side, sent: Sent, received: _Received | None, sealed: Sealed | None) -> Logged:
    answer = None if received is None else received.answer
    draft = _draft_receive(sent, answer)
    prepared, queue = None, None
    if sealed is None and sent.request is not None:
        # Of what never left the house the other side knows nothing.
        prepared = side.access.prepare(draft)
        queue = side.untold.queue(sent.peer.member.code, prepared.openings)

    def also(transaction: Transaction, index: EntryIndex) -> None:
        _require_open(transaction, sent.place)
        close_question(transaction, sent.place)
        if queue is not None:
            queue(transaction, index)
        if answer is not None:
            side.untold.drop(transaction, answer.iss, sent.told.places)
            place = side.access_reader.place(index)
            put_promise(transaction, place, answer.iss, answer.grant.event, answer.grant.receipt)
        if received is not None and received.seq is not None:
            put_seen_head(transaction, received.answer.iss, received.seq)

    if sealed is not None:
        return side.access.log(sealed.draft, sealed.keep(side, also))
    return side.access.log(prepared or draft, also)


def _close(side: Side, question: OpenQuestion) -> None:
    """Log that nothing was received; what was asked, and about whom, stands in the ask event of the same rid."""
    reader, ask = side.access_logs.locate(question.place)
    is_sealed = parse_event(reader.entry(reader.row(ask))).kind == SEALED
    draft = EventDraft(
        kind=RECEIVE,
        peer=question.provider,
        rid=question.rid,
        req=question.req or _REQ_UNSENT,
        # The end of a sealed look would show its subject that there was one.
        follows=None if is_sealed else question.place,
    )
    prepared = side.access.prepare(draft)
    queue = side.untold.queue(question.provider, prepared.openings)

    def also(transaction: Transaction, index: EntryIndex) -> None:
        _require_open(transaction, question.place)
        close_question(transaction, question.place)
        if question.req is not None:
            queue(transaction, index)

    side.access.log(prepared, also)


def _require_open(transaction: Transaction, place: int) -> None:
    if not is_open(transaction, place):
        raise Conflict("question-closed", f"the question at place {place} has its receive already")


def _record_key(peer: Peer, kid: str, member: MemberCode) -> bytes:
    public = peer.record_keys.get(kid) if member == peer.member.code else None
    if public is None:
        raise Verification("member-key", f"{member} has no valid record key {kid}")
    return public
