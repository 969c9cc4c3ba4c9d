# SPDX-License-Identifier: Apache-2.0
"""Requests: built, read, checked in order. Hostile ones stand in tests/vectors/exchange/refused.json."""

from __future__ import annotations

import json

import pytest

from node.access.logged import select_openings
from node.access.question import AskedSubject, ItemQuery
from node.access.receipt import MAX_SKEW_SECONDS
from node.access.request import (
    TYP,
    asked_values,
    authenticate_request,
    check_request,
    parse_request,
    verify_request,
)
from node.core.encoding import encode_b64u, parse_b64u
from node.crypto.jws import sign_jws
from node.crypto.token import token_digest
from node.errors import InvalidInput, NotFound, Verification
from tests.support.errors import raises_code
from tests.support.one_exchange import (
    ABOUT,
    ASKER,
    ITEMS,
    LIMIT,
    LOGS,
    NODE_KEYS,
    NOW,
    OFFICER,
    PROVIDER,
    RID,
    VCT,
    WHY,
    ask,
    asked,
    event,
    find_node_key,
    request,
    request_with_consent,
)

KEY = NODE_KEYS[ASKER]


def check(token, **changes):
    arguments = {
        "public": KEY.public,
        "from_": ASKER,
        "to": PROVIDER,
        "log": LOGS[ASKER],
        "now_seconds": NOW + 5,
        "anchor_limit_seconds": LIMIT,
    }
    return check_request(parse_request(token), **{**arguments, **changes})


def claims_of(token):
    return json.loads(parse_b64u(token.split(".")[1]))


def test_a_request_says_what_it_was_built_of():
    token = request()
    made = parse_request(token)
    assert (made.iss, made.aud, made.iat, made.exp, made.rid) == (ASKER, PROVIDER, NOW + 2, NOW + 302, RID)
    assert (made.subject, made.items, made.purpose, made.basis, made.case) == (ABOUT, ITEMS, *WHY.values())
    assert (made.consent, made.sealed) == (None, None)
    assert made.digest == token_digest(token)
    opened = check(token)
    assert (opened.event.kind, opened.event.rid, opened.receipt.pair) == ("ask", RID, 42)
    assert {**opened.values, "officer": OFFICER} == asked()


def test_header_and_claims_are_those_of_the_protocol():
    token = request()
    assert json.loads(parse_b64u(token.split(".")[0])) == {"alg": "EdDSA", "kid": KEY.kid, "typ": TYP}
    names = (
        "iss aud iat exp rid sealed subject items purpose basis case consent reply ask received checkpoint"
    )
    assert set(claims_of(token)) == set(names.split())
    assert set(claims_of(token)["ask"]) == {"event", "open", "receipt"}


def test_who_asks_stands_nowhere_in_the_message():
    """The officer's name, and the salt that would let anybody guess it, stay at home."""
    made = event("ask", "ask", asked())
    payload = parse_b64u(request().split(".")[1]).decode()
    hidden = set(made.disclosures) - set(select_openings(made.disclosures))
    (officer,) = hidden
    assert "zhang" in parse_b64u(officer).decode()
    assert officer not in payload
    assert "zhang" not in payload


def test_basis_and_case_may_be_absent_where_the_purpose_needs_none():
    values = asked(basis=None, case=None)
    token = request(basis=None, case=None, ask=ask(values, name="bare"))
    assert asked_values(parse_request(token))["basis"] is None
    check(token)
    with raises_code(Verification, "request-differs"):
        check(request(basis=None, case=None))


def test_the_signature_comes_before_the_claims():
    """Who has no member's key learns nothing but that, however wrong his claims are."""
    wrong = sign_jws(TYP, {"x": 1}, NODE_KEYS[PROVIDER])
    with raises_code(Verification, "jws-key"):
        authenticate_request(wrong, find_node_key(ASKER))
    assert authenticate_request(sign_jws(TYP, {"x": 1}, KEY), find_node_key(ASKER)).payload == {"x": 1}

    def unknown(kid):
        raise NotFound("key-unknown", f"no key {kid}")

    with raises_code(NotFound, "key-unknown"):
        authenticate_request(request(), unknown)


@pytest.mark.parametrize(
    ("seconds", "code"), [(-59, None), (-61, "request-early"), (299, None), (300, "request-expired")]
)
def test_time_is_the_providers(seconds, code):
    now = NOW + 2 + seconds
    assert MAX_SKEW_SECONDS == 60
    if code is None:
        check(request(), now_seconds=now)
        return
    with raises_code(Verification, code):
        check(request(), now_seconds=now)


def test_what_names_the_consent_is_its_digest():
    opened = check(request_with_consent())
    consent = claims_of(request_with_consent())["consent"]
    assert opened.values["consent"] == encode_b64u(token_digest(consent))


def test_a_message_from_another_envelope_is_refused():
    with raises_code(Verification, "request-iss"):
        check(request(), from_=PROVIDER)
    with raises_code(Verification, "request-aud"):
        check(request(), to=ASKER)
    with raises_code(Verification, "receipt-log"):
        check(request(), log=LOGS[PROVIDER])


def test_refusals_name_members_and_never_values():
    values = asked(subject={"type": "name", "id": "某某有限公司"}, purpose="curiosity")
    with raises_code(Verification, "request-differs") as caught:
        check(request(ask=ask(values, name="other")))
    assert "subject, purpose" in caught.value.message
    assert "某某" not in caught.value.message
    assert "curiosity" not in caught.value.message


@pytest.mark.parametrize(
    "changes",
    [
        {"exp": NOW + 303},
        {"items": ()},
        {"items": (ItemQuery(VCT, ("b", "a")),)},
        {"subject": AskedSubject("name", "")},
        {"purpose": "a\nb"},
        {"reply": bytes(1_216)},
        {"rid": bytes(15)},
        {"aud": ASKER},
        {"checkpoint": "x\n"},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_what_contradicts_itself_is_not_signed(changes):
    with pytest.raises(InvalidInput):
        request(**changes)


def test_verify_request_is_all_steps():
    made = verify_request(
        request(),
        public=KEY.public,
        from_=ASKER,
        to=PROVIDER,
        log=LOGS[ASKER],
        now_seconds=NOW + 5,
        anchor_limit_seconds=LIMIT,
    )
    assert made == parse_request(request())
    with raises_code(Verification, "request-expired"):
        verify_request(
            request(),
            public=KEY.public,
            from_=ASKER,
            to=PROVIDER,
            log=LOGS[ASKER],
            now_seconds=NOW + 900,
        )
