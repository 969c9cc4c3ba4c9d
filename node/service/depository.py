# SPDX-License-Identifier: Apache-2.0
"""The regulator's side of sealed looks: it issues warrants, holds what is sealed under them, and opens it (ADR 0021).

    issue    a warrant is signed, and its event logged
    take     a box arrives: member, warrant, look and count are checked; one commit holds event, box and count; only then
             the receipt leaves
    open     an ``audit`` event names the box; then it is opened; then that it was is noted

What is kept, and under which keys: ``node.service.boxes``. How often a warrant was used stands with the uses of
consents (node.service.limiting); a look is one request.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Final

from node.access.box import encode_envelope
from node.access.deposit import (
    ASK,
    GRANT,
    MAX_DEPOSIT_BYTES,
    RECEIVE,
    authenticate_deposit,
    build_deposited,
    open_deposit,
    parse_deposit,
    seal_deposited,
)
from node.access.event import parse_event
from node.access.opening import parse_opening
from node.access.receipt import MAX_AGE_SECONDS, MAX_SKEW_SECONDS
from node.access.request import SEALED
from node.access.sealed import open_sealed
from node.access.unsealed import build_opened
from node.access.warrant import JTI_BYTES, build_warrant, parse_warrant
from node.core.encoding import encode_b64u
from node.crypto.token import token_digest
from node.errors import AccessDenied, Conflict, InvalidInput, NotFound, Verification
from node.ports import Role
from node.service import layout
from node.service.boxes import (
    BOX,
    DIGEST_BYTES,
    DUE,
    ISSUED,
    ORDER,
    HeldRow,
    LookRow,
    due_key,
    find_held,
    find_look,
    find_warrant_row,
    list_ordered,
    put_box,
    put_held,
    put_look,
    put_warrant,
)
from node.service.drafting import EventDraft, Officer
from node.service.exchange.arrivals import open_signed, open_with_any
from node.service.exchange.flights import Flights
from node.service.limiting import UseCharge, read_used, revoke
from node.service.sealing import WARRANT_RULE, find_warrant

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from node.access.deposit import Deposit
    from node.access.warrant import Warrant
    from node.core.types import EntryIndex, MemberCode
    from node.crypto.hpke import ExchangeKey
    from node.service.drafting import Purpose
    from node.service.exchange.directory import Peer
    from node.service.exchange.side import Side
    from node.service.looking import Logged
    from node.service.transaction import Transaction

AUDIT: Final = "audit"
REVOKE: Final = "revoke"
DEPOSITED: Final = "sealed-deposit"
"""Purpose of the event of a box that was taken."""
MOST_BOXES: Final = 16
"""Boxes of one look: three, and those of nodes that died before they logged theirs."""


@dataclass(frozen=True, slots=True)
class Held:
    """A box that this regulator holds.

    Attributes:
        box: SHA-256 of it.
        warrant: SHA-256 of its warrant.
        rid: 16 bytes of the request.
        owner: The member whose event it is.
        part: ``ask``, ``grant`` or ``receive``.
        peer: The other side of the exchange.
        place: Place of this regulator's event in its access logs.
        taken: Second at which it came.
        open_by: Second by which it is to be opened.
        opened: Second at which it was opened here, or None.
    """

    box: bytes
    warrant: bytes
    rid: bytes
    owner: str
    part: str
    peer: str
    place: int
    taken: int
    open_by: int
    opened: int | None = None


@dataclass(frozen=True, slots=True)
class Opened:
    """A box that was opened.

    Attributes:
        held: Which.
        openings: The ten disclosures in it.
        values: What they say, by name.
        receipt: Receipt of this regulator's ``audit`` event.
        statement: What this regulator says that the box held, JWT (node.access.unsealed).
    """

    held: Held
    openings: tuple[str, ...]
    values: Mapping[str, Any]
    receipt: str
    statement: str


@dataclass(frozen=True, slots=True)
class Issued:
    """A warrant that was issued here.

    Attributes:
        token: The warrant, JWT.
        warrant: What it says.
        place: Place of its event in this regulator's access logs.
        used: Looks under it.
        revoked: Second at which it was taken back, or None.
    """

    token: str
    warrant: Warrant
    place: int
    used: int
    revoked: int | None


class Depository:
    """Issues warrants and holds what is sealed under them; safe to use from any thread.

    Args:
        side: This node.
        keys: Its exchange keys by ``kid``.
        count_reject: Told of every message that no member signed.
    """

    def __init__(self, side: Side, keys: Mapping[str, ExchangeKey], count_reject: Callable[[], None]) -> None:
        self._side = side
        self._keys = keys
        self._count_reject = count_reject
        self._flights: Flights[bytes] = Flights()

    # ---- warrants

    def issue(
        self, asker: MemberCode, looks: int, end: int, open_by: int, why: Purpose
    ) -> tuple[str, Logged]:
        """Sign a warrant, and log that it was.

        Args:
            asker: The member that may look in secret.
            looks: How often, at most.
            end: Second from which it is void.
            open_by: Second by which every look under it is opened, not before ``end``.
            why: Who issues it, and why.

        Returns:
            The warrant, JWT, and its ``audit`` event.

        Raises:
            AccessDenied: ``warrant-issuer``: this member is no regulator; ``member-unknown``.
            InvalidInput: ``warrant-self``; ``warrant-validity``.
        """
        side = self._side
        self._require_regulator()
        if asker == side.member:
            raise InvalidInput("warrant-self", "a regulator does not keep secret looks of its own")
        side.directory.get(asker)
        now = side.clock.now_seconds()
        token = build_warrant(
            signer=side.node_key,
            iss=side.member,
            asker=asker,
            iat=now,
            exp=end,
            jti=side.random(JTI_BYTES),
            looks=looks,
            open_by=open_by,
        )
        digest = token_digest(token)

        def also(transaction: Transaction, index: EntryIndex) -> None:
            put_warrant(transaction, digest, token, side.access_reader.place(index))

        return token, side.access.log(_own(AUDIT, why, consent=encode_b64u(digest)), also)

    def take_back(self, digest: bytes, why: Purpose) -> Logged:
        """Take back a warrant: from now on nothing is released on it; what was sealed under it stays sealed.

        Raises:
            NotFound: ``warrant-unknown``.
            Conflict: ``warrant-revoked``: it was taken back before.
        """
        issued = self._find_issued(digest)
        at = self._side.clock.now_seconds()

        def also(transaction: Transaction, _index: EntryIndex) -> None:
            if not revoke(transaction, digest, end=issued.warrant.exp, at=at):
                raise Conflict("warrant-revoked", "the warrant was taken back before")

        return self._side.access.log(_own(REVOKE, why, consent=encode_b64u(digest)), also)

    def warrants(self, *, after: int | None, limit: int) -> list[Issued]:
        """List the warrants that were issued here, in that order.

        Args:
            after: Place of an event behind which to go on; None begins at the first.
            limit: At most so many.
        """
        found = list_ordered(self._side.reads, ISSUED, after=after, limit=limit)
        return [self._find_issued(digest) for digest in found]

    # ---- boxes that arrive

    def take(self, body: bytes) -> bytes:
        """Answer the envelope of a deposit with an envelope: the receipt, or why the box was not taken.

        Args:
            body: As it came, untrusted.

        Raises:
            InvalidInput, Verification, AccessDenied: No member signed it, or nothing can be sealed to who did.
            Unavailable: The log, the store or the chain cannot be used now; nothing was taken.
        """
        side = self._side
        try:
            peer, public, token = open_signed(
                side,
                self._keys,
                body,
                max_plaintext_bytes=MAX_DEPOSIT_BYTES,
                open_with=open_deposit,
                authenticate_with=authenticate_deposit,
            )
        except (InvalidInput, Verification, AccessDenied):
            self._count_reject()
            raise
        # Two of the same at once are one.
        answer = self._flights.run(token_digest(token), lambda: self._answer(token, peer))
        sealed = seal_deposited(
            answer.decode(), public=public, req=token_digest(token), from_=side.member, to=peer.member.code
        )
        return encode_envelope(sealed)

    def _answer(self, token: str, peer: Peer) -> bytes:
        side = self._side
        code, event, receipt = None, None, None
        try:
            event, receipt = self._take(parse_deposit(token), peer)
        except (InvalidInput, Verification, AccessDenied, Conflict) as error:
            code = error.code
        return build_deposited(
            signer=side.node_key,
            iss=side.member,
            aud=peer.member.code,
            iat=side.clock.now_seconds(),
            req=token_digest(token),
            code=code,
            event=event,
            receipt=receipt,
        ).encode()

    def _take(self, deposit: Deposit, peer: Peer) -> tuple[bytes, str]:
        """Hold a box, and give this regulator's event with its receipt.

        Raises:
            InvalidInput, Verification, AccessDenied, Conflict: It is not taken, with the code that its owner is told.
        """
        side, now = self._side, self._side.clock.now_seconds()
        if (deposit.iss, deposit.aud) != (peer.member.code, side.member):
            raise Verification("deposit-other", f"deposit is by {deposit.iss} for {deposit.aud}")
        warrant = parse_warrant(deposit.warrant)
        held = find_held(side.reads, deposit.box_digest)
        if held is not None:
            if (held.warrant, held.rid, held.owner, held.part) != (
                warrant.digest,
                deposit.rid,
                deposit.iss,
                deposit.part,
            ):
                raise Conflict("deposit-differs", "this box is held as another event's")
            reader, index = side.access_logs.locate(held.place)
            return side.access.receipt_again(reader, index)
        side.require_speaking(peer)
        if not -MAX_SKEW_SECONDS <= now - deposit.iat <= MAX_AGE_SECONDS:
            raise Verification("deposit-time", f"deposit was signed {now - deposit.iat} seconds ago")
        self._check_warrant(deposit, warrant, now)
        charge = UseCharge.of_warrant(warrant, deposit.rid, 1)
        box = deposit.box_digest

        def also(transaction: Transaction, index: EntryIndex) -> None:
            if find_held(transaction, box) is not None:
                raise Conflict("deposit-differs", "this box came twice at once")
            look = _join_look(transaction, deposit, warrant)
            if deposit.part != RECEIVE:
                charge.require_valid(transaction)
            if deposit.part == ASK:
                charge.check(transaction)
                charge.write(transaction, index)
            put_look(transaction, warrant.digest, deposit.rid, look)
            place = side.access_reader.place(index)
            row = HeldRow(
                box,
                warrant.digest,
                deposit.rid,
                deposit.iss,
                deposit.part,
                deposit.peer,
                place,
                warrant.open_by,
            )
            put_box(transaction, row, deposit.box)

        draft = EventDraft(
            kind=SEALED,
            peer=deposit.iss,
            purpose=DEPOSITED,
            items=[],
            rule=WARRANT_RULE,
            n=0,
            rid=deposit.rid,
            box=box,
            open_by=warrant.open_by,
            warrant=warrant.digest,
        )
        logged = side.access.log(draft, also)
        return logged.event, logged.receipt

    def _check_warrant(self, deposit: Deposit, warrant: Warrant, now: int) -> None:
        if warrant.iss != self._side.member:
            raise AccessDenied(
                "warrant-issuer", f"the warrant is by {warrant.iss}, this is {self._side.member}"
            )
        if find_warrant_row(self._side.reads, warrant.digest) is None:
            # Its key signed it, or somebody who has that key.
            raise AccessDenied("warrant-unknown", "no such warrant was issued here")
        if now >= warrant.open_by:
            raise AccessDenied("warrant-expired", "what is sealed under the warrant is to be open by now")
        asker, provider = (
            (deposit.peer, deposit.iss) if deposit.part == GRANT else (deposit.iss, deposit.peer)
        )
        self._side.directory.get(deposit.peer)
        find_warrant(
            self._side.directory,
            deposit.warrant,
            asker=asker,
            provider=provider,
            # What was begun in time is ended in peace.
            now_seconds=now if deposit.part == ASK else max(warrant.iat, min(now, warrant.exp - 1)),
        )

    # ---- boxes that are held

    def find(self, box: bytes) -> Held | None:
        """Find a box by its digest."""
        row = find_held(self._side.reads, box)
        return None if row is None else self._to_held(row)

    def boxes(self, *, after: int | None, limit: int) -> list[Held]:
        """List boxes in the order in which they came.

        Args:
            after: Place behind which to go on; None begins at the first.
            limit: At most so many.
        """
        found = list_ordered(self._side.reads, ORDER, after=after, limit=limit)
        return [held for box in found if (held := self.find(box)) is not None]

    def overdue(self, *, limit: int) -> list[Held]:
        """List boxes that nobody opened by their day, the longest overdue first."""
        stop = DUE + layout.u64(self._side.clock.now_seconds())
        return [
            held
            for key, _ in self._side.reads.scan(DUE, stop, limit=limit)
            if (held := self.find(key[-DIGEST_BYTES:])) is not None
        ]

    def open(self, box: bytes, why: Purpose) -> Opened:
        """Log an ``audit`` that names a box, then open it, then note that it was opened.

        A crash between two of them leaves a look that is logged and a box that counts as not opened: whoever opens it again
        is logged again, and it is noted once.

        Raises:
            NotFound: ``deposit-unknown``.
            InvalidInput, Verification: The box does not open, or does not hold the ten openings of an event: whoever sent
                it sealed something else. It stays among those that nobody opened.
            NodeError: The log did not take the ``audit``, or the store not the note; nothing is shown.
        """
        side, row = self._side, find_held(self._side.reads, box)
        data = side.reads.get(BOX + box)
        if row is None or data is None:
            raise NotFound("deposit-unknown", "no such box is held here")
        held = self._to_held(row)
        logged = side.access.log(_own(AUDIT, why, released=[[encode_b64u(box), []]]))
        openings = self._unseal(data, held.owner)
        place = side.access_reader.place(logged.index)
        side.sequencer.run(partial(_note_opened, box, place), entries=0)
        statement = build_opened(
            signer=side.node_key,
            iss=side.member,
            iat=side.clock.now_seconds(),
            member=row.owner,
            box=box,
            openings=openings,
            warrant=self._find_issued(row.warrant).token,
        )
        return Opened(held, openings, dict(map(parse_opening, openings)), logged.receipt, statement)

    def _to_held(self, row: HeldRow) -> Held:
        return Held(
            row.box,
            row.warrant,
            row.rid,
            row.owner,
            row.part,
            row.peer,
            row.place,
            self._second_of(row.place),
            row.open_by,
            None if row.opened is None else self._second_of(row.opened),
        )

    def _second_of(self, place: int) -> int:
        logs = self._side.access_logs
        return parse_event(logs.entry(logs.row(place))).t_ms // 1_000

    def _unseal(self, data: bytes, owner: str) -> tuple[str, ...]:
        return open_with_any(
            self._keys, lambda key: open_sealed(data, key, from_=owner, to=self._side.member)
        )

    def _require_regulator(self) -> None:
        me = self._side.directory.get(self._side.member)
        if not me.is_active or Role.REGULATOR not in me.member.roles:
            raise AccessDenied("warrant-issuer", f"{self._side.member} is no regulator on the chain")

    def _find_issued(self, digest: bytes) -> Issued:
        found = find_warrant_row(self._side.reads, digest)
        if found is None:
            raise NotFound("warrant-unknown", "no such warrant was issued here")
        token, place = found
        used = read_used(self._side.reads, digest)
        return Issued(token, parse_warrant(token), place, used.uses, used.revoked)


def _own(kind: str, why: Purpose, **values: Any) -> EventDraft:
    """Draft what an officer of this regulator does."""
    return EventDraft(
        kind=kind,
        officer=Officer(why.officer),
        purpose=why.purpose,
        basis=why.basis,
        case=why.case,
        **values,
    )


def _join_look(transaction: Transaction, deposit: Deposit, warrant: Warrant) -> LookRow:
    """Give a look with one more box.

    Raises:
        AccessDenied: ``deposit-look``: it belongs to no look that was asked under this warrant, of these two members.
    """
    provider = deposit.iss if deposit.part == GRANT else deposit.peer
    look = find_look(transaction, warrant.digest, deposit.rid) or LookRow(provider, [], 0)
    asks = look.asks
    if deposit.part == ASK:
        asks = [*asks, deposit.box_digest]
    elif deposit.ask not in asks:
        raise AccessDenied("deposit-look", "no such look was asked under this warrant")
    if look.provider != provider or look.boxes >= MOST_BOXES:
        raise AccessDenied("deposit-look", "the look is at another member, or has too many boxes")
    return LookRow(provider, asks, look.boxes + 1)


def _note_opened(box: bytes, place: int, transaction: Transaction) -> None:
    """Note under which ``audit`` a box was opened; the first one stays."""
    row = find_held(transaction, box)
    if row is not None and row.opened is None:
        put_held(transaction, replace(row, opened=place))
        transaction.delete(due_key(row.open_by, box))
