# SPDX-License-Identifier: Apache-2.0
"""Lay the events of one request side by side: ask and receive on one log, grant or deny on the other (docs/audit.md).

What is missing is only named once it is certain that it would be there: after the event that demands it, the log that
lacks it has two later heartbeats. Its entries are in the order in which they were logged, so what was logged before those
heartbeats was read. A node that was down says nothing meanwhile, and has two heartbeats only after it came back.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from typing import TYPE_CHECKING, Final

from node.cage.findings import Place
from node.cage.opened import AGREED, MARK_BYTES, NO_MARK
from node.cage.rows import ELSEWHERE, KINDS, NOT_OPENED, OPENED

if TYPE_CHECKING:
    from collections.abc import Sequence

    from node.cage.auditedlog import AuditedLog
    from node.cage.findings import Findings
    from node.cage.rows import Row

SETTLE_MS: Final = 900_000
"""A request is valid for five minutes, and either side's clock may be wrong by as much."""

_ASK, _GRANT, _DENY, _RECEIVE, _SEALED, _BULK = range(len(KINDS))
_NO_MARKS: Final = NO_MARK * len(AGREED)
_HEARTBEATS: Final = 2
_NO_REQ: Final = bytes(43)
"""A bulk event is its asker's where it names no request, and its provider's where it answers one."""
_UNSENT: Final = b"A" * 43
"""Digest of the request in the receive of one that was never sent, or of which a crash left nothing."""


