# SPDX-License-Identifier: Apache-2.0
"""Demands on the chain: those on own logs are answered, those on others' made (protocol section 3).

    on own logs        found by their events since the block that was looked at last; answered with leaf and path from the
                       store, one transaction each, between two anchors; what cannot be answered is told at every turn
    on others' logs    demanded; left to the owner for 24 hours of chain time; noted as overdue; a hundred blocks later
                       recorded as default. Every step looks at the chain first, so each may be repeated

A demand carries no leaf: whoever demands the wrong thing gets an answer that convicts nobody.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import msgpack

from node.errors import Conflict, NotFound, Unavailable, Verification
from node.evidence.promises import DemandState
from node.log.checkpoint import log_id, parse_origin
from node.log.merkle import verify_inclusion
from node.service import layout

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from node.core.types import LogId
    from node.errors import NodeError
    from node.evidence.promises import DemandOnChain
    from node.ports import AnchorChain, Reads
    from node.service.anchoring import Anchorer
    from node.service.layout import LogKind
    from node.service.reading import Logs
    from node.service.sequencer import Sequencer

ANSWER_SECONDS: Final = 86_400
"""AnchorLog.ANSWER_SECONDS: so long, in chain time, a log's owner has to answer."""

OVERDUE_BLOCKS: Final = 100
"""AnchorLog.OVERDUE_BLOCKS: so many blocks between noting that a demand is overdue and recording the default."""

WINDOW_BLOCKS: Final = 1_000
"""Blocks whose events are asked for at once, and after which it is kept how far it got."""
WINDOWS_AT_ONCE: Final = 200
"""Most of them in one turn: a node that never looked goes through a long chain in many turns, and anchors in between."""
REVISITED_BLOCKS: Final = 100
"""The newest blocks are looked at again at every turn: a block may be replaced until it is final."""


@dataclass(frozen=True, slots=True)
class OpenDemand:
    """A demand on an own log that has no answer.

    Attributes:
        origin: The log.
        index: The entry.
        due_at: Second of chain time by which it has to be answered.
        error: Why it was not.
    """

    origin: str
    index: int
    due_at: int
    error: NodeError

    def to_json(self) -> dict[str, object]:
        """Give it as the API shows it."""
        return {
            "log": self.origin,
            "index": self.index,
            "due_at": self.due_at,
            "code": self.error.code,
            "reason": self.error.message,
        }


@dataclass(frozen=True, slots=True)
class DemandStanding:
    """Where a demand on another member's log stands after a step.

    Attributes:
        origin: The log.
        index: The entry.
        state: ``open``, ``overdue``, ``answered`` or ``defaulted``.
        demanded_at: Second of chain time.
        due_at: Second of chain time by which it has to be answered.
        default_block: Block from which the default can be recorded; None until it is overdue.
        leaf: Leaf hash that the answer pinned; None while there is none.
        done: What this step sent: ``demand``, ``overdue``, ``default``; None when there was nothing to send.
    """

    origin: str
    index: int
    state: str
    demanded_at: int
    due_at: int
    default_block: int | None
    leaf: bytes | None
    done: str | None


