# SPDX-License-Identifier: Apache-2.0
"""Answers: built, read, checked in order. Hostile ones stand in tests/vectors/exchange/refused.json."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from node.access.answer import (
    MAX_RECORDS,
    StatusProof,
    parse_answer,
    released_of,
    verify_answer,
)
from node.access.box import MAX_ANSWER_BYTES
from node.access.question import ItemQuery, encode_items
from node.access.request import parse_request
from node.core.encoding import encode_b64u, parse_b64u
from node.crypto.token import token_digest
from node.errors import InvalidInput, Verification
from tests.support.errors import raises_code
from tests.support.one_exchange import (
    ASKER,
    LIMIT,
    LOGS,
    NODE_KEYS,
    NOW,
    PROVIDER,
    VCT,
    answer,
    ask,
    event,
    find_node_key,
    grant,
    granted,
    logged,
    parsed_request,
    record,
    request,
    request_under_warrant,
    sealed_members,
    status,
    warrant,
)


def check(token, asked=None, **changes):
    arguments = {
        "request": asked or parsed_request(),
        "find_key": find_node_key(PROVIDER),
        "log": LOGS[PROVIDER],
        "now_seconds": NOW + 5,
        "anchor_limit_seconds": LIMIT,
    }
    return verify_answer(token, **{**arguments, **changes})


@pytest.mark.parametrize(
    ("result", "code", "found", "withheld", "given"),
    [
        ("ok", None, 1, 0, 1),
        ("none", None, 0, 0, 0),
        ("partial", "suspended", 2, 1, 1),
        ("deny", "case-missing", 0, 0, 0),
    ],
)
def test_the_four_results(result, code, found, withheld, given):
    made = check(answer(result))
    assert (made.result, made.code, made.found, made.withheld) == (result, code, found, withheld)
    assert len(made.records) == len(made.status) == given
    assert made.req == token_digest(request())


def test_header_and_claims_are_those_of_the_protocol():
    head, body, _ = answer().split(".")
    key = NODE_KEYS[PROVIDER]
    assert json.loads(parse_b64u(head)) == {"alg": "EdDSA", "kid": key.kid, "typ": "exchange-answer+jwt"}
    claims = json.loads(parse_b64u(body))
    names = "iss aud iat req result code found withheld as_of records status grant checkpoint"
    assert set(claims) == set(names.split())
    assert set(claims["status"][0]) == {"list", "index", "path", "head"}


def test_nothing_may_be_withheld_without_a_reason_nor_refused_without_one():
    for result in ("partial", "deny"):
        with raises_code(InvalidInput, "answer-result"):
            answer(result, code=None)
    with raises_code(InvalidInput, "answer-result"):
        answer("none", code="late")
    with raises_code(InvalidInput, "answer-result"):
        answer("deny", found=1)


def test_all_records_may_be_withheld():
    made = answer("partial", records=[], status=[], found=3, withheld=3, grant=grant(request(), []))
    assert check(made).records == ()


def test_released_names_each_record_and_disclosure_by_digest():
    jwt, *disclosures, _ = record().split("~")
    ((digest, digests),) = released_of([record()])
    assert digest == encode_b64u(token_digest(jwt))
    assert digests == sorted(encode_b64u(token_digest(text)) for text in disclosures)
    assert released_of([jwt + "~"]) == [[digest, []]]
    for text in ("", jwt, record()[:-1], jwt + "~~", "é~"):
        with raises_code(InvalidInput, "answer-record"):
            released_of([text])


@pytest.mark.parametrize("names", [("subject",), ("CF_WSH", "CF_JDRQ"), ()])
def test_records_that_disclose_less_than_was_logged_are_refused_too(names):
    """Who logs more than he gives would let the subject believe that somebody saw it."""
    with raises_code(Verification, "answer-released"):
        check(answer(records=[record(names)]))


def test_a_narrower_grant_is_an_answer():
    """A provider may give fewer fields than were asked for, and says in its event which."""
    narrow = record(("CF_WSH",))
    salted = granted([narrow], items=encode_items([ItemQuery(VCT, ("CF_WSH",))]))
    made = answer(records=[narrow], grant=grant(request(), [narrow], salted=salted, name="narrow"))
    assert check(made).records == (narrow,)
    nothing = granted([narrow], items=None)
    with raises_code(Verification, "answer-differs"):
        check(answer(records=[narrow], grant=grant(request(), [narrow], salted=nothing, name="narrow")))


def test_the_order_of_released_is_free():
    """The event names digests before anything is decrypted; the records may come in another order."""
    salted = granted([record()])
    salted["released"] = [[salted["released"][0][0], salted["released"][0][1][::-1]]]
    assert check(answer(grant=grant(request(), [record()], salted=salted, name="turned"))).found == 1


def test_an_answer_to_a_sealed_request_has_a_sealed_event():
    token = request_under_warrant()
    made = event("sealed grant", "sealed", granted([record()]), **sealed_members())
    shown = logged(made, iss=PROVIDER, aud=ASKER, idx=9, pair=3)
    assert check(answer("ok", token, grant=shown), parse_request(token)).grant == shown
    with raises_code(Verification, "answer-event"):
        check(answer("ok", token), parse_request(token))
    other = event("sealed grant", "sealed", granted([record()]), **{**sealed_members(), "warrant": bytes(32)})
    with raises_code(Verification, "answer-event"):
        check(
            answer("ok", token, grant=logged(other, iss=PROVIDER, aud=ASKER, idx=9, pair=3)),
            parse_request(token),
        )
    assert parse_request(token).sealed == warrant()
    assert check(answer("deny", token), parse_request(token)).code == "case-missing"


def test_a_plain_request_gets_no_sealed_event():
    made = event("sealed grant", "sealed", granted([record()]), **sealed_members())
    with raises_code(Verification, "answer-event"):
        check(answer(grant=logged(made, iss=PROVIDER, aud=ASKER, idx=9, pair=3)))


def test_the_askers_own_event_is_no_grant():
    with raises_code(Verification, "jws-key"):
        check(answer(grant=ask()))


def test_another_provider_is_not_the_one_that_was_asked():
    with raises_code(Verification, "answer-iss"):
        check(answer(), replace(parsed_request(), aud=ASKER))


def test_sizes_are_bounded():
    with raises_code(InvalidInput, "jws-size"):
        parse_answer("a" * (MAX_ANSWER_BYTES + 1))
    with raises_code(InvalidInput, "json-list"):
        answer(records=[f"{number}~" for number in range(MAX_RECORDS + 1)], found=MAX_RECORDS + 1)
    with raises_code(InvalidInput, "json-list"):
        answer(status=[StatusProof("a", 0, (bytes(32),) * 25, "b")])
    with raises_code(InvalidInput, "answer-status"):
        answer(status=[status(), status()], records=[record(), record().replace("A", "B", 1)], found=2)
