# SPDX-License-Identifier: Apache-2.0
"""What a node keeps of its exchanges beside the access log, so that nothing is answered, asked or counted twice.

    key                              value
    E r member(18) rid(16)           SHA-256 of the request that used the rid first, and a mark(16) of what was released
                                     (node.service.exchange.ends; rows of older programs have none); kept for ever
    E e req(32)                      empty: a refused request that no ``r`` names: another one used its rid first, or nobody
                                     can read it; kept for ever
    E p req(32)                      msgpack: what the logged event lets out, until the sealed answer is stored
    E a req(32)                      msgpack [exp(s), envelope or None, code]: the answer as it was sealed
    E x exp(8) req(32)               empty: by when answer and plan go
    E q place(8)                     msgpack: a question of ours that has no ``receive`` yet
    E g place(8)                     msgpack [member, event, receipt]: what the other side promised about an event of ours
    E g place(8) k(1)                the same of the k-th end of an earlier question that came with that event's request
    E v member(18) rid(16)           leaf hash of that end of that question
    E w member(18) place(8)          an envelope whose ends do not hold, as it came, by the place of the ``deny``
    E h member(18)                   msgpack [n, index, receipt]: the newest of them by member, of access log n
    E s member(18)                   u64: greatest number of a status head that the member ever answered with
    E d member(18)                   msgpack [count, digest of the last]: refused requests that have no event yet
    E u member(18) place(8)          the openings of a ``receive`` of ours that the member was not told yet, sealed

``p`` is written by the commit that logs the event, and dropped by the one that stores the answer: between the two a
crash leaves an event and a plan, and the same request is answered from them, with no second event.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import msgpack

from node.access.receipt import parse_receipt
from node.access.received import MAX_RECEIVED
from node.core.types import MemberCode
from node.log.checkpoint import parse_origin
from node.log.merkle import leaf_hash
from node.service import layout

if TYPE_CHECKING:
    from collections.abc import Iterator

    from node.access.logged import LoggedEvent
    from node.ports import Reads
    from node.service.transaction import Transaction

_RID: Final = b"Er"
_REFUSED: Final = b"Ee"
_PLAN: Final = b"Ep"
_ANSWER: Final = b"Ea"
_EXPIRY: Final = b"Ex"
_QUESTION: Final = b"Eq"
_PROMISE: Final = b"Eg"
_NEWEST: Final = b"Eh"
_SEEN_HEAD: Final = b"Es"
_UNTOLD: Final = b"Eu"
_PASSED_OVER: Final = b"Ed"
_END: Final = b"Ev"
_PROOF: Final = b"Ew"
_PLACE_BYTES: Final = 8
_REQ_BYTES: Final = 32


@dataclass(frozen=True, slots=True)
class Plan:
    """What an event that stands in the access log lets out.

    Attributes:
        place: Its place in the access logs.
        kind: ``grant`` or ``deny``.
        exp: Second from which on the request is void.
        code: Why some or all is not given.
        found: Number of records there are.
        withheld: Number of them that are not given.
        searched: Number and size of the records log that was searched.
        rows: Place of each record and the names of its fields that are given.
        lines: Of a question about many subjects, for each: records that are given, and withheld, and why.
    """

    place: int
    kind: str
    exp: int
    code: str | None
    found: int
    withheld: int
    searched: tuple[int, int]
    rows: tuple[tuple[int, tuple[str, ...]], ...]
    lines: tuple[tuple[int, int, str | None], ...] = ()


@dataclass(frozen=True, slots=True)
class Kept:
    """A stored answer; a request that could not be answered under seal has a code in its place."""

    exp: int
    envelope: bytes | None
    code: str | None


@dataclass(frozen=True, slots=True)
class OpenQuestion:
    """A question of this node that has no ``receive`` yet; what it asked stands in its ask event alone.

    Attributes:
        place: Place of the ask event in the access logs.
        provider: Who is asked.
        rid: Its 16 bytes.
        exp: Second from which on nobody answers it.
        req: SHA-256 of the request, 32 bytes; None as long as it is not known to have been sent.
    """

    place: int
    provider: MemberCode
    rid: bytes
    exp: int
    req: bytes | None = None


def find_answer(reads: Reads, req: bytes) -> Kept | None:
    """Find the answer to a request, as it was sealed."""
    data = reads.get(_ANSWER + req)
    return None if data is None else Kept(*msgpack.unpackb(data))


def find_plan(reads: Reads, req: bytes) -> Plan | None:
    """Find what was logged for a request and not yet sealed."""
    data = reads.get(_PLAN + req)
    if data is None:
        return None
    place, kind, exp, code, found, withheld, searched, rows, *more = msgpack.unpackb(data)
    given = tuple((row, tuple(names)) for row, names in rows)
    return Plan(
        place,
        kind,
        exp,
        code,
        found,
        withheld,
        tuple(searched),
        given,
        tuple(tuple(line) for lines in more for line in lines),
    )


def find_first_user(reads: Reads | Transaction, member: MemberCode, rid: bytes) -> bytes | None:
    """Find the digest of the request that used a member's rid first."""
    data = reads.get(_RID + member.encode("ascii") + rid)
    return None if data is None else data[:_REQ_BYTES]


