# SPDX-License-Identifier: Apache-2.0
"""How questions of other members ended, as they say with their next one (protocol section 8, docs/adr/0023).

What holds is kept in the commit of the event about the request that it came with: the receipt binds the asker to its
``receive`` as the one for its ``ask`` does. What contradicts what this node logged is refused, and the whole envelope is
kept as it came, still sealed: it is signed, and shows what the asker said.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from node.access.received import RELEASED, verify_received
from node.core.canonical import encode_json
from node.errors import InvalidInput, NodeError, Verification
from node.log.merkle import leaf_hash
from node.service.exchange.ledger import (
    find_end,
    find_first_use,
    list_proofs,
    put_end,
    put_proof,
)
from node.service.layout import LogKind

if TYPE_CHECKING:
    from collections.abc import Sequence

    from node.access.logged import LoggedEvent, OpenedEvent
    from node.access.request import AnyRequest
    from node.core.types import MemberCode
    from node.service.exchange.directory import Peer
    from node.service.exchange.side import Side
    from node.service.transaction import Transaction

KEPT_PROOFS: Final = 16
"""Envelopes of one member that are kept as proof; what comes behind them shows no more."""
_LABEL: Final = b"ironcage/v1/released\x00"
_MARK_BYTES: Final = 16
_UNKNOWN_REQ: Final = bytes(32)
"""What an asker says of a request that it does not know any more, or never sent."""


@dataclass(frozen=True, slots=True)
class Ends:
    """What came along with a request.

    Attributes:
        member: Who sent it.
        kept: What holds and is not here yet.
        error: Why something does not hold; None where all does.
        envelope: The message, kept where something does not hold.
    """

    member: MemberCode
    kept: tuple[tuple[bytes, LoggedEvent], ...] = ()
    error: NodeError | None = None
    envelope: bytes = b""

    def require_sound(self) -> None:
        """Refuse the request when something does not hold.

        Raises:
            InvalidInput, Verification: What was found first.
        """
        if self.error is not None:
            raise self.error

    def put(self, transaction: Transaction, place: int) -> None:
        """Keep it, in the commit of the event about the request, which has that place."""
        for number, (rid, shown) in enumerate(self.kept, start=1):
            put_end(transaction, self.member, rid, place, number, shown)
        if self.error is not None and self.envelope:
            put_proof(transaction, self.member, place, self.envelope)


class EndChecker:
    """Checks what other members say of answers of this node; safe to use from any thread.

    Args:
        index_key: Keys the marks by which what was released is compared, 32 bytes.
    """

    def __init__(self, index_key: bytes) -> None:
        self._index_key = index_key

    def mark(self, rid: bytes, released: Sequence[Sequence[Any]] | None) -> bytes:
        """Give 16 bytes by which what was released is known again, and that say nothing to who has not the key."""
        listed = None if released is None else sorted([digest, sorted(names)] for digest, names in released)
        return hmac.digest(self._index_key, _LABEL + rid + encode_json(listed), "sha256")[:_MARK_BYTES]

    def check(self, side: Side, request: AnyRequest, peer: Peer, envelope: bytes) -> Ends:
        """Check each by itself; the request is refused for the first that does not hold, and the others are kept all the same.

        Args:
            side: This node.
            request: A request that the member signed.
            peer: The member.
            envelope: The message that it came in.
        """
        log = peer.logs.get(LogKind.ACCESS)
        if log is None or not request.received:
            return Ends(peer.member.code)
        kept: list[tuple[bytes, LoggedEvent]] = []
        first: NodeError | None = None
        for shown in request.received:
            try:
                opened = verify_received(
                    shown,
                    find_key=partial(_find_key, peer),
                    iss=peer.member.code,
                    aud=side.member,
                    log=log.origin,
                    now_seconds=side.clock.now_seconds(),
                    anchor_limit_seconds=side.anchor_limit_seconds,
                )
                if self._is_new(side, peer.member.code, shown, opened):
                    kept.append((opened.event.rid, shown))
            except (InvalidInput, Verification) as error:
                first = first or error
        keeps = (
            first is not None
            and len(list_proofs(side.reads, peer.member.code, limit=KEPT_PROOFS)) < KEPT_PROOFS
        )
        return Ends(peer.member.code, tuple(kept), first, envelope if keeps else b"")

    def _is_new(self, side: Side, member: MemberCode, shown: LoggedEvent, opened: OpenedEvent) -> bool:
        """Compare with what this node logged about the same request, and with what the asker said of it before.

        Raises:
            Verification: ``received-twice``, ``received-unknown``, ``received-differs``.
        """
        rid, leaf = opened.event.rid, leaf_hash(shown.event)
        held = find_end(side.reads, member, rid)
        if held is not None and held != leaf:
            raise Verification("received-twice", "asker logged two ends of one question")
        released, used = opened.values.get(RELEASED), find_first_use(side.reads, member, rid)
        if used is None:
            if released is not None:
                raise Verification("received-unknown", "asker says that it was given something it was not")
            return held is None
        req, mark = used
        if opened.event.req not in (req, _UNKNOWN_REQ):
            raise Verification(
                "received-differs", "event names another request than the one that was answered"
            )
        if released is not None and mark is not None and self.mark(rid, released) != mark:
            raise Verification("received-differs", "event says that something else was given than was")
        return held is None


def _find_key(peer: Peer, kid: str) -> bytes:
    public = peer.past_node_keys.get(kid)
    if public is None:
        raise Verification("member-key", f"{peer.member.code} has no node key {kid}")
    return public
