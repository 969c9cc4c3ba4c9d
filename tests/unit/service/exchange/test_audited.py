# SPDX-License-Identifier: Apache-2.0
"""What the nodes' own exchanges leave in their logs fits together; what one of them leaves out is named."""

from node.cage.audit import Audit, Given
from node.cage.proof import MemoryScratch
from node.cage.walk import Rules
from node.crypto.note import parse_vkey
from node.evidence.policy import Policy, TrustedChain, TrustedKey, TrustedLog
from node.log.checkpoint import log_id, parse_origin
from node.log.tiles import parse_bundle
from node.log.tree import TILE_WIDTH
from node.service.auditing import open_range
from node.service.layout import LogKind
from tests.support.audit_world import codes_of
from tests.support.exchange_world import COURT, MARKET, TAX, ExchangeWorld

PERIOD = 1_200
"""Each node of this world waits five minutes for its anchor, and they anchor one after the other."""


class OwnLog:
    """The access log of a node in this process, as a ``LogSource``."""

    def __init__(self, node):
        self.services = node.services
        self.reader = node.services.readers[LogKind.ACCESS]
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
        return open_range(logs, self.services.access, self.services.records._vault, 0, start, stop, "zhao")


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

    def find_block_after(self, seconds):
        return None


def policy_of(world):
    logs, keys = [], []
    for code, node in world.nodes.items():
        origin = node.services.readers[LogKind.ACCESS].origin
        vkeys = [parse_vkey(text) for text in node.services.public_keys.logs[LogKind.ACCESS]]
        logs.append(TrustedLog(parse_origin(origin), origin, code, *vkeys))
        keys.append(TrustedKey(code, "node", node.services.public_keys.node, None, None))
    chain = TrustedChain(1, "anvil", "0x" + "5a" * 20, 1, bytes(32), (), 2**40)
    return Policy(tuple(logs), tuple(keys), chain)


def audit(world):
    sources = [OwnLog(node) for node in world.nodes.values()]
    rules = Rules(PERIOD, 4 * 3_600, world.clock.now_seconds())
    return Audit(
        sources, OwnChain(world), policy_of(world), rules, MemoryScratch(), Given(complete=True)
    ).run()


def settle(world):
    """Let a quarter of an hour pass, and anchor now and then."""
    for _ in range(6):
        world.clock.advance(seconds=290)
        world.anchor()


def test_answers_refusals_and_nodes_that_are_away_leave_nothing_that_does_not_fit():
    with ExchangeWorld() as world:
        world.nodes[MARKET].import_penalties(range(2))
        world.ask(providers=(MARKET, TAX))
        world.ask(case=None)
        world.post.away = {TAX}
        world.ask(providers=(MARKET, TAX))
        settle(world)
        report = audit(world)
        assert codes_of(report) == set(), [f.text("en") for f in report.findings.listed]
        remarks = {code for code, _ in report.findings.remarks}
        assert remarks == {"not-answered", "not-attested"}


def test_an_answer_whose_grant_is_not_in_the_log_is_named():
    """The court asks; the market regulator's log is the one of a node that was never asked."""
    with ExchangeWorld() as world, ExchangeWorld() as other:
        world.ask(providers=(MARKET,))
        settle(world)
        settle(other)
        sources = [OwnLog(world.nodes[COURT]), OwnLog(other.nodes[MARKET])]

        class Chains:
            head_block = OwnChain(world).head_block
            find_block_after = OwnChain(world).find_block_after

            @staticmethod
            def anchors(origin):
                return OwnChain(other if MARKET in origin else world).anchors(origin)

        rules = Rules(PERIOD, 4 * 3_600, world.clock.now_seconds())
        report = Audit(
            sources, Chains(), policy_of(world), rules, MemoryScratch(), Given(complete=False)
        ).run()
        assert codes_of(report) == {"answer-missing"}
        assert [finding.member for finding in report.findings.listed] == [MARKET]
