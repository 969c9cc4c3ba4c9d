# SPDX-License-Identifier: Apache-2.0
"""Put together what a decision rests on, for questions of other members and of this department (docs/protocol/policy.md).

Whatever a granted question uses up is a charge: checked again, and written, in the commit that logs its event.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Final

from node.access.bulk_request import BulkRequest
from node.access.consent import parse_consent, verify_consent
from node.access.decision import (
    ACTIVE,
    OPEN,
    SHARED,
    SUBJECT,
    Asker,
    ConsentGiven,
    Counts,
    Question,
    WarrantGiven,
    decide,
    refuse,
)
from node.access.event import parse_event
from node.access.request import Request
from node.errors import AccessDenied, Conflict, InvalidInput, Verification
from node.ports import Role
from node.service.issuing import subject_digest
from node.service.limiting import RateCharge, UseCharge, find_told, read_counts, read_used
from node.service.sealing import WARRANT_RULE, find_warrant

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from node.access.consent import Consent
    from node.access.decision import Decision, ItemClasses
    from node.access.purposes import PurposeRules
    from node.access.question import AskedSubject, ItemQuery
    from node.access.request import AnyRequest
    from node.access.warrant import Warrant
    from node.core.clock import Clock
    from node.core.types import MemberCode
    from node.ports import Member, Reads
    from node.service.exchange.directory import Directory, Peer
    from node.service.limiting import Charge

CONSENT_RULE: Final = "consent"
SOMEBODY: Final = "second"
"""Stands for the second approver, whom the provider is not told."""


@dataclass(frozen=True, slots=True)
class Rules:
    """The shared documents in force, read.

    Attributes:
        purposes: The purposes document.
        catalogue: Classes of the catalogue's items, by ``vct``.
    """

    purposes: PurposeRules
    catalogue: Mapping[str, ItemClasses]


@dataclass(frozen=True, slots=True)
class Judged:
    """A decision, and what it costs when it is granted."""

    decision: Decision
    charges: tuple[Charge, ...] = ()


class Permits:
    """Decides questions.

    Args:
        reads: The store.
        member: This member.
        directory: The other members; consents are checked under their keys.
        find_rules: Gives the documents in force; None where there are none here.
        index_key: Names the counts, 32 bytes.
        clock: The clock.
    """

    def __init__(
        self,
        reads: Reads,
        member: MemberCode,
        directory: Directory,
        find_rules: Callable[[], Rules | None],
        index_key: bytes,
        clock: Clock,
    ) -> None:
        self._reads = reads
        self._member = member
        self._directory = directory
        self._find_rules = find_rules
        self._index_key = index_key
        self._clock = clock

    def rules(self) -> Rules:
        """Give the documents in force.

        Raises:
            Conflict: ``rules-missing``: the network has none, or this node has not fetched them yet.
        """
        rules = self._find_rules()
        if rules is None:
            raise Conflict(
                "rules-missing",
                "no purposes and catalogue are in force here: nothing can be asked or answered",
            )
        return rules

    def visible(self, purpose: str, vct: str) -> list[str]:
        """Name the fields of an item that a purpose sees without consent; ``subject`` alone where it sees none.

        Raises:
            Conflict: ``rules-missing``.
        """
        rules = self.rules()
        found, item = rules.purposes.purposes.get(purpose), rules.catalogue.get(vct)
        if found is None or item is None:
            return [SUBJECT]
        seen = found.items.get(item.key, frozenset())
        return sorted(code for code in seen if item.fields.get(code) in {OPEN, SHARED}) or [SUBJECT]

    def digests(self, subjects: Sequence[AskedSubject]) -> list[bytes]:
        """Give the keyed digests under which subjects are found whom an event is about and does not name."""
        return [subject_digest(self._index_key, *subject) for subject in subjects]

    def judge(self, request: AnyRequest, peer: Peer) -> Judged:
        """Decide a question of another member.

        Raises:
            Conflict: ``rules-missing``.
            Unavailable: ``chain-…`` when a consent cannot be checked now.
        """
        rules, at = self.rules(), self._clock.now_seconds()
        try:
            warrant = self._find_warrant(request, at)
        except (InvalidInput, Verification, AccessDenied) as error:
            return Judged(refuse(WARRANT_RULE, error))
        try:
            consent = self._find_consent(request, at)
        except (InvalidInput, Verification, AccessDenied) as error:
            return Judged(refuse(CONSENT_RULE, error))
        asker, subject, lines, approver = peer.member.code, *_lines_of(request)
        counts = read_counts(
            self._reads, self._index_key, member=asker, officer=None, purpose=request.purpose, at=at
        )
        decision = decide(
            Question(
                rules=rules.purposes,
                catalogue=rules.catalogue,
                asker=asker_of(peer.member),
                provider=self._member,
                purpose=request.purpose,
                basis=request.basis,
                case=request.case,
                subject_type=subject.type,
                asked={item.vct: item.fields for item in request.items},
                at=at,
                lines=lines,
                approver=approver,
                consent=None if consent is None else self._given(consent, subject),
                warrant=None if warrant is None else self._allowed(warrant),
                counts=counts,
            )
        )
        if not decision.granted:
            return Judged(decision)
        purpose = rules.purposes.purposes[request.purpose]
        charges: list[Charge] = [RateCharge.of_member(self._index_key, asker, purpose, lines, at)]
        if consent is not None:
            charges.append(UseCharge.of_consent(consent, request.rid))
        if warrant is not None:
            charges.append(UseCharge.of_warrant(warrant, request.rid, 1))
        return Judged(decision, tuple(charges))

    def prejudge(
        self,
        asker: Member,
        provider: MemberCode,
        subject: AskedSubject,
        items: Sequence[ItemQuery],
        purpose: str,
        basis: str | None,
        case: str | None,
        officer: str,
        consent: str | None,
        *,
        warrant: str | None = None,
        lines: int = 1,
        approver: str | None = None,
        lines_before: int = 0,
    ) -> Judged:
        """Decide a question of this department's own officer, before it leaves the house.

        A consent is only read here, and whether it was taken back at this window: its signature and uses are the provider's to check.

        Args:
            asker: This member.
            provider: Who would be asked.
            subject: About whom.
            items: What is asked for.
            purpose: Code of the purpose.
            basis: Code of the legal basis, or None.
            case: Case number, or None.
            officer: Account name.
            consent: Consent of the subject for this provider, JWT, or None.
            warrant: By which a regulator lets this department ask in secret, JWT, or None.
            lines: Subjects asked about; all of the type of ``subject``.
            approver: Account of the second person who approved it, or None.
            lines_before: What the same order asks of others; it counts towards the officer's rate, too.

        Raises:
            Conflict: ``rules-missing``.
        """
        rules, at = self.rules(), self._clock.now_seconds()
        given = shown = None
        if warrant is not None:
            try:
                shown = find_warrant(
                    self._directory, warrant, asker=asker.code, provider=provider, now_seconds=at
                )
            except (InvalidInput, Verification, AccessDenied) as error:
                return Judged(refuse(WARRANT_RULE, error))
        if consent is not None:
            try:
                parsed = parse_consent(consent)
            except InvalidInput as error:
                return Judged(refuse(CONSENT_RULE, error))
            given = ConsentGiven(
                asker=parsed.asker,
                provider=parsed.aud,
                purpose=parsed.purpose,
                items={item.vct: frozenset(item.fields) for item in parsed.items},
                expires=parsed.exp,
                uses_left=parsed.uses,
                is_about_subject=parsed.subject == subject,
                # Where it was given here the provider need not be waited for.
                is_revoked=read_used(self._reads, parsed.digest).revoked is not None,
            )
        counts: Counts = read_counts(
            self._reads, self._index_key, member=None, officer=officer, purpose=purpose, at=at
        )
        counts = replace(
            counts,
            officer_hour=(counts.officer_hour or 0) + lines_before,
            officer_day=(counts.officer_day or 0) + lines_before,
        )
        decision = decide(
            Question(
                rules=rules.purposes,
                catalogue=rules.catalogue,
                asker=asker_of(asker),
                provider=provider,
                purpose=purpose,
                basis=basis,
                case=case,
                subject_type=subject.type,
                asked={item.vct: item.fields for item in items},
                at=at,
                lines=lines,
                officer=officer,
                approver=approver,
                consent=given,
                warrant=None if shown is None else self._allowed(shown, lines_before),
                counts=counts,
            )
        )
        if not decision.granted:
            return Judged(decision)
        found = rules.purposes.purposes[purpose]
        return Judged(decision, (RateCharge.of_officer(self._index_key, officer, found, lines, at),))

    def _find_warrant(self, request: AnyRequest, at: int) -> Warrant | None:
        """Verify the warrant that came with a request.

        Raises:
            InvalidInput, Verification, AccessDenied: It is none, or not for this question.
        """
        if request.sealed is None:
            return None
        return find_warrant(
            self._directory,
            request.sealed,
            asker=request.iss,
            provider=self._member,
            now_seconds=at,
            open_by=parse_event(request.ask.event).open_by,
        )

    def _allowed(self, warrant: Warrant, lines_before: int = 0) -> WarrantGiven:
        """Put together what is left of a warrant as far as this node knows; the regulator counts what others use."""
        used = read_used(self._reads, warrant.digest).uses
        return WarrantGiven.of(warrant, looks=used + lines_before)

    def _find_consent(self, request: AnyRequest, at: int) -> Consent | None:
        """Verify the consent that came with a request.

        Raises:
            InvalidInput, Verification, AccessDenied: It is none, or not for this question.
        """
        if request.consent is None:
            return None
        subject, _, _ = _lines_of(request)
        return verify_consent(
            request.consent,
            find_key=partial(self._find_window_key, parse_consent(request.consent).iat),
            aud=self._member,
            asker=request.iss,
            subject=subject,
            items=request.items,
            purpose=request.purpose,
            now_seconds=at,
        )

    def _find_window_key(self, given_at: int, kid: str, member: MemberCode) -> bytes:
        """Find the key of the member at whose window a consent was given; one that was replaced since counts for what is older."""
        peer = self._directory.get(member)
        public = peer.find_node_key_of(kid, given_at)
        if public is None or not peer.is_active:
            raise Verification("member-key", f"{member} has no node key {kid}, or may not act")
        return public

    def _given(self, consent: Consent, subject: AskedSubject) -> ConsentGiven:
        used = read_used(self._reads, consent.digest)
        return ConsentGiven(
            asker=consent.asker,
            provider=consent.aud,
            purpose=consent.purpose,
            items={item.vct: frozenset(item.fields) for item in consent.items},
            expires=consent.exp,
            uses_left=consent.uses - used.uses,
            is_about_subject=consent.subject == subject,
            is_revoked=used.revoked is not None
            or find_told(self._reads, consent.iss, consent.digest) is not None,
        )


def _lines_of(request: AnyRequest) -> tuple[AskedSubject, int, str | None]:
    """Give the subject of a request, or the first of many, who are all of one type; how many; and the approver."""
    if isinstance(request, BulkRequest):
        return request.lines[0].subject, len(request.lines), SOMEBODY if request.approved else None
    assert isinstance(request, Request), "there are two kinds of requests"
    return request.subject, 1, None


def asker_of(member: Member) -> Asker:
    """Give a member as a decision sees it."""
    status = member.status.name.lower()
    roles = frozenset(role.name.lower() for role in Role if role in member.roles and role.name)
    return Asker(member.code, ACTIVE if status == ACTIVE else status, roles)
