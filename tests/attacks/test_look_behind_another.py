# SPDX-License-Identifier: Apache-2.0
"""A look behind another one: whoever asks draws the id of his question so that its subject is shown another look instead.

The subject view puts the events of one request together by their id, and an id is drawn by whoever asks. A department
that was asked knows the id of that question; two departments that work together share one. If the view went by the id
alone, a question back under the same id would be listed as part of the one before, a second request under a used id
would make what was given look refused, and an open question under the id of a sealed one would be hidden with it.
The same holds of looks under warrants, when their seals are over.
Each answered or refused question of another department is a look of its own in the view, whatever its id.
"""

from __future__ import annotations

from node.access.question import AskedSubject
from node.service.drafting import EventDraft, Purpose
from node.service.subjects import summarise
from tests.support.exchange_world import COURT, MARKET, TAX, VCT
from tests.support.rows import COMPANY
from tests.support.sealed_world import DAY, INSPECTOR, ROLES, SealedWorld

FIRM = AskedSubject("uscc", COMPANY)
CLERK = Purpose("wang", "")
RID = bytes(range(16))


def looks(world, code, **options):
    """Who looked at whose records, and what came of it, but for the views themselves."""
    shown = world.nodes[code].services.subjects.show(FIRM, "business-licence", CLERK, **options)
    found = [(look.parts[0].kind, summarise(look, code)) for look in shown.looks]
    return [(one.by, one.of, one.outcome, one.records) for kind, one in found if kind != "audit"]


def test_what_was_given_stays_given_after_a_second_question_of_its_id(world):
    assert world.ask_by_hand(rid=RID).result == "ok"
    again = world.ask_by_hand(rid=RID, items=[{"vct": VCT["permit:2018"], "fields": ["XK_WSH"]}])
    assert again.code == "request-replayed"
    assert looks(world, MARKET) == [(COURT, MARKET, "refused", None), (COURT, MARKET, "given", 3)]


def test_two_departments_of_one_id_are_two_looks(world):
    assert world.ask_by_hand(rid=RID).result == "ok"
    other = {"purpose": "licence-review", "basis": "licensing-law-34"}
    assert world.ask_by_hand(by=TAX, rid=RID, **other).result == "ok"
    assert [by for by, *_ in looks(world, MARKET)] == [TAX, COURT]


def test_a_question_back_is_not_part_of_the_question_before(world):
    world.nodes[COURT].import_penalties([1])
    world.anchor()
    assert world.ask_one().result == "ok"
    ((_, asked),) = world.events(COURT, "ask")
    other = {"purpose": "licence-review", "basis": "licensing-law-34"}
    assert world.ask_by_hand(by=MARKET, to=COURT, rid=asked.rid, **other).result == "ok"
    assert looks(world, COURT) == [(MARKET, COURT, "given", 1), (COURT, MARKET, "given", 3)]
    assert looks(world, COURT, limit=1, before=world.nodes[COURT].access.size() - 1)


def test_nothing_is_hidden_with_what_is_sealed(world):
    node = world.nodes[MARKET]
    sealed = EventDraft(
        kind="sealed",
        peer=TAX,
        rid=RID,
        subject={"type": "uscc", "id": COMPANY},
        purpose="supervision",
        items=[],
        box=b"b" * 32,
        open_by=world.clock.now_seconds() + 600,
        warrant=b"w" * 32,
    )
    node.services.access.log(sealed)
    assert world.ask_by_hand(rid=RID).result == "ok"
    node.services.access.log(sealed)
    assert looks(world, MARKET) == [(COURT, MARKET, "given", 3)]


def test_two_sealed_looks_of_one_id_are_two_when_their_seal_is_over():
    """Two departments look in secret under warrants of their own, and draw the same id: the second is not behind the first."""
    roles = ROLES | {TAX: ROLES[COURT]}
    with SealedWorld((COURT, MARKET, INSPECTOR, TAX), roles) as world:
        world.nodes[MARKET].import_penalties(range(2))
        world.anchor()
        for code in (COURT, TAX):
            draw_rid(world, code)
            assert world.ask_one(by=code, warrant=world.issue(asker=code)).result == "ok"
        assert looks(world, MARKET) == []
        world.clock.advance(seconds=21 * DAY)
        world.anchor()
        assert looks(world, MARKET) == [(TAX, MARKET, "given", 2), (COURT, MARKET, "given", 2)]
        # The asker's two events of its own look are still one.
        assert looks(world, COURT) == [(COURT, MARKET, "given", 2)]
        for code in (COURT, MARKET):
            assert world.nodes[code].check() == []


def draw_rid(world, code):
    """Have a department draw the id that it likes."""
    asker = world.exchanges[code].asker
    side, random = asker._side, asker._side.random
    object.__setattr__(side, "random", lambda count: RID if count == len(RID) else random(count))


def test_pages_hold_each_look_of_one_id_once(world):
    for case in ("1", "2", "3"):
        world.ask_by_hand(rid=RID, case=case)
    view = world.nodes[MARKET].services.subjects
    cases, before = [], None
    while True:
        page = view.show(FIRM, "business-licence", CLERK, limit=1, before=before)
        cases += [look.parts[0].values["case"] for look in page.looks if look.parts[0].kind != "audit"]
        before = page.next_before
        if before is None:
            break
    assert cases == ["3", "2", "1"]
