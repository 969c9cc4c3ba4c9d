# SPDX-License-Identifier: Apache-2.0
"""Calls of exchanges that go past FastAPI are answered as FastAPI answers them, and all others still go through it.

The two ways are told apart by the content type: only plain ``application/json`` is served directly.
"""

from __future__ import annotations

import asyncio
import json
from types import SimpleNamespace

import httpx
import pytest
from fastapi.routing import APIRoute
from starlette.responses import Response

from node.api import exchange
from node.api.app import ROUTERS, allowed_methods
from node.api.auth import TokenGate
from node.api.direct import Direct
from node.service.tokens import new_token
from tests.support.api_world import shared_app
from tests.support.exchange_world import COURT, MARKET, ExchangeWorld
from tests.support.node_world import FixedRandom
from tests.support.rows import COMPANY

PLAIN = "application/json"
USUAL = "application/json; charset=utf-8"
QUESTION = {
    "subject": {"type": "uscc", "id": COMPANY},
    "items": [{"item": "penalty:2018", "fields": ["CF_WSH"]}],
    "purpose": "pre-listing",
    "basis": "enforcement-publicity",
    "case": "2026-执-17",
    "providers": [MARKET],
}
OFFICER, OFFICERS = new_token("li", "officer", None, FixedRandom("officer"))
AUDITOR, AUDITORS = new_token("wang", "auditor", None, FixedRandom("auditor"))
BODIES = {
    "empty": b"",
    "no JSON": b'{"purpose": ',
    "no UTF-8": b"\xff\xfe",
    "no object": b"[1]",
    "nested deep": b"[" * 5_000,
    "another member": json.dumps(QUESTION | {"more": 1}).encode(),
    "a member less": json.dumps({"purpose": "pre-listing"}).encode(),
    "another type": json.dumps(QUESTION | {"case": 17}).encode(),
    "another pattern": json.dumps(QUESTION | {"items": [{"item": "P"}]}).encode(),
    "a code that is none": json.dumps(QUESTION | {"providers": ["X"]}).encode(),
    "too large": b" " * ((1 << 20) + 1),
}


@pytest.fixture(scope="module")
def app():
    with ExchangeWorld(members=(COURT, MARKET)) as world:
        made = shared_app()
        node = world.nodes[COURT]
        node.services.condition.verified = node.services.condition.joined = True
        made.state.node = SimpleNamespace(services=node.services)
        made.state.gate = TokenGate(lambda: [OFFICERS, AUDITORS], node.clock)
        yield made


def post(app, path, data, content_type, token=None, query=""):
    headers = {"Content-Type": content_type, "Accept-Language": "en"}
    if token is not None:
        headers["Authorization"] = token

    async def send():
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://node") as client:
            return await client.post(path + query, content=data, headers=headers)

    answer = asyncio.run(send())
    kept = {name: value for name, value in answer.headers.items() if name != "x-request-id"}
    return answer.status_code, kept, answer.content


@pytest.mark.parametrize("name", BODIES)
def test_a_body_that_is_no_question_is_refused_in_the_same_words(app, name):
    both = [post(app, "/api/v1/ask", BODIES[name], kind, f"Bearer {OFFICER}") for kind in (PLAIN, USUAL)]
    assert both[0] == both[1]
    assert both[0][0] in {400, 413}


@pytest.mark.parametrize(
    ("token", "status"),
    [
        (None, 401),
        ("Bearer ict_none", 401),
        (f"Basic {OFFICER}", 401),
        ("Bearer", 401),
        (f"Bearer {AUDITOR}", 403),
    ],
)
def test_who_may_not_ask_is_refused_in_the_same_words(app, token, status):
    data = json.dumps(QUESTION).encode()
    both = [post(app, "/api/v1/ask", data, kind, token) for kind in (PLAIN, USUAL)]
    assert both[0] == both[1]
    assert both[0][0] == status


