# SPDX-License-Identifier: Apache-2.0
"""Power loss at every call of the commits with which both logs pass 65,536 entries, in every way that a disk may lose them."""

from __future__ import annotations

import shutil

import pytest

from tests.chaos.faultfs.disk import POLICIES
from tests.chaos.faultfs.levels import build_base, check_recovered
from tests.chaos.faultfs.recorded import Day

SEED = 7


@pytest.mark.slow
def test_power_cut_at_the_edge_of_the_second_level(tmp_path):
    folders = [tmp_path / name for name in ("base", "day")]
    for folder in folders:
        folder.mkdir()
    day = Day(folders[1], "tests.chaos.faultfs.levels", build_base(folders[0]))
    places = set()
    for crash in day.crashes(POLICIES, seed=SEED):
        try:
            check_recovered(crash.path, crash.told)
        except BaseException as error:
            error.add_note(f"after {crash.place}, seed {SEED}")
            raise
        shutil.rmtree(crash.path)
        places.add(crash.place.partition(",")[0])
    # Segments, the database, two head files, and syncs of all but the first, three times.
    assert len(places) > 20
