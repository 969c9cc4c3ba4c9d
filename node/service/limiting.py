# SPDX-License-Identifier: Apache-2.0
"""What a question costs, counted for good: lines of a member and of an officer, uses of a consent, looks of a warrant.

    charges = [RateCharge(…), UseCharge(…)]
    AccessLog.log(draft, also=charge_all(charges))

A question was decided on counts that were read a moment ago; another may have been granted since. So each charge is
checked again in the commit that logs the event, and written in that same commit: a crash leaves event and counts, or
neither, and of two questions with room for one the second is refused.

    key                              value
    T counter(16)                    tally (node.access.limits); the counter is a keyed digest of who asked and for what
    C c digest(32)                   msgpack [end(s) or None, uses, revoked(s) or None, issuer or None] of a consent or warrant
    C u digest(32) rid(16)           place(8) of the event that used it
    C e end(8) digest(32)            empty: by when the count goes
    C r issuer(18) digest(32)        msgpack [end(s), second, place, openings]: its window told that a consent was taken back
    C x end(8) issuer(18) digest(32) empty: by when that goes

Nothing here names anybody: a consent by the digest of its token, members and officers by digests under the node's key.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

import msgpack

from node.access.decision import Counts
from node.access.limits import DAY, HOUR, encode_tally, parse_tally
from node.errors import AccessDenied, Verification
from node.service import layout
from node.service.layout import LogKind

if TYPE_CHECKING:
    from collections.abc import Sequence

    from node.access.consent import Consent
    from node.access.purposes import Purpose
    from node.access.warrant import Warrant
    from node.core.types import EntryIndex
    from node.ports import Reads
    from node.service.looking import Also
    from node.service.transaction import Transaction

COUNTER_BYTES: Final = 16
DIGEST_BYTES: Final = 32
KEPT_SECONDS: Final = 366 * 86_400
"""How long after its end the count of a consent or warrant is kept: as long as its subject is shown it."""
DROPPED_AT_ONCE: Final = 1_000
"""Most uses that one commit drops, so that none is long."""

TOLD_IN_HOUR: Final = 600
"""Consents that one member may tell were taken back, in an hour."""
TOLD_IN_DAY: Final = 2_400
"""The same in a day."""

_RULES: Final = {"approver": "bulk"}
_RATE: Final = b"T"
_COUNT: Final = b"Cc"
_USE: Final = b"Cu"
_END: Final = b"Ce"
_TOLD: Final = b"Cr"
_TOLD_END: Final = b"Cx"


class Charge(Protocol):
    """Something that a granted question uses up."""

    def check(self, transaction: Transaction) -> None:
        """Refuse when there is not enough left; writes nothing.

        Raises:
            AccessDenied: With the code that a decision would have.
        """
        ...

    def write(self, transaction: Transaction, event: EntryIndex) -> None:
        """Write it off.

        Args:
            transaction: The commit that logs the event.
            event: Index that the event will have.
        """
        ...


def charge_all(charges: Sequence[Charge]) -> Also:
    """Give what ``AccessLog.log`` does in the commit of an event: check all charges, then write all of them."""

    def also(transaction: Transaction, event: EntryIndex) -> None:
        for charge in charges:
            charge.check(transaction)
        for charge in charges:
            charge.write(transaction, event)

    return also


def rule_of(refusal: AccessDenied) -> str:
    """Name the rule that a charge refused by: its code begins with it (``rate-member``, ``consent-used-up``), or with its word."""
    word = refusal.code.partition("-")[0]
    return _RULES.get(word, word)


@dataclass(frozen=True, slots=True)
class RateCharge:
    """Lines that count towards the rate of a member or of an officer under one purpose.

    Attributes:
        counter: From ``member_counter`` or ``officer_counter``.
        hour: Most lines in an hour.
        day: Most lines in a day.
        is_officer: Whether one officer is charged, not the whole member.
        lines: Lines of the question.
        at: Now, in seconds.
    """

    counter: bytes
    hour: int
    day: int
    is_officer: bool
    lines: int
    at: int

    @classmethod
    def of_member(cls, index_key: bytes, member: str, purpose: Purpose, lines: int, at: int) -> RateCharge:
        """Charge the member that asks."""
        rate = purpose.rate
        counter = member_counter(index_key, member, purpose.code)
        return cls(counter, rate.member_hour, rate.member_day, False, lines, at)

    @classmethod
    def of_officer(cls, index_key: bytes, officer: str, purpose: Purpose, lines: int, at: int) -> RateCharge:
        """Charge the officer who asks."""
        rate = purpose.rate
        counter = officer_counter(index_key, officer, purpose.code)
        return cls(counter, rate.officer_hour, rate.officer_day, True, lines, at)

    def check(self, transaction: Transaction) -> None:
        """Refuse when the rate leaves no room for these lines."""
        tally = parse_tally(transaction.get(_RATE + self.counter))
        for window, most in ((HOUR, self.hour), (DAY, self.day)):
            if tally.count(window, self.at) + self.lines > most:
                raise AccessDenied(
                    "rate-officer" if self.is_officer else "rate-member",
                    f"the purpose allows {most} lines in {window.span_seconds} seconds",
                )

    def write(self, transaction: Transaction, event: EntryIndex) -> None:  # noqa: ARG002 - as Charge has it
        """Count the lines."""
        key = _RATE + self.counter
        tally = parse_tally(transaction.get(key)).add(self.at, self.lines)
        transaction.put(key, encode_tally(tally))


@dataclass(frozen=True, slots=True)
class ToldCharge:
    """One consent that a member's window tells was taken back: so many in an hour and a day, that junk does not fill the log.

    Attributes:
        counter: From ``told_counter``.
        at: Now, in seconds.
    """

    counter: bytes
    at: int

    def check(self, transaction: Transaction) -> None:
        """Refuse when the member told too many; it tells them later."""
        tally = parse_tally(transaction.get(_RATE + self.counter))
        for window, most in ((HOUR, TOLD_IN_HOUR), (DAY, TOLD_IN_DAY)):
            if tally.count(window, self.at) >= most:
                raise AccessDenied(
                    "revocation-limit", f"want at most {most} consents in {window.span_seconds} seconds"
                )

    def write(self, transaction: Transaction, event: EntryIndex) -> None:  # noqa: ARG002 - as Charge has it
        """Count it."""
        key = _RATE + self.counter
        transaction.put(key, encode_tally(parse_tally(transaction.get(key)).add(self.at, 1)))


@dataclass(frozen=True, slots=True)
class UseCharge:
    """Uses of a consent or warrant. One question uses it once, whatever is repeated: uses are kept by ``rid``.

    Attributes:
        digest: SHA-256 of its token, 32 bytes.
        end: Second from which it is void.
        most: How often it may be used.
        rid: 16 bytes of the request.
        uses: How many uses the question is; lines under a warrant, 1 of a consent.
        issuer: The member at whose window a consent was given; None for a warrant.
    """

    digest: bytes
    end: int
    most: int
    rid: bytes
    uses: int
    issuer: str | None

    @classmethod
    def of_consent(cls, consent: Consent, rid: bytes) -> UseCharge:
        """Charge one use of a verified consent."""
        return cls(consent.digest, consent.exp, consent.uses, rid, 1, consent.iss)

    @classmethod
    def of_warrant(cls, warrant: Warrant, rid: bytes, lines: int) -> UseCharge:
        """Charge the lines of a question under a verified warrant."""
        return cls(warrant.digest, warrant.exp, warrant.looks, rid, lines, None)

    def check(self, transaction: Transaction) -> None:
        """Refuse when it was taken back or too little is left; what this request used before is no new use."""
        if transaction.get(self._use_key) is not None:
            return
        used = self.require_valid(transaction)
        if used.uses + self.uses > self.most:
            raise AccessDenied(
                "warrant-used-up" if self.issuer is None else "consent-used-up",
                f"it is good for {self.most} uses: {used.uses} are made",
            )

    def require_valid(self, transaction: Transaction) -> Used:
        """Refuse when it was taken back, also for a request that used it before; give what is known of its uses.

        Raises:
            AccessDenied: ``warrant-revoked``, ``consent-revoked``.
        """
        used = _parse_used(transaction.get(_COUNT + self.digest))
        revoked = used.revoked
        if revoked is None and self.issuer is not None:
            told = _parse_told(transaction.get(_told_key(self.issuer, self.digest)))
            revoked = None if told is None else told.at
        if revoked is not None:
            raise AccessDenied(
                "warrant-revoked" if self.issuer is None else "consent-revoked",
                f"it was taken back at second {revoked}",
            )
        return used

    def write(self, transaction: Transaction, event: EntryIndex) -> None:
        """Count the uses, once for each request."""
        if transaction.get(self._use_key) is not None:
            return
        used = _parse_used(transaction.get(_COUNT + self.digest))
        _put_used(transaction, self.digest, Used(self.end, used.uses + self.uses, used.revoked, self.issuer))
        transaction.put(self._use_key, layout.u64(transaction.place(LogKind.ACCESS, event)))

    @property
    def _use_key(self) -> bytes:
        return _USE + self.digest + self.rid


@dataclass(frozen=True, slots=True)
class Used:
    """What is known of a consent or warrant that was shown or taken back.

    Attributes:
        end: Second from which it is void; None as long as it was never shown.
        uses: How often it was used.
        revoked: Second at which it was taken back here, or None.
        issuer: At whose window a consent that was used was given; None for a warrant, and as long as that is not known.
    """

    end: int | None = None
    uses: int = 0
    revoked: int | None = None
    issuer: str | None = None


class Told(NamedTuple):
    """That the window of a consent told this provider that it was taken back.

    Attributes:
        end: Second from which the consent is void anyway.
        at: Second at which this node was told.
        place: This node's event in its access logs.
        openings: Those of its openings that the window is shown; they say no more than the key that this is kept under.
    """

    end: int
    at: int
    place: int
    openings: tuple[str, ...]


def member_counter(index_key: bytes, member: str, purpose: str) -> bytes:
    """Name the count of a member's lines under a purpose: 16 bytes that say nothing to whoever lacks the key."""
    return _counter(index_key, "member", member, purpose)


