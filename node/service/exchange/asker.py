# SPDX-License-Identifier: Apache-2.0
"""Ask other departments for an officer (protocol section 8): every question is logged before it leaves, every end too.

    1  decide, as the provider will                   refused: logged as deny, the officer gets its receipt      orders
    2  one commit: an ask for each provider           fails: nothing is sent                                     sending
    3  sign with the ask's receipt, seal, send        all at once; a slow provider holds up nobody
    4  verify the answer                              what does not hold is not shown                            receiving
    5  one commit: receive, what it released, and     fails: nothing is shown
       the provider's promise
    6  the officer's answer

Where the node dies between 2 and 5 the next start logs the ``receive`` of a question whose time is over: nothing was
shown, and the other side's log may say that something was given.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from node.access.answer import DENY
from node.service.exchange import receiving
from node.service.exchange.orders import (
    REFUSED,
    Outcome,
    draft_ask,
    find_providers,
    parse_order,
    prejudge_each,
)
from node.service.exchange.receiving import receive_all
from node.service.exchange.sending import log_asks, send
from node.service.layout import LogKind

if TYPE_CHECKING:
    from node.access.decision import Decision
    from node.ports.peers import Peers
    from node.service.drafting import EventDraft
    from node.service.exchange.directory import Peer
    from node.service.exchange.orders import Order
    from node.service.exchange.side import Side

_REQ_BYTES: Final = 32


class Asker:
    """Asks for this department's officers; safe to use from any thread.

    Args:
        side: This node.
        peers: Carries the envelopes.
    """

    def __init__(self, side: Side, peers: Peers) -> None:
        self._side = side
        self._peers = peers

    def ask(self, order: Order) -> list[Outcome]:
        """Ask providers about a subject and give what came of each, in the order of the providers.

        Raises:
            InvalidInput: The question is none: ``question-…``, ``uscc-…``, ``providers``.
            AccessDenied: ``member-unknown``: a provider is no member.
            Unavailable: The log, the store or the chain cannot be used now; nothing was sent.
        """
        side = self._side
        question = parse_order(order, side.permits)
        peers = find_providers(side, order.providers)
        judged = prejudge_each(side, order, question, peers)
        note = side.newest_note(LogKind.ACCESS)
        base = draft_ask(order, question)
        outcomes = [
            self._refuse(base, peer, judged[peer.member.code].decision)
            for peer in peers
            if not judged[peer.member.code].decision.granted
        ]
        granted = [peer for peer in peers if judged[peer.member.code].decision.granted]
        logged = log_asks(side, base, order, granted, judged)
        sent = [send(side, self._peers, one, order, question, note) for one in logged]
        outcomes += receive_all(side, sent)
        by_provider = {outcome.provider: outcome for outcome in outcomes}
        return [by_provider[peer.member.code] for peer in peers]

    def close_lost(self) -> int:
        """Log the ``receive`` of questions that were lost when this node died, once nobody answers them any more.

        Raises:
            NodeError: The log or the store cannot be used now; calling again goes on.
        """
        return receiving.close_lost(self._side)

    def _refuse(self, base: EventDraft, peer: Peer, decision: Decision) -> Outcome:
        """Log what was refused here: it concerns nobody else, so the officer alone gets the receipt."""
        side = self._side
        draft = replace(
            base,
            kind=DENY,
            peer=side.member,
            rule=decision.rule,
            # There is no request that this could be the digest of, and one of the question could be guessed.
            req=side.random(_REQ_BYTES),
        )
        logged = side.access.log(draft)
        return Outcome(peer.member.code, REFUSED, decision.code, decision.detail, (logged.receipt,))
