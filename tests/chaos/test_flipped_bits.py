# SPDX-License-Identifier: Apache-2.0
"""One bit of one file of a store is flipped: somebody is told, or nothing that can be read is different.

Whatever happens, nothing is signed that does not continue the log as it was.
"""

from __future__ import annotations

import random
import shutil
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import pytest

from tests.chaos.faultfs.days import DiskWorld, Told, run_day, show
from tests.chaos.faultfs.edges import ROWS_BEFORE, TILE, build_base, grow
from tests.chaos.faultfs.flips import Seen, leaves_of, look_at
from tests.support.clock import ManualClock

if TYPE_CHECKING:
    from pathlib import Path

SEED = 11


@dataclass(frozen=True)
class Base:
    """A store some days old, what is known outside, and what a whole one gives."""

    path: Path
    told: Told
    now: int
    leaves: dict
    whole: Seen

    def files(self):
        """All files that are read again, by kind."""
        names = sorted(path for path in self.path.rglob("*") if path.is_file() and path.stat().st_size)
        return [path.relative_to(self.path) for path in names if not path.name.startswith("LOG")]

    def look_at_copy(self, target, change=None):
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(self.path, target)
        if change is not None:
            change(target)
        return look_at(target, self.told, self.now, self.leaves)


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    folder = tmp_path_factory.mktemp("flips")
    (folder / "base").mkdir()
    told = Told()
    with DiskWorld(folder / "base") as world:
        world.chain.faultfs = told
        run_day(world, told.note)
        now, leaves = world.clock.now_seconds() + 10, leaves_of(world)
    base = Base(folder / "base", told, now, leaves, Seen())
    whole = base.look_at_copy(folder / "whole")
    assert not whole.told, whole
    assert not whole.forged
    return Base(folder / "base", told, now, leaves, whole)


def flip(path, at, bit):
    data = bytearray(path.read_bytes())
    data[at] ^= 1 << bit
    path.write_bytes(data)


def check_flips(base, target, file, count):
    """Flip some bits of a file, one at a time; give how often somebody was told."""
    chance = random.Random(f"{SEED}/{file}")
    size = (base.path / file).stat().st_size
    told = 0
    for _ in range(count):
        at, bit = chance.randrange(size), chance.randrange(8)
        seen = base.look_at_copy(target, lambda copy, at=at, bit=bit: flip(copy / file, at, bit))
        place = f"bit {bit} of byte {at} of {file}"
        assert not seen.forged, place
        assert not [code for code in seen.failed if "no code" in code], (place, seen.failed)
        assert seen.told or seen.facts == base.whole.facts, place
        told += seen.told
    return told


def test_some_bits_of_every_file(base, tmp_path):
    files = base.files()
    assert {file.suffix for file in files} >= {".seg", ".ldb", ".log", ".head"}
    assert {file.name.split("-")[0] for file in files} >= {"CURRENT", "MANIFEST"}
    for file in random.Random(SEED).sample(files, len(files) // 3):
        check_flips(base, tmp_path / "copy", file, 1)


@pytest.mark.slow
def test_many_bits_of_every_file(base, tmp_path):
    for file in base.files():
        told = check_flips(base, tmp_path / "copy", file, 6)
        # Of these nothing is without effect. A head file has a twin, so that one of them may be damaged.
        assert told == 6 or file.suffix != ".seg", (file, told)


@pytest.fixture(scope="module")
def edges(tmp_path_factory):
    """A node whose logs both lack one entry to a full tile, then fill it, then have begun the next one."""
    folder = tmp_path_factory.mktemp("edges")
    made = build_base(folder, TILE)
    told, now, found = made.told(), made.now(), []
    for number, count in enumerate((ROWS_BEFORE - 1, 1, 1)):
        clock = ManualClock(now)
        with DiskWorld(made.path, chain=told.chain(clock), clock=clock, seed=f"edges/{number}") as world:
            world.join()
            grow(world, told.note, count)
            told.note(opened=show(world))
            assert world.sizes() == (TILE - 1 + number, TILE - 1 + number)
            now, leaves = clock.now_seconds() + 10, leaves_of(world)
        path = folder / f"{number}"
        shutil.copytree(made.path, path)
        state = Base(path, told, now, leaves, Seen())
        whole = state.look_at_copy(folder / "whole")
        assert not whole.told, whole
        found.append(replace(state, whole=whole))
    return found


@pytest.mark.slow
def test_some_bits_at_the_edges_of_tiles(edges, tmp_path):
    for number, state in enumerate(edges):
        for file in random.Random(f"{SEED}/{number}").sample(state.files(), 7):
            check_flips(state, tmp_path / "copy", file, 1)
