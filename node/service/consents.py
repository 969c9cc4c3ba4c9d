# SPDX-License-Identifier: Apache-2.0
"""The window at which a subject consents to be asked about, and takes it back (docs/protocol/policy.md, Consents).

    give        a consent is signed by this node, and stands in the access log: the subject sees it as he sees every use
    take_back   from that commit on this node grants nothing on it; another provider is told (node.service.exchange.revoking)
    show_of     what a subject has consented to here; looking it up is a look, and logged

What a consent says stands in its ``consent`` event, sealed like any other event's values. Beside it, in the open:

    key                              value
    C g digest(32)                   msgpack [end(s), uses, provider, place of the event]
    C s subject(16) digest(32)       empty; the subject is a keyed digest
    C o end(8) digest(32)            msgpack subject(16): by when the two above go

The token itself is handed out once and not kept: the asker shows it to the provider.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import msgpack

from node.access.consent import JTI_BYTES, build_consent, parse_consent
from node.access.decision import SUBJECT
from node.access.event import parse_event, verify_openings
from node.access.question import encode_items, encode_subject
from node.core.encoding import encode_b64u
from node.errors import Conflict, InvalidInput, NotFound
from node.service import layout
from node.service.drafting import EventDraft, Officer
from node.service.exchange.revoking import drop_known, find_known, queue_revocation
from node.service.issuing import subject_digest
from node.service.layout import LogKind
from node.service.limiting import DIGEST_BYTES, KEPT_SECONDS, drop_ended, list_ended, read_used, revoke

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from node.access.decision import ItemClasses
    from node.access.purposes import PurposeRules
    from node.access.question import AskedSubject, ItemQuery
    from node.core.clock import Clock
    from node.core.types import EntryIndex, MemberCode
    from node.crypto.ed25519 import Ed25519Signer
    from node.ports import Reads
    from node.service.drafting import Purpose
    from node.service.exchange.permits import Rules
    from node.service.looking import AccessLog, Logged
    from node.service.reading import Logs
    from node.service.sequencer import Sequencer
    from node.service.transaction import Transaction
    from node.service.vault import Vault

GIVEN: Final = "consent"
TAKEN_BACK: Final = "revoke"
LOOKED_UP: Final = "audit"
LISTED_SECONDS: Final = KEPT_SECONDS
"""How long after its end a consent is still listed, with its uses; its event stays in the log."""
MAX_VALID_SECONDS: Final = 2 * 366 * 86_400
"""For how long a consent may be given: two years and a little."""

_GIVEN: Final = b"Cg"
_SUBJECT: Final = b"Cs"
_OVER: Final = b"Co"
_SWEPT_AT_ONCE: Final = 256


@dataclass(frozen=True, slots=True)
class Terms:
    """What a subject consents to.

    Attributes:
        subject: Who consents; identified at the window.
        provider: The one member that may show his records.
        asker: The one member that may ask.
        purpose: Code of the one purpose.
        items: What may be shown, ascending by ``vct``, fields ascending.
        end: Second from which the consent is void.
        uses: How often it may be used.
    """

    subject: AskedSubject
    provider: MemberCode
    asker: MemberCode
    purpose: str
    items: Sequence[ItemQuery]
    end: int
    uses: int


@dataclass(frozen=True, slots=True)
class GivenConsent:
    """A consent that was just given: its token, for the asker; its digest; and its event with the receipt."""

    token: str
    digest: bytes
    logged: Logged


@dataclass(frozen=True, slots=True)
class ShownConsent:
    """One consent of a subject, as the window shows it to him.

    Attributes:
        digest: SHA-256 of its token.
        asker: Who may ask.
        provider: Who may show.
        purpose: Code of the purpose.
        items: What may be shown, as in the event.
        given_ms: When it was given, in milliseconds.
        end: Second from which it is void.
        uses: How often it may be used.
        used: How often it was used here; None where another member is the provider and counts.
        revoked: Second at which it was taken back here, or None.
        known: Second at which it was seen that another provider knows that; None while it was not, and where there is no other.
        place: Its event in the access logs.
    """

    digest: bytes
    asker: str
    provider: str
    purpose: str
    items: Sequence[Mapping[str, Any]]
    given_ms: int
    end: int
    uses: int
    used: int | None
    revoked: int | None
    known: int | None
    place: int


def check_terms(terms: Terms, rules: PurposeRules, catalogue: Mapping[str, ItemClasses]) -> None:
    """Refuse a consent that no question could ever be granted on, before a subject signs for nothing.

    Raises:
        InvalidInput: ``purpose-unknown``, ``subject-beyond-purpose``, ``purpose-member``, ``item-unknown``,
            ``item-beyond-purpose``, ``field-beyond-purpose``.
    """
    purpose = rules.purposes.get(terms.purpose)
    if purpose is None:
        raise InvalidInput("purpose-unknown", "the purposes in force have no purpose of this code")
    if terms.subject.type not in purpose.subjects:
        raise InvalidInput("subject-beyond-purpose", f"{purpose.code} does not ask about such a subject")
    if purpose.members is not None and terms.asker not in purpose.members:
        raise InvalidInput("purpose-member", f"{purpose.code} does not name this asker")
    for vct, fields in terms.items:
        item = catalogue.get(vct)
        if item is None:
            raise InvalidInput("item-unknown", "the consent names a catalogue item that is not registered")
        if item.key not in purpose.items:
            raise InvalidInput("item-beyond-purpose", f"{purpose.code} does not see {item.key}")
        if not purpose.items[item.key].issuperset(set(fields) - {SUBJECT}):
            raise InvalidInput(
                "field-beyond-purpose", f"{purpose.code} does not see all these fields of {item.key}"
            )


class ConsentWindow:
    """Gives consents, takes them back and shows them; safe to use from any thread.

    Args:
        reads: The store.
        sequencer: Writes to it.
        logs: The access logs.
        access: Logs what is done here.
        vault: Opens the events of consents that are shown.
        member: This member.
        node_key: Signs consents.
        index_key: Keys the digests of subjects, 32 bytes.
        find_rules: Gives purposes and catalogue in force, or raises ``Unavailable``.
        clock: The clock.
        random: Source of unpredictable bytes.
    """

    def __init__(
        self,
        reads: Reads,
        sequencer: Sequencer,
        logs: Logs,
        access: AccessLog,
        vault: Vault,
        *,
        member: MemberCode,
        node_key: Ed25519Signer,
        index_key: bytes,
        find_rules: Callable[[], Rules],
        clock: Clock,
        random: Callable[[int], bytes],
    ) -> None:
        self._reads = reads
        self._sequencer = sequencer
        self._logs = logs
        self._access = access
        self._vault = vault
        self._member = member
        self._node_key = node_key
        self._index_key = index_key
        self._find_rules = find_rules
        self._clock = clock
        self._random = random

    def give(self, terms: Terms, why: Purpose) -> GivenConsent:
        """Sign a consent and log it; nothing leaves before its event is durable.

        Args:
            terms: What the subject consents to.
            why: The officer at the window, legal basis and case; the event's purpose is the consent's.

        Raises:
            InvalidInput: As ``check_terms`` and ``build_consent``; ``consent-validity`` for an end that has come or is too far off.
            Unavailable: ``rules-missing``.
            NodeError: As ``AccessLog.log``; no consent was given.
        """
        rules = self._find_rules()
        check_terms(terms, rules.purposes, rules.catalogue)
        now = self._clock.now_seconds()
        if not now < terms.end <= now + MAX_VALID_SECONDS:
            raise InvalidInput(
                "consent-validity",
                f"end of the consent is past, or more than {MAX_VALID_SECONDS} seconds off",
            )
        token = build_consent(
            signer=self._node_key,
            iss=self._member,
            aud=terms.provider,
            iat=now,
            exp=terms.end,
            jti=self._random(JTI_BYTES),
            asker=terms.asker,
            subject=terms.subject,
            items=terms.items,
            purpose=terms.purpose,
            uses=terms.uses,
        )
        digest = parse_consent(token).digest
        subject = subject_digest(self._index_key, *terms.subject)

        def register(transaction: Transaction, event: EntryIndex) -> None:
            place = transaction.place(LogKind.ACCESS, event)
            transaction.put(_GIVEN + digest, msgpack.packb([terms.end, terms.uses, terms.provider, place]))
            transaction.put(_SUBJECT + subject + digest, b"")
            transaction.put(_OVER + layout.u64(terms.end) + digest, subject)

        draft = EventDraft(
            kind=GIVEN,
            peer=terms.asker,
            subject=encode_subject(terms.subject),
            officer=Officer(why.officer),
            purpose=terms.purpose,
            basis=why.basis,
            case=why.case,
            items=encode_items(terms.items),
            consent=encode_b64u(digest),
        )
        return GivenConsent(token, digest, self._access.log(draft, register))

    def take_back(self, digest: bytes, why: Purpose) -> tuple[Logged, MemberCode]:
        """Take back a consent that was given at this window.

        Returns:
            The event with its receipt, and the provider: where that is another member, it is queued that he is told.

        Raises:
            NotFound: ``consent-unknown``: it was not given here, or it ended long ago.
            Conflict: ``consent-revoked``: it was taken back before.
            NodeError: As ``AccessLog.log``; it is still good.
        """
        stored = self._reads.get(_GIVEN + digest)
        if stored is None:
            raise NotFound("consent-unknown", "no consent with this digest was given here")
        end, _, provider, _ = msgpack.unpackb(stored)
        subject = self._reads.get(_OVER + layout.u64(end) + digest)
        told = None if provider == self._member else provider
        return self._log_revocation(digest, end, subject, why, told), provider

    def take_back_token(self, token: str, why: Purpose) -> Logged:
        """Take back a consent that was given at another member's window for this provider.

        Args:
            token: The consent; its signature does not matter, since one that is not good is not used either.
            why: The officer who identified the subject, basis and case.

        Raises:
            InvalidInput: As ``parse_consent``; ``consent-aud``: this member is not its provider.
            Conflict, NodeError: As for ``take_back``.
        """
        consent = parse_consent(token)
        if consent.aud != self._member:
            raise InvalidInput("consent-aud", f"consent is for another provider: got {consent.aud}")
        subject = subject_digest(self._index_key, *consent.subject)
        return self._log_revocation(consent.digest, consent.exp, subject, why)

    def show_of(self, subject: AskedSubject, why: Purpose) -> list[ShownConsent]:
        """Log an ``audit``, then show what a subject has consented to at this window, the newest first.

        Raises:
            NodeError: The log did not take the ``audit``; nothing is shown.
        """
        prefix = _SUBJECT + subject_digest(self._index_key, *subject)
        digests = [key[-DIGEST_BYTES:] for key, _ in self._reads.scan(prefix, layout.stop_of(prefix))]
        rows = {digest: self._reads.get(_GIVEN + digest) for digest in digests}
        known = {digest: msgpack.unpackb(row) for digest, row in rows.items() if row is not None}
        draft = EventDraft(
            kind=LOOKED_UP,
            subject=encode_subject(subject),
            officer=Officer(why.officer),
            purpose=why.purpose,
            basis=why.basis,
            case=why.case,
            events=[place for _, _, _, place in known.values()],
        )
        logged = self._access.log(draft)
        shown = [
            self._show(digest, row, self._vault.open_event(logged.look, row[3]))
            for digest, row in known.items()
        ]
        return sorted(shown, key=lambda each: each.place, reverse=True)

    def sweep(self) -> int:
        """Stop listing consents that ended long ago, and drop the counts of those that ended; how many there were.

        Raises:
            NodeError: The store cannot be written now; calling again goes on.
        """
        now, dropped = self._clock.now_seconds(), 0
        before = _OVER + layout.u64(max(0, now - LISTED_SECONDS))
        while over := list(self._reads.scan(_OVER, before, limit=_SWEPT_AT_ONCE)):
            self._sequencer.run(partial(_drop_listed, over), entries=0)
            dropped += len(over)
        while ended := list_ended(self._reads, now, limit=_SWEPT_AT_ONCE):
            dropped += self._sequencer.run(partial(drop_ended, reads=self._reads, digests=ended), entries=0)
        return dropped

    def _log_revocation(
        self, digest: bytes, end: int, subject: bytes | None, why: Purpose, told: MemberCode | None = None
    ) -> Logged:
        at = self._clock.now_seconds()

        def note(transaction: Transaction, event: EntryIndex) -> None:
            if not revoke(transaction, digest, end=end, at=at):
                raise Conflict("consent-revoked", "the consent was taken back before")
            if told is not None:
                place = transaction.place(LogKind.ACCESS, event)
                queue_revocation(transaction, told, digest, end=end, place=place)

        draft = EventDraft(
            kind=TAKEN_BACK,
            officer=Officer(why.officer),
            purpose=why.purpose,
            basis=why.basis,
            case=why.case,
            consent=encode_b64u(digest),
            concerns=() if subject is None else (subject,),
        )
        return self._access.log(draft, note)

    def _show(self, digest: bytes, row: Sequence[Any], openings: Sequence[str]) -> ShownConsent:
        end, uses, provider, place = row
        event = parse_event(self._logs.entry(self._logs.row(place)))
        values = verify_openings(event, openings)
        used = read_used(self._reads, digest)
        return ShownConsent(
            digest=digest,
            asker=values["peer"],
            provider=provider,
            purpose=values["purpose"],
            items=values["items"],
            given_ms=event.t_ms,
            end=end,
            uses=uses,
            used=used.uses if provider == self._member else None,
            revoked=used.revoked,
            known=find_known(self._reads, digest),
            place=place,
        )


def _drop_listed(over: Sequence[tuple[bytes, bytes]], transaction: Transaction) -> None:
    for key, subject in over:
        digest = key[-DIGEST_BYTES:]
        transaction.delete(key)
        transaction.delete(_GIVEN + digest)
        drop_known(transaction, digest)
        transaction.delete(_SUBJECT + subject + digest)
