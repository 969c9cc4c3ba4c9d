# SPDX-License-Identifier: Apache-2.0
"""Demands: a node answers those on its logs by itself, and takes those on others' through their steps."""

from __future__ import annotations

from dataclasses import replace

import pytest

from node.errors import Conflict, InvalidInput, NotFound, Unavailable
from node.evidence.promises import DemandState
from node.log.checkpoint import log_id
from node.ports import MemberStatus, Role
from node.service import demands
from node.service.demands import ANSWER_SECONDS, OVERDUE_BLOCKS
from node.service.layout import LogKind
from tests.support.chain import SimulatedChain
from tests.support.chain_contracts import CLOSE_DELAY_SECONDS
from tests.support.clock import ManualClock
from tests.support.errors import raises_code
from tests.support.node_world import NodeWorld, build_identity
from tests.support.rows import ISSUER

OTHER = "91440300708461136T"
RECORDS, ACCESS = LogKind.RECORDS, LogKind.ACCESS


@pytest.fixture
def nodes():
    """Two members' nodes on one chain."""
    clock = ManualClock()
    founders = [(code, build_identity(code).operator, Role.ISSUER) for code in (ISSUER, OTHER)]
    chain = SimulatedChain(founders, clock=clock)
    with (
        NodeWorld(chain=chain, clock=clock, seed="one") as one,
        NodeWorld(member=OTHER, chain=chain, clock=clock, seed="two") as two,
    ):
        for node in (one, two):
            node.join()
            node.import_penalties(range(20))
            node.anchor()
        yield one, two


def demand(asker, owner, index, log=ACCESS):
    origin = owner.services.readers[log].origin
    return asker.services.demands.advance(origin, index, sleep=asker.sleep)


def serve(node):
    return node.services.demands.serve(sleep=node.sleep)


def state_of(asker, owner, index, log=ACCESS):
    origin = owner.services.readers[log].origin
    return asker.services.chain.demands.find_demand(log_id(origin), index)


def test_a_node_answers_what_is_demanded_of_it(nodes):
    owner, asker = nodes
    standing = demand(asker, owner, 3)
    assert (standing.state, standing.done, standing.due_at) == (
        "open",
        "demand",
        standing.demanded_at + ANSWER_SECONDS,
    )
    assert serve(owner) == 1
    found = state_of(asker, owner, 3)
    assert (found.state, found.leaf) == (DemandState.ANSWERED, owner.access.leaf(3))
    again = demand(asker, owner, 3)
    assert (again.state, again.leaf, again.done) == ("answered", owner.access.leaf(3), None)
    assert serve(owner) == 0
    assert owner.services.describe()["demands"] == []


def test_demands_on_both_logs_and_after_a_restart(nodes):
    owner, asker = nodes
    demand(asker, owner, 3)
    owner.restart()
    owner.join()
    demand(asker, owner, 12, RECORDS)
    assert serve(owner) == 2
    assert state_of(asker, owner, 12, RECORDS).leaf == owner.records.leaf(12)


def test_the_loop_answers_by_itself(nodes):
    owner, asker = nodes
    owner.loop.prepare()
    demand(asker, owner, 5)
    owner.loop._turn()
    assert state_of(asker, owner, 5).state is DemandState.ANSWERED


def test_a_demand_in_a_block_that_is_replaced_is_found_again(nodes):
    owner, asker = nodes
    asker.chain.automine = True
    demand(asker, owner, 4)
    owner.chain.reorganise(1)
    assert serve(owner) == 0
    owner.chain.mine(2)
    assert serve(owner) == 1


def test_what_the_store_lost_is_told_and_becomes_a_default(nodes):
    owner, asker = nodes
    backup = owner.store.copy()
    owner.import_penalties(range(100, 120))
    owner.anchor()
    index = owner.records.size() - 1
    demand(asker, owner, index, RECORDS)
    owner.services.sequencer.close()
    owner.store = backup
    owner.start()
    assert serve(owner) == 0
    (open_,) = owner.services.demands.unanswered
    assert (open_.index, open_.error.code) == (index, "log-behind")
    shown = owner.services.describe()["demands"]
    assert [(each["index"], each["code"]) for each in shown] == [(index, "log-behind")]
    assert demand(asker, owner, index, RECORDS).done is None
    owner.clock.advance(seconds=ANSWER_SECONDS + 600)
    owner.chain.mine()
    assert demand(asker, owner, index, RECORDS).state == "overdue"
    assert demand(asker, owner, index, RECORDS).done is None
    owner.chain.mine(OVERDUE_BLOCKS)
    standing = demand(asker, owner, index, RECORDS)
    assert (standing.state, standing.done, standing.leaf) == ("defaulted", "default", None)
    assert demand(asker, owner, index, RECORDS).done is None


