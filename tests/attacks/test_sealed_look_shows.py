# SPDX-License-Identifier: Apache-2.0
"""A look under a warrant, betrayed or stretched beyond its warrant by what stands beside it.

The subject of a discipline case must not learn of it before its day: not by the refusal of a question that was sent to
everybody, the warrant's own regulator among them; not by a use of a consent of his; not by a public number that grows
while he watches. Nor does a warrant reach further than its regulator: one that is taken back gives nothing more to whoever
deposited the beginnings of all its looks in time, and one that was signed with a stolen key of the regulator is none.
"""

from __future__ import annotations

import pytest

from node.access.question import AskedSubject, ItemQuery
from node.access.warrant import build_warrant, parse_warrant
from node.crypto.token import token_digest
from node.service.consents import Terms
from node.service.drafting import EventDraft
from node.service.sealing import list_counts
from tests.support.exchange_world import COURT, FIELDS, MARKET, OFFICER, VCT
from tests.support.rows import COMPANY
from tests.support.sealed_world import DAY, INSPECTOR, WHY, SealedWorld

TERMS = {"purpose": "discipline-inspection", "basis": "supervision-law-18", "case": "2026-监-3"}


@pytest.fixture
def world():
    with SealedWorld() as made:
        made.nodes[MARKET].import_penalties(range(2))
        made.anchor()
        yield made


def test_a_look_begun_before_its_warrant_was_taken_back_gives_nothing_after(world):
    warrant = world.issue()
    rid = bytes(range(16))
    draft = EventDraft(
        kind="ask",
        peer=MARKET,
        officer=OFFICER,
        subject={"type": "uscc", "id": COMPANY},
        items=[{"vct": VCT["penalty:2018"], "fields": list(FIELDS)}],
        rule="law",
        rid=rid,
        **TERMS,
    )
    begun = world.exchanges[COURT].asker._sealer.seal(draft, token=warrant, part="ask")
    world.depository.take_back(token_digest(warrant), WHY)
    sealed = {
        "kind": "sealed",
        "box": begun.box,
        "open_by": parse_warrant(warrant).open_by,
        "warrant": token_digest(warrant),
    }
    answer = world.ask_by_hand(rid=rid, sealed=warrant, ask=sealed, **TERMS)
    assert (answer.result, answer.code, answer.records) == ("deny", "warrant-revoked", ())
    assert world.events(MARKET, "grant", "sealed") == []


def test_a_warrant_that_the_regulator_never_issued_gives_nothing(world):
    now = world.clock.now_seconds()
    stolen = build_warrant(
        signer=world.nodes[INSPECTOR].keys.node,
        iss=INSPECTOR,
        asker=COURT,
        iat=now,
        exp=now + DAY,
        jti=bytes(16),
        looks=9,
        open_by=now + DAY,
    )
    outcome = world.ask_one(warrant=stolen, **TERMS)
    assert (outcome.result, outcome.code) == ("refused", "warrant-unknown")
    assert world.depository.boxes(after=None, limit=1) == []


def test_a_question_to_everybody_says_nothing_of_its_subject_at_home(world):
    outcomes = {one.provider: one for one in world.ask(warrant=world.issue(), providers=None)}
    assert outcomes[MARKET].result == "ok"
    assert (outcomes[INSPECTOR].result, outcomes[INSPECTOR].code) == ("refused", "warrant-issuer")
    ((index, _),) = world.events(COURT, "deny")
    values = world.values(COURT, index)
    assert [values[name] for name in ("subject", "purpose", "basis", "case", "items")] == [None] * 5


def test_the_month_that_is_not_over_is_not_counted_in_public(world):
    world.ask_one(warrant=world.issue(seconds=60 * DAY, open_seconds=90 * DAY))
    store = world.nodes[MARKET].store
    assert list(list_counts(store, world.clock.now_seconds())) == []
    assert [one.answered for one in list_counts(store, world.clock.now_seconds() + 31 * DAY)] == [1]


def test_a_look_in_secret_uses_no_consent(world):
    terms = Terms(
        subject=AskedSubject("uscc", COMPANY),
        provider=MARKET,
        asker=COURT,
        purpose=TERMS["purpose"],
        items=(ItemQuery(VCT["penalty:2018"], FIELDS),),
        end=world.clock.now_seconds() + DAY,
        uses=2,
    )
    given = world.exchanges[MARKET].window.give(terms, WHY)
    outcome = world.ask_one(warrant=world.issue(), consents={MARKET: given.token}, **TERMS)
    assert (outcome.result, outcome.code) == ("refused", "sealed-consent")
    (shown,) = world.exchanges[MARKET].window.show_of(terms.subject, WHY)
    assert shown.used == 0