class Pairing:
    """Judges requests one after the other.

    Args:
        logs: The logs of the audit by their numbers, walked.
        members: Number of each member, by USCC.
        findings: Where findings go.
        complete: Whether the audit has the logs of every member there is, so that a side that is nowhere is missing.
        settled: Whether everything counts as settled: for the few events of a finding's own file.
    """

    def __init__(
        self,
        logs: Sequence[AuditedLog],
        members: dict[str, int],
        findings: Findings,
        *,
        complete: bool,
        settled: bool = False,
    ) -> None:
        self._logs = logs
        self._findings = findings
        self._complete = complete
        self._settled = settled
        self._member_of = [members[log.member] for log in logs]
        self._names = {number: code for code, number in members.items()}
        self._beats: dict[int, list[int]] = {number: [] for number in members.values()}
        for log in logs:
            self._beats[members[log.member]].extend(log.beats)
        for beats in self._beats.values():
            beats.sort()

    def judge(self, rows: Sequence[Row]) -> None:
        """Judge all events of one request id."""
        if len(rows) == 3 and self._fits(rows):  # noqa: PLR2004 - ask, answer, receive
            return
        asks = [row for row in rows if row.kind == _ASK or (row.kind == _BULK and row.req == _NO_REQ)]
        # A question that a node refused itself is a deny about itself and concerns nobody else.
        answers = [
            row
            for row in rows
            if (row.kind in (_GRANT, _DENY) and row.peer != self._member_of[row.log])
            or (row.kind == _BULK and row.req != _NO_REQ)
        ]
        receives = [row for row in rows if row.kind == _RECEIVE]
        others = [row for row in rows if row.kind == _SEALED]
        if any(row.kind == _SEALED for row in others) and not asks and (answers or receives):
            self._judge_unsealed(others, answers, receives)
            return
        if others:
            self._judge_others(others)
        if asks or answers or receives:
            every_ask = asks
            asks, answers, receives = (self._once(kind) for kind in (asks, answers, receives))
            answers = self._judge_reuse(asks, answers, receives)
            self._judge_presence(asks, answers, receives)
            for other in (*answers, *receives):
                self._compare_terms(every_ask, other)
            self._judge_agreement(asks, answers, receives)

    def _fits(self, rows: Sequence[Row]) -> bool:
        """Tell quickly of the honest request that nothing is wrong with it; False decides nothing."""
        by_kind = sorted(rows, key=lambda row: row.kind)
        ask, answer, receive = by_kind
        asker, provider = self._member_of[ask.log], self._member_of[answer.log]
        return (
            ask.kind == _ASK
            and answer.kind in (_GRANT, _DENY)
            and receive.kind == _RECEIVE
            and ask.log == receive.log
            and asker != provider
            and answer.req == receive.req
            and ask.peer == provider
            and answer.peer == asker
            and receive.peer == provider
            and ask.marks == answer.marks
            and receive.marks in (_NO_MARKS, ask.marks)
            and receive.released == answer.released != NO_MARK
            and not (answer.end and answer.end < ask.start)
            and not (receive.end and receive.end < answer.start)
        )

    # ---- how often

    def _once(self, rows: list[Row]) -> list[Row]:
        """Keep one event of each (member, request); what stands in one log twice is a finding."""
        kept: dict[tuple[int, bytes], Row] = {}
        for (log, _), count in Counter((row.log, row.req) for row in rows).items():
            if count > 1:
                same = [row for row in rows if row.log == log]
                self._add("event-twice", log, same, kind=KINDS[same[0].kind], count=count)
        for row in rows:
            # A successor logs again what its predecessor had promised.
            kept.setdefault((self._member_of[row.log], row.req), row)
        return list(kept.values())

    def _judge_reuse(self, asks: list[Row], answers: list[Row], receives: list[Row]) -> list[Row]:
        """Name a request id that stands for several requests; give the answers to the one that was asked."""
        askers = {self._member_of[row.log] for row in (*asks, *receives)}
        providers = {self._member_of[row.log] for row in answers}
        requests = {row.req for row in answers}
        wanted = {row.req for row in receives}  # or zeros, of one who no longer knew
        if max(len(askers), len(providers), len(requests)) > 1:
            first = (asks or receives or answers)[0]
            self._add("rid-reused", first.log, [*asks, *answers, *receives])
        matching = [row for row in answers if row.req in wanted]
        return matching or answers

    # ---- what is missing

    def _judge_presence(self, asks: list[Row], answers: list[Row], receives: list[Row]) -> None:
        if not asks:
            self._judge_unasked(answers, receives)
        elif not receives:
            first, asker = asks[0], self._member_of[asks[0].log]
            if self._is_settled(asker, max(row.t_ms for row in (*asks, *answers))):
                self._add("receive-missing", first.log, [*asks, *answers], member=asker)
            else:
                self._remark("not-settled", first)
        if not answers:
            self._judge_unanswered(asks, receives)

    def _judge_unasked(self, answers: list[Row], receives: list[Row]) -> None:
        first = (receives or answers)[0]
        if not receives and all(row.kind == _DENY and row.marks == _NO_MARKS for row in answers):
            # Of a request that could not be read, or of many that were counted: it says no more than who sent it.
            self._remark("deny-alone", first)
            return
        asker = self._member_of[receives[0].log] if receives else answers[0].peer
        if asker >= ELSEWHERE:
            if asker == NOT_OPENED and self._complete:
                self._add("ask-missing", first.log, answers, member=None)
            else:
                self._remark("other-side-elsewhere" if asker == ELSEWHERE else "other-side-unknown", first)
        elif self._is_settled(asker, first.t_ms):
            self._add("ask-missing", first.log, [*answers, *receives], member=asker)
        else:
            self._remark("not-settled", first)

    def _judge_unanswered(self, asks: list[Row], receives: list[Row]) -> None:
        rows = [*asks, *receives]
        first, provider = rows[0], min(row.peer for row in rows)
        answered = [row for row in receives if row.released != NO_MARK]
        if provider >= ELSEWHERE and not (provider == NOT_OPENED and self._complete):
            self._remark("other-side-elsewhere" if provider == ELSEWHERE else "other-side-unknown", first)
        elif not answered:
            if receives:
                self._remark("not-answered", first)
        elif provider == NOT_OPENED:
            self._add("answer-missing", first.log, rows, member=None)
        elif self._is_settled(provider, first.t_ms):
            self._add("answer-missing", first.log, rows, member=provider)
        else:
            self._remark("not-settled", first)

    def _judge_others(self, rows: list[Row]) -> None:
        """A sealed event has its part in two logs, where it names a member of the audit."""
        sides = {self._member_of[row.log] for row in rows}
        first = rows[0]
        if len(sides) > 1 or first.peer == NOT_OPENED:
            return  # not opened
        if first.peer == ELSEWHERE:
            self._remark("other-side-elsewhere", first)
        elif self._is_settled(first.peer, first.t_ms):
            self._add("part-missing", first.log, rows, member=first.peer, kind=KINDS[first.kind])

    def _judge_unsealed(self, sealed: list[Row], answers: list[Row], receives: list[Row]) -> None:
        """A sealed look that was refused, or of which nothing was learnt: what ends it says nothing of it, in the open."""
        answers, receives = self._once(answers), self._once(receives)
        ends = [*answers, *receives]
        asker = self._member_of[receives[0].log] if receives else answers[0].peer
        asked = [row for row in sealed if self._member_of[row.log] == asker]
        given = [*answers, *(row for row in sealed if self._member_of[row.log] != asker)]
        if asker >= ELSEWHERE:
            self._remark("other-side-elsewhere" if asker == ELSEWHERE else "other-side-unknown", ends[0])
        elif not asked:
            if self._is_settled(asker, ends[0].t_ms):
                self._add("ask-missing", ends[0].log, [*sealed, *ends], member=asker)
            else:
                self._remark("not-settled", ends[0])
        elif not receives:
            if self._is_settled(asker, max(row.t_ms for row in (*asked, *given))):
                self._add("receive-missing", asked[0].log, [*asked, *given], member=asker)
            else:
                self._remark("not-settled", asked[0])
        elif not given:
            self._remark("not-answered", receives[0])

    # ---- what differs

    def _judge_agreement(self, asks: list[Row], answers: list[Row], receives: list[Row]) -> None:
        for answer in answers[:1]:
            for ask in asks[:1]:
                self._compare_peers(ask, answer)
                self._compare_order(ask, answer)
            for receive in receives[:1]:
                self._compare_received(answer, receive)
            not_taken = all(row.released == NO_MARK for row in receives)
            if not_taken and answer.kind == _GRANT and any(row.flags & OPENED for row in receives):
                self._remark("answer-not-taken", receives[0])

    def _compare_terms(self, asks: Sequence[Row], other: Row) -> None:
        """Hold an event against the asks of its request id; where there are several, which is named by itself, it fits one."""
        differing = [_differences(ask, other) for ask in asks]
        if differing and all(differing):
            # A refusal says what the request said: who of the two wrote something else into his log is not to be seen.
            member = None if other.kind == _DENY else -1
            self._add(
                "terms-differ", other.log, [other, asks[0]], member=member, names=", ".join(differing[0])
            )

    def _compare_peers(self, ask: Row, answer: Row) -> None:
        for one, other in ((ask, answer), (answer, ask)):
            if one.peer not in (NOT_OPENED, self._member_of[other.log]):
                self._add("peer-differs", one.log, [one, other])

    def _compare_order(self, earlier: Row, later: Row) -> None:
        """What an anchor covers was logged before whatever cannot have been logged until after it; of that, a heartbeat says so."""
        if later.end and later.end < earlier.start:
            since = [] if earlier.since < 0 else [Place(earlier.log, earlier.since)]
            self._add(
                "order-differs",
                earlier.log,
                [earlier, later],
                since,
                earlier=KINDS[earlier.kind],
                later=KINDS[later.kind],
            )

    def _compare_received(self, answer: Row, receive: Row) -> None:
        if receive.req not in (answer.req, _UNSENT):
            self._add("request-differs", receive.log, [receive, answer])
        if NO_MARK != receive.released != answer.released and answer.flags & OPENED:
            self._add("released-differs", answer.log, [answer, receive])
        if receive.released != NO_MARK:
            # Who logs that nothing came may be answered still, by one to whom the request was brought later.
            self._compare_order(answer, receive)

    # ---- saying so

    def _is_settled(self, member: int, t_ms: int) -> bool:
        if self._settled:
            return True
        beats = self._beats[member]
        return len(beats) - bisect_right(beats, t_ms + SETTLE_MS) >= _HEARTBEATS

    def _remark(self, code: str, row: Row) -> None:
        self._findings.remark(code, self._logs[row.log].origin)

    def _add(
        self,
        code: str,
        log: int,
        rows: Sequence[Row],
        more: Sequence[Place] = (),
        *,
        member: int | None = -1,
        **values: int | str,
    ) -> None:
        """Add a finding in a log; ``member`` is whose log lacks something, by default that log's own."""
        named = self._logs[log].member if member == -1 else None if member is None else self._names[member]
        places = [*(Place(row.log, row.place) for row in rows), *more]
        self._findings.add(code, named, self._logs[log].origin, places, values=values)


def _mark(row: Row, place: int) -> bytes:
    return row.marks[place * MARK_BYTES : (place + 1) * MARK_BYTES]


def _differences(one: Row, other: Row) -> list[str]:
    """Name what both events say, and not the same."""
    return [
        name
        for place, name in enumerate(AGREED)
        if NO_MARK != _mark(one, place) != _mark(other, place) != NO_MARK
    ]
