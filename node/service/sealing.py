# SPDX-License-Identifier: Apache-2.0
"""Sealed events of this node: made under a regulator's warrant, and kept from their subject until they are opened.

    1  the warrant is verified: by a regulator that may act, for this asker, in force
    2  the event's ten openings are made, and sealed to the regulator: ``box``
    3  the box is deposited; the regulator's receipt for it comes back     fails: nothing is logged, nothing released
    4  one commit: the event that names the box, that receipt, the count   (asker and provider do it)

What says nothing about the subject (a refusal, a question without answer) needs no seal: it is logged in its plain kind, with
the other side and the rule alone.

    key                              value
    S h place(8)                     msgpack [regulator, part, event, receipt]: what the regulator gave for the box of an event;
                                     rows of older programs have no part
    S c month(4) part(1)             u64: looks that this node asked (0) or answered (1) under seal in a month
"""

from __future__ import annotations

import threading
from concurrent.futures import TimeoutError as FutureTimeoutError
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Final

import msgpack

from node.access.box import encode_envelope, parse_envelope
from node.access.deposit import (
    ASK,
    GRANT,
    MAX_DEPOSITED_BYTES,
    build_deposit,
    open_deposited,
    parse_deposit,
    seal_deposit,
    verify_deposited,
)
from node.access.event import SECRET_BYTES, build_openings, check_said, event_salts
from node.access.request import SEALED
from node.access.sealed import seal_openings
from node.access.warrant import parse_warrant, verify_warrant
from node.errors import AccessDenied, Conflict, InvalidInput, NodeError, Unavailable, Verification
from node.ports import Role
from node.service import layout
from node.service.exchange.arrivals import open_reply
from node.service.exchange.ledger import note_newest

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from node.access.event import ParsedEvent
    from node.access.warrant import Warrant
    from node.core.clock import Clock
    from node.core.types import EntryIndex, MemberCode
    from node.crypto.hpke import ExchangeKey
    from node.ports import Reads
    from node.ports.peers import Peers
    from node.service.drafting import EventDraft
    from node.service.exchange.directory import Directory, Peer
    from node.service.exchange.side import Side
    from node.service.looking import Also
    from node.service.transaction import Transaction

WARRANT_RULE: Final = "warrant"
DEPOSIT_SECONDS: Final = 6.0
"""How long a deposit may take: less than the other side waits for an answer."""
DEPOSITING: Final = 8
"""Deposits under way at once: a regulator that takes its time holds up only other sealed looks."""
DEPOSITED: Final = b"Sh"
COUNT: Final = b"Sc"
_SIDES: Final = (ASK, GRANT)


def is_still_sealed(event: ParsedEvent, now_seconds: int) -> bool:
    """Tell whether an event of this node must not be shown to its subject, or to anybody but the regulator, yet.

    Args:
        event: Any event.
        now_seconds: This node's clock.
    """
    return event.kind == SEALED and event.open_by is not None and now_seconds < event.open_by


