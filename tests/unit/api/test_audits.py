# SPDX-License-Identifier: Apache-2.0
"""An auditor reads openings of a bundle: logged first, as one event that covers them all."""

import pytest

from node.access.event import ParsedEvent, parse_entry, verify_openings
from node.service.layout import LogKind
from tests.support.api_world import WHY, csv_of
from tests.support.node_world import penalty
from tests.support.rows import PENALTY

ROUTE = "/api/v1/access/openings"


@pytest.fixture
def looked(world):
    """Three looks, a heartbeat and padding, published."""
    assert world.import_csv(csv_of([penalty(1)], PENALTY.field_codes)).accepted == 1
    for _ in range(3):
        leaf = world.node.leaf().hex()
        assert world.post(f"/api/v1/records/{leaf}/show", "officer", WHY).status_code == 200
    world.node.anchor()
    return world


def entries_of(world):
    reader = world.node.services.readers[LogKind.ACCESS]
    return [parse_entry(reader.entry(row)) for _, row in reader.rows(0, reader.size())]


def test_openings_of_a_range(looked):
    published = len(entries_of(looked))
    answer = looked.post(ROUTE, "auditor", {"log": 0, "start": 0, "stop": published})
    assert answer.status_code == 200
    opened = answer.json()
    entries = entries_of(looked)
    events = [at for at, entry in enumerate(entries[:published]) if isinstance(entry, ParsedEvent)]
    assert len(events) == 3
    for at, texts in enumerate(opened):
        if at in events:
            assert verify_openings(entries[at], texts)["purpose"] == WHY["purpose"]
            assert len(texts) == 10
        else:
            assert texts == []
    (audit,) = entries[published:]
    assert (audit.kind, audit.n) == ("audit", 3)


def test_a_range_without_events_is_not_logged(looked):
    entries = entries_of(looked)
    pad = next(at for at, entry in enumerate(entries) if not isinstance(entry, ParsedEvent))
    answer = looked.post(ROUTE, "auditor", {"log": 0, "start": pad, "stop": pad + 1})
    assert (answer.status_code, answer.json()) == (200, [[]])
    assert len(entries_of(looked)) == len(entries)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"log": 1, "start": 0, "stop": 1}, "log-unknown"),
        ({"log": 0, "start": 0, "stop": 0}, "audit-range"),
        ({"log": 0, "start": 0, "stop": 257}, "audit-range"),
        ({"log": 0, "start": 0, "stop": 200}, "tile-unknown"),
    ],
)
def test_what_is_no_range_of_the_published_log(looked, body, code):
    before = len(entries_of(looked))
    assert looked.post(ROUTE, "auditor", body).json()["code"] == code
    assert len(entries_of(looked)) == before


def test_nothing_is_opened_when_the_log_takes_nothing(looked):
    looked.node.store.fail_next(OSError("disk"))
    answer = looked.post(ROUTE, "auditor", {"log": 0, "start": 0, "stop": 3})
    assert answer.status_code >= 500
    assert "WyJ" not in answer.text
