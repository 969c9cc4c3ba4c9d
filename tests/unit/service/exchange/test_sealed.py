# SPDX-License-Identifier: Apache-2.0
"""Looks under a warrant, with the inspector's node as a party: nothing is released before it holds what was sealed."""

from __future__ import annotations

from dataclasses import replace
from hashlib import sha256

import pytest

from node.access.event import parse_event
from node.access.receipt import parse_receipt
from node.access.sealed import verify_sealed
from node.access.warrant import MOST_SEALED_SECONDS, parse_warrant
from node.crypto.token import token_digest
from node.errors import (
    AccessDenied,
    Conflict,
    Fatal,
    InvalidInput,
    NodeError,
    NotFound,
    Unavailable,
)
from node.ports import MemberStatus
from node.service.exchange.ledger import find_newest_receipt
from node.service.sealing import find_deposited, find_warrant, is_still_sealed, list_counts
from tests.support.errors import raises_code
from tests.support.exchange_world import COURT, MARKET, TAX
from tests.support.rows import COMPANY
from tests.support.sealed_world import DAY, INSPECTOR, WHY, SealedWorld


@pytest.fixture
def world():
    with SealedWorld() as made:
        made.nodes[MARKET].import_penalties(range(2))
        made.anchor()
        yield made


def entry(world, code, index):
    reader = world.nodes[code].access
    return reader.entry(reader.row(index))


def sealed_events(world, code):
    return world.events(code, "sealed")


def refused(world, outcome, result, code):
    """Nothing left a node, and nobody's log names the subject."""
    assert (outcome.result, outcome.code) == (result, code)
    assert outcome.records == ()
    for member in (COURT, MARKET):
        for index, event in world.events(member, "ask", "grant", "deny", "receive"):
            values = world.values(member, index)
            assert [values[name] for name in ("subject", "purpose", "items", "case")] == [None] * 4, (
                event.kind
            )


def test_a_sealed_look_leaves_three_sealed_events_and_the_inspector_can_open_each(world):
    warrant = world.issue()
    outcome = world.ask_one(warrant=warrant)
    assert (outcome.result, len(outcome.records)) == ("ok", 2)
    digest, open_by = token_digest(warrant), parse_warrant(warrant).open_by
    ask, receive = sealed_events(world, COURT)
    (grant,) = sealed_events(world, MARKET)
    rids = set()
    for _, event in (ask, grant, receive):
        assert (event.warrant, event.open_by) == (digest, open_by)
        rids.add(event.rid)
    assert len(rids) == 1
    # The inspector's own events name the same boxes, and look at nothing themselves.
    kept = sealed_events(world, INSPECTOR)
    assert [(event.box, event.n) for _, event in kept] == [
        (event.box, 0) for _, event in (ask, grant, receive)
    ]
    for held, (code, (index, _)) in zip(
        world.depository.boxes(after=None, limit=10),
        ((COURT, ask), (MARKET, grant), (COURT, receive)),
        strict=True,
    ):
        opened = world.depository.open(held.box, WHY)
        assert opened.values["subject"] == {"type": "uscc", "id": COMPANY}
        event = parse_event(entry(world, code, index))
        box = world.nodes[INSPECTOR].store.get(b"Sb" + held.box)
        assert verify_sealed(event, box, opened.openings) == world.values(code, index)
    assert {code: world.kinds(code).count("audit") for code in (COURT, MARKET, INSPECTOR)} == {
        COURT: 0,
        MARKET: 0,
        INSPECTOR: 1 + 3,
    }


def test_nothing_leaves_a_side_before_the_inspector_holds_its_box(world):
    seen = []

    def note(step):
        def on(body):
            seen.append((step, len(sealed_events(world, INSPECTOR)), len(sealed_events(world, COURT))))
            return body

        return on

    world.post.on_request, world.post.on_answer = note("request"), note("answer")
    world.ask_one(warrant=world.issue())
    # When the request leaves the ask's box is held and the ask is logged; when the answer comes, the grant's, too.
    assert seen == [("request", 1, 1), ("answer", 2, 1)]


