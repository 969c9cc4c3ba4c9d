# SPDX-License-Identifier: Apache-2.0
"""The succession of a ``NodeWorld``'s logs, as ``ironcage log succeed`` does it for a node on a disk."""

from __future__ import annotations

from dataclasses import replace

from node.crypto.ed25519 import Ed25519Signer
from node.crypto.mldsa import MlDsa44Signer
from node.service.assembly import log_numbers, open_logs
from node.service.publishing import LogKeys
from node.service.succeeding import Department, advance, choose_logs
from tests.support.node_world import DOMAIN, seed_of

DAY_SECONDS = 86_460


class Successions:
    """Successions of one world's logs, with the keys of every log that ever was.

    Attributes:
        keys: Keys by (kind, number), first logs left out.
    """

    def __init__(self, world):
        self.world = world
        self.keys = {}
        self._first = dict(world.keys.logs)

    def _create_keys(self, kind, number):
        member = self.world.identity.member
        made = LogKeys(
            Ed25519Signer(seed_of(member, kind.text, number)),
            MlDsa44Signer(seed_of(member, kind.text, number, "pq")),
        )
        return self.keys.setdefault((kind, number), made)

    @property
    def department(self):
        world = self.world
        member = world.identity.member
        return Department(
            domain=DOMAIN,
            member=member,
            store=world.store,
            heads=world.heads,
            chain=world.chain.client(world.identity.operator),
            clock=world.clock,
            node_key=world.keys.node,
            open_logs=lambda: open_logs(world.store, DOMAIN, member),
            find_keys=lambda kind, number: self.keys.get((kind, number)),
            create_keys=self._create_keys,
        )

    def choose(self, reason="restored-backup", wanted=()):
        department = self.department
        return choose_logs(department, department.take_stock(), wanted, reason)

    def advance(self, reason="restored-backup", wanted=()):
        """One call of the command, with the node stopped."""
        kinds = self.choose(reason, wanted)
        return advance(self.department, kinds, reason, self.world.sleep)

    def stop(self):
        self.world.services.sequencer.close()

    def succeed(self, reason="restored-backup", wanted=()):
        """Stop, announce, let the notice pass, finish, and start again."""
        self.stop()
        waiting = self.advance(reason, wanted)
        assert waiting.waiting
        assert not waiting.begun
        self.pass_notice()
        done = self.advance(reason, wanted)
        assert not done.waiting
        self.start()
        return done

    def pass_notice(self):
        self.world.clock.advance(seconds=DAY_SECONDS)
        self.world.chain.mine()

    def start(self):
        """Start with the keys of the logs that the store has open now."""
        world = self.world
        logs = {
            kind: self.keys.get((kind, number), self._first[kind])
            for kind, number in log_numbers(world.store).items()
        }
        world.keys = replace(world.keys, logs=logs)
        world.start()
