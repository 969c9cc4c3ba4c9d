# SPDX-License-Identifier: Apache-2.0
"""Anchor both logs: publish, prove consistency from the last anchored size, send, wait for finality, store.

    state of the node                               what the next step does
    transaction under way                           ask for its outcome, send the same bytes again when it is lost
      final, accepted                               one commit: the anchors, and the transaction is done
      final, reverted                               one commit: the transaction is done; the reason is reported
    nothing under way                               compare with the chain; a store that does not continue it is
                                                    read-only; then publish, and start one transaction for both logs

Every step may be cut off anywhere and starts again from what the store and the chain say.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Final

from node.errors import Conflict, Unavailable
from node.ports import AnchorRequest
from node.service import layout
from node.service.reading import StoredAnchor, encode_stored_anchor
from node.service.startup import check_chain

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from node.core.types import LogId
    from node.ports import AnchorChain, HeadFiles, SignedTransaction, TransactionOutcome
    from node.service.layout import LogKind
    from node.service.publishing import Published, Publisher
    from node.service.reading import LogReader
    from node.service.sending import Sender
    from node.service.sequencer import Sequencer
    from node.service.transaction import Transaction

ANCHOR_PURPOSE: Final = "anchor"


class Anchorer:
    """Anchors this node's two logs."""

    def __init__(
        self,
        chain: AnchorChain,
        sender: Sender,
        publisher: Publisher,
        sequencer: Sequencer,
        readers: Mapping[LogKind, LogReader],
        log_ids: Mapping[LogKind, LogId],
        heads: HeadFiles,
    ) -> None:
        self._heads = heads
        self._chain = chain
        self._sender = sender
        self._publisher = publisher
        self._sequencer = sequencer
        self._readers = readers
        self._log_ids = log_ids
        self._lock = threading.Lock()

    def anchor_now(
        self, *, sleep: Callable[[float], None], timeout_seconds: float = 60.0
    ) -> dict[LogKind, StoredAnchor]:
        """Settle what is under way, then publish and anchor the present state and wait until it is final.

        Raises:
            Unavailable: The chain is away or slow; what was started is settled by the next call.
            Conflict: The chain refused (reverted) the anchor, or the store does not continue the chain.
            Fatal: The stored tiles are damaged; nothing was signed.
        """
        with self._lock:
            self._settle_pending(sleep, timeout_seconds)
            self.compare()
            self._start(self._publisher.publish())
            return self._settle(self._sender.wait(sleep=sleep, timeout_seconds=timeout_seconds))

    def settle(self, *, sleep: Callable[[float], None], timeout_seconds: float = 60.0) -> None:
        """Wait until what is under way is final, and store what became of it.

        Raises:
            Unavailable, Conflict, Fatal: As for ``anchor_now``.
        """
        with self._lock:
            self._settle_pending(sleep, timeout_seconds)

    def transact(
        self,
        purpose: str,
        sign: Callable[[int], SignedTransaction],
        *,
        sleep: Callable[[float], None],
        timeout_seconds: float = 60.0,
    ) -> None:
        """Send another transaction of this node between two anchors, and wait until it is final.

        Args:
            purpose: What it is for.
            sign: Gives the signed transaction for a nonce.
            sleep: Waits some seconds for the chain.
            timeout_seconds: Longest wait.

        Raises:
            Unavailable: The chain is away or slow; what was started is settled by the next call.
            Conflict: ``transaction-reverted``: the contract refused; or the node is read-only.
        """
        with self._lock:
            self._settle_pending(sleep, timeout_seconds)
            self._sender.start(purpose, sign)
            self._settle(self._sender.wait(sleep=sleep, timeout_seconds=timeout_seconds))

    def compare(self) -> None:
        """Compare both logs with the chain and store the anchors that it has and the store lacks.

        Raises:
            Unavailable: The chain is away.
            Conflict: The store does not continue the chain; the node is read-only from here on.
        """
        pending = self._sender.pending()
        under_way = pending.tx_hash if pending else None
        try:
            check_chain(
                self._chain,
                self._heads,
                self._sequencer,
                self._readers,
                self._log_ids,
                under_way=under_way,
            )
        except Conflict as error:
            self._sequencer.set_read_only(error)
            raise

    def build_requests(self, published: Mapping[LogKind, Published]) -> list[AnchorRequest]:
        """Build what is sent: one request a log, proven from the size of its last anchor."""
        return [
            AnchorRequest(
                self._log_ids[log],
                new.size,
                new.root,
                self._proof(log, new.size),
            )
            for log, new in published.items()
        ]

    def _proof(self, log: LogKind, new_size: int) -> list[bytes]:
        reader = self._readers[log]
        old_size = reader.anchored_size()
        return reader.consistency_proof(old_size, new_size) if old_size else []

    def require_ready(self) -> None:
        """Refuse to go on unless the chain is the one that has this node's anchors and takes transactions.

        Raises:
            Unavailable: ``chain-away``, ``chain-empty``, ``chain-behind`` or ``chain-wrong-chain``.
            Conflict, Fatal: The node is read-only or stopped.
        """
        self._sequencer.require_writable()
        known = {
            self._log_ids[log]: newest.anchor
            for log, reader in self._readers.items()
            if (newest := reader.find_anchor()) is not None
        }
        status = self._chain.probe(known)
        if status.state != "ready":
            raise Unavailable(f"chain-{status.state}", f"the chain cannot take anchors now: {status.detail}")

    def _settle_pending(self, sleep: Callable[[float], None], timeout_seconds: float) -> None:
        self.require_ready()
        if self._sender.pending() is not None:
            self._settle(self._sender.wait(sleep=sleep, timeout_seconds=timeout_seconds))

    def _start(self, published: Mapping[LogKind, Published]) -> None:
        requests = self.build_requests(published)
        self._sender.start(ANCHOR_PURPOSE, lambda nonce: self._chain.sign_anchor(requests, nonce))

    def _settle(self, outcome: TransactionOutcome) -> dict[LogKind, StoredAnchor]:
        pending = self._sender.pending()
        if pending is None:
            return {}
        kinds = {log_id: log for log, log_id in self._log_ids.items()}
        stored = {
            kinds[log_id]: StoredAnchor(anchor, pending.tx_hash, outcome.gas_used)
            for log_id, anchor in outcome.anchors
            if log_id in kinds
        }

        def settle(transaction: Transaction) -> None:
            for log, anchor in stored.items():
                number = self._readers[log].number
                transaction.put(layout.anchor_key(log, anchor.anchor.i, number), encode_stored_anchor(anchor))
            transaction.delete(layout.PENDING_TRANSACTION_KEY)

        self._sequencer.run(settle, entries=0)
        if outcome.status != 1:
            reason = f"the chain refused the transaction: {outcome.revert_reason}"
            if pending.purpose == ANCHOR_PURPOSE:
                raise Conflict("anchor-reverted", reason)
            raise Conflict("transaction-reverted", reason)
        return stored
