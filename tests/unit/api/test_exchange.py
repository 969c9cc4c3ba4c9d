# SPDX-License-Identifier: Apache-2.0
"""The routes of exchanges: envelopes of other members, questions of officers, and what both do when there is too much."""

from __future__ import annotations

import asyncio
import threading

import pytest

from node.api import exchange as routes
from node.api.problems import MEDIA_TYPE
from node.client.peers import PeerPost
from node.ports.peers import PeerAddress
from node.service.exchange.denies import EACH_WINDOW
from tests.support.exchange_api import call, post, serve
from tests.support.exchange_world import COURT, MARKET, TAX, ExchangeWorld
from tests.support.http_server import listening
from tests.support.rows import COMPANY

QUESTION = {
    "subject": {"type": "uscc", "id": COMPANY},
    "items": [{"item": "penalty:2018", "fields": ["CF_WSH", "CF_CFLB"]}],
    "purpose": "pre-listing",
    "basis": "enforcement-publicity",
    "case": "2026-执-17",
    "providers": [MARKET],
}


@pytest.fixture(scope="module")
def world():
    with ExchangeWorld() as made:
        made.nodes[MARKET].import_penalties(range(3))
        made.anchor()
        yield made


def ask(world, member=COURT, **changes):
    return post(world, "ask", QUESTION | changes, member)


def test_an_officer_gets_records_receipts_and_the_signed_answer(world):
    answer = ask(world)
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert body["complete"]
    (outcome,) = body["outcomes"]
    assert (outcome["provider"], outcome["result"], outcome["found"]) == (MARKET, "ok", 3)
    assert {frozenset(record["fields"]) for record in outcome["records"]} == {
        frozenset({"CF_WSH", "CF_CFLB"})
    }
    assert outcome["records"][0]["status"] == "valid"
    assert outcome["records"][0]["presentation"].endswith("~")
    assert len(outcome["receipts"]) == 2
    assert outcome["answer"].count(".") == 2
    assert outcome["as_of"]["size"] == world.nodes[MARKET].records.published_size()
    ((index, _), *_) = world.events(COURT)
    assert world.values(COURT, index)["officer"]["id"] == "li"


def test_without_fields_everything_is_asked_that_the_purpose_sees_without_consent(world):
    (outcome,) = ask(world, items=[{"item": "penalty:2018"}]).json()["outcomes"]
    (fields,) = {frozenset(record["fields"]) for record in outcome["records"]}
    assert {"CF_WSH", "CF_XDR_MC"} < fields
    assert "CF_FR_ZJHM" not in fields


def test_without_providers_everybody_is_asked(world):
    outcomes = ask(world, providers=None).json()["outcomes"]
    assert {one["provider"]: one["result"] for one in outcomes} == {MARKET: "ok", TAX: "none"}


def test_one_that_is_away_is_said(world):
    world.post.away = {TAX}
    body = ask(world, providers=[TAX, MARKET]).json()
    world.post.away = set()
    assert not body["complete"]
    assert [(one["result"], one["code"]) for one in body["outcomes"]] == [
        ("failed", "peer-away"),
        ("ok", None),
    ]
    assert body["outcomes"][0]["title"] == "the peer does not answer"


def test_a_refused_question_says_why_and_gives_a_receipt(world):
    (outcome,) = ask(world, case=None).json()["outcomes"]
    assert (outcome["result"], outcome["code"]) == ("refused", "case-required")
    assert outcome["detail"] == "pre-listing needs a case number"
    assert len(outcome["receipts"]) == 1


@pytest.mark.parametrize(
    ("changes", "status", "code"),
    [
        ({"subject": {"type": "uscc", "id": "91520100MA00000157"}}, 400, "uscc-check-digit"),
        ({"providers": [COURT]}, 400, "providers"),
        ({"providers": [MARKET, MARKET]}, 400, "providers"),
        ({"providers": ["11520100000000019P"]}, 403, "member-unknown"),
        ({"providers": []}, 400, "request-shape"),
        ({"items": []}, 400, "request-shape"),
        ({"surplus": 1}, 400, "request-shape"),
    ],
)
def test_what_is_no_question_is_refused(world, changes, status, code):
    sent = len(world.post.sent)
    answer = ask(world, **changes)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert len(world.post.sent) == sent


def test_an_envelope_gets_an_envelope(world):
    token, reply = world.sign_request()
    answer = call(serve(world, MARKET), "/exchange/v1", content=world.seal(token))
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
    assert world.open(answer.content, token, reply).result == "ok"


@pytest.mark.parametrize("body", [b"", b"{}", b"x" * 400_000])
def test_junk_gets_a_problem(world, body):
    answer = call(serve(world, MARKET), "/exchange/v1", content=body)
    assert answer.status_code == 400
    assert answer.headers["content-type"] == MEDIA_TYPE


def test_a_node_that_has_not_joined_answers_nothing(world):
    token, _ = world.sign_request()
    app = serve(world, MARKET)
    world.nodes[MARKET].services.condition.joined = False
    answer = call(app, "/exchange/v1", content=world.seal(token))
    assert (answer.status_code, answer.json()["code"]) == (503, "chain-not-joined")
    assert int(answer.headers["retry-after"]) > 0


def test_too_many_refusals_are_told_when_to_come_again(world):
    bodies = [world.seal(world.sign_request(by=TAX, case=None)[0], by=TAX) for _ in range(EACH_WINDOW + 1)]
    app = serve(world, MARKET)
    *before, last = [call(app, "/exchange/v1", content=body) for body in bodies]
    assert {answer.status_code for answer in before} == {200}
    assert (last.status_code, last.json()["code"]) == (429, "deny-limit")
    assert int(last.headers["retry-after"]) == routes.DENY_RETRY_SECONDS


def test_a_full_desk_turns_away_at_once():
    desk, release = routes.Desk("test", 1), threading.Event()

    async def fill():
        running = [asyncio.ensure_future(desk.run(release.wait)) for _ in range(1 + routes.WAITING)]
        await asyncio.sleep(0)
        with pytest.raises(Exception, match="under way"):
            await desk.run(lambda: None)
        release.set()
        await asyncio.gather(*running)
        assert await desk.run(lambda: 7) == 7

    asyncio.run(fill())


def test_over_a_real_connection(world):
    token, reply = world.sign_request()
    peers = PeerPost(allow_plain=True)
    try:
        with listening(serve(world, MARKET)) as port:
            address = PeerAddress(MARKET, f"http://127.0.0.1:{port}", None)
            futures = [peers.send(address, world.seal(token)) for _ in range(40)]
            answers = {future.result(120) for future in futures}
    finally:
        peers.close()
    # One event, one answer, however often it was sent.
    (answer,) = answers
    assert world.open(answer, token, reply).result == "ok"
