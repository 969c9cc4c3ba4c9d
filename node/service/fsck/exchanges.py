# SPDX-License-Identifier: Apache-2.0
"""Check what a node keeps of its exchanges: requests, plans and answers, open questions, promises, ends, approvals.

What a request said, and what an answer holds, is sealed or gone; so form is checked, that what finds something leads to it, and
that each plan, question and promise belongs to an event that is there (node.service.exchange.ledger, .approvals).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgpack

from node.access.box import MAX_ANSWER_BYTES, parse_envelope
from node.access.event import parse_event
from node.access.receipt import parse_receipt
from node.access.request import SEALED
from node.core.uscc import parse_uscc
from node.log.checkpoint import parse_origin
from node.log.merkle import leaf_hash
from node.service import layout
from node.service.exchange.approvals import ID_BYTES, Approval
from node.service.exchange.ledger import OpenQuestion, find_answer, find_plan
from node.service.fsck.findings import Finding, check_each

if TYPE_CHECKING:
    from collections.abc import Iterator

    from node.access.event import ParsedEvent
    from node.ports import Reads
    from node.service.reading import Logs

CHECKED: Final = tuple(b"E%c" % letter for letter in b"adeghopqrsuvwx")
"""Prefixes of the keys that are checked here."""
_RID_BYTES: Final = 16
_PLACE_BYTES: Final = 8
_DIGEST_BYTES: Final = 32
_MEMBER: Final = layout.MEMBER_BYTES
_REQ_BYTES: Final = (32, 48)
"""Digest of a request, and where a newer program wrote it the mark of what was released."""
_ASKS: Final = ("ask", "bulk", SEALED)
_BARE: Final = "there are bytes under a key that has none"


class ExchangeCheck:
    """Checks it.

    Args:
        reads: The store.
        events: The access logs.
    """

    def __init__(self, reads: Reads, events: Logs) -> None:
        self._reads = reads
        self._events = events
        self._ends: set[bytes] = set()
        self._found_ends: set[bytes] = set()

    def run(self) -> Iterator[Finding]:
        """Check all of it."""
        for prefix, name, check in (
            (b"Er", "request", self._check_request),
            (b"Ee", "refused request", self._check_refused),
            (b"Ep", "plan of an answer", self._check_plan),
            (b"Ea", "answer", self._check_answer),
            (b"Ex", "end of an answer", self._check_expiry),
            (b"Eq", "open question", self._check_question),
            (b"Eg", "receipt of another member", self._check_promise),
            (b"Ev", "end of a question", self._check_end),
            (b"Eu", "end not told yet", self._check_untold),
            (b"Ew", "kept envelope", self._check_proof),
            (b"Eh", "newest receipt of", self._check_newest),
            (b"Es", "newest status head of", self._check_seen),
            (b"Ed", "refusals without event of", self._check_passed_over),
            (b"Eo", "approval", self._check_approval),
        ):
            yield from check_each(self._reads, prefix, name, "fsck-ledger", check)
        for end in self._ends - self._found_ends:
            yield Finding(
                "fsck-ledger", f"receipt of the end {end.hex()}", "its question does not lead to it"
            )

    # ---- as provider

    def _check_request(self, key: bytes, value: bytes) -> str | None:
        parse_uscc(key[:_MEMBER].decode("ascii"))
        fits = len(key) == _MEMBER + _RID_BYTES and len(value) in _REQ_BYTES
        return None if fits else "it is no request of a member"

    def _check_refused(self, key: bytes, value: bytes) -> str | None:
        if len(key) != _DIGEST_BYTES:
            return "it is no digest of a request"
        return _BARE if value else None

    def _check_plan(self, req: bytes, _value: bytes) -> str | None:
        plan = find_plan(self._reads, req)
        assert plan is not None, "just read"
        event = self._event(plan.place)
        if event.kind == SEALED:
            fits = plan.kind == "grant"
        else:
            fits = event.kind in (plan.kind, "bulk") and event.req == req
        if not fits:
            return "the event that it belongs to answers another request"
        return self._require_expiry(plan.exp, req)

    def _check_answer(self, req: bytes, _value: bytes) -> str | None:
        kept = find_answer(self._reads, req)
        assert kept is not None, "just read"
        if kept.envelope is None:
            if not kept.code:
                return "there is neither an answer nor why there is none"
        else:
            parse_envelope(kept.envelope, max_plaintext_bytes=MAX_ANSWER_BYTES)
        return self._require_expiry(kept.exp, req)

    def _require_expiry(self, exp: int, req: bytes) -> str | None:
        found = self._reads.get(b"Ex" + layout.u64(exp) + req)
        return None if found is not None and len(req) == _DIGEST_BYTES else "nothing says when it goes"

    def _check_expiry(self, key: bytes, value: bytes) -> str | None:
        if value:
            return _BARE
        exp, req = layout.parse_u64(key[:_PLACE_BYTES]), key[_PLACE_BYTES:]
        kept, plan = find_answer(self._reads, req), find_plan(self._reads, req)
        ends = {one.exp for one in (kept, plan) if one is not None}
        return None if exp in ends else "it leads to no answer that ends then"

    def _check_end(self, key: bytes, value: bytes) -> str | None:
        self._found_ends.add(key + value)
        return None if key + value in self._ends else "no receipt belongs to it"

    def _check_proof(self, key: bytes, _value: bytes) -> str | None:
        event = self._event(layout.parse_u64(key[_MEMBER:]))
        return None if event.kind == "deny" else "the event refuses nothing"

    def _check_passed_over(self, key: bytes, value: bytes) -> str | None:
        parse_uscc(key.decode("ascii"))
        count, last = msgpack.unpackb(value)
        fits = type(count) is int and count > 0 and type(last) is bytes and len(last) == _DIGEST_BYTES
        return None if fits else "it is no count of refusals"

    # ---- as asker

    def _check_question(self, key: bytes, value: bytes) -> str | None:
        question = OpenQuestion(layout.parse_u64(key), *msgpack.unpackb(value))
        event = self._event(question.place)
        if event.kind not in _ASKS or event.rid != question.rid:
            return "the event here asks another question"
        parse_uscc(question.provider)
        if question.req is not None and len(question.req) != _DIGEST_BYTES:
            return "it names no request"
        return None if type(question.exp) is int and question.exp > 0 else "it has no end"

    def _check_untold(self, key: bytes, _value: bytes) -> str | None:
        event = self._event(layout.parse_u64(key[_MEMBER:]))
        return None if event.kind in ("receive", SEALED) else "the event is no end of a question"

    def _check_seen(self, key: bytes, value: bytes) -> str | None:
        parse_uscc(key.decode("ascii"))
        return None if layout.parse_u64(value) else "it is no number of a status head"

    def _check_approval(self, key: bytes, value: bytes) -> str | None:
        approval = Approval(key, *msgpack.unpackb(value))
        texts = (approval.officer, approval.purpose, approval.approver or approval.officer)
        numbers = (approval.lines, approval.filed, approval.exp)
        if len(key) != ID_BYTES or any(type(text) is not str or not text for text in texts):
            return "it is of no question of an officer"
        if any(type(number) is not int for number in numbers) or not 0 < approval.filed < approval.exp:
            return "it does not end after it was filed"
        if type(approval.number) is not int or approval.number < 0:
            return "its place among the others is no number"
        if approval.lines < 1 or approval.approver == approval.officer:
            return "it has no lines, or the officer approved himself"
        used = approval.used_by is not None
        return "it was used before anybody approved" if used and approval.approver is None else None

    # ---- as either

    def _check_promise(self, key: bytes, value: bytes) -> str | None:
        member, event, text = msgpack.unpackb(value)
        receipt = parse_receipt(text)
        place, number = layout.parse_u64(key[:_PLACE_BYTES]), key[_PLACE_BYTES:]
        own = self._events.row(place)
        if receipt.leaf != leaf_hash(event):
            return "the receipt is of another event"
        if not number and own.key != receipt.rid:
            return "the event here is of another request"
        if number:
            self._ends.add(member.encode("ascii") + receipt.rid + receipt.leaf)
        return None

    def _check_newest(self, key: bytes, value: bytes) -> str | None:
        number, index, text = msgpack.unpackb(value)
        receipt = parse_receipt(text)
        fits = (receipt.iss, parse_origin(receipt.log).n, receipt.idx) == (key.decode("ascii"), number, index)
        return None if fits else "the receipt promises another entry"

    def _event(self, place: int) -> ParsedEvent:
        return parse_event(self._events.entry(self._events.row(place)))
