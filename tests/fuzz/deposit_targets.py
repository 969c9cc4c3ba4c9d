# SPDX-License-Identifier: Apache-2.0
"""What a regulator and those who deposit with it read of each other."""

from __future__ import annotations

from functools import cache

from node.access.deposit import (
    ASK,
    DEPOSITED_TYP,
    MAX_BOX_BYTES,
    PARTS,
    TYP,
    authenticate_deposit,
    build_deposit,
    build_deposited,
    parse_deposit,
    parse_deposited,
    verify_deposited,
)
from node.access.event import SALTED_NAMES
from node.access.unsealed import TYP as OPENED_TYP
from node.access.unsealed import authenticate_opened, build_opened, parse_opened
from node.access.warrant import parse_warrant
from tests.fuzz.case import ONE, Target, as_text
from tests.fuzz.signed import claims_of, fields_of, sign_claims
from tests.support import one_deposit as deposits
from tests.support import one_exchange as world

_SIZE = 32_768
_RE_ENCODED = "see token; the claims are rebuilt from what was read"
_NODE = world.NODE_KEYS


def _deposit(data):
    """Only what was signed is a deposit."""
    authenticate_deposit(as_text(data), lambda _kid: _NODE[world.ASKER].public)
    parse_deposit(as_text(data))
    assert data in _deposits()


def _deposit_claims(data):
    token = sign_claims(data, TYP, world.ASKER, max_bytes=_SIZE)
    deposit = parse_deposit(token)
    assert deposit.part in PARTS
    assert (deposit.ask is None) is (deposit.part == ASK)
    assert len(deposit.box) <= MAX_BOX_BYTES
    assert len({deposit.iss, deposit.aud, deposit.peer}) == 3
    assert build_deposit(signer=_NODE[world.ASKER], **fields_of(deposit, "digest")) == token


def _answer(data):
    """Only the regulator's signed answer shows that it holds the box."""
    given = verify_deposited(
        as_text(data),
        deposit=_parsed(),
        warrant=_warrant(),
        find_key=lambda _kid: _NODE[world.REGULATOR].public,
        log=deposits.REGULATOR_LOG,
        now_seconds=world.NOW + 5,
        anchor_limit_seconds=world.LIMIT,
    )
    assert data == _answers()[0]
    assert given.code is None


def _answer_claims(data):
    token = sign_claims(data, DEPOSITED_TYP, world.REGULATOR, max_bytes=_SIZE)
    given = parse_deposited(token)
    assert (given.code is None) is (given.event is not None) is (given.receipt is not None)
    assert build_deposited(signer=_NODE[world.REGULATOR], **fields_of(given)) == token


def _opened(data):
    """Only what the regulator of a warrant signed says what a box held."""
    authenticate_opened(as_text(data), lambda _member, _kid: _NODE[world.REGULATOR].public)
    assert data == _statement()


def _opened_claims(data):
    token = sign_claims(data, OPENED_TYP, world.REGULATOR, max_bytes=_SIZE)
    opened = parse_opened(token)
    assert opened.warrant.iss == opened.iss
    assert len(opened.openings) == len(SALTED_NAMES)
    fields = fields_of(opened, "warrant", "token")
    assert build_opened(signer=_NODE[world.REGULATOR], warrant=opened.token, **fields) == token


@cache
def _statement():
    return build_opened(
        signer=_NODE[world.REGULATOR],
        iss=world.REGULATOR,
        iat=world.NOW,
        member=world.ASKER,
        box=deposits.BOX,
        openings=world.sealed_openings(),
        warrant=world.warrant(),
    ).encode()


@cache
def _deposits():
    return deposits.deposit().encode(), deposits.last_deposit().encode()


@cache
def _answers():
    return deposits.deposited().encode(), deposits.not_deposited().encode()


@cache
def _parsed():
    return parse_deposit(deposits.deposit())


@cache
def _warrant():
    return parse_warrant(world.warrant())


_WORDS = (b'"part":"grant"', b'"ask":null', b'"code":', b'"event":null', world.PROVIDER.encode())
TARGETS = (
    Target(
        "deposit",
        "node.access.deposit.authenticate_deposit and parse_deposit",
        _deposit,
        lambda: list(_deposits()),
        ONE,
        largest=_SIZE,
    ),
    Target(
        "deposit-claims",
        "node.access.deposit.parse_deposit, signed",
        _deposit_claims,
        lambda: claims_of(_deposits()),
        _RE_ENCODED,
        words=_WORDS,
        largest=_SIZE,
    ),
    Target(
        "deposited",
        "node.access.deposit.verify_deposited",
        _answer,
        lambda: [_answers()[0]],
        ONE,
        largest=_SIZE,
    ),
    Target(
        "deposited-claims",
        "node.access.deposit.parse_deposited, signed",
        _answer_claims,
        lambda: claims_of(_answers()),
        _RE_ENCODED,
        words=_WORDS,
        largest=_SIZE,
    ),
    Target(
        "opened-box",
        "node.access.unsealed.authenticate_opened",
        _opened,
        lambda: [_statement()],
        ONE,
        largest=_SIZE,
    ),
    Target(
        "opened-box-claims",
        "node.access.unsealed.parse_opened, signed",
        _opened_claims,
        lambda: claims_of([_statement()]),
        _RE_ENCODED,
        words=_WORDS,
        largest=_SIZE,
    ),
)
