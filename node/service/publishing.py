# SPDX-License-Identifier: Apache-2.0
"""Publish: make both logs say where they stand, and sign that.

    1. one commit: status head to the records log, heartbeat and padding to the access log; the head files follow
       it before the writer answers (node.service.sequencer), so what is signed below is promised already
    2. recompute both roots from the stored tiles, bound to the last      a difference is Fatal: nothing is signed and
       signed root                                                        nothing more is written
    3. sign, then store the signed notes                                  a note is never signed twice over one size

A crash between 1 and 3 leaves a longer log without a checkpoint; the next round signs it.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

from node.access.event import RID_BYTES, Heartbeat, build_heartbeat, build_pad, parse_entry
from node.core.types import TreeSize
from node.crypto.note import ED25519, MLDSA44, build_vkey, encode_vkey, parse_vkey
from node.crypto.token import parse_token
from node.errors import Fatal, InvalidInput, Verification
from node.log.checkpoint import Checkpoint, parse_signed_checkpoint, sign_checkpoint, verify_checkpoint
from node.log.merkle import leaf_hash
from node.log.tree import recompute_root
from node.records.status import MAX_STATUS_HEAD_BYTES, STATUS_HEAD_TYP
from node.service import layout
from node.service.layout import LogKind

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from node.core.clock import Clock
    from node.core.types import RootHash
    from node.crypto.ed25519 import Ed25519Signer
    from node.crypto.mldsa import MlDsa44Signer
    from node.ports import SecretKeeper
    from node.service.reading import LogReader, Logs
    from node.service.rejects import Rejects
    from node.service.sequencer import Sequencer
    from node.service.status import StatusPublisher
    from node.service.transaction import Transaction

_MS: Final = 1_000
ACCESS_STEP: Final = 16
"""Access logs are padded to a multiple of this many entries at each anchor (protocol section 6)."""


@dataclass(frozen=True, slots=True)
class LogKeys:
    """The pair of keys that signs the checkpoints of one log."""

    ed25519: Ed25519Signer
    ml_dsa_44: MlDsa44Signer


def build_vkeys(origin: str, keys: LogKeys) -> tuple[str, str]:
    """Give the vkeys that check a log's checkpoints."""
    return (
        encode_vkey(build_vkey(origin, ED25519, keys.ed25519.public)),
        encode_vkey(build_vkey(origin, MLDSA44, keys.ml_dsa_44.public)),
    )


def find_last_unwraps(logs: Logs) -> int | None:
    """Find the count of unwraps that the newest published heartbeat says; None where none says any."""
    for reader in reversed(logs.readers):
        size = reader.published_size()
        for _, row in reversed(list(reader.rows(max(0, size - ACCESS_STEP), size))):
            entry = reader.entry(row)
            parsed = parse_entry(entry) if entry.startswith(b"{") else None
            if isinstance(parsed, Heartbeat) and parsed.unwraps is not None:
                return parsed.unwraps
    return None


@dataclass(frozen=True, slots=True)
class Published:
    """A signed checkpoint of one log."""

    log: LogKind
    size: TreeSize
    root: RootHash
    note: str


class Publisher:
    """Signs checkpoints of this node's two logs."""

    def __init__(
        self,
        sequencer: Sequencer,
        readers: Mapping[LogKind, LogReader],
        keys: Mapping[LogKind, LogKeys],
        status: StatusPublisher,
        clock: Clock,
        random: Callable[[int], bytes],
        rejects: Rejects,
        keeper: SecretKeeper,
    ) -> None:
        self._keeper = keeper
        self._rejects = rejects
        self._sequencer = sequencer
        self._readers = readers
        self._keys = keys
        self._status = status
        self._clock = clock
        self._random = random
        self._lock = threading.Lock()

    def publish(self) -> dict[LogKind, Published]:
        """Close the period of both logs and sign their checkpoints.

        Raises:
            Fatal: The stored tiles contradict each other, the last signed root or the writer.
        """
        with self._lock:
            try:
                now_ms = self._now_ms()
                rejects = self._rejects.count
                sizes = self._sequencer.run(partial(self._close_period, now_ms, rejects), entries=ACCESS_STEP)
                self._rejects.settle(rejects)
                return {log: self._sign(log, size, now_ms // _MS) for log, size in sizes.items()}
            except Fatal as error:
                self._sequencer.halt(error)
                raise

    def _now_ms(self) -> int:
        """Tell the time, yet never one before what was signed last: a clock that was put back moves nothing back."""
        signed = max(self._last_head_seconds(), *map(self._last_signed_seconds, self._readers))
        # Whole seconds are signed; the heartbeat of the last one may be of its last millisecond.
        now_ms, last_ms = self._clock.now_ms(), _MS * (signed + 1) - 1
        return now_ms if now_ms // _MS >= signed else last_ms

    def _last_head_seconds(self) -> int:
        """Give the time of a status head that no checkpoint covers, as after a crash; 0 where there is none.

        One that is damaged says nothing; ``log fsck`` names it.
        """
        head = self._status.newest()
        if head is None:
            return 0
        reader = self._readers[LogKind.RECORDS]
        number, index = layout.split_place(head.place)
        if number != reader.number or index < reader.published_size():
            return 0
        entry = reader.entry(reader.row(index))
        if leaf_hash(entry) != reader.leaf(index):
            return 0
        return int(parse_token(entry, typ=STATUS_HEAD_TYP, max_bytes=MAX_STATUS_HEAD_BYTES).payload["iat"])

    def _last_signed_seconds(self, log: LogKind) -> int:
        reader = self._readers[log]
        last = reader.find_checkpoint()
        if last is None:
            return 0
        try:
            vkeys = [parse_vkey(text) for text in build_vkeys(reader.origin, self._keys[log])]
            return verify_checkpoint(last[1], vkeys).timestamp_seconds or 0
        except (InvalidInput, Verification) as error:
            raise Fatal(
                "checkpoint-damaged",
                f"stored checkpoint {last[0]} of the {log.text} log is not what was signed",
            ) from error

    def _close_period(self, now_ms: int, rejects: int, transaction: Transaction) -> dict[LogKind, TreeSize]:
        self._status.append_head(transaction, now_ms // _MS)
        transaction.append(
            LogKind.ACCESS, build_heartbeat(now_ms, rejects=rejects, unwraps=self._keeper.unwraps)
        )
        while transaction.size(LogKind.ACCESS) % ACCESS_STEP:
            transaction.append(LogKind.ACCESS, build_pad(self._random(RID_BYTES)))
        return {log: TreeSize(transaction.size(log)) for log in LogKind}

    def _sign(self, log: LogKind, size: TreeSize, now_seconds: int) -> Published:
        reader = self._readers[log]
        last = reader.find_checkpoint()
        last_root = parse_signed_checkpoint(last[1])[0].root if last else None
        root = recompute_root(reader.tiles, last[0] if last else 0, size, verified_root=last_root)
        durable_size, durable_root = self._sequencer.root(log)
        if durable_size == size and durable_root != root:
            raise Fatal(
                "log-root-differs", f"stored tiles of the {log.text} log do not give the root of size {size}"
            )
        keys = self._keys[log]
        checkpoint = Checkpoint(reader.origin, size, root)
        note = sign_checkpoint(checkpoint, keys.ed25519, keys.ml_dsa_44, now_seconds)
        self._sequencer.run(
            lambda t: t.put(layout.checkpoint_key(log, size, reader.number), note.encode()), entries=0
        )
        return Published(log, size, root, note)
