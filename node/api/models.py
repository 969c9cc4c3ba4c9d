# SPDX-License-Identifier: Apache-2.0
"""Bodies of requests and answers. Unknown members are refused."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints

from node.core.encoding import MAX_SAFE_INTEGER, parse_decimal
from node.records.sealed import MAX_VALUE_CHARACTERS
from node.service.jobs import UNFINISHED

if TYPE_CHECKING:
    from node.errors import NodeError
    from node.service.jobs import Job, RefusedRow
    from node.service.reading import StoredAnchor
    from node.service.records import RecordLine, ShownRecord


def _parse_number(value: object) -> object:
    """Read numbers of paths and queries by our grammar; Python and pydantic read many that are none."""
    return parse_decimal(value) if isinstance(value, str) else value


DECIMAL = BeforeValidator(_parse_number)
"""Stands last among the annotations of a number of a path or query."""
CellNumber = Annotated[int, Field(ge=-MAX_SAFE_INTEGER, le=MAX_SAFE_INTEGER)]
CellText = Annotated[str, StringConstraints(max_length=MAX_VALUE_CHARACTERS)]
CellFraction = Annotated[float, Field(allow_inf_nan=False)]
LeafText = Annotated[str, StringConstraints(pattern="^[0-9a-f]{64}$")]
ShortText = Annotated[str, StringConstraints(min_length=1, max_length=200)]


class Body(BaseModel):
    """A request body."""

    model_config = ConfigDict(extra="forbid", strict=True)


async def known_form(request: Request) -> None:
    """Refuse fields that the form of the route has not, and those that stand twice or empty: they would be passed over."""
    known = {field.alias for field in request.scope["route"].dependant.body_params}
    seen: set[str] = set()
    for name, value in (await request.form()).multi_items():
        if name not in known or name in seen or not value:
            fault = {
                "type": "extra_forbidden",
                "loc": ("body", name),
                "msg": "Extra inputs are not permitted",
            }
            raise RequestValidationError([fault])
        seen.add(name)


class WhyBody(Body):
    """Why someone looks; written into the access log."""

    purpose: ShortText = Field(
        description="Why the record is looked at, e.g. `own-records`: text, written into the access log."
    )
    basis: ShortText | None = Field(None, description="Legal basis or duty.")
    case: ShortText | None = Field(None, description="Case number.")


class SubjectBody(Body):
    """A subject."""

    type: Annotated[str, StringConstraints(pattern="^(uscc|org|reg|rid|name)$")]
    id: ShortText


class FindBody(WhyBody):
    """About whom records are looked for, and why."""

    subject: SubjectBody
    limit: int = Field(50, ge=1, le=1000, description="At most so many, the oldest first.")


class SearchBody(Body):
    """Which records to list."""

    limit: int = Field(50, ge=1, le=1000)
    before: int | None = Field(
        None, ge=0, le=MAX_SAFE_INTEGER, description="Only records below this log index."
    )


class EvidenceBody(WhyBody):
    """Which fields the evidence discloses."""

    disclose: list[ShortText] = Field(max_length=250, description="Field codes; `subject` is one of them.")


class WithdrawBody(Body):
    """Why a record is withdrawn."""

    ground: Annotated[str, StringConstraints(min_length=1, max_length=500)]


class CorrectBody(Body):
    """The whole corrected row."""

    values: dict[ShortText, CellText | CellNumber | CellFraction | None] = Field(
        max_length=500, description="Cells of the row by column name, as a file would have them."
    )
    ground: Annotated[str, StringConstraints(min_length=1, max_length=500)]
    item: ShortText | None = Field(
        None, description="Catalogue item; that of the corrected record by default."
    )


class JobView(BaseModel):
    """An import."""

    id: str
    item: str
    file_name: str
    file_sha256: str
    file_bytes: int
    officer: str
    corrections: bool
    state: str = Field(description="queued, running, done or failed")
    created_ms: int
    finished_ms: int
    last_row: int
    read: int
    accepted: int
    corrected: int
    duplicate: int
    refused: int
    flagged: int
    warnings: list[str]
    error_code: str | None
    error: str | None
    waiting_code: str | None = Field(None, description="Why it does not go on now, when it does not.")
    waiting: str | None = None


def job_view(job: Job, waiting: NodeError | None = None) -> JobView:
    """Show an import, and why imports wait, if they do."""
    unfinished = waiting if job.state in UNFINISHED else None
    return JobView(
        id=job.id,
        item=job.item,
        file_name=job.file_name,
        file_sha256=job.file_digest,
        file_bytes=job.file_bytes,
        officer=job.officer,
        corrections=job.corrections,
        state=job.state,
        created_ms=job.created_ms,
        finished_ms=job.finished_ms,
        last_row=job.last_row,
        read=job.read,
        accepted=job.accepted,
        corrected=job.corrected,
        duplicate=job.duplicate,
        refused=job.refused,
        flagged=job.flagged,
        warnings=list(job.warnings),
        error_code=job.error[0] if job.error else None,
        error=job.error[1] if job.error else None,
        waiting_code=unfinished.code if unfinished else None,
        waiting=unfinished.message if unfinished else None,
    )


class RefusalView(BaseModel):
    """One reason why a row was refused."""

    row: int = Field(description="Row number as the file's reader sees it.")
    column: str | None
    title: str | None = Field(
        description="The column's field in the caller's language; null as the column is."
    )
    rule: str
    reason: str = Field(description="The rule in the caller's language.")
    got: str = Field(description="Class of the value that was there, never the value.")


def refusal_view(refusal: RefusedRow, title: str | None, reason: str) -> RefusalView:
    """Show a refusal."""
    return RefusalView(
        row=refusal.row,
        column=refusal.column,
        title=title,
        rule=refusal.rule,
        reason=reason,
        got=refusal.value_class,
    )


class RecordView(BaseModel):
    """A record as lists show it."""

    index: int
    leaf: str
    item: str
    disclosure: str = Field(description="open, shared or authorised")
    status: str = Field(description="valid, invalid (withdrawn or superseded), suspended or repaired")
    stage: str = Field(description="integrated, published or anchored")


class FoundView(BaseModel):
    """The records about a subject."""

    records: list[RecordView]
    receipt: str = Field(description="Receipt of this look, which is a `read` event.")


def record_view(line: RecordLine) -> RecordView:
    """Show a line of a list."""
    return RecordView(
        index=line.index,
        leaf=line.leaf.hex(),
        item=line.item,
        disclosure=line.disclosure,
        status=line.status,
        stage=line.stage,
    )


class StatusChangeView(BaseModel):
    """A change of status."""

    status: int
    at_ms: int
    officer: str
    ground: str


class ShownRecordView(BaseModel):
    """A record with its fields."""

    record: RecordView
    subject: dict[str, str] | None
    fields: dict[str, str]
    history: list[StatusChangeView]
    receipt: str = Field(description="Receipt of this look; keep it if you may have to show why you looked.")


def shown_view(shown: ShownRecord) -> ShownRecordView:
    """Show a record."""
    return ShownRecordView(
        record=record_view(shown.line),
        subject=shown.opened.subject._asdict() if shown.opened.subject else None,
        fields=dict(shown.opened.values),
        history=[
            StatusChangeView(status=c.status, at_ms=c.at_ms, officer=c.officer, ground=c.ground)
            for c in shown.history
        ],
        receipt=shown.receipt,
    )


class EvidenceView(BaseModel):
    """An evidence file."""

    name: str = Field(description="File name: first 16 hex digits of the leaf hash.")
    stage: str
    evidence: str = Field(description="The file's content, to be saved byte for byte (UTF-8).")
    receipt: str


class AnchorView(BaseModel):
    """An accepted anchor of one log."""

    log: str
    i: int
    prev_size: int
    size: int
    root: str
    block: int
    time: int
    transaction: str
    gas_used: int


def anchor_view(log: str, stored: StoredAnchor) -> AnchorView:
    """Show an anchor."""
    anchor = stored.anchor
    return AnchorView(
        log=log,
        i=anchor.i,
        prev_size=anchor.prev_size,
        size=anchor.size,
        root=anchor.root.hex(),
        block=anchor.block,
        time=anchor.time,
        transaction="0x" + stored.transaction.hex(),
        gas_used=stored.gas_used,
    )


def row_of(values: dict[str, Any]) -> tuple[list[str], list[Any]]:
    """Split a row given by column names into header and cells."""
    return list(values.keys()), list(values.values())
