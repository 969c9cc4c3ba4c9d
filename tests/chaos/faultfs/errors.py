# SPDX-License-Identifier: Apache-2.0
"""A node at work while its disk reports errors: each call in turn, and everything from a call on.

Usage: ``python -m tests.chaos.faultfs.errors ROOT STEP OFFSET [EDGE]``, with faultfs.c preloaded; every STEP-th case is tried,
on a young store or on one whose logs are a few entries from EDGE, so that the work fills a tile of both.
Prints one line of JSON for each case: what was injected where, and what the node said.
"""

from __future__ import annotations

import errno
import json
import shutil
import sys
from pathlib import Path

import pytest

from node.errors import Conflict, Fatal, NodeError
from tests.chaos.faultfs.child import Faultfs
from tests.chaos.faultfs.days import START, DiskWorld, Told, anchor, check_told, show
from tests.chaos.faultfs.edges import build_base
from tests.support.clock import ManualClock
from tests.support.node_world import penalty

WAYS = (
    # name, action, error, calls it can happen to, whether it goes on
    ("io-error", "fail", errno.EIO, "", False),
    ("stored-all-the-same", "fail-after", errno.EIO, "WSRTUMO", False),
    ("half-written", "torn", errno.EIO, "W", False),
    ("short-write", "short", 0, "W", False),
    ("disk-full", "fail", errno.ENOSPC, "WTMO", True),
    ("read-only-mount", "fail", errno.EROFS, "WTMORU", True),
    ("too-many-files", "fail", errno.EMFILE, "Oo", True),
    ("disk-gone", "fail", errno.EIO, "", True),
    ("slow-disk", "delay", 2_000, "WS", True),
    ("quota", "quota", 0, "", True),
)
QUOTA_BYTES = 997
"""Step in which the disk gets larger; no write begins or ends there."""
ROWS = range(1_000, 1_008)
"""Rows of the import that meets the errors."""


def work(world, note):
    """Do some of everything that writes; give the codes of what was refused."""
    codes = []

    def attempt(action):
        try:
            return action()
        except NodeError as error:
            codes.append(error.code)
            return None

    job_id = attempt(lambda: world.upload([penalty(number) for number in ROWS]))
    if job_id is not None:
        note(job=job_id, rows=[ROWS.start, ROWS.stop])
        done = attempt(lambda: world.services.importer.run_job(job_id))
        if done is not None and done.state == "done":
            note(leaves=[line.leaf.hex() for line in world.lines()])
    opened = attempt(lambda: show(world))
    if opened is not None:
        note(opened=opened)
    attempt(lambda: world.services.records.withdraw(world.leaf(1), officer="wang", ground="撤销处罚"))
    attempt(lambda: anchor(world, note))
    return codes


class Case:
    """One day with one fault, on a copy of a store that is some days old."""

    def __init__(self, faultfs, base, root):
        self.faultfs, self.root = faultfs, root
        shutil.rmtree(root, ignore_errors=True)
        shutil.copytree(base, root)
        self.clock = ManualClock(START + 1_000)
        self.told = Told()

    def open(self, chain):
        chain._clock = self.clock
        world = DiskWorld(self.root, chain=chain, clock=self.clock, seed="fault")
        world.loop.prepare()
        return world


def run_case(case, chain, way, point):
    """Work with a fault, then start again without it; give what the node said while it lasted."""
    _, action, error, ops, lasting = way
    faultfs = case.faultfs
    with case.open(chain) as world:
        leaves = [line.leaf.hex() for line in world.lines()]
        case.told.note(leaves=leaves)
        faultfs.calls(restart=True)
        if action == "quota":
            faultfs.quota(point * QUOTA_BYTES)
        else:
            faultfs.arm(point, None if lasting else point, action, error, ops)
        try:
            codes = work(world, case.told.note)
            reached = bool(codes) if action == "quota" else faultfs.calls() > point
            state = world.services.state()
        finally:
            faultfs.disarm()
            faultfs.quota()
        if state["mode"] == "stopped":
            require_stopped(world)
        elif codes:
            # What only refused goes on as soon as the disk does.
            world.loop.prepare()
            assert work(world, case.told.note) in ([], ["record-withdrawn"]), codes
    for _ in range(2):
        with case.open(chain) as world:
            state_after = world.services.state()
            assert state_after["mode"] == "ready", state_after
            check_told(world, case.told)
            done = world.import_rows([penalty(number) for number in ROWS])
            assert done.accepted + done.duplicate == len(ROWS), done
            anchor(world, case.told.note)
            assert world.check() == []
    return reached, codes, state


def require_stopped(world):
    """A writer that does not know what is stored never writes again, however well the disk is."""
    for action in (
        lambda: world.upload([penalty(1)]),
        lambda: show(world),
        world.anchor,
    ):
        with pytest.raises((Fatal, Conflict)):
            action()


def young_store(root):
    """Make a store of a few records; where it is, and what was told of it."""
    base = root / "base"
    base.mkdir()
    sent = Told()
    with DiskWorld(base) as world:
        world.chain.faultfs = sent
        world.join()
        world.import_penalties(range(12))
        anchor(world, sent.note)
        show(world)
    return base, sent


def store_at(root, edge):
    """Make a store whose logs are a few entries from an edge; where it is, and what was told of it."""
    made = build_base(root, edge)
    return made.path, made.told()


def main(root, step, offset, edge=None):
    faultfs = Faultfs()
    base, sent = young_store(Path(root)) if edge is None else store_at(Path(root), int(edge))
    number = 0
    for way in WAYS:
        point, reached = 0, True
        while reached:
            number += 1
            # The first call of each way always: no other one is sure to be among so few.
            if point == 0 or number % step == offset % step:
                case = Case(faultfs, base, Path(root) / "case")
                reached, codes, state = run_case(case, sent.chain(case.clock), way, point)
                line = {
                    "way": way[0],
                    "point": point,
                    "codes": codes,
                    "state": state["mode"],
                    "code": state["code"],
                }
                sys.stdout.write(json.dumps(line) + "\n")
            point += 1


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), *sys.argv[4:])