def find_first_use(reads: Reads, member: MemberCode, rid: bytes) -> tuple[bytes, bytes | None] | None:
    """Find the digest of the request that used a member's rid first, and the mark of what it was given.

    There is no mark where an older program answered it.
    """
    data = reads.get(_RID + member.encode("ascii") + rid)
    return None if data is None else (data[:_REQ_BYTES], data[_REQ_BYTES:] or None)


def was_answered(reads: Reads, member: MemberCode, rid: bytes, req: bytes) -> bool:
    """Whether there is an event about a request already, however long ago."""
    return find_first_user(reads, member, rid) == req or was_refused(reads, req)


def was_refused(reads: Reads, req: bytes) -> bool:
    """Whether there is the refusal of a request whose rid was another one's, or that nobody can read."""
    return reads.get(_REFUSED + req) is not None


def put_refused(transaction: Transaction, req: bytes) -> None:
    """Note, in the commit that logs the refusal of such a request, that there is one."""
    transaction.put(_REFUSED + req, b"")


def put_plan(
    transaction: Transaction, member: MemberCode, rid: bytes, req: bytes, plan: Plan, mark: bytes = b""
) -> None:
    """Note, in the commit that logs its event, what a request will be answered, and the mark of what is released."""
    key = _RID + member.encode("ascii") + rid
    first = transaction.get(key)
    if first is None:
        transaction.put(key, req + mark)
    elif first[:_REQ_BYTES] != req:
        put_refused(transaction, req)
    rows = [[place, list(names)] for place, names in plan.rows]
    fields = [
        plan.place,
        plan.kind,
        plan.exp,
        plan.code,
        plan.found,
        plan.withheld,
        list(plan.searched),
        rows,
        [list(line) for line in plan.lines],
    ]
    transaction.put(_PLAN + req, msgpack.packb(fields))
    transaction.put(_EXPIRY + layout.u64(plan.exp) + req, b"")


def put_answer(transaction: Transaction, req: bytes, kept: Kept) -> None:
    """Store an answer in place of its plan."""
    transaction.put(_ANSWER + req, msgpack.packb([kept.exp, kept.envelope, kept.code]))
    transaction.put(_EXPIRY + layout.u64(kept.exp) + req, b"")
    if transaction.get(_PLAN + req) is not None:
        transaction.delete(_PLAN + req)


def list_expired(reads: Reads, before: int, *, limit: int) -> list[tuple[int, bytes]]:
    """List answers to requests that were void before a second: that second and the digest of each request."""
    found = reads.scan(_EXPIRY, _EXPIRY + layout.u64(before), limit=limit)
    return [(layout.parse_u64(key[2:-_REQ_BYTES]), key[-_REQ_BYTES:]) for key, _ in found]


