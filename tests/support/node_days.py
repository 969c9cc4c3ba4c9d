# SPDX-License-Identifier: Apache-2.0
"""A node whose days are driven one step at a time: its clock may be wrong, its key changes, its imports wait."""

from __future__ import annotations

from copy import copy
from dataclasses import replace

from node.crypto.ed25519 import key_id16
from node.crypto.jws import parse_jws
from node.evidence.policy import TrustedKey
from node.evidence.verify import verify_evidence
from node.log.tiles import MAX_ENTRY
from node.ports import KeyKind, Role
from node.worker.loops import ImportLoop
from tests.support.chain import SimulatedChain
from tests.support.clock import ManualClock
from tests.support.node_world import ChainEyes, NodeWorld, build_identity, seed_of


class RightClock:
    """Goes on as a clock does and is never put: the time of everybody but one node."""

    def __init__(self, clock):
        self._start, self._clock = clock.now_seconds(), clock

    def now_seconds(self):
        return self._start + int(self._clock.monotonic())


class KeptUploads:
    """Files of imports that nobody removes."""

    def remove(self, job_id):
        pass


class DrivenNode(NodeWorld):
    """A node with its import loop, beside a chain that has a clock of its own.

    Attributes:
        key: How often the record key was rotated.
        skew_seconds: How far the node's clock is ahead.
        imports: The loop, never started: ``work`` is one turn of it.
    """

    def __init__(self):
        clock, identity = ManualClock(), build_identity()
        founders = [(identity.member, identity.operator, Role.ISSUER)]
        self.key = self.skew_seconds = 0
        super().__init__(clock=clock, chain=SimulatedChain(founders, clock=RightClock(clock)))

    def start(self):
        super().start()
        self.loop.sleep = self.sleep
        self.imports = ImportLoop(self.services, KeptUploads())

    def work(self):
        """Run what is ordered.

        Raises:
            Fatal: The writer has stopped.
        """
        self.imports._turn()
        if self.services.sequencer.fatal:
            raise copy(self.services.sequencer.fatal)

    def rotate(self):
        """Put the next record key in place."""
        self.key += 1
        self.put_record_key(self.seed_of_key(self.key))

    @staticmethod
    def seed_of_key(number):
        return seed_of("record", number)

    def put_clock(self, seconds):
        """Put the node's clock that far ahead of the right time."""
        self.clock.put(seconds=seconds - self.skew_seconds)
        self.skew_seconds = seconds

    @property
    def kid(self):
        """Id of the record key in place."""
        return key_id16(self.keys.record.public)

    def kids(self, first=0):
        """Who signed the entries of the records log from one on."""
        return [
            parse_jws(self.records.entry(row), typ=None, max_bytes=MAX_ENTRY).header["kid"]
            for _, row in self.records.rows(first, self.records.size())
        ]

    def is_key_taken(self):
        """Tell whether the chain has the key that signed the newest entry."""
        taken = self.chain.state.keys.get((self.identity.member, KeyKind.RECORD), [])
        return set(self.kids(max(0, self.records.size() - 1))) <= {key_id16(each.key) for each in taken}

    def periods(self):
        """Record keys of this member on the chain, oldest first."""
        return self.services.chain.keys(self.identity.member, KeyKind.RECORD)

    def verify_with_all_keys(self, evidence, **demand):
        """Verify evidence under every key that the chain has of this member, with its blocks."""
        member = self.identity.member
        keys = tuple(TrustedKey(member, "record", p.key, p.from_block, p.to_block) for p in self.periods())
        policy = replace(self.policy(**demand), keys=keys)
        now = self.clock.now_seconds()
        return verify_evidence(evidence, policy, now_seconds=now, chain=ChainEyes(self.chain))
