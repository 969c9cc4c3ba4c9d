# SPDX-License-Identifier: Apache-2.0
"""Routes of the window at which a subject is shown who looked at its data (docs/subject-view.md)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Final

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field, StringConstraints

from node.access.question import fold_subject
from node.api.auth import Officer, Operator
from node.api.models import Body, ShortText, SubjectBody
from node.api.problems import errors
from node.api.state import services_of
from node.core.encoding import MAX_SAFE_INTEGER, encode_b64u
from node.service.drafting import Purpose
from node.service.subjects import DOCUMENTS, MOST_LOOKS, PURPOSE, summarise

if TYPE_CHECKING:
    from node.service.subjects import ShownLook, ShownPart, SubjectView

router = APIRouter(prefix="/api/v1", tags=["subjects"], responses=errors(400, 401, 403, 409, 413, 500, 503))
MOST_EVENTS: Final = 20_000
DocumentText = Annotated[str, StringConstraints(pattern=f"^({'|'.join(DOCUMENTS)})$")]


class LooksBody(Body):
    """Who was identified at the window, and how."""

    subject: SubjectBody
    document: DocumentText = Field(
        description="Kind of document by which the officer identified the subject, or who stands for it. Never its number."
    )
    basis: ShortText | None = Field(None, description="Legal basis or duty.")
    case: ShortText | None = Field(None, description="Number of the application.")
    limit: int = Field(50, ge=1, le=MOST_LOOKS, description="At most so many looks, the newest first.")
    before: int | None = Field(
        None, ge=0, le=MAX_SAFE_INTEGER, description="Only older ones: `next_before` of the page before."
    )


class NameView(BaseModel):
    """A name in Chinese and English."""

    zh: str
    en: str


class PartView(BaseModel):
    """One event of a look."""

    kind: str
    log: str = Field(description="Origin of its log.")
    index: int
    at_ms: int = Field(description="Time in milliseconds, as this node says.")
    n: int = Field(description="Records, lines or events that were looked at.")
    stage: str = Field(description="integrated, published or anchored")
    values: dict[str, Any] = Field(description="What it was about: all values but the officer.")
    name: str = Field(description="Customary name of its file.")
    file: str | None = Field(
        description="The file that proves it, `*.look.json`; null while no signed checkpoint covers it."
    )


class LookView(BaseModel):
    """One look."""

    rid: str
    at_ms: int
    kind: str = Field(description="Kind of its first event.")
    by: str = Field(description="USCC of the department that looked.")
    of: str = Field(description="USCC of the department whose records it concerned.")
    outcome: str = Field(description="given, none, refused, no-answer, open, listed or done")
    records: int | None
    purpose: str | None
    purpose_name: NameView | None
    basis: str | None
    case: str | None
    items: list[dict[str, Any]]
    rule: str | None
    consent: str | None = Field(description="b64u digest of the consent that it rests on, or is about.")
    parts: list[PartView]


class LooksView(BaseModel):
    """Every look at a subject's data that this department knows of."""

    member: str
    names: dict[str, NameView] = Field(
        description="Names of departments by USCC: its own, others' as the network's shared document has them."
    )
    looks: list[LookView]
    next_before: int | None
    is_complete: bool = Field(
        description="False while looks of before an upgrade are not in the index: `POST /api/v1/subjects/index`."
    )
    receipt: str = Field(description="Receipt of this view, which is a look itself.")
    receipt_name: str
    receipt_file: str = Field(description="The same with the event and its openings, `*.receipt.json`.")


@router.post("/subjects/looks", responses=errors(404))
def show_looks(request: Request, body: LooksBody, caller: Officer) -> LooksView:
    """Show a subject, identified at the window, every look at its data but sealed ones. The view is logged before."""
    services = services_of(request)
    services.require_ready_to_sign()
    why = Purpose(officer=caller.name, purpose=PURPOSE, basis=body.basis, case=body.case)
    subject = fold_subject(body.subject.type, body.subject.id)
    shown = services.subjects.show(subject, body.document, why, limit=body.limit, before=body.before)
    own = services.identity
    looks = [_view(services.subjects, look, own.member) for look in shown.looks]
    others = {code for look in looks for code in (look.by, look.of)} - {own.member}
    names = services.subjects.name_members(sorted(others))
    return LooksView(
        member=own.member,
        names={own.member: NameView(zh=own.name_zh, en=own.name_en)}
        | {code: NameView(zh=name.zh, en=name.en) for code, name in names.items()},
        looks=looks,
        next_before=shown.next_before,
        is_complete=services.backfill.is_complete(),
        receipt=shown.view.receipt,
        receipt_name=shown.name,
        receipt_file=shown.file.decode(),
    )


class IndexedView(BaseModel):
    """How many events came into the index."""

    events: int
    is_complete: bool


@router.post("/subjects/index")
def index_earlier(request: Request, caller: Operator) -> IndexedView:
    """Enter looks of before an upgrade into the index, 20,000 at most; each stretch that is opened is an `audit` event."""
    services = services_of(request)
    services.require_ready_to_sign()
    count = services.backfill.run(caller.name, most=MOST_EVENTS)
    return IndexedView(events=count, is_complete=services.backfill.is_complete())


def _view(subjects: SubjectView, look: ShownLook, member: str) -> LookView:
    summary, first = summarise(look, member), look.parts[0]
    said = first.values
    name = subjects.name_purpose(said["purpose"])
    return LookView(
        rid=encode_b64u(look.rid),
        at_ms=first.at_ms,
        kind=first.kind,
        by=summary.by,
        of=summary.of,
        outcome=summary.outcome,
        records=summary.records,
        purpose=said["purpose"],
        purpose_name=None if name is None else NameView(zh=name[0], en=name[1]),
        basis=said["basis"],
        case=said["case"],
        items=said["items"] or [],
        rule=look.parts[-1].values["rule"],
        consent=said["consent"],
        parts=[_part(part) for part in look.parts],
    )


def _part(part: ShownPart) -> PartView:
    return PartView(
        kind=part.kind,
        log=part.origin,
        index=part.index,
        at_ms=part.at_ms,
        n=part.n,
        stage=part.stage,
        values=dict(part.values),
        name=part.name,
        file=None if part.file is None else part.file.decode(),
    )
