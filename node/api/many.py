# SPDX-License-Identifier: Apache-2.0
"""Routes of questions about many subjects, and of the second officer who approves the larger ones (docs/exchange.md)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field, StringConstraints

from node.access.bulk_answer import BulkAnswer
from node.access.bulk_request import MAX_ASKED
from node.api.auth import Officer, require
from node.api.exchange import ASKS, GivenRecordView, OutcomeHead, TermsBody, exchange_of, head_of, record_view
from node.api.models import ShortText
from node.api.problems import errors, language_of
from node.api.state import services_of
from node.core.texts import title_of
from node.core.uscc import parse_uscc
from node.service.drafting import Officer as LoggedOfficer
from node.service.exchange.orders import Order
from node.service.tokens import Caller

if TYPE_CHECKING:
    from node.access.bulk_answer import AnsweredLine
    from node.service.exchange.approvals import Approval
    from node.service.exchange.orders import Outcome

router = APIRouter(prefix="/api/v1", tags=["exchange"], responses=errors(400, 401, 403, 500, 503))
Approver = Annotated[Caller, require("officer")]
"""Who approves for an officer is an officer himself; who only runs the node is not."""
IdText = Annotated[str, StringConstraints(pattern="^[0-9a-f]{32}$")]


class AskManyBody(TermsBody):
    """A question about many subjects to other departments."""

    type: Annotated[str, StringConstraints(pattern="^(uscc|org|reg|rid|name)$")] = Field(
        description="Type of all subjects."
    )
    subjects: list[ShortText] = Field(
        min_length=1, max_length=MAX_ASKED, description="Their identifiers, each once; one line each."
    )


class LineView(BaseModel):
    """What came of one line."""

    subject: str
    result: str = Field(description="ok, none or partial")
    code: str | None = Field(description="Why some records are not given.")
    title: str | None = Field(description="The same for a person.")
    withheld: int
    records: list[GivenRecordView]


class ManyOutcomeView(OutcomeHead):
    """What came of asking one department about many."""

    lines: list[LineView] = Field(description="In the order of the subjects; none without an answer.")


class ApprovalView(BaseModel):
    """A question that waits for a second officer, or was approved and waits to be asked."""

    id: str
    officer: str = Field(description="Account of who asks.")
    purpose: str
    lines: int = Field(description="Number of subjects.")
    filed: int = Field(description="Second since 1970 at which it was asked first.")
    expires: int = Field(description="Second from which on it is void.")
    approver: str | None = Field(description="Account of who approved it; null while it waits.")


class AskManyView(BaseModel):
    """What came of a question about many subjects."""

    complete: bool = Field(description="Whether every department gave an answer, refusals included.")
    waiting: ApprovalView | None = Field(
        description="What a second officer has to approve before anything is asked; null where nothing waits."
    )
    outcomes: list[ManyOutcomeView]


@router.post("/ask-many", responses=errors(404, 409, 413, 422))
async def ask_about_many(request: Request, body: AskManyBody, caller: Officer) -> AskManyView:
    """Ask other departments about many subjects of one type. One event for each department, with a line for each subject, is in the access log first. Above the purpose's cap it waits until a second officer has approved it; then the same call asks."""
    services, many = services_of(request), exchange_of(request).many
    services.require_ready_to_sign()
    order, language = _order(request, body, caller), language_of(request)
    asked = await ASKS.run(lambda: many.ask(order))
    return AskManyView(
        complete=asked.waiting is None and all(one.result != "failed" for one in asked.outcomes),
        waiting=None if asked.waiting is None else _approval_view(asked.waiting),
        outcomes=[_outcome_view(one, language) for one in asked.outcomes],
    )


@router.get("/approvals", responses=errors(409))
def list_approvals(request: Request, caller: Officer) -> list[ApprovalView]:
    """List questions that wait for a second officer or, approved, to be asked: who asks, for what, how many lines. Whom they are about is not kept."""
    del caller
    return [_approval_view(one) for one in exchange_of(request).many.approvals.list_waiting()]


@router.post("/approvals/{id}/approve", responses=errors(404, 409, 413, 422))
def approve_question(request: Request, id: IdText, body: AskManyBody, caller: Approver) -> ApprovalView:  # noqa: A002 - name of the path's part
    """Approve another officer's question about many subjects: the body is the very same question. Nobody approves his own."""
    many = exchange_of(request).many
    services_of(request).require_ready_to_sign()
    return _approval_view(many.approve(bytes.fromhex(id), _order(request, body, caller)))


def _order(request: Request, body: AskManyBody, caller: Caller) -> Order:
    domain = services_of(request).identity.domain
    return Order(
        officer=LoggedOfficer(caller.name),
        subject_type=body.type,
        subject_id="",
        fields={f"urn:ironcage:{domain}:{one.item}": one.fields for one in body.items},
        purpose=body.purpose,
        basis=body.basis,
        case=body.case,
        providers=None if body.providers is None else [parse_uscc(code) for code in body.providers],
        many=tuple(body.subjects),
    )


def _approval_view(approval: Approval) -> ApprovalView:
    return ApprovalView(
        id=approval.id.hex(),
        officer=approval.officer,
        purpose=approval.purpose,
        lines=approval.lines,
        filed=approval.filed,
        expires=approval.exp,
        approver=approval.approver,
    )


def _outcome_view(outcome: Outcome, language: str) -> ManyOutcomeView:
    answer = outcome.answer
    records = iter(
        [record_view(one, text) for one, text in zip(outcome.records, answer.records, strict=True)]
        if answer is not None
        else []
    )
    lines = answer.lines if isinstance(answer, BulkAnswer) else ()
    return ManyOutcomeView(
        **dict(head_of(outcome, language)),
        lines=[_line_view(one, [next(records) for _ in one.line.released or ()], language) for one in lines],
    )


def _line_view(line: AnsweredLine, records: list[GivenRecordView], language: str) -> LineView:
    view: dict[str, Any] = {
        "subject": line.line.subject.id,
        "result": "partial" if line.withheld else "ok" if records else "none",
        "code": line.code,
        "title": None if line.code is None else title_of(line.code, language),
        "withheld": line.withheld,
        "records": records,
    }
    return LineView(**view)