class Seals:
    """Which events of this node are still sealed, now.

    Args:
        clock: The clock.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def hold(self, event: ParsedEvent) -> bool:
        """Tell whether an event is still sealed; see ``is_still_sealed``."""
        return is_still_sealed(event, self._clock.now_seconds())


def find_warrant(
    directory: Directory,
    token: str,
    *,
    asker: MemberCode,
    provider: MemberCode,
    now_seconds: int,
    open_by: int | None = None,
) -> Warrant:
    """Verify that a warrant allows an asker to look in secret now, at this provider.

    Args:
        directory: The members.
        token: The warrant, untrusted.
        asker: Who asks.
        provider: Who is asked.
        now_seconds: This node's clock.
        open_by: What the sealed event says, where there is one.

    Raises:
        InvalidInput, Verification, AccessDenied: ``warrant-…``; ``warrant-issuer`` when no regulator that may act signed it, or
            one that is a party to the look.
    """
    warrant = parse_warrant(token)
    if warrant.iss in {asker, provider}:
        raise AccessDenied("warrant-issuer", f"{warrant.iss} would keep secret a look of its own")
    return verify_warrant(
        token,
        find_key=partial(_find_regulator_key, directory, warrant.iat),
        asker=asker,
        open_by=warrant.open_by if open_by is None else open_by,
        now_seconds=now_seconds,
    )


def keeps_secret(directory: Directory, token: str | None, *, asker: MemberCode, now_seconds: int) -> bool:
    """Tell whether a question that is refused came under a regulator's warrant for its asker, in force or not any more.

    Its refusal then says nothing of its subject: he may be under investigation. It gave nothing away, either. That holds for
    a question to the regulator itself, too: it goes along when everybody is asked; and for a regulator that may not act any
    more: what it signed while it was one is still a secret.
    """
    if token is None:
        return False
    try:
        warrant = parse_warrant(token)
        if asker == warrant.iss:
            return False
        verify_warrant(
            token,
            find_key=partial(_find_past_regulator_key, directory, warrant.iat),
            asker=asker,
            open_by=warrant.open_by,
            now_seconds=min(max(now_seconds, warrant.iat), warrant.exp - 1),
        )
    except NodeError:
        return False
    return now_seconds < warrant.open_by


def _find_regulator_key(directory: Directory, issued_at: int, kid: str, member: MemberCode) -> bytes:
    if not directory.get(member).is_active:
        raise AccessDenied("warrant-issuer", f"{member} may not act")
    return _find_past_regulator_key(directory, issued_at, kid, member)


def _find_past_regulator_key(directory: Directory, issued_at: int, kid: str, member: MemberCode) -> bytes:
    peer = directory.get(member)
    if Role.REGULATOR not in peer.member.roles:
        raise AccessDenied("warrant-issuer", f"{member} is no regulator")
    public = peer.find_node_key_of(kid, issued_at)
    if public is None:
        raise Verification("member-key", f"{member} has no node key {kid}")
    return public


@dataclass(frozen=True, slots=True)
class Sealed:
    """An event that is ready to be logged: the regulator holds its box.

    Attributes:
        draft: What it says, with its secret, box, day of opening and warrant.
        regulator: Who holds the box.
        event: The regulator's event.
        receipt: Its receipt.
        part: ``ask``, ``grant`` or ``receive``.
    """

    draft: EventDraft
    regulator: MemberCode
    event: bytes
    receipt: str
    part: str

    @property
    def box(self) -> bytes:
        """SHA-256 of the box."""
        assert self.draft.box is not None, "sealed"
        return self.draft.box

    def keep(self, side: Side, also: Also) -> Also:
        """Give what the commit of the event does beside ``also``: keep the regulator's receipt, count the look."""

        def whole(transaction: Transaction, index: EntryIndex) -> None:
            also(transaction, index)
            place = side.access_reader.place(index)
            held = msgpack.packb([self.regulator, self.part, self.event, self.receipt])
            transaction.put(DEPOSITED + layout.u64(place), held)
            note_newest(transaction, self.regulator, self.receipt)
            if self.part in _SIDES:
                _count(transaction, side.clock.now_seconds(), self.part)

        return whole