def drop_answers(transaction: Transaction, expired: list[tuple[int, bytes]]) -> None:
    """Drop answers, and plans of answers, that nobody can ask for again."""
    for exp, req in expired:
        transaction.delete(_EXPIRY + layout.u64(exp) + req)
        transaction.delete(_ANSWER + req)
        transaction.delete(_PLAN + req)


def put_question(transaction: Transaction, question: OpenQuestion) -> None:
    """Note, in the commit that logs an ask, that it waits for its ``receive``; once more when its request is sent."""
    fields = [question.provider, question.rid, question.exp, question.req]
    transaction.put(_QUESTION + layout.u64(question.place), msgpack.packb(fields))


def close_question(transaction: Transaction, place: int) -> None:
    """Note, in the commit that logs the ``receive``, that nothing waits any more."""
    transaction.delete(_QUESTION + layout.u64(place))


def is_open(transaction: Transaction, place: int) -> bool:
    """Whether a question has no ``receive`` yet."""
    return transaction.get(_QUESTION + layout.u64(place)) is not None


def list_open(reads: Reads) -> Iterator[OpenQuestion]:
    """Go through the questions without ``receive``, oldest first."""
    for key, data in reads.scan(_QUESTION, layout.stop_of(_QUESTION)):
        yield OpenQuestion(layout.parse_u64(key[2:]), *msgpack.unpackb(data))


def put_seen_head(transaction: Transaction, member: MemberCode, seq: int) -> None:
    """Keep the greatest number of a status head that a member answered with."""
    if seq > find_seen_head(transaction, member):
        transaction.put(_SEEN_HEAD + member.encode("ascii"), layout.u64(seq))


def find_seen_head(reads: Reads | Transaction, member: MemberCode) -> int:
    """Find the greatest number of a status head that a member answered with; 0 where none was seen."""
    data = reads.get(_SEEN_HEAD + member.encode("ascii"))
    return 0 if data is None else layout.parse_u64(data)


def put_passed_over(transaction: Transaction, member: MemberCode, count: int, last: bytes) -> None:
    """Keep how many requests of a member were refused without an event of their own."""
    transaction.put(_PASSED_OVER + member.encode("ascii"), msgpack.packb([count, last]))


def drop_passed_over(transaction: Transaction, member: MemberCode) -> None:
    """Drop that, in the commit of the event that says it."""
    transaction.delete(_PASSED_OVER + member.encode("ascii"))


def list_passed_over(reads: Reads) -> list[tuple[MemberCode, int, bytes]]:
    """List what a node that died had kept of refusals without events."""
    found = reads.scan(_PASSED_OVER, layout.stop_of(_PASSED_OVER))
    return [(MemberCode(key[2:].decode("ascii")), *msgpack.unpackb(data)) for key, data in found]


def put_untold(transaction: Transaction, member: MemberCode, place: int, sealed: bytes) -> None:
    """Queue, in the commit that logs a ``receive``, what the other side is to be told of it."""
    transaction.put(_UNTOLD + member.encode("ascii") + layout.u64(place), sealed)


def drop_untold(transaction: Transaction, member: MemberCode, place: int) -> None:
    """Take off the queue what the other side was told."""
    transaction.delete(_UNTOLD + member.encode("ascii") + layout.u64(place))


def list_untold(reads: Reads, member: MemberCode, *, limit: int, first: int = 0) -> list[tuple[int, bytes]]:
    """List what a member was not told yet, oldest first, from a place on: places of the events and what was sealed of each."""
    prefix = _UNTOLD + member.encode("ascii")
    found = reads.scan(prefix + layout.u64(first), layout.stop_of(prefix), limit=limit)
    return [(layout.parse_u64(key[len(prefix) :]), data) for key, data in found]