def test_each_side_keeps_the_inspectors_receipt_for_its_box(world):
    world.ask_one(warrant=world.issue())
    for code in (COURT, MARKET):
        node = world.nodes[code]
        for index, event in sealed_events(world, code):
            regulator, theirs, receipt = find_deposited(node.store, node.access.place(index))
            assert regulator == INSPECTOR
            assert parse_event(theirs).box == event.box
            assert receipt.count(".") == 2
        # The inspector's machine is shown it when it starts: it cannot be put back to before it held the box.
        newest = parse_receipt(find_newest_receipt(node.store, INSPECTOR))
        held = [one.place for one in world.depository.boxes(after=None, limit=9) if one.owner == code]
        assert newest.idx == max(held)


def test_an_inspector_who_is_away_is_waited_for_once():
    with SealedWorld((COURT, MARKET, TAX, INSPECTOR)) as world:
        warrant, tried = world.issue(), []

        def away(body):
            tried.append(body)
            raise Unavailable("peer-away", "no answer")

        world.post.on_deposit = away
        outcomes = world.ask(warrant=warrant, providers=(MARKET, TAX))
        assert [one.code for one in outcomes] == ["regulator-away"] * 2
        assert len(tried) == 1


def test_an_inspector_who_is_away_keeps_the_question_at_home(world):
    warrant = world.issue()
    world.post.away = {INSPECTOR}
    refused(world, world.ask_one(warrant=warrant), "refused", "regulator-away")
    assert world.post.sent == []


def test_an_inspector_who_goes_away_before_the_grant_lets_nothing_be_given(world):
    warrant = world.issue()

    def go(body):
        world.post.away = {INSPECTOR}
        return body

    world.post.on_request = go
    refused(world, world.ask_one(warrant=warrant), "deny", "regulator-away")
    assert sealed_events(world, MARKET) == []
    # The court's own ask stays sealed, and is in the inspector's hands.
    assert len(sealed_events(world, COURT)) == len(sealed_events(world, INSPECTOR)) == 1


def test_an_inspector_who_goes_away_before_the_receive_lets_nothing_be_shown(world):
    warrant = world.issue()

    def go(body):
        world.post.away = {INSPECTOR}
        return body

    world.post.on_answer = go
    refused(world, world.ask_one(warrant=warrant), "failed", "regulator-away")
    (receive,) = world.events(COURT, "receive")
    assert world.values(COURT, receive[0])["released"] is None


def test_looks_are_counted_across_both_sides_and_a_restart_of_the_inspector(world):
    warrant = world.issue(looks=2)
    assert world.ask_one(warrant=warrant).result == "ok"
    world.restart(INSPECTOR)
    assert world.ask_one(warrant=warrant).result == "ok"
    refused(world, world.ask_one(warrant=warrant), "refused", "warrant-used-up")
    (issued,) = world.depository.warrants(after=None, limit=10)
    assert issued.used == 2


def test_a_court_that_forgot_what_it_used_is_refused_by_the_inspector(world):
    """The asker's own count is a courtesy; the inspector's holds."""
    warrant = world.issue(looks=1)
    world.ask_one(warrant=warrant)
    digest = token_digest(warrant)
    world.nodes[COURT].services.sequencer.run(lambda tx: tx.delete(b"Cc" + digest), entries=0)
    assert world.nodes[COURT].store.get(b"Cc" + digest) is None
    refused(world, world.ask_one(warrant=warrant), "refused", "warrant-used-up")


@pytest.mark.parametrize(
    ("make", "code"),
    [
        (lambda world: world.issue(asker=MARKET), "warrant-asker"),
        (lambda world: world.issue(looks=1)[:-8] + "AAAAAAAA", "ed25519-signature"),
    ],
    ids=["of another asker", "signed by nobody"],
)
def test_a_warrant_that_is_not_for_this_asker_seals_nothing(world, make, code):
    outcome = world.ask_one(warrant=make(world))
    assert (outcome.result, outcome.code) == ("refused", code)
    # A refusal like any other: its subject is shown it.
    ((index, _),) = world.events(COURT, "deny")
    assert world.values(COURT, index)["subject"] == {"type": "uscc", "id": COMPANY}
    assert world.post.deposits == []


def test_an_expired_warrant_seals_nothing_and_tells_the_subject_nothing(world):
    warrant = world.issue(seconds=DAY)
    world.clock.advance(seconds=DAY)
    world.anchor()
    refused(world, world.ask_one(warrant=warrant), "refused", "warrant-expired")


