# SPDX-License-Identifier: Apache-2.0
"""The routes of the window that shows a subject who looked at its data."""

from __future__ import annotations

import json

import pytest

from node.access.receipt import parse_receipt
from node.evidence.lookfile import parse_look_file
from node.evidence.promises import parse_receipt_file
from tests.support.exchange_api import OFFICER, call, post, serve
from tests.support.exchange_world import COURT, MARKET, ExchangeWorld
from tests.support.node_world import WHY
from tests.support.rows import COMPANY

SUBJECT = {"type": "uscc", "id": COMPANY}


@pytest.fixture
def world():
    with ExchangeWorld() as made:
        made.nodes[MARKET].import_penalties([1])
        made.anchor()
        made.ask()
        made.anchor()
        yield made


def looks(world, member=MARKET, **changes):
    body = {"subject": SUBJECT, "document": "business-licence", "case": "2026-申-8"}
    answer = post(world, "subjects/looks", body | changes, member)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_the_provider_tells_who_asked_and_gives_the_file(world):
    shown = looks(world)
    (look,) = shown["looks"]
    assert (look["kind"], look["by"], look["of"]) == ("grant", COURT, MARKET)
    assert (look["outcome"], look["records"], look["rule"]) == ("given", 1, "open-data")
    assert (look["purpose"], look["basis"], look["case"]) == (
        "pre-listing",
        "enforcement-publicity",
        "2026-执-17",
    )
    assert look["purpose_name"]["en"]
    assert look["items"][0]["fields"] == ["CF_CFLB", "CF_NR", "CF_WSH", "subject"]
    (part,) = look["parts"]
    assert (part["kind"], part["stage"], part["values"]["peer"]) == ("grant", "anchored", COURT)
    assert "officer" not in part["values"]
    assert part["name"].endswith(".look.json")
    assert json.loads(parse_look_file(part["file"].encode()).event)["kind"] == "grant"
    assert shown["member"] == MARKET
    assert set(shown["names"]) == {MARKET}
    assert (shown["next_before"], shown["is_complete"]) == (None, True)


def test_the_asker_tells_both_ends_of_its_question(world):
    (look,) = looks(world, COURT)["looks"]
    assert (look["kind"], look["by"], look["of"], look["outcome"]) == ("ask", COURT, MARKET, "given")
    assert [part["kind"] for part in look["parts"]] == ["ask", "receive"]


def test_the_view_has_a_receipt_and_is_in_the_next_one(world):
    shown = looks(world)
    file = parse_receipt_file(shown["receipt_file"].encode())
    assert file.receipt == shown["receipt"]
    assert json.loads(file.event)["kind"] == "audit"
    receipt = parse_receipt(shown["receipt"])
    first = looks(world, limit=1)
    assert first["looks"][0]["parts"][0]["index"] == receipt.idx
    assert first["looks"][0]["rule"] == "identified-by-business-licence"
    assert first["next_before"] is not None
    second = looks(world, limit=10, before=first["next_before"])
    assert [look["kind"] for look in second["looks"]] == ["grant"]


def test_a_subject_is_folded_as_a_question_folds_it(world):
    assert len(looks(world, subject={"type": "uscc", "id": f" {COMPANY.lower()} "})["looks"]) == 1


def test_looking_for_a_subject_is_shown_to_it(world):
    found = post(world, "records/find", {"subject": SUBJECT, "purpose": "own-records", "case": WHY.case})
    assert found.status_code == 200, found.text
    assert [record["item"] for record in found.json()["records"]] == ["penalty:2018"]
    look = looks(world)["looks"][0]
    assert (look["kind"], look["purpose"], look["records"]) == ("read", "own-records", 1)
    assert look["parts"][0]["index"] == parse_receipt(found.json()["receipt"]).idx


def test_neither_route_shows_anything_before_it_is_known_that_the_store_goes_on(world):
    app = serve(world, MARKET)
    node = world.nodes[MARKET]
    size = node.access.size()
    node.services.condition.verified = False
    headers = {"Authorization": f"Bearer {OFFICER}", "Accept-Language": "en"}
    for path, body in (
        ("subjects/looks", {"subject": SUBJECT, "document": "passport"}),
        ("records/find", {"subject": SUBJECT, "purpose": "p"}),
    ):
        answer = call(app, f"/api/v1/{path}", json=body, headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (503, "chain-not-compared")
    assert node.access.size() == size