def officer_counter(index_key: bytes, officer: str, purpose: str) -> bytes:
    """Name the count of an officer's lines under a purpose."""
    return _counter(index_key, "officer", officer, purpose)


def told_counter(index_key: bytes, member: str) -> bytes:
    """Name the count of what a member's window told."""
    return _counter(index_key, "window", member, "")


def read_counts(
    reads: Reads, index_key: bytes, *, member: str | None, officer: str | None, purpose: str, at: int
) -> Counts:
    """Read what a decision needs to know of earlier questions.

    Args:
        reads: The store.
        index_key: Of this node, 32 bytes.
        member: USCC of the asker; None on the asker's own side, where providers count it.
        officer: Account name; None on the provider's side, which is not told.
        purpose: Code of the purpose.
        at: Now, in seconds.
    """
    of_member = of_officer = None
    if member is not None:
        of_member = parse_tally(reads.get(_RATE + member_counter(index_key, member, purpose)))
    if officer is not None:
        of_officer = parse_tally(reads.get(_RATE + officer_counter(index_key, officer, purpose)))
    return Counts(
        member_hour=0 if of_member is None else of_member.count(HOUR, at),
        member_day=0 if of_member is None else of_member.count(DAY, at),
        officer_hour=None if of_officer is None else of_officer.count(HOUR, at),
        officer_day=None if of_officer is None else of_officer.count(DAY, at),
    )