def test_a_default_is_still_answered(nodes):
    owner, asker = nodes
    demand(asker, owner, 3)
    owner.clock.advance(seconds=ANSWER_SECONDS + 600)
    owner.chain.mine()
    demand(asker, owner, 3)
    owner.chain.mine(OVERDUE_BLOCKS)
    assert demand(asker, owner, 3).state == "defaulted"
    assert serve(owner) == 1
    assert demand(asker, owner, 3).leaf == owner.access.leaf(3)
    assert serve(owner) == 0


def test_what_cannot_be_demanded(nodes):
    owner, asker = nodes
    with raises_code(Conflict, "demand-unanchored"):
        demand(asker, owner, owner.access.size())
    with raises_code(NotFound, "log-unknown"):
        asker.services.demands.advance(f"zj.example/{OTHER}/access/7", 0, sleep=asker.sleep)
    with raises_code(InvalidInput, "origin-form"):
        asker.services.demands.advance("somewhere", 0, sleep=asker.sleep)
    owner.chain.away = True
    with raises_code(Unavailable, "chain-away"):
        serve(owner)


def test_what_a_closed_log_never_anchored_is_not_demanded(nodes):
    owner, asker = nodes
    log = log_id(owner.access.origin)
    owner.services.anchorer.transact(
        "close-log", lambda nonce: owner.services.chain.sign_close_log(log, nonce), sleep=owner.sleep
    )
    with raises_code(Conflict, "demand-unanchored"):
        demand(asker, owner, owner.access.size())
    owner.clock.advance(seconds=CLOSE_DELAY_SECONDS + 600)
    owner.chain.mine()
    with raises_code(Conflict, "demand-log-closed"):
        demand(asker, owner, owner.access.size())
    assert demand(asker, owner, 3).state == "open"


def test_a_demand_that_somebody_else_answered_first(nodes):
    owner, asker = nodes
    demand(asker, owner, 3)
    anchor = owner.access.first_anchor_over(3).anchor
    path = owner.access.inclusion_path(3, anchor.size)
    log = log_id(owner.access.origin)
    leaf = owner.access.leaf(3)
    asker.services.anchorer.transact(
        "answer",
        lambda nonce: asker.services.chain.demands.sign_answer(log, anchor, 3, leaf, path, nonce),
        sleep=asker.sleep,
    )
    assert serve(owner) == 0
    with raises_code(Conflict, "transaction-reverted"):
        owner.services.demands._answer(log, 3, owner.sleep)
    owner.anchor()


def test_fsck_knows_what_is_kept(nodes):
    owner, asker = nodes
    demand(asker, owner, 3)
    serve(owner)
    assert owner.check() == []


def test_a_long_chain_is_looked_through_in_turns_and_every_part_is_kept(nodes, monkeypatch):
    owner, asker = nodes
    monkeypatch.setattr(demands, "WINDOW_BLOCKS", 10)
    monkeypatch.setattr(demands, "WINDOWS_AT_ONCE", 14)
    owner.services.chain.chain.mine(300)
    demand(asker, owner, 3)
    asked = []

    def watch(*, fail_at=None):
        fetch = owner.services.chain.demands.fetch_demanded

        def fetch_demanded(own, first, last):
            asked.append((first, last))
            if len(asked) == fail_at:
                raise Unavailable("chain-away", "in the middle")
            return fetch(own, first, last)

        monkeypatch.setattr(owner.services.chain.demands, "fetch_demanded", fetch_demanded)

    watch(fail_at=5)
    with raises_code(Unavailable, "chain-away"):
        serve(owner)
    owner.restart()
    owner.join()
    watch()
    serve(owner)
    assert asked[5] == asked[4], "what was looked at before the failure is not looked at again"
    for _ in range(3):
        before = len(asked)
        serve(owner)
        assert 0 < len(asked) - before <= 2 * 14
    assert state_of(asker, owner, 3).state is DemandState.ANSWERED
    newest, _ = owner.services.chain.demands.newest()
    assert {last for _, last in asked[-2:]} == {newest}
    looked_at, _ = owner.services.demands._load()
    assert looked_at == newest - demands.REVISITED_BLOCKS


def test_a_suspended_member_answers_and_may_neither_demand_nor_anchor(nodes):
    owner, asker = nodes
    demand(asker, owner, 3)
    members = owner.services.chain.chain.state.members
    members[ISSUER] = replace(members[ISSUER], status=MemberStatus.SUSPENDED)
    assert serve(owner) == 1
    assert state_of(asker, owner, 3).state is DemandState.ANSWERED
    with pytest.raises(Conflict):
        demand(owner, asker, 3)
    with pytest.raises(Conflict):
        owner.anchor()
