# SPDX-License-Identifier: Apache-2.0
"""What both sides of an exchange need of this node, and what both demand of the other member."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from node.errors import AccessDenied, Unavailable, Verification
from node.log.checkpoint import parse_signed_checkpoint
from node.service.layout import LogKind

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from node.core.clock import Clock
    from node.core.types import MemberCode
    from node.crypto.ed25519 import Ed25519Signer
    from node.ports import Reads
    from node.service.exchange.directory import Directory, Peer
    from node.service.exchange.ends import EndChecker
    from node.service.exchange.permits import Permits
    from node.service.exchange.untold import Untold
    from node.service.gossip import Gossip
    from node.service.looking import AccessLog
    from node.service.reading import LogReader, Logs
    from node.service.sequencer import Sequencer


@dataclass(frozen=True, slots=True)
class Side:
    """What both sides of an exchange need of this node.

    Attributes:
        member: This member.
        node_key: Signs requests and answers.
        reads: The store.
        sequencer: Writes to it.
        logs: Logs of this node.
        access: Its access log.
        directory: The other members.
        gossip: Takes note of their checkpoints.
        permits: Decides.
        ends: Checks how other members say that their questions ended.
        untold: How own questions ended, as long as the other side was not told.
        clock: The clock.
        random: Source of unpredictable bytes.
        anchor_limit_seconds: The network's limit.
    """

    member: MemberCode
    node_key: Ed25519Signer
    reads: Reads
    sequencer: Sequencer
    logs: Mapping[LogKind, Logs]
    access: AccessLog
    directory: Directory
    gossip: Gossip
    permits: Permits
    ends: EndChecker
    untold: Untold
    clock: Clock
    random: Callable[[int], bytes]
    anchor_limit_seconds: int

    @property
    def access_logs(self) -> Logs:
        """This node's access logs."""
        return self.logs[LogKind.ACCESS]

    @property
    def access_reader(self) -> LogReader:
        """This node's open access log."""
        return self.logs[LogKind.ACCESS].open

    def newest_note(self, kind: LogKind) -> str:
        """Give the newest signed checkpoint of an own log; every message carries one.

        Raises:
            Unavailable: ``not-published``.
        """
        found = self.logs[kind].open.find_checkpoint()
        if found is None:
            raise Unavailable(
                "not-published", f"the {kind.text} log has no signed checkpoint yet: try again later"
            )
        return found[1]

    def require_speaking(self, peer: Peer) -> str:
        """Refuse a member that may not act, or whose access log is anchored too seldom or not open; give its origin.

        Raises:
            AccessDenied: ``member-inactive``, ``member-silent``.
        """
        if not peer.is_active:
            raise AccessDenied("member-inactive", f"{peer.member.code} is suspended or removed")
        silent, log = peer.silent_seconds(), peer.logs.get(LogKind.ACCESS)
        if silent is None or log is None:
            raise AccessDenied("member-silent", f"{peer.member.code} has no open access log on the chain")
        if silent > self.anchor_limit_seconds:
            raise AccessDenied(
                "member-silent",
                f"access log of {peer.member.code} was last anchored {silent} seconds ago: "
                f"want at most {self.anchor_limit_seconds}",
            )
        return log.origin

    def require_newest(self, peer: Peer, note: str, *, unless_since: int | None = None) -> None:
        """Refuse the checkpoint of a message when the chain knows a newer state of the member's access log.

        Args:
            peer: Who sent it.
            note: Signed checkpoint of its access log.
            unless_since: Second from which on a later anchor is no reproach: it may have come while the message was on
                its way; None where what the chain says was read before the message was asked for.

        Raises:
            Verification: ``checkpoint-old``.
        """
        shown, log = parse_signed_checkpoint(note)[0], peer.logs.get(LogKind.ACCESS)
        if log is not None and shown.origin == log.origin:
            is_late = unless_since is not None and log.anchored_at >= unless_since
            if shown.size >= log.anchored_size or is_late:
                return
        raise Verification(
            "checkpoint-old",
            f"{peer.member.code} shows {shown.size} entries of {shown.origin}: want the newest state",
        )

    def find_node_key(self, peer: Peer, kid: str) -> bytes:
        """Find a member's node key.

        Raises:
            Verification: ``member-key``: no node key of that member is called so and valid now.
        """
        public = peer.node_keys.get(kid)
        if public is None:
            raise Verification("member-key", f"{peer.member.code} has no valid node key {kid}")
        return public


def require_searched(peer: Peer, note: str) -> None:
    """Refuse an answer from an older log, or an older state of it, than the chain knows: what is newer would be missing.

    Args:
        peer: Who answered, as the chain had it before it was asked.
        note: The signed checkpoint of its records log that it searched.

    Raises:
        Verification: ``answer-stale``.
    """
    log, searched = peer.logs.get(LogKind.RECORDS), parse_signed_checkpoint(note)[0]
    if log is None or searched.origin != log.origin or searched.size < log.anchored_size:
        raise Verification(
            "answer-stale",
            f"answer searched {searched.size} entries of {searched.origin}: want the newest state",
        )
