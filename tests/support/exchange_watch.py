# SPDX-License-Identifier: Apache-2.0
"""Sees all that leaves two nodes, and holds it against what their logs had made durable by then.

It knows every key and every random byte, so no envelope is closed to it. What a node must have counted is counted here
again from the events of its log, with nothing of the node's own counts.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from hashlib import sha256

import msgpack
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from node.access.answer import parse_answer, released_of
from node.access.box import MAX_ANSWER_BYTES, MAX_REQUEST_BYTES, open_answer, open_request, parse_envelope
from node.access.bulk import hash_lines, released_set
from node.access.bulk_answer import BulkAnswer, parse_bulk_answer
from node.access.bulk_request import TYP as BULK_TYP
from node.access.bulk_request import BulkRequest, parse_bulk_request
from node.access.event import SALTED_NAMES, parse_entry
from node.access.limits import Tally, parse_tally
from node.access.question import AskedSubject
from node.access.receipt import parse_receipt
from node.access.request import TYP, AnyRequest, parse_request
from node.core.encoding import encode_b64u, parse_b64u
from node.crypto.hpke import ExchangeKey
from node.crypto.token import parse_token
from node.crypto.wrap import unwrap_secret
from node.log.merkle import leaf_hash
from node.records.record import parse_record
from node.records.secret import values_key
from node.service.exchange.ledger import find_first_user
from node.service.layout import LogKind
from node.service.limiting import list_uses, member_counter, officer_counter, read_used

RELEASING = frozenset({"grant", "bulk", "read", "export"})


@dataclass(frozen=True)
class Seen:
    """A durable event of a node, with its ten values."""

    index: int
    entry: bytes
    kind: str
    rid: bytes
    req: bytes | None
    t_ms: int
    n: int
    said: dict
    lines: tuple = ()
    """Of a bulk event: type and id of each subject, and what is released about it."""

    @property
    def is_question(self):
        """Whether the node itself asked."""
        return self.kind == "ask" or (self.kind == "bulk" and self.req is None)

    @property
    def is_given(self):
        """Whether another member was given what it asked for."""
        return self.kind == "grant" or (self.kind == "bulk" and self.req is not None)

    @property
    def released(self):
        """All that was released, as an event about one subject says it."""
        return [*(self.said["released"] or ()), *(pair for line in self.lines for pair in line[2] or ())]


@dataclass(frozen=True)
class Asked:
    """A request that left its asker."""

    asker: str
    provider: str
    request: AnyRequest
    body: bytes


class Watch:
    """Looks at two nodes.

    Args:
        world: The nodes.

    Attributes:
        requests: Requests that left, by digest.
        answers: The one answer that left to each, by its digest.
        receipts: Every receipt that was given out, by (iss, aud, pair).
        liars: Members whose own programs broke rules on purpose: of their logs nothing is demanded.
    """

    def __init__(self, world):
        self._world = world
        self._events = defaultdict(dict)
        self._sizes = Counter()
        self._jwts = {}
        self.requests, self.answers, self.receipts = {}, {}, {}
        self.liars = set()

    # ---- what is durable

    def events(self, code, *kinds):
        """The durable events of a node, oldest first; what was durable once is so for ever."""
        node = self._world.nodes[code]
        reader, size = node.access, node.access.size()
        assert size >= self._sizes[code], f"{code} lost what was durable"
        for index, row in reader.rows(self._sizes[code], size):
            event = parse_entry(reader.entry(row))
            if hasattr(event, "digests"):
                self._events[code][index] = self._see(node, index, row, event)
        self._sizes[code] = size
        return [event for event in self._events[code].values() if not kinds or event.kind in kinds]

    @staticmethod
    def _see(node, index, row, event):
        reader, name = node.access, encode_b64u(event.rid)
        secret = unwrap_secret(node.wrapping, reader.wrapped_secret(index), name)
        plain = AESGCM(values_key(secret)).decrypt(bytes(12), reader.values(row), name.encode())
        values = msgpack.unpackb(plain)
        lines = () if event.set_root is None else tuple(values.pop())
        said = dict(zip(SALTED_NAMES, values, strict=True))
        entry = reader.entry(row)
        return Seen(index, entry, event.kind, event.rid, event.req, event.t_ms, event.n, said, lines)

    def find(self, code, index):
        """The durable event at an index, or None."""
        self.events(code)
        return self._events[code].get(index)

    # ---- what leaves a node

    def request_left(self, provider, body):
        """A question is on the wire: the asker's log has its ``ask``."""
        token = open_request(
            parse_envelope(body, max_plaintext_bytes=MAX_REQUEST_BYTES), self._world.exchange_key(provider)
        )
        request = self._parse(token)
        assert self._require_durable(request.iss, request.ask, None).is_question
        for received in request.received:
            self._require_durable(request.iss, received, "receive")
        self.requests.setdefault(request.digest, Asked(request.iss, provider, request, body))

    def answer_left(self, provider, body, answer):
        """An answer is on the wire: both logs have the look, and it shows what the log says, once and for all."""
        asked = next(each for each in self.requests.values() if each.body == body)
        request = asked.request
        assert self.answers.setdefault(request.digest, answer) == answer, "two answers to one request"
        token = open_answer(
            parse_envelope(answer, max_plaintext_bytes=MAX_ANSWER_BYTES),
            self._reply_key(asked.asker, request.reply),
            req=request.digest,
        )
        is_bulk = isinstance(request, BulkRequest)
        opened = (parse_bulk_answer if is_bulk else parse_answer)(token)
        granted = self._require_durable(provider, opened.grant, None)
        assert granted.kind == ("deny" if opened.result == "deny" else "bulk" if is_bulk else "grant")
        assert (granted.req, granted.rid) == (request.digest, request.rid)
        assert granted.released == released_of(opened.records)
        if is_bulk and opened.lines:
            said = [(one.line.subject, one.line.released) for one in opened.lines]
            assert said == [(AskedSubject(*line[:2]), line[2]) for line in granted.lines]
            assert [line.subject for line in request.lines] == [subject for subject, _ in said]
        if opened.records:
            self._require_durable(asked.asker, request.ask, None)

    def secret_left(self, code, name):
        """A secret comes out: of a record only when a durable event says that this record is looked at."""
        digest = self._digest_of(code, name)
        if digest is None:
            return  # of an event
        for event in reversed(self.events(code)):
            released = [jwt for jwt, _ in event.released]
            # An erasure opens a record to take it out of the indices, and shows nothing of it.
            if event.kind == "erase" or (event.kind in RELEASING and digest in released):
                return
        raise AssertionError(f"{code} opened a record that no durable event names")

    def shown(self, code, outcome):
        """An officer sees what came of a question: his log has what he sees as received, the other one as granted."""
        self.keep(*outcome.receipts)
        events = [self._promised(code, receipt) for receipt in outcome.receipts]
        if outcome.result == "refused":
            assert [event.kind for event in events] == ["deny"]
            return
        assert events[0].is_question
        assert [event.kind for event in events[1:]] in ([], ["receive"])
        if outcome.answer is not None:
            assert len(events) == 2
            assert events[1].released == self._ends_with(outcome.answer)
            assert events[1].req == outcome.answer.req
            self._require_durable(outcome.provider, outcome.answer.grant, None)
        else:
            assert outcome.records == ()

    def is_found_out(self, asker, outcome):
        """Whether the asker's own program used an id of its node's: what the node tells of it contradicts the provider's log."""
        return asker in self.liars and (outcome.result, outcome.code) == ("deny", "received-differs")

    def keep(self, *receipts):
        """Remember receipts that were given out: none has the number of another."""
        for token in receipts:
            receipt = parse_receipt(token)
            key = receipt.iss, receipt.aud, receipt.pair
            assert self.receipts.setdefault(key, token) == token, f"two receipts of number {key}"

    # ---- what is true at every moment

    def check(self):
        """Hold every count and every receipt against the logs."""
        for code in self._world.nodes:
            events = self.events(code)
            if code not in self.liars:
                self._check_once(events)
            self._check_counts(code, events)
            self._check_pairs(code, events)
        for token in self.receipts.values():
            self._promised(parse_receipt(token).iss, token)

    def _check_once(self, events):
        asked = Counter(event.rid for event in events if event.is_question)
        ended = Counter(event.rid for event in events if event.kind == "receive")
        for what, counted in (("beginnings", asked), ("ends", ended)):
            assert set(counted.values()) <= {1}, f"a question has two {what}"
        assert asked.keys() >= ended.keys()
        answered = Counter(event.req for event in events if event.is_given or event.kind == "deny")
        assert set(answered.values()) <= {1}, "a request was answered twice"

    def _check_counts(self, code, events):
        """Rates and uses of consents are as many as there are events that use them up."""
        node = self._world.nodes[code]
        key, store = node.keys.index, node.store
        tallies, uses = defaultdict(Tally), defaultdict(list)
        for event in events:
            said, at = event.said, event.t_ms // 1_000
            # Each line of a question about many is one.
            if event.is_given:
                counter = member_counter(key, said["peer"], said["purpose"])
                tallies[counter] = tallies[counter].add(at, len(event.lines) or 1)
                assert find_first_user(store, said["peer"], event.rid) == event.req
                if said["consent"] is not None:
                    uses[said["consent"]].append((event.rid, node.access.place(event.index)))
            if event.is_question and code not in self.liars:
                counter = officer_counter(key, said["officer"]["id"], said["purpose"])
                tallies[counter] = tallies[counter].add(at, len(event.lines) or 1)
        for counter, tally in tallies.items():
            assert parse_tally(store.get(b"T" + counter)) == tally, (
                "a rate counts other lines than the log has"
            )
        for text, used in uses.items():
            digest = parse_b64u(text)
            assert read_used(store, digest).uses == len(used), "a consent counts other uses than the log has"
            assert list_uses(store, digest) == used

    def _check_pairs(self, code, events):
        """Receipts for one other side are numbered from 1, without a gap, in the order of the log."""
        given = Counter()
        for event in events:
            aud, pair = self._world.nodes[code].access.receipt_facts(event.index)
            given[aud] += 1
            assert pair == given[aud], f"receipt {pair} for {aud} is number {given[aud]}"

    # ---- how

    @staticmethod
    def _parse(token):
        jws = parse_token(token, typ=frozenset((TYP, BULK_TYP)), max_bytes=MAX_REQUEST_BYTES)
        parse = parse_bulk_request if jws.header["typ"] == BULK_TYP else parse_request
        return parse(token, jws)

    @staticmethod
    def _ends_with(answer):
        """What the end of a question says was released."""
        if isinstance(answer, BulkAnswer) and answer.lines:
            return released_set(hash_lines([one.text for one in answer.lines]).root)
        return released_of(answer.records)

    def _require_durable(self, code, logged, kind):
        event = self._promised(code, logged.receipt)
        assert event.entry == logged.event, "the event that was shown is not the one in the log"
        assert kind in (None, event.kind)
        self.keep(logged.receipt)
        return event

    def _promised(self, code, token):
        """The durable event that a receipt promises."""
        receipt = parse_receipt(token)
        event = self.find(code, receipt.idx)
        assert event is not None, (
            f"{code} gave a receipt for entry {receipt.idx}, which its log does not have"
        )
        assert leaf_hash(event.entry) == receipt.leaf, "a receipt promises another entry"
        assert self._world.nodes[code].access.leaf(receipt.idx) == receipt.leaf
        assert (receipt.iss, receipt.rid) == (code, event.rid)
        return event

    def _reply_key(self, code, public):
        for seed in reversed(self._world.nodes[code].random.seeds):
            key = ExchangeKey(seed)
            if key.public == public:
                return key
        raise AssertionError("the reply key was not drawn from this node's random bytes")

    def _digest_of(self, code, jti):
        """Digest of the record of a ``jti``, as ``released`` names it; None for what is no record."""
        if (code, jti) not in self._jwts:
            for line in self._world.nodes[code].lines():
                reader = self._world.nodes[code].services.readers[LogKind.RECORDS]
                jwt = reader.entry(reader.row(line.index))
                self._jwts[code, parse_record(jwt).claims.jti] = encode_b64u(sha256(jwt).digest())
        return self._jwts.get((code, jti))
