# SPDX-License-Identifier: Apache-2.0
"""An auditor of the nodes of an exchange world: reads their logs, asks their chain, trusts their keys."""

from __future__ import annotations

from node.cage.audit import Audit, Given
from node.cage.proof import MemoryScratch
from node.cage.walk import Rules
from node.crypto.note import parse_vkey
from node.evidence.policy import Policy, TrustedChain, TrustedKey, TrustedLog
from node.log.checkpoint import log_id, parse_origin
from node.log.tiles import parse_bundle
from node.log.tree import TILE_WIDTH
from node.service.auditing import open_range
from node.service.exchange.promised import read_promised
from node.service.layout import LogKind
from node.service.sealing import Seals

PERIOD = 1_200
"""Each node of this world waits five minutes for its anchor, and they anchor one after the other."""


class OwnLog:
    """An access log of a node in this process, as a ``LogSource``; the open one by default."""

    def __init__(self, node, reader=None):
        self.services = node.services
        self.reader = reader or node.services.readers[LogKind.ACCESS]
        self.origin = self.reader.origin
        # As everything stood before the audit, which is itself logged.
        self.note = self.reader.find_checkpoint()[1]

    def fetch_checkpoint(self):
        return self.note

    def fetch_entries(self, start, stop):
        bundle, first = divmod(start, TILE_WIDTH)
        width = stop - bundle * TILE_WIDTH
        return parse_bundle(self.reader.bundle(bundle, width), width)[first:]

    def fetch_openings(self, start, stop):
        logs = self.services.logs[LogKind.ACCESS]
        services = self.services
        vault, seals = services.records._vault, Seals(services.clock)
        return open_range(logs, services.access, vault, seals, self.reader.number, start, stop, "zhao")


class OwnChain:
    """The simulated chain, as an ``AuditChain``."""

    def __init__(self, world):
        self._world = world
        node = next(iter(world.nodes.values()))
        self._client = world.chain.client(node.identity.operator)

    def anchors(self, origin):
        return [pair[0] for pair in self._client.fetch_anchors(log_id(origin), 1)]

    def head_block(self):
        return self._world.chain.head.number

    def closes_at(self, origin):
        return self._client.log_info(log_id(origin)).closes_at

    def find_block_after(self, seconds):
        return None


def policy_of(world):
    """Whose keys an auditor of this world believes."""
    logs, keys = [], []
    for code, node in world.nodes.items():
        described = node.services.describe()
        for log in (*described["earlier_logs"], *described["logs"]):
            if log["kind"] == LogKind.ACCESS.text:
                origin = parse_origin(log["origin"])
                logs.append(TrustedLog(origin, log["origin"], code, *map(parse_vkey, log["vkeys"])))
        keys.append(TrustedKey(code, "node", node.services.public_keys.node, None, None))
    chain = TrustedChain(1, "anvil", "0x" + "5a" * 20, 1, bytes(32), (), 2**40)
    return Policy(tuple(logs), tuple(keys), chain)


def held_by(node):
    """The receipts of others that a node shows to an auditor, a few at a time; each page is a look that it logs."""
    after, found = None, []
    while True:
        page, after = read_promised(
            node.store,
            node.services.logs[LogKind.ACCESS],
            node.services.access,
            after=after,
            limit=3,
            officer="zhao",
        )
        found += page
        if after is None:
            return found


def audit(world, *, receipts=(), notes=(), held=(), period_seconds=PERIOD):
    """Audit all nodes; the report.

    Args:
        world: The nodes.
        receipts: What members hold from each other, JWS.
        notes: Signed checkpoints that somebody holds.
        held: Receipts as the nodes show them (``held_by``).
        period_seconds: How often the nodes anchor.
    """
    sources = [
        OwnLog(node, reader)
        for node in world.nodes.values()
        for reader in node.services.logs[LogKind.ACCESS].readers
    ]
    rules = Rules(period_seconds, 4 * 3_600, world.clock.now_seconds())
    given = Given(receipts, notes, complete=True, held=held)
    return Audit(sources, OwnChain(world), policy_of(world), rules, MemoryScratch(), given).run()


def audit_both(world):
    """What an auditor finds who is shown both logs and what the nodes hold from each other."""
    return audit(world, held=[receipt for node in world.nodes.values() for receipt in held_by(node)])


def settle(world):
    """Let a quarter of an hour pass, and anchor now and then."""
    for _ in range(6):
        world.clock.advance(seconds=290)
        world.anchor()
