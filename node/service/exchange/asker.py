# SPDX-License-Identifier: Apache-2.0
"""Ask other departments for an officer (protocol section 8): every question is logged before it leaves, every end too.

    1  decide, as the provider will                   refused: logged as deny, the officer gets its receipt      orders
       under a warrant: the regulator holds the ask   refuses, or is away: the same                              sealing
    2  one commit: an ask for each provider           fails: nothing is sent; what another question used up      sending
                                                      meanwhile is refused as in 1
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
from node.access.decision import refuse
from node.access.deposit import ASK
from node.errors import AccessDenied, InvalidInput, Unavailable, Verification
from node.service.drafting import EventDraft
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
from node.service.exchange.sending import draft_for, log_asks, send
from node.service.layout import LogKind
from node.service.sealing import WARRANT_RULE, keeps_secret

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from node.access.decision import Decision
    from node.core.types import MemberCode
    from node.ports.peers import Peers
    from node.service.exchange.directory import Peer
    from node.service.exchange.orders import Order
    from node.service.exchange.sending import Ready
    from node.service.exchange.side import Side
    from node.service.sealing import Sealer

_REQ_BYTES: Final = 32


class Asker:
    """Asks for this department's officers; safe to use from any thread.

    Args:
        side: This node.
        peers: Carries the envelopes.
        sealer: Seals what is asked under a warrant.
    """

    def __init__(self, side: Side, peers: Peers, sealer: Sealer) -> None:
        self._side = side
        self._peers = peers
        self._sealer = sealer

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
        base = draft_ask(side, order, question)
        refused = {code: one.decision for code, one in judged.items() if not one.decision.granted}
        ready = [
            draft_for(side, base, order, peer, judged[peer.member.code])
            for peer in peers
            if peer.member.code not in refused
        ]
        if order.warrant is not None:
            ready = [one for one in ready if self._seal(one, order.warrant, refused)]
        outcomes = self._refuse_all(base, peers, order, refused)
        logged, taken = log_asks(side, ready)
        outcomes += self._refuse_all(base, peers, order, taken)
        sent = [send(side, self._peers, one, order, question, note) for one in logged]
        outcomes += receive_all(side, sent, self._sealer)
        by_provider = {outcome.provider: outcome for outcome in outcomes}
        return [by_provider[peer.member.code] for peer in peers]

    def close_lost(self) -> int:
        """Log the ``receive`` of questions that were lost when this node died, once nobody answers them any more.

        Raises:
            NodeError: The log or the store cannot be used now; calling again goes on.
        """
        return receiving.close_lost(self._side)

    def _seal(self, ready: Ready, warrant: str, refused: dict[MemberCode, Decision]) -> bool:
        """Have the regulator hold what an ask says; where it does not, note why nothing is asked."""
        # One regulator holds all of them: who waited for it once does not wait for it once more for each provider.
        away = next((one for one in refused.values() if one.code == "regulator-away"), None)
        if away is not None:
            refused[ready.peer.member.code] = away
            return False
        try:
            ready.sealed = self._sealer.seal(ready.draft, token=warrant, part=ASK)
        except (AccessDenied, InvalidInput, Unavailable, Verification) as error:
            refused[ready.peer.member.code] = refuse(WARRANT_RULE, error)
            return False
        return True

    def _refuse_all(
        self, base: EventDraft, peers: Sequence[Peer], order: Order, refused: Mapping[MemberCode, Decision]
    ) -> list[Outcome]:
        return [
            self._refuse(base, peer, order, refused[peer.member.code])
            for peer in peers
            if peer.member.code in refused
        ]

    def _refuse(self, base: EventDraft, peer: Peer, order: Order, decision: Decision) -> Outcome:
        """Log what was refused here: it concerns nobody else, so the officer alone gets the receipt."""
        side = self._side
        if keeps_secret(
            side.directory,
            order.warrant,
            asker=side.member,
            now_seconds=side.clock.now_seconds(),
        ):
            base = EventDraft(kind=DENY, officer=order.officer)
        draft = replace(
            base,
            kind=DENY,
            peer=side.member,
            rule=decision.rule,
            lines=(),
            n=1,
            # There is no request that this could be the digest of, and one of the question could be guessed.
            req=side.random(_REQ_BYTES),
        )
        logged = side.access.log(draft)
        return Outcome(peer.member.code, REFUSED, decision.code, decision.detail, (logged.receipt,))