def read_used(reads: Reads, digest: bytes) -> Used:
    """Read how often a consent or warrant was used, and whether it was taken back."""
    return _parse_used(reads.get(_COUNT + digest))


def list_uses(reads: Reads, digest: bytes) -> list[tuple[bytes, int]]:
    """List the uses of a consent or warrant: the request's rid and the place of its event, in the order of the log."""
    prefix = _USE + digest
    found = [
        (key[len(prefix) :], layout.parse_u64(value))
        for key, value in reads.scan(prefix, layout.stop_of(prefix))
    ]
    return sorted(found, key=lambda use: use[1])


def revoke(transaction: Transaction, digest: bytes, *, end: int | None, at: int) -> bool:
    """Note that a consent was taken back; false when it was before.

    Args:
        transaction: The commit that logs it.
        digest: SHA-256 of its token; it need not be known here yet.
        end: Second from which it is void anyway; None when that is not known, then this is kept for ever.
        at: Now, in seconds.
    """
    used = _parse_used(transaction.get(_COUNT + digest))
    if used.revoked is not None:
        return False
    _put_used(transaction, digest, Used(used.end if end is None else end, used.uses, at, used.issuer))
    return True


def find_told(reads: Reads, issuer: str, digest: bytes) -> Told | None:
    """Find when the window of a consent told that it was taken back; None when it did not.

    Args:
        reads: The store.
        issuer: The member of that window, as the consent names it: what another member says of a consent counts for nothing.
        digest: SHA-256 of the consent's token.
    """
    return _parse_told(reads.get(_told_key(issuer, digest)))


