# SPDX-License-Identifier: Apache-2.0
"""The provider's side of a consent that was taken back at the window that gave it (docs/adr/0032).

    1  envelope, box, signature of a member          fails: counted as a reject, answered with a plain error
    2  the same consent again                        the same event and receipt, byte for byte; no second event
    3  claims, end, issuer, rate                     fails: answered with a code; nothing is logged, nothing kept
    4  one commit: the event, that it was told       killed before: it comes again. After: as in 2
    5  the answer leaves                             killed: as in 2

A question is decided by the order of commits: one whose ``grant`` is durable before step 4 is answered, one after it is not.
The consent need not be known here; what is told is kept under the member that tells it, and counts for consents of that
member's window alone. So nobody takes back what another one gave.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

from node.access.box import encode_envelope
from node.access.event import REVOKE, SECRET_BYTES, build_openings, event_salts
from node.access.logged import LoggedEvent, select_openings
from node.access.revocation import (
    AT_THE_WINDOW,
    MAX_REVOCATION_BYTES,
    authenticate_revocation,
    build_revoked,
    open_revocation,
    parse_revocation,
    seal_revoked,
)
from node.core.encoding import encode_b64u
from node.crypto.token import token_digest
from node.errors import AccessDenied, Conflict, InvalidInput, Verification
from node.service.drafting import EventDraft
from node.service.exchange.arrivals import open_signed
from node.service.exchange.flights import Flights
from node.service.limiting import (
    Told,
    ToldCharge,
    drop_told,
    find_told,
    list_told_ended,
    put_told,
    told_counter,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from node.access.revocation import Revocation
    from node.core.types import EntryIndex
    from node.crypto.hpke import ExchangeKey
    from node.service.exchange.directory import Peer
    from node.service.exchange.side import Side
    from node.service.transaction import Transaction

PURPOSE: Final = "consent-revocation"
"""Purpose of the event of a revocation that was told."""
_SWEPT_AT_ONCE: Final = 256


class RevocationDesk:
    """Takes revocations; safe to use from any thread.

    Args:
        side: This node.
        keys: This node's exchange keys by ``kid``.
        index_key: Names the counts, 32 bytes.
        count_reject: Counts a message that no member signed.
    """

    def __init__(
        self,
        side: Side,
        keys: Mapping[str, ExchangeKey],
        index_key: bytes,
        count_reject: Callable[[], None],
    ) -> None:
        self._side = side
        self._keys = keys
        self._index_key = index_key
        self._count_reject = count_reject
        self._flights: Flights[LoggedEvent] = Flights()

    def take(self, body: bytes) -> bytes:
        """Answer the envelope of a revocation with an envelope: this node's event, or why nothing was taken.

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
                max_plaintext_bytes=MAX_REVOCATION_BYTES,
                open_with=open_revocation,
                authenticate_with=authenticate_revocation,
            )
        except (InvalidInput, Verification, AccessDenied):
            self._count_reject()
            raise
        code, revoke = None, None
        try:
            revoke = self._take(parse_revocation(token), peer)
        except (InvalidInput, Verification, AccessDenied, Conflict) as error:
            code = error.code
        req = token_digest(token)
        answer = build_revoked(
            signer=side.node_key,
            iss=side.member,
            aud=peer.member.code,
            iat=side.clock.now_seconds(),
            req=req,
            code=code,
            revoke=revoke,
        )
        sealed = seal_revoked(answer, public=public, req=req, from_=side.member, to=peer.member.code)
        return encode_envelope(sealed)

    def sweep(self) -> int:
        """Drop what was told of consents that ended long ago; how many there were.

        Raises:
            NodeError: The store cannot be written now; calling again goes on.
        """
        now, dropped = self._side.clock.now_seconds(), 0
        while keys := list_told_ended(self._side.reads, now, limit=_SWEPT_AT_ONCE):
            dropped += self._side.sequencer.run(partial(drop_told, keys=keys), entries=0)
        return dropped

    def _take(self, revocation: Revocation, peer: Peer) -> LoggedEvent:
        """Log that a consent was taken back, or find that it was.

        A member that is suspended may say so, too: it takes away, and asks for nothing.

        Raises:
            Verification: ``revocation-other``.
            AccessDenied: ``consent-expired``, ``revocation-issuer``, ``revocation-limit``.
            Conflict: ``consent-revoked``: it was taken back, and no receipt of that can be signed any more.
        """
        if (revocation.iss, revocation.aud) != (peer.member.code, self._side.member):
            raise Verification("revocation-other", f"revocation is by {revocation.iss} for {revocation.aud}")
        # Two of one consent at once are one: the second finds what the first did.
        return self._flights.run((revocation.iss, revocation.consent), lambda: self._take_once(revocation))

    def _take_once(self, revocation: Revocation) -> LoggedEvent:
        side, now = self._side, self._side.clock.now_seconds()
        told = find_told(side.reads, revocation.iss, revocation.consent)
        if told is not None:
            return self._show_again(told)
        if now >= revocation.exp:
            raise AccessDenied("consent-expired", f"the consent ended {now - revocation.exp} seconds ago")
        charge = ToldCharge(told_counter(self._index_key, revocation.iss), now)
        secret = side.random(SECRET_BYTES)
        draft = EventDraft(
            kind=REVOKE,
            peer=revocation.iss,
            purpose=PURPOSE,
            consent=encode_b64u(revocation.consent),
            rule=AT_THE_WINDOW,
            rid=revocation.rid,
            secret=secret,
        )
        openings = select_openings(build_openings(draft.salted(), event_salts(secret)))

        def also(transaction: Transaction, index: EntryIndex) -> None:
            charge.check(transaction)
            told = Told(revocation.exp, now, side.access_reader.place(index), openings)
            put_told(transaction, revocation.iss, revocation.consent, told)
            charge.write(transaction, index)

        return side.access.log(draft, also).to_show()

    def _show_again(self, told: Told) -> LoggedEvent:
        try:
            event, receipt = self._side.access.receipt_again(*self._side.access_logs.locate(told.place))
        except Conflict:
            raise Conflict(
                "consent-revoked", "the consent was taken back, in an earlier access log"
            ) from None
        return LoggedEvent(event, told.openings, receipt)
