# SPDX-License-Identifier: Apache-2.0
"""A node's day on a real disk, told call by call: what was acknowledged when, and what the chain had by then.

Usage: ``python -m tests.chaos.faultfs.days ROOT``, with faultfs.c preloaded. LevelDB and segments are tuned so small
that a day meets changes of log file, compactions, new segments and everything else that years bring.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass, field, replace
from pathlib import Path

from node.access.receipt import parse_receipt
from node.errors import NotFound
from node.log.tree import root_at
from node.ports import Role
from node.service.erasing import find_erasure
from node.service.jobs import unfinished_jobs
from node.service.layout import LogKind
from node.service.status import current_status
from node.storage.files import OsFiles
from node.storage.heads import DiskHeadFiles
from node.storage.leveldb import open_leveldb
from node.storage.opening import open_store
from tests.chaos.faultfs.child import Faultfs
from tests.support.chain import SimulatedChain
from tests.support.clock import ManualClock
from tests.support.errors import raises_code
from tests.support.node_world import WHY, NodeWorld, build_identity, penalty
from tests.support.rows import ISSUER

IDENTITY = b"zj.example/" + ISSUER.encode()
START = 1_800_000_000
LATER = START + 86_400
CHUNK = 4
IMPORTS = (range(10), range(5, 14), range(14, 40))
SEGMENT_BYTES = 30_000
INVALID = 1
NEWEST = 600
"""Records among which none may be there twice: all of them but in the largest log."""


def open_small(path, tuning, *, create):
    """Open a LevelDB that changes its files often."""
    small = replace(tuning, write_buffer_bytes=64 * 1024, table_bytes=64 * 1024, block_bytes=1024)
    return open_leveldb(path, small, create=create)


def open_disk(root: Path, *, files=None, segment_bytes=SEGMENT_BYTES):
    """Open the store and the head files below a directory."""
    files = files or OsFiles()
    store = open_store(
        root / "store",
        IDENTITY,
        create=True,
        files=files,
        open_database=open_small,
        segment_bytes=segment_bytes,
    )
    try:
        return store, DiskHeadFiles(root / "heads", files)
    except BaseException:
        store.close()
        raise


class ToldChain(SimulatedChain):
    """A chain that tells the journal of every transaction that reached it."""

    faultfs = None

    def receive(self, raw):
        super().receive(raw)
        if self.faultfs is not None:
            self.faultfs.note(sent=raw.decode(), at=self._clock.now_seconds())


def new_chain(clock):
    identity = build_identity()
    return ToldChain([(identity.member, identity.operator, Role.ISSUER)], clock=clock)


class DiskWorld(NodeWorld):
    """A node on a directory."""

    def __init__(self, root, *, chain=None, clock=None, seed="day", files=None, segment_bytes=SEGMENT_BYTES):
        store, heads = open_disk(Path(root), files=files, segment_bytes=segment_bytes)
        clock = clock or ManualClock(START)
        try:
            super().__init__(
                chain=chain or new_chain(clock), store=store, heads=heads, clock=clock, seed=seed
            )
        except BaseException:
            store.close()
            raise
        self.uploads.chunk_rows = CHUNK

    def roots(self):
        return {
            log.text: [reader.size(), root_at(reader.tiles, reader.size()).hex()]
            for log, reader in self.services.readers.items()
        }


def run_day(world, note):
    """Live one day; ``note`` is told everything that is acknowledged."""
    world.join()
    leaves = 0
    for numbers in IMPORTS:
        job_id = world.upload([penalty(number) for number in numbers])
        note(job=job_id, rows=[numbers.start, numbers.stop])
        world.services.importer.run_job(job_id)
        lines = world.lines()
        note(done=job_id, leaves=[line.leaf.hex() for line in lines[leaves:]])
        leaves = len(lines)
        anchor(world, note)
        note(opened=show(world))
    leaf = world.leaf(2)
    world.services.records.withdraw(leaf, officer="wang", ground="撤销处罚")
    note(withdrawn=leaf.hex())
    new = correct(world)
    note(corrected=new.hex())
    anchor(world, note)
    world.store.purge()
    anchor(world, note)


def correct(world):
    job = world.import_rows([penalty(1, CF_NR="罚款1万元", CF_NR_FK="1")], corrections=True)
    assert job.corrected == 1
    return world.lines()[-1].leaf


def show(world):
    """Look at a record; where the receipt says the look stands, and as what leaf."""
    receipt = parse_receipt(world.services.records.show(world.leaf(), WHY).receipt)
    return [receipt.idx, receipt.leaf.hex()]


def anchor(world, note):
    world.anchor()
    note(promised=world.roots())


@dataclass
class Told:
    """What the world outside knows at a moment."""

    sent: list = field(default_factory=list)
    jobs: dict = field(default_factory=dict)
    leaves: list = field(default_factory=list)  # hex
    opened: list = field(default_factory=list)
    promised: list = field(default_factory=list)
    withdrawn: list = field(default_factory=list)
    erased: list = field(default_factory=list)
    keys: list = field(default_factory=list)  # of tests.chaos.faultfs.rotation
    count: int = 0

    def note(self, **facts):
        self.count += 1
        if "sent" in facts:
            self.sent.append((facts["at"], facts["sent"].encode()))
        if "job" in facts:
            self.jobs[facts["job"]] = range(*facts["rows"])
        self.leaves += facts.get("leaves", [])
        if "corrected" in facts:
            self.leaves.append(facts["corrected"])
        if "opened" in facts:
            self.opened.append(facts["opened"])
        if "promised" in facts:
            self.promised.append(facts["promised"])
        if "withdrawn" in facts:
            self.withdrawn.append(facts["withdrawn"])
        if "erased" in facts:
            self.erased.append(facts["erased"])
        if "keys" in facts:
            self.keys.append(facts["keys"])

    def chain(self, clock):
        """Build the chain as it stands now; ``clock`` is moved to it."""
        past = ManualClock(START)
        chain = new_chain(past)
        for at, raw in self.sent:
            past.advance(seconds=at - past.now_seconds())
            chain.receive(raw)
        chain._clock = clock
        return chain


def told_before(notes):
    """Give what was told on earlier days: a file with a JSON list of facts."""
    told = Told()
    for facts in json.loads(Path(notes).read_bytes()):
        told.note(**facts)
    return told


def check_recovered(root, told, *, go_on=True, check=None, whole=True):
    """Open what a crash left as the next start does, and check it against what was known outside.

    Args:
        root: The directory.
        told: What was known.
        go_on: Whether to let the node work again, too: finish imports, take all rows once more, anchor.
        check: Looks at the node before it works again; None for nothing more than what is always looked at.
        whole: Whether to check everything that is stored, which takes seconds where that is much.
    """
    clock = ManualClock(LATER)
    with DiskWorld(root, chain=told.chain(clock), clock=clock, seed=f"after/{told.count}") as world:
        services = world.services
        assert services.state()["code"] is None, services.state()
        for job, numbers in told.jobs.items():
            rows = [penalty(number) for number in numbers]
            world.uploads.files[job] = (list(world.items["penalty:2018"].field_codes), rows, None)
        check_told(world, told)
        world.loop.prepare()
        assert services.state()["mode"] == "ready", services.state()
        if check is not None:
            check(world)
        if whole:
            assert world.check() == []
        if go_on:
            check_goes_on(world, told, whole=whole)
        check_told(world, told)


def check_told(world, told):
    leaves = [line.leaf for line in world.services.records.list_newest(limit=NEWEST)]
    assert len(leaves) == len(set(leaves))
    for leaf in set(map(bytes.fromhex, told.leaves)) - set(leaves):
        assert world.records.leaf(world.records.index_of(leaf)) == leaf, "an acknowledged record is gone"
    for job in told.jobs:
        assert world.services.store.get(b"j" + bytes.fromhex(job.replace("-", ""))), (
            "an acknowledged import is gone"
        )
    for leaf in told.withdrawn:
        row = world.records.row(world.records.index_of(bytes.fromhex(leaf)))
        assert current_status(world.store, row) == INVALID, "an acknowledged withdrawal is gone"
    for leaf in told.erased:
        place = world.records.index_of(bytes.fromhex(leaf))
        assert find_erasure(world.store, place), "an acknowledged erasure is gone"
        with raises_code(NotFound, "record-erased"):
            world.records.wrapped_secret(place)
    for index, leaf in told.opened:
        assert world.access.leaf(index).hex() == leaf, "a receipt was given for another event"
    for promised in told.promised:
        for log, (size, root) in promised.items():
            tiles = world.services.readers[LogKind[log.upper()]].tiles
            assert root_at(tiles, size).hex() == root, f"the {log} log does not continue a signed checkpoint"


def check_goes_on(world, told, *, whole=True):
    importer = world.services.importer
    for job in unfinished_jobs(world.store):
        if job.id not in world.uploads.files:
            # Its order was not acknowledged, but is there: the file lies beside it then.
            world.uploads.files[job.id] = (list(world.items["penalty:2018"].field_codes), [], None)
        assert importer.run_job(job.id).state == "done"
    rows = sorted({number for numbers in (*IMPORTS, *told.jobs.values()) for number in numbers})
    done = world.import_rows([penalty(number) for number in rows])
    assert done.accepted + done.duplicate + done.refused == len(rows)
    again = world.import_rows([penalty(number) for number in rows])
    assert (again.accepted, again.duplicate + again.refused) == (0, len(rows))
    world.anchor()
    if whole:
        assert world.check() == []


def main(root):
    faultfs = Faultfs()
    with DiskWorld(root) as world:
        faultfs.note(started=True)
        world.chain.faultfs = faultfs
        run_day(world, faultfs.note)


if __name__ == "__main__":
    main(sys.argv[1])
