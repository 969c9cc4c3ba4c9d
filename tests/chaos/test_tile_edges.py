# SPDX-License-Identifier: Apache-2.0
"""Kill and power loss at the calls with which both logs fill a tile, pass several, and use up the slots of small commits.

The node is one that has been at work for a while: its logs begin a few entries before the edge (faultfs/edges.py). Each call
is cut in one of the ways of tests/chaos/faultfs/disk.py, the next call in the next way.
"""

from __future__ import annotations

import json
import os
import shutil

import pytest

from tests.chaos.faultfs.days import check_recovered
from tests.chaos.faultfs.disk import POLICIES
from tests.chaos.faultfs.edges import TILE, build_base, check_trees
from tests.chaos.faultfs.recorded import Day

SEED = 5
SECONDS = float(os.environ.get("IRONCAGE_SOAK_SECONDS", "0"))
"""How long ``make chaos`` was told to take; with ten minutes each call is cut in every way."""
ALL_SECONDS = 600


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return build_base(tmp_path_factory.mktemp("edges"), TILE)


@pytest.fixture(scope="module")
def tiles_day(tmp_path_factory, base):
    return Day(tmp_path_factory.mktemp("tiles"), "tests.chaos.faultfs.edges", base, "tiles")


@pytest.fixture(scope="module")
def slots_day(tmp_path_factory, base):
    return Day(tmp_path_factory.mktemp("slots"), "tests.chaos.faultfs.edges", base, "slots")


def check_day(day, share, *, go_on_every=8):
    """Start a node on a share of the states, on all of them in every way when there is time; give how many there were."""
    turns = SECONDS < ALL_SECONDS
    number = 0
    for number, crash in enumerate(
        day.crashes(POLICIES, seed=SEED, share=share if turns else 1.0, turns=turns), 1
    ):
        try:
            check_recovered(crash.path, crash.told, go_on=number % go_on_every == 0, check=check_trees)
        except BaseException as error:
            error.add_note(f"after {crash.place}, seed {SEED}")
            raise
        shutil.rmtree(crash.path)
    return number


def test_the_days_meet_what_they_are_about(tiles_day, slots_day):
    """Tables and logs of LevelDB are begun and merged, segments begun, and a commit of the slots syncs its segments."""
    made = [call.path for call in tiles_day.calls if call.op == "O" and call.changes]
    assert sum(path.endswith(".ldb") for path in made) > 10
    assert sum(path.endswith(".seg") for path in made) > 3
    assert sum(call.op == "U" and call.path.endswith(".ldb") for call in tiles_day.calls) > 10
    assert segments_synced_while_cut(slots_day) >= 2


def segments_synced_while_cut(day):
    """Number of syncs of segments among the calls that are cut."""
    paths, cut, count = {}, True, 0
    for call in day.calls:
        if call.op == "O":
            paths[call.fd] = call.path
        elif call.op == "N":
            cut = json.loads(call.data).get("cut", cut)
        elif call.op == "S" and cut:
            count += paths[call.fd].endswith(".seg")
    return count


def test_power_cut_at_some_edges(tiles_day):
    assert check_day(tiles_day, 0.01) > 4


@pytest.mark.slow
@pytest.mark.timeout(7_200)
def test_power_cut_while_tiles_are_filled(tiles_day):
    assert check_day(tiles_day, 0.08) > 50


@pytest.mark.slow
@pytest.mark.timeout(7_200)
def test_power_cut_while_slots_are_used_up(slots_day):
    assert check_day(slots_day, 1.0) > 20
