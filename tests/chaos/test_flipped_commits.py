# SPDX-License-Identifier: Apache-2.0
"""One bit of the last commits of a real import is flipped: the store is refused, or is what it was.

Never is a commit gone that was acknowledged, and never is a byte of the store changed by refusing it. The values of an
import are zeros for the most part (status bitmaps, lists of withdrawals), which is what a power cut leaves, too.
"""

from __future__ import annotations

import random
import shutil
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING

import pytest

from node.errors import Fatal
from node.storage.heads import DiskHeadFiles
from node.storage.opening import open_store
from node.storage.tornlog import KEPT
from tests.chaos.faultfs.days import IDENTITY, START, new_chain
from tests.support.clock import ManualClock
from tests.support.node_world import NodeWorld

if TYPE_CHECKING:
    from pathlib import Path

SEED = 12
BLOCK = 32_768


@dataclass(frozen=True)
class Base:
    """A closed store, as a killed process leaves it, and everything that is in it."""

    path: Path
    contents: tuple


def contents(store):
    """Give all that a store holds."""
    with store.snapshot() as snapshot:
        streams = [(name, snapshot.read(name, 0, length)) for name, length in snapshot.lengths().items()]
        pairs = [tuple(snapshot.iterate_all(name)) for name in ("main", "secrets")]
        return streams, pairs


def digests(path):
    return {
        file.relative_to(path): sha256(file.read_bytes()).digest()
        for file in path.rglob("*")
        if file.is_file() and not file.name.startswith("LO")
    }


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    root = tmp_path_factory.mktemp("commits")
    clock = ManualClock(START)
    store = open_store(root / "store", IDENTITY, create=True)
    heads = DiskHeadFiles(root / "heads")
    with NodeWorld(chain=new_chain(clock), store=store, heads=heads, clock=clock, seed="commits") as world:
        world.join()
        world.import_penalties(range(30))
        world.services.records.withdraw(world.leaf(2), officer="wang", ground="撤销处罚")
    shutil.copytree(root / "store", root / "whole")
    whole = open_store(root / "whole", IDENTITY)
    try:
        return Base(root / "store", contents(whole))
    finally:
        whole.close()


def bits_of_last_commits(data, chance, count):
    """Choose bits of the last few hundred KiB: half of them of headers of records."""
    headers, at = [], 0
    while at + 7 <= len(data):
        headers.append(at)
        at += 7 + int.from_bytes(data[at + 4 : at + 6], "little")
        at += BLOCK - at % BLOCK if BLOCK - at % BLOCK < 7 else 0
    last = headers[-12:]
    bits = [8 * at + bit for at in last for bit in range(56)]
    yield from chance.sample(bits, min(len(bits), count // 2))
    yield from (chance.randrange(8 * last[0], 8 * len(data)) for _ in range(count - count // 2))


def open_and_read(path):
    """Give all that a store holds, or the code of its refusal."""
    try:
        store = open_store(path, IDENTITY)
    except Fatal as error:
        return error.code
    try:
        return contents(store)
    finally:
        store.close()


def check_flips(base, folder, count):
    """Flip bits, one at a time; give how often the store was refused."""
    refused = 0
    for database in ("main", "secrets"):
        (log,) = (base.path / database).glob("*.log")
        for bit in bits_of_last_commits(log.read_bytes(), random.Random(f"{SEED}/{database}"), count):
            shutil.rmtree(folder, ignore_errors=True)
            shutil.copytree(base.path, folder)
            data = bytearray(log.read_bytes())
            data[bit // 8] ^= 1 << bit % 8
            (folder / database / log.name).write_bytes(data)
            before = digests(folder / database), digests(folder / "streams")
            place = f"bit {bit % 8} of byte {bit // 8} of {database}/{log.name}"
            outcome = open_and_read(folder)
            if outcome == "store-corrupt":
                assert (digests(folder / database), digests(folder / "streams")) == before, place
                refused += 1
            else:
                assert outcome == base.contents, place
            assert not (folder / KEPT).exists(), place
    return refused


def test_some_bits_of_the_last_commits(base, tmp_path):
    assert check_flips(base, tmp_path / "copy", 16) > 24


@pytest.mark.slow
def test_many_bits_of_the_last_commits(base, tmp_path):
    assert check_flips(base, tmp_path / "copy", 150) > 200
