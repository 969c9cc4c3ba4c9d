# SPDX-License-Identifier: Apache-2.0
"""Put together what a decision rests on, for questions of other members and of this department (docs/protocol/policy.md).

Whatever a granted question uses up is a charge: checked again, and written, in the commit that logs its event.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

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
    decide,
    refuse,
)
from node.errors import AccessDenied, Conflict, InvalidInput, Verification
from node.ports import Role
from node.service.limiting import RateCharge, UseCharge, read_counts, read_used

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from node.access.consent import Consent
    from node.access.decision import Decision, ItemClasses
    from node.access.purposes import PurposeRules
    from node.access.question import AskedSubject, ItemQuery
    from node.access.request import Request
    from node.core.clock import Clock
    from node.core.types import MemberCode
    from node.ports import Member, Reads
    from node.service.exchange.directory import Directory, Peer
    from node.service.limiting import Charge

CONSENT_RULE: Final = "consent"
WARRANT_RULE: Final = "warrant"


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

    def judge(self, request: Request, peer: Peer) -> Judged:
        """Decide a question of another member.

        Raises:
            Conflict: ``rules-missing``.
            Unavailable: ``chain-…`` when a consent cannot be checked now.
        """
        rules, at = self.rules(), self._clock.now_seconds()
        if request.sealed is not None:
            # A sealed look needs its inspector, who is not built in yet: nothing is released without him.
            return Judged(refuse(WARRANT_RULE, AccessDenied("sealed-not-supported", "no sealed looks here")))
        try:
            consent = self._find_consent(request, at)
        except (InvalidInput, Verification, AccessDenied) as error:
            return Judged(refuse(CONSENT_RULE, error))
        asker = peer.member.code
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
                subject_type=request.subject.type,
                asked={item.vct: item.fields for item in request.items},
                at=at,
                consent=None if consent is None else self._given(consent, request.subject),
                counts=counts,
            )
        )
        if not decision.granted:
            return Judged(decision)
        purpose = rules.purposes.purposes[request.purpose]
        charges: list[Charge] = [RateCharge.of_member(self._index_key, asker, purpose, 1, at)]
        if consent is not None:
            charges.append(UseCharge.of_consent(consent, request.rid))
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
        lines_before: int = 0,
    ) -> Judged:
        """Decide a question of this department's own officer, before it leaves the house.

        A consent is only read here: its signature and uses are the provider's to check.

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
            lines_before: What the same order asks of others; it counts towards the officer's rate, too.

        Raises:
            Conflict: ``rules-missing``.
        """
        rules, at = self.rules(), self._clock.now_seconds()
        given = None
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
                officer=officer,
                consent=given,
                counts=counts,
            )
        )
        if not decision.granted:
            return Judged(decision)
        found = rules.purposes.purposes[purpose]
        return Judged(decision, (RateCharge.of_officer(self._index_key, officer, found, 1, at),))

    def _find_consent(self, request: Request, at: int) -> Consent | None:
        """Verify the consent that came with a request.

        Raises:
            InvalidInput, Verification, AccessDenied: It is none, or not for this question.
        """
        if request.consent is None:
            return None
        return verify_consent(
            request.consent,
            find_key=self._find_window_key,
            aud=self._member,
            asker=request.iss,
            subject=request.subject,
            items=request.items,
            purpose=request.purpose,
            now_seconds=at,
        )

    def _find_window_key(self, kid: str, member: MemberCode) -> bytes:
        """Find the key of the member at whose window a consent was given; one that was replaced since still counts."""
        peer = self._directory.get(member)
        public = peer.past_node_keys.get(kid)
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
            is_revoked=used.revoked is not None,
        )


def asker_of(member: Member) -> Asker:
    """Give a member as a decision sees it."""
    status = member.status.name.lower()
    roles = frozenset(role.name.lower() for role in Role if role in member.roles and role.name)
    return Asker(member.code, ACTIVE if status == ACTIVE else status, roles)
