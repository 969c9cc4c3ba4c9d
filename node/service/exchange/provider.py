# SPDX-License-Identifier: Apache-2.0
"""Answer another member's question (protocol section 8): first the event is durable, then, and only then, it is sealed.

    1  envelope, box, signature of a member          fails: counted as a reject, answered with a plain error
    2  the same bytes again                          the stored answer: no look, no event
    3  claims, sender, time, the asker's own event   fails: logged as deny
    4  purpose, consent, rates                       fails: logged as deny
    5  search, by keyed digest; names what is given  decrypts nothing
    6  one commit: grant, use of consent and rate,   fails: nothing is released
       the asker's promise, the plan of the answer
    7  open, sign, seal                              killed: the same request is answered from the plan, no second event
    8  one commit: the sealed answer                 killed: as in 7
    9  the answer leaves

Trust: nothing in the envelope before step 1 has ended; nothing that the asker decided, ever.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Final

from node.access.answer import DENY, NONE, OK, PARTIAL, build_answer
from node.access.box import MAX_REQUEST_BYTES, encode_envelope, open_request, parse_envelope, seal_answer
from node.access.question import encode_items, encode_subject
from node.access.receipt import MAX_SKEW_SECONDS
from node.access.request import authenticate_request, check_request, parse_request
from node.core.encoding import encode_b64u
from node.crypto.token import token_digest
from node.errors import AccessDenied, InvalidInput, NodeError, NotFound, Unavailable, Verification
from node.service.drafting import EventDraft
from node.service.exchange.denies import EACH_WINDOW, Denies
from node.service.exchange.flights import Flights
from node.service.exchange.ledger import (
    Kept,
    Plan,
    drop_answers,
    find_answer,
    find_first_user,
    find_plan,
    list_expired,
    put_answer,
    put_plan,
    put_promise,
)
from node.service.layout import LogKind
from node.service.limiting import charge_all

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from node.access.request import Request
    from node.core.types import EntryIndex, MemberCode
    from node.crypto.hpke import ExchangeKey
    from node.service.drafting import Release
    from node.service.exchange.denies import Summary
    from node.service.exchange.directory import Peer
    from node.service.exchange.permits import Judged
    from node.service.exchange.searching import Searcher
    from node.service.exchange.side import Side
    from node.service.looking import Also, Logged
    from node.service.transaction import Transaction
    from node.service.vault import Vault

GRANT: Final = "grant"
REFUSED_SECONDS: Final = 300
"""How long the refusal of a request that could not be answered under seal is kept."""
KEPT_SECONDS: Final = 360
"""Longest that an answer is kept: no request that comes in its time is good for longer, the clocks' difference included."""
SWEEP: Final = 256
"""Most answers dropped at once."""
SWEEP_EVERY: Final = 64
"""Answers between two sweeps."""
REQUEST_RULE: Final = "request"
"""Rule: something is wrong with the request itself."""
LIMIT_RULE: Final = "deny-limit"
"""Rule: so many were refused that they were only counted."""


@dataclass(frozen=True, slots=True)
class _Asked:
    """A request that a member signed.

    Attributes:
        peer: Who.
        public: The node key that signed it.
        token: The request JWS.
        req: Its SHA-256.
    """

    peer: Peer
    public: bytes
    token: str
    req: bytes


class _LostRace(Exception):
    """What allowed a question was used up by another one in the same or an earlier commit."""

    def __init__(self, rule: str, code: str) -> None:
        super().__init__(code)
        self.rule = rule
        self.code = code


