# SPDX-License-Identifier: Apache-2.0
"""Before anything is signed: does this store continue what was signed before? (protocol section 2, Head file).

Two witnesses are asked, and a store that does not continue both is read-only:

    head file   size and root that this node promised last; lies outside the data directory and its backups
    chain       size and root of the last anchor

A store that is behind its last anchor gets that anchor as its head file, so that the verdict outlives a restart with
the chain away. A log that the chain has closed, or whose keys are others there, is read-only as well.

The chain may be away at start: sequencing goes on, but nothing is signed until it has been asked. Anchors that the
chain accepted and the store does not know (it is a copy from before they came back) are fetched and stored. Those of
the transaction under way are left to whoever settles it, and those in blocks that are not final wait.
"""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

from node.errors import Conflict
from node.log.head import Head, check_continues
from node.log.tree import root_at
from node.service import layout
from node.service.reading import StoredAnchor, encode_stored_anchor

if TYPE_CHECKING:
    from collections.abc import Mapping

    from node.core.types import LogId, RootHash
    from node.ports import AnchorChain, HeadFiles
    from node.service.layout import LogKind
    from node.service.reading import LogReader
    from node.service.sequencer import Sequencer
    from node.service.transaction import Transaction


def create_heads(heads: HeadFiles, readers: Mapping[LogKind, LogReader], empty_root: RootHash) -> None:
    """Write the first head file of logs that are new: nothing stored, not opened, nothing promised.

    Whether another life of this node promised something is asked of the chain: ``node.service.joining``.
    """
    for reader in readers.values():
        if heads.load(reader.origin) is None and reader.size() == 0 and not reader.was_opened():
            heads.store(Head(reader.origin, 0, empty_root))


def check_heads(heads: HeadFiles, readers: Mapping[LogKind, LogReader]) -> None:
    """Compare every log with its head file.

    Raises:
        Conflict: A head file is missing though its log is in use, or the log does not continue it.
    """
    for reader in readers.values():
        head = heads.load(reader.origin)
        size = reader.size()
        if head is None:
            raise Conflict(
                "head-missing",
                f"log {reader.origin} has {size} entries but no head file: this looks like a restored backup. "
                "Nothing will be signed on this log again; it goes on under a successor log",
            )
        check_continues(head, size, root_at(reader.tiles, head.size) if head.size <= size else None)


def check_chain(
    chain: AnchorChain,
    heads: HeadFiles,
    sequencer: Sequencer,
    readers: Mapping[LogKind, LogReader],
    log_ids: Mapping[LogKind, LogId],
    *,
    under_way: bytes | None,
) -> None:
    """Compare every log with its last anchor on the chain and fetch anchors that the store does not know.

    Args:
        chain: The chain.
        heads: The head files.
        sequencer: Writes the anchors.
        readers: The logs.
        log_ids: Their names on the chain.
        under_way: Hash of the transaction that is not settled yet, or None.

    Raises:
        Unavailable: The chain cannot be asked now.
        Conflict: The chain holds an anchor that this store does not continue, or has closed a log.
    """
    for log, reader in readers.items():
        info = chain.log_info(log_ids[log])
        if info is not None and info.closed:
            raise Conflict(
                "log-closed", f"the chain has closed log {reader.origin}; it goes on under a successor log"
            )
        head = chain.log_head(log_ids[log])
        if head is None or head.i == 0:
            continue
        size = reader.size()
        if head.size > size:
            with suppress(Conflict):
                heads.store(Head(reader.origin, head.size, head.root))
            raise Conflict(
                "behind-anchor",
                f"log {reader.origin} has {size} entries, but the chain has anchored {head.size}: this store was "
                "restored from before the last anchor. Nothing will be signed on this log again",
            )
        if root_at(reader.tiles, head.size) != head.root:
            raise Conflict(
                "fork-of-anchor",
                f"log {reader.origin} has another root at size {head.size} than the chain has anchored",
            )
        known = reader.find_anchor()
        first = known.anchor.i + 1 if known else 1
        if first <= head.i:
            _fetch(chain, sequencer, reader, log_ids[log], first, under_way)


def _fetch(
    chain: AnchorChain,
    sequencer: Sequencer,
    reader: LogReader,
    log_id: LogId,
    first: int,
    under_way: bytes | None,
) -> None:
    for anchor, transaction in chain.fetch_anchors(log_id, first):
        if transaction == under_way:
            return
        outcome = chain.find_outcome(transaction)
        if outcome is None or not outcome.final:
            return
        stored = encode_stored_anchor(StoredAnchor(anchor, transaction, outcome.gas_used))
        key = layout.anchor_key(reader.kind, anchor.i, reader.number)
        sequencer.run(partial(_put, key, stored), entries=0)


def _put(key: bytes, value: bytes, transaction: Transaction) -> None:
    transaction.put(key, value)
