# SPDX-License-Identifier: Apache-2.0
"""What comes from other nodes in a question about many subjects: requests and answers by the line."""

from __future__ import annotations

from functools import cache

from node.access.bulk import hash_lines
from node.access.bulk_answer import TYP as ANSWER_TYP
from node.access.bulk_answer import build_bulk_answer, parse_bulk_answer, verify_bulk_answer
from node.access.bulk_request import MAX_ASKED, build_bulk_request, parse_bulk_request
from node.access.bulk_request import TYP as REQUEST_TYP
from node.access.request import authenticate_request, check_request
from node.evidence.answered import verify_answered
from tests.fuzz.case import ONE, Target, as_text
from tests.fuzz.signed import claims_of, sign_claims
from tests.support import many_exchange as many
from tests.support import one_exchange as world
from tests.support.records import find_key, issue_record

_SIZE = 65_536
_RE_ENCODED = "see token; the claims are rebuilt from what was read"
_WORDS = (b'"lines":[', b'"approved":true', b'"withheld":', b'"code":', b'"line":"', b'"released":null')
_NODE = world.NODE_KEYS


@cache
def _requests():
    return many.bulk_request().encode(), many.approved_request().encode()


@cache
def _answers():
    return tuple(many.bulk_answer(result).encode() for result in ("ok", "none", "partial", "deny"))


@cache
def _parsed_request():
    return parse_bulk_request(many.bulk_request())


def _request(data):
    """Only the requests that were signed verify."""
    token = as_text(data)
    authenticate_request(token, lambda _kid: _NODE[world.ASKER].public, typs=frozenset((REQUEST_TYP,)))
    check_request(
        parse_bulk_request(token),
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
    request = parse_bulk_request(token)
    assert 0 < len(request.lines) <= MAX_ASKED
    assert len({line.subject for line in request.lines}) == len(request.lines)
    but = {"digest", "lines", "sealed", "consent"}
    fields = {name: getattr(request, name) for name in request.__dataclass_fields__ if name not in but}
    assert build_bulk_request(signer=_NODE[world.ASKER], **fields)[0] == token


def _answer(data):
    """Only the answers that were signed verify."""
    answer = verify_bulk_answer(
        as_text(data),
        request=_parsed_request(),
        find_key=lambda _kid: _NODE[world.PROVIDER].public,
        log=world.LOGS[world.PROVIDER],
        now_seconds=world.NOW + 5,
        anchor_limit_seconds=world.LIMIT,
    )
    assert data in _answers()
    assert not answer.lines or hash_lines([one.text for one in answer.lines]).root


def _answer_claims(data):
    token = sign_claims(data, ANSWER_TYP, world.PROVIDER, max_bytes=_SIZE)
    answer = parse_bulk_answer(token)
    assert len(answer.subjects()) == len(answer.records)
    but = {"digest", "released", "lines", "found", "withheld"}
    fields = {name: getattr(answer, name) for name in answer.__dataclass_fields__ if name not in but}
    lines = [(one.text, one.withheld, one.code) for one in answer.lines]
    assert build_bulk_answer(signer=_NODE[world.PROVIDER], lines=lines, **fields) == token
    for one in verify_answered(answer, request=_parsed_request(), find_key=find_key):
        assert one.record.jwt == issue_record().jwt


TARGETS = (
    Target(
        "bulk-request",
        "node.access.bulk_request.parse_bulk_request and check_request",
        _request,
        lambda: list(_requests()),
        ONE,
        largest=_SIZE,
    ),
    Target(
        "bulk-request-claims",
        "node.access.bulk_request.parse_bulk_request, signed",
        _request_claims,
        lambda: claims_of(_requests()),
        _RE_ENCODED,
        words=_WORDS,
        largest=_SIZE,
    ),
    Target(
        "bulk-answer",
        "node.access.bulk_answer.verify_bulk_answer",
        _answer,
        lambda: list(_answers()),
        ONE,
        largest=_SIZE,
    ),
    Target(
        "bulk-answer-claims",
        "node.access.bulk_answer.parse_bulk_answer, signed",
        _answer_claims,
        lambda: claims_of(_answers()),
        _RE_ENCODED,
        words=_WORDS,
        largest=_SIZE,
    ),
)