class Provider:
    """Answers questions of other members; safe to use from any thread.

    Args:
        side: This node.
        exchange_keys: What requests are sealed to, by ``kid``.
        searcher: Finds records.
        vault: Opens them.
        count_reject: Told of every message that no member signed.
    """

    def __init__(
        self,
        side: Side,
        exchange_keys: Mapping[str, ExchangeKey],
        searcher: Searcher,
        vault: Vault,
        count_reject: Callable[[], None],
    ) -> None:
        self._side = side
        self._exchange_keys = exchange_keys
        self._searcher = searcher
        self._vault = vault
        self._count_reject = count_reject
        self._denies = Denies(side.clock)
        self._flights: Flights[Kept] = Flights()
        self._answers = 0

    def answer(self, body: bytes) -> bytes:
        """Answer an envelope with an envelope.

        Args:
            body: As it came, untrusted.

        Raises:
            InvalidInput, Verification, AccessDenied: No member signed it, or nothing can be sealed to who did; or
                ``deny-limit``.
            Unavailable: The log, the store or the chain cannot be used now; nothing was released.
        """
        try:
            asked = self._authenticate(body)
        except (InvalidInput, Verification, AccessDenied):
            self._count_reject()
            raise
        kept = self._find_answer(asked.req) or self._flights.run(
            asked.req, lambda: self._find_answer(asked.req) or self._answer_once(asked)
        )
        if kept.envelope is None:
            raise AccessDenied("request-refused", f"the request was refused: {kept.code}")
        return kept.envelope

    def sweep(self) -> None:
        """Drop answers that nobody can ask for again, and log the refusals that were passed over.

        Raises:
            NodeError: The log or the store cannot be written now; calling again goes on.
        """
        side = self._side
        while expired := list_expired(side.reads, side.clock.now_seconds(), limit=SWEEP):
            side.sequencer.run(partial(drop_answers, expired=expired), entries=0)
        self._log_passed_over(self._denies.close_windows())

    def stop(self) -> None:
        """Log the refusals that were passed over, also of hours that are not over; called when nothing is answered any more.

        Raises:
            NodeError: As ``sweep``; what was passed over is lost when the process ends now.
        """
        self._log_passed_over(self._denies.close_windows(all_=True))

    def _log_passed_over(self, summaries: Sequence[Summary]) -> None:
        for number, summary in enumerate(summaries):
            draft = EventDraft(
                kind=DENY, peer=summary.member, rule=LIMIT_RULE, n=summary.count, req=summary.last
            )
            try:
                self._side.access.log(draft)
            except NodeError:
                self._denies.put_back(summaries[number:])
                raise

    # ---- steps 1 and 2

    def _authenticate(self, body: bytes) -> _Asked:
        envelope = parse_envelope(body, max_plaintext_bytes=MAX_REQUEST_BYTES)
        if envelope.to != self._side.member:
            raise Verification("envelope-to", f"envelope is for {envelope.to}, this is {self._side.member}")
        if envelope.from_ == self._side.member:
            raise Verification("envelope-from", "envelope says that this member sent it to itself")
        peer = self._side.directory.get(envelope.from_)
        key = self._exchange_keys.get(envelope.kid)
        if key is None:
            raise Verification("box-kid", f"box is for another key: got {envelope.kid}, none of this node's")
        token = open_request(envelope, key)
        find_key = partial(self._side.find_node_key, peer)
        jws = authenticate_request(token, find_key)
        return _Asked(peer, find_key(jws.header["kid"]), token, token_digest(token))

    def _find_answer(self, req: bytes) -> Kept | None:
        kept = find_answer(self._side.reads, req)
        return kept if kept is not None and self._side.clock.now_seconds() < kept.exp else None

    def _answer_once(self, asked: _Asked) -> Kept:
        self._answers += 1
        if self._answers % SWEEP_EVERY == 0:
            self.sweep()
        try:
            request = parse_request(asked.token)
        except InvalidInput as error:
            return self._refuse_malformed(asked, error)
        reads, now = self._side.reads, self._side.clock.now_seconds()
        plan = find_plan(reads, asked.req)
        if (plan is None or now >= plan.exp) and find_first_user(
            reads, request.iss, request.rid
        ) == asked.req:
            # Anybody may have kept the envelope and send it for ever: what it was answered stands in the log once.
            self._count_reject()
            raise Verification(
                "request-expired", "request was answered before, and the answer is not kept any more"
            )
        if plan is not None and self._side.clock.now_seconds() < plan.exp:
            # It was logged, and the node died before the answer was stored.
            with _whole():
                return self._resume(request, plan, asked.peer)
        try:
            judged = self._judge(request, asked)
            decision = judged.decision
            if decision.granted:
                return self._grant(request, judged)
            rule, code = decision.rule, decision.code or decision.rule
        except (InvalidInput, Verification, AccessDenied) as error:
            rule, code = REQUEST_RULE, error.code
        return self._deny(request, rule, code)

    def _resume(self, request: Request, plan: Plan, peer: Peer) -> Kept:
        side = self._side
        if plan.kind != DENY:
            # What allowed it then may have ended since; the event stands, and nothing is released on it.
            side.require_speaking(peer)
            side.gossip.require_honest(peer.member.code)
        releases = [self._searcher.plan(place, names) for place, names in plan.rows]
        reader, index = side.access_logs.locate(plan.place)
        logged = side.access.again(reader, index, self._vault.open_event, releases)
        return self._seal(request, plan, logged, releases)

    # ---- steps 3 and 4

    def _judge(self, request: Request, asked: _Asked) -> Judged:
        side, peer = self._side, asked.peer
        check_request(
            request,
            public=asked.public,
            from_=peer.member.code,
            to=side.member,
            log=side.require_speaking(peer),
            now_seconds=side.clock.now_seconds(),
            anchor_limit_seconds=side.anchor_limit_seconds,
        )
        if find_first_user(side.reads, request.iss, request.rid) is not None:
            raise _replayed()
        side.require_newest(
            peer,
            request.checkpoint,
            unless_since=min(request.iat, side.clock.now_seconds()) - MAX_SKEW_SECONDS,
        )
        side.gossip.observe(request.checkpoint)
        side.gossip.require_honest(peer.member.code)
        return side.permits.judge(request, peer)

    def _refuse_malformed(self, asked: _Asked, error: InvalidInput) -> Kept:
        """Log what a member signed and nobody can read; there is no reply key that an answer could be sealed to."""
        member, clock = asked.peer.member.code, self._side.clock
        self._require_deny(member, asked.req)
        kept = Kept(clock.now_seconds() + REFUSED_SECONDS, None, error.code)
        self._side.access.log(
            EventDraft(kind=DENY, peer=member, rule=REQUEST_RULE, req=asked.req),
            lambda transaction, _: put_answer(transaction, asked.req, kept),
        )
        return kept

    def _require_deny(self, member: MemberCode, req: bytes) -> None:
        if not self._denies.take(member, req):
            raise AccessDenied(
                "deny-limit", f"more than {EACH_WINDOW} requests of {member} were refused within an hour"
            )

    def _deny(self, request: Request, rule: str, code: str) -> Kept:
        self._require_deny(request.iss, request.digest)
        reader = self._searcher.newest()
        plan = Plan(0, DENY, self._end(request), code, 0, 0, reader, ())
        return self._log_and_seal(request, _draft(DENY, request, rule), plan, ())

    # ---- steps 5 to 8

    def _grant(self, request: Request, judged: Judged) -> Kept:
        decision = judged.decision
        try:
            found = self._searcher.search(request.subject, decision)
        except NotFound:
            # A record was erased while it was looked for.
            return self._deny(request, REQUEST_RULE, "record-erased")
        rows = tuple((release.index, tuple(release.fields)) for release in found.releases)
        count = len(rows) + found.withheld
        plan = Plan(0, GRANT, self._end(request), found.code, count, found.withheld, found.searched, rows)
        draft = replace(
            _draft(GRANT, request, decision.rule),
            releases=found.releases,
            released=None if found.releases else [],
        )
        try:
            return self._log_and_seal(request, draft, plan, found.releases, self._take(request, judged))
        except _LostRace as lost:
            # Of two questions that had room for one, the other was first.
            return self._deny(request, lost.rule, lost.code)

    def _end(self, request: Request) -> int:
        """Say until when an answer is kept: as long as the request is good, however far off it says that is."""
        return min(request.exp, self._side.clock.now_seconds() + KEPT_SECONDS)

    def _take(self, request: Request, judged: Judged) -> Also:
        """Give what a grant uses up, checked once more in its own commit."""
        charge = charge_all(judged.charges)

        def take(transaction: Transaction, index: EntryIndex) -> None:
            if find_first_user(transaction, request.iss, request.rid) is not None:
                raise _LostRace(REQUEST_RULE, _replayed().code)
            try:
                charge(transaction, index)
            except AccessDenied as error:
                # A charge refuses with the code of its rule: rate-member, consent-used-up.
                raise _LostRace(error.code.partition("-")[0], error.code) from None

        return take

    def _log_and_seal(
        self,
        request: Request,
        draft: EventDraft,
        plan: Plan,
        releases: Sequence[Release],
        take: Also = lambda _transaction, _index: None,
    ) -> Kept:
        side = self._side

        def also(transaction: Transaction, index: EntryIndex) -> None:
            take(transaction, index)
            place = side.access_reader.place(index)
            put_plan(transaction, request.iss, request.rid, request.digest, replace(plan, place=place))
            put_promise(transaction, place, request.iss, request.ask.event, request.ask.receipt)

        logged = side.access.log(draft, also)
        with _whole():
            return self._seal(request, plan, logged, releases)

    def _seal(self, request: Request, plan: Plan, logged: Logged, releases: Sequence[Release]) -> Kept:
        side = self._side
        records = [self._vault.open(logged.look, release.index).presentation for release in releases]
        result = DENY if plan.kind == DENY else PARTIAL if plan.withheld else OK if records else NONE
        token = build_answer(
            signer=side.node_key,
            iss=side.member,
            aud=request.iss,
            iat=side.clock.now_seconds(),
            req=request.digest,
            result=result,
            code=plan.code,
            found=plan.found,
            withheld=plan.withheld,
            as_of=self._searcher.note(plan.searched),
            records=records,
            status=self._searcher.prove_status(releases),
            grant=logged.to_show(),
            checkpoint=side.newest_note(LogKind.ACCESS),
        )
        envelope = seal_answer(
            token, reply=request.reply, req=request.digest, from_=side.member, to=request.iss
        )
        kept = Kept(plan.exp, encode_envelope(envelope), plan.code)
        side.sequencer.run(lambda transaction: put_answer(transaction, request.digest, kept), entries=0)
        return kept


def _draft(kind: str, request: Request, rule: str) -> EventDraft:
    """Draft the event about a request; nobody here knows the officer."""
    return EventDraft(
        kind=kind,
        peer=request.iss,
        subject=encode_subject(request.subject),
        purpose=request.purpose,
        basis=request.basis,
        case=request.case,
        items=encode_items(request.items),
        consent=None if request.consent is None else encode_b64u(token_digest(request.consent)),
        rule=rule,
        rid=request.rid,
        req=request.digest,
    )


@contextmanager
def _whole() -> Iterator[None]:
    """Give an answer exactly as its event has it, or none: the event stands, another one about the request would contradict it.

    Raises:
        Unavailable: ``answer-incomplete``: something that the event names was erased since.
    """
    try:
        yield
    except NotFound as error:
        raise Unavailable(
            "answer-incomplete", f"what the logged answer names is not there any more: {error.code}"
        ) from error


def _replayed() -> AccessDenied:
    return AccessDenied("request-replayed", "a request with this rid was answered before")
