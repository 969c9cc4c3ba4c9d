# SPDX-License-Identifier: Apache-2.0
"""Decide whether a question of another member is answered, and with which fields (docs/protocol/policy.md).

Pure: everything that counts stands in the :class:`Question`. Both sides decide with the same function: the asker's
node before it logs the *ask*, with the officer's own counts; the provider's node before it searches, with its counts
of that member. Whoever holds the question can decide it again later and must come to the same result.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from node.access.purposes import list_codes
from node.errors import AccessDenied, InvalidInput, NodeError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from node.access.consent import Consent
    from node.access.purposes import Purpose, PurposeRules
    from node.access.question import AskedSubject
    from node.access.warrant import Warrant

SUBJECT: Final = "subject"
"""The disclosure with the subject itself: who names a subject may always have the answer bound to it."""

ACTIVE: Final = "active"
"""The status of a member that may ask."""

CLASSES: Final = ("open", "shared", "authorised")
"""公示, 政府部门共享, 授权查询: from the widest to the narrowest."""

OPEN, SHARED, AUTHORISED = CLASSES
RESIDENT_ID: Final = "rid"
NAME: Final = "name"

OPEN_DATA: Final = "open-data"
SHARED_DATA: Final = "shared-data"
LAW: Final = "law"
CONSENT: Final = "consent"


@dataclass(frozen=True, slots=True)
class Asker:
    """The member that asks, as the chain's member registry shows it.

    Attributes:
        member: Its USCC.
        status: ``active``, or anything else that says why it may not ask; None when it is not registered.
        roles: Names of its roles: issuer, consumer, auditor, regulator, gateway.
    """

    member: str
    status: str | None
    roles: frozenset[str]


@dataclass(frozen=True, slots=True)
class ItemClasses:
    """Disclosure classes of a catalogue item and of each of its fields.

    Attributes:
        key: ``<item>:<version>``, as the purposes document names it.
        disclosure: Widest class of its records: ``open``, ``shared`` or ``authorised``.
        persons: Class of records about natural persons, ``shared`` or ``authorised``; None when there are none.
        fields: Class of each field by its code, in the order of the item.
    """

    key: str
    disclosure: str
    persons: str | None
    fields: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class ConsentGiven:
    """What a verified consent allows, and what is left of it (protocol section 8).

    Attributes:
        asker: USCC of the member that may ask.
        provider: USCC of the member that may answer, its ``aud``.
        purpose: Code of the purpose.
        items: Fields by ``vct`` that the subject agreed to show.
        expires: Second from which it is void.
        uses_left: How many more questions it is good for.
        is_about_subject: Whether it was given by the subject of this question.
        is_revoked: Whether the subject took it back.
    """

    asker: str
    provider: str
    purpose: str
    items: Mapping[str, frozenset[str]]
    expires: int
    uses_left: int
    is_about_subject: bool
    is_revoked: bool = False

    @classmethod
    def of(
        cls, consent: Consent, *, subject: AskedSubject, uses: int, is_revoked: bool = False
    ) -> ConsentGiven:
        """Put together what a verified consent says and what the provider counted.

        Args:
            consent: As ``verify_consent`` returned it.
            subject: About whom is asked.
            uses: How often it was used before.
            is_revoked: Whether the subject took it back.
        """
        return cls(
            asker=consent.asker,
            provider=consent.aud,
            purpose=consent.purpose,
            items={item.vct: frozenset(item.fields) for item in consent.items},
            expires=consent.exp,
            uses_left=consent.uses - uses,
            is_about_subject=consent.subject == subject,
            is_revoked=is_revoked,
        )


@dataclass(frozen=True, slots=True)
class WarrantGiven:
    """What a verified warrant of a regulator allows, and what is left of it (protocol section 8).

    Attributes:
        asker: USCC of the member that may ask in secret.
        expires: Second from which nothing more may be asked under it.
        looks_left: How many more lines it is good for.
    """

    asker: str
    expires: int
    looks_left: int

    @classmethod
    def of(cls, warrant: Warrant, *, looks: int) -> WarrantGiven:
        """Put together what a verified warrant says and how many lines were asked under it before."""
        return cls(asker=warrant.asker, expires=warrant.exp, looks_left=warrant.looks - looks)


@dataclass(frozen=True, slots=True)
class Counts:
    """Lines that were asked before under the purpose of the question, in the windows that end now.

    ``officer_…`` are None on the provider's side, which is not told who the officer is.
    """

    member_hour: int = 0
    member_day: int = 0
    officer_hour: int | None = None
    officer_day: int | None = None


@dataclass(frozen=True, slots=True)
class Question:
    """All that a decision rests on.

    Attributes:
        rules: The purposes document in force.
        catalogue: Classes of the items that the provider answers for, by ``vct``.
        asker: Who asks.
        provider: USCC of the member that is asked.
        purpose: Code of the purpose.
        basis: Code of the legal basis, or None.
        case: Case number, or None.
        subject_type: ``uscc``, ``org``, ``reg``, ``rid`` or ``name``.
        asked: Fields by ``vct``; ``subject`` alone asks only whether there are records, and their status.
        at: Second at which it is decided.
        lines: Subjects asked about: 1, or the lines of a bulk query.
        officer: Who asks in person; None on the provider's side.
        approver: The second person who approved a bulk query, or None.
        consent: What the subject allowed, or None.
        warrant: By which a regulator allows to ask in secret, or None.
        counts: Lines asked before.
    """

    rules: PurposeRules
    catalogue: Mapping[str, ItemClasses]
    asker: Asker
    provider: str
    purpose: str
    basis: str | None
    case: str | None
    subject_type: str
    asked: Mapping[str, Sequence[str]]
    at: int
    lines: int = 1
    officer: str | None = None
    approver: str | None = None
    consent: ConsentGiven | None = None
    warrant: WarrantGiven | None = None
    counts: Counts = field(default_factory=Counts)

    def __post_init__(self) -> None:
        """Refuse a question about nobody."""
        if self.lines < 1:
            raise InvalidInput("question-lines", f"question has {self.lines} lines: want 1 or more")


@dataclass(frozen=True, slots=True)
class Decision:
    """Granted or refused, and why.

    Attributes:
        granted: Whether the question is answered.
        rule: What decided: of a grant ``open-data``, ``shared-data``, ``law`` or ``consent``, of a refusal the name of the
            rule that refused. Stands in the access event.
        code: Reason of a refusal, for the answer; None when granted.
        detail: The same in a sentence, for the asker's own officer; it repeats nothing that the asker made up.
        fields: What may be shown, by ``vct``: all that was asked, in that order; nothing when refused.
        reaches_authorised: Whether records that are themselves 授权查询 are shown too.
    """

    granted: bool
    rule: str
    code: str | None
    detail: str | None
    fields: Mapping[str, tuple[str, ...]]
    reaches_authorised: bool

    def fields_of(self, vct: str, record_class: str) -> tuple[str, ...] | None:
        """Give the fields to show of one record that was found, None when the record is withheld.

        Args:
            vct: Its catalogue item.
            record_class: Its own class, one of ``CLASSES``, which may be narrower than its item's.
        """
        if record_class not in (OPEN, SHARED) and not self.reaches_authorised:
            return None
        return self.fields.get(vct)


def decide(question: Question) -> Decision:
    """Decide a question by the rules of docs/protocol/policy.md, in their order; the first that refuses decides."""
    for rule, check in _RULES:
        try:
            check(question)
        except AccessDenied as refusal:
            return refuse(rule, refusal)
    return Decision(
        granted=True,
        rule=_ground(question),
        code=None,
        detail=None,
        fields=MappingProxyType({vct: tuple(fields) for vct, fields in question.asked.items()}),
        reaches_authorised=question.consent is not None or _law_suffices(question),
    )


def refuse(rule: str, reason: NodeError) -> Decision:
    """Make the decision that refuses, also for what is found before a question can be put together.

    Args:
        rule: Name of the rule that refused.
        reason: Its code goes into the answer.
    """
    return Decision(
        granted=False,
        rule=rule,
        code=reason.code,
        detail=reason.message,
        fields=MappingProxyType({}),
        reaches_authorised=False,
    )


def class_of(question: Question, vct: str) -> str:
    """Give the class that the records of an item have for this question: natural persons are never open.

    A resident id names a person. A name may: where an item knows persons, whoever is asked for by name counts as one.
    """
    item = question.catalogue[vct]
    if question.subject_type == RESIDENT_ID:
        return narrowest(SHARED, item.disclosure, item.persons or AUTHORISED)
    if question.subject_type == NAME and item.persons is not None:
        return narrowest(SHARED, item.disclosure, item.persons)
    return item.disclosure


def narrowest(*classes: str) -> str:
    """Give the narrowest of some classes."""
    return max(classes, key=CLASSES.index)


def _check_member(question: Question) -> None:
    if question.asker.status is None:
        raise AccessDenied("member-unknown", "the asker is not in the registry of members")
    if question.asker.status != ACTIVE:
        raise AccessDenied("member-inactive", "the asker is suspended or removed")


def _check_purpose(question: Question) -> None:
    if question.purpose not in question.rules.purposes:
        raise AccessDenied("purpose-unknown", "the purposes in force have no purpose of this code")


def _check_asker(question: Question) -> None:
    purpose = _purpose(question)
    if purpose.roles.isdisjoint(question.asker.roles):
        raise AccessDenied(
            "purpose-role", f"the asker has no role for {purpose.code}: want {list_codes(purpose.roles)}"
        )
    if purpose.members is not None and question.asker.member not in purpose.members:
        raise AccessDenied("purpose-member", f"the asker is not one of the members that {purpose.code} names")


def _check_basis(question: Question) -> None:
    purpose = _purpose(question)
    if question.basis is None:
        if "basis" in purpose.needs:
            raise AccessDenied(
                "basis-required", f"{purpose.code} needs a legal basis: want {list_codes(purpose.bases)}"
            )
    elif question.basis not in purpose.bases:
        raise AccessDenied(
            "basis-beyond-purpose",
            f"this is no legal basis of {purpose.code}: want {list_codes(purpose.bases)}",
        )


def _check_case(question: Question) -> None:
    if "case" in _purpose(question).needs and not (question.case and question.case.strip()):
        raise AccessDenied("case-required", f"{question.purpose} needs a case number")


def _check_subject(question: Question) -> None:
    purpose = _purpose(question)
    if question.subject_type not in purpose.subjects:
        raise AccessDenied(
            "subject-beyond-purpose",
            f"{purpose.code} does not ask about such a subject: want {list_codes(purpose.subjects)}",
        )


def _check_items(question: Question) -> None:
    purpose = _purpose(question)
    if not question.asked:
        raise AccessDenied("items-missing", "the question names no catalogue item")
    for vct in question.asked:
        item = question.catalogue.get(vct)
        if item is None:
            raise AccessDenied("item-unknown", "the question names a catalogue item that is not registered")
        if item.key not in purpose.items:
            raise AccessDenied("item-beyond-purpose", f"{purpose.code} does not see {item.key}")


def _check_fields(question: Question) -> None:
    purpose = _purpose(question)
    for vct, fields in question.asked.items():
        item = question.catalogue[vct]
        for code in fields:
            if code == SUBJECT:
                continue
            if code not in item.fields:
                raise AccessDenied(
                    "field-unknown", f"the question names a field that {item.key} does not have"
                )
            if code not in purpose.items[item.key]:
                raise AccessDenied(
                    "field-beyond-purpose", f"{purpose.code} does not see {code} of {item.key}"
                )


def _check_warrant(question: Question) -> None:
    warrant = question.warrant
    if warrant is None:
        return
    if not _purpose(question).sealed:
        raise AccessDenied("sealed-beyond-purpose", f"{question.purpose} is never asked in secret")
    if question.consent is not None:
        raise AccessDenied("sealed-consent", "the subject is shown each use of a consent: it is no secret")
    if warrant.asker != question.asker.member:
        raise AccessDenied("warrant-asker", "the warrant names another member than the asker")
    if question.at >= warrant.expires:
        raise AccessDenied("warrant-expired", "the warrant has expired")
    if question.lines > warrant.looks_left:
        raise AccessDenied(
            "warrant-used-up", f"the warrant is good for {max(0, warrant.looks_left)} more lines"
        )


def _check_consent(question: Question) -> None:
    consent = question.consent
    if consent is None:
        if "consent" in _purpose(question).needs:
            raise AccessDenied("consent-required", f"{question.purpose} needs the subject's consent")
        if _is_authorised(question) and not _law_suffices(question):
            raise AccessDenied(
                "consent-required", "something that was asked for is 授权查询: want the subject's consent"
            )
        return
    for holds, refusal in (
        (
            consent.asker == question.asker.member,
            AccessDenied("consent-asker", "the consent names another asker"),
        ),
        (
            consent.provider == question.provider,
            AccessDenied("consent-aud", "the consent is for another provider"),
        ),
        (
            consent.purpose == question.purpose,
            AccessDenied("consent-purpose", "the consent is for another purpose"),
        ),
        (question.lines == 1, AccessDenied("consent-bulk", "one consent does not cover many subjects")),
        (
            consent.is_about_subject,
            AccessDenied("consent-subject", "the consent was given by another subject"),
        ),
        (not consent.is_revoked, AccessDenied("consent-revoked", "the subject took the consent back")),
        (question.at < consent.expires, AccessDenied("consent-expired", "the consent has expired")),
        (
            consent.uses_left > 0,
            AccessDenied("consent-used-up", "the consent has been used as often as it allows"),
        ),
    ):
        if not holds:
            raise refusal
    for vct, fields in question.asked.items():
        # Whom a record is about is known to whoever may see any of it.
        seen = consent.items.get(vct)
        if seen is None or not seen >= set(fields) - {SUBJECT}:
            raise AccessDenied("consent-scope", "the consent does not cover all that was asked for")


def _check_bulk(question: Question) -> None:
    purpose = _purpose(question)
    if question.lines > purpose.approved_lines:
        raise AccessDenied(
            "bulk-too-large", f"{purpose.code} allows at most {purpose.approved_lines} lines in one question"
        )
    if question.lines <= purpose.bulk_lines:
        return
    if question.approver is None:
        raise AccessDenied(
            "approver-required", f"{purpose.code} needs a second approver above {purpose.bulk_lines} lines"
        )
    if question.approver == question.officer:
        raise AccessDenied("approver-same", "the second approver is the officer who asks")


def _check_rate(question: Question) -> None:
    rate, counts = _purpose(question).rate, question.counts
    of_member = (
        (counts.member_hour, rate.member_hour, "hour"),
        (counts.member_day, rate.member_day, "day"),
    )
    for before, most, window in of_member:
        if before + question.lines > most:
            raise AccessDenied(
                "rate-member", f"{question.purpose} allows {most} lines of a member in one {window}"
            )
    of_officer = (
        (counts.officer_hour, rate.officer_hour, "hour"),
        (counts.officer_day, rate.officer_day, "day"),
    )
    for known, most, window in of_officer:
        if known is not None and known + question.lines > most:
            raise AccessDenied(
                "rate-officer", f"{question.purpose} allows {most} lines of an officer in one {window}"
            )


def _ground(question: Question) -> str:
    """Name what a question is granted on: a consent that was shown, a law that lifts it, or the classes asked for."""
    if question.consent is not None:
        return CONSENT
    if _law_suffices(question):
        return LAW
    asked = [class_of(question, vct) for vct in question.asked]
    asked += [
        question.catalogue[vct].fields[code]
        for vct, fields in question.asked.items()
        for code in fields
        if code != SUBJECT
    ]
    return OPEN_DATA if narrowest(*asked) == OPEN else SHARED_DATA


def _is_authorised(question: Question) -> bool:
    """Tell whether anything that was asked for is 授权查询."""
    return any(
        class_of(question, vct) == AUTHORISED
        or any(code != SUBJECT and question.catalogue[vct].fields[code] == AUTHORISED for code in fields)
        for vct, fields in question.asked.items()
    )


def _law_suffices(question: Question) -> bool:
    return question.basis in _purpose(question).without_consent


def _purpose(question: Question) -> Purpose:
    return question.rules.purposes[question.purpose]


_RULES: Final[tuple[tuple[str, Callable[[Question], None]], ...]] = (
    ("member", _check_member),
    ("purpose", _check_purpose),
    ("asker", _check_asker),
    ("basis", _check_basis),
    ("case", _check_case),
    ("subject", _check_subject),
    ("items", _check_items),
    ("fields", _check_fields),
    ("warrant", _check_warrant),
    ("consent", _check_consent),
    ("bulk", _check_bulk),
    ("rate", _check_rate),
)
RULES: Final = tuple(name for name, _ in _RULES)
"""Names of the rules, in the order in which they are asked."""
