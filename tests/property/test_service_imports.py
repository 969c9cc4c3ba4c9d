# SPDX-License-Identifier: Apache-2.0
"""Any days of imports, corrections, withdrawals, stops and crashes leave what a plain dictionary would hold."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from node.errors import Fatal
from node.service.jobs import get_job
from tests.support.imports import WRONG_CODE, refusals
from tests.support.node_world import FIRST_ROW, WHY, NodeWorld, penalty

# A row: document number, amount (its content), and whether its credit code is wrong.
ROWS = st.lists(
    st.tuples(st.integers(0, 5), st.integers(1, 3), st.sampled_from([False, False, False, True])),
    min_size=1,
    max_size=9,
)
FILES = st.tuples(st.just("file"), ROWS, st.booleans(), st.integers(1, 4), st.integers(0, 12))
"""Rows, whether changed ones are corrections, rows of a chunk, and the commit at which the node crashes, if ever."""
WITHDRAWALS = st.tuples(st.just("withdraw"), st.integers(0, 5))
DAYS = st.lists(FILES | FILES | WITHDRAWALS, min_size=1, max_size=6)


class Plain:
    """What the log must hold: amount and status of each document number."""

    def __init__(self):
        self.amounts = {}
        self.withdrawn = set()
        self.issued = 0

    def take(self, rows, *, corrections):
        """Import a file; accepted, corrected, duplicate, and the refused rows with their rules."""
        accepted = corrected = duplicate = 0
        refused, here = [], set()
        for place, (number, amount, wrong) in enumerate(rows, FIRST_ROW):
            known = self.amounts.get(number)
            if wrong:
                refused.append((place, "CF_XDR_SHXYM", "uscc-check-digit"))
            elif known == amount:
                duplicate += 1
            elif known is None or (corrections and number not in here and number not in self.withdrawn):
                corrected += known is not None
                accepted += 1
                self.amounts[number] = amount
                here.add(number)
            else:
                final = corrections and number not in here
                refused.append((place, None, "record-withdrawn" if final else "record-changed"))
        self.issued += accepted
        return accepted, corrected, duplicate, refused


def cells(number, amount, wrong):
    changes = {"CF_NR": f"罚款{amount}万元", "CF_NR_FK": str(amount)}
    return penalty(number, **changes, **({"CF_XDR_SHXYM": WRONG_CODE} if wrong else {}))


def import_with_crash(world, rows, *, corrections, crash_at):
    job_id = world.upload([cells(*row) for row in rows], corrections=corrections)
    world.store.faults[world.store.commits + crash_at] = (
        Fatal("store-commit-failed", "power"),
        crash_at % 2 == 0,
    )
    try:
        job = world.services.importer.run_job(job_id)
    except Fatal:
        world.restart()
        job = world.services.importer.run_job(job_id)
    world.store.faults.clear()
    assert job == get_job(world.store, job_id)
    return job


@given(DAYS)
@settings(max_examples=25)
def test_the_log_holds_what_a_dictionary_would(days):
    plain = Plain()
    with NodeWorld() as world:
        for day in days:
            if day[0] == "withdraw":
                withdraw(world, plain, day[1])
                continue
            _, rows, corrections, world.uploads.chunk_rows, crash_at = day
            job = import_with_crash(world, rows, corrections=corrections, crash_at=crash_at)
            accepted, corrected, duplicate, refused = plain.take(rows, corrections=corrections)
            assert (job.state, job.read) == ("done", len(rows))
            assert (job.accepted, job.corrected, job.duplicate) == (accepted, corrected, duplicate)
            assert refusals(world, job) == refused
            assert job.refused == len(refused)
        lines = world.lines()
        assert len(lines) == plain.issued == world.records.size()
        valid = [line for line in lines if line.status == "valid"]
        assert len(valid) == len(plain.amounts) - len(plain.withdrawn)
        assert shown(world, valid) == {
            number: amount for number, amount in plain.amounts.items() if number not in plain.withdrawn
        }
        assert world.check() == []


def withdraw(world, plain, number):
    """Withdraw the valid record of a document number, when there is one."""
    for line in world.lines():
        if line.status == "valid" and number in shown(world, [line]):
            world.services.records.withdraw(line.leaf, officer="wang", ground="撤销处罚")
            plain.withdrawn.add(number)


def shown(world, lines):
    """Amount by document number of some records, read as an officer would."""
    found = {}
    for line in lines:
        values = world.services.records.show(line.leaf, WHY).opened.values
        found[int(values["CF_WSH"].split("〕")[1][:-1])] = int(values["CF_NR_FK"])
    return found
