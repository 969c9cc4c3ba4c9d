# SPDX-License-Identifier: Apache-2.0
"""Routes of sealed looks: a regulator's warrants and what it holds under them, and how many there were (docs/exchange.md)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Final

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response
from pydantic import BaseModel, Field

from node.access.deposit import MAX_DEPOSIT_ENVELOPE_BYTES
from node.access.warrant import MAX_LOOKS
from node.api.auth import OPEN, Administrator, Auditor
from node.api.exchange import JSON, Desk, exchange_of
from node.api.models import DECIMAL, Body, LeafText, ShortText, WhyBody
from node.api.problems import errors
from node.api.state import services_of
from node.core.clock import MAX_TIME
from node.core.encoding import MAX_SAFE_INTEGER, encode_b64u
from node.core.uscc import parse_uscc
from node.crypto.token import token_digest
from node.errors import InvalidInput
from node.service.drafting import Purpose
from node.service.sealing import list_counts

if TYPE_CHECKING:
    from node.service.depository import Depository, Held, Issued
    from node.service.tokens import Caller

wire = APIRouter(tags=["exchange"], responses=errors(400, 403, 409, 413, 422, 500, 503))
router = APIRouter(prefix="/api/v1", tags=["sealed"], responses=errors(400, 401, 403, 409, 500, 503))
public = APIRouter(prefix="/api/v1", tags=["sealed"], responses=errors(500, 503))
TAKING: Final = 16
"""Deposits taken at once; they share commits."""
MOST_LISTED: Final = 1_000
_TAKES: Final = Desk("deposits", TAKING)


class IssueBody(WhyBody):
    """A warrant to sign."""

    asker: ShortText = Field(description="USCC of the one department that may look in secret.")
    looks: int = Field(ge=1, le=MAX_LOOKS, description="How many looks, at most.")
    end: int = Field(ge=0, le=MAX_TIME, description="Second from which it is void.")
    open_by: int = Field(
        ge=0,
        le=MAX_TIME,
        description="Second by which every look is opened: from then on its subject sees it. Five years ahead at most.",
    )


class ListBody(Body):
    """Which boxes to list."""

    after: int | None = Field(
        None, ge=0, le=MAX_SAFE_INTEGER, description="Place of the last one listed before."
    )
    limit: int = Field(100, ge=1, le=MOST_LISTED)
    overdue: bool = Field(
        False, description="Only those that nobody opened by their day; `after` is not used."
    )


class IssuedView(BaseModel):
    """A warrant that was just signed."""

    warrant: str = Field(description="The warrant, JWT, for the department that it names.")
    digest: str
    event: int = Field(description="Entry of the event in the access log.")
    receipt: str


class WarrantView(BaseModel):
    """A warrant of this regulator."""

    digest: str
    place: int = Field(description="Of its event in the access logs.")
    asker: str
    issued: int
    end: int
    open_by: int
    looks: int
    used: int = Field(description="Looks under it so far.")
    revoked: int | None = Field(description="Second at which it was taken back.")


class TakenBackView(BaseModel):
    """A warrant that was taken back."""

    event: int
    receipt: str


class BoxView(BaseModel):
    """What is held of one sealed event; nothing of what it says."""

    box: str = Field(description="SHA-256 of the box, hex; the event has it as `box`.")
    warrant: str
    rid: str
    member: str = Field(description="Whose event it is.")
    part: str = Field(description="ask, grant or receive")
    peer: str = Field(description="The other side of the exchange.")
    place: int
    taken: int
    open_by: int
    opened: int | None


class OpenedView(BaseModel):
    """A box that was opened."""

    held: BoxView
    values: dict[str, Any] = Field(description="The ten values of the event; null where absent.")
    openings: list[str] = Field(description="Their disclosures, which the event's digests prove.")
    receipt: str = Field(description="Receipt of this look.")
    statement: str = Field(description="What this regulator says that the box held, JWT.")


class CountView(BaseModel):
    """Sealed looks of one month."""

    month: str = Field(description="`2026-11`, UTC.")
    asked: int = Field(description="Looks that this department asked for.")
    answered: int = Field(description="Looks that it gave to others.")


@wire.post(
    "/exchange/v1/deposit",
    dependencies=[OPEN],
    response_class=Response,
    responses={
        200: {"description": "The answer, an envelope.", "content": {JSON: {"schema": {"type": "object"}}}}
    },
)
async def take_deposit(request: Request) -> Response:
    """Hold what another member sealed under this regulator's warrant, and answer with its receipt. Open to all: who sent it, the signature inside says."""
    depository = _depository(request)
    body = await request.body()
    if len(body) > MAX_DEPOSIT_ENVELOPE_BYTES:
        raise InvalidInput(
            "envelope-size", f"envelope has {len(body)} bytes, want at most {MAX_DEPOSIT_ENVELOPE_BYTES}"
        )
    services_of(request).require_ready_to_sign()
    return Response(await _TAKES.run(lambda: depository.take(body)), media_type=JSON)


