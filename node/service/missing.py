# SPDX-License-Identifier: Apache-2.0
"""What a store lacks of what was promised and anchored: the account that a read-only node gives of itself.

A restored store cannot know what it lost, only how much: the head file says how many entries were promised, the chain
how many are anchored. Entries are all that is counted; which imports and looks they were stands in the department's
files and in the receipts that were handed out, so the account gives the times between which to look.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from node.errors import NodeError
from node.log.tree import root_at
from node.service.jobs import list_jobs

if TYPE_CHECKING:
    from collections.abc import Mapping

    from node.core.types import LogId
    from node.log.head import Head
    from node.ports import AnchorChain, AnchorHead, HeadFiles, LogInfo, Reads
    from node.service.layout import LogKind
    from node.service.reading import LogReader

_LOOKED_AT_JOBS = 100
_UNKNOWN_END = ("head-missing", "log-opened-elsewhere")


@dataclass(frozen=True, slots=True)
class Standing:
    """Where one log of a store stands against its two witnesses.

    Attributes:
        log: ``records`` or ``access``.
        origin: The log's origin.
        verdict: ``continues``, or the code of why nothing is signed on it any more.
        size: Entries in the store.
        promised: Entries by the head file; None when there is none.
        anchored: Entries by the last anchor on the chain; None when the chain was not asked.
        anchored_at: Chain time of that anchor in seconds; None when there is none or the chain was not asked.
        kept_anchored: Entries under the last anchor that the store itself knows.
        kept_anchored_at: Chain time of that one, in seconds.
        missing: Entries that are known to be lost.
        unanchored: Entries that the store has but no anchor covers: a successor takes them over.
        complete: Whether ``missing`` is all. False without a head file, or with one that this store did not begin with:
            more may have been promised.
    """

    log: str
    origin: str
    verdict: str
    size: int
    promised: int | None
    anchored: int | None
    anchored_at: int | None
    kept_anchored: int
    kept_anchored_at: int | None
    missing: int
    unanchored: int
    complete: bool


@dataclass(frozen=True, slots=True)
class Account:
    """The standing of both logs, and the time behind which to look for what is missing.

    Attributes:
        logs: One for each log.
        last_import_ms: When the newest import that the store knows of ended, or was ordered if it has not; None
            without imports.
        chain_asked: Whether the chain could be asked.
    """

    logs: tuple[Standing, ...]
    last_import_ms: int | None
    chain_asked: bool

    def to_json(self) -> dict[str, Any]:
        """Give it as the API and ``--json`` show it."""
        return {
            "logs": [asdict(log) for log in self.logs],
            "last_import_ms": self.last_import_ms,
            "chain_asked": self.chain_asked,
        }


def take_stock(
    reads: Reads,
    readers: Mapping[LogKind, LogReader],
    heads: HeadFiles,
    log_ids: Mapping[LogKind, LogId],
    chain: AnchorChain | None,
) -> Account:
    """Compare a store with its head files and, if it answers, the chain. Changes nothing.

    Raises:
        Fatal: A head file or the store is damaged.
        Unavailable: A head file or the store cannot be read.
    """
    standings, asked = [], chain is not None
    for kind, reader in readers.items():
        anchored: AnchorHead | None = None
        info: LogInfo | None = None
        if chain is not None and asked:
            try:
                info = chain.log_info(log_ids[kind])
                anchored = chain.log_head(log_ids[kind])
            except NodeError:
                asked = False
        standings.append(_stand(reader, heads.load(reader.origin), anchored, info, asked=asked))
    times = [job.finished_ms or job.created_ms for job in list_jobs(reads, limit=_LOOKED_AT_JOBS)]
    return Account(tuple(standings), max(times, default=None), asked)


def _stand(
    reader: LogReader, head: Head | None, anchored: AnchorHead | None, info: LogInfo | None, *, asked: bool
) -> Standing:
    size = reader.size()
    kept = reader.find_anchor()
    on_chain = anchored.size if anchored is not None else 0
    expected = max(head.size if head is not None else 0, on_chain)
    covered = max(on_chain, kept.anchor.size if kept else 0)
    verdict = _judge(reader, size, head, anchored, info)
    return Standing(
        log=reader.kind.text,
        origin=reader.origin,
        verdict=verdict,
        size=size,
        promised=head.size if head is not None else None,
        anchored=on_chain if asked else None,
        anchored_at=anchored.time if anchored is not None and anchored.i else None,
        kept_anchored=kept.anchor.size if kept else 0,
        kept_anchored_at=kept.anchor.time if kept else None,
        missing=max(0, expected - size),
        unanchored=max(0, size - covered),
        complete=verdict not in _UNKNOWN_END and (head is not None or size == 0),
    )


def _judge(
    reader: LogReader, size: int, head: Head | None, anchored: AnchorHead | None, info: LogInfo | None
) -> str:
    if anchored is not None and anchored.i and anchored.size > size:
        return "behind-anchor"
    if anchored is not None and anchored.i and root_at(reader.tiles, anchored.size) != anchored.root:
        return "fork-of-anchor"
    return _judge_by_head(reader, size, head) or _judge_by_opening(reader, info)


def _judge_by_head(reader: LogReader, size: int, head: Head | None) -> str | None:
    if head is None:
        return "head-missing" if size or reader.was_opened() else None
    if head.size > size:
        return "log-behind"
    return "log-fork" if root_at(reader.tiles, head.size) != head.root else None


def _judge_by_opening(reader: LogReader, info: LogInfo | None) -> str:
    if info is not None and not reader.was_opened() and reader.find_anchor() is None:
        return "log-opened-elsewhere"
    return "log-closed" if info is not None and info.closed else "continues"