def put_promise(transaction: Transaction, place: int, member: MemberCode, event: bytes, receipt: str) -> None:
    """Keep what the other side promised: its event and its receipt, by the place of our own event."""
    _put_promise(transaction, _PROMISE + layout.u64(place), member, event, receipt)


def _put_promise(
    transaction: Transaction, kept_under: bytes, member: MemberCode, event: bytes, receipt: str
) -> None:
    transaction.put(kept_under, msgpack.packb([member, event, receipt]))
    note_newest(transaction, member, receipt)


def note_newest(transaction: Transaction, member: MemberCode, receipt: str) -> None:
    """Keep a receipt as the newest of its member, if it is: its machine is shown it when it starts."""
    promised = parse_receipt(receipt)
    newest = [parse_origin(promised.log).n, promised.idx]
    key = _NEWEST + member.encode("ascii")
    data = transaction.get(key)
    if data is None or newest > msgpack.unpackb(data)[:2]:
        transaction.put(key, msgpack.packb([*newest, receipt]))


def find_newest_receipt(reads: Reads, member: MemberCode) -> str | None:
    """Find the receipt of a member that promises the last entry of its last access log that this node knows of."""
    data = reads.get(_NEWEST + member.encode("ascii"))
    receipt: str | None = None if data is None else msgpack.unpackb(data)[2]
    return receipt


def find_promise(reads: Reads, place: int) -> tuple[str, bytes, str] | None:
    """Find the member, event and receipt that belong to an event of ours."""
    data = reads.get(_PROMISE + layout.u64(place))
    if data is None:
        return None
    member, event, receipt = msgpack.unpackb(data)
    return member, event, receipt


def list_promises(reads: Reads, *, after: int | None, limit: int) -> list[tuple[int, str]]:
    """List receipts of other members with the places of the own events that they belong to, in that order.

    Args:
        reads: The store.
        after: Only behind this place; None for the first.
        limit: At most so many, and what belongs to the last event.
    """
    start = _PROMISE if after is None else _PROMISE + layout.u64(after + 1)
    found: list[tuple[int, str]] = []
    for key, data in reads.scan(start, layout.stop_of(_PROMISE), limit=limit + MAX_RECEIVED):
        place = layout.parse_u64(key[2 : 2 + _PLACE_BYTES])
        # What belongs to one event is given together.
        if len(found) >= limit and place != found[-1][0]:
            break
        found.append((place, msgpack.unpackb(data)[2]))
    return found


def put_end(
    transaction: Transaction, member: MemberCode, rid: bytes, place: int, number: int, shown: LoggedEvent
) -> None:
    """Keep how a question of another member ended, as it says.

    Args:
        transaction: The commit of the event about the request that it came with.
        member: The asker.
        rid: Of the question that ended.
        place: Place of that event.
        number: From 1, among those that came with it.
        shown: The asker's ``receive``, and its receipt.
    """
    transaction.put(_END + member.encode("ascii") + rid, leaf_hash(shown.event))
    key = _PROMISE + layout.u64(place) + bytes((number,))
    _put_promise(transaction, key, member, shown.event, shown.receipt)


def find_end(reads: Reads, member: MemberCode, rid: bytes) -> bytes | None:
    """Find the leaf hash of the event by which a question of another member ended."""
    return reads.get(_END + member.encode("ascii") + rid)


def put_proof(transaction: Transaction, member: MemberCode, place: int, envelope: bytes) -> None:
    """Keep an envelope whose ends of earlier questions do not hold, by the place of its ``deny``."""
    transaction.put(_PROOF + member.encode("ascii") + layout.u64(place), envelope)


def list_proofs(reads: Reads, member: MemberCode, *, limit: int) -> list[tuple[int, bytes]]:
    """List the envelopes of a member that are kept as proof, oldest first, with the places of their ``deny``."""
    prefix = _PROOF + member.encode("ascii")
    found = reads.scan(prefix, layout.stop_of(prefix), limit=limit)
    return [(layout.parse_u64(key[len(prefix) :]), data) for key, data in found]
