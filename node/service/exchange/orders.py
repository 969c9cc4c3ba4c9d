# SPDX-License-Identifier: Apache-2.0
"""What an officer asks, what came of it, and step 1 of asking: read the order, find whom to ask, decide as they will."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final, NamedTuple

from node.access.bulk import Line, encode_line
from node.access.bulk_request import check_lines
from node.access.event import BULK, SALT_BYTES
from node.access.question import encode_items, encode_subject, fold_subject, parse_items, parse_words
from node.errors import InvalidInput
from node.records.names import SUBJECT
from node.service.drafting import DraftLine, EventDraft, Officer

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from node.access.answer import Answer
    from node.access.question import AskedSubject, ItemQuery
    from node.core.types import MemberCode
    from node.evidence.answered import AnsweredRecord
    from node.service.exchange.approvals import Approval
    from node.service.exchange.directory import Peer
    from node.service.exchange.permits import Judged, Permits
    from node.service.exchange.side import Side

ASK: Final = "ask"
FAILED: Final = "failed"
"""Result of a provider that gave no answer, or one that does not hold."""
REFUSED: Final = "refused"
"""Result of a question that this node refused itself."""
MOST_PROVIDERS: Final = 64


@dataclass(frozen=True, slots=True)
class Order:
    """What an officer asks.

    Attributes:
        officer: Who asks.
        subject_type: ``uscc``, ``org``, ``reg``, ``rid`` or ``name``.
        subject_id: As typed; codes are folded as an import folds them. Empty where many are asked about.
        fields: Names of the fields by ``vct``; None asks for all that the purpose sees without consent.
        purpose: Code of the purpose.
        basis: Code of the legal basis, or None.
        case: Case number, or None.
        providers: USCCs of the members to ask; None asks all that can be reached.
        consents: Consent by provider.
        many: Identifiers, as typed, of a question about many subjects: one event, one line for each.
        approval: What a second person approved of it, or None.
        warrant: By which a regulator lets this department ask without the subject being shown it yet, JWT, or None.
    """

    officer: Officer
    subject_type: str
    subject_id: str
    fields: Mapping[str, Sequence[str] | None]
    purpose: str
    basis: str | None
    case: str | None
    providers: Sequence[MemberCode] | None
    consents: Mapping[MemberCode, str] = field(default_factory=dict)
    many: Sequence[str] = ()
    approval: Approval | None = None
    warrant: str | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of asking one provider.

    Attributes:
        provider: Who was asked.
        result: ``ok``, ``none``, ``partial``, ``deny``, ``failed`` or ``refused``.
        code: Why some or all is not there.
        detail: The same in a sentence of this node, never of the provider.
        receipts: This node's own, of ``ask`` and ``receive``, or of its refusal.
        answer: The verified answer; None when there is none.
        records: Its records, verified.
        token: The answer as the provider signed it, JWS.
    """

    provider: MemberCode
    result: str
    code: str | None
    detail: str | None
    receipts: tuple[str, ...]
    answer: Answer | None = None
    records: tuple[AnsweredRecord, ...] = ()
    token: str | None = None


class Question(NamedTuple):
    """What is asked, in the one form that a request has.

    Attributes:
        subjects: About whom: one, or those of a question about many.
        items: Which fields of which catalogue items.
        is_bulk: Whether it is a question about many, though it were one.
    """

    subjects: tuple[AskedSubject, ...]
    items: tuple[ItemQuery, ...]
    is_bulk: bool

    @property
    def subject(self) -> AskedSubject:
        """About whom; the first of many, who are all of its type."""
        return self.subjects[0]


def parse_order(order: Order, permits: Permits) -> Question:
    """Bring a question into the one form that a request has.

    Raises:
        InvalidInput: ``question-…``, ``uscc-…``, ``bulk-…``.
        Conflict: ``rules-missing``.
    """
    typed = order.many or (order.subject_id,)
    subjects = tuple(fold_subject(order.subject_type, one) for one in typed)
    if order.many and order.warrant is not None:
        raise InvalidInput("bulk-sealed", "a question about many subjects is not asked under a warrant")
    if order.many:
        check_lines([encode_line(Line(bytes(SALT_BYTES), one, None)) for one in subjects], subjects)
    wanted = {
        vct: permits.visible(order.purpose, vct) if fields is None else fields
        for vct, fields in order.fields.items()
    }
    # Without the subject nobody can tell whose record an answer shows.
    items = parse_items([{"vct": vct, "fields": sorted({SUBJECT, *wanted[vct]})} for vct in sorted(wanted)])
    parse_words(order.purpose, "purpose")
    for name, value in (("basis", order.basis), ("case", order.case)):
        if value is not None:
            parse_words(value, name)
    return Question(subjects, items, bool(order.many))


def find_providers(side: Side, codes: Sequence[MemberCode] | None) -> list[Peer]:
    """Find whom to ask, in the order given; None finds all that can be reached.

    Raises:
        InvalidInput: ``providers``: none, too many, one twice, or this department itself.
        AccessDenied: ``member-unknown``.
        Unavailable: ``chain-…``.
    """
    directory, me = side.directory, side.member
    if codes is None:
        others = [directory.get(code) for code in sorted(directory.codes() - {me})]
        peers = [peer for peer in others if peer.is_active and peer.address is not None]
    elif me in codes:
        raise InvalidInput("providers", "this department is among those to ask: look at own records instead")
    else:
        peers = [directory.get(code) for code in codes]
    if not 0 < len(peers) <= MOST_PROVIDERS or len({peer.member.code for peer in peers}) < len(peers):
        raise InvalidInput(
            "providers", f"{len(peers)} departments to ask, want 1 to {MOST_PROVIDERS}, each once"
        )
    return peers


def prejudge_each(
    side: Side, order: Order, question: Question, peers: Sequence[Peer]
) -> dict[MemberCode, Judged]:
    """Decide for each provider, as it will; an officer with room for fewer asks the first ones.

    Raises:
        Conflict: ``rules-missing``.
        Unavailable: ``chain-…``.
    """
    me = side.directory.member(side.member)
    lines, approval = len(question.subjects), order.approval
    judged: dict[MemberCode, Judged] = {}
    for peer in peers:
        judged[peer.member.code] = side.permits.prejudge(
            me,
            peer.member.code,
            question.subject,
            question.items,
            order.purpose,
            order.basis,
            order.case,
            order.officer.id,
            order.consents.get(peer.member.code),
            warrant=order.warrant,
            lines=lines,
            approver=None if approval is None else approval.approver,
            lines_before=lines * sum(one.decision.granted for one in judged.values()),
        )
    return judged


def draft_ask(side: Side, order: Order, question: Question) -> EventDraft:
    """Draft what the event of asking each provider has in common: an ``ask``, or a ``bulk`` with its lines."""
    officer, approval = order.officer, order.approval
    if approval is not None and approval.approver is not None:
        officer = replace(officer, second=Officer(approval.approver))
    return EventDraft(
        kind=BULK if question.is_bulk else ASK,
        subject=None if question.is_bulk else encode_subject(question.subject),
        lines=[DraftLine(subject, None) for subject in question.subjects] if question.is_bulk else (),
        concerns=side.permits.digests(question.subjects) if question.is_bulk else (),
        officer=officer,
        purpose=order.purpose,
        basis=order.basis,
        case=order.case,
        items=encode_items(question.items),
    )
