# SPDX-License-Identifier: Apache-2.0
"""Impersonated officer: somebody wants a look to stand in the log under another officer's name.

A colleague writes the name into his call, or into a header; he uses a token of the court at the regulator's node, one that was
taken back, and one that lost its role. All of it is refused, and nothing is asked. A thief who has the officer's token is
that officer for the node, and the log has him as that: what stops him is the end of the token. An
administrator needs no token: he writes whatever name he likes, since accounts are local. The log cannot tell, and does not
pretend to: the event says that nobody else attests the sign-in, the audit counts such events, and no department is told a
name that it could take for proven. What remains: whether an attestation that he made up holds shows only when he is asked for
the token behind it.
"""

from __future__ import annotations

import asyncio
from hashlib import sha256
from types import SimpleNamespace

import httpx
import pytest

from node.api.auth import TokenGate
from node.core.encoding import encode_b64u
from node.errors import Conflict
from node.service.drafting import Officer
from node.service.tokens import add_token, new_token, revoke_token, rotate_token
from tests.support.api_world import shared_app
from tests.support.errors import raises_code
from tests.support.exchange_audit import audit, settle
from tests.support.exchange_world import COURT, MARKET
from tests.support.node_world import FixedRandom
from tests.support.rows import COMPANY

QUESTION = {
    "subject": {"type": "uscc", "id": COMPANY},
    "items": [{"item": "penalty:2018", "fields": ["CF_WSH"]}],
    "purpose": "pre-listing",
    "basis": "enforcement-publicity",
    "case": "2026-执-17",
    "providers": [MARKET],
}
RANDOM = FixedRandom("accounts")


class Court:
    """The court's node over HTTP, with its accounts as its administrator keeps them."""

    def __init__(self, world):
        self.world = world
        self.now = world.clock.now_seconds()
        self.tokens, self.entries = {}, []
        for name, role in (("li", "officer"), ("zhao", "officer"), ("sun", "auditor")):
            self.tokens[name], entry = new_token(name, role, self.now + 3_600, RANDOM)
            self.entries = add_token(self.entries, entry, self.now)

    def ask(self, token, headers=None, **changes):
        """Ask with a token; the HTTP status and the body."""
        node, app = self.world.nodes[COURT], shared_app()
        node.services.condition.verified = node.services.condition.joined = True
        app.state.node = SimpleNamespace(services=node.services)
        app.state.gate = TokenGate(lambda: self.entries, node.clock)
        sent = {"Authorization": f"Bearer {token}"} if token else {}

        async def send():
            transport = httpx.ASGITransport(app=app)
            async with httpx.AsyncClient(transport=transport, base_url="http://node") as client:
                return await client.post(
                    "/api/v1/ask", json=QUESTION | changes, headers=sent | (headers or {})
                )

        answer = asyncio.run(send())
        return answer.status_code, answer.json()

    def officers(self):
        """Who stands in the court's log as having asked."""
        asked = self.world.events(COURT, "ask")
        return [self.world.values(COURT, index)["officer"] for index, _ in asked]


@pytest.fixture
def court(world):
    return Court(world)


def test_the_name_in_the_log_is_that_of_the_token(court):
    """The control."""
    assert court.ask(court.tokens["li"])[0] == 200
    assert court.ask(court.tokens["zhao"])[0] == 200
    assert [officer["id"] for officer in court.officers()] == ["li", "zhao"]


@pytest.mark.parametrize(
    "said", [{"officer": "li"}, {"officer": {"id": "li"}}, {"account": "li"}, {"by": "li"}]
)
def test_a_colleague_cannot_write_another_name_into_his_call(court, said):
    status, body = court.ask(court.tokens["zhao"], **said)
    assert (status, body["code"]) == (400, "request-shape")
    assert court.officers() == []


def test_nor_into_a_header(court):
    said = {
        "X-Forwarded-User": "li",
        "X-Remote-User": "li",
        "Remote-User": "li",
        "From": "li",
        "X-Officer": "li",
    }
    assert court.ask(court.tokens["zhao"], headers=said)[0] == 200
    assert court.ask(None, headers=said)[0] == 401
    assert [officer["id"] for officer in court.officers()] == ["zhao"]


def test_tokens_that_do_not_fit_ask_nothing(court):
    """Of another node, made up, cut, taken back, of another role, over."""
    foreign, _ = new_token("li", "officer", None, FixedRandom("another node"))
    li = court.tokens["li"]
    for token, refused in (
        (foreign, (401, "token-unknown")),
        (f"ict_{'A' * 43}", (401, "token-unknown")),
        (li[:-1], (401, "token-unknown")),
        (court.tokens["sun"], (403, "role-insufficient")),
    ):
        status, body = court.ask(token)
        assert (status, body["code"]) == refused
    court.entries = revoke_token(court.entries, "li")
    assert court.ask(li)[1]["code"] == "token-unknown"
    court.world.clock.advance(seconds=3_600)
    assert court.ask(court.tokens["zhao"])[1]["code"] == "token-expired"
    assert court.officers() == []
    assert court.world.post.sent == []


def test_a_stolen_token_is_its_officer_until_it_is_replaced(court):
    stolen = court.tokens["li"]
    assert court.ask(stolen)[0] == 200
    new, court.entries = rotate_token(
        court.entries, "li", expires=None, overlap_seconds=0, now_seconds=court.now, random=RANDOM
    )
    assert court.ask(stolen)[1]["code"] == "token-unknown"
    assert court.ask(new)[0] == 200
    # Nobody makes a second account of that name beside it.
    _, twin = new_token("li", "officer", None, RANDOM)
    with raises_code(Conflict, "token-exists"):
        add_token(court.entries, twin, court.now)


def test_what_an_administrator_writes_is_attested_by_nobody_and_shown_to_nobody(court):
    world = court.world
    assert world.ask_one(officer=Officer("li")).result == "ok"
    (officer,) = court.officers()
    assert officer == {"id": "li", "idp": None, "auth": None}
    # The regulator was shown nine of ten values: who asked is not among them.
    ((index, _),) = world.events(MARKET, "grant")
    assert world.values(MARKET, index)["officer"] is None
    assert all(b'"li"' not in body for _, body in world.post.sent)
    settle(world)
    report = audit(world)
    assert report.findings.total == 0
    unattested = {
        origin.split("/")[1]: count
        for (code, origin), count in report.findings.remarks.items()
        if code == "not-attested"
    }
    # The ask and its receive in the court's log; of the regulator's own staff nobody looked.
    assert unattested == {COURT: 2}


def test_a_made_up_attestation_names_a_token_that_the_administrator_cannot_show(court):
    """The event has the digest of the identity provider's token, whose nonce is the event's rid: an audit asks for it."""
    world = court.world
    made_up = Officer("li", "https://id.example", encode_b64u(sha256(b"any").digest()))
    assert world.ask_one(officer=made_up).result == "ok"
    assert court.officers() == [made_up.to_json()]
    settle(world)
    assert "not-attested" not in {code for code, _ in audit(world).findings.remarks}
