# SPDX-License-Identifier: Apache-2.0
"""Steps 5 to 8 of answering: find and name what is given, log the event, and only then open, sign, seal and store."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Final, TypedDict

from node.access.answer import DENY, NONE, OK, PARTIAL, build_answer
from node.access.box import encode_envelope, seal_answer
from node.access.bulk_answer import build_bulk_answer
from node.access.bulk_request import BulkRequest
from node.access.event import BULK, SECRET_BYTES, parse_event
from node.access.question import encode_items
from node.access.request import Request
from node.core.encoding import encode_b64u
from node.crypto.token import token_digest
from node.errors import AccessDenied, InvalidInput, NotFound, Unavailable, Verification
from node.service.drafting import EventDraft
from node.service.exchange.arrivals import replayed
from node.service.exchange.ledger import Kept, Plan, find_first_user, put_answer, put_plan, put_promise
from node.service.exchange.lines import draft_lines, name_released, plan_answer
from node.service.layout import LogKind
from node.service.limiting import charge_all, rule_of
from node.service.sealing import WARRANT_RULE, keeps_secret

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from node.access.answer import StatusProof
    from node.access.decision import Decision
    from node.access.logged import LoggedEvent
    from node.access.request import AnyRequest
    from node.core.types import EntryIndex
    from node.crypto.ed25519 import Ed25519Signer
    from node.service.drafting import Release
    from node.service.exchange.directory import Peer
    from node.service.exchange.ends import Ends
    from node.service.exchange.permits import Judged
    from node.service.exchange.searching import Found, Searcher
    from node.service.exchange.side import Side
    from node.service.looking import Also, Logged
    from node.service.sealing import Sealed, Sealer
    from node.service.transaction import Transaction
    from node.service.vault import Vault

GRANT: Final = "grant"
KEPT_SECONDS: Final = 360
"""Longest that an answer is kept: no request that comes in its time is good for longer, the clocks' difference included."""
REQUEST_RULE: Final = "request"
"""Rule: something is wrong with the request itself."""


class Common(TypedDict):
    """What answers of both kinds are built of."""

    signer: Ed25519Signer
    iss: str
    aud: str
    iat: int
    req: bytes
    result: str
    code: str | None
    as_of: str
    records: Sequence[str]
    status: Sequence[StatusProof]
    grant: LoggedEvent
    checkpoint: str


class Refused(Exception):
    """A question that was granted and cannot be any more: what allowed it, or what it names, went meanwhile."""

    def __init__(self, rule: str, code: str) -> None:
        super().__init__(code)
        self.rule = rule
        self.code = code


