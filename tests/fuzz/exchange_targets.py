# SPDX-License-Identifier: Apache-2.0
"""What comes from other nodes in an exchange: envelopes, boxes, requests, answers, consents, warrants, bulk lines.

The ``…-claims`` targets sign whatever claims they are given: a member that says what it likes.
"""

from __future__ import annotations

from functools import cache

from node.access.answer import TYP as ANSWER_TYP
from node.access.answer import build_answer, parse_answer, verify_answer
from node.access.box import (
    MAX_REQUEST_BYTES,
    answer_info,
    encode_envelope,
    pad,
    parse_envelope,
    sealed_info,
    unpad,
)
from node.access.bulk import encode_line, parse_line, verify_line
from node.access.consent import TYP as CONSENT_TYP
from node.access.consent import build_consent, parse_consent, verify_consent
from node.access.event import SALTED_NAMES, parse_event
from node.access.logged import encode_logged, parse_logged, verify_logged
from node.access.received import parse_received, verify_received
from node.access.request import TYP as REQUEST_TYP
from node.access.request import build_request, parse_request, verify_request
from node.access.sealed import open_sealed, verify_sealed
from node.access.warrant import TYP as WARRANT_TYP
from node.access.warrant import build_warrant, parse_warrant, verify_warrant
from node.core.canonical import encode_json, parse_json
from node.core.encoding import encode_b64u
from node.crypto.hpke import check_exchange_key, seal
from node.crypto.token import token_digest
from node.evidence.answered import verify_answered
from tests.fuzz.case import ONE, Target, as_text
from tests.fuzz.signed import claims_of, fields_of, sign_claims
from tests.support import one_exchange as world
from tests.support.records import find_key, issue_record

_SIZE = 32_768
_RE_ENCODED = "see token; the claims are rebuilt from what was read"
_NODE = world.NODE_KEYS


def _exchange_key(data):
    """A key that is accepted can be sealed to."""
    check_exchange_key(data)
    assert len(seal(data, b"info", b"x")) == 1_137


def _envelope(data):
    envelope = parse_envelope(data, max_plaintext_bytes=MAX_REQUEST_BYTES)
    assert encode_envelope(envelope) == data


def _box(data):
    """No box opens but the one that was sealed."""
    world.REPLY_KEY.open(_answer_info(), data)
    assert data == _answer_box()


def _sealed(data):
    """What a member seals to the regulator: only the openings of the event verify against it."""
    info = sealed_info(world.ASKER, world.REGULATOR, world.REGULATOR_KEY.kid)
    box = seal(world.REGULATOR_KEY.public, info, pad(encode_b64u(data), 1 << 20) if data else b"")
    openings = open_sealed(box, world.REGULATOR_KEY, from_=world.ASKER, to=world.REGULATOR)
    assert encode_json(list(openings)) == data
    verify_sealed(parse_event(world.events()["sealed"]["event"].entry), world.sealed_box(), openings)
    assert list(openings) == world.sealed_openings()


def _padding(data):
    assert pad(unpad(data), 1 << 20) == data


def _request(data):
    """Only the requests that were signed verify."""
    verify_request(
        as_text(data),
        public=_NODE[world.ASKER].public,
        from_=world.ASKER,
        to=world.PROVIDER,
        log=world.LOGS[world.ASKER],
        now_seconds=world.NOW + 5,
        anchor_limit_seconds=world.LIMIT,
    )
    assert data in _requests()


def _request_claims(data):
    token = sign_claims(data, REQUEST_TYP, world.ASKER, max_bytes=_SIZE)
    request = parse_request(token)
    fields = fields_of(request, "digest")
    assert build_request(signer=_NODE[world.ASKER], **fields)[0] == token


def _answer(data):
    """Only the answers that were signed verify."""
    verify_answer(
        as_text(data),
        request=_parsed_request(),
        find_key=lambda _kid: _NODE[world.PROVIDER].public,
        log=world.LOGS[world.PROVIDER],
        now_seconds=world.NOW + 5,
        anchor_limit_seconds=world.LIMIT,
    )
    assert data in _answers()


