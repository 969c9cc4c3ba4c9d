# SPDX-License-Identifier: Apache-2.0
"""What this node holds of other members' logs: the newest checkpoint of each, for ever, and the proof when one forks.

    observe    signature checked; held against what is kept, which at one size decides; otherwise kept as unchecked
    recheck    the origin's node is asked for the tiles that show that the newer tree continues the older one
                 it does                     the newer one is kept, the older one dropped
                 it does not                 both and their proof are kept for ever, the proof as a file too
                 no answer, or other tiles   still unchecked; asked again

Only ``recheck`` waits for the network, so that no message waits for another member's node. A checkpoint that cannot be
checked is never forgotten and convicts nobody: whether a member is away and whether it hides something looks the same
from here. But a member whose node shows no tiles while it signs on and on is not exchanged with until it shows them:
what does not fit among those that wait is refused, with the message that carried it, so that nobody pushes out a
checkpoint that convicts. A proven fork is final: refused at once, stored, then written as a file; what of that
fails is done again by ``recheck``.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import msgpack

from node.errors import AccessDenied, NodeError, Unavailable, Verification
from node.log.checkpoint import log_id, parse_origin, parse_signed_checkpoint, verify_parsed_checkpoint
from node.log.fork import build_fork, encode_fork, file_name, parse_fork
from node.service import layout

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from node.core.types import MemberCode
    from node.crypto.note import VKey
    from node.log.fork import ForkProof
    from node.ports import Reads
    from node.ports.witnesses import ForkFiles, LogSources
    from node.service.sequencer import Sequencer
    from node.service.transaction import Transaction

MOST_UNCHECKED: Final = 32
"""Checkpoints of one log that wait to be checked; more are refused. A node publishes one in each anchor period, which is a
second at least, and they are checked every half minute."""


@dataclass(frozen=True, slots=True)
class Kept:
    """What is kept of one log.

    Attributes:
        origin: The log.
        newest: Signed note that continues all that were checked before it; None while the first one waits.
        unchecked: Signed notes that wait, by size.
    """

    origin: str
    newest: str | None = None
    unchecked: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class FoundFork:
    """A proven fork.

    Attributes:
        member: Whose log it is.
        origin: The log.
        name: Name of the file with the proof.
        data: The proof.
    """

    member: MemberCode
    origin: str
    name: str
    data: bytes

    @property
    def proof(self) -> ForkProof:
        """The proof, parsed."""
        return parse_fork(self.data)


class Gossip:
    """Keeps the newest checkpoint of every log that this node hears of.

    Args:
        reads: The store.
        sequencer: Writes to it.
        member: This member; its own logs are compared with the store elsewhere (node.service.witnesses).
        sources: Keys and tiles of other members' logs.
        forks: Keeps the files.
        on_unchecked: Called, in the observing thread, when something waits to be checked.
    """

    def __init__(
        self,
        reads: Reads,
        sequencer: Sequencer,
        member: MemberCode,
        sources: LogSources,
        forks: ForkFiles,
        on_unchecked: Callable[[], None] = lambda: None,
    ) -> None:
        self._reads = reads
        self._sequencer = sequencer
        self._member = member
        self._sources = sources
        self._files = forks
        self._on_unchecked = on_unchecked
        self._lock = threading.Lock()
        self._vkeys: dict[str, Sequence[VKey]] = {}
        self._refused: dict[MemberCode, FoundFork] = {}
        self._filed: set[str] = set()
        self._met: dict[str, str] = {}
        """The note by origin that was found among the kept ones last: most messages show the same one."""
        self.reasons: dict[str, NodeError] = {}
        """Why the checkpoints of a log wait, by origin."""
        for fork in self._stored_forks():
            self._refused.setdefault(fork.member, fork)

    def observe(self, note: str) -> FoundFork | None:
        """Take note of a checkpoint that another member's node sent, of whichever log.

        Asks nobody but, for a log that it meets first, the chain.

        Args:
            note: Signed checkpoint, untrusted.

        Returns:
            The fork that it proves; None when it proves none by itself.

        Raises:
            InvalidInput: It is no checkpoint of a log of a member.
            Verification: ``checkpoint-…``: its log's key did not sign it. Nothing was kept.
            Unavailable: ``checkpoints-unchecked``: too many of this log wait to be checked; or the chain, or the store,
                cannot be used now. Nothing was kept, and what came with it must not be relied on. Or
                ``fork-not-stored``: the fork is proven and its member refused.
        """
        checkpoint, parsed = parse_signed_checkpoint(note)
        member = parse_origin(checkpoint.origin).member
        if member == self._member or member in self._refused:
            return self._refused.get(member)
        if self._met.get(checkpoint.origin) == note:
            return None
        if note in _notes_of(self.kept(checkpoint.origin)):
            # Verified when it was kept; of another text with the same tree the signatures may be anything.
            self._met[checkpoint.origin] = note
            return None
        verify_parsed_checkpoint(checkpoint, parsed, self._find_vkeys(checkpoint.origin))
        with self._lock:
            kept = self.kept(checkpoint.origin)
            for other in _notes_of(kept):
                known = parse_signed_checkpoint(other)[0]
                if known == checkpoint:
                    return None
                if known.size == checkpoint.size:
                    proof = build_fork(other, note)
                    assert proof is not None, "two checkpoints of one size that differ are a fork"
                    return self._convict(member, proof)
            if kept.newest is None and not kept.unchecked:
                self._keep(replace(kept, newest=note))
            else:
                self._keep(replace(kept, unchecked=_queue(kept, note)))
        self._on_unchecked()
        return None

    def recheck(self) -> list[FoundFork]:
        """Check what waits, as far as the nodes of its logs answer now.

        Raises:
            Conflict, Fatal, Unavailable: The store, or the file of a proof, cannot be written.
        """
        self.store_forks()
        found = []
        for kept in self.list_kept():
            if kept.unchecked and parse_origin(kept.origin).member not in self._refused:
                fork = self._check(kept.origin)
                if fork is not None:
                    found.append(fork)
        return found

    def require_honest(self, member: MemberCode) -> None:
        """Refuse a member of whom a fork is proven.

        Raises:
            AccessDenied: ``member-forked``, naming the file with the proof.
        """
        fork = self._refused.get(member)
        if fork is not None:
            raise AccessDenied(
                "member-forked", f"member {member} signed two histories of its log: the proof is {fork.name}"
            )

    def kept(self, origin: str) -> Kept:
        """Give what is kept of a log."""
        data = self._reads.get(layout.gossip_key(log_id(origin)))
        return Kept(origin) if data is None else _decode(data)

    def list_kept(self) -> list[Kept]:
        """Give what is kept of all logs."""
        start = layout.gossip_key(b"")
        return [_decode(data) for _, data in self._reads.scan(start, layout.stop_of(start))]

    def notes_of(self, member: MemberCode) -> list[str]:
        """Give all signed checkpoints that are kept of a member's logs."""
        return [
            note
            for kept in self.list_kept()
            if parse_origin(kept.origin).member == member
            for note in _notes_of(kept)
        ]

    def list_forks(self) -> list[FoundFork]:
        """Give the members of whom a fork is proven, one fork each, by member."""
        return [self._refused[member] for member in sorted(self._refused)]

    def store_forks(self) -> list[str]:
        """Store the proven forks of which this process has not yet written store and file, and say which.

        Every process writes each file once, whatever became of it since. ``recheck`` begins with this.

        Returns:
            Names of the files.

        Raises:
            Conflict, Fatal, Unavailable: The store, or the file of a proof, cannot be written; called again, it goes on.
        """
        names = [fork.name for fork in self.list_forks() if fork.name not in self._filed]
        for fork in self.list_forks():
            if fork.name in names:
                self._store(fork)
        return names

    def _check(self, origin: str) -> FoundFork | None:
        self.reasons.pop(origin, None)
        for note in self.kept(origin).unchecked:
            newest = self.kept(origin).newest
            assert newest is not None, "what is kept first needs no check"
            sizes = [parse_signed_checkpoint(each)[0].size for each in (newest, note)]
            tiles = self._sources.open_tiles(origin, max(sizes))
            try:
                proof = build_fork(newest, note, tiles, tiles)
            except NodeError as error:
                # Whatever another node's tiles raise, it is no state of ours.
                self.reasons[origin] = error
                continue
            with self._lock:
                if proof is not None:
                    return self._convict(parse_origin(origin).member, proof)
                kept = self.kept(origin)
                rest = tuple(each for each in kept.unchecked if each != note)
                self._keep(Kept(origin, note if sizes[1] > sizes[0] else kept.newest, rest))
        return None

    def _convict(self, member: MemberCode, proof: ForkProof) -> FoundFork:
        (a, _), (b, _) = (parse_signed_checkpoint(note) for note in (proof.a, proof.b))
        fork = FoundFork(member, a.origin, file_name(a.origin, a.size, b.size), encode_fork(proof))
        # Refused first: a disk that is full makes nobody honest.
        fork = self._refused.setdefault(member, fork)
        self._store(fork)
        return fork

    def _store(self, fork: FoundFork) -> None:
        key = layout.fork_key(log_id(fork.origin))
        packed = msgpack.packb([fork.member, fork.origin, fork.name, fork.data])
        try:
            # The store first: it alone is read at the next start.
            if self._sequencer.read_only is None and self._reads.get(key) is None:
                self._sequencer.run(lambda transaction: transaction.put(key, packed), entries=0)
        finally:
            self._files.store(fork.name, fork.data)
        self._filed.add(fork.name)

    def _stored_forks(self) -> list[FoundFork]:
        start = layout.fork_key(b"")
        return [
            FoundFork(*msgpack.unpackb(data)) for _, data in self._reads.scan(start, layout.stop_of(start))
        ]

    def _keep(self, kept: Kept) -> None:
        key, data = layout.gossip_key(log_id(kept.origin)), _encode(kept)

        def put(transaction: Transaction) -> None:
            transaction.put(key, data)

        self._sequencer.run(put, entries=0)

    def _find_vkeys(self, origin: str) -> Sequence[VKey]:
        vkeys = self._vkeys.get(origin)
        if vkeys is None:
            vkeys = self._sources.find_vkeys(origin)
            if not vkeys:
                raise Verification("checkpoint-unknown-log", f"the chain knows no log {origin}")
            # The keys of a log never change, so they are asked for once.
            self._vkeys[origin] = vkeys
        return vkeys


def _notes_of(kept: Kept) -> tuple[str, ...]:
    return kept.unchecked if kept.newest is None else (kept.newest, *kept.unchecked)


def _queue(kept: Kept, note: str) -> tuple[str, ...]:
    if len(kept.unchecked) >= MOST_UNCHECKED:
        raise Unavailable(
            "checkpoints-unchecked",
            f"{len(kept.unchecked)} checkpoints of log {kept.origin} wait for its node to show what they cover: "
            "no more are taken",
        )
    return tuple(sorted((*kept.unchecked, note), key=lambda each: parse_signed_checkpoint(each)[0].size))


def _encode(kept: Kept) -> bytes:
    packed: bytes = msgpack.packb([kept.origin, kept.newest, list(kept.unchecked)])
    return packed


def _decode(data: bytes) -> Kept:
    fields: list[Any] = msgpack.unpackb(data)
    return Kept(fields[0], fields[1], tuple(fields[2]))
