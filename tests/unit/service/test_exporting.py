# SPDX-License-Identifier: Apache-2.0
"""Evidence of this node, verified by the code a stranger uses, at every stage of a record's life."""

import dataclasses

import pytest

from node.access.event import parse_event, verify_openings
from node.access.opening import parse_opening
from node.access.receipt import parse_receipt
from node.core.types import LeafHash
from node.errors import InvalidInput, NodeError, NotFound, Unavailable
from node.evidence.format import file_name, parse_evidence
from node.evidence.policy import Level
from tests.support.errors import raises_code
from tests.support.node_world import WHY, NodeWorld, penalty
from tests.support.rows import COMPANY, PERSON, RESIDENT_ID

SHOWN = ("subject", "CF_WSH", "CF_NR", "CF_JDRQ")
NEVER = {"max_status_age": None, "max_interval": None}


@pytest.fixture
def world():
    with NodeWorld() as made:
        made.join()
        made.import_penalties(range(5))
        yield made


def export(world, place=2, names=SHOWN):
    return world.services.exporter.export(world.leaf(place), names, WHY)


def test_a_record_under_no_checkpoint_yields_no_evidence_and_no_event(world):
    size = world.access.size()
    with raises_code(Unavailable, "not-published"):
        export(world)
    assert world.access.size() == size


def test_a_published_record_is_logged_and_says_that_it_is_not_anchored(world):
    world.services.anchorer._publisher.publish()
    exported = export(world)
    assert exported.stage == "published"
    evidence = parse_evidence(exported.data)
    assert (evidence.anchor, evidence.status) == (None, None)
    report = world.verify(exported.data, level=Level.LOGGED, **NEVER)
    assert report.level is Level.LOGGED
    assert not world.verify(exported.data).satisfied


def test_an_anchored_record_satisfies_a_stranger(world):
    world.anchor()
    exported = export(world)
    assert exported.stage == "anchored"
    report = world.verify(exported.data)
    assert report.satisfied
    assert report.level is Level.ANCHORED
    assert report.interval.proven
    anchor = world.records.find_anchor(1).anchor
    assert report.interval.anchor == anchor
    assert (report.status.value, report.in_force) == (0, True)
    assert report.record.disclosed == {
        "subject": {"type": "uscc", "id": "91520100MA00000156"},
        "CF_WSH": "云市监罚〔2026〕2号",
        "CF_NR": "罚款0.5万元",
        "CF_JDRQ": "2026-03-02",
    }
    assert exported.name == file_name(LeafHash(world.leaf(2)))


def test_the_proof_is_under_the_first_anchor_that_covers_the_record(world):
    world.anchor()
    world.import_penalties(range(5, 8))
    world.anchor()
    world.anchor()
    assert parse_evidence(export(world, 0).data).anchor.anchor.i == 1
    assert parse_evidence(export(world, 6).data).anchor.anchor.i == 2
    for place in range(8):
        assert world.verify(export(world, place).data).satisfied


def test_a_record_behind_the_last_anchor_waits_as_published(world):
    world.anchor()
    world.import_penalties([7])
    with raises_code(Unavailable, "not-published"):
        export(world, 5)
    world.services.anchorer._publisher.publish()
    exported = export(world, 5)
    assert exported.stage == "published"
    assert world.verify(exported.data, level=Level.LOGGED, **NEVER).satisfied
    # Its list stood in the anchored head already, but a head from before the record says nothing about it.
    assert parse_evidence(exported.data).status is None


def test_a_withdrawal_shows_from_the_next_anchor_on_with_its_age(world):
    world.anchor()
    before = export(world).data
    world.services.records.withdraw(world.leaf(2), officer="wang", ground="撤销处罚")
    unchanged = world.verify(export(world).data)
    assert unchanged.in_force is True
    world.anchor()
    world.clock.advance(seconds=30)
    after = world.verify(export(world).data)
    assert (after.status.value, after.in_force) == (1, False)
    # The head lies between the first anchor and the second; its age counts from the first.
    assert after.status.age_seconds == 300 + 30
    assert after.status.proven
    assert after.interval.anchor.i == 1
    assert world.verify(before).in_force is True
    assert world.verify(export(world, 1).data).in_force is True


def test_an_old_status_is_told_with_its_age(world):
    world.anchor()
    data = export(world).data
    world.clock.advance(seconds=100_000)
    report = world.verify(data)
    assert report.status.age_seconds > 100_000
    assert not report.satisfied