class Answering:
    """Logs what is decided about a request and puts the answer together; safe to use from any thread.

    Args:
        side: This node.
        searcher: Finds records.
        vault: Opens them.
        sealer: Seals the events of what is asked under a warrant.
    """

    def __init__(self, side: Side, searcher: Searcher, vault: Vault, sealer: Sealer) -> None:
        self._side = side
        self._sealer = sealer
        self._searcher = searcher
        self._vault = vault

    def grant(self, request: AnyRequest, judged: Judged, ends: Ends) -> Kept:
        """Answer a question that was granted, and keep what came along of earlier ones.

        Raises:
            Refused: It is to be denied after all; nothing was logged.
            Unavailable: The log or the store cannot be used now, or what the event names is not there any more.
        """
        try:
            found = self._search(request, judged.decision)
        except NotFound:
            # A record was erased while it was looked for.
            raise Refused(REQUEST_RULE, "record-erased") from None
        plan = plan_answer(found, GRANT, self._end(request), is_bulk=isinstance(request, BulkRequest))
        releases = [release for one in found for release in one.releases]
        draft = self._draft(GRANT, request, judged.decision.rule)
        if isinstance(request, BulkRequest):
            draft = replace(
                draft,
                kind=BULK,
                releases=releases,
                lines=draft_lines(request, found),
                secret=self._side.random(SECRET_BYTES),
            )
        else:
            draft = replace(draft, releases=releases, released=None if releases else [])
        sealed = self._seal_event(request, draft)
        take = self._take(request, judged)
        return self._log_and_seal(request, draft, plan, releases, ends, take, sealed)

    def deny(self, request: AnyRequest, rule: str, code: str, ends: Ends) -> Kept:
        """Log a refusal, answer it under seal, and keep what came along of earlier questions.

        Raises:
            Unavailable: The log or the store cannot be used now.
        """
        reader = self._searcher.newest()
        plan = Plan(0, DENY, self._end(request), code, 0, 0, reader, ())
        draft = self._draft(DENY, request, rule)
        if keeps_secret(
            self._side.directory,
            request.sealed,
            asker=request.iss,
            now_seconds=self._side.clock.now_seconds(),
        ):
            draft = EventDraft(kind=DENY, peer=request.iss, rule=rule, rid=request.rid, req=request.digest)
        return self._log_and_seal(request, draft, plan, (), ends)

    def resume(self, request: AnyRequest, plan: Plan, peer: Peer) -> Kept:
        """Answer a request whose event was logged before the node died, as that event has it.

        Raises:
            AccessDenied, Verification: The member may not be answered any more.
            Unavailable: ``answer-incomplete``.
        """
        side = self._side
        with _whole():
            if plan.kind != DENY:
                # What allowed it then may have ended since; the event stands, and nothing is released on it.
                side.require_speaking(peer)
                side.gossip.require_honest(peer.member.code)
            releases = [self._searcher.plan(place, names) for place, names in plan.rows]
            reader, index = side.access_logs.locate(plan.place)
            logged = side.access.again(reader, index, self._vault.open_whole, releases)
            return self._seal(request, plan, logged, releases)

    def _end(self, request: AnyRequest) -> int:
        """Say until when an answer is kept: as long as the request is good, however far off it says that is."""
        return min(request.exp, self._side.clock.now_seconds() + KEPT_SECONDS)

    @staticmethod
    def _take(request: AnyRequest, judged: Judged) -> Also:
        """Give what a grant uses up, checked once more in its own commit."""
        charge = charge_all(judged.charges)

        def take(transaction: Transaction, index: EntryIndex) -> None:
            if find_first_user(transaction, request.iss, request.rid) is not None:
                raise Refused(REQUEST_RULE, replayed().code)
            try:
                charge(transaction, index)
            except AccessDenied as error:
                raise Refused(rule_of(error), error.code) from None

        return take

    def _log_and_seal(
        self,
        request: AnyRequest,
        draft: EventDraft,
        plan: Plan,
        releases: Sequence[Release],
        ends: Ends,
        take: Also = lambda _transaction, _index: None,
        sealed: Sealed | None = None,
    ) -> Kept:
        side = self._side
        mark = side.ends.mark(request.rid, name_released(draft))

        def also(transaction: Transaction, index: EntryIndex) -> None:
            take(transaction, index)
            place = side.access_reader.place(index)
            placed = replace(plan, place=place)
            put_plan(transaction, request.iss, request.rid, request.digest, placed, mark)
            ends.put(transaction, place)
            put_promise(transaction, place, request.iss, request.ask.event, request.ask.receipt)

        if sealed is None:
            logged = side.access.log(draft, also)
        else:
            logged = side.access.log(sealed.draft, sealed.keep(side, also))
        with _whole():
            return self._seal(request, plan, logged, releases)

    def _draft(self, kind: str, request: AnyRequest, rule: str) -> EventDraft:
        """Draft the event about a request; nobody here knows the officer."""
        concerns: Sequence[bytes] = ()
        if isinstance(request, BulkRequest):
            concerns = self._side.permits.digests([line.subject for line in request.lines])
        return EventDraft(
            kind=kind,
            peer=request.iss,
            subject=request.subject_value(),
            concerns=concerns,
            purpose=request.purpose,
            basis=request.basis,
            case=request.case,
            items=encode_items(request.items),
            consent=None if request.consent is None else encode_b64u(token_digest(request.consent)),
            rule=rule,
            rid=request.rid,
            req=request.digest,
        )

    def _search(self, request: AnyRequest, decision: Decision) -> list[Found]:
        """Find what is given, for each subject of the request."""
        if isinstance(request, BulkRequest):
            return self._searcher.search_all([line.subject for line in request.lines], decision)
        assert isinstance(request, Request), "there are two kinds of requests"
        return [self._searcher.search(request.subject, decision)]

    def _seal_event(self, request: AnyRequest, draft: EventDraft) -> Sealed | None:
        """Have the regulator hold what is given under a warrant, before it is given.

        Raises:
            Refused: The regulator does not, or is away.
        """
        if request.sealed is None:
            return None
        asked = parse_event(request.ask.event)
        try:
            return self._sealer.seal(draft, token=request.sealed, part=GRANT, ask=asked.box)
        except (AccessDenied, InvalidInput, Unavailable, Verification) as error:
            raise Refused(WARRANT_RULE, error.code) from None

    def _seal(self, request: AnyRequest, plan: Plan, logged: Logged, releases: Sequence[Release]) -> Kept:
        side = self._side
        records = [self._vault.open(logged.look, release.index).presentation for release in releases]
        result = DENY if plan.kind == DENY else PARTIAL if plan.withheld else OK if records else NONE
        common: Common = {
            "signer": side.node_key,
            "iss": side.member,
            "aud": request.iss,
            "iat": side.clock.now_seconds(),
            "req": request.digest,
            "result": result,
            "code": plan.code,
            "as_of": self._searcher.note(plan.searched),
            "records": records,
            "status": self._searcher.prove_status(releases),
            "grant": logged.to_show(),
            "checkpoint": side.newest_note(LogKind.ACCESS),
        }
        if isinstance(request, BulkRequest):
            said = zip(logged.lines, plan.lines, strict=True)
            lines = [(text, withheld, code) for text, (_, withheld, code) in said]
            token = build_bulk_answer(lines=lines, **common)
        else:
            token = build_answer(found=plan.found, withheld=plan.withheld, **common)
        envelope = seal_answer(
            token, reply=request.reply, req=request.digest, from_=side.member, to=request.iss
        )
        kept = Kept(plan.exp, encode_envelope(envelope), plan.code)
        side.sequencer.run(lambda transaction: put_answer(transaction, request.digest, kept), entries=0)
        return kept


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
