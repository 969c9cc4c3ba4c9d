# SPDX-License-Identifier: Apache-2.0
"""The routes of sealed looks, from the warrant to the opened box, with the roles that each needs."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

import httpx
import pytest

from node.access.box import parse_envelope
from node.access.deposit import MAX_DEPOSIT_ENVELOPE_BYTES, MAX_DEPOSITED_BYTES
from node.api.auth import TokenGate
from node.client.peers import PeerPost
from node.ports.peers import PeerAddress
from node.service.tokens import new_token
from tests.support.api_world import shared_app
from tests.support.exchange_world import COURT, MARKET
from tests.support.http_server import listening
from tests.support.node_world import FixedRandom
from tests.support.rows import COMPANY
from tests.support.sealed_world import DAY, INSPECTOR, SealedWorld

TOKENS = {
    role: new_token(f"{role}-name", role, None, FixedRandom(role))
    for role in ("officer", "auditor", "administrator")
}
WHY = {"purpose": "discipline", "basis": "supervision-law-18", "case": "2026-监-3"}
QUESTION = {
    "subject": {"type": "uscc", "id": COMPANY},
    "items": [{"item": "penalty:2018", "fields": ["CF_WSH", "CF_CFLB"]}],
    "purpose": "discipline-inspection",
    "basis": "supervision-law-18",
    "case": "2026-监-3",
    "providers": [MARKET],
}


@pytest.fixture(scope="module")
def world():
    with SealedWorld() as made:
        made.nodes[MARKET].import_penalties(range(2))
        made.anchor()
        yield made


def serve(world, member):
    """Have the application of all tests serve a node from now on."""
    app, node = shared_app(), world.nodes[member]
    node.services.condition.verified = node.services.condition.joined = True
    app.state.node = SimpleNamespace(services=node.services)
    app.state.gate = TokenGate(lambda: [entry for _, entry in TOKENS.values()], node.clock)
    return app


def call(world, member, method, path, role=None, **arguments):
    app = serve(world, member)
    headers = {"Accept-Language": "en"}
    if role is not None:
        headers["Authorization"] = f"Bearer {TOKENS[role][0]}"

    async def send():
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://node") as client:
            return await client.request(method, path, headers=headers, **arguments)

    return asyncio.run(send())


def issue(world, **changes):
    now = world.clock.now_seconds()
    body = WHY | {"asker": COURT, "looks": 2, "end": now + DAY, "open_by": now + 2 * DAY} | changes
    return call(world, INSPECTOR, "POST", "/api/v1/warrants", "administrator", json=body)


def test_from_the_warrant_to_the_opened_box(world):
    issued = issue(world)
    assert issued.status_code == 201, issued.text
    question = QUESTION | {"warrant": issued.json()["warrant"]}
    (outcome,) = call(world, COURT, "POST", "/api/v1/ask", "officer", json=question).json()["outcomes"]
    assert (outcome["result"], outcome["found"]) == ("ok", 2)

    (listed,) = call(world, INSPECTOR, "GET", "/api/v1/warrants", "auditor").json()
    behind = f"/api/v1/warrants?limit=1&after={listed['place']}"
    assert call(world, INSPECTOR, "GET", behind, "auditor").json() == []
    assert call(world, INSPECTOR, "GET", "/api/v1/warrants?limit=1001", "auditor").status_code == 400
    assert (listed["digest"], listed["used"], listed["looks"]) == (issued.json()["digest"], 1, 2)
    boxes = call(world, INSPECTOR, "POST", "/api/v1/sealed", "auditor", json={}).json()
    assert [(one["member"], one["part"], one["peer"], one["opened"]) for one in boxes] == [
        (COURT, "ask", MARKET, None),
        (MARKET, "grant", COURT, None),
        (COURT, "receive", MARKET, None),
    ]
    rest = call(
        world, INSPECTOR, "POST", "/api/v1/sealed", "auditor", json={"after": boxes[0]["place"], "limit": 1}
    )
    assert [one["box"] for one in rest.json()] == [boxes[1]["box"]]
    assert call(world, INSPECTOR, "POST", "/api/v1/sealed", "auditor", json={"overdue": True}).json() == []

    path = f"/api/v1/sealed/{boxes[0]['box']}/open"
    opened = call(world, INSPECTOR, "POST", path, "auditor", json=WHY)
    assert opened.status_code == 200, opened.text
    values = opened.json()["values"]
    assert (values["subject"]["id"], values["officer"]["id"]) == (COMPANY, "officer-name")
    assert len(opened.json()["openings"]) == 10

    for member in (COURT, MARKET, INSPECTOR):
        assert call(world, member, "GET", "/api/v1/sealed/counts").json() == []

    gone = call(
        world,
        INSPECTOR,
        "POST",
        f"/api/v1/warrants/{issued.json()['digest']}/revoke",
        "administrator",
        json=WHY,
    )
    assert gone.status_code == 200, gone.text
    (outcome,) = call(world, COURT, "POST", "/api/v1/ask", "officer", json=question).json()["outcomes"]
    assert (outcome["result"], outcome["code"]) == ("refused", "warrant-revoked")
    assert outcome["title"] == "the warrant was taken back"


def test_counts_are_open_to_all_once_their_month_is_over():
    with SealedWorld() as world:
        assert world.ask_one(warrant=world.issue()).result == "none"
        world.clock.advance(seconds=31 * DAY)
        for member, asked, answered in ((COURT, 1, 0), (MARKET, 0, 1)):
            (count,) = call(world, member, "GET", "/api/v1/sealed/counts").json()
            assert (count["asked"], count["answered"]) == (asked, answered)
        assert call(world, INSPECTOR, "GET", "/api/v1/sealed/counts").json() == []


@pytest.mark.parametrize(
    ("changes", "status", "code"),
    [
        ({"asker": "91520100MA0000012X"}, 400, "uscc-check-digit"),
        ({"asker": INSPECTOR}, 400, "warrant-self"),
        ({"open_by": 1_800_000_000}, 400, "warrant-validity"),
        ({"looks": 0}, 400, "request-shape"),
    ],
)
def test_a_warrant_that_makes_no_sense_is_not_signed(world, changes, status, code):
    size = world.nodes[INSPECTOR].access.size()
    answer = issue(world, **changes)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert world.nodes[INSPECTOR].access.size() == size


def test_a_node_of_no_regulator_signs_no_warrant(world):
    now = world.clock.now_seconds()
    body = WHY | {"asker": COURT, "looks": 2, "end": now + DAY, "open_by": now + DAY}
    answer = call(world, MARKET, "POST", "/api/v1/warrants", "administrator", json=body)
    assert (answer.status_code, answer.json()["code"]) == (403, "warrant-issuer")


def test_what_is_not_held_is_not_opened(world):
    size = world.nodes[INSPECTOR].access.size()
    answer = call(world, INSPECTOR, "POST", f"/api/v1/sealed/{'0' * 64}/open", "auditor", json=WHY)
    assert (answer.status_code, answer.json()["code"]) == (404, "deposit-unknown")
    answer = call(world, INSPECTOR, "POST", f"/api/v1/warrants/{'0' * 64}/revoke", "administrator", json=WHY)
    assert (answer.status_code, answer.json()["code"]) == (404, "warrant-unknown")
    assert world.nodes[INSPECTOR].access.size() == size


def test_a_deposit_that_nobody_signed_is_counted_and_refused(world):
    before = world.rejects[INSPECTOR]
    for body, code in (
        (b"{}", "json-member-missing"),
        (b"x" * (MAX_DEPOSIT_ENVELOPE_BYTES + 1), "envelope-size"),
    ):
        answer = call(world, INSPECTOR, "POST", "/exchange/v1/deposit", content=body)
        assert (answer.status_code, answer.json()["code"]) == (400, code)
    assert world.rejects[INSPECTOR] == before + 1


def test_another_node_reaches_the_route_and_the_same_deposit_is_taken_once(world):
    """As the sealer of a node calls it: over HTTP, with the answer of the route in the future."""
    world.post.deposits.clear()
    world.ask_one(warrant=issue(world).json()["warrant"])
    size = world.nodes[INSPECTOR].access.size()
    with listening(serve(world, INSPECTOR)) as port:
        post = PeerPost(allow_plain=True)
        try:
            address = PeerAddress(INSPECTOR, f"http://127.0.0.1:{port}", None)
            given = post.deposit(address, world.post.deposits[0][0]).result(timeout=120)
        finally:
            post.close()
    assert parse_envelope(given, max_plaintext_bytes=MAX_DEPOSITED_BYTES).to == COURT
    assert world.nodes[INSPECTOR].access.size() == size