class Demands:
    """Answers demands on this node's logs, and takes demands on others' through their steps."""

    def __init__(
        self,
        reads: Reads,
        sequencer: Sequencer,
        anchorer: Anchorer,
        chain: AnchorChain,
        logs: Mapping[LogKind, Logs],
    ) -> None:
        self._reads = reads
        self._sequencer = sequencer
        self._anchorer = anchorer
        self._chain = chain
        self._readers = {log_id(reader.origin): reader for each in logs.values() for reader in each.readers}
        self._lock = threading.Lock()
        self._known: tuple[int, list[tuple[LogId, int]]] | None = None
        self.unanswered: tuple[OpenDemand, ...] = ()

    def serve(self, *, sleep: Callable[[float], None]) -> int:
        """Answer what is demanded of own logs, as far as it can be; how many answers were sent.

        A read-only node sends nothing and only says what is demanded.

        Raises:
            Unavailable: The chain is away; the next call goes on.
            Fatal: The store is damaged.
        """
        with self._lock:
            newest, _ = self._chain.demands.newest()
            looked_at, wanted = self._look(*self._load(), newest)
            answered, still, unanswered = 0, [], []
            for own, index in wanted:
                demand = self._chain.demands.find_demand(own, index)
                if not _is_open(demand):
                    continue
                try:
                    self._answer(own, index, sleep)
                    answered += 1
                except (Conflict, NotFound, Verification) as error:
                    still.append((own, index))
                    due_at = demand.at + ANSWER_SECONDS
                    unanswered.append(OpenDemand(self._readers[own].origin, index, due_at, error))
            self.unanswered = tuple(unanswered)
            self._store(looked_at, still)
            return answered

    def advance(self, origin: str, index: int, *, sleep: Callable[[float], None]) -> DemandStanding:
        """Take a demand on a log one step further, if there is a step to take now.

        Args:
            origin: The log, of any member.
            index: The entry, which an anchor covers.
            sleep: Waits some seconds for the chain.

        Raises:
            InvalidInput: ``origin-form``.
            NotFound: ``log-unknown``: the chain has no such log.
            Conflict: ``demand-unanchored``: no anchor covers the entry, so its owner could not answer;
                ``demand-log-closed``: and none ever will, so that the receipt convicts without a demand;
                ``transaction-reverted``; or the node is read-only.
            Unavailable: The chain is away.
        """
        parse_origin(origin)
        log = log_id(origin)
        demand, done = self._chain.demands.find_demand(log, index), None
        block, now = self._chain.demands.newest()
        if demand.state is DemandState.NONE:
            self._require_anchored(log, origin, index)
            done = "demand"
            self._anchorer.transact(
                done, lambda nonce: self._chain.demands.sign_demand(log, index, nonce), sleep=sleep
            )
        elif demand.state is DemandState.OPEN and self._is_due(demand, block, now):
            done = "default" if demand.overdue_block else "overdue"
            self._anchorer.transact(
                done, lambda nonce: self._chain.demands.sign_default(log, index, nonce), sleep=sleep
            )
        if done is not None:
            demand = self._chain.demands.find_demand(log, index)
        return _stand(origin, index, demand, done)

    def _is_due(self, demand: DemandOnChain, block: int, now: int) -> bool:
        if demand.overdue_block:
            return block >= demand.overdue_block + OVERDUE_BLOCKS
        return now > demand.at + ANSWER_SECONDS

    def _require_anchored(self, log: LogId, origin: str, index: int) -> None:
        head = self._chain.log_head(log)
        if head is None:
            raise NotFound("log-unknown", f"the chain has no log {origin}")
        info = self._chain.log_info(log)
        if index >= head.size and info is not None and info.closed:
            raise Conflict(
                "demand-log-closed",
                f"log {origin} was closed at size {head.size}: whoever promised entry {index} has to log it again "
                "under a successor, or the receipt convicts without a demand",
            )
        if index >= head.size:
            raise Conflict(
                "demand-unanchored",
                f"log {origin} is anchored up to size {head.size}, so nobody could show entry {index}",
            )

    def _look(
        self, looked_at: int, wanted: list[tuple[LogId, int]], newest: int
    ) -> tuple[int, list[tuple[LogId, int]]]:
        """Go through the blocks since the last turn, as far as one turn does; each part is kept before the next."""
        infos = {own: self._chain.log_info(own) for own in self._readers}
        opened = {own: info.opened_block for own, info in infos.items() if info is not None}
        first = max(looked_at, min(opened.values(), default=newest))
        for _ in range(WINDOWS_AT_ONCE):
            if first > newest:
                break
            last = min(first + WINDOW_BLOCKS - 1, newest)
            for own, since in opened.items():
                if since <= last:
                    found = self._chain.demands.fetch_demanded(own, max(first, since), last)
                    wanted += [(own, index) for index in found if (own, index) not in wanted]
            first = last + 1
            looked_at = max(looked_at, min(first, newest - REVISITED_BLOCKS))
            self._store(looked_at, wanted)
        return looked_at, wanted

    def _answer(self, own: LogId, index: int, sleep: Callable[[float], None]) -> None:
        self._sequencer.require_writable()
        reader = self._readers[own]
        stored = reader.first_anchor_over(index)
        if stored is None:
            raise NotFound(
                "demand-entry-missing",
                f"entry {index} of log {reader.origin} is demanded, and this store does not have it",
            )
        anchor = stored.anchor
        leaf, path = reader.leaf(index), reader.inclusion_path(index, anchor.size)
        verify_inclusion(index, anchor.size, leaf, path, anchor.root)
        self._anchorer.transact(
            "answer",
            lambda nonce: self._chain.demands.sign_answer(own, anchor, index, leaf, path, nonce),
            sleep=sleep,
        )

    def _load(self) -> tuple[int, list[tuple[LogId, int]]]:
        if self._known is not None:
            looked_at, wanted = self._known
            return looked_at, list(wanted)
        data = self._reads.get(layout.DEMANDS_KEY)
        if data is None:
            return 0, []
        looked_at, wanted = msgpack.unpackb(data)
        return looked_at, [(own, index) for own, index in wanted if own in self._readers]

    def _store(self, looked_at: int, wanted: list[tuple[LogId, int]]) -> None:
        self._known = looked_at, list(wanted)
        data = msgpack.packb([looked_at, wanted])
        if self._sequencer.read_only is None and self._reads.get(layout.DEMANDS_KEY) != data:
            self._sequencer.run(lambda transaction: transaction.put(layout.DEMANDS_KEY, data), entries=0)


def _is_open(demand: DemandOnChain) -> bool:
    late = demand.state is DemandState.DEFAULTED and demand.leaf == bytes(32)
    return demand.state is DemandState.OPEN or late


def _stand(origin: str, index: int, demand: DemandOnChain, done: str | None) -> DemandStanding:
    states = {DemandState.OPEN: "open", DemandState.ANSWERED: "answered", DemandState.DEFAULTED: "defaulted"}
    if demand.state not in states:
        raise Unavailable("chain-behind", "the chain does not show the demand yet: call again")
    overdue = demand.state is DemandState.OPEN and demand.overdue_block
    return DemandStanding(
        origin,
        index,
        "overdue" if overdue else states[demand.state],
        demand.at,
        demand.at + ANSWER_SECONDS,
        demand.overdue_block + OVERDUE_BLOCKS if demand.overdue_block else None,
        None if demand.leaf == bytes(32) else demand.leaf,
        done,
    )
