# SPDX-License-Identifier: Apache-2.0
"""Steps 1 and 3 of answering: which member signed the message that arrived, and whether what it says holds.

What members reply to this node's own key is opened here, too.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final, TypeVar

from node.access.box import MAX_REQUEST_BYTES, open_request, parse_envelope
from node.access.bulk_request import TYP as BULK_TYP
from node.access.bulk_request import parse_bulk_request
from node.access.receipt import MAX_SKEW_SECONDS
from node.access.request import TYP, authenticate_request, check_request, parse_request
from node.crypto.token import token_digest
from node.errors import AccessDenied, Verification
from node.service.exchange.ledger import find_first_user

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from node.access.box import Envelope
    from node.access.request import AnyRequest
    from node.crypto.hpke import ExchangeKey
    from node.crypto.jws import Jws
    from node.service.exchange.directory import Peer
    from node.service.exchange.permits import Judged
    from node.service.exchange.side import Side

_Opened = TypeVar("_Opened")
_TYPS: Final = frozenset((TYP, BULK_TYP))


@dataclass(frozen=True, slots=True)
class Arrival:
    """A request that a member signed; what it says is not looked at yet.

    Attributes:
        peer: Who.
        public: The node key that signed it.
        token: The request JWS.
        jws: The same, parsed.
        req: Its SHA-256.
        envelope: The message that it came in.
    """

    peer: Peer
    public: bytes
    token: str
    jws: Jws
    req: bytes
    envelope: bytes

    def parse(self) -> AnyRequest:
        """Read what it says; nothing of that is verified.

        Raises:
            InvalidInput: As ``parse_request`` and ``parse_bulk_request``.
        """
        is_bulk = self.jws.header["typ"] == BULK_TYP
        return parse_bulk_request(self.token, self.jws) if is_bulk else parse_request(self.token, self.jws)


def authenticate(side: Side, exchange_keys: Mapping[str, ExchangeKey], body: bytes) -> Arrival:
    """Open an envelope and find the member that signed what is in it.

    Args:
        side: This node.
        exchange_keys: What requests are sealed to, by ``kid``.
        body: As it came, untrusted.

    Raises:
        InvalidInput, Verification, AccessDenied: No member signed it for this node.
        Unavailable: ``chain-…``.
    """
    envelope = parse_envelope(body, max_plaintext_bytes=MAX_REQUEST_BYTES)
    peer, key = identify(side, exchange_keys, envelope)
    token = open_request(envelope, key)
    find_key = partial(side.find_node_key, peer)
    jws = authenticate_request(token, find_key, typs=_TYPS)
    return Arrival(peer, find_key(jws.header["kid"]), token, jws, token_digest(token), body)


def open_signed(
    side: Side,
    exchange_keys: Mapping[str, ExchangeKey],
    body: bytes,
    *,
    max_plaintext_bytes: int,
    open_with: Callable[[Envelope, ExchangeKey], str],
    authenticate_with: Callable[[str, Callable[[str], bytes]], object],
) -> tuple[Peer, bytes, str]:
    """Open the envelope of another message than a request, and find the member that signed what is in it.

    Returns:
        Who; the exchange key to which the answer is sealed; the message, of which only the signature is verified.

    Raises:
        InvalidInput, Verification: No member signed it for this node.
        AccessDenied: The same; ``member-key`` when nothing can be sealed to who did.
        Unavailable: ``chain-…``.
    """
    envelope = parse_envelope(body, max_plaintext_bytes=max_plaintext_bytes)
    peer, key = identify(side, exchange_keys, envelope)
    token = open_with(envelope, key)
    authenticate_with(token, partial(side.find_node_key, peer))
    if peer.exchange_key is None:
        raise AccessDenied("member-key", f"{peer.member.code} has no exchange key on the chain")
    return peer, peer.exchange_key, token


def identify(
    side: Side, exchange_keys: Mapping[str, ExchangeKey], envelope: Envelope
) -> tuple[Peer, ExchangeKey]:
    """Find the member that an envelope names as its sender, and the key that opens it; neither is proven by that.

    Raises:
        Verification: ``envelope-to``, ``envelope-from``, ``box-kid``.
        AccessDenied: ``member-unknown``.
        Unavailable: ``chain-…``.
    """
    if envelope.to != side.member:
        raise Verification("envelope-to", f"envelope is for {envelope.to}, this is {side.member}")
    if envelope.from_ == side.member:
        raise Verification("envelope-from", "envelope says that this member sent it to itself")
    peer = side.directory.get(envelope.from_)
    key = exchange_keys.get(envelope.kid)
    if key is None:
        raise Verification("box-kid", f"box is for another key: got {envelope.kid}, none of this node's")
    return peer, key


def open_reply(
    side: Side,
    exchange_keys: Mapping[str, ExchangeKey],
    peer: Peer,
    envelope: Envelope,
    open_with: Callable[[Envelope, ExchangeKey], str],
) -> str:
    """Open what a member answered to this node's exchange key, and return the JWS, of which nothing is verified.

    Raises:
        InvalidInput: ``box-padding``.
        Verification: ``envelope-to`` when it is not from that member for this node; as ``open_with_any``.
    """
    if (envelope.from_, envelope.to) != (peer.member.code, side.member):
        raise Verification("envelope-to", f"envelope is from {envelope.from_} for {envelope.to}")
    return open_with_any(exchange_keys, partial(open_with, envelope))


def open_with_any(
    exchange_keys: Mapping[str, ExchangeKey], open_with: Callable[[ExchangeKey], _Opened]
) -> _Opened:
    """Open what is sealed to one of this node's exchange keys and does not say to which.

    Raises:
        Verification: No key opens it: what the last one raised; ``box-kid`` when there is none.
    """
    error: Verification | None = None
    for key in exchange_keys.values():
        try:
            return open_with(key)
        except Verification as failure:  # sealed to another of this node's keys
            error = failure
    raise error or Verification("box-kid", "this node has no exchange key")


def judge(side: Side, request: AnyRequest, arrival: Arrival) -> Judged:
    """Check claims, sender, time and the asker's own event, then decide.

    Raises:
        InvalidInput, Verification, AccessDenied: It does not hold, or its sender may not ask now.
        Conflict: ``rules-missing``.
        Unavailable: The store or the chain cannot be used now.
    """
    peer = arrival.peer
    check_request(
        request,
        public=arrival.public,
        from_=peer.member.code,
        to=side.member,
        log=side.require_speaking(peer),
        now_seconds=side.clock.now_seconds(),
        anchor_limit_seconds=side.anchor_limit_seconds,
    )
    if find_first_user(side.reads, request.iss, request.rid) is not None:
        raise replayed()
    side.require_newest(
        peer,
        request.checkpoint,
        unless_since=min(request.iat, side.clock.now_seconds()) - MAX_SKEW_SECONDS,
    )
    side.gossip.observe(request.checkpoint)
    side.gossip.require_honest(peer.member.code)
    return side.permits.judge(request, peer)


def replayed() -> AccessDenied:
    """Give the refusal of a request whose rid was used before."""
    return AccessDenied("request-replayed", "a request with this rid was answered before")
