# SPDX-License-Identifier: Apache-2.0
"""Ask about many subjects at once (docs/exchange.md, Many subjects): as any question, once a second person has approved it.

What more lines than the purpose lets one person ask needs somebody else: it waits, durably, and leaves nothing in the
access log until it is asked. Whoever approved it stands in the event beside the officer.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final, NamedTuple

from node.service.exchange.orders import find_providers, parse_order, prejudge_each

if TYPE_CHECKING:
    from node.service.exchange.approvals import Approval, Approvals
    from node.service.exchange.asker import Asker
    from node.service.exchange.orders import Order, Outcome
    from node.service.exchange.side import Side

APPROVER_REQUIRED: Final = "approver-required"
_RUN_BYTES: Final = 16


class AskedMany(NamedTuple):
    """What came of a question about many: outcomes, or what has to be approved before there are any."""

    outcomes: list[Outcome]
    waiting: Approval | None


class ManyAsker:
    """Asks about many subjects; safe to use from any thread.

    Args:
        side: This node.
        asker: Asks.
        approvals: Keeps what waits for a second approver.
    """

    def __init__(self, side: Side, asker: Asker, approvals: Approvals) -> None:
        self._side = side
        self._asker = asker
        self.approvals = approvals

    def ask(self, order: Order) -> AskedMany:
        """Ask providers about many subjects, or note that a second person has to approve it first.

        Raises:
            InvalidInput: The question is none: ``bulk-lines``, ``bulk-subjects``, and as ``Asker.ask``.
            Conflict: ``approvals-full``, ``approvals-officer``.
            Unavailable: As ``Asker.ask``.
        """
        side = self._side
        question = parse_order(order, side.permits)
        judged = prejudge_each(side, order, question, find_providers(side, order.providers))
        if any(one.decision.code == APPROVER_REQUIRED for one in judged.values()):
            id_ = self.approvals.name(order, question, order.officer.id)
            approval = self.approvals.find(id_)
            if approval is None or approval.approver is None:
                return AskedMany([], self.approvals.file(id_, order, question))
            order = replace(order, approval=replace(approval, used_by=side.random(_RUN_BYTES)))
        return AskedMany(self._asker.ask(order), None)

    def approve(self, id_: bytes, order: Order) -> Approval:
        """Approve what another officer asked; ``order.officer`` is who approves, the rest the question as he was shown it.

        Raises:
            InvalidInput: It is no question.
            NotFound, AccessDenied, Conflict: As ``Approvals.approve``.
        """
        return self.approvals.approve(id_, order, parse_order(order, self._side.permits))