def test_a_warrant_that_was_taken_back_seals_nothing(world):
    warrant = world.issue()
    world.depository.take_back(token_digest(warrant), WHY)
    refused(world, world.ask_one(warrant=warrant), "refused", "warrant-revoked")
    with raises_code(Conflict, "warrant-revoked"):
        world.depository.take_back(token_digest(warrant), WHY)
    with raises_code(NotFound, "warrant-unknown"):
        world.depository.take_back(bytes(32), WHY)


def test_a_warrant_releases_nothing_that_the_policy_refuses(world):
    warrant = world.issue()
    refused(world, world.ask_one(warrant=warrant, case=None), "refused", "case-required")
    plain = world.ask_one(
        warrant=warrant, purpose="pre-listing", basis="enforcement-publicity", case="2026-执-17"
    )
    assert (plain.result, plain.code) == ("refused", "sealed-beyond-purpose")


def test_only_a_regulator_issues_warrants_and_for_others(world):
    with raises_code(AccessDenied, "warrant-issuer"):
        world.issue(by=MARKET)
    with raises_code(InvalidInput, "warrant-self"):
        world.issue(asker=INSPECTOR)
    with raises_code(AccessDenied, "member-unknown"):
        world.issue(asker=TAX)
    with raises_code(InvalidInput, "warrant-validity"):
        world.issue(seconds=3 * DAY, open_seconds=2 * DAY)
    with raises_code(InvalidInput, "warrant-validity"):
        world.issue(open_seconds=MOST_SEALED_SECONDS + 1)
    world.issue(open_seconds=MOST_SEALED_SECONDS)


def test_warrants_are_listed_in_pages_in_the_order_of_their_issue(world):
    tokens = [world.issue(looks=number) for number in range(1, 6)]
    seen, after = [], None
    while page := world.depository.warrants(after=after, limit=2):
        assert len(page) <= 2
        seen += [one.token for one in page]
        after = page[-1].place
    assert seen == tokens


def test_a_box_counts_as_opened_once_it_was_opened(world):
    """A crash between look and note leaves the look in the log and the box unopened; whoever opens it again is logged again."""
    world.ask_one(warrant=world.issue(seconds=DAY, open_seconds=DAY))
    world.clock.advance(seconds=2 * DAY)
    world.anchor()
    held, *_ = world.depository.boxes(after=None, limit=1)
    node = world.nodes[INSPECTOR]
    node.store.faults[node.store.commits + 1] = (Fatal("store-commit-failed", "power cut"), False)
    with raises_code(Fatal, "store-commit-failed"):
        world.depository.open(held.box, WHY)
    node.store.faults.clear()
    world.restart(INSPECTOR)
    assert world.kinds(INSPECTOR).count("audit") == 2
    assert world.depository.find(held.box).opened is None
    assert held.box in {one.box for one in world.depository.overdue(limit=10)}
    assert node.check() == []
    assert world.depository.open(held.box, WHY).values["subject"] is not None
    first = world.depository.find(held.box).opened
    assert world.kinds(INSPECTOR).count("audit") == 3
    world.clock.advance(seconds=100)
    world.depository.open(held.box, WHY)
    assert world.depository.find(held.box).opened == first, "the first time stays"
    assert held.box not in {one.box for one in world.depository.overdue(limit=10)}
    assert node.check() == []


def test_a_look_at_the_regulator_itself_is_not_sealed(world):
    outcome = world.ask_one(warrant=world.issue(), providers=(INSPECTOR,))
    assert (outcome.result, outcome.code) == ("refused", "warrant-issuer")


@pytest.mark.parametrize("status", [MemberStatus.SUSPENDED, MemberStatus.REMOVED])
def test_under_the_warrant_of_a_regulator_that_may_not_act_nothing_is_given_and_nothing_said(world, status):
    warrant = world.issue()
    members = world.chain.state.members
    members[INSPECTOR] = replace(members[INSPECTOR], status=status)
    world.clock.advance(seconds=11)
    refused(world, world.ask_one(warrant=warrant), "refused", "warrant-issuer")
    assert world.post.sent == world.post.deposits == []
    # From the warrant's day on it is no secret any more that it was tried.
    world.clock.advance(seconds=20 * DAY)
    world.anchor(COURT, MARKET)
    world.ask_one(warrant=warrant)
    (index, _) = world.events(COURT, "deny")[-1]
    assert world.values(COURT, index)["subject"] == {"type": "uscc", "id": COMPANY}


