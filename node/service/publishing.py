# SPDX-License-Identifier: Apache-2.0
"""Publish: make both logs say where they stand, and sign that.

    1. one commit: status head to the records log, heartbeat and padding to the access log
    2. recompute both roots from the stored tiles                        a difference is Fatal, nothing is signed
    3. compare with the head file                                        a fork is refused, the node is read-only
    4. store the head file, then sign, then store the signed notes       a note is never signed twice over one size

A crash between 1 and 4 leaves a longer log without a checkpoint; the next round signs it. A crash between the head
file and the notes leaves a promise about a state that the store has: the next round signs the same roots.
"""

from __future__ import annotations

import secrets
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from node.access.event import build_heartbeat, build_pad
from node.errors import Conflict, Fatal
from node.log.checkpoint import Checkpoint, sign_checkpoint
from node.log.head import Head, check_continues
from node.log.tree import recompute_root, root_at
from node.service import layout
from node.service.layout import LogKind

if TYPE_CHECKING:
    from collections.abc import Mapping

    from node.core.clock import Clock
    from node.core.types import TreeSize
    from node.crypto.ed25519 import Ed25519Signer
    from node.crypto.mldsa import MlDsa44Signer
    from node.ports import HeadFiles, Store
    from node.service.reading import LogReader
    from node.service.sequencer import Sequencer
    from node.service.status import StatusPublisher
    from node.service.transaction import Transaction

ACCESS_STEP: Final = 16
"""Access logs are padded to a multiple of this many entries at each anchor (protocol section 6)."""


@dataclass(frozen=True, slots=True)
class LogKeys:
    """The pair of keys that signs the checkpoints of one log."""

    ed25519: Ed25519Signer
    ml_dsa_44: MlDsa44Signer


@dataclass(frozen=True, slots=True)
class Published:
    """A signed checkpoint of one log."""

    log: LogKind
    size: TreeSize
    root: bytes
    note: str


class Publisher:
    """Signs checkpoints of this node's two logs."""

    def __init__(
        self,
        store: Store,
        heads: HeadFiles,
        sequencer: Sequencer,
        readers: Mapping[LogKind, LogReader],
        keys: Mapping[LogKind, LogKeys],
        status: StatusPublisher,
        clock: Clock,
    ) -> None:
        self._store = store
        self._heads = heads
        self._sequencer = sequencer
        self._readers = readers
        self._keys = keys
        self._status = status
        self._clock = clock
        self._lock = threading.Lock()

    def publish(self) -> dict[LogKind, Published]:
        """Close the period of both logs and sign their checkpoints.

        Raises:
            Fatal: The stored tiles do not give the root that the writer has.
            Conflict: The store does not continue the head file.
        """
        with self._lock:
            sizes = self._sequencer.run(self._close_period, entries=ACCESS_STEP)
            return {log: self._sign(log, size) for log, size in sizes.items()}

    def _close_period(self, transaction: Transaction) -> dict[LogKind, TreeSize]:
        self._status.append_head(transaction, self._clock.now_seconds())
        transaction.append(LogKind.ACCESS, build_heartbeat(self._clock.now_ms(), rejects=0, unwraps=None))
        while transaction.size(LogKind.ACCESS) % ACCESS_STEP:
            transaction.append(LogKind.ACCESS, build_pad(secrets.token_bytes(16)))
        return {log: transaction.size(log) for log in LogKind}

    def _sign(self, log: LogKind, size: TreeSize) -> Published:
        reader = self._readers[log]
        verified = reader.published_size()
        root = recompute_root(reader.tiles, verified, size)
        durable_size, durable_root = self._sequencer.root(log)
        if durable_size == size and durable_root != root:
            raise Fatal("log-root-differs", f"stored tiles of the {log.text} log do not give the root of size {size}")
        self._check_head(log)
        newest_size, newest_root = self._sequencer.root(log)
        self._heads.store(Head(reader.origin, newest_size, newest_root))
        keys = self._keys[log]
        checkpoint = Checkpoint(reader.origin, size, root)
        note = sign_checkpoint(checkpoint, keys.ed25519, keys.ml_dsa_44, self._clock.now_seconds())
        self._sequencer.run(lambda t: t.put(layout.checkpoint_key(log, size), note.encode()), entries=0)
        return Published(log, size, root, note)

    def _check_head(self, log: LogKind) -> None:
        reader = self._readers[log]
        head = self._heads.load(reader.origin)
        if head is None:
            raise Conflict("head-missing", f"log {reader.origin} has no head file, so nothing may be signed on it")
        size = reader.size()
        check_continues(head, size, root_at(reader.tiles, head.size) if head.size <= size else None)
