# SPDX-License-Identifier: Apache-2.0
"""Honest nodes are never named: whatever they ask each other, whoever is down, wherever the audit cuts their logs off."""

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.audit_world import PERIOD, START, AuditWorld, codes_of

QUICK = settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow])
SILENCE = {"node-silent", "unanchored"}


@given(seed=st.integers(0, 10**6), nodes=st.integers(2, 4), requests=st.integers(0, 25), opens=st.booleans())
@QUICK
def test_nothing_is_found_at_honest_nodes(seed, nodes, requests, opens):
    world = AuditWorld(seed, nodes)
    world.some_exchanges(requests)
    world.run()
    for node in world.nodes:
        node.opens = opens
    report = world.audit()
    assert codes_of(report) == set()
    assert report.findings.counts.total() == 0
    assert not report.partial


@given(
    seed=st.integers(0, 10**6),
    downs=st.lists(
        st.tuples(st.integers(0, 2), st.integers(0, 3_000), st.integers(10, 5_000)), min_size=1, max_size=4
    ),
)
@QUICK
def test_nodes_that_were_down_are_silent_and_nothing_else(seed, downs):
    world = AuditWorld(seed)
    for number, start, seconds in downs:
        world.nodes[number].down.append((START + start, START + start + seconds))
    world.some_exchanges(15)
    world.run()
    assert codes_of(world.audit()) <= SILENCE


@given(
    seed=st.integers(0, 10**6),
    waits=st.lists(
        st.tuples(st.integers(0, 2), st.integers(0, 3_000), st.integers(300, 3_000)), min_size=1, max_size=4
    ),
)
@QUICK
def test_anchors_that_waited_for_the_chain_make_nothing_late(seed, waits):
    world = AuditWorld(seed)
    for number, start, seconds in waits:
        world.nodes[number].waits.append((START + start, START + start + seconds))
    world.some_exchanges(40)
    world.run()
    assert codes_of(world.audit()) <= SILENCE


@given(seed=st.integers(0, 10**6), data=st.data())
@QUICK
def test_logs_that_are_read_to_different_places_contradict_nothing(seed, data):
    world = AuditWorld(seed)
    world.some_exchanges(15)
    world.run()
    for node in world.nodes:
        how = data.draw(st.sampled_from(["whole", "away", "behind"]))
        if how == "away":
            node.away_at = data.draw(st.integers(0, len(node.entries)))
        elif how == "behind":
            # An older copy: the chain as it was then is all that this log is held against.
            keep = data.draw(st.integers(1, len(node.anchors)))
            node.anchors = node.anchors[:keep]
            node.cut_at = node.anchors[-1].size
    assert codes_of(world.audit()) <= SILENCE


@given(seed=st.integers(0, 10**6), chosen=st.sets(st.integers(0, 3), min_size=1, max_size=3))
@QUICK
def test_members_who_are_not_audited_are_nobodys_fault(seed, chosen):
    world = AuditWorld(seed, nodes=4)
    world.some_exchanges(20)
    world.run()
    assert codes_of(world.audit(nodes=sorted(chosen))) == set()


def test_the_order_of_the_logs_makes_no_difference():
    world = AuditWorld(7)
    world.some_exchanges(30)
    world.exchange(START + 500, 0, 1, without={"grant"})
    world.run()
    one = world.audit(nodes=[0, 1, 2])
    other = world.audit(nodes=[2, 1, 0])
    assert codes_of(one) == codes_of(other) == {"answer-missing"}
    assert PERIOD == 300
