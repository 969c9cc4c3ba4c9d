# SPDX-License-Identifier: Apache-2.0
"""The routes of the window: a consent is given, shown, used by a question over the same API, and taken back."""

from __future__ import annotations

import pytest

from node.access.box import parse_envelope
from node.access.consent import parse_consent
from node.access.receipt import parse_receipt
from node.access.revocation import MAX_REVOCATION_ENVELOPE_BYTES, MAX_REVOKED_BYTES
from node.client.peers import PeerPost
from node.ports.peers import PeerAddress
from tests.support.exchange_api import call, post, serve
from tests.support.exchange_world import COURT, MARKET, TAX, ExchangeWorld
from tests.support.http_server import listening
from tests.support.rows import PERSON, RESIDENT_ID

SUBJECT = {"type": "rid", "id": RESIDENT_ID}
TERMS = {
    "subject": SUBJECT,
    "provider": MARKET,
    "asker": COURT,
    "purpose": "window-query",
    "items": [{"item": "penalty:2018", "fields": ["subject", "CF_WSH"]}],
    "case": "2026-申-3",
}


@pytest.fixture
def world():
    with ExchangeWorld() as made:
        made.nodes[MARKET].import_penalties([7], **PERSON)
        made.anchor()
        yield made


def give(world, **changes):
    return post(world, "consents", TERMS | {"end": world.clock.now_seconds() + 3_600} | changes)


def ask(world, consent):
    question = {
        "subject": SUBJECT,
        "items": TERMS["items"],
        "purpose": "window-query",
        "providers": [MARKET],
        "consents": [{"provider": MARKET, "consent": consent}],
    }
    (outcome,) = post(world, "ask", question, COURT).json()["outcomes"]
    return outcome["result"], outcome["code"]


def show(world, member=MARKET):
    return post(world, "consents/search", {"subject": SUBJECT}, member).json()


def test_from_the_window_to_the_answer_and_back(world):
    given = give(world)
    assert given.status_code == 201, given.text
    body = given.json()
    consent = parse_consent(body["consent"])
    assert consent.digest.hex() == body["digest"]
    assert consent.items[0].fields == ("CF_WSH", "subject")
    assert parse_receipt(body["receipt"]).idx == body["event"]
    assert ask(world, body["consent"]) == ("ok", None)
    assert ask(world, body["consent"]) == ("deny", "consent-used-up")
    (line,) = show(world)
    assert (line["digest"], line["used"], line["uses"], line["revoked"]) == (body["digest"], 1, 1, None)
    assert line["items"] == [{"item": "penalty:2018", "fields": ["CF_WSH", "subject"]}]
    back = post(world, f"consents/{body['digest']}/revoke", {"case": "2026-申-4"})
    assert back.status_code == 200
    assert back.json()["is_effective"] is True
    assert show(world)[0]["revoked"] == world.clock.now_seconds()
    again = post(world, f"consents/{body['digest']}/revoke", {})
    assert (again.status_code, again.json()["code"]) == (409, "consent-revoked")


def test_a_consent_of_another_window_is_taken_back_at_its_provider(world):
    terms = TERMS | {"end": world.clock.now_seconds() + 3_600, "uses": 5}
    body = post(world, "consents", terms, TAX).json()
    assert ask(world, body["consent"]) == ("ok", None)
    back = post(world, "consents/revoke", {"consent": body["consent"]})
    assert (back.status_code, back.json()["provider"]) == (200, MARKET)
    assert ask(world, body["consent"]) == ("deny", "consent-revoked")


def test_a_consent_that_its_window_takes_back_is_refused_at_once(world):
    terms = TERMS | {"end": world.clock.now_seconds() + 3_600, "uses": 5}
    body = post(world, "consents", terms, TAX).json()
    back = post(world, f"consents/{body['digest']}/revoke", {}, TAX).json()
    assert (back["provider"], back["is_effective"], back["trouble"]) == (MARKET, True, None)
    (line,) = show(world, TAX)
    now = world.clock.now_seconds()
    assert (line["revoked"], line["is_effective"], line["known"]) == (now, True, now)
    assert ask(world, body["consent"]) == ("deny", "consent-revoked")


