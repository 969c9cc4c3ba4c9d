# SPDX-License-Identifier: Apache-2.0
"""Vectors of questions about many subjects, checked by code that shares nothing with what wrote them, and those refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from node.access.bulk_answer import verify_bulk_answer
from node.access.bulk_request import TYP as REQUEST
from node.access.bulk_request import parse_bulk_request
from node.access.request import authenticate_request, check_request
from node.core.encoding import parse_b64u
from node.crypto.jws import sign_jws
from node.errors import NodeError
from node.evidence.answered import verify_answered
from tests.support import one_exchange as world
from tests.support import plain_exchange as plain
from tests.support.records import SIGNER

FILE = json.loads((Path(__file__).parent / "exchange" / "many.json").read_text(encoding="utf-8"))
PUBLIC = {member: key.public for member, key in world.NODE_KEYS.items()}
SEEDS = {member: world.secret_of(f"node key/{member}") for member in PUBLIC}


def cases(name):
    return pytest.mark.parametrize("case", FILE[name], ids=lambda case: case["name"])


def check_token(case, typ, member):
    assert plain.verify(case["jws"], typ, PUBLIC[member]) == case["claims"]
    assert plain.sign(SEEDS[member], typ, case["claims"]) == case["jws"]
    assert plain.b64u(plain.sha256(case["jws"].encode())) == case["digest"]


def read_lines(texts):
    """What lines say, and the root over them."""
    said = []
    for text in texts:
        salt, name, value = json.loads(plain.unb64u(text))
        assert (len(plain.unb64u(salt)), name) == (18, "line")
        assert plain.b64u(plain.canonical([salt, name, value])) == text
        said.append(value)
    return said, plain.b64u(plain.tree_root([plain.leaf_hash(text.encode()) for text in texts]))


@cases("requests")
def test_a_request_shows_the_lines_of_its_event(case):
    check_token(case, "exchange-bulk-request+jwt", world.ASKER)
    claims = case["claims"]
    event, values = plain.check_logged(
        claims["ask"],
        public=PUBLIC[world.ASKER],
        iss=world.ASKER,
        aud=world.PROVIDER,
        log=world.LOGS[world.ASKER],
    )
    said, root = read_lines(claims["lines"])
    assert (event["kind"], event["n"], event["set"], event["rid"]) == ("bulk", 3, root, claims["rid"])
    assert "req" not in event
    assert {line["released"] for line in said} == {None}
    assert len({(line["subject"]["type"], line["subject"]["id"]) for line in said}) == 3
    assert [values[name] for name in ("purpose", "basis", "case", "items", "peer")] == [
        *(claims[name] for name in ("purpose", "basis", "case", "items")),
        claims["aud"],
    ]
    assert [values[name] for name in ("subject", "consent", "released")] == [None] * 3


@cases("answers")
def test_an_answer_discloses_what_its_lines_say(case):
    check_token(case, "exchange-bulk-answer+jwt", world.PROVIDER)
    claims, request = case["claims"], FILE["requests"][0]
    event, values = plain.check_logged(
        claims["grant"],
        public=PUBLIC[world.PROVIDER],
        iss=world.PROVIDER,
        aud=world.ASKER,
        log=world.LOGS[world.PROVIDER],
    )
    assert (event["req"], claims["req"]) == (request["digest"], request["digest"])
    assert event["rid"] == request["claims"]["rid"]
    assert values["released"] is values["subject"] is None
    if claims["result"] == "deny":
        assert (event["kind"], claims["lines"], claims["records"]) == ("deny", [], [])
        return
    said, root = read_lines([line["line"] for line in claims["lines"]])
    asked, _ = read_lines(request["claims"]["lines"])
    assert (event["kind"], event["n"], event["set"]) == ("bulk", len(said), root)
    assert [line["subject"] for line in said] == [line["subject"] for line in asked]
    assert [pair for line in said for pair in line["released"]] == plain.released_of(claims["records"])
    assert sum(line["withheld"] for line in claims["lines"]) == claims["withheld"]


def accept_request(token):
    authenticate_request(token, lambda _kid: PUBLIC[world.ASKER], typs=frozenset((REQUEST,)))
    request = parse_bulk_request(token)
    check_request(
        request,
        public=PUBLIC[world.ASKER],
        from_=world.ASKER,
        to=world.PROVIDER,
        log=world.LOGS[world.ASKER],
        now_seconds=world.NOW + 5,
        anchor_limit_seconds=world.LIMIT,
    )
    return request


def accept_answer(token):
    request = parse_bulk_request(FILE["requests"][0]["jws"])
    answer = verify_bulk_answer(
        token,
        request=request,
        find_key=lambda _kid: PUBLIC[world.PROVIDER],
        log=world.LOGS[world.PROVIDER],
        now_seconds=world.NOW + 5,
        anchor_limit_seconds=world.LIMIT,
    )
    return answer, verify_answered(answer, request=request, find_key=lambda _kid, _member: SIGNER.public)


def test_our_node_takes_the_good_ones():
    plain_request, approved = (accept_request(case["jws"]) for case in FILE["requests"])
    assert (plain_request.approved, approved.approved) == (False, True)
    found = {case["name"]: accept_answer(case["jws"]) for case in FILE["answers"]}
    assert {name: len(records) for name, (_, records) in found.items()} == {
        "ok": 1,
        "none": 0,
        "partial": 1,
        "deny": 0,
    }
    assert [one.withheld for one in found["partial"][0].lines] == [0, 2, 0]


@cases("refused")
def test_our_node_refuses_the_others(case):
    kind = f"{case['of']}s"
    base = FILE[kind][0]
    member = world.ASKER if case["of"] == "request" else world.PROVIDER
    typ = json.loads(parse_b64u(base["jws"].split(".")[0]))["typ"]
    token = sign_jws(typ, base["claims"] | case["set"], world.NODE_KEYS[member])
    accept = accept_request if case["of"] == "request" else accept_answer
    with pytest.raises(NodeError) as caught:
        accept(token)
    assert caught.value.code == case["code"]
