# SPDX-License-Identifier: Apache-2.0
"""What the window of a consent and its provider read of each other."""

from __future__ import annotations

from functools import cache

from node.access.logged import OPENED_NAMES
from node.access.revocation import (
    REVOKED_TYP,
    TYP,
    authenticate_revocation,
    build_revocation,
    build_revoked,
    parse_revocation,
    parse_revoked,
    verify_revoked,
)
from tests.fuzz.case import ONE, Target, as_text
from tests.fuzz.signed import claims_of, fields_of, sign_claims
from tests.support import one_exchange as world
from tests.support import one_revocation as revocations

_SIZE = 16_384
_RE_ENCODED = "see token; the claims are rebuilt from what was read"
_NODE = world.NODE_KEYS


def _revocation(data):
    """Only what was signed is a revocation."""
    authenticate_revocation(as_text(data), lambda _kid: _NODE[revocations.WINDOW].public)
    parse_revocation(as_text(data))
    assert data == _told()


def _revocation_claims(data):
    token = sign_claims(data, TYP, revocations.WINDOW, max_bytes=_SIZE)
    said = parse_revocation(token)
    assert said.iss != said.aud
    assert (len(said.consent), len(said.rid)) == (32, 16)
    assert build_revocation(signer=_NODE[revocations.WINDOW], **fields_of(said, "digest")) == token


def _answer(data):
    """Only the provider's signed answer shows that it knows."""
    verify_revoked(
        as_text(data),
        revocation=parse_revocation(_told().decode()),
        find_key=lambda _kid: _NODE[world.PROVIDER].public,
        log=world.LOGS[world.PROVIDER],
        now_seconds=world.NOW + 5,
        anchor_limit_seconds=world.LIMIT,
    )
    assert data == _answers()[0]


def _answer_claims(data):
    token = sign_claims(data, REVOKED_TYP, world.PROVIDER, max_bytes=_SIZE)
    given = parse_revoked(token)
    assert (given.code is None) is (given.revoke is not None)
    assert given.revoke is None or len(given.revoke.open) == len(OPENED_NAMES)
    assert build_revoked(signer=_NODE[world.PROVIDER], **fields_of(given)) == token


@cache
def _told():
    return revocations.revocation().encode()


@cache
def _answers():
    return revocations.revoked().encode(), revocations.not_revoked().encode()


_WORDS = (b'"code":', b'"revoke":null', b'"exp":0', world.PROVIDER.encode(), revocations.WINDOW.encode())
TARGETS = (
    Target(
        "revocation",
        "node.access.revocation.authenticate_revocation and parse_revocation",
        _revocation,
        lambda: [_told()],
        ONE,
        largest=_SIZE,
    ),
    Target(
        "revocation-claims",
        "node.access.revocation.parse_revocation, signed",
        _revocation_claims,
        lambda: claims_of([_told()]),
        _RE_ENCODED,
        words=_WORDS,
        largest=_SIZE,
    ),
    Target(
        "revoked",
        "node.access.revocation.verify_revoked",
        _answer,
        lambda: [_answers()[0]],
        ONE,
        largest=_SIZE,
    ),
    Target(
        "revoked-claims",
        "node.access.revocation.parse_revoked, signed",
        _answer_claims,
        lambda: claims_of(_answers()),
        _RE_ENCODED,
        words=_WORDS,
        largest=_SIZE,
    ),
)