def test_a_provider_that_is_away_is_told_later(world):
    terms = TERMS | {"end": world.clock.now_seconds() + 3_600, "uses": 5}
    body = post(world, "consents", terms, TAX).json()
    world.post.away = {MARKET}
    back = post(world, f"consents/{body['digest']}/revoke", {}, TAX).json()
    assert (back["is_effective"], back["trouble"]) == (False, "peer-away")
    (line,) = show(world, TAX)
    assert (line["is_effective"], line["known"], line["trouble"]) == (False, None, "peer-away")
    world.post.away = set()
    world.clock.advance(seconds=60)
    world.exchanges[TAX].tend()
    (line,) = show(world, TAX)
    assert (line["is_effective"], line["known"]) == (True, world.clock.now_seconds())


def test_a_consent_that_has_ended_waits_for_nobody(world):
    terms = TERMS | {"end": world.clock.now_seconds() + 3_600}
    body = post(world, "consents", terms, TAX).json()
    world.post.away = {MARKET}
    assert not post(world, f"consents/{body['digest']}/revoke", {}, TAX).json()["is_effective"]
    world.clock.advance(seconds=3_600)
    (line,) = show(world, TAX)
    assert (line["is_effective"], line["known"], line["trouble"]) == (True, None, None)


def test_the_route_takes_nothing_but_a_sealed_revocation_of_a_member(world):
    app = serve(world, MARKET)
    for content, code in (
        (b"{}", "json-member-missing"),
        (b" " * (MAX_REVOCATION_ENVELOPE_BYTES + 1), "envelope-size"),
    ):
        answer = call(app, "/exchange/v1/revocation", content=content)
        assert (answer.status_code, answer.json()["code"]) == (400, code)
    assert world.kinds(MARKET) == []


def test_a_peer_carries_a_revocation_to_the_route(world):
    terms = TERMS | {"end": world.clock.now_seconds() + 3_600}
    body = post(world, "consents", terms, TAX).json()
    assert post(world, f"consents/{body['digest']}/revoke", {}, TAX).json()["is_effective"]
    size = world.nodes[MARKET].access.size()
    with listening(serve(world, MARKET)) as port:
        peers = PeerPost(allow_plain=True)
        try:
            address = PeerAddress(MARKET, f"http://127.0.0.1:{port}", None)
            given = peers.revoke(address, world.post.revocations[0][0]).result(timeout=120)
        finally:
            peers.close()
    assert parse_envelope(given, max_plaintext_bytes=MAX_REVOKED_BYTES).to == TAX
    assert world.nodes[MARKET].access.size() == size


@pytest.mark.parametrize(
    ("changes", "status", "code"),
    [
        ({"purpose": "tender-check"}, 400, "subject-beyond-purpose"),
        ({"provider": "x"}, 400, "uscc-form"),
        ({"uses": 0}, 400, "request-shape"),
        ({"end": 1}, 400, "consent-validity"),
        ({"items": TERMS["items"] * 2}, 400, "question-items"),
        ({"more": 1}, 400, "request-shape"),
    ],
)
def test_a_consent_that_cannot_be_is_refused_and_repeats_nothing(world, changes, status, code):
    answer = give(world, **changes)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert RESIDENT_ID not in answer.text
    assert show(world) == []


def test_what_is_unknown_is_not_found(world):
    answer = post(world, f"consents/{'0' * 64}/revoke", {})
    assert (answer.status_code, answer.json()["code"]) == (404, "consent-unknown")


def test_a_subject_is_typed_as_people_type_it(world):
    # Full-width digits, a small letter and surrounding space are what an import folds, and a question.
    typed = RESIDENT_ID.lower().translate({ord(digit): ord(digit) + 0xFEE0 for digit in "0123456789"})
    given = give(world, subject={"type": "rid", "id": f" {typed} "})
    assert given.status_code == 201, given.text
    body = given.json()
    assert parse_consent(body["consent"]).subject.id == RESIDENT_ID
    assert ask(world, body["consent"]) == ("ok", None)
    (line,) = post(world, "consents/search", {"subject": {"type": "rid", "id": typed}}).json()
    assert line["digest"] == body["digest"]