def test_no_message_of_a_refusal_under_a_warrant_names_its_subject(world):
    """Whatever is wrong with the warrant: codes and members alone, neither the subject nor the case."""
    warrant, messages = world.issue(), []
    directory = world.exchanges[COURT].asker._side.directory
    for token, provider in ((warrant, INSPECTOR), (warrant[:-8] + "AAAAAAAA", MARKET), ("x.y.z", MARKET)):
        with pytest.raises(NodeError) as caught:
            find_warrant(
                directory, token, asker=COURT, provider=provider, now_seconds=world.clock.now_seconds()
            )
        messages.append(caught.value.message)
    world.depository.take_back(token_digest(warrant), WHY)
    outcome = world.ask_one(warrant=warrant)
    assert outcome.code == "warrant-revoked"
    said = " ".join((*messages, repr(outcome)))
    assert COMPANY not in said
    assert "2026-监-3" not in said


def test_a_sealed_event_is_shown_from_its_day_on(world):
    warrant = world.issue()
    world.ask_one(warrant=warrant)
    (_, event), _ = sealed_events(world, COURT)
    open_by = parse_warrant(warrant).open_by
    assert is_still_sealed(event, open_by - 1)
    assert not is_still_sealed(event, open_by)


def test_boxes_that_nobody_opened_by_their_day_are_listed_until_they_are(world):
    world.ask_one(warrant=world.issue())
    held = world.depository.boxes(after=None, limit=10)
    assert [one.part for one in held] == ["ask", "grant", "receive"]
    assert world.depository.overdue(limit=10) == []
    world.clock.advance(seconds=20 * DAY)
    world.anchor()
    assert [one.box for one in world.depository.overdue(limit=2)] == sorted(one.box for one in held)[:2]
    world.depository.open(held[0].box, WHY)
    assert {one.box for one in world.depository.overdue(limit=10)} == {one.box for one in held[1:]}
    assert world.depository.find(held[0].box).opened == world.clock.now_seconds()
    # Looking again is another look, and stays possible.
    assert world.depository.open(held[0].box, WHY).held.opened is not None
    with raises_code(NotFound, "deposit-unknown"):
        world.depository.open(sha256(b"").digest(), WHY)


def test_counts_say_how_many_looks_and_nothing_else(world):
    warrant = world.issue()
    world.ask_one(warrant=warrant)
    world.ask_one(warrant=warrant)
    world.clock.advance(seconds=5 * DAY)
    world.anchor()
    world.ask_one(warrant=warrant)
    later = world.clock.now_seconds() + 31 * DAY
    counts = {code: list(list_counts(world.nodes[code].store, later)) for code in (COURT, MARKET, INSPECTOR)}
    assert sum(one.asked for one in counts[COURT]) == sum(one.answered for one in counts[MARKET]) == 3
    assert [one.month for one in counts[COURT]] == [one.month for one in counts[MARKET]]
    assert counts[INSPECTOR] == []


def test_the_same_envelope_again_gets_the_stored_answer_and_no_second_box(world):
    world.ask_one(warrant=world.issue())
    (_, body), boxes = world.post.sent[0], len(world.depository.boxes(after=None, limit=10))
    assert world.post.deliver(MARKET, body) == world.post.answers[0]
    assert len(world.depository.boxes(after=None, limit=10)) == boxes
    # The same deposit once more is the same event and receipt, and no second one.
    events = len(sealed_events(world, INSPECTOR))
    for body, _ in list(world.post.deposits):
        world.depository.take(body)
    assert len(sealed_events(world, INSPECTOR)) == events


def test_an_inspector_whose_log_fails_gives_no_receipt(world):
    warrant = world.issue()
    node = world.nodes[INSPECTOR]
    node.store.faults[node.store.commits] = (Unavailable("store-commit-failed", "disk full"), False)
    refused(world, world.ask_one(warrant=warrant), "refused", "regulator-away")
    assert sealed_events(world, INSPECTOR) == []


def test_many_subjects_are_not_asked_in_secret(world):
    with raises_code(InvalidInput, "bulk-sealed"):
        world.ask(warrant=world.issue(), many=(COMPANY,))
    assert world.post.deposits == []
