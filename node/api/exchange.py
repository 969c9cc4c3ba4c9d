# SPDX-License-Identifier: Apache-2.0
"""Routes of exchanges: envelopes of other members, and questions of own officers (docs/exchange.md).

Both have threads of their own: a flood of envelopes, or a provider that takes its time, delays nothing else of this
node. What finds no thread and no place in the queue is told at once to come again.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Annotated, Final, TypeVar

from fastapi import APIRouter, Request
from fastapi.responses import Response
from pydantic import BaseModel, Field, StringConstraints

from node.access.box import MAX_REQUEST_BYTES, max_envelope_bytes
from node.access.warrant import MAX_WARRANT_BYTES
from node.api.auth import OPEN, Officer
from node.api.models import Body, ShortText, SubjectBody
from node.api.problems import errors, language_of, problem
from node.api.state import services_of
from node.core.texts import title_of
from node.core.uscc import parse_uscc
from node.errors import AccessDenied, Conflict, InvalidInput, Unavailable
from node.log.checkpoint import parse_signed_checkpoint
from node.service.drafting import Officer as LoggedOfficer
from node.service.exchange.orders import MOST_PROVIDERS, Order
from node.service.records import STATUS_WORDS

if TYPE_CHECKING:
    from collections.abc import Callable

    from node.evidence.answered import AnsweredRecord
    from node.service.exchange.orders import Outcome
    from node.service.exchange.wiring import Exchange

T = TypeVar("T")
MAX_ENVELOPE_BYTES: Final = max_envelope_bytes(MAX_REQUEST_BYTES)
TOO_MANY_STATUS: Final = 429
DENY_RETRY_SECONDS: Final = 600
"""What a member is told to wait whose requests were refused too often."""
ANSWERING: Final = 48
"""Envelopes answered at once; they share commits."""
ASKING: Final = 64
"""Officers' questions on their way at once; each waits for other nodes."""
WAITING: Final = 256
"""What may wait for a thread before more is turned away."""
JSON: Final = "application/json"

wire = APIRouter(tags=["exchange"], responses=errors(400, 403, 409, 413, 422, 429, 500, 503))
staff = APIRouter(prefix="/api/v1", tags=["exchange"], responses=errors(400, 401, 403, 500, 503))


class Desk:
    """Runs calls in threads of its own, a bounded number at once, and turns away what would wait too long.

    Args:
        name: Of its threads.
        threads: How many calls run at once.
    """

    def __init__(self, name: str, threads: int) -> None:
        self._most = threads + WAITING
        self._present = 0
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix=name)

    async def run(self, call: Callable[[], T]) -> T:
        """Run a call.

        Raises:
            Unavailable: ``exchange-busy``.
        """
        if self._present >= self._most:
            raise Unavailable("exchange-busy", f"{self._present} exchanges are under way: try again later")
        self._present += 1
        try:
            return await asyncio.wrap_future(self._threads.submit(call))
        finally:
            self._present -= 1


_ANSWERS: Final = Desk("answers", ANSWERING)
ASKS: Final = Desk("asks", ASKING)


class AskedItem(Body):
    """One kind of record to ask for."""

    item: Annotated[str, StringConstraints(pattern="^[a-z0-9-]{1,32}:[a-z0-9-]{1,32}$")] = Field(
        description="Catalogue item, `penalty:2018`."
    )
    fields: list[ShortText] | None = Field(
        None,
        min_length=1,
        max_length=248,
        description="Field codes; by default all that the purpose may see.",
    )


class ConsentBody(Body):
    """Consent of the subject for one provider."""

    provider: ShortText = Field(description="USCC of the department that it names.")
    consent: Annotated[str, StringConstraints(max_length=16_384)] = Field(description="The consent, JWT.")


class TermsBody(Body):
    """What is asked for, why, and of whom."""

    items: list[AskedItem] = Field(min_length=1, max_length=64)
    purpose: ShortText = Field(description="Code of the purpose, as the purposes document has it.")
    basis: ShortText | None = Field(None, description="Code of the legal basis.")
    case: ShortText | None = Field(None, description="Case number.")
    providers: list[ShortText] | None = Field(
        None,
        min_length=1,
        max_length=MOST_PROVIDERS,
        description="USCCs of the departments to ask; by default all that can be reached.",
    )


class AskBody(TermsBody):
    """A question to other departments."""

    subject: SubjectBody
    consents: list[ConsentBody] = Field(default_factory=list, max_length=MOST_PROVIDERS)
    warrant: Annotated[str, StringConstraints(max_length=MAX_WARRANT_BYTES)] | None = Field(
        None, description="A regulator's warrant, JWT: the subject is shown the question only later."
    )


class GivenRecordView(BaseModel):
    """A record that a department gave, verified by this node."""

    vct: str
    leaf: str
    status: str
    fields: dict[str, str]
    subject: dict[str, str] | None
    presentation: str = Field(description="SD-JWT with the disclosed fields.")