@router.post("/warrants", status_code=201, responses=errors(413, 422))
def issue_warrant(request: Request, body: IssueBody, caller: Administrator) -> IssuedView:
    """Sign a warrant, at a member with role regulator, and log that it was."""
    depository = _depository(request)
    services_of(request).require_ready_to_sign()
    token, logged = depository.issue(
        parse_uscc(body.asker), body.looks, body.end, body.open_by, _why(body, caller)
    )
    return IssuedView(
        warrant=token, digest=token_digest(token).hex(), event=logged.index, receipt=logged.receipt
    )


@router.get("/warrants")
def list_warrants(
    request: Request,
    _caller: Auditor,
    limit: Annotated[int, Query(ge=1, le=MOST_LISTED), DECIMAL] = 100,
    after: Annotated[
        int | None,
        Query(ge=0, le=MAX_SAFE_INTEGER, description="Place of the last one listed before."),
        DECIMAL,
    ] = None,
) -> list[WarrantView]:
    """The warrants that were issued here, in that order, and how often they were used."""
    return [_warrant_view(one) for one in _depository(request).warrants(after=after, limit=limit)]


@router.post("/warrants/{digest}/revoke", responses=errors(404, 413))
def take_back_warrant(
    request: Request, digest: LeafText, body: WhyBody, caller: Administrator
) -> TakenBackView:
    """Take a warrant back: nothing more is released on it, begun looks included. What was sealed stays sealed until its day."""
    depository = _depository(request)
    services_of(request).require_ready_to_sign()
    logged = depository.take_back(bytes.fromhex(digest), _why(body, caller))
    return TakenBackView(event=logged.index, receipt=logged.receipt)


@router.post("/sealed", responses=errors(413))
def list_boxes(request: Request, body: ListBody, _caller: Auditor) -> list[BoxView]:
    """What this regulator holds, in the order in which it came; nothing of what it says."""
    depository = _depository(request)
    found = (
        depository.overdue(limit=body.limit)
        if body.overdue
        else depository.boxes(after=body.after, limit=body.limit)
    )
    return [_box_view(one) for one in found]


@router.post("/sealed/{box}/open", responses=errors(404, 413, 422))
def open_box(request: Request, box: LeafText, body: WhyBody, caller: Auditor) -> OpenedView:
    """What a sealed event says. The look is logged first."""
    depository = _depository(request)
    services_of(request).require_ready_to_sign()
    opened = depository.open(bytes.fromhex(box), _why(body, caller))
    return OpenedView(
        held=_box_view(opened.held),
        values=dict(opened.values),
        openings=list(opened.openings),
        receipt=opened.receipt,
        statement=opened.statement,
    )


@public.get("/sealed/counts", dependencies=[OPEN])
def count_looks(request: Request) -> list[CountView]:
    """How many sealed looks this department asked for and gave in each month that is over. Open to all."""
    return [
        CountView(month=one.month, asked=one.asked, answered=one.answered)
        for one in list_counts(services_of(request).store, services_of(request).clock.now_seconds())
    ]


def _depository(request: Request) -> Depository:
    return exchange_of(request).depository


def _why(body: WhyBody, caller: Caller) -> Purpose:
    return Purpose(officer=caller.name, purpose=body.purpose, basis=body.basis, case=body.case)


def _warrant_view(issued: Issued) -> WarrantView:
    warrant = issued.warrant
    return WarrantView(
        digest=warrant.digest.hex(),
        place=issued.place,
        asker=warrant.asker,
        issued=warrant.iat,
        end=warrant.exp,
        open_by=warrant.open_by,
        looks=warrant.looks,
        used=issued.used,
        revoked=issued.revoked,
    )


def _box_view(held: Held) -> BoxView:
    return BoxView(
        box=held.box.hex(),
        warrant=held.warrant.hex(),
        rid=encode_b64u(held.rid),
        member=held.owner,
        part=held.part,
        peer=held.peer,
        place=held.place,
        taken=held.taken,
        open_by=held.open_by,
        opened=held.opened,
    )
