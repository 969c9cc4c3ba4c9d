# SPDX-License-Identifier: Apache-2.0
"""Kill and power loss at every call that a node makes to its disk, LevelDB's own included (tests/chaos/faultfs).

One run is recorded; the disk that each crash would leave is rebuilt from the record, in every way in which a power cut
can treat what was not synced, and the node is started on it.
"""

from __future__ import annotations

import shutil
from itertools import count

import pytest

from tests.chaos.faultfs.days import check_recovered
from tests.chaos.faultfs.disk import POLICIES
from tests.chaos.faultfs.recorded import Day
from tests.chaos.faultfs.rotation import check_rotated, held, rotate_all

SEED = 4


@pytest.fixture(scope="module")
def day(tmp_path_factory):
    return Day(tmp_path_factory.mktemp("day"), "tests.chaos.faultfs.days")


def check_all(crashes, *, go_on_every):
    """Start a node on each state; give how many there were."""
    number = 0
    for number, crash in enumerate(crashes, 1):
        try:
            check_recovered(crash.path, crash.told, go_on=number % go_on_every == 0)
        except BaseException as error:
            error.add_note(f"after {crash.place}, seed {SEED}")
            raise
        shutil.rmtree(crash.path)
    return number


def test_a_day_meets_everything_that_years_bring(day):
    """The record holds what the test is about: new logs, tables and manifests of LevelDB, new segments, head files."""
    made = [call.path for call in day.calls if call.op == "O" and call.changes]
    assert sum(path.endswith(".log") for path in made) > 5
    assert sum(path.endswith(".ldb") for path in made) > 5
    assert sum(path.endswith(".seg") for path in made) > 4
    assert sum("/heads/" in path for path in made) > 2
    assert sum(call.op == "R" for call in day.calls) > 4
    assert sum(call.op == "S" for call in day.calls) > 100


def test_power_cut_at_some_calls(day):
    assert check_all(day.crashes(POLICIES, seed=SEED, share=0.02), go_on_every=10) > 35


@pytest.mark.slow
@pytest.mark.parametrize("policy", POLICIES)
def test_power_cut_at_every_call(day, policy):
    least = 300 if policy in {"torn", "shuffled", "kept"} else 30
    assert check_all(day.crashes([policy], seed=SEED), go_on_every=8) > least


def test_power_cut_at_every_call_of_key_rotations(tmp_path):
    """Of each key the file that was there or the new one is there, whole, and the next rotation goes through."""
    day = Day(tmp_path, "tests.chaos.faultfs.rotation")
    number = rotated = 0
    for crash in day.crashes(POLICIES, seed=SEED):
        if not crash.told.keys:
            continue  # before init has ended
        keys = crash.path / "keys"
        try:
            check_rotated(keys, crash.told.keys)
        except BaseException as error:
            error.add_note(f"after {crash.place}, seed {SEED}")
            raise
        number += 1
        if number % 10 == 0:
            rotate_all(keys, count(1_000), lambda **facts: None)
            check_rotated(keys, [held(keys)])
            rotated += 1
    assert len(crash.told.keys) == 2 * 4 + 3
    assert number > 40
    assert rotated > 3
