# SPDX-License-Identifier: Apache-2.0
"""A provider answers a question about one subject with the record of another one: a clean one for the officer to rely on.

Its records are genuine, and its event says truly what it released. The officer would take them for records of whom he
asked about, so each record must say about whom it is.
"""

from __future__ import annotations

import pytest

from node.access.decision import SUBJECT, Decision
from tests.support.exchange_world import FIELDS, MARKET, VCT
from tests.support.rows import COMPANY, PERSON

PENALTY = VCT["penalty:2018"]


@pytest.fixture
def person(world, monkeypatch):
    """The regulator finds a natural person's record, whatever it is asked about."""
    node = world.nodes[MARKET]
    node.import_penalties([7], **PERSON)
    world.anchor()
    place = node.lines()[-1].index
    world.exchanges[MARKET].provider._answering._searcher._places = lambda _subject: [place]
    monkeypatch.setattr(Decision, "fields_of", lambda self, vct, _record_class: self.fields.get(vct))
    return node


@pytest.mark.parametrize("fields", [FIELDS, (*FIELDS, SUBJECT)], ids=["fields", "fields and subject"])
def test_a_record_of_somebody_else_is_not_shown(world, person, fields):
    outcome = world.ask_one(fields={PENALTY: fields})
    assert (outcome.result, outcome.code, outcome.records) == ("failed", "answered-subject", ())
    assert world.events(MARKET, "grant")


def test_keeping_the_subject_back_does_not_help(world, person, monkeypatch):
    monkeypatch.setattr(
        Decision, "fields_of", lambda self, vct, _class: tuple(x for x in self.fields[vct] if x != SUBJECT)
    )
    outcome = world.ask_one()
    assert (outcome.result, outcome.code, outcome.records) == ("failed", "answered-subject", ())


def test_an_honest_record_says_about_whom_it_is(world):
    outcome = world.ask_one()
    assert [one.record.disclosed[SUBJECT] for one in outcome.records] == [{"type": "uscc", "id": COMPANY}] * 3
