# SPDX-License-Identifier: Apache-2.0
"""What the nodes' own exchanges leave in their logs fits together; what one of them leaves out is named."""

from node.cage.audit import Audit, Given
from node.cage.proof import MemoryScratch
from node.cage.walk import Rules
from tests.support.audit_world import codes_of
from tests.support.exchange_audit import PERIOD, OwnChain, OwnLog, audit, held_by, policy_of, settle
from tests.support.exchange_world import COURT, MARKET, TAX, ExchangeWorld


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
        held = [receipt for node in world.nodes.values() for receipt in held_by(node)]
        report = audit(world, held=held)
        assert (codes_of(report), report.receipts) == (set(), len(held))


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
