# SPDX-License-Identifier: Apache-2.0
"""A question that was lost with its node: its subject is shown that no answer came, and nothing of one that was sealed."""

from __future__ import annotations

import pytest

from node.access.question import AskedSubject
from node.service import layout
from node.service.drafting import Purpose
from node.service.subject_index import EVENT_PREFIX, SUBJECT_PREFIX, parse_terms
from node.service.subjects import summarise
from tests.support.exchange_world import COURT, MARKET, ExchangeWorld
from tests.support.many import ask_many, companies, market_world
from tests.support.rows import COMPANY
from tests.support.sealed_world import DAY, SealedWorld

CLERK = Purpose("wang", "")


def lose(world, ask):
    """Have the asker die while it waits, start again, and close the question when nobody answers it any more."""

    def die(_body):
        raise OSError("killed")

    world.post.on_answer = die
    with pytest.raises(OSError, match="killed"):
        ask()
    world.restart(COURT)
    before = outcomes(world)
    world.clock.advance(seconds=300)
    assert world.exchanges[COURT].asker.close_lost() == 1
    return before


def looks(world, subject=COMPANY):
    shown = world.nodes[COURT].services.subjects.show(
        AskedSubject("uscc", subject), "business-licence", CLERK
    )
    return [look for look in shown.looks if look.parts[0].kind != "audit"]


def outcomes(world):
    return [summarise(look, COURT).outcome for look in looks(world)]


@pytest.fixture
def world():
    with ExchangeWorld() as made:
        made.nodes[MARKET].import_penalties([1])
        made.anchor()
        yield made


def test_its_subject_is_shown_that_no_answer_came(world):
    assert lose(world, world.ask_one) == ["open"]
    (look,) = looks(world)
    assert [part.kind for part in look.parts] == ["ask", "receive"]
    assert summarise(look, COURT).outcome == "no-answer"
    assert looks(world, companies(1, start=50)[0]) == []
    assert world.nodes[COURT].check() == []


def test_each_subject_of_many_is_shown_the_end(world):
    with market_world() as many:
        lose(many, lambda: ask_many(many, companies(2)))
        for subject in companies(2):
            (look,) = looks(many, subject)
            assert [part.kind for part in look.parts] == ["bulk", "receive"]
        assert looks(many, companies(1, start=50)[0]) == []
        assert many.nodes[COURT].check() == []


def test_the_end_of_a_sealed_look_leads_to_nobody():
    with SealedWorld() as sealed:
        sealed.nodes[MARKET].import_penalties([1])
        sealed.anchor()
        warrant = sealed.issue()
        assert lose(sealed, lambda: sealed.ask_one(warrant=warrant)) == []
        node = sealed.nodes[COURT]
        ((index, _),) = sealed.events(COURT, "receive")
        stored = node.store.get(EVENT_PREFIX + layout.u64(node.access.place(index)))
        assert parse_terms(stored) == ((), ())
        assert looks(sealed) == []
        assert node.check() == []
        # When its seal is over it is shown, and by then nobody answers it any more.
        sealed.clock.advance(seconds=21 * DAY)
        sealed.anchor()
        assert outcomes(sealed) == ["no-answer"]


def test_a_check_finds_an_end_that_its_subject_does_not_lead_to(world):
    lose(world, world.ask_one)
    node = world.nodes[COURT]
    ((index, _),) = world.events(COURT, "receive")
    tail = layout.u64(node.access.place(index))
    keys = [key for key, _ in node.store.scan(SUBJECT_PREFIX, layout.stop_of(SUBJECT_PREFIX))]
    (key,) = [key for key in keys if key.endswith(tail)]
    node.store.damage(key, None)
    assert {found.code for found in node.check()} == {"fsck-index"}