def _answer_claims(data):
    token = sign_claims(data, ANSWER_TYP, world.PROVIDER, max_bytes=_SIZE)
    answer = parse_answer(token)
    assert answer.found == len(answer.records) + answer.withheld
    fields = fields_of(answer, "digest", "released")
    assert build_answer(signer=_NODE[world.PROVIDER], **fields) == token
    # What is taken from it for a record was issued, whatever the provider says.
    for one in verify_answered(answer, request=_parsed_request(), find_key=find_key):
        assert one.record.jwt == issue_record().jwt
        assert one.head.iss == answer.iss


def _consent(data):
    consent = verify_consent(
        as_text(data),
        find_key=lambda _kid, _member: _NODE[world.REGULATOR].public,
        aud=world.PROVIDER,
        asker=world.ASKER,
        subject=world.ABOUT,
        items=world.ITEMS,
        purpose=world.WHY["purpose"],
        now_seconds=world.NOW,
    )
    assert data == world.consent(uses=consent.uses).encode()


def _consent_claims(data):
    token = sign_claims(data, CONSENT_TYP, world.REGULATOR, max_bytes=_SIZE)
    consent = parse_consent(token)
    assert consent.iat < consent.exp
    assert build_consent(signer=_NODE[world.REGULATOR], **fields_of(consent, "digest")) == token


def _warrant(data):
    verify_warrant(
        as_text(data),
        find_key=lambda _kid, _member: _NODE[world.REGULATOR].public,
        asker=world.ASKER,
        open_by=world.UNTIL,
        now_seconds=world.NOW,
    )
    assert data == world.warrant().encode()


def _warrant_claims(data):
    token = sign_claims(data, WARRANT_TYP, world.REGULATOR, max_bytes=_SIZE)
    warrant = parse_warrant(token)
    assert warrant.iat < warrant.exp <= warrant.open_by
    assert build_warrant(signer=_NODE[world.REGULATOR], **fields_of(warrant, "digest")) == token


def _line(data):
    text = as_text(data)
    assert encode_line(parse_line(text)) == text


def _line_path(data):
    """A byte that is the number of the line, its path, then the line: only the five lines of the set verify."""
    k, path, text = data[0] if data else 0, data[1:97], as_text(data[97:])
    nodes = [path[at : at + 32] for at in range(0, len(path), 32)]
    nodes = nodes[:1] if k == 4 else nodes
    verify_line(parse_event(world.events()["bulk"]["event"].entry), text, k, nodes)
    assert world.bulk()["texts"][k] == text


def _logged(data):
    """Only the event, openings and receipt that the asker gave verify; the openings in any order."""
    value = parse_json(data, max_bytes=_SIZE)
    shown = parse_logged(value, "ask")
    assert encode_logged(shown) == value
    opened = verify_logged(
        shown,
        public=_NODE[world.ASKER].public,
        iss=world.ASKER,
        aud=world.PROVIDER,
        log=world.LOGS[world.ASKER],
        now_seconds=world.NOW + 5,
        anchor_limit_seconds=world.LIMIT,
    )
    assert {**opened.values, "officer": world.OFFICER} == world.asked()
    assert set(opened.values) == set(SALTED_NAMES) - {"officer"}


def _received(data):
    """Only the end of a question that the asker logged verifies, with or without what was released."""
    value = parse_json(data, max_bytes=_SIZE)
    shown = parse_received(value)
    assert list(map(encode_logged, shown)) == value
    for each in shown:
        opened = verify_received(
            each,
            find_key=lambda _kid: _NODE[world.ASKER].public,
            iss=world.ASKER,
            aud=world.PROVIDER,
            log=world.LOGS[world.ASKER],
            now_seconds=world.NOW + 5,
            anchor_limit_seconds=world.LIMIT,
        )
        assert opened.values.items() <= world.asked(released=world.released_of([world.record()])).items()
        assert opened.event.rid == world.EARLIER_RID


@cache
def _requests():
    made = (
        world.request(),
        world.request_with_consent(),
        world.request_under_warrant(),
        world.request_with_received(),
    )
    return tuple(token.encode() for token in made)


@cache
def _parsed_request():
    return parse_request(world.request())


@cache
def _answers():
    return tuple(world.answer(result).encode() for result in ("ok", "none", "partial", "deny"))


@cache
def _answer_info():
    return answer_info(world.PROVIDER, world.ASKER, token_digest(world.request()))


@cache
def _answer_box():
    data = world.once()["answer envelope"].encode()
    return parse_envelope(data, max_plaintext_bytes=MAX_REQUEST_BYTES).box


