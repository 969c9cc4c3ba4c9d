# SPDX-License-Identifier: Apache-2.0
"""Lives of one node over stores that are lost and put back, and everything that any of them ever signed."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace

import msgpack

from node.access.receipt import parse_receipt
from node.crypto.note import parse_vkey
from node.errors import Unavailable
from node.evidence.policy import TrustedLog
from node.evidence.verify import verify_evidence
from node.log.checkpoint import parse_origin, parse_signed_checkpoint
from node.service import layout
from node.service.layout import LogKind
from node.service.missing import take_stock
from tests.support.department import Successions
from tests.support.errors import raises_code
from tests.support.node_world import WHY, ChainEyes, FaultyHeads, NodeWorld


class Life:
    """A world, its successions, and everything that any life of its node ever signed."""

    def __init__(self):
        self.world = NodeWorld()
        self.successions = Successions(self.world)
        self.notes = {}
        self.receipts = []
        self.single = {}
        self.trusted = {}

    def remember(self):
        """Collect what was signed by now, and check it against everything signed before."""
        store = self.world.store
        for log in LogKind:
            for _, note in store.scan(b"c" + log.value, layout.stop_of(b"c" + log.value)):
                checkpoint = parse_signed_checkpoint(note.decode())[0]
                key = (checkpoint.origin, checkpoint.size)
                assert self.notes.setdefault(key, checkpoint.root) == checkpoint.root, f"two roots at {key}"
        for key, value in self._single_uses():
            assert self.single.setdefault(key, value) == value, f"used twice: {key}"
        described = self.world.services.describe()
        for log in (*described["logs"], *described["earlier_logs"]):
            keys = tuple(map(parse_vkey, log["vkeys"]))
            origin = parse_origin(log["origin"])
            self.trusted[log["origin"]] = TrustedLog(origin, log["origin"], origin.member, *keys)

    def _single_uses(self):
        """What no two stores of this node may ever use for two things, and what it was used for."""
        for reader in self.world.services.logs[LogKind.RECORDS].readers:
            for index, row in reader.rows(0, reader.size()):
                if row.status_list != layout.NO_LIST:
                    yield ("place in a status list", row.status_list, row.status_index), reader.leaf(index)
        for key, place in self.world.store.scan(layout.status_head_key(0), layout.stop_of(b"H")):
            logs = self.world.services.logs[LogKind.RECORDS]
            yield ("status head", key), logs.leaf(msgpack.unpackb(place)[0])
        for receipt in self.receipts:
            yield ("receipt", parse_receipt(receipt).pair), receipt

    def look(self, leaf):
        shown = self.world.services.records.show(leaf, WHY)
        self.receipts.append(shown.receipt)
        return shown

    def export(self, leaf):
        return self.world.services.exporter.export(leaf, ["CF_WSH"], WHY).data

    def verify(self, evidence):
        """Verify as a stranger who knows every log that this member ever had."""
        policy = replace(self.world.policy(), logs=tuple(self.trusted.values()))
        now = self.world.clock.now_seconds()
        return verify_evidence(evidence, policy, now_seconds=now, chain=ChainEyes(self.world.chain))

    def account(self):
        services = self.world.services
        found = take_stock(
            services.store, services.readers, self.world.heads, services.log_ids, services.chain
        )
        return {log.log: log for log in found.logs}

    def forget_heads(self):
        """The directory of the head files is gone."""
        self.world.heads = FaultyHeads()

    def publish_unanchored(self):
        """Sign checkpoints that leave the node while their anchor does not reach the chain."""
        self.world.chain.swallow_sends = True
        with raises_code(Unavailable, "transaction-slow"):
            self.world.anchor()
        self.world.chain.swallow_sends = False
        self.remember()

    def put_back(self, store):
        """The disk is gone; a backup is put back elsewhere, and the node started on it."""
        self.world.services.sequencer.close()
        self.world.store = store
        self.successions.start()


@contextmanager
def begun_life():
    """A department that has anchored twice."""
    life = Life()
    with life.world as world:
        world.join()
        world.import_penalties(range(20))
        world.anchor()
        life.early = world.leaf(0)
        life.look(life.early)
        world.import_penalties(range(20, 30))
        life.tail = world.leaf(25)
        world.anchor()
        life.remember()
        yield life


def lose_newest(life):
    """Go back to before the last anchor, with the head files as they are."""
    world = life.world
    copy = world.store.copy()
    world.import_penalties(range(30, 40))
    life.lost = world.leaf(35)
    life.look(life.early)
    world.anchor()
    life.gone = life.export(life.lost)
    life.remember()
    life.put_back(copy)


def go_on(life):
    """Work on after a succession: import what was lost again, anchor, and prove old and new."""
    world = life.world
    world.join()
    again = world.import_penalties(range(30, 40))
    assert (again.accepted, again.duplicate, again.refused) == (10, 0, 0)
    world.anchor()
    life.remember()
    assert world.import_penalties(range(40)).duplicate == 40
    lines = world.lines()
    assert len(lines) == len({line.leaf for line in lines}) == 40
    assert {line.stage for line in lines} == {"anchored"}
    for line in (lines[0], lines[25], lines[35]):
        report = life.verify(life.export(line.leaf))
        assert report.satisfied, report
    assert world.check() == []
