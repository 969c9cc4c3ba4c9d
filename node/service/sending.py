# SPDX-License-Identifier: Apache-2.0
"""Transactions that survive everything: signed once, stored, sent until the chain has settled them.

One transaction is under way at a time. Its signed bytes are durable before they are first sent, so after a crash
the same bytes are sent again; they are never signed anew while they can still be mined.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import msgpack

from node.errors import Conflict, Unavailable
from node.service import layout

if TYPE_CHECKING:
    from collections.abc import Callable

    from node.core.clock import Clock
    from node.ports import AnchorChain, SignedTransaction, Store, TransactionOutcome
    from node.service.sequencer import Sequencer

RESEND_SECONDS: Final = 10.0
POLL_SECONDS: Final = 0.05


@dataclass(frozen=True, slots=True)
class Pending:
    """The transaction under way: what it is for, its bytes and its hash."""

    purpose: str
    raw: bytes
    tx_hash: bytes
    nonce: int


class Sender:
    """Sends this node's transactions, one after the other."""

    def __init__(self, store: Store, sequencer: Sequencer, chain: AnchorChain, clock: Clock) -> None:
        self._store = store
        self._sequencer = sequencer
        self._chain = chain
        self._clock = clock
        self._lock = threading.Lock()
        self._sent_at: float | None = None

    def pending(self) -> Pending | None:
        """Give the transaction under way."""
        data = self._store.get(layout.PENDING_TRANSACTION_KEY)
        return None if data is None else Pending(*msgpack.unpackb(data))

    def start(self, purpose: str, sign: Callable[[int], SignedTransaction]) -> Pending:
        """Sign with the next nonce, make the bytes durable, send them once.

        Args:
            purpose: What it is for; whoever settles it reads this.
            sign: Gives the signed transaction for a nonce.

        Raises:
            Conflict: Another transaction is under way.
            Unavailable: The chain is away (nothing was signed or stored, or it was stored and will be resent).
        """
        with self._lock:
            if self.pending() is not None:
                raise Conflict("transaction-pending", "another transaction of this node is under way")
            signed = sign(self._chain.next_nonce())
            pending = Pending(purpose, signed.raw, signed.tx_hash, signed.nonce)
            packed = msgpack.packb([pending.purpose, pending.raw, pending.tx_hash, pending.nonce])
            self._sequencer.run(lambda t: t.put(layout.PENDING_TRANSACTION_KEY, packed), entries=0)
        self._send(pending)
        return pending

    def poll(self) -> TransactionOutcome | None:
        """Ask once how the transaction under way stands; None while it is not final.

        Raises:
            Unavailable: The chain is away.
        """
        pending = self.pending()
        if pending is None:
            return None
        outcome = self._chain.find_outcome(pending.tx_hash)
        return outcome if outcome is not None and outcome.final else None

    def resend(self) -> None:
        """Send the same bytes again."""
        pending = self.pending()
        if pending is None:
            return
        try:
            self._send(pending)
        except Conflict as error:
            # The operator key was used elsewhere under this nonce, so these bytes can never be mined.
            if error.code == "nonce-used" and self._chain.find_outcome(pending.tx_hash) is None:
                self._sequencer.run(lambda t: t.delete(layout.PENDING_TRANSACTION_KEY), entries=0)
            raise

    def wait(self, *, sleep: Callable[[float], None], timeout_seconds: float) -> TransactionOutcome:
        """Poll and resend until the transaction under way is final.

        Raises:
            Unavailable: It was not final in time; it stays under way.
        """
        start = self._clock.monotonic()
        while True:
            outcome = self.poll()
            if outcome is not None:
                return outcome
            now = self._clock.monotonic()
            if now - start > timeout_seconds:
                raise Unavailable(
                    "transaction-slow", f"transaction not final after {timeout_seconds:.0f} seconds"
                )
            if self._sent_at is None or now - self._sent_at > RESEND_SECONDS:
                self.resend()
            sleep(POLL_SECONDS)

    def _send(self, pending: Pending) -> None:
        self._sent_at = self._clock.monotonic()
        self._chain.send(pending.raw)
