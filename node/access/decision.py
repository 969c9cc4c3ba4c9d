# SPDX-License-Identifier: Apache-2.0
"""Decide whether a question of another member is answered, and with which fields (docs/protocol/policy.md).

Pure: everything that counts stands in the :class:`Question`. Both sides decide with the same function: the asker's
node before it logs the *ask*, with the officer's own counts; the provider's node before it searches, with its counts
of that member. Whoever holds the question can decide it again later and must come to the same result.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from node.access.purposes import PurposeRules

SUBJECT: Final = "subject"
"""The disclosure with the subject itself: who names a subject may always have the answer bound to it."""

ACTIVE: Final = "active"
"""The standing of a member that may ask."""


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


@dataclass(frozen=True, slots=True)
class WarrantGiven:
    """What a verified warrant of a regulator allows, and what is left of it (protocol section 8).

    Attributes:
        asker: USCC of the member that may ask in secret.
        left: How many more lines it is good for.
        open_by: Second by which the events are opened; from then on it allows none.
    """

    asker: str
    left: int
    open_by: int


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
        asked: Fields by ``vct``. An item without fields asks only whether there are records, and their status.
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


@dataclass(frozen=True, slots=True)
class Decision:
    """Granted or refused, and why.

    Attributes:
        granted: Whether the question is answered.
        rule: The rule that decided; stands in the access event.
        code: Reason of a refusal, for the answer; None when granted.
        fields: What may be shown of a record that is open or shared, by ``vct``, as asked and in that order.
        authorised: What may be shown of a record whose own class is 授权查询; an item that is absent: such records are withheld.
    """

    granted: bool
    rule: str
    code: str | None
    fields: Mapping[str, tuple[str, ...]]
    authorised: Mapping[str, tuple[str, ...]]

    def fields_of(self, vct: str, record_class: str) -> tuple[str, ...] | None:
        """Give the fields to show of one record that was found, None when the record is withheld.

        Args:
            vct: Its catalogue item.
            record_class: Its own class, which may be narrower than its item's.
        """
        raise NotImplementedError


def decide(question: Question) -> Decision:
    """Decide a question by the rules of docs/protocol/policy.md, in their order; the first that refuses decides."""
    raise NotImplementedError
