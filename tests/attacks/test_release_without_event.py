# SPDX-License-Identifier: Apache-2.0
"""Release without event: an administrator wants to see, or to have shown, what no log will ever tell of.

He owns the machine. He fills its disk just before the event would be written, cuts the power behind it, makes the
directory of the head files read-only, and tries each way in which anything comes out: a look of own staff, an
export, the openings for an auditor, what the window shows a subject, an answer to another member. Nothing comes out
and no secret is unwrapped. Nor does a program of his own in the same process get further with what it can lay hands
on: a look made by hand, one that was used, a copy of one. And the other side of an exchange gives nothing either to a
member whose log did not take the question.
"""

from __future__ import annotations

import copy
import pickle
from dataclasses import replace

import pytest

from node.access.question import AskedSubject, ItemQuery
from node.errors import AccessDenied, Fatal, NodeError, Unavailable
from node.service.consents import Terms
from node.service.drafting import EventDraft
from node.service.subjects import DOCUMENTS
from tests.support.exchange_audit import OwnLog
from tests.support.exchange_world import COURT, FIELDS, MARKET, VCT
from tests.support.node_world import WHY
from tests.support.rows import COMPANY

SUBJECT, DOCUMENT = AskedSubject("uscc", COMPANY), DOCUMENTS[0]


def look(node):
    return node.services.records.show(node.leaf(0), WHY)


def export(node):
    return node.services.exporter.export(node.leaf(0), ["CF_WSH"], WHY)


def open_for_an_auditor(node):
    return OwnLog(node).fetch_openings(0, node.access.published_size())


def show_at_the_window(node):
    return node.services.exchange.window.show_of(SUBJECT, WHY)


def show_the_subject_its_looks(node):
    return node.services.subjects.show(SUBJECT, DOCUMENT, WHY)


def search(node):
    return node.services.records.find("uscc", COMPANY, WHY, limit=10)


WAYS = [look, export, open_for_an_auditor, show_at_the_window, show_the_subject_its_looks, search]


def fill_disk(node):
    node.store.fail_next(Unavailable("store-disk-full", "no space"))


def cut_power(node):
    node.store.fail_next(Fatal("store-commit-failed", "power"))


def cut_power_behind(node):
    node.store.fail_next(Fatal("store-commit-failed", "power"), stored=True)


def lock_heads(node):
    node.heads.fault = Fatal("head-not-stored", "read-only")


FAULTS = [fill_disk, cut_power, cut_power_behind, lock_heads]


@pytest.fixture
def world(world):
    """There is something to see in every way: records, a consent, events; the regulator's unwraps are counted."""
    node = world.nodes[MARKET]
    items = (ItemQuery(VCT["penalty:2018"], (*FIELDS, "subject")),)
    end = world.clock.now_seconds() + 86_400
    world.exchanges[MARKET].window.give(Terms(SUBJECT, MARKET, COURT, "window-query", items, end, 1), WHY)
    world.anchor()
    world.unwrapped = []
    unwrap = node.keeper.unwrap

    def counted(wrapped, name):
        world.unwrapped.append(name)
        return unwrap(wrapped, name)

    node.keeper.unwrap = counted
    return world


def test_each_way_shows_something_as_long_as_the_log_takes_the_event(world):
    """The control."""
    for way in WAYS:
        events, unwrapped = len(world.events(MARKET)), len(world.unwrapped)
        assert way(world.nodes[MARKET])
        assert len(world.events(MARKET)) == events + 1
        assert (len(world.unwrapped) > unwrapped) == (way is not search), "a list of records opens none"


@pytest.mark.parametrize("break_", FAULTS)
def test_nothing_comes_out_when_the_event_is_not_durable(world, break_):
    node = world.nodes[MARKET]
    for way in WAYS:
        break_(node)
        with pytest.raises((Unavailable, Fatal)):
            way(node)
        if break_ is not fill_disk:
            # A node that does not know its own state shows nothing more until it was started again.
            for other in WAYS:
                with pytest.raises(Fatal):
                    other(node)
            world.restart(MARKET)
        assert world.unwrapped == []


@pytest.mark.parametrize("break_", FAULTS)
def test_no_answer_leaves_when_the_grant_is_not_durable(world, break_):
    break_(world.nodes[MARKET])
    outcome = world.ask_one()
    assert (outcome.result, outcome.records, outcome.answer) == ("failed", (), None)
    assert world.post.answers == []
    assert world.unwrapped == []


@pytest.mark.parametrize("break_", FAULTS)
def test_no_question_leaves_when_the_ask_is_not_durable(world, break_):
    break_(world.nodes[COURT])
    with pytest.raises((Unavailable, Fatal)):
        world.ask()
    assert world.post.sent == []
    assert world.kinds(MARKET) == ["consent"]


@pytest.mark.parametrize("break_", FAULTS)
def test_the_officer_sees_nothing_when_the_receive_is_not_durable(world, break_):
    def break_then(body):
        break_(world.nodes[COURT])
        return body

    # The court's node writes nothing between the answer's arrival and the receive but what it hears of others' logs.
    assert world.ask_one().result == "ok"
    world.post.on_answer = break_then
    outcome = world.ask_one()
    assert (outcome.result, outcome.records, outcome.answer) == ("failed", (), None)


def test_a_program_in_the_same_process_makes_no_look(world):
    node = world.nodes[MARKET]
    vault = node.services.records._vault
    place = node.lines()[0].index
    release = vault.plan_release(place, ["CF_WSH"])
    logged = node.services.access.log_look("read", WHY, [release])
    assert vault.open(logged.look, place).values
    seen = len(world.unwrapped)
    forged = (
        lambda: replace(logged.look, releases={place: release, 99: release}),
        lambda: copy.copy(logged.look),
        lambda: copy.deepcopy(logged.look),
        lambda: pickle.loads(pickle.dumps(logged.look)),
        lambda: logged.look,
        lambda: None,
        type("Look", (), {"releases": {place: release}, "use": lambda *_: None}),
    )
    for make in forged:
        with pytest.raises((AccessDenied, TypeError, ValueError, AttributeError)):
            vault.open(make(), place)
    assert len(world.unwrapped) == seen


def test_an_event_that_names_nothing_opens_nothing(world):
    """The event is honest and empty; what it does not name stays closed."""
    node = world.nodes[MARKET]
    vault = node.services.records._vault
    for draft in (
        EventDraft(kind="ask", peer=COURT),
        EventDraft(kind="grant", peer=COURT, req=bytes(32), released=[]),
        EventDraft(kind="read", purpose="own-records"),
    ):
        try:
            granted = node.services.access.log(draft).look
        except NodeError:
            continue
        for index in (line.index for line in node.lines()):
            with pytest.raises(AccessDenied):
                vault.open(granted, index)
    assert world.unwrapped == []
