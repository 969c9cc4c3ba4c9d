# SPDX-License-Identifier: Apache-2.0
"""Steps 5 to 8 of answering: find and name what is given, log the event, and only then open, sign, seal and store."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from node.access.answer import DENY, NONE, OK, PARTIAL, build_answer
from node.access.box import encode_envelope, seal_answer
from node.access.question import encode_items, encode_subject
from node.core.encoding import encode_b64u
from node.crypto.token import token_digest
from node.errors import AccessDenied, NotFound, Unavailable
from node.service.drafting import EventDraft
from node.service.exchange.arrivals import replayed
from node.service.exchange.ledger import Kept, Plan, find_first_user, put_answer, put_plan, put_promise
from node.service.layout import LogKind
from node.service.limiting import charge_all

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from node.access.request import Request
    from node.core.types import EntryIndex
    from node.service.drafting import Release
    from node.service.exchange.directory import Peer
    from node.service.exchange.permits import Judged
    from node.service.exchange.searching import Searcher
    from node.service.exchange.side import Side
    from node.service.looking import Also, Logged
    from node.service.transaction import Transaction
    from node.service.vault import Vault

GRANT: Final = "grant"
KEPT_SECONDS: Final = 360
"""Longest that an answer is kept: no request that comes in its time is good for longer, the clocks' difference included."""
REQUEST_RULE: Final = "request"
"""Rule: something is wrong with the request itself."""


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
    """

    def __init__(self, side: Side, searcher: Searcher, vault: Vault) -> None:
        self._side = side
        self._searcher = searcher
        self._vault = vault

    def grant(self, request: Request, judged: Judged) -> Kept:
        """Answer a question that was granted.

        Raises:
            Refused: It is to be denied after all; nothing was logged.
            Unavailable: The log or the store cannot be used now, or what the event names is not there any more.
        """
        decision = judged.decision
        try:
            found = self._searcher.search(request.subject, decision)
        except NotFound:
            # A record was erased while it was looked for.
            raise Refused(REQUEST_RULE, "record-erased") from None
        rows = tuple((release.index, tuple(release.fields)) for release in found.releases)
        count = len(rows) + found.withheld
        plan = Plan(0, GRANT, self._end(request), found.code, count, found.withheld, found.searched, rows)
        draft = replace(
            _draft(GRANT, request, decision.rule),
            releases=found.releases,
            released=None if found.releases else [],
        )
        return self._log_and_seal(request, draft, plan, found.releases, self._take(request, judged))

    def deny(self, request: Request, rule: str, code: str) -> Kept:
        """Log a refusal, and answer it under seal.

        Raises:
            Unavailable: The log or the store cannot be used now.
        """
        reader = self._searcher.newest()
        plan = Plan(0, DENY, self._end(request), code, 0, 0, reader, ())
        return self._log_and_seal(request, _draft(DENY, request, rule), plan, ())

    def resume(self, request: Request, plan: Plan, peer: Peer) -> Kept:
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
            logged = side.access.again(reader, index, self._vault.open_event, releases)
            return self._seal(request, plan, logged, releases)

    def _end(self, request: Request) -> int:
        """Say until when an answer is kept: as long as the request is good, however far off it says that is."""
        return min(request.exp, self._side.clock.now_seconds() + KEPT_SECONDS)

    @staticmethod
    def _take(request: Request, judged: Judged) -> Also:
        """Give what a grant uses up, checked once more in its own commit."""
        charge = charge_all(judged.charges)

        def take(transaction: Transaction, index: EntryIndex) -> None:
            if find_first_user(transaction, request.iss, request.rid) is not None:
                raise Refused(REQUEST_RULE, replayed().code)
            try:
                charge(transaction, index)
            except AccessDenied as error:
                # A charge refuses with the code of its rule: rate-member, consent-used-up.
                raise Refused(error.code.partition("-")[0], error.code) from None

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