def _consents():
    return [world.consent().encode(), world.consent(uses=1).encode()]


def _paths():
    made = world.bulk()
    return [
        bytes([k]) + b"".join(made["set"].path(k)).ljust(96, b"\0") + made["texts"][k].encode()
        for k in (0, 3, 4)
    ]


def _logged_seeds():
    return [encode_json(encode_logged(world.ask()))]


def _received_seeds():
    shown = encode_logged(world.received())
    return [encode_json([shown]), encode_json([{**shown, "open": shown["open"][:-1]}]), b"[]"]


_WORDS = (
    b'"rid":',
    b'"items":',
    b'"fields":',
    b'"open":',
    b'"receipt":',
    b'"result":"deny"',
    b'"released":',
    world.ASKER.encode(),
    world.PROVIDER.encode(),
)
TARGETS = (
    Target(
        "exchange-key",
        "node.crypto.hpke.check_exchange_key",
        _exchange_key,
        lambda: [world.PROVIDER_KEY.public, world.REPLY_KEY.public],
        ONE,
        binary=True,
    ),
    Target(
        "envelope",
        "node.access.box.parse_envelope",
        _envelope,
        lambda: [world.once()["request envelope"].encode(), world.once()["answer envelope"].encode()],
        ONE,
        words=(b'"kid":"reply"', b'"v":1'),
        largest=_SIZE,
    ),
    Target(
        "box",
        "node.crypto.hpke.ExchangeKey.open",
        _box,
        lambda: [_answer_box()],
        ONE,
        binary=True,
        largest=_SIZE,
    ),
    Target(
        "box-padding",
        "node.access.box.unpad",
        _padding,
        lambda: [pad("a.b.c", 1 << 20), pad("a" * 4_096, 1 << 20), pad("a" * 4_097, 1 << 20)],
        ONE,
        words=(b" " * 16, b" " * 4_096),
        largest=_SIZE,
    ),
    Target(
        "request",
        "node.access.request.verify_request",
        _request,
        lambda: list(_requests()),
        ONE,
        largest=_SIZE,
    ),
    Target(
        "request-claims",
        "node.access.request.parse_request, signed",
        _request_claims,
        lambda: claims_of(_requests()),
        _RE_ENCODED,
        words=_WORDS,
        largest=_SIZE,
    ),
    Target(
        "answer", "node.access.answer.verify_answer", _answer, lambda: list(_answers()), ONE, largest=_SIZE
    ),
    Target(
        "answer-claims",
        "node.access.answer.parse_answer, signed",
        _answer_claims,
        lambda: claims_of(_answers()),
        _RE_ENCODED,
        words=_WORDS,
        largest=_SIZE,
    ),
    Target("consent", "node.access.consent.verify_consent", _consent, _consents, ONE),
    Target(
        "consent-claims",
        "node.access.consent.parse_consent, signed",
        _consent_claims,
        lambda: claims_of(_consents()),
        _RE_ENCODED,
        words=_WORDS,
    ),
    Target(
        "warrant", "node.access.warrant.verify_warrant", _warrant, lambda: [world.warrant().encode()], ONE
    ),
    Target(
        "warrant-claims",
        "node.access.warrant.parse_warrant, signed",
        _warrant_claims,
        lambda: claims_of([world.warrant().encode()]),
        _RE_ENCODED,
    ),
    Target(
        "bulk-line",
        "node.access.bulk.parse_line",
        _line,
        lambda: [text.encode() for text in world.bulk()["texts"]],
        ONE,
    ),
    Target("bulk-path", "node.access.bulk.verify_line", _line_path, _paths, ONE, binary=True),
    Target(
        "sealed-openings",
        "node.access.sealed.open_sealed and verify_sealed, sealed",
        _sealed,
        lambda: [encode_json(world.sealed_openings())],
        ONE,
        largest=_SIZE,
    ),
    Target(
        "logged-event",
        "node.access.logged.verify_logged",
        _logged,
        _logged_seeds,
        "openings in any order, each once; the object's spelling is its token's",
        words=_WORDS,
        largest=_SIZE,
    ),
    Target(
        "received-events",
        "node.access.received.parse_received and verify_received",
        _received,
        _received_seeds,
        "as logged-event",
        words=_WORDS,
        largest=_SIZE,
    ),
)