def test_a_corrected_record_is_no_longer_in_force_and_its_successor_names_it(world):
    world.anchor()
    world.import_rows([penalty(2, CF_NR="罚款1万元", CF_NR_FK="1")], corrections=True)
    world.anchor()
    old, new = (world.verify(export(world, place).data) for place in (2, 5))
    assert (old.in_force, new.in_force) == (False, True)
    assert new.record.supersedes == world.leaf(2)
    assert new.record.disclosed["CF_NR"] == "罚款1万元"


@pytest.mark.parametrize("names", [(), ("subject",), ("CF_WSH",), tuple(sorted(SHOWN, reverse=True))])
def test_only_the_chosen_fields_are_disclosed(world, names):
    world.anchor()
    report = world.verify(export(world, names=names).data)
    assert report.satisfied
    assert report.record.disclosed.keys() == set(names)


def rule_of(world, exported):
    index = parse_receipt(exported.receipt).idx
    openings = world.services.events.open(index, WHY).openings
    return dict(map(parse_opening, openings))["rule"]


@pytest.mark.parametrize("basis", [None, "  "])
def test_what_is_not_open_needs_a_basis_before_anything_is_logged_or_opened(world, basis):
    world.import_rows([penalty(70, **PERSON)])
    world.anchor()
    why = dataclasses.replace(WHY, basis=basis)
    size, secrets = world.access.size(), []
    leaves = {line.index: line.leaf for line in world.lines()}
    assert [line.disclosure for line in world.lines() if line.index == 5] == ["authorised"]
    world.store.on_secret = secrets.append
    for index, names in ((2, ("CF_WSH", "CF_FRDB")), (5, ("CF_WSH", "subject")), (5, ("CF_NR",))):
        with raises_code(InvalidInput, "basis-required") as caught:
            world.services.exporter.export(leaves[index], names, why)
        guarded = {"CF_FRDB"} if index == 2 else set(names)
        assert {name for name in names if name in caught.value.message} == guarded
        for value in ("赵样本", "孙样本", RESIDENT_ID, COMPANY):
            assert value not in caught.value.message
    assert world.access.size() == size
    # Planning makes sure that each secret is there, as wrapped bytes; nothing is opened.
    assert len(secrets) == 3
    exported = world.services.exporter.export(leaves[2], SHOWN, why)
    assert rule_of(world, exported) == "own-department"


def test_the_event_names_the_rule_that_decided(world):
    world.import_rows([penalty(70, **PERSON)])
    world.anchor()
    leaves = {line.index: line.leaf for line in world.lines()}
    rules = [
        rule_of(world, world.services.exporter.export(leaves[index], names, WHY))
        for index, names in ((2, SHOWN), (2, ("CF_FRDB",)), (5, ("subject",)))
    ]
    assert rules == ["own-department", "own-department-with-basis", "own-department-with-basis"]


def test_unknown_and_empty_fields_are_refused_before_anything_is_logged(world):
    world.anchor()
    size = world.access.size()
    for names in (["CF_XX"], ["BZ"], ["CF_WSH", "CF_GSJZQ"]):
        with raises_code(InvalidInput, "field-absent"):
            export(world, names=names)
    with raises_code(NotFound, "record-unknown"):
        world.services.exporter.export(bytes(32), SHOWN, WHY)
    assert world.access.size() == size


def test_entries_that_are_no_records_have_no_evidence(world):
    world.anchor()
    leaf = world.records.leaf(5)
    with pytest.raises(NodeError):
        world.services.exporter.export(leaf, SHOWN, WHY)


def test_an_export_is_an_event_that_names_what_it_releases(world):
    world.anchor()
    exported = export(world)
    receipt = parse_receipt(exported.receipt)
    entry = world.access.entry(world.access.row(receipt.idx))
    assert parse_event(entry).kind == "export"
    assert verify_openings(parse_event(entry), []) == {}
    assert receipt.leaf == world.access.leaf(receipt.idx)


def test_evidence_survives_a_restart_of_its_node(world):
    world.anchor()
    before = export(world).data
    world.restart()
    assert parse_evidence(export(world).data) == parse_evidence(before)


def test_evidence_is_small_however_many_fields_stay_closed(world):
    world.anchor()
    # The status list of a young node compresses to nothing; an ML-DSA-44 line is 3.2 kB, and there are two.
    assert len(export(world).data) < 16 * 1024


def test_an_anchor_that_was_fetched_serves_as_well(world):
    """Its transaction is known, the gas is not."""
    world.anchor()
    stored = world.records.find_anchor(1)
    from node.service import layout
    from node.service.layout import LogKind

    world.store.damage(layout.anchor_key(LogKind.RECORDS, 1), None)
    world.services.anchorer.compare()
    assert world.records.find_anchor(1).anchor == stored.anchor
    assert world.records.find_anchor(1).transaction == stored.transaction
    assert world.verify(export(world).data).satisfied
