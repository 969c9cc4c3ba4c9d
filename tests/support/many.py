# SPDX-License-Identifier: Apache-2.0
"""Questions about many subjects in an exchange world: a procurement office checks whoever tenders."""

from __future__ import annotations

from consortium.samples.codes import build_uscc
from node.cage.audit import Audit, Given
from node.cage.proof import MemoryScratch
from node.cage.walk import Rules
from node.service.drafting import Officer
from tests.support.exchange_audit import PERIOD, OwnChain, OwnLog, policy_of
from tests.support.exchange_world import COURT, MARKET, ExchangeWorld
from tests.support.rows import COMPANY

LI, WANG, ZHAO = Officer("li"), Officer("wang"), Officer("zhao")
CAP, APPROVED = 50, 500
"""Most lines of ``tender-check`` in the sample purposes: asked by one person, and with a second."""


def companies(count, *, start=0):
    """Credit codes of companies, the first of them the one with penalties."""
    others = [build_uscc("91", "520100", f"MA{number:06d}") for number in range(101, 100 + start + count)]
    return [COMPANY, *others][start : start + count]


def order_many(world, ids, **changes):
    """A question about many subjects that the sample purposes allow up to ``CAP``."""
    return world.order(
        **{
            "subject_id": "",
            "many": tuple(ids),
            "purpose": "tender-check",
            "basis": "gov-procurement-22",
            "case": "2026-招-17",
            "providers": (MARKET,),
        }
        | changes
    )


def ask_many(world, ids, *, by=COURT, **changes):
    return world.exchanges[by].many.ask(order_many(world, ids, **changes))


def ask_one_of_many(world, ids, **changes):
    """Ask one provider about many; its outcome."""
    (outcome,) = ask_many(world, ids, **changes).outcomes
    return outcome


def approve(world, waiting, ids, *, officer=WANG, by=COURT, **changes):
    """Approve what waits, from the same list."""
    return world.exchanges[by].many.approve(waiting.id, order_many(world, ids, officer=officer, **changes))


def market_world():
    """A market regulator with three penalties against the first company and one against the third."""
    world = ExchangeWorld()
    node = world.nodes[MARKET]
    node.import_penalties(range(3))
    node.import_penalties([7], CF_XDR_SHXYM=companies(3)[2], CF_XDR_MC="云州第三有限公司")
    world.anchor()
    return world


class _TwoChains:
    """What an auditor sees of the chain when each of two logs is that of another world."""

    def __init__(self, first, second, of_second):
        self._first, self._second, self._of_second = OwnChain(first), OwnChain(second), of_second
        self.head_block, self.find_block_after = self._first.head_block, self._first.find_block_after

    def _of(self, origin):
        return self._second if self._of_second in origin else self._first

    def anchors(self, origin):
        return self._of(origin).anchors(origin)

    def closes_at(self, origin):
        return self._of(origin).closes_at(origin)


def audit_two(first, one, second, other):
    """Audit the log of a member in one world with that of another in a second, where not the same was asked."""
    sources = [OwnLog(first.nodes[one]), OwnLog(second.nodes[other])]
    rules = Rules(PERIOD, 4 * 3_600, first.clock.now_seconds())
    chain = _TwoChains(first, second, other)
    return Audit(sources, chain, policy_of(first), rules, MemoryScratch(), Given(complete=False)).run()
