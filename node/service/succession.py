# SPDX-License-Identifier: Apache-2.0
"""Succession: a log that cannot go on is closed, and another one takes its place (protocol section 2).

    announced    the member tells the contract to close the log; it closes after the contract's notice (24 hours), so
                 that the recovery key can still call it off
    closed       the successor's keys are registered and the contract opens it
    begun        one commit: the store's open log is the new one, its first entry the succession; on the way lists of
                 statuses and numbers of status heads and receipts are passed over that a lost store may have used
    taken over   entries that the old log holds and no anchor of it covers are logged again, verbatim; where an entry
                 stands again is kept beside it. Rows, values and secrets stay where they were

Every step looks first at what the chain and the store have, so all of it may be cut off anywhere and repeated. The head
file of a successor is written before the chain opens it, so that an open log without one was used in another life of this
node and is never begun again: it gets a successor itself. Nothing is signed on the old log. What its anchors cover stays
proven by them.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import msgpack
import orjson

from node.access.event import ParsedEvent, parse_entry
from node.core.encoding import encode_hex, parse_b64u
from node.errors import Conflict, Fatal
from node.log.checkpoint import build_origin, log_id
from node.log.head import Head
from node.log.merkle import EMPTY_ROOT
from node.log.succession import TYP, Succession, build_succession, parse_succession
from node.log.tree import root_at
from node.records.status import LIST_SIZE, STATUS_HEAD_TYP
from node.service import layout
from node.service.layout import LogKind
from node.service.reading import StoredAnchor, encode_stored_anchor
from node.service.status import open_fresh_list, pass_over_heads

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from node.core.clock import Clock
    from node.core.types import LogId, MemberCode, RootHash
    from node.crypto.ed25519 import Ed25519Signer
    from node.ports import AnchorChain, HeadFiles, KeyRegistration, LogInfo, Reads, SignedTransaction, Store
    from node.service.reading import LogReader, Logs
    from node.service.sending import Sender
    from node.service.sequencer import Sequencer
    from node.service.transaction import Transaction

STEP_ENTRIES: Final = 500
UNKNOWN_ENTRIES: Final = 1 << 24
"""So many receipt numbers and numbers of status heads are passed over for each log of which nobody knows the end."""
UNKNOWN_LISTS: Final = 1 << 10
"""So many status lists, which is 134 million records: two and a half hours at 15,000 a second."""
_PERIOD_TYPS: Final = (STATUS_HEAD_TYP, TYP)
"""Entries that speak for their own log and period, and mean nothing in another log."""


@dataclass(frozen=True, slots=True)
class Stage:
    """How far the succession of one log has come, and what it will do.

    Attributes:
        kind: Which log.
        state: ``announce``, ``waiting``, ``open`` (the old log is closed) or ``begin`` (the new one is open).
        predecessor: Origin of the newest log that the chain knows.
        predecessor_id: Its name on the chain.
        number: Number of the successor.
        closes_at: Chain time in seconds at which the old log closes; None before it is announced.
    """

    kind: LogKind
    state: str
    predecessor: str
    predecessor_id: LogId
    number: int
    closes_at: int | None


def find_stage(
    chain: AnchorChain,
    heads: HeadFiles,
    reader: LogReader,
    *,
    domain: str,
    member: MemberCode,
    owns_keys: Callable[[LogKind, LogInfo], bool],
) -> Stage:
    """Say what has to be done next to give a log its successor.

    Args:
        chain: The chain.
        heads: The head files.
        reader: The log that the store takes for the open one.
        domain: Exchange domain.
        member: This member.
        owns_keys: Whether this node holds the keys that the chain names for a log.

    Raises:
        Conflict: ``log-unopened``: the chain knows no log of this kind yet.
        Unavailable: The chain is away.
    """
    kind = reader.kind
    newest = chain.last_log(member, kind.number)
    info = chain.log_info(newest) if newest is not None else None
    if newest is None or info is None:
        raise Conflict(
            "log-unopened", f"the chain knows no {kind.text} log of {member}: there is nothing to succeed"
        )
    origin = build_origin(domain, member, kind.text, info.n)
    if info.n > reader.number and not info.closed and owns_keys(kind, info) and info.predecessor is not None:
        promised, anchored = heads.load(origin), chain.log_head(newest)
        # Without a head file nobody knows that nothing was promised.
        if promised is not None and promised.size == 0 and (anchored is None or anchored.i == 0):
            before = build_origin(domain, member, kind.text, info.n - 1)
            return Stage(kind, "begin", before, info.predecessor, info.n, None)
    if info.n >= layout.MAX_NUMBER:
        raise Fatal("log-number", f"{kind.text} logs have used up their numbers")
    state = "open" if info.closed else "announce" if info.closes_at is None else "waiting"
    return Stage(kind, state, origin, newest, info.n + 1, info.closes_at)


class Successor:
    """Gives the logs of a stopped node their successors.

    Args:
        chain: The chain.
        sender: Sends the transactions; its sequencer is that of the old logs, on which nothing is appended.
        sequencer: The same sequencer.
        sleep: Waits some seconds for the chain.
    """

    def __init__(
        self, chain: AnchorChain, sender: Sender, sequencer: Sequencer, sleep: Callable[[float], None]
    ) -> None:
        self._chain = chain
        self._sender = sender
        self._sequencer = sequencer
        self._sleep = sleep

    def settle_old(self) -> None:
        """Settle a transaction that the store has under way, from whatever life of it."""
        if self._sender.pending() is None:
            return
        try:
            self._sender.wait(sleep=self._sleep, timeout_seconds=60.0)
        except Conflict as error:
            if error.code != "nonce-used":
                raise
        self._sequencer.run(lambda t: t.delete(layout.PENDING_TRANSACTION_KEY), entries=0)

    def announce(self, stage: Stage, *, by_vote: bool) -> None:
        """Tell the contract to close a log: after its notice, or by vote at once.

        Raises:
            Conflict: ``succession-reverted``.
            Unavailable: The chain is away; call again.
        """
        sign = self._chain.sign_close_by_vote if by_vote else self._chain.sign_close_log
        self._send("close-log", lambda nonce: sign(stage.predecessor_id, nonce))

    def open(self, stage: Stage, keys: list[KeyRegistration], member: MemberCode) -> None:
        """Register the keys of a successor, as far as they are not, and open it.

        Raises:
            Conflict: ``succession-reverted``.
            Unavailable: The chain is away; call again.
        """
        missing = [
            key
            for key in keys
            if not any(period.key == key.key for period in self._chain.keys(member, key.kind))
        ]
        if missing:
            self._send("register-keys", lambda nonce: self._chain.sign_register_keys(missing, nonce))
        kind, number, before = stage.kind.number, stage.number, stage.predecessor_id
        self._send("open-log", lambda nonce: self._chain.sign_open_log(kind, number, before, nonce))

    def _send(self, purpose: str, sign: Callable[[int], SignedTransaction]) -> None:
        self._sender.start(purpose, sign)
        outcome = self._sender.wait(sleep=self._sleep, timeout_seconds=60.0)
        self._sequencer.run(lambda t: t.delete(layout.PENDING_TRANSACTION_KEY), entries=0)
        if outcome.status != 1:
            raise Conflict(
                "succession-reverted", f"the chain refused a step of the succession: {outcome.revert_reason}"
            )


def find_ending(chain: AnchorChain, stage: Stage) -> tuple[int, RootHash]:
    """Give the size and root at which the old log ended: its last anchor, or the last good one that a vote named."""
    info, head = chain.log_info(stage.predecessor_id), chain.log_head(stage.predecessor_id)
    if info is not None and info.last_good is not None:
        for anchor, _ in chain.fetch_anchors(stage.predecessor_id, info.last_good):
            if anchor.i == info.last_good:
                return anchor.size, anchor.root
    return (head.size, head.root) if head is not None and head.i else (0, EMPTY_ROOT)


def fetch_anchors(chain: AnchorChain, reader: LogReader) -> list[StoredAnchor]:
    """Fetch the anchors of a log that the store can prove entries under but does not know yet."""
    known = reader.find_anchor()
    found = []
    for anchor, transaction in chain.fetch_anchors(log_id(reader.origin), known.anchor.i + 1 if known else 1):
        if (
            anchor.size > reader.size()
            or root_at(reader.tiles, anchor.size) != anchor.root
            or reader.find_checkpoint(anchor.size) is None
        ):
            break
        outcome = chain.find_outcome(transaction)
        found.append(StoredAnchor(anchor, transaction, outcome.gas_used if outcome is not None else 0))
    return found


@dataclass(frozen=True, slots=True)
class Beginning:
    """What a successor log begins with.

    Attributes:
        stage: Where the succession stands: ``begin``.
        entry: The succession, signed.
        vkeys: Keys of its checkpoints.
        good_size: Entries under the last good anchor by the chain; those of the store behind it are logged again.
        anchors: Anchors of the old log that the store did not know.
        lost: Entries that the store is known to lack, of all logs since.
        unknown: Logs of which nobody knows how many entries more were promised.
        planned: Whether the store of the old log is whole.
    """

    stage: Stage
    entry: str
    vkeys: tuple[str, str]
    good_size: int
    anchors: list[StoredAnchor]
    lost: int
    unknown: int
    planned: bool


def build_entry(
    stage: Stage,
    ending: tuple[int, RootHash],
    reason: str,
    member: MemberCode,
    signer: Ed25519Signer,
    clock: Clock,
) -> str:
    """Sign the first entry of a successor."""
    size, root = ending
    return build_succession(
        Succession(member, clock.now_seconds(), stage.predecessor, size, root, reason), signer
    )


def begin(transaction: Transaction, store: Store, old: LogReader, beginning: Beginning) -> None:
    """Make the successor the open log, in one commit; the sequencer is one of the new number.

    Args:
        transaction: The commit.
        store: The store.
        old: The log that the store took for the open one.
        beginning: What the successor begins with.
    """
    stage, kind = beginning.stage, beginning.stage.kind
    for stored in beginning.anchors:
        transaction.put(layout.anchor_key(kind, stored.anchor.i, old.number), encode_stored_anchor(stored))
    covered = max([old.anchored_size(), *(stored.anchor.size for stored in beginning.anchors)])
    transaction.put(layout.number_key(kind), layout.encode_number(stage.number))
    transaction.put(layout.vkeys_key(kind, stage.number), "\n".join(beginning.vkeys).encode())
    transaction.append(kind, beginning.entry.encode("ascii"))
    start, end = min(covered, beginning.good_size), old.size()
    if start < end:
        transaction.put(layout.taking_over_key(kind), msgpack.packb([old.number, start, end]))
    if beginning.planned:
        return
    passed = beginning.lost + beginning.unknown * UNKNOWN_ENTRIES
    if kind is LogKind.RECORDS:
        lists = 1 + -(-beginning.lost // LIST_SIZE) + beginning.unknown * UNKNOWN_LISTS
        open_fresh_list(transaction, store, lists)
        pass_over_heads(transaction, store, passed)
    else:
        _pass_over_pairs(transaction, store, passed)


def _pass_over_pairs(transaction: Transaction, store: Store, passed: int) -> None:
    """Number receipts on behind those that a lost store may have given, to members that it knew and to others."""
    known = [key for key, _ in store.scan(layout.PAIR_KEY, layout.stop_of(layout.PAIR_KEY))]
    steps = {layout.PASSED_PAIRS_KEY: passed * len(known)} | dict.fromkeys(
        [layout.PAIR_BASE_KEY, *known], passed
    )
    for key, step in steps.items():
        transaction.put(key, layout.u64(layout.parse_u64(transaction.get(key) or bytes(8)) + step))


def create_head(heads: HeadFiles, origin: str) -> None:
    """Write the first head file of a successor, before the chain opens it: nothing promised yet.

    Raises:
        Conflict: ``succession-used``: something was promised on it in another life of this node.
    """
    head = heads.load(origin)
    if head is not None and head.size:
        raise Conflict("succession-used", f"log {origin} was begun before: {head.size} entries were promised")
    heads.store(Head(origin, 0, EMPTY_ROOT))


def take_over(store: Store, sequencer: Sequencer, logs: Mapping[LogKind, Logs]) -> dict[LogKind, int]:
    """Log again what successors have still to take over; goes on where it was cut off.

    Returns:
        How many entries of each kind were logged again now.
    """
    taken = dict.fromkeys(logs, 0)
    for kind, each in logs.items():
        while (data := store.get(layout.taking_over_key(kind))) is not None:
            number, start, end = msgpack.unpackb(data)
            reader = each.find(number)
            if reader is None:
                raise Fatal(
                    "succession-form", f"{kind.text} log {number}, which is to be taken over, is not there"
                )
            stop = min(end, start + STEP_ENTRIES)
            step = partial(_take, kind=kind, reader=reader, start=start, stop=stop, end=end)
            taken[kind] += sequencer.run(step, entries=STEP_ENTRIES)
    return taken


def _take(
    transaction: Transaction, *, kind: LogKind, reader: LogReader, start: int, stop: int, end: int
) -> int:
    taken = 0
    for index, row in reader.rows(start, stop):
        entry = reader.entry(row)
        if not _is_lasting(kind, entry):
            continue
        new = transaction.append(kind, entry)
        moved = layout.moved_key(kind, reader.place(index))
        transaction.put(moved, layout.u64(transaction.place(kind, new)))
        taken += 1
    if stop == end:
        transaction.delete(layout.taking_over_key(kind))
    else:
        transaction.put(layout.taking_over_key(kind), msgpack.packb([reader.number, stop, end]))
    return taken


def _is_lasting(kind: LogKind, entry: bytes) -> bool:
    """Tell whether an entry says something beyond its own log and period."""
    if kind is LogKind.ACCESS and entry.startswith(b"{"):
        return isinstance(parse_entry(entry), ParsedEvent)
    header = orjson.loads(parse_b64u(entry.partition(b".")[0].decode("ascii")))
    return header["typ"] not in _PERIOD_TYPS


def describe_succession(reader: LogReader) -> dict[str, Any] | None:
    """Say openly which log one follows, and why; None for a first log."""
    if not reader.number or not reader.size():
        return None
    succession = parse_succession(reader.entry(reader.row(0)))
    return {
        "predecessor": succession.predecessor,
        "size": succession.size,
        "root": encode_hex(succession.root),
        "reason": succession.reason,
        "planned": succession.planned,
    }


def describe_earlier(reads: Reads, reader: LogReader) -> dict[str, Any]:
    """Say openly how far a log came that has a successor, and the keys that check it."""
    anchor = reader.find_anchor()
    vkeys = reads.get(layout.vkeys_key(reader.kind, reader.number)) or b""
    return {
        "kind": reader.kind.text,
        "origin": reader.origin,
        "log_id": encode_hex(log_id(reader.origin)),
        "vkeys": vkeys.decode().split("\n"),
        "size": reader.size(),
        "published": reader.published_size(),
        "anchored": reader.anchored_size(),
        "anchors": anchor.anchor.i if anchor else 0,
        "succession": describe_succession(reader),
    }
