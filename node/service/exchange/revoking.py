# SPDX-License-Identifier: Apache-2.0
"""The window's side of a consent that was taken back and whose provider is another member: it is told until it knows (ADR 32).

    1  the commit of the ``revoke`` event queues it       killed: it is queued, or there is no ``revoke``
    2  the provider's node is told, and answers           killed, away, no valid answer: told again, later and later
    3  one commit: off the queue, the provider's          killed before: told again, and answered as before
       event and receipt kept

It is tried at once, and then by the loop that tends exchanges: a provider that was away is tried after half a minute, and
after twice as long each time, an hour at most. It ends when the provider's receipt is here, or with the consent.

    key                              value
    C t provider(18) digest(32)      msgpack [end(s), place]: taken back here, the provider does not know it yet, and our event
    C k digest(32)                   second at which it was seen that the provider knows it(8)
"""

from __future__ import annotations

import threading
from concurrent.futures import Future, wait
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from itertools import starmap
from typing import TYPE_CHECKING, Final

import msgpack

from node.access.box import encode_envelope, parse_envelope
from node.access.receipt import MAX_SKEW_SECONDS
from node.access.revocation import (
    MAX_REVOKED_BYTES,
    build_revocation,
    open_revoked,
    parse_revocation,
    seal_revocation,
    verify_revoked,
)
from node.core.types import MemberCode
from node.errors import AccessDenied, NodeError, Unavailable, Verification
from node.service import layout
from node.service.exchange.arrivals import open_reply
from node.service.exchange.ledger import put_promise
from node.service.layout import MEMBER_BYTES, LogKind

if TYPE_CHECKING:
    from collections.abc import Mapping

    from node.access.logged import LoggedEvent
    from node.access.revocation import Revocation
    from node.crypto.hpke import ExchangeKey
    from node.ports import Reads
    from node.ports.peers import Peers
    from node.service.exchange.directory import Peer
    from node.service.exchange.side import Side
    from node.service.transaction import Transaction

TELLING_SECONDS: Final = 6.0
"""How long a provider may take to answer."""
FIRST_PAUSE_SECONDS: Final = 30
LONGEST_PAUSE_SECONDS: Final = 3_600
AT_ONCE: Final = 16
"""Revocations that are told to one provider at a time; to one in trouble a single one."""
MOST_AT_ONCE: Final = 64
"""Revocations under way in one turn of the loop."""

_TO_TELL: Final = b"Ct"
_KNOWN: Final = b"Ck"
_TRANSIENT: Final = "revocation-limit"
_ABOUT_ONE: Final = ("revocation-", "revoked-")
_EXPIRED: Final = "consent-expired"
_OVER: Final = frozenset({"consent-revoked", _EXPIRED})
"""Codes of a provider that grants nothing on the consent any more, and of whose event no receipt can be had."""


@dataclass(frozen=True, slots=True)
class Queued:
    """A consent that was taken back here, and whose provider does not know it yet.

    Attributes:
        provider: Whom to tell.
        consent: SHA-256 of its token.
        end: Second from which it is void anyway.
        place: This node's ``revoke`` event in its access logs.
    """

    provider: MemberCode
    consent: bytes
    end: int
    place: int


def queue_revocation(
    transaction: Transaction, provider: MemberCode, consent: bytes, *, end: int, place: int
) -> None:
    """Queue what the provider is to be told, in the commit of the ``revoke`` event; for the arguments see ``Queued``."""
    transaction.put(_key(provider, consent), msgpack.packb([end, place]))


def find_known(reads: Reads, consent: bytes) -> int | None:
    """Find the second at which it was seen that the provider of a consent knows that it was taken back."""
    data = reads.get(_KNOWN + consent)
    return None if data is None else layout.parse_u64(data)


def drop_known(transaction: Transaction, consent: bytes) -> None:
    """Drop what ``find_known`` finds, when the consent is not listed any more."""
    transaction.delete(_KNOWN + consent)


@dataclass(slots=True)
class _Trouble:
    """Why a provider, or one consent of it, could not be told, and when to try again."""

    code: str
    pause_seconds: int
    next_at: float


