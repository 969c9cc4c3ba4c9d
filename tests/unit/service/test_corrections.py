# SPDX-License-Identifier: Apache-2.0
"""Corrections, by import and by hand: old and new change places in one commit or not at all."""

import pytest

from node.errors import Conflict, InvalidInput, NotFound, Unavailable
from node.records.record import parse_record
from node.service import importing
from node.service.status import StatusAllocator
from tests.support.errors import raises_code
from tests.support.imports import WRONG_CODE, counts, refusals, statuses
from tests.support.node_world import WHY, FixedRandom, NodeWorld, penalty
from tests.support.rows import PENALTY, build_row


@pytest.fixture
def world():
    with NodeWorld() as made:
        yield made


# ---- corrections


def test_a_correction_supersedes_and_invalidates_in_one_commit(world):
    world.import_penalties(range(2))
    old = world.leaf(1)
    job = world.import_rows(
        [penalty(0), penalty(1, CF_NR="罚款1万元", CF_NR_FK="1"), penalty(5)], corrections=True
    )
    assert counts(job) == ("done", 3, 2, 1, 1, 0)
    assert sorted(statuses(world)) == ["invalid", "valid", "valid", "valid"]
    assert world.services.records.line(old).status == "invalid"
    new = [
        line
        for line in world.lines()
        if parse_record(world.records.entry(world.records.row(line.index))).claims.supersedes
    ]
    claims = parse_record(world.records.entry(world.records.row(new[0].index))).claims
    assert [claims.supersedes] == [old]
    assert world.services.records.show(new[0].leaf, WHY).opened.values["CF_NR_FK"] == "1"
    history = world.services.records.show(old, WHY).history
    assert [(c.officer, c.ground) for c in history] == [("wang", "corrected by import")]
    assert world.check() == []


def test_the_same_correction_again_is_a_duplicate(world):
    world.import_penalties(range(2))
    rows = [penalty(1, CF_NR="罚款1万元", CF_NR_FK="1")]
    world.import_rows(rows, corrections=True)
    size = world.records.size()
    again = world.import_rows(rows, corrections=True)
    assert counts(again) == ("done", 1, 0, 0, 1, 0)
    assert world.records.size() == size


def test_corrections_use_no_more_places_than_they_need(world):
    world.import_penalties(range(4))
    world.import_rows([penalty(n, CF_NR="罚款1万元", CF_NR_FK="1") for n in range(3)], corrections=True)
    allocator = world.services.importer._tools.allocator
    assert len(allocator.take(131_072 - 7)) == 131_072 - 7
    assert allocator.take(1)[0][0] == 1


def test_a_withdrawn_record_is_not_corrected(world):
    world.import_penalties(range(2))
    world.services.records.withdraw(world.leaf(1), officer="wang", ground="撤销处罚")
    job = world.import_rows(
        [penalty(0, CF_NR="罚款1万元", CF_NR_FK="1"), penalty(1, CF_NR="罚款1万元", CF_NR_FK="1")],
        corrections=True,
    )
    assert counts(job) == ("done", 2, 1, 1, 0, 1)
    assert refusals(world, job) == [(3, None, "record-withdrawn")]
    again = world.import_penalties([1])
    assert counts(again) == ("done", 1, 0, 0, 1, 0)


def test_a_record_withdrawn_while_its_correction_is_on_its_way(world):
    """The decision is made outside the writer; a withdrawal that comes between costs only the row."""
    world.import_penalties(range(3))
    leaf = world.leaf(1)

    def withdraw(task):
        if task == tasks + 2:  # the chunk was decided on and its corrections are being issued
            world.services.records.withdraw(leaf, officer="zhang", ground="撤销处罚")

    tasks = world.workers.tasks
    world.workers.before = withdraw
    job = world.import_rows(
        [penalty(n, CF_NR="罚款1万元", CF_NR_FK="1") for n in range(3)] + [penalty(9)], corrections=True
    )
    assert counts(job) == ("done", 4, 3, 2, 0, 1)
    assert refusals(world, job) == [(3, None, "record-withdrawn")]
    assert world.services.sequencer.fatal is None
    assert world.check() == []


def test_a_correction_again_of_a_corrected_record(world):
    world.import_penalties([1])
    for amount in ("1", "2", "3"):
        job = world.import_rows([penalty(1, CF_NR=f"罚款{amount}万元", CF_NR_FK=amount)], corrections=True)
        assert counts(job) == ("done", 1, 1, 1, 0, 0)
    assert statuses(world) == ["invalid"] * 3 + ["valid"]


# ---- one correction by hand


def correct(world, leaf, *, item="penalty:2018", header=None, **changes):
    return world.services.importer.correct(
        item=item,
        header=header or list(PENALTY.field_codes),
        cells=build_row(changes),
        supersedes=leaf,
        officer="wang",
        ground="金额有误",
    )


