# SPDX-License-Identifier: Apache-2.0
"""Questions and answers between departments, and what of them stands in both logs."""

from __future__ import annotations

from dataclasses import replace

from node.access.answer import released_of
from node.access.receipt import parse_receipt
from node.log.merkle import leaf_hash
from node.ports import MemberStatus, Role
from node.service.exchange.ledger import find_promise, list_open
from tests.support.exchange_world import COURT, FIELDS, MARKET, TAX, VCT
from tests.support.node_world import WHY
from tests.support.rows import COMPANY, PERSON, RESIDENT_ID


def test_the_permitted_fields_come_back_and_three_events_say_so(world):
    outcome = world.ask_one()
    assert (outcome.result, outcome.code) == ("ok", None)
    assert [set(one.record.disclosed) for one in outcome.records] == [{*FIELDS, "subject"}] * 3
    assert [one.status for one in outcome.records] == [0, 0, 0]
    assert world.kinds(COURT) == ["ask", "receive"]
    assert world.kinds(MARKET) == ["grant"]
    (asked, ask), (received, receive) = world.events(COURT)
    ((granted, grant),) = world.events(MARKET)
    assert ask.rid == grant.rid == receive.rid
    assert grant.req == receive.req == outcome.answer.req
    of_ask, of_grant, of_receive = (
        world.values(COURT, asked),
        world.values(MARKET, granted),
        world.values(COURT, received),
    )
    assert (of_ask["peer"], of_grant["peer"], of_receive["peer"]) == (MARKET, COURT, MARKET)
    assert (
        of_ask["subject"] == of_grant["subject"] == of_receive["subject"] == {"type": "uscc", "id": COMPANY}
    )
    assert of_ask["officer"] == of_receive["officer"] == {"id": "li", "idp": None, "auth": None}
    assert of_grant["officer"] is None
    assert of_ask["released"] is None
    assert of_grant["released"] == of_receive["released"] == released_of(outcome.answer.records)
    assert grant.n == receive.n == 3


def test_no_record_is_an_answer_like_any_other(world):
    outcome = world.ask_one(providers=(TAX,))
    assert (outcome.result, outcome.code, outcome.records) == ("none", None, ())
    assert outcome.answer.as_of == world.nodes[TAX].records.find_checkpoint()[1]
    assert world.kinds(TAX) == ["grant"]
    assert world.values(TAX, world.events(TAX)[0][0])["released"] == []
    assert world.kinds(COURT) == ["ask", "receive"]


def test_each_side_keeps_what_the_other_promised(world):
    world.ask_one()
    (_, (received, _)), ((granted, grant),) = world.events(COURT), world.events(MARKET)
    for code, place, other in ((COURT, received, MARKET), (MARKET, granted, COURT)):
        member, event, text = find_promise(world.nodes[code].store, place)
        receipt = parse_receipt(text)
        assert (member, receipt.iss, receipt.aud) == (other, other, code)
        assert receipt.leaf == leaf_hash(event)
        assert world.nodes[other].access.leaf(receipt.idx) == receipt.leaf
        assert receipt.rid == grant.rid


def test_many_are_asked_at_once_and_the_answers_stand_in_their_order(world):
    outcomes = world.ask(providers=(TAX, MARKET))
    assert [(one.provider, one.result) for one in outcomes] == [(TAX, "none"), (MARKET, "ok")]
    rids = {event.rid for _, event in world.events(COURT)}
    assert len(rids) == 2, "each provider's question has a rid of its own"


def test_one_that_is_away_makes_the_rest_partial_and_is_logged_too(world):
    world.post.away = {TAX}
    outcomes = world.ask(providers=(TAX, MARKET))
    assert [one.result for one in outcomes] == ["failed", "ok"]
    assert outcomes[0].code == "peer-away"
    assert sorted(world.kinds(COURT)) == ["ask", "ask", "receive", "receive"]
    released = [world.values(COURT, index)["released"] for index, _ in world.events(COURT, "receive")]
    assert sorted(one is None for one in released) == [False, True]
    assert not list(list_open(world.nodes[COURT].store))