class Outbox:
    """Tells providers; safe to use from any thread.

    Args:
        side: This node.
        peers: Carries revocations to providers.
        keys: This node's exchange keys: what a provider answers is sealed to one of them.
    """

    def __init__(self, side: Side, peers: Peers, keys: Mapping[str, ExchangeKey]) -> None:
        self._side = side
        self._peers = peers
        self._keys = keys
        self._guard = threading.Lock()
        self._under_way: set[bytes] = set()
        # Of providers by their code, of single consents that a provider refused by their digest.
        self._troubles: dict[str | bytes, _Trouble] = {}

    def trouble_of(self, provider: MemberCode, consent: bytes) -> str | None:
        """Say why a provider was not told of a consent when that was last tried by this process; None before it was."""
        with self._guard:
            trouble = self._troubles.get(consent) or self._troubles.get(provider)
        return None if trouble is None else trouble.code

    def tell(self, provider: MemberCode, consent: bytes) -> bool:
        """Tell one provider of one consent now, if it does not know; whether it knows then.

        Raises:
            Fatal: The store cannot be written any more.
        """
        queued = _find(self._side.reads, provider, consent)
        if queued is not None and self._take(consent):
            # What could not be kept now is told again.
            with suppress(Unavailable):
                self._tell_all([queued])
        return find_known(self._side.reads, consent) is not None

    def tell_due(self) -> None:
        """Tell providers whatever they do not know, those that failed lately left out; takes some seconds at most.

        Raises:
            NodeError: The store or the log cannot be used now; calling again goes on.
        """
        now = self._side.clock.now_seconds()
        due: list[Queued] = []
        over: list[Queued] = []
        start = _TO_TELL
        while len(due) < MOST_AT_ONCE:
            # The next provider behind the last one, so that one with a long queue does not hold up the others.
            first = next(iter(self._side.reads.scan(start, layout.stop_of(_TO_TELL), limit=1)), None)
            if first is None:
                break
            of_one = first[0][: len(_TO_TELL) + MEMBER_BYTES]
            start = layout.stop_of(of_one)
            room = self._room_of(_parse(*first).provider)
            for one in starmap(_parse, self._side.reads.scan(of_one, start) if room else ()):
                if one.end <= now:
                    over.append(one)
                elif self._is_due(one.consent) and self._take(one.consent):
                    due.append(one)
                    room -= 1
                if not room or len(over) >= MOST_AT_ONCE:
                    break
        # First, because it gives back what was taken.
        self._tell_all(due)
        if over:
            self._side.sequencer.run(partial(self._drop, over), entries=0)

    def _room_of(self, provider: MemberCode) -> int:
        """Say how many revocations may be sent to a provider now: one as a trial where the last ones failed."""
        if not self._is_due(provider):
            return 0
        with self._guard:
            return 1 if provider in self._troubles else AT_ONCE

    def _is_due(self, name: str | bytes) -> bool:
        with self._guard:
            trouble = self._troubles.get(name)
        return trouble is None or trouble.next_at <= self._side.clock.monotonic()

    def _take(self, consent: bytes) -> bool:
        with self._guard:
            if consent in self._under_way:
                return False
            self._under_way.add(consent)
            return True

    def _tell_all(self, queued: list[Queued]) -> None:
        """Send all, then take what came within the time; each was taken by ``_take`` and is given back."""
        try:
            sent = [(one, *self._send(one)) for one in queued]
            wait([answer for _, _, answer in sent], timeout=TELLING_SECONDS)
            for one, revocation, answer in sent:
                self._end(one, revocation, answer)
        finally:
            with self._guard:
                self._under_way.difference_update(one.consent for one in queued)

    def _send(self, queued: Queued) -> tuple[Revocation | None, Future[bytes]]:
        side, failed = self._side, Future[bytes]()
        try:
            provider = side.directory.get(queued.provider)
            if provider.address is None or provider.exchange_key is None:
                raise Unavailable("peer-unreachable", f"the chain does not say where {queued.provider} is")
            token = build_revocation(
                signer=side.node_key,
                iss=side.member,
                aud=queued.provider,
                iat=side.clock.now_seconds(),
                rid=side.access_logs.row(queued.place).key,
                consent=queued.consent,
                exp=queued.end,
            )
            envelope = seal_revocation(
                token, public=provider.exchange_key, from_=side.member, to=queued.provider
            )
            return parse_revocation(token), self._peers.revoke(provider.address, encode_envelope(envelope))
        except NodeError as error:
            failed.set_exception(error)
            return None, failed

    def _end(self, queued: Queued, revocation: Revocation | None, answer: Future[bytes]) -> None:
        try:
            if not answer.done():
                raise Unavailable(
                    "peer-slow", f"no answer from {queued.provider} in {TELLING_SECONDS:g} seconds"
                )
            body = answer.result()
            assert revocation is not None, "it was sent"
            given = self._verify(queued, revocation, body)
        except AccessDenied as error:
            if not self._is_over(queued, error.code):
                self._note_trouble(queued, error.code)
                return
            given = None
        except NodeError as error:
            self._note_trouble(queued, error.code)
            return
        self._side.sequencer.run(partial(self._put_known, queued, given), entries=0)
        with self._guard:
            self._troubles.pop(queued.provider, None)
            self._troubles.pop(queued.consent, None)

    def _is_over(self, queued: Queued, code: str) -> bool:
        """Tell whether a provider that took nothing has nothing to take; that a consent ended, this node knows itself."""
        if code == _EXPIRED:
            return queued.end <= self._side.clock.now_seconds() + MAX_SKEW_SECONDS
        return code in _OVER

    def _verify(self, queued: Queued, revocation: Revocation, body: bytes) -> LoggedEvent:
        side = self._side
        provider = side.directory.get(queued.provider)
        log = provider.logs.get(LogKind.ACCESS)
        if log is None:
            raise Verification("member-silent", f"{queued.provider} has no open access log on the chain")
        return verify_revoked(
            self._open(provider, body, revocation.digest),
            revocation=revocation,
            find_key=partial(side.find_node_key, provider),
            log=log.origin,
            now_seconds=side.clock.now_seconds(),
            anchor_limit_seconds=side.anchor_limit_seconds,
        )

    def _open(self, provider: Peer, body: bytes, req: bytes) -> str:
        envelope = parse_envelope(body, max_plaintext_bytes=MAX_REVOKED_BYTES)
        return open_reply(self._side, self._keys, provider, envelope, partial(open_revoked, req=req))

    def _put_known(self, queued: Queued, given: LoggedEvent | None, transaction: Transaction) -> None:
        transaction.delete(_key(queued.provider, queued.consent))
        transaction.put(_KNOWN + queued.consent, layout.u64(self._side.clock.now_seconds()))
        if given is not None:
            put_promise(transaction, queued.place, queued.provider, given.event, given.receipt)

    def _drop(self, over: list[Queued], transaction: Transaction) -> None:
        """Take off the queue what ended before its provider knew."""
        for one in over:
            transaction.delete(_key(one.provider, one.consent))
        with self._guard:
            for one in over:
                self._troubles.pop(one.consent, None)

    def _note_trouble(self, queued: Queued, code: str) -> None:
        """Leave a provider alone for a while; where its answer is about one consent, that consent alone."""
        now = self._side.clock.monotonic()
        is_about_one = code in _OVER or (code.startswith(_ABOUT_ONE) and code != _TRANSIENT)
        name: str | bytes = queued.consent if is_about_one else queued.provider
        with self._guard:
            before = self._troubles.get(name)
            if before is not None and before.next_at > now:
                # Several were under way to a provider that is away: that is one failure.
                return
            pause = FIRST_PAUSE_SECONDS if before is None else 2 * before.pause_seconds
            pause = min(pause, LONGEST_PAUSE_SECONDS)
            self._troubles[name] = _Trouble(code, pause, now + pause)


def _key(provider: str, consent: bytes) -> bytes:
    return _TO_TELL + provider.encode("ascii") + consent


def _parse(key: bytes, data: bytes) -> Queued:
    start = len(_TO_TELL)
    provider = MemberCode(key[start : start + MEMBER_BYTES].decode("ascii"))
    end, place = msgpack.unpackb(data)
    return Queued(provider, key[start + MEMBER_BYTES :], end, place)


def _find(reads: Reads, provider: MemberCode, consent: bytes) -> Queued | None:
    key = _key(provider, consent)
    data = reads.get(key)
    return None if data is None else _parse(key, data)
