# SPDX-License-Identifier: Apache-2.0
"""Consents and warrants: what they say, and what they do not allow. Hostile ones stand in tests/vectors/exchange."""

from __future__ import annotations

import json

import pytest

from node.access.consent import parse_consent, verify_consent
from node.access.question import AskedSubject, ItemQuery
from node.access.receipt import MAX_SKEW_SECONDS
from node.access.warrant import parse_warrant, verify_warrant
from node.core.encoding import parse_b64u
from node.crypto.token import token_digest
from node.errors import InvalidInput, NotFound, Verification
from tests.support.errors import raises_code
from tests.support.one_exchange import (
    ABOUT,
    ASKER,
    ITEMS,
    NODE_KEYS,
    NOW,
    PROVIDER,
    REGULATOR,
    UNTIL,
    VCT,
    WHY,
    consent,
    warrant,
)


def find_key(kid, member):
    if (kid, member) != (NODE_KEYS[REGULATOR].kid, REGULATOR):
        raise NotFound("key-unknown", f"no key {kid} of {member}")
    return NODE_KEYS[REGULATOR].public


def check_consent(token, **changes):
    arguments = {
        "find_key": find_key,
        "aud": PROVIDER,
        "asker": ASKER,
        "subject": ABOUT,
        "items": ITEMS,
        "purpose": WHY["purpose"],
        "now_seconds": NOW,
    }
    return verify_consent(token, **{**arguments, **changes})


def check_warrant(token, **changes):
    arguments = {"find_key": find_key, "asker": ASKER, "open_by": UNTIL, "now_seconds": NOW}
    return verify_warrant(token, **{**arguments, **changes})


def test_a_consent_says_who_may_ask_whom_what_why_how_often_and_until_when():
    made = check_consent(consent())
    assert (made.iss, made.aud, made.asker, made.subject) == (REGULATOR, PROVIDER, ASKER, ABOUT)
    assert (made.items, made.purpose, made.uses) == (ITEMS, WHY["purpose"], 3)
    assert made.digest == token_digest(consent())
    claims = json.loads(parse_b64u(consent().split(".")[1]))
    assert set(claims) == {"iss", "aud", "iat", "exp", "jti", "asker", "subject", "items", "purpose", "uses"}


def test_fewer_fields_than_consented_may_be_asked_for():
    check_consent(consent(), items=[ItemQuery(VCT, ("CF_WSH",))])
    check_consent(consent(), items=[])
    check_consent(consent(items=[ItemQuery(VCT, ("CF_WSH",))]), items=[ItemQuery(VCT, ("CF_WSH", "subject"))])
    with raises_code(Verification, "consent-scope"):
        check_consent(consent(), items=[ItemQuery(VCT, ("CF_NR", "CF_WSH"))])
    with raises_code(Verification, "consent-scope"):
        check_consent(consent(), items=[ItemQuery(VCT + "a", ("subject",))])


def test_a_consent_of_a_window_whose_clock_is_a_little_ahead_is_good():
    made = check_consent(consent())
    assert check_consent(consent(), now_seconds=made.iat - MAX_SKEW_SECONDS) == made
    with raises_code(Verification, "consent-early"):
        check_consent(consent(), now_seconds=made.iat - MAX_SKEW_SECONDS - 1)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"aud": ASKER}, "consent-aud"),
        ({"asker": PROVIDER}, "consent-asker"),
        ({"subject": AskedSubject("name", ABOUT.id)}, "consent-subject"),
        ({"purpose": "other"}, "consent-purpose"),
        ({"now_seconds": NOW + 30 * 86_400}, "consent-expired"),
        ({"now_seconds": NOW - 86_461}, "consent-early"),
        ({"find_key": lambda _kid, _member: NODE_KEYS[ASKER].public}, "jws-key"),
    ],
)
def test_a_consent_allows_nothing_else(changes, code):
    with raises_code(Verification, code):
        check_consent(consent(), **changes)


def test_two_consents_in_one_second_are_two():
    """They are counted by their digest, so that equal ones would be one."""
    assert consent() == consent()
    assert parse_consent(consent(jti=bytes(16))).digest != parse_consent(consent()).digest


def test_who_may_sign_is_the_callers_matter():
    with raises_code(NotFound, "key-unknown"):
        check_consent(consent(signer=NODE_KEYS[ASKER], iss=ASKER))
    with raises_code(NotFound, "key-unknown"):
        check_warrant(warrant(signer=NODE_KEYS[ASKER], iss=ASKER))


def test_a_consent_is_no_warrant():
    with raises_code(InvalidInput, "jws-typ"):
        parse_warrant(consent())
    with raises_code(InvalidInput, "jws-typ"):
        parse_consent(warrant())


@pytest.mark.parametrize("changes", [{"uses": 0}, {"uses": 10_001}, {"exp": 0}, {"jti": b""}, {"items": ()}])
def test_consents_that_say_nothing_are_not_signed(changes):
    with pytest.raises(InvalidInput):
        consent(**changes)


def test_a_warrant_names_asker_number_and_day():
    made = check_warrant(warrant())
    assert (made.iss, made.asker, made.looks, made.open_by) == (REGULATOR, ASKER, 20, NOW + 120 * 86_400)
    assert made.digest == token_digest(warrant())
    claims = json.loads(parse_b64u(warrant().split(".")[1]))
    assert set(claims) == {"iss", "asker", "iat", "exp", "jti", "looks", "open_by"}


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"asker": PROVIDER}, "warrant-asker"),
        ({"open_by": NOW + 120 * 86_400 + 1}, "warrant-open-by"),
        ({"now_seconds": NOW + 30 * 86_400}, "warrant-expired"),
        ({"now_seconds": NOW - 86_401}, "warrant-early"),
        ({"find_key": lambda _kid, _member: NODE_KEYS[ASKER].public}, "jws-key"),
    ],
)
def test_a_warrant_allows_nothing_else(changes, code):
    with raises_code(Verification, code):
        check_warrant(warrant(), **changes)


@pytest.mark.parametrize(
    "changes", [{"looks": 0}, {"open_by": NOW}, {"exp": NOW - 86_400}, {"open_by": None}, {"jti": bytes(15)}]
)
def test_warrants_without_end_are_not_signed(changes):
    with pytest.raises(InvalidInput):
        warrant(**changes)
