# SPDX-License-Identifier: Apache-2.0
"""Ask other departments for an officer (protocol section 8): every question is logged before it leaves, every end too.

    1  decide, as the provider will                   refused: logged as deny, the officer gets its receipt
    2  one commit: an ask for each provider           fails: nothing is sent
    3  sign with the ask's receipt, seal, send        all at once; a slow provider holds up nobody
    4  verify the answer                              what does not hold is not shown
    5  one commit: receive, what it released, and     fails: nothing is shown
       the provider's promise
    6  the officer's answer

Where the node dies between 2 and 5 the next start logs the ``receive`` of a question whose time is over: nothing was
shown, and the other side's log may say that something was given.
"""

from __future__ import annotations

from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Final, NamedTuple

from node.access.answer import DENY, released_of, verify_answer
from node.access.box import MAX_ANSWER_BYTES, encode_envelope, open_answer, parse_envelope, seal_request
from node.access.event import RID_BYTES
from node.access.question import encode_items, encode_subject, fold_subject, parse_items, parse_words
from node.access.request import MAX_VALID_SECONDS, build_request, parse_request
from node.core.encoding import encode_b64u
from node.crypto.hpke import ExchangeKey
from node.crypto.token import token_digest
from node.errors import Conflict, InvalidInput, NodeError, Unavailable, Verification
from node.evidence.answered import check_heads, verify_answered
from node.records.names import SUBJECT
from node.service.drafting import EventDraft, Officer
from node.service.exchange.ledger import (
    OpenQuestion,
    close_question,
    find_seen_head,
    is_open,
    list_open,
    put_promise,
    put_question,
    put_seen_head,
)
from node.service.exchange.side import require_searched
from node.service.layout import LogKind
from node.service.limiting import charge_all

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from node.access.answer import Answer
    from node.access.decision import Decision
    from node.access.question import AskedSubject, ItemQuery
    from node.access.request import Request
    from node.core.types import EntryIndex, MemberCode
    from node.evidence.answered import AnsweredRecord
    from node.ports.peers import Peers
    from node.service.exchange.directory import Peer
    from node.service.exchange.permits import Judged
    from node.service.exchange.side import Side
    from node.service.looking import Also, Logged
    from node.service.transaction import Transaction

ASK: Final = "ask"
RECEIVE: Final = "receive"
FAILED: Final = "failed"
"""Result of a provider that gave no answer, or one that does not hold."""
REFUSED: Final = "refused"
"""Result of a question that this node refused itself."""
MOST_PROVIDERS: Final = 64
VALID_SECONDS: Final = 120
"""How long a request may be answered; as long as the message may be tried again, and the clocks differ."""
LOST_SECONDS: Final = 60
"""How long behind that a question without answer is taken for lost."""
_REQ_BYTES: Final = 32
_REQ_UNSENT: Final = bytes(_REQ_BYTES)
"""What stands for the request of a question that was never sent, or of which nobody knows any more what was sent."""
assert VALID_SECONDS <= MAX_VALID_SECONDS