def test_correct_one_record(world):
    world.import_penalties(range(2))
    old = world.leaf(0)
    new = correct(world, old, CF_WSH="云市监罚〔2026〕0号", CF_NR="罚款1万元", CF_NR_FK="1")
    assert world.services.records.line(old).status == "invalid"
    assert world.services.records.line(new).status == "valid"
    claims = parse_record(world.records.entry(world.records.row(world.records.index_of(new)))).claims
    assert claims.supersedes == old
    shown = world.services.records.show(old, WHY)
    assert [(c.officer, c.ground) for c in shown.history] == [("wang", "金额有误")]
    assert world.check() == []


def test_a_correction_may_change_the_document_number(world):
    world.import_penalties([1])
    new = correct(world, world.leaf(), CF_WSH="云市监罚〔2026〕11号")
    assert world.services.records.line(new).status == "valid"
    job = world.import_penalties([1, 11])
    assert counts(job) == ("done", 2, 0, 0, 2, 0)


def test_what_cannot_be_corrected_changes_nothing(world):
    world.import_penalties(range(3))
    leaves = [line.leaf for line in world.lines()]
    world.services.records.withdraw(leaves[2], officer="wang", ground="撤销处罚")
    state = (world.sizes(), statuses(world), world.store.commits)
    allocator = world.services.importer._tools.allocator
    free = len(allocator._free)
    with raises_code(NotFound, "record-unknown"):
        correct(world, bytes(32), CF_WSH="云市监罚〔2026〕0号")
    with raises_code(NotFound, "item-unknown"):
        correct(world, leaves[0], item="penalty:1999")
    with raises_code(Conflict, "record-duplicate"):
        correct(world, leaves[0], CF_WSH="云市监罚〔2026〕0号")
    with raises_code(Conflict, "identity-taken"):
        correct(world, leaves[0], CF_WSH="云市监罚〔2026〕1号", CF_NR_FK="2")
    with raises_code(Conflict, "record-withdrawn"):
        correct(world, leaves[2], CF_WSH="云市监罚〔2026〕2号", CF_NR_FK="2")
    with raises_code(InvalidInput, "row-refused") as caught:
        correct(world, leaves[0], CF_XDR_SHXYM=WRONG_CODE)
    assert "CF_XDR_SHXYM" in caught.value.message
    assert WRONG_CODE not in caught.value.message
    world.workers.deaths = 1
    with raises_code(Unavailable, "worker-died"):
        correct(world, leaves[0], CF_NR_FK="2")
    assert (world.sizes(), statuses(world), world.store.commits) == state
    assert len(allocator._free) == free


@pytest.mark.parametrize(
    ("header", "cells"),
    [([], []), (["CF_WSH"], ["1"]), (list(PENALTY.field_codes), [None] * 30), (["CF_WSH"], [])],
)
def test_a_correction_without_content_is_refused(world, header, cells):
    world.import_penalties([1])
    size = world.records.size()
    with pytest.raises(InvalidInput):
        world.services.importer.correct(
            item="penalty:2018", header=header, cells=cells, supersedes=world.leaf(), officer="w", ground="g"
        )
    assert world.records.size() == size


def test_a_wrong_allocator_is_noticed_before_a_place_is_used_twice(world):
    world.import_penalties([1])
    used = world.records.row(0).status_index
    allocator = world.services.importer._tools.allocator
    allocator._free = [used]
    with raises_code(Conflict, "status-place-used"):
        correct(world, world.leaf(), CF_WSH="云市监罚〔2026〕7号")
    assert world.services.sequencer.fatal is None
    assert StatusAllocator(world.store, FixedRandom()).take(131_071).count((0, used)) == 0


@pytest.mark.parametrize("name", ["CF_NR_FKX", "违法事实说明"])
def test_a_correction_with_a_column_that_would_be_left_out_is_refused(world, name):
    world.import_penalties([1])
    size, tasks = world.records.size(), world.workers.tasks
    header = [*PENALTY.field_codes, name]
    with raises_code(InvalidInput, "column-not-taken") as caught:
        world.services.importer.correct(
            item="penalty:2018",
            header=header,
            cells=[*build_row({}), "x"],
            supersedes=world.leaf(),
            officer="w",
            ground="g",
        )
    assert name in caught.value.message
    assert (world.records.size(), world.workers.tasks) == (size, tasks)


def test_a_correction_does_not_wait_for_a_whole_import(world, monkeypatch):
    monkeypatch.setattr(importing, "CORRECTION_WAIT_SECONDS", 0.05)
    world.import_penalties([1])
    leaf, said = world.leaf(), []

    def correct_meanwhile(task):
        del task
        world.workers.before = None
        with raises_code(Unavailable, "import-running"):
            correct(world, leaf, CF_WSH="云市监罚〔2026〕7号")
        said.append(True)

    world.workers.before = correct_meanwhile
    job = world.import_penalties([2])
    assert said == [True]
    assert counts(job) == ("done", 1, 1, 0, 0, 0)
    assert correct(world, leaf, CF_WSH="云市监罚〔2026〕7号")
