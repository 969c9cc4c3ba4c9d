# SPDX-License-Identifier: Apache-2.0
"""An auditor looks into the own access log over HTTP: found by what is open, opened one by one, each look logged."""

from __future__ import annotations

import pytest

from node.access.event import parse_event, verify_openings
from node.access.receipt import parse_receipt
from node.core.encoding import encode_b64u
from node.service.drafting import EventDraft, Officer
from tests.support.api_world import WHY, csv_of
from tests.support.node_world import penalty
from tests.support.rows import PENALTY

AUDIT = {"purpose": "audit", "case": "审〔2026〕3号"}


@pytest.fixture
def filled(world):
    """Three records, and five looks at them, a minute apart."""
    world.import_csv(csv_of([penalty(n) for n in range(3)], PENALTY.field_codes))
    world.node.anchor()
    for leaf in world.leaves():
        world.node.clock.advance(seconds=60)
        world.post(f"/api/v1/records/{leaf}/show", "officer", WHY)
    for leaf in world.leaves()[:2]:
        world.node.clock.advance(seconds=60)
        world.post(f"/api/v1/records/{leaf}/evidence", "officer", WHY | {"disclose": ["CF_WSH"]})
    return world


def search(world, **body):
    answer = world.post("/api/v1/access", "auditor", body)
    assert answer.status_code == 200, answer.text
    return answer.json()


def show(world, event):
    return world.post(f"/api/v1/access/{event['number']}/{event['index']}/show", "auditor", AUDIT)


def test_events_are_listed_newest_first_and_nothing_else_is(filled):
    events = search(filled)
    assert [event["kind"] for event in events] == ["export", "export", "read", "read", "read"]
    assert [event["index"] for event in events] == sorted((e["index"] for e in events), reverse=True)
    assert {event["stage"] for event in events} == {"integrated"}
    assert "CF_WSH" not in str(events)
    size = filled.node.access.size()
    search(filled)
    assert filled.node.access.size() == size, "what stands in the open is read without a trace"


def test_events_are_found_by_time_kind_and_request(filled):
    events = search(filled)
    times = [event["t"] for event in events]
    assert search(filled, kinds=["export"]) == events[:2]
    assert search(filled, kinds=["export", "read"]) == events
    assert search(filled, kinds=["erase"]) == []
    assert search(filled, since=times[3], until=times[1]) == events[2:4]
    assert search(filled, rid=events[3]["rid"]) == [events[3]]
    assert search(filled, rid=encode_b64u(bytes(16))) == []
    assert search(filled, limit=2) == events[:2]
    assert search(filled, limit=2, before=events[1]["place"]) == events[2:4]


@pytest.mark.parametrize(
    "body", [{"kinds": ["peek"]}, {"rid": "short"}, {"limit": 0}, {"since": -1}, {"subject": "x"}]
)
def test_what_no_event_has_is_refused(filled, body):
    assert filled.post("/api/v1/access", "auditor", body).status_code == 400


def test_what_an_event_was_about_is_shown_and_that_is_logged(filled):
    event = search(filled, kinds=["export"])[0]
    answer = show(filled, event)
    assert answer.status_code == 200, answer.text
    shown = answer.json()
    assert shown["event"] == event
    values = verify_openings(parse_event(shown["entry"].encode()), shown["openings"])
    assert values == shown["values"]
    assert (values["officer"]["id"], values["items"][0]["fields"]) == ("officer-name", ["CF_WSH"])
    assert (shown["receipt_for"], shown["pair"]) == (filled.node.identity.member, 5)
    [audit] = search(filled, kinds=["audit"])
    assert audit["index"] == parse_receipt(shown["receipt"]).idx == filled.node.access.size() - 1
    seen = show(filled, audit).json()["values"]
    assert (seen["officer"]["id"], seen["purpose"], seen["case"]) == ("auditor-name", "audit", AUDIT["case"])
    assert len(search(filled, kinds=["audit"])) == 2, "a look at a look is one too"


def test_what_is_no_event_or_sealed_is_not_shown_and_not_logged(filled):
    sealed = filled.node.services.access.log(
        EventDraft(
            kind="sealed",
            peer=filled.node.identity.member,
            subject=None,
            officer=Officer("li"),
            purpose="inspection",
            items=[],
            box=bytes(32),
            open_by=1_900_000_000,
            warrant=bytes(32),
        )
    )
    size = filled.node.access.size()
    for number, index, status, code in (
        (0, sealed.index, 403, "event-sealed"),
        (0, 0, 404, "event-unknown"),
        (0, 10_000, 404, "entry-unknown"),
        (7, 0, 404, "entry-unknown"),
    ):
        answer = show(filled, {"number": number, "index": index})
        assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert filled.node.access.size() == size


def test_without_a_purpose_nothing_is_shown(filled):
    event = search(filled)[0]
    path = f"/api/v1/access/0/{event['index']}/show"
    assert filled.post(path, "auditor", {}).status_code == 400
    assert filled.post(path, "officer", AUDIT).status_code == 403


def test_events_are_found_after_a_restart_and_across_pages(filled):
    """More events than one block of rows."""
    access = filled.node.services.access
    for _ in range(300):
        access.log(EventDraft(kind="audit", officer=Officer("zhao"), purpose="audit"))
    found, before = [], None
    while page := search(filled, limit=100, **({} if before is None else {"before": before})):
        found += page
        before = page[-1]["place"]
    assert len(found) == 305
    assert len({event["index"] for event in found}) == 305