def test_an_envelope_that_is_none_is_refused_in_the_same_words(app):
    data = [b"", b"{}", b"x" * (exchange.MAX_ENVELOPE_BYTES + 1), b" " * ((1 << 20) + 1)]
    direct = [post(app, "/exchange/v1", one, PLAIN) for one in data]
    # A query goes the usual way; this route has no parameters, and passes it over.
    usual = [post(app, "/exchange/v1", one, PLAIN, query="?a=1") for one in data]
    assert direct == usual
    assert [status for status, _, _ in direct] == [400, 400, 400, 413]


def test_a_question_gets_its_answer_either_way(app):
    data = json.dumps(QUESTION).encode()
    answers = [post(app, "/api/v1/ask", data, kind, f"Bearer {OFFICER}") for kind in (PLAIN, USUAL)]
    assert [status for status, _, _ in answers] == [200, 200]
    told = [[one["result"] for one in json.loads(body)["outcomes"]] for _, _, body in answers]
    assert told[0] == told[1]
    assert len({body for _, _, body in answers}) == 2, "each question has receipts of its own"


# ---- which way a call goes


def routes_with(gate):
    """What stands before an application that answers 299 with the body it gets; gives also whom the direct way let in."""
    let_in = []

    async def usual(scope, receive, send):
        message = await receive()
        await Response(message["body"], status_code=299)(scope, receive, send)

    def found(endpoint):
        routers = (route for router in ROUTERS for route in router.routes)
        return next(one for one in routers if isinstance(one, APIRoute) and one.endpoint is endpoint)

    async def endpoint(request, body=None, caller=None):
        let_in.append(caller)
        return Response(b"" if body is None else body.purpose, status_code=298)

    routes = []
    for original, shape in ((exchange.answer_envelope, None), (exchange.ask_departments, exchange.AskBody)):
        route = found(original)
        made = APIRoute(route.path, original, methods=["POST"], dependencies=route.dependencies)
        made.endpoint = endpoint
        routes.append((made, shape))
    app = Direct(usual, routes=routes, allowed_methods=allowed_methods)
    state = SimpleNamespace(gate=gate, language="en")

    async def with_state(scope, receive, send):
        await app(scope | {"app": SimpleNamespace(state=state)}, receive, send)

    return with_state, let_in


def test_only_the_plain_call_is_direct_and_the_other_way_gets_the_whole_body(app):
    ways, let_in = routes_with(app.state.gate)
    data = json.dumps(QUESTION).encode()
    bearer = f"Bearer {OFFICER}"
    assert post(ways, "/api/v1/ask", data, PLAIN, bearer)[::2] == (298, b"pre-listing")
    assert post(ways, "/exchange/v1", data, PLAIN)[0] == 298
    assert [one and one.name for one in let_in] == ["li", None]
    for path, body, kind, query in (
        ("/api/v1/ask", data, USUAL, ""),
        ("/api/v1/ask", data, PLAIN, "?a=1"),
        ("/api/v1/ask", b"{}", PLAIN, ""),
        ("/api/v1/ask/", data, PLAIN, ""),
        ("/exchange/v1", data, PLAIN, "?a=1"),
        ("/exchange/v1/deposits", data, PLAIN, ""),
    ):
        assert post(ways, path, body, kind, bearer, query)[::2] == (299, body), path


@pytest.mark.parametrize(("token", "status"), [(None, 401), (f"Bearer {AUDITOR}", 403)])
def test_the_direct_way_itself_lets_in_nobody_else(app, token, status):
    ways, let_in = routes_with(app.state.gate)
    assert post(ways, "/api/v1/ask", json.dumps(QUESTION).encode(), PLAIN, token)[0] == status
    assert let_in == []


def test_other_methods_go_the_usual_way(app):
    async def send():
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://node") as client:
            return await client.get("/exchange/v1")

    answer = asyncio.run(send())
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")
