# SPDX-License-Identifier: Apache-2.0
"""Take a stopped node through the succession of its logs, as far as it goes now (steps in node.service.succession)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from typing import TYPE_CHECKING

from node.errors import Conflict, InvalidInput
from node.log.checkpoint import build_origin, log_id
from node.log.succession import PLANNED, REASONS
from node.ports import KeyKind, KeyRegistration, MemberStatus
from node.service.layout import LogKind
from node.service.missing import take_stock
from node.service.publishing import build_vkeys
from node.service.sending import Sender
from node.service.sequencer import Sequencer
from node.service.succession import (
    Beginning,
    Successor,
    begin,
    build_entry,
    create_head,
    fetch_anchors,
    find_ending,
    find_stage,
    take_over,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from node.core.clock import Clock
    from node.core.types import MemberCode
    from node.crypto.ed25519 import Ed25519Signer
    from node.ports import AnchorChain, HeadFiles, LogInfo, Store
    from node.service.missing import Account, Standing
    from node.service.publishing import LogKeys
    from node.service.reading import Logs
    from node.service.succession import Stage

_KEY_KINDS = {
    LogKind.RECORDS: (KeyKind.RECORDS_LOG_ED25519, KeyKind.RECORDS_LOG_ML_DSA_44),
    LogKind.ACCESS: (KeyKind.ACCESS_LOG_ED25519, KeyKind.ACCESS_LOG_ML_DSA_44),
}
_WHOLE = ("continues", "log-closed")
_FORKED = ("log-fork", "fork-of-anchor")


@dataclass(frozen=True, slots=True)
class Department:
    """The stopped node whose logs are to be succeeded.

    Attributes:
        domain: Exchange domain.
        member: Its member.
        store: Its store.
        heads: Its head files.
        chain: The chain, with its operator key.
        clock: The clock.
        node_key: Signs the first entry of a successor.
        open_logs: Gives the logs that the store holds now.
        find_keys: Finds the keys of a log by kind and number, None when there are none.
        create_keys: Gives the keys of a log, made and stored if there are none.
    """

    domain: str
    member: MemberCode
    store: Store
    heads: HeadFiles
    chain: AnchorChain
    clock: Clock
    node_key: Ed25519Signer
    open_logs: Callable[[], Mapping[LogKind, Logs]]
    find_keys: Callable[[LogKind, int], LogKeys | None]
    create_keys: Callable[[LogKind, int], LogKeys]

    def origin(self, kind: LogKind, number: int) -> str:
        """Origin of one of the member's logs."""
        return build_origin(self.domain, self.member, kind.text, number)

    def take_stock(self) -> Account:
        """Say what the store lacks.

        Raises:
            Unavailable: ``chain-away``: without the chain nobody knows where a log ended.
        """
        readers = {kind: logs.open for kind, logs in self.open_logs().items()}
        log_ids = {kind: log_id(reader.origin) for kind, reader in readers.items()}
        for found in log_ids.values():
            self.chain.log_head(found)
        return take_stock(self.store, readers, self.heads, log_ids, self.chain)

    def stage(self, kind: LogKind) -> Stage:
        """Say how far the succession of a log has come."""
        return find_stage(
            self.chain,
            self.heads,
            self.open_logs()[kind].open,
            domain=self.domain,
            member=self.member,
            owns_keys=self._owns_keys,
        )

    def lacks_logs(self, kind: LogKind) -> bool:
        """Tell whether the chain has had newer logs of this kind than the store knows, and they were used."""
        stage = self.stage(kind)
        return stage.predecessor_id != log_id(self.open_logs()[kind].open.origin)

    def _owns_keys(self, kind: LogKind, info: LogInfo) -> bool:
        keys = self.find_keys(kind, info.n)
        return keys is not None and keys.ed25519.public == info.ed25519


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a succession has come.

    Attributes:
        waiting: Logs whose closing was announced and has not come.
        begun: Origins of the successors that are open and begun now.
        taken: How many entries of the old logs were logged again.
    """

    waiting: tuple[Stage, ...]
    begun: tuple[str, ...]
    taken: int


def choose_logs(
    department: Department, account: Account, wanted: Collection[LogKind], reason: str
) -> list[LogKind]:
    """Decide which logs get a successor: those that were named, else all that cannot go on.

    Raises:
        InvalidInput: ``succession-reason``; ``succession-none``: no log was named and all are in order, or those that
            were named have just been begun.
        Conflict: ``succession-fork``: the store holds other entries than were promised;
            ``succession-unplanned``: entries are missing, so it was not planned.
    """
    if reason not in REASONS:
        raise InvalidInput("succession-reason", f"unknown reason: want one of {', '.join(REASONS)}")
    standings = {LogKind.RECORDS if log.log == "records" else LogKind.ACCESS: log for log in account.logs}
    verdicts = {kind: standing.verdict for kind, standing in standings.items()}
    chosen = [kind for kind in LogKind if kind in wanted] or [
        kind for kind, verdict in verdicts.items() if verdict != "continues"
    ]
    if not chosen:
        raise InvalidInput("succession-none", "both logs are in order: name the one that is to be succeeded")
    if reason == PLANNED:
        # The command is run again when it was cut off, also behind its last step.
        chosen = [kind for kind in chosen if not _is_just_begun(department, kind, standings[kind])]
        if not chosen:
            raise InvalidInput(
                "succession-none",
                "a successor has begun and no anchor covers it yet: want the node to be started",
            )
    for kind in chosen:
        if verdicts[kind] in _FORKED:
            raise Conflict(
                "succession-fork",
                f"the {kind.text} log of this store holds other entries than were promised or anchored: nothing of it "
                "can be taken over. Put back a backup from before, and go on from that",
            )
        if reason == PLANNED and (verdicts[kind] not in _WHOLE or department.lacks_logs(kind)):
            raise Conflict(
                "succession-unplanned", f"the {kind.text} log lacks entries: its succession is not planned"
            )
    return chosen


def _is_just_begun(department: Department, kind: LogKind, standing: Standing) -> bool:
    return (
        department.open_logs()[kind].open.number > 0
        and not standing.kept_anchored
        and standing.anchored == 0
        and department.stage(kind).state == "announce"
    )


def advance(
    department: Department,
    kinds: Sequence[LogKind],
    reason: str,
    sleep: Callable[[float], None],
    *,
    by_vote: bool = False,
) -> Progress:
    """Do every step of the succession of some logs that can be done now; call again for the rest.

    Args:
        department: The node, stopped.
        kinds: Which logs, from ``choose_logs``.
        reason: One of the reasons of ``node.log.succession``.
        sleep: Waits some seconds for the chain.
        by_vote: Whether the logs are closed by this member's own vote, at once, instead of by notice.

    Raises:
        Conflict: ``succession-reverted``: the chain refused a step; ``succession-vote``: others would have to vote too.
        Unavailable: The chain is away; call again.
    """
    account = department.take_stock()
    if by_vote:
        _require_own_vote(department)
    _transact(department, kinds, sleep, by_vote=by_vote)
    stages = [department.stage(kind) for kind in kinds]
    waiting = tuple(stage for stage in stages if stage.state != "begin")
    if waiting:
        return Progress(waiting, (), 0)
    return _begin_all(department, stages, account, reason)


def _open_sequencer(department: Department, logs: Mapping[LogKind, Logs]) -> Sequencer:
    origins = {kind: each.open.origin for kind, each in logs.items()}
    numbers = {kind: each.open.number for kind, each in logs.items()}
    return Sequencer(department.store, department.heads, origins, numbers)


def _require_own_vote(department: Department) -> None:
    governing = [
        member.code
        for member in department.chain.members()
        if member.governing and member.status is MemberStatus.ACTIVE
    ]
    if governing != [department.member]:
        raise Conflict(
            "succession-vote",
            f"this member's vote alone closes no log: {len(governing)} members govern the network. Close it by notice",
        )


def _transact(
    department: Department, kinds: Sequence[LogKind], sleep: Callable[[float], None], *, by_vote: bool
) -> None:
    """Send what the chain has to know. Nothing is appended to a log."""
    sequencer = _open_sequencer(department, department.open_logs())
    try:
        sender = Sender(department.store, sequencer, department.chain, department.clock)
        successor = Successor(department.chain, sender, sequencer, sleep)
        successor.settle_old()
        for kind in kinds:
            stage = department.stage(kind)
            if stage.state == "announce" or (by_vote and stage.state == "waiting"):
                successor.announce(stage, by_vote=by_vote)
        if any(department.stage(kind).state not in {"open", "begin"} for kind in kinds):
            return
        for kind in kinds:
            stage = department.stage(kind)
            if stage.state == "open":
                create_head(department.heads, department.origin(kind, stage.number))
                keys = department.create_keys(kind, stage.number)
                successor.open(stage, _registrations(kind, keys), department.member)
    finally:
        sequencer.close()


def _registrations(kind: LogKind, keys: LogKeys) -> list[KeyRegistration]:
    ed25519, ml_dsa_44 = _KEY_KINDS[kind]
    return [
        KeyRegistration(ed25519, keys.ed25519.public),
        KeyRegistration(ml_dsa_44, sha256(keys.ml_dsa_44.public).digest()),
    ]


def _count_between(department: Department, kind: LogKind, old: int, number: int) -> list[int]:
    """Count the anchored entries of each log between the one that the store has open and its successor."""
    heads = [department.chain.log_head(log_id(department.origin(kind, n))) for n in range(old + 1, number)]
    return [head.size if head is not None else 0 for head in heads]


def _begin_all(department: Department, stages: Sequence[Stage], account: Account, reason: str) -> Progress:
    old = {kind: logs.open for kind, logs in department.open_logs().items()}
    numbers = {kind: reader.number for kind, reader in old.items()}
    origins = {kind: reader.origin for kind, reader in old.items()}
    beginnings = []
    for stage in stages:
        kind = stage.kind
        numbers[kind] = stage.number
        origins[kind] = department.origin(kind, stage.number)
        ending = find_ending(department.chain, stage)
        standing = next(log for log in account.logs if log.log == kind.text)
        between = _count_between(department, kind, old[kind].number, stage.number)
        gap = stage.predecessor_id != log_id(old[kind].origin)
        beginnings.append(
            Beginning(
                stage,
                build_entry(stage, ending, reason, department.member, department.node_key, department.clock),
                build_vkeys(origins[kind], department.create_keys(kind, stage.number)),
                old[kind].size() if gap else ending[0],
                fetch_anchors(department.chain, old[kind]),
                standing.missing + sum(between),
                unknown=len(between) + (0 if standing.complete else 1),
                planned=standing.verdict in _WHOLE and not gap,
            )
        )
    sequencer = Sequencer(department.store, department.heads, origins, numbers)
    try:
        for beginning in beginnings:
            kind = beginning.stage.kind
            step = partial(begin, store=department.store, old=old[kind], beginning=beginning)
            sequencer.run(step)
        taken = take_over(department.store, sequencer, department.open_logs())
    finally:
        sequencer.close()
    return Progress((), tuple(origins[stage.kind] for stage in stages), sum(taken.values()))