def test_a_question_that_this_node_refuses_never_leaves_but_is_logged(world):
    outcome = world.ask_one(case=None)
    assert (outcome.result, outcome.code) == ("refused", "case-required")
    assert not world.post.sent
    ((index, deny),) = world.events(COURT)
    values = world.values(COURT, index)
    assert (deny.kind, values["rule"], values["officer"]["id"], values["peer"]) == (
        "deny",
        "case",
        "li",
        COURT,
    )
    (receipt,) = map(parse_receipt, outcome.receipts)
    assert (receipt.iss, receipt.aud, receipt.idx) == (COURT, COURT, index)


def test_a_question_that_the_provider_refuses_is_logged_on_both_sides(world):
    # The court's own node knows other rules than the regulator's.
    refused = world.ask_by_hand(case=None)
    assert (refused.result, refused.code, refused.records) == ("deny", "case-required", ())
    ((index, deny),) = world.events(MARKET)
    values = world.values(MARKET, index)
    assert (deny.kind, values["rule"], values["released"]) == ("deny", "case", None)


def test_about_a_person_is_answered_only_where_a_law_lifts_consent(world):
    world.nodes[MARKET].import_penalties([7], **PERSON)
    world.anchor()
    outcome = world.ask_one(
        subject_type="rid", subject_id=RESIDENT_ID, basis="civil-procedure-253", purpose="pre-listing"
    )
    assert (outcome.result, len(outcome.records)) == ("ok", 1)
    outcome = world.ask_one(subject_type="rid", subject_id=RESIDENT_ID)
    assert (outcome.result, outcome.code) == ("refused", "consent-required")


def test_withdrawn_records_are_not_shared_any_more(world):
    node = world.nodes[MARKET]
    node.services.records.withdraw(node.leaf(1), officer="wang", ground="annulled")
    assert len(world.ask_one().records) == 2
    world.anchor()
    assert len(world.ask_one().records) == 2


def test_erased_records_are_not_shared_any_more(world):
    node = world.nodes[MARKET]
    before = world.ask_one()
    assert len(before.records) == 3
    node.services.eraser.erase(node.leaf(0), ground="ordered", why=WHY)
    world.anchor()
    assert len(world.ask_one().records) == 2


def test_what_was_imported_after_the_last_checkpoint_is_told_with_the_next(world):
    world.nodes[MARKET].import_penalties([8])
    outcome = world.ask_one()
    assert len(outcome.records) == 3
    world.anchor()
    assert len(world.ask_one().records) == 4


def test_only_fields_that_a_record_has_are_disclosed(world):
    world.nodes[MARKET].import_penalties([9], CF_NR_FK="", CF_CFLB="警告", CF_NR="警告")
    world.anchor()
    fields = ("CF_NR_FK", "CF_WSH")
    outcome = world.ask_one(fields={VCT["penalty:2018"]: fields})
    assert sorted(len(one.record.disclosed) for one in outcome.records) == [2, 3, 3, 3]


def test_a_suspended_member_gets_no_answer_and_a_deny(world):
    members = world.chain.state.members
    members[COURT] = replace(members[COURT], status=MemberStatus.SUSPENDED)
    world.clock.advance(seconds=11)
    refused = world.ask_by_hand()
    assert (refused.result, refused.code) == ("deny", "member-inactive")
    assert world.kinds(MARKET) == ["deny"]


def test_a_member_without_the_purposes_role_is_refused(world):
    outcome = world.ask_one(by=TAX)
    assert (outcome.result, outcome.code) == ("refused", "purpose-role")
    assert Role.CONSUMER not in world.chain.state.members[TAX].roles


def test_the_stores_of_both_hold_nothing_that_is_wrong(world):
    world.ask(providers=(TAX, MARKET))
    world.ask_one(case=None)
    world.ask_by_hand(case=None)
    for node in world.nodes.values():
        assert node.check() == []
    world.anchor()