@dataclass(frozen=True, slots=True)
class Order:
    """What an officer asks.

    Attributes:
        officer: Who asks.
        subject_type: ``uscc``, ``org``, ``reg``, ``rid`` or ``name``.
        subject_id: As typed; codes are folded as an import folds them.
        fields: Names of the fields by ``vct``; None asks for all that the purpose sees without consent.
        purpose: Code of the purpose.
        basis: Code of the legal basis, or None.
        case: Case number, or None.
        providers: USCCs of the members to ask; None asks all that can be reached.
        consents: Consent by provider.
    """

    officer: Officer
    subject_type: str
    subject_id: str
    fields: Mapping[str, Sequence[str] | None]
    purpose: str
    basis: str | None
    case: str | None
    providers: Sequence[MemberCode] | None
    consents: Mapping[MemberCode, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of asking one provider.

    Attributes:
        provider: Who was asked.
        result: ``ok``, ``none``, ``partial``, ``deny``, ``failed`` or ``refused``.
        code: Why some or all is not there.
        detail: The same in a sentence of this node, never of the provider.
        receipts: This node's own, of ``ask`` and ``receive``, or of its refusal.
        answer: The verified answer; None when there is none.
        records: Its records, verified.
        token: The answer as the provider signed it, JWS.
    """

    provider: MemberCode
    result: str
    code: str | None
    detail: str | None
    receipts: tuple[str, ...]
    answer: Answer | None = None
    records: tuple[AnsweredRecord, ...] = ()
    token: str | None = None


class _Question(NamedTuple):
    subject: AskedSubject
    items: tuple[ItemQuery, ...]


@dataclass(frozen=True, slots=True)
class _Sent:
    """A question that was logged, and, once it was sent, its request, reply key and answer to come.

    ``least_seq`` was read before it was sent: an answer to it shows no older status head.
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


class Asker:
    """Asks for this department's officers; safe to use from any thread.

    Args:
        side: This node.
        peers: Carries the envelopes.
    """

    def __init__(self, side: Side, peers: Peers) -> None:
        self._side = side
        self._peers = peers

    def ask(self, order: Order) -> list[Outcome]:
        """Ask providers about a subject and give what came of each, in the order of the providers.

        Raises:
            InvalidInput: The question is none: ``question-…``, ``uscc-…``, ``providers``.
            AccessDenied: ``member-unknown``: a provider is no member.
            Unavailable: The log, the store or the chain cannot be used now; nothing was sent.
        """
        side = self._side
        question = self._parse_order(order)
        peers = self._find_providers(order.providers)
        me = side.directory.get(side.member).member
        judged: dict[MemberCode, Judged] = {}
        for peer in peers:
            judged[peer.member.code] = side.permits.prejudge(
                me,
                peer.member.code,
                question.subject,
                question.items,
                order.purpose,
                order.basis,
                order.case,
                order.officer.id,
                order.consents.get(peer.member.code),
                lines_before=sum(one.decision.granted for one in judged.values()),
            )
        note = side.newest_note(LogKind.ACCESS)
        base = EventDraft(
            kind=ASK,
            subject=encode_subject(question.subject),
            officer=order.officer,
            purpose=order.purpose,
            basis=order.basis,
            case=order.case,
            items=encode_items(question.items),
        )
        outcomes = [
            self._refuse(base, peer, judged[peer.member.code].decision)
            for peer in peers
            if not judged[peer.member.code].decision.granted
        ]
        granted = [peer for peer in peers if judged[peer.member.code].decision.granted]
        sent = self._log_asks(base, order, granted, judged)
        outcomes += self._receive_all([self._send(one, order, question, note) for one in sent])
        by_provider = {outcome.provider: outcome for outcome in outcomes}
        return [by_provider[peer.member.code] for peer in peers]

    def close_lost(self) -> int:
        """Log the ``receive`` of questions that were lost when this node died, once nobody answers them any more.

        Raises:
            NodeError: The log or the store cannot be used now; calling again goes on.
        """
        now = self._side.clock.now_seconds()
        lost = [one for one in list_open(self._side.reads) if now > one.exp + LOST_SECONDS]
        for question in lost:
            self._close(question)
        return len(lost)

    # ---- steps 1 and 2

    def _find_providers(self, codes: Sequence[MemberCode] | None) -> list[Peer]:
        directory, me = self._side.directory, self._side.member
        if codes is None:
            others = [directory.get(code) for code in sorted(directory.codes() - {me})]
            peers = [peer for peer in others if peer.is_active and peer.address is not None]
        elif me in codes:
            raise InvalidInput(
                "providers", "this department is among those to ask: look at own records instead"
            )
        else:
            peers = [directory.get(code) for code in codes]
        if not 0 < len(peers) <= MOST_PROVIDERS or len({peer.member.code for peer in peers}) < len(peers):
            raise InvalidInput(
                "providers", f"{len(peers)} departments to ask, want 1 to {MOST_PROVIDERS}, each once"
            )
        return peers

    def _parse_order(self, order: Order) -> _Question:
        """Bring a question into the one form that a request has.

        Raises:
            InvalidInput: ``question-…``, ``uscc-…``.
        """
        subject = fold_subject(order.subject_type, order.subject_id)
        wanted = {
            vct: self._side.permits.visible(order.purpose, vct) if fields is None else fields
            for vct, fields in order.fields.items()
        }
        # Without the subject nobody can tell whose record an answer shows.
        items = parse_items(
            [{"vct": vct, "fields": sorted({SUBJECT, *wanted[vct]})} for vct in sorted(wanted)]
        )
        parse_words(order.purpose, "purpose")
        for name, value in (("basis", order.basis), ("case", order.case)):
            if value is not None:
                parse_words(value, name)
        return _Question(subject, items)

    def _refuse(self, base: EventDraft, peer: Peer, decision: Decision) -> Outcome:
        """Log what was refused here: it concerns nobody else, so the officer alone gets the receipt."""
        side = self._side
        draft = replace(
            base,
            kind=DENY,
            peer=side.member,
            rule=decision.rule,
            # There is no request that this could be the digest of, and one of the question could be guessed.
            req=side.random(_REQ_BYTES),
        )
        logged = side.access.log(draft)
        return Outcome(peer.member.code, REFUSED, decision.code, decision.detail, (logged.receipt,))

    def _log_asks(
        self, base: EventDraft, order: Order, peers: Sequence[Peer], judged: Mapping[MemberCode, Judged]
    ) -> list[_Sent]:
        side = self._side
        exp = side.clock.now_seconds() + VALID_SECONDS
        drafts = []
        for peer in peers:
            code, rid = peer.member.code, side.random(RID_BYTES)
            consent = order.consents.get(code)
            digest = None if consent is None else encode_b64u(token_digest(consent))
            draft = replace(
                base, peer=code, rid=rid, rule=judged[code].decision.rule, consent=digest, n=1, released=None
            )

            drafts.append((draft, self._open_question(code, rid, exp, charge_all(judged[code].charges))))
        logged = side.access.log_all(drafts)
        return [
            _Sent(peer, side.access_reader.place(one.index), exp, draft, one)
            for peer, (draft, _), one in zip(peers, drafts, logged, strict=True)
        ]

    def _open_question(self, provider: MemberCode, rid: bytes, exp: int, charge: Also) -> Also:
        def also(transaction: Transaction, index: EntryIndex) -> None:
            charge(transaction, index)
            place = self._side.access_reader.place(index)
            put_question(transaction, OpenQuestion(place, provider, rid, exp))

        return also

    # ---- step 3

    def _send(self, sent: _Sent, order: Order, question: _Question, note: str) -> _Sent:
        """Sign, seal and send; what cannot be sent says why."""
        side, peer = self._side, sent.peer
        code = peer.member.code
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
            future = self._peers.send(peer.address, body)
        except NodeError as error:
            failed: Future[bytes] = Future()
            failed.set_exception(error)
            return replace(sent, future=failed)
        return replace(sent, least_seq=least_seq, request=request, reply=reply, future=future)

    # ---- steps 4 to 6

    def _receive_all(self, sent: Sequence[_Sent]) -> list[Outcome]:
        """Take the answers as they come; the slowest provider delays no other's event."""
        waiting = {one.future: one for one in sent}
        outcomes = []
        while waiting:
            done, _ = wait(waiting, return_when=FIRST_COMPLETED)
            outcomes += [self._receive(waiting.pop(future)) for future in done]
        return outcomes

    def _receive(self, sent: _Sent) -> Outcome:
        received: _Received | None = None
        error: NodeError | None = None
        try:
            received = self._verify(sent, sent.future.result())
        except NodeError as failure:
            error = failure
        try:
            logged = self._log_receive(sent, received)
        except NodeError as failure:
            # What is not in the log is not shown.
            return Outcome(
                sent.peer.member.code, FAILED, failure.code, failure.message, (sent.logged.receipt,)
            )
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

    def _verify(self, sent: _Sent, body: bytes) -> _Received:
        """Verify an answer.

        Raises:
            InvalidInput, Verification, AccessDenied: It does not hold, or its sender may not answer now.
        """
        side, peer, request, reply = self._side, sent.peer, sent.request, sent.reply
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

    def _log_receive(self, sent: _Sent, received: _Received | None) -> Logged:
        side, answer = self._side, None if received is None else received.answer
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

    def _close(self, question: OpenQuestion) -> None:
        """Log that nothing was received; what was asked stands in the ask event of the same rid."""
        draft = EventDraft(
            kind=RECEIVE, peer=question.provider, rid=question.rid, req=question.req or _REQ_UNSENT
        )

        def also(transaction: Transaction, _index: EntryIndex) -> None:
            _require_open(transaction, question.place)
            close_question(transaction, question.place)

        self._side.access.log(draft, also)


@dataclass(frozen=True, slots=True)
class _Received:
    answer: Answer
    records: tuple[AnsweredRecord, ...]
    token: str
    seq: int | None


def _note_sent(question: OpenQuestion, transaction: Transaction) -> None:
    if is_open(transaction, question.place):
        put_question(transaction, question)


def _require_open(transaction: Transaction, place: int) -> None:
    if not is_open(transaction, place):
        raise Conflict("question-closed", f"the question at place {place} has its receive already")


def _record_key(peer: Peer, kid: str, member: MemberCode) -> bytes:
    public = peer.record_keys.get(kid) if member == peer.member.code else None
    if public is None:
        raise Verification("member-key", f"{member} has no valid record key {kid}")
    return public
