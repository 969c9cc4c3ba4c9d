# SPDX-License-Identifier: Apache-2.0
"""The routes of questions about many subjects: officers ask, another officer approves, nobody else may do either."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

import httpx
import pytest

from node.access.bulk_request import MAX_ASKED
from node.api.auth import TokenGate
from node.service.tokens import new_token
from tests.support.api_world import shared_app
from tests.support.exchange_world import COURT, MARKET, TAX
from tests.support.many import CAP, companies, market_world
from tests.support.node_world import FixedRandom

ROLES = {
    "li": "officer",
    "wang": "officer",
    "zhou": "operator",
    "zhao": "auditor",
    "admin": "administrator",
}
MADE = {name: new_token(name, role, None, FixedRandom(name)) for name, role in ROLES.items()}
QUESTION = {
    "type": "uscc",
    "items": [{"item": "penalty:2018", "fields": ["CF_WSH", "CF_CFLB"]}],
    "purpose": "tender-check",
    "basis": "gov-procurement-22",
    "case": "2026-招-17",
    "providers": [MARKET],
}
LARGE = companies(CAP + 1)


@pytest.fixture(scope="module")
def world():
    with market_world() as made:
        yield made


def call(world, path, body=None, *, by="li", method="POST"):
    node, app = world.nodes[COURT], shared_app()
    node.services.condition.verified = node.services.condition.joined = True
    app.state.node = SimpleNamespace(services=node.services)
    app.state.gate = TokenGate(lambda: [entry for _, entry in MADE.values()], node.clock)
    headers = {"Accept-Language": "en"}
    if by is not None:
        headers["Authorization"] = f"Bearer {MADE[by][0]}"

    async def send():
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://node") as client:
            return await client.request(method, path, json=body, headers=headers)

    return asyncio.run(send())


def ask(world, subjects, *, by="li", **changes):
    return call(world, "/api/v1/ask-many", QUESTION | {"subjects": subjects} | changes, by=by)


def approve(world, waiting, subjects, *, by="wang", **changes):
    body = QUESTION | {"subjects": subjects} | changes
    return call(world, f"/api/v1/approvals/{waiting['id']}/approve", body, by=by)


def test_an_officer_gets_an_answer_for_each_line(world):
    ids = companies(4)
    answer = ask(world, ids)
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert (body["complete"], body["waiting"]) == (True, None)
    (outcome,) = body["outcomes"]
    assert (outcome["result"], outcome["found"], outcome["withheld"]) == ("ok", 4, 0)
    assert [(one["subject"], one["result"], len(one["records"])) for one in outcome["lines"]] == [
        (ids[0], "ok", 3),
        (ids[1], "none", 0),
        (ids[2], "ok", 1),
        (ids[3], "none", 0),
    ]
    assert outcome["lines"][2]["records"][0]["subject"] == {"type": "uscc", "id": ids[2]}
    assert len(outcome["receipts"]) == 2
    assert outcome["answer"].count(".") == 2


def test_what_is_refused_or_away_is_said(world):
    world.post.away = {TAX}
    body = ask(world, companies(2), providers=[TAX, MARKET]).json()
    world.post.away = set()
    assert not body["complete"]
    assert [(one["result"], one["code"], len(one["lines"])) for one in body["outcomes"]] == [
        ("failed", "peer-away", 0),
        ("ok", None, 2),
    ]
    (outcome,) = ask(world, companies(2), case=None).json()["outcomes"]
    assert (outcome["result"], outcome["code"], outcome["lines"]) == ("refused", "case-required", [])


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"subjects": []}, "request-shape"),
        ({"subjects": ["x"] * (MAX_ASKED + 1)}, "request-shape"),
        ({"subjects": companies(2) * 2}, "bulk-subjects"),
        ({"subjects": ["no code"]}, None),
        ({"type": "person"}, "request-shape"),
        ({"providers": [COURT]}, "providers"),
    ],
)
def test_what_is_no_question_is_refused_as_a_whole(world, changes, code):
    sizes = world.nodes[COURT].sizes()
    answer = call(world, "/api/v1/ask-many", QUESTION | {"subjects": companies(2)} | changes)
    assert answer.status_code in (400, 422)
    if code is not None:
        assert answer.json()["code"] == code
    assert world.nodes[COURT].sizes() == sizes


def test_a_second_officer_approves_and_then_it_is_asked(world):
    body = ask(world, LARGE).json()
    assert (body["complete"], body["outcomes"]) == (False, [])
    waiting = body["waiting"]
    assert (waiting["officer"], waiting["lines"], waiting["approver"]) == ("li", len(LARGE), None)
    listed = call(world, "/api/v1/approvals", method="GET").json()
    assert listed == [waiting]
    assert not any(code in str(listed) for code in LARGE)

    own = approve(world, waiting, LARGE, by="li")
    assert (own.status_code, own.json()["code"]) == (403, "approver-same")
    other = approve(world, waiting, LARGE[1:])
    assert (other.status_code, other.json()["code"]) == (409, "approval-differs")
    assert ask(world, LARGE).json()["waiting"] == waiting

    given = approve(world, waiting, LARGE)
    assert (given.status_code, given.json()["approver"]) == (200, "wang")
    (outcome,) = ask(world, LARGE).json()["outcomes"]
    assert (outcome["result"], len(outcome["lines"])) == ("ok", len(LARGE))
    assert call(world, "/api/v1/approvals", method="GET").json() == []
    gone = approve(world, waiting, LARGE)
    assert (gone.status_code, gone.json()["code"]) == (404, "approval-unknown")


def test_an_administrator_may_approve_too(world):
    ids = companies(CAP + 1, start=1)
    waiting = ask(world, ids).json()["waiting"]
    assert approve(world, waiting, ids, by="admin").json()["approver"] == "admin"


@pytest.mark.parametrize("by", [None, "zhao"])
def test_who_is_no_officer_neither_asks_nor_lists(world, by):
    status = 401 if by is None else 403
    assert ask(world, companies(2), by=by).status_code == status
    assert call(world, "/api/v1/approvals", method="GET", by=by).status_code == status


@pytest.mark.parametrize("by", [None, "zhao", "zhou"])
def test_who_is_no_officer_does_not_approve(world, by):
    ids = companies(CAP + 1, start=2)
    waiting = ask(world, ids).json()["waiting"]
    assert approve(world, waiting, ids, by=by).status_code == (401 if by is None else 403)
    assert call(world, "/api/v1/approvals", method="GET").json()[-1]["approver"] is None
