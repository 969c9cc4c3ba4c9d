# SPDX-License-Identifier: Apache-2.0
"""Routes for imports and records. Look-ups are POST, so that no identifier stands in an access line of a proxy."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, File, Form, Query, Request, UploadFile
from pydantic import StringConstraints

from node.api.auth import Officer, Operator
from node.api.models import (
    DECIMAL,
    CorrectBody,
    EvidenceBody,
    EvidenceView,
    FindBody,
    FoundView,
    JobView,
    LeafText,
    RecordView,
    RefusalView,
    SearchBody,
    ShownRecordView,
    WhyBody,
    WithdrawBody,
    job_view,
    known_form,
    record_view,
    refusal_view,
    row_of,
    shown_view,
)
from node.api.problems import errors, language_of
from node.api.state import services_of, state_of
from node.core.encoding import MAX_SAFE_INTEGER
from node.core.texts import title_of
from node.errors import Fatal, NodeError
from node.records.rules import RULES
from node.service.drafting import Purpose
from node.service.jobs import get_job, iterate_refusals, list_jobs
from node.service.tokens import Caller

MAX_NAME_CHARACTERS = 200
router = APIRouter(prefix="/api/v1", responses=errors(400, 401, 403, 500, 503))
ItemText = Annotated[str, StringConstraints(min_length=1, max_length=65)]


@router.post(
    "/imports",
    status_code=202,
    tags=["imports"],
    responses=errors(404, 409, 413),
    dependencies=[Depends(known_form)],
)
def order_import(
    request: Request,
    file: Annotated[UploadFile, File(description="The department's file: xlsx, xls, csv or ndjson.")],
    item: Annotated[ItemText, Form(description="Catalogue item, `penalty:2018`.")],
    caller: Operator,
    *,
    corrections: Annotated[bool, Form(description="Issue changed rows as corrections.")] = False,
) -> JobView:
    """Store a file and queue its import. Ask for the job to see how it goes."""
    state = state_of(request)
    importer = state.services.importer
    state.services.sequencer.require_writable()
    importer.require_item(item)
    job_id = importer.new_job_id()
    stored = state.uploads.store(job_id, file.file)
    try:
        job = importer.order(
            job_id=job_id,
            item=item,
            file_name=(file.filename or "upload")[-MAX_NAME_CHARACTERS:],
            file_digest=stored.digest,
            file_bytes=stored.size_bytes,
            officer=caller.name,
            corrections=corrections,
        )
    except Fatal:
        # The job may be there; the next start finds out, and needs its file then.
        raise
    except NodeError:
        # A file without a job holds personal data for nothing.
        state.uploads.remove(job_id)
        raise
    state.wake_imports()
    return job_view(job)


@router.get("/imports", tags=["imports"])
def list_imports(
    request: Request, caller: Operator, limit: Annotated[int, Query(ge=1, le=1000), DECIMAL] = 20
) -> list[JobView]:
    """List the newest imports."""
    del caller
    return [job_view(job) for job in list_jobs(services_of(request).store, limit=limit)]


@router.get("/imports/{job_id}", tags=["imports"], responses=errors(404))
def show_import(request: Request, job_id: str, caller: Operator) -> JobView:
    """Show how an import goes, or how it ended."""
    del caller
    services = services_of(request)
    return job_view(get_job(services.store, job_id), services.condition.imports)


@router.get("/imports/{job_id}/refusals", tags=["imports"], responses=errors(404))
def show_refusals(
    request: Request,
    job_id: str,
    caller: Operator,
    limit: Annotated[int, Query(ge=1, le=10_000), DECIMAL] = 1000,
    after: Annotated[
        int, Query(ge=0, le=MAX_SAFE_INTEGER, description="Continue behind this row number."), DECIMAL
    ] = 0,
) -> list[RefusalView]:
    """List refused rows with column, rule and class of value, in the order of the file."""
    del caller
    services = services_of(request)
    item = services.items.get(get_job(services.store, job_id).item)
    language = language_of(request)
    fields = item.fields if item else ()
    titles: dict[str | None, str] = {
        field.code: field.zh if language == "zh" else field.en for field in fields
    }
    views: list[RefusalView] = []
    for refusal in iterate_refusals(services.store, job_id, after=after):
        if len(views) >= limit and refusal.row != views[-1].row:
            break
        title = titles.get(refusal.column, refusal.column)
        views.append(refusal_view(refusal, title, _reason(refusal.rule, language)))
    return views


@router.post("/records/search", tags=["records"], responses=errors(413))
def search_records(request: Request, body: SearchBody, caller: Officer) -> list[RecordView]:
    """List records, newest first. Shows nothing of their content."""
    del caller
    lines = services_of(request).records.list_newest(limit=body.limit, before=body.before)
    return [record_view(line) for line in lines]


@router.post("/records/find", tags=["records"], responses=errors(409, 413))
def find_records(request: Request, body: FindBody, caller: Officer) -> FoundView:
    """List the records about one subject. The look is in the access log before anything is listed."""
    services = services_of(request)
    services.require_ready_to_sign()
    subject = body.subject
    found = services.records.find(subject.type, subject.id, _why(body, caller), limit=body.limit)
    return FoundView(records=[record_view(line) for line in found.lines], receipt=found.receipt)


@router.post("/records/{leaf}/show", tags=["records"], responses=errors(404, 409, 413, 422))
def show_record(request: Request, leaf: LeafText, body: WhyBody, caller: Officer) -> ShownRecordView:
    """Show all fields of a record. The look is in the access log before anything is opened."""
    services = services_of(request)
    services.require_ready_to_sign()
    return shown_view(services.records.show(bytes.fromhex(leaf), _why(body, caller)))


@router.post("/records/{leaf}/evidence", tags=["records"], responses=errors(404, 409, 413, 422))
def export_evidence(request: Request, leaf: LeafText, body: EvidenceBody, caller: Officer) -> EvidenceView:
    """Build an evidence file that discloses some fields. The look is in the access log before."""
    services = services_of(request)
    services.require_ready_to_sign()
    exported = services.exporter.export(bytes.fromhex(leaf), set(body.disclose), _why(body, caller))
    return EvidenceView(
        name=exported.name, stage=exported.stage, evidence=exported.data.decode(), receipt=exported.receipt
    )


@router.post("/records/{leaf}/withdraw", tags=["records"], responses=errors(404, 409, 413))
def withdraw_record(request: Request, leaf: LeafText, body: WithdrawBody, caller: Operator) -> RecordView:
    """Withdraw a record. Final; evidence says so from the next anchor on."""
    records = services_of(request).records
    return record_view(records.withdraw(bytes.fromhex(leaf), officer=caller.name, ground=body.ground))


@router.post("/records/{leaf}/correct", tags=["records"], responses=errors(404, 409, 413))
def correct_record(request: Request, leaf: LeafText, body: CorrectBody, caller: Operator) -> RecordView:
    """Issue a record that supersedes another; the old one becomes invalid in the same commit."""
    services = services_of(request)
    header, cells = row_of(body.values)
    old = bytes.fromhex(leaf)
    services.require_own_record_key()
    new = services.importer.correct(
        item=body.item or services.records.line(old).item,
        header=header,
        cells=cells,
        supersedes=old,
        officer=caller.name,
        ground=body.ground,
    )
    return record_view(services.records.line(new))


def _why(body: WhyBody, caller: Caller) -> Purpose:
    return Purpose(officer=caller.name, purpose=body.purpose, basis=body.basis, case=body.case)


def _reason(rule: str, language: str) -> str:
    found = RULES.get(rule)
    if found is None:
        return title_of(rule, language)
    return found[0] if language == "zh" else found[1]