class Sealer:
    """Seals events of this node; safe to use from any thread.

    Args:
        side: This node.
        peers: Carries deposits to regulators.
        keys: This node's exchange keys: what a regulator answers is sealed to one of them.
    """

    def __init__(self, side: Side, peers: Peers, keys: Mapping[str, ExchangeKey]) -> None:
        self._side = side
        self._peers = peers
        self._keys = keys
        self._room = threading.BoundedSemaphore(DEPOSITING)

    def seal(self, draft: EventDraft, *, token: str, part: str, ask: bytes | None = None) -> Sealed:
        """Make a draft that of a sealed event, and have the regulator hold what it says.

        Args:
            draft: Of the plain event; it has ``rid`` and ``peer``.
            token: The warrant, verified.
            part: ``ask``, ``grant`` or ``receive``.
            ask: SHA-256 of the box of the asker's first event; None for that event.

        Raises:
            AccessDenied: The regulator's code, such as ``warrant-used-up``: nothing may be released.
            Unavailable: ``regulator-away``, ``regulator-busy``: nothing may be released now.
            InvalidInput: ``box-size``: it says too much for a sealed event.
            Verification: What the regulator answered does not hold.
        """
        side, warrant = self._side, parse_warrant(token)
        assert draft.rid is not None, "of a request"
        assert draft.peer is not None, "of a request"
        regulator = side.directory.get(warrant.iss)
        if regulator.address is None or regulator.exchange_key is None:
            raise Unavailable("regulator-away", f"the chain does not say where {warrant.iss} is reached")
        secret = side.random(SECRET_BYTES)
        salted = draft.salted()
        check_said(SEALED, salted)
        openings = build_openings(salted, event_salts(secret))
        box = seal_openings(openings, public=regulator.exchange_key, from_=side.member, to=warrant.iss)
        deposit = build_deposit(
            signer=side.node_key,
            iss=side.member,
            aud=warrant.iss,
            iat=side.clock.now_seconds(),
            rid=draft.rid,
            part=part,
            peer=draft.peer,
            ask=ask,
            box=box,
            warrant=token,
        )
        parsed = parse_deposit(deposit)
        body = self._send(regulator, deposit, regulator.exchange_key)
        given = verify_deposited(
            self._open(regulator, body, parsed.digest),
            deposit=parsed,
            warrant=warrant,
            find_key=partial(side.find_node_key, regulator),
            log=side.require_speaking(regulator),
            now_seconds=side.clock.now_seconds(),
            anchor_limit_seconds=side.anchor_limit_seconds,
        )
        assert given.event is not None, "verified"
        assert given.receipt is not None, "verified"
        sealed = replace(
            draft,
            kind=SEALED,
            req=None,
            secret=secret,
            box=parsed.box_digest,
            open_by=warrant.open_by,
            warrant=warrant.digest,
        )
        return Sealed(sealed, warrant.iss, given.event, given.receipt, part)

    def _send(self, regulator: Peer, deposit: str, public: bytes) -> bytes:
        side, code = self._side, regulator.member.code
        assert regulator.address is not None, "looked at"
        body = encode_envelope(seal_deposit(deposit, public=public, from_=side.member, to=code))
        if not self._room.acquire(blocking=False):
            raise Unavailable("regulator-busy", f"{DEPOSITING} sealed events wait for their regulator")
        try:
            return self._peers.deposit(regulator.address, body).result(timeout=DEPOSIT_SECONDS)
        except FutureTimeoutError:
            raise Unavailable(
                "regulator-away", f"no answer from {code} in {DEPOSIT_SECONDS:g} seconds"
            ) from None
        except (Unavailable, AccessDenied, InvalidInput, Conflict) as error:
            raise Unavailable("regulator-away", f"{code} did not take it: {error.code}") from None
        finally:
            self._room.release()

    def _open(self, regulator: Peer, body: bytes, req: bytes) -> str:
        envelope = parse_envelope(body, max_plaintext_bytes=MAX_DEPOSITED_BYTES)
        return open_reply(self._side, self._keys, regulator, envelope, partial(open_deposited, req=req))


@dataclass(frozen=True, slots=True)
class MonthCount:
    """How often a node looked, and was looked at, under seal in one month.

    Attributes:
        month: ``2026-11``, UTC.
        asked: Looks that this department asked for.
        answered: Looks that it gave to others.
    """

    month: str
    asked: int
    answered: int


def list_counts(reads: Reads, now_seconds: int) -> Iterator[MonthCount]:
    """Give the counts of sealed looks of the months that are over, the oldest first; months without any are left out.

    A number that grows while somebody watches would say when a look was made.

    Args:
        reads: The store.
        now_seconds: This node's clock.
    """
    found: dict[int, dict[int, int]] = {}
    for key, value in reads.scan(COUNT, COUNT + month_at(now_seconds)):
        found.setdefault(int.from_bytes(key[2:6], "big"), {})[key[6]] = layout.parse_u64(value)
    for month, counts in sorted(found.items()):
        year, number = divmod(month, 12)
        yield MonthCount(f"{year:04}-{number + 1:02}", counts.get(0, 0), counts.get(1, 0))


def find_deposited(reads: Reads, place: int) -> tuple[str, bytes, str] | None:
    """Find the regulator that holds the box of an event of this node, with its event and receipt."""
    data = reads.get(DEPOSITED + layout.u64(place))
    if data is None:
        return None
    member, *_, event, receipt = msgpack.unpackb(data)
    return member, event, receipt


def find_part(reads: Reads, place: int) -> str | None:
    """Find which part of a look a sealed event of this node is: ``ask``, ``grant`` or ``receive``.

    None of any other event, and where an older program kept the row.
    """
    data = reads.get(DEPOSITED + layout.u64(place))
    if data is None:
        return None
    _, *parts, _, _ = msgpack.unpackb(data)
    part: str | None = parts[0] if parts else None
    return part


def _count(transaction: Transaction, now_seconds: int, part: str) -> None:
    key = COUNT + month_at(now_seconds) + bytes([_SIDES.index(part)])
    count = layout.parse_u64(transaction.get(key) or bytes(8))
    transaction.put(key, layout.u64(count + 1))


def month_at(now_seconds: int) -> bytes:
    """Name the month of a second in the key of a count: months since year 0, 4 bytes."""
    at = datetime.fromtimestamp(now_seconds, tz=UTC)
    return (at.year * 12 + at.month - 1).to_bytes(4, "big")