def put_told(transaction: Transaction, issuer: str, digest: bytes, told: Told) -> None:
    """Note that the window of a consent told that it was taken back; the consent need not be known here yet.

    Raises:
        AccessDenied: ``revocation-issuer``: the consent was used here, and given at another member's window.
    """
    known = _parse_used(transaction.get(_COUNT + digest)).issuer
    if known is not None and known != issuer:
        raise AccessDenied("revocation-issuer", f"the consent was given at another window: got {issuer}")
    transaction.put(_told_key(issuer, digest), msgpack.packb(list(told)))
    transaction.put(_TOLD_END + layout.u64(told.end) + _told_key(issuer, digest)[2:], b"")


def list_told_ended(reads: Reads, now_seconds: int, *, limit: int) -> list[bytes]:
    """List what was told of consents that ended long ago, the oldest first: keys for ``drop_told``."""
    before = _TOLD_END + layout.u64(max(0, now_seconds - KEPT_SECONDS))
    return [key for key, _ in reads.scan(_TOLD_END, before, limit=limit)]


def drop_told(transaction: Transaction, keys: Sequence[bytes]) -> int:
    """Drop what was told of consents that ended long ago; how many."""
    for key in keys:
        transaction.delete(key)
        transaction.delete(_TOLD + key[len(_TOLD_END) + 8 :])
    return len(keys)


def list_ended(reads: Reads, now_seconds: int, *, limit: int) -> list[bytes]:
    """List consents and warrants whose counts are not needed any more, by digest, the oldest first."""
    before = _END + layout.u64(max(0, now_seconds - KEPT_SECONDS))
    return [key[-DIGEST_BYTES:] for key, _ in reads.scan(_END, before, limit=limit)]


def drop_ended(transaction: Transaction, reads: Reads, digests: Sequence[bytes]) -> int:
    """Drop the counts of consents and warrants that ended, at most ``DROPPED_AT_ONCE`` uses; calling again goes on.

    Which events used them still stands in the log.

    Args:
        transaction: The commit.
        reads: The store.
        digests: From ``list_ended``.

    Returns:
        How many of them are gone altogether.
    """
    room = DROPPED_AT_ONCE
    for number, digest in enumerate(digests):
        prefix = _USE + digest
        found = [key for key, _ in reads.scan(prefix, layout.stop_of(prefix), limit=room + 1)]
        for key in found[:room]:
            transaction.delete(key)
        if len(found) > room:
            return number
        room -= len(found)
        used = _parse_used(transaction.get(_COUNT + digest))
        if used.end is not None:
            transaction.delete(_END + layout.u64(used.end) + digest)
        transaction.delete(_COUNT + digest)
    return len(digests)


def _put_used(transaction: Transaction, digest: bytes, used: Used) -> None:
    if used.end is not None:
        transaction.put(_END + layout.u64(used.end) + digest, b"")
    transaction.put(_COUNT + digest, msgpack.packb([used.end, used.uses, used.revoked, used.issuer]))


def _parse_used(stored: bytes | None) -> Used:
    if stored is None:
        return Used()
    try:
        # An earlier program noted no issuer.
        end, uses, revoked, *issuers = msgpack.unpackb(stored)
        (issuer,) = issuers or (None,)
    except (ValueError, TypeError, msgpack.UnpackException):
        raise Verification("uses-form", "a stored count of uses is malformed") from None
    numbers = [number for number in (end, uses, revoked) if number is not None]
    is_named = issuer is None or type(issuer) is str
    if uses is None or not is_named or any(type(number) is not int or number < 0 for number in numbers):
        raise Verification("uses-form", "a stored count of uses is malformed")
    return Used(end, uses, revoked, issuer)


def _told_key(issuer: str, digest: bytes) -> bytes:
    return _TOLD + issuer.encode("ascii") + digest


def _parse_told(stored: bytes | None) -> Told | None:
    if stored is None:
        return None
    try:
        end, at, place, openings = msgpack.unpackb(stored)
        told = Told(end, at, place, tuple(openings))
    except (ValueError, TypeError, msgpack.UnpackException):
        raise Verification("uses-form", "a stored revocation is malformed") from None
    if any(type(number) is not int or number < 0 for number in (end, at, place)):
        raise Verification("uses-form", "a stored revocation is malformed")
    return told


def _counter(index_key: bytes, kind: str, who: str, purpose: str) -> bytes:
    message = b"\x00".join((b"rate", kind.encode(), purpose.encode(), who.encode()))
    return hmac.digest(index_key, message, "sha256")[:COUNTER_BYTES]