class SearchedView(BaseModel):
    """The state of the records log that was searched."""

    log: str
    size: int


class OutcomeHead(BaseModel):
    """What came of asking one department, but for the records."""

    provider: str
    result: str = Field(
        description="ok, none, partial, deny, failed (no answer that holds) or refused (by this node)"
    )
    code: str | None = Field(description="Why some or all is not there.")
    title: str | None = Field(description="The same for a person.")
    detail: str | None
    found: int
    withheld: int
    as_of: SearchedView | None
    receipts: list[str] = Field(description="This node's own receipts, of ask and receive or of its refusal.")
    answer: str | None = Field(description="The department's signed answer, JWS, with its own receipt.")


class OutcomeView(OutcomeHead):
    """What came of asking one department."""

    records: list[GivenRecordView]


class AskView(BaseModel):
    """What came of a question."""

    complete: bool = Field(description="Whether every department gave an answer, refusals included.")
    outcomes: list[OutcomeView]


@wire.post(
    "/exchange/v1",
    dependencies=[OPEN],
    response_class=Response,
    responses={
        200: {"description": "The answer, an envelope.", "content": {JSON: {"schema": {"type": "object"}}}}
    },
)
async def answer_envelope(request: Request) -> Response:
    """Answer a sealed question of another member. Who asks, the signature inside says. Open to all."""
    provider = exchange_of(request).provider
    body = await request.body()
    if len(body) > MAX_ENVELOPE_BYTES:
        raise InvalidInput(
            "envelope-size", f"envelope has {len(body)} bytes, want at most {MAX_ENVELOPE_BYTES}"
        )
    services_of(request).require_ready_to_sign()
    try:
        answer = await _ANSWERS.run(lambda: provider.answer(body))
    except AccessDenied as error:
        if error.code != "deny-limit":
            raise
        wait = {"Retry-After": str(DENY_RETRY_SECONDS)}
        return problem(request, TOO_MANY_STATUS, error.code, error.message, wait)
    return Response(answer, media_type=JSON)


@staff.post("/ask", response_model=AskView, responses=errors(404, 409, 413, 422))
async def ask_departments(request: Request, body: AskBody, caller: Officer) -> Response:
    """Ask other departments about a subject. Each question, and what came of it, is in the access log before it is shown."""
    services, asker = services_of(request), exchange_of(request).asker
    services.require_ready_to_sign()
    order = Order(
        officer=LoggedOfficer(caller.name),
        subject_type=body.subject.type,
        subject_id=body.subject.id,
        fields={f"urn:ironcage:{services.identity.domain}:{one.item}": one.fields for one in body.items},
        purpose=body.purpose,
        basis=body.basis,
        case=body.case,
        providers=None if body.providers is None else [parse_uscc(code) for code in body.providers],
        consents={parse_uscc(one.provider): one.consent for one in body.consents},
        warrant=body.warrant,
    )
    language = language_of(request)
    outcomes = await ASKS.run(lambda: asker.ask(order))
    views = [_outcome_view(one, language) for one in outcomes]
    view = AskView(complete=all(one.result != "failed" for one in outcomes), outcomes=views)
    # Its bytes, or FastAPI validates it once more.
    return Response(view.model_dump_json(), media_type=JSON)


def exchange_of(request: Request) -> Exchange:
    """Give both sides of exchanges.

    Raises:
        Conflict: ``exchange-off``.
    """
    exchange = services_of(request).exchange
    if exchange is None:
        raise Conflict("exchange-off", "this node neither asks nor answers: it has no exchange key")
    return exchange


def _outcome_view(outcome: Outcome, language: str) -> OutcomeView:
    texts = () if outcome.answer is None else outcome.answer.records
    return OutcomeView(
        **dict(head_of(outcome, language)),
        records=[record_view(one, text) for one, text in zip(outcome.records, texts, strict=True)],
    )


def head_of(outcome: Outcome, language: str) -> OutcomeHead:
    """Show what came of asking one department, but for the records."""
    answer = outcome.answer
    as_of = None
    if answer is not None:
        searched = parse_signed_checkpoint(answer.as_of)[0]
        as_of = SearchedView(log=searched.origin, size=searched.size)
    return OutcomeHead(
        provider=outcome.provider,
        result=outcome.result,
        code=outcome.code,
        title=None if outcome.code is None else title_of(outcome.code, language),
        detail=outcome.detail,
        found=0 if answer is None else answer.found,
        withheld=0 if answer is None else answer.withheld,
        as_of=as_of,
        receipts=list(outcome.receipts),
        answer=outcome.token,
    )


def record_view(given: AnsweredRecord, presentation: str) -> GivenRecordView:
    """Show a record that was given."""
    record = given.record
    subject = record.disclosed.get("subject")
    return GivenRecordView(
        vct=record.claims.vct,
        leaf=record.leaf.hex(),
        status=STATUS_WORDS.get(given.status, str(given.status)),
        fields={name: value for name, value in record.disclosed.items() if name != "subject"},
        subject=subject,
        presentation=presentation,
    )
