# SPDX-License-Identifier: Apache-2.0
"""Questions about many subjects: one event on each side with a line for each subject, counted by the line."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import msgpack
import pytest

from node.access.answer import released_of
from node.access.bulk import hash_lines, parse_line, released_set
from node.access.event import parse_event
from node.errors import Conflict, InvalidInput, NotFound
from node.service.drafting import EventDraft, Officer
from node.service.exchange.approvals import MOST_OF_ONE, MOST_WAITING, WAIT_SECONDS
from node.service.exchange.ledger import list_open
from node.service.looking import _MINT, Look
from tests.support.audit_world import codes_of
from tests.support.errors import raises_code
from tests.support.exchange_audit import audit, settle
from tests.support.exchange_world import COURT, MARKET, TAX, VCT
from tests.support.many import (
    APPROVED,
    CAP,
    LI,
    WANG,
    ZHAO,
    approve,
    ask_many,
    ask_one_of_many,
    audit_two,
    companies,
    market_world,
)

GUARD_SECONDS = 120


@pytest.fixture
def world():
    with market_world() as made:
        yield made


def wait_for(condition):
    deadline = time.monotonic() + GUARD_SECONDS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def waiting_of(world):
    return world.exchanges[COURT].many.approvals.list_waiting()


def lines_of(world, code, index):
    """The lines of a bulk event, as only its own node knows them."""
    place = world.nodes[code].access.place(index)
    look = Look(index, {}, frozenset({place}), _MINT)
    return world.nodes[code].services.records._vault.open_whole(look, place)[1]


def test_each_line_has_its_own_answer(world):
    ids = companies(4)
    outcome = ask_one_of_many(world, ids)
    assert (outcome.result, outcome.code, len(outcome.records)) == ("ok", None, 4)
    answer = outcome.answer
    assert [one.line.subject.id for one in answer.lines] == ids
    assert [len(one.line.released) for one in answer.lines] == [3, 0, 1, 0]
    assert [(one.withheld, one.code) for one in answer.lines] == [(0, None)] * 4
    assert [one.record.disclosed["subject"]["id"] for one in outcome.records] == [ids[0]] * 3 + [ids[2]]


def test_one_event_on_each_side_commits_to_all_lines(world):
    ids = companies(4)
    outcome = ask_one_of_many(world, ids)
    assert world.kinds(COURT) == ["bulk", "receive"]
    assert world.kinds(MARKET) == ["bulk"]
    (asked, ask), (received, receive) = world.events(COURT)
    ((granted, grant),) = world.events(MARKET)
    assert ask.rid == grant.rid == receive.rid
    assert (ask.req, grant.req, receive.req) == (None, outcome.answer.req, outcome.answer.req)
    assert (ask.n, grant.n, receive.n) == (4, 4, 4)
    assert ask.set_root != grant.set_root
    for code, index, event, released in (
        (COURT, asked, ask, [None] * 4),
        (MARKET, granted, grant, [one.line.released for one in outcome.answer.lines]),
    ):
        lines = lines_of(world, code, index)
        assert hash_lines(lines).root == event.set_root
        assert [(one.subject.id, one.released) for one in map(parse_line, lines)] == list(
            zip(ids, released, strict=True)
        )
    assert [pair for one in outcome.answer.lines for pair in one.line.released] == released_of(
        outcome.answer.records
    )
    of_ask, of_grant, of_receive = (
        world.values(COURT, asked),
        world.values(MARKET, granted),
        world.values(COURT, received),
    )
    assert of_ask["officer"] == of_receive["officer"] == LI.to_json()
    assert of_grant["officer"] is of_ask["subject"] is of_grant["subject"] is None
    assert of_ask["released"] is of_grant["released"] is None
    assert of_receive["released"] == released_set(grant.set_root)


def test_no_record_about_anybody_is_an_answer_too(world):
    outcome = ask_one_of_many(world, companies(3, start=5))
    assert (outcome.result, outcome.records) == ("none", ())
    assert [one.line.released for one in outcome.answer.lines] == [[], [], []]


def test_many_departments_are_asked_about_many(world):
    asked = ask_many(world, companies(3), providers=(TAX, MARKET))
    assert [(one.provider, one.result) for one in asked.outcomes] == [(TAX, "none"), (MARKET, "ok")]
    assert sorted(world.kinds(COURT)) == ["bulk", "bulk", "receive", "receive"]


def test_codes_are_folded_and_nobody_is_asked_about_twice(world):
    ids = companies(2)
    assert ask_one_of_many(world, [ids[0].lower(), f" {ids[1]} "]).result == "ok"
    with raises_code(InvalidInput, "bulk-subjects"):
        ask_many(world, [*ids, ids[0].lower()])
    with raises_code(InvalidInput, "bulk-lines"):
        ask_many(world, companies(APPROVED + 1))
    assert world.kinds(COURT) == ["bulk", "receive"]


def test_a_provider_that_is_away_leaves_an_end_of_nothing(world):
    world.post.away = {MARKET}
    outcome = ask_one_of_many(world, companies(2))
    assert (outcome.result, outcome.code) == ("failed", "peer-away")
    (_, ask), (received, receive) = world.events(COURT)
    assert (ask.kind, receive.kind, receive.n) == ("bulk", "receive", 1)
    assert world.values(COURT, received)["released"] is None


def test_what_the_purpose_forbids_is_logged_as_refused_without_its_lines(world):
    outcome = ask_one_of_many(world, companies(2), case=None)
    assert (outcome.result, outcome.code) == ("refused", "case-required")
    ((index, event),) = world.events(COURT)
    assert (event.kind, event.n, event.set_root) == ("deny", 1, None)
    assert world.values(COURT, index)["subject"] is None


def test_the_same_bytes_get_the_same_answer_and_no_second_event(world):
    ask_one_of_many(world, companies(3))
    (_, body), (first,) = world.post.sent[-1], world.post.answers
    assert world.post.deliver(MARKET, body) == first
    assert world.kinds(MARKET) == ["bulk"]


def test_an_asker_that_died_logs_the_end_of_its_question(world):
    def die(_body):
        raise OSError("killed")

    world.post.on_answer = die
    with pytest.raises(OSError, match="killed"):
        ask_many(world, companies(2))
    world.restart(COURT)
    world.clock.advance(seconds=300)
    assert world.exchanges[COURT].asker.close_lost() == 1
    assert world.kinds(COURT) == ["bulk", "receive"]
    assert not list(list_open(world.nodes[COURT].store))


# ---- second approvers


def test_up_to_the_cap_one_person_asks(world):
    assert ask_many(world, companies(CAP)).waiting is None
    assert "second" not in world.values(COURT, world.events(COURT, "bulk")[0][0])["officer"]


def test_above_the_cap_a_second_person_approves_and_stands_in_the_event(world):
    ids = companies(CAP + 1)
    asked = ask_many(world, ids)
    assert asked.outcomes == []
    assert (asked.waiting.officer, asked.waiting.lines, asked.waiting.approver) == ("li", CAP + 1, None)
    assert world.kinds(COURT) == [], "what waits leaves nothing in the log"
    assert ask_many(world, ids).waiting == asked.waiting, "asking again changes nothing"
    assert approve(world, asked.waiting, ids).approver == "wang"

    outcome = ask_one_of_many(world, ids)
    assert (outcome.result, len(outcome.answer.lines)) == ("ok", CAP + 1)
    assert world.values(COURT, world.events(COURT, "bulk")[0][0])["officer"] == {
        **LI.to_json(),
        "second": WANG.to_json(),
    }
    assert world.exchanges[COURT].many.approvals.list_waiting() == []


def test_an_approval_is_good_for_one_question_about_the_very_same(world):
    ids = companies(CAP + 1)
    waiting = ask_many(world, ids).waiting
    with raises_code(Conflict, "approval-differs"):
        approve(world, waiting, companies(CAP + 1, start=1))
    with raises_code(Conflict, "approval-differs"):
        approve(world, waiting, ids, case="2026-招-18")
    with raises_code(Conflict, "approval-differs"):
        approve(world, waiting, ids, fields={VCT["penalty:2018"]: ("CF_WSH",)})
    approve(world, waiting, ids)
    assert ask_many(world, ids, officer=ZHAO).waiting.id != waiting.id, "nobody else asks on it"
    assert ask_one_of_many(world, ids).result == "ok"
    again = ask_many(world, ids).waiting
    assert (again.id, again.approver) == (waiting.id, None), "the next time it waits once more"


def test_what_waits_outlives_a_restart_and_expires(world):
    ids = companies(CAP + 1)
    waiting = ask_many(world, ids).waiting
    approve(world, waiting, ids)
    world.restart(COURT)
    (listed,) = world.exchanges[COURT].many.approvals.list_waiting()
    assert (listed.id, listed.approver) == (waiting.id, "wang")
    assert world.nodes[COURT].check() == []
    world.clock.advance(seconds=WAIT_SECONDS)
    world.anchor()
    approvals = world.exchanges[COURT].many.approvals
    assert approvals.list_waiting() == []
    with raises_code(NotFound, "approval-unknown"):
        approve(world, waiting, ids)
    assert ask_many(world, ids).waiting.approver is None
    world.clock.advance(seconds=WAIT_SECONDS)
    approvals.sweep()
    assert not list(world.nodes[COURT].store.scan(b"Eo", b"Ep"))


def test_one_approval_is_for_all_departments_of_the_order(world):
    ids = companies(CAP + 1)
    waiting = ask_many(world, ids, providers=(MARKET, TAX)).waiting
    approve(world, waiting, ids, providers=(MARKET, TAX))
    asked = ask_many(world, ids, providers=(MARKET, TAX))
    assert [one.result for one in asked.outcomes] == ["ok", "none"]


def test_only_so_many_wait_at_once(world):
    approvals = world.exchanges[COURT].many.approvals
    for number in range(MOST_WAITING):
        officer = Officer(f"officer {number // MOST_OF_ONE}")
        ask_many(world, companies(CAP + 1), case=f"2026-招-{number}", officer=officer)
    assert len(approvals.list_waiting()) == MOST_WAITING
    with raises_code(Conflict, "approvals-full"):
        ask_many(world, companies(CAP + 1), case="2026-招-100", officer=Officer("one more"))


def test_one_officer_keeps_no_other_from_asking(world):
    asked = [{"case": f"2026-招-{number}"} for number in range(MOST_OF_ONE)]
    first, *_ = [ask_many(world, companies(CAP + 1), **one).waiting for one in asked]
    with raises_code(Conflict, "approvals-officer"):
        ask_many(world, companies(CAP + 1), case="2026-招-100")
    # The same question again is no new one, and another officer's goes through.
    assert ask_many(world, companies(CAP + 1), **asked[0]).waiting.id == first.id
    assert ask_many(world, companies(CAP + 1), officer=Officer("somebody else")).waiting is not None
    # What was asked makes room.
    approve(world, first, companies(CAP + 1), **asked[0])
    ask_many(world, companies(CAP + 1), **asked[0])
    assert ask_many(world, companies(CAP + 1), case="2026-招-100").waiting is not None


def test_what_waits_is_listed_as_it_was_filed_also_within_a_second_and_after_the_clock_was_put_back(world):
    def file(number):
        officer = Officer(f"officer {number // MOST_OF_ONE}")
        return ask_many(world, companies(CAP + 1), case=f"2026-招-{number}", officer=officer).waiting.id

    filed = [file(number) for number in range(12)]
    assert filed != sorted(filed), "ids tell nothing of the order"
    assert [one.id for one in waiting_of(world)] == filed
    world.restart(COURT)
    world.clock.put(seconds=-7)
    filed += [file(number) for number in range(12, 16)]
    assert [one.id for one in waiting_of(world)] == filed
    # What one has taken out of the middle, and what was filed by an earlier release.
    store = world.nodes[COURT].store
    fields = msgpack.unpackb(store.get(b"Eo" + filed[9]))
    store.damage(b"Eo" + filed[9], msgpack.packb(fields[:-1]))
    assert [one.id for one in waiting_of(world)] == [filed[9], *filed[:9], *filed[10:]]
    assert world.nodes[COURT].check() == []


def test_of_many_that_come_at_once_no_more_wait_than_may(world):
    """All are under way before the first is written: the writer counts, not whoever asks."""
    many, node = world.exchanges[COURT].many, world.nodes[COURT]
    for number in range(MOST_OF_ONE - 2):
        ask_many(world, companies(CAP + 1), case=f"2026-招-{number}")
    sequencer, started, go = node.services.sequencer, threading.Event(), threading.Event()
    held = sequencer.submit(lambda _: (started.set(), go.wait(GUARD_SECONDS)))
    assert started.wait(GUARD_SECONDS)
    with ThreadPoolExecutor(6) as threads:
        asked = [
            threads.submit(ask_many, world, companies(CAP + 1), case=f"2026-招-at-once-{number}")
            for number in range(6)
        ]
        wait_for(lambda: sequencer._queue.qsize() == len(asked))
        go.set()
        errors = [each.exception(GUARD_SECONDS) for each in asked]
    assert held.result(GUARD_SECONDS)[1]
    assert sorted(error.code for error in errors if error is not None) == 4 * ["approvals-officer"]
    waiting = many.approvals.list_waiting()
    assert len(waiting) == MOST_OF_ONE
    assert [one.number for one in waiting] == list(range(1, MOST_OF_ONE + 1)), (
        "two of one commit have an order too"
    )


def test_a_question_that_is_asked_anew_while_the_old_one_is_dropped_goes_on(world):
    approvals, node = world.exchanges[COURT].many.approvals, world.nodes[COURT]
    ids = companies(CAP + 1)
    first = ask_many(world, ids).waiting
    world.clock.advance(seconds=WAIT_SECONDS)
    world.anchor()
    run = node.services.sequencer.run
    again = []

    def asked_just_before(operation, *, entries):
        node.services.sequencer.run = run
        again.append(ask_many(world, ids).waiting)
        return run(operation, entries=entries)

    node.services.sequencer.run = asked_just_before
    approvals.sweep()
    assert again[0].id == first.id
    assert approvals.list_waiting() == again


def test_a_used_approval_stops_a_second_question_in_the_commit_of_its_event(world):
    """Two runs of one order that both found the approval: the second is refused, and logged so."""
    ids = companies(CAP + 1)
    many = world.exchanges[COURT].many
    approve(world, ask_many(world, ids).waiting, ids)
    find, found = many.approvals.find, []

    def find_before_the_other_used_it(id_):
        if not found:
            found.append(find(id_))
            ask_many(world, ids)
        return found[0]

    many.approvals.find = find_before_the_other_used_it
    (outcome,) = ask_many(world, ids).outcomes
    assert (outcome.result, outcome.code) == ("refused", "approver-required")
    assert world.kinds(COURT) == ["bulk", "receive", "deny"]
    assert world.values(COURT, world.events(COURT, "deny")[0][0])["rule"] == "bulk"
    assert world.kinds(MARKET) == ["bulk"]


def test_entries_are_small_however_many_lines(world):
    ask_one_of_many(world, companies(CAP))
    reader = world.nodes[MARKET].access
    index, _ = world.events(MARKET, "bulk")[0]
    entry = reader.entry(reader.row(index))
    assert len(entry) < 1_000
    assert parse_event(entry).n == CAP


# ---- what an auditor makes of it


def test_honest_questions_about_many_leave_nothing_that_does_not_fit(world):
    ask_many(world, companies(4), providers=(MARKET, TAX))
    ask_many(world, companies(2), case=None)
    world.post.away = {TAX}
    ask_many(world, companies(3), providers=(MARKET, TAX))
    world.post.away = set()
    settle(world)
    report = audit(world)
    assert codes_of(report) == set(), [finding.text("en") for finding in report.findings.listed]
    assert {code for code, _ in report.findings.remarks} == {"not-answered", "not-attested"}


def test_a_provider_that_drops_its_bulk_event_is_named(world):
    with market_world() as other:
        ask_many(world, companies(4))
        settle(world)
        settle(other)
        report = audit_two(world, COURT, other, MARKET)
    assert codes_of(report) == {"answer-missing"}
    assert [finding.member for finding in report.findings.listed] == [MARKET]


def test_an_asker_that_drops_its_bulk_event_is_named(world):
    with market_world() as other:
        ask_many(world, companies(4))
        settle(world)
        settle(other)
        report = audit_two(other, COURT, world, MARKET)
    assert codes_of(report) == {"ask-missing"}
    assert [finding.member for finding in report.findings.listed] == [COURT]


def test_a_receive_of_other_lines_than_the_provider_logged_is_named(world):
    court = world.nodes[COURT].services.access
    prepare, changed = court.prepare, []

    def prepare_other_lines(draft):
        if isinstance(draft, EventDraft) and draft.kind == "receive" and draft.released:
            draft = replace(draft, released=released_set(bytes(32)))
            changed.append(draft)
        return prepare(draft)

    court.prepare = prepare_other_lines
    ask_many(world, companies(4))
    assert changed
    settle(world)
    assert codes_of(audit(world)) == {"released-differs"}
