# SPDX-License-Identifier: Apache-2.0
"""Answer another member's question (protocol section 8): first the event is durable, then, and only then, it is sealed.

    1  envelope, box, signature of a member          fails: counted as a reject, answered with a plain error     arrivals
    2  the same bytes again                          the stored answer: no look, no event
    3  claims, sender, time, the asker's own event   fails: logged as deny                                       arrivals
    4  purpose, consent, rates                       fails: logged as deny                                       permits
    5  search, by keyed digest; names what is given  decrypts nothing                                            searching
    6  one commit: grant, use of consent and rate,   fails: nothing is released                                  answering
       the asker's promise, the plan of the answer
    7  open, sign, seal                              killed: the same request is answered from the plan, no second event
    8  one commit: the sealed answer                 killed: as in 7
    9  the answer leaves

Trust: nothing in the envelope before step 1 has ended; nothing that the asker decided, ever.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

from node.access.answer import DENY
from node.errors import AccessDenied, InvalidInput, NodeError, Verification
from node.service.drafting import EventDraft
from node.service.exchange.answering import REQUEST_RULE, Answering, Refused
from node.service.exchange.arrivals import authenticate, judge
from node.service.exchange.denies import EACH_WINDOW, Denies, Summary
from node.service.exchange.flights import Flights
from node.service.exchange.ledger import (
    Kept,
    drop_answers,
    drop_passed_over,
    find_answer,
    find_plan,
    list_expired,
    list_passed_over,
    put_answer,
    put_passed_over,
    put_refused,
    was_answered,
    was_refused,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from node.core.types import EntryIndex, MemberCode
    from node.crypto.hpke import ExchangeKey
    from node.service.exchange.arrivals import Arrival
    from node.service.exchange.side import Side
    from node.service.looking import Also
    from node.service.transaction import Transaction

REFUSED_SECONDS: Final = 300
"""How long the refusal of a request that could not be answered under seal is kept."""
SWEEP: Final = 256
"""Most answers dropped at once."""
SWEEP_EVERY: Final = 64
"""Answers between two sweeps."""
LIMIT_RULE: Final = "deny-limit"
"""Rule: so many were refused that they were only counted."""


class Provider:
    """Answers questions of other members; safe to use from any thread.

    Args:
        side: This node.
        exchange_keys: What requests are sealed to, by ``kid``.
        answering: Puts answers together.
        count_reject: Told of every message that no member signed.
    """

    def __init__(
        self,
        side: Side,
        exchange_keys: Mapping[str, ExchangeKey],
        answering: Answering,
        count_reject: Callable[[], None],
    ) -> None:
        self._side = side
        self._exchange_keys = exchange_keys
        self._answering = answering
        self._count_reject = count_reject
        self._denies = Denies(side.clock)
        # What a node that died had counted is logged with the first sweep.
        self._denies.put_back([Summary(*passed) for passed in list_passed_over(side.reads)])
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
            arrival = authenticate(self._side, self._exchange_keys, body)
        except (InvalidInput, Verification, AccessDenied):
            self._count_reject()
            raise
        kept = self._flights.run(
            arrival.req, lambda: self._find_answer(arrival.req) or self._answer_once(arrival)
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

    def _find_answer(self, req: bytes) -> Kept | None:
        kept = find_answer(self._side.reads, req)
        return kept if kept is not None and self._side.clock.now_seconds() < kept.exp else None

    def _answer_once(self, arrival: Arrival) -> Kept:
        self._answers += 1
        if self._answers % SWEEP_EVERY == 0:
            self.sweep()
        try:
            request = arrival.parse()
        except InvalidInput as error:
            return self._refuse_malformed(arrival, error)
        reads, now = self._side.reads, self._side.clock.now_seconds()
        plan = find_plan(reads, arrival.req)
        if (plan is None or now >= plan.exp) and was_answered(reads, request.iss, request.rid, arrival.req):
            raise self._count_late()
        if plan is not None and self._side.clock.now_seconds() < plan.exp:
            # It was logged, and the node died before the answer was stored.
            return self._answering.resume(request, plan, arrival.peer)
        ends = self._side.ends.check(self._side, request, arrival.peer, arrival.envelope)
        try:
            judged = judge(self._side, request, arrival)
            ends.require_sound()
            decision = judged.decision
            if decision.granted:
                return self._answering.grant(request, judged, ends)
            rule, code = decision.rule, decision.code or decision.rule
        except Refused as refused:
            rule, code = refused.rule, refused.code
        except (InvalidInput, Verification, AccessDenied) as error:
            rule, code = REQUEST_RULE, error.code
        self._require_deny(request.iss, request.digest)
        return self._answering.deny(request, rule, code, ends)

    def _refuse_malformed(self, arrival: Arrival, error: InvalidInput) -> Kept:
        """Log what a member signed and nobody can read; there is no reply key that an answer could be sealed to."""
        member, clock = arrival.peer.member.code, self._side.clock
        if was_refused(self._side.reads, arrival.req):
            raise self._count_late()
        self._require_deny(member, arrival.req)
        kept = Kept(clock.now_seconds() + REFUSED_SECONDS, None, error.code)

        def also(transaction: Transaction, _index: EntryIndex) -> None:
            put_answer(transaction, arrival.req, kept)
            put_refused(transaction, arrival.req)

        self._side.access.log(EventDraft(kind=DENY, peer=member, rule=REQUEST_RULE, req=arrival.req), also)
        return kept

    def _count_late(self) -> Verification:
        """Count a request whose answer is over: anybody may have kept the envelope, and what it was answered is logged once."""
        self._count_reject()
        return Verification(
            "request-expired", "request was answered before, and the answer is not kept any more"
        )

    def _require_deny(self, member: MemberCode, req: bytes) -> None:
        if not self._denies.take(member, req):
            due = self._denies.find_due(member)
            if due is not None:
                kept = partial(put_passed_over, member=member, count=due.count, last=due.last)
                self._side.sequencer.submit(kept, entries=0)
            raise AccessDenied(
                "deny-limit", f"more than {EACH_WINDOW} requests of {member} were refused within an hour"
            )

    def _log_passed_over(self, summaries: Sequence[Summary]) -> None:
        for number, summary in enumerate(summaries):
            draft = EventDraft(
                kind=DENY, peer=summary.member, rule=LIMIT_RULE, n=summary.count, req=summary.last
            )
            try:
                self._side.access.log(draft, self._settle(summary.member))
            except NodeError:
                self._denies.put_back(summaries[number:])
                raise

    def _settle(self, member: MemberCode) -> Also:
        """Keep of a member's passed-over refusals, in the commit of the event that says how many they were, those that came since."""

        def also(transaction: Transaction, _index: EntryIndex) -> None:
            waiting = self._denies.find_waiting(member)
            if waiting is None:
                drop_passed_over(transaction, member)
            else:
                put_passed_over(transaction, member, waiting.count, waiting.last)

        return also
