# SPDX-License-Identifier: Apache-2.0
"""Routes by which an auditor of this department looks into its own access log (docs/protocol/access-log.md)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Request
from fastapi import Path as PathParameter
from pydantic import BaseModel, Field, StringConstraints

from node.access.event import KINDS, RID_BYTES
from node.access.opening import parse_opening
from node.api.auth import Auditor
from node.api.models import DECIMAL, Body, WhyBody
from node.api.problems import errors
from node.api.state import services_of
from node.core.encoding import MAX_SAFE_INTEGER, encode_b64u, parse_b64u
from node.service.drafting import Purpose
from node.service.layout import MAX_NUMBER, place_of, split_place

if TYPE_CHECKING:
    from node.service.events import EventLine

router = APIRouter(prefix="/api/v1", tags=["log"], responses=errors(400, 401, 403, 500, 503))
KindText = Annotated[str, StringConstraints(pattern=f"^({'|'.join(KINDS)})$")]
RidText = Annotated[str, StringConstraints(pattern="^[A-Za-z0-9_-]{22}$")]
Millisecond = Annotated[int, Field(ge=0, le=MAX_SAFE_INTEGER)]


class SearchEventsBody(Body):
    """Which events to list; nothing of what they were about."""

    limit: int = Field(20, ge=1, le=1000, description="At most so many, the newest first.")
    before: int | None = Field(
        None,
        ge=0,
        le=MAX_SAFE_INTEGER,
        description="Only events below this `place`: the last of the page before.",
    )
    since: Millisecond | None = Field(None, description="Not before this millisecond.")
    until: Millisecond | None = Field(None, description="Before this millisecond.")
    kinds: list[KindText] = Field([], description="Only these kinds; empty for all.")
    rid: RidText | None = Field(None, description="Only events of this request, b64u of 16 bytes.")


class EventView(BaseModel):
    """One event, as it stands in the log."""

    place: int = Field(description="Counts over all access logs of the node; for `before`.")
    log: str = Field(description="Origin of its log.")
    number: int = Field(description="Succession number of that log.")
    index: int
    kind: str
    t: int = Field(description="Time in milliseconds, as this node says.")
    n: int = Field(description="Records, lines or events that were looked at.")
    rid: str
    req: str | None = Field(description="b64u SHA-256 of the request: grant, deny and receive have one.")
    leaf: str
    stage: str = Field(description="integrated, published or anchored")


class ShownEventView(BaseModel):
    """One event with what it was about."""

    event: EventView
    entry: str = Field(description="The entry's bytes.")
    values: dict[str, Any] = Field(description="The ten values, null where absent.")
    openings: list[str] = Field(description="The disclosures that prove them.")
    receipt_for: str | None = Field(
        description="USCC that its receipt is for; null when an older release logged it."
    )
    pair: int | None = Field(description="Number of that receipt.")
    receipt: str = Field(description="Receipt of this look, which is an `audit` event itself.")


@router.post("/access", responses=errors(413))
def search_events(request: Request, body: SearchEventsBody, caller: Auditor) -> list[EventView]:
    """List events of the own access log, newest first: what stands in the open, nothing of what they were about."""
    del caller
    lines = services_of(request).events.search(
        limit=body.limit,
        before=body.before,
        from_ms=body.since or 0,
        until_ms=body.until,
        kinds=frozenset(body.kinds),
        rid=None if body.rid is None else parse_b64u(body.rid, length=RID_BYTES),
    )
    return [_view(line) for line in lines]


@router.post("/access/{number}/{index}/show", responses=errors(404, 409, 413, 422))
def show_event(
    request: Request,
    number: Annotated[int, PathParameter(ge=0, le=MAX_NUMBER), DECIMAL],
    index: Annotated[int, PathParameter(ge=0, le=MAX_SAFE_INTEGER), DECIMAL],
    body: WhyBody,
    caller: Auditor,
) -> ShownEventView:
    """Show what an event was about. The look at it is in the access log before, as an `audit`; sealed ones are refused."""
    services = services_of(request)
    services.require_ready_to_sign()
    why = Purpose(officer=caller.name, purpose=body.purpose, basis=body.basis, case=body.case)
    shown = services.events.open(place_of(number, index), why)
    return ShownEventView(
        event=_view(shown.line),
        entry=shown.entry.decode(),
        values=dict(map(parse_opening, shown.openings)),
        openings=shown.openings,
        receipt_for=shown.aud,
        pair=shown.pair,
        receipt=shown.receipt,
    )


def _view(line: EventLine) -> EventView:
    event = line.event
    return EventView(
        place=line.place,
        log=line.origin,
        number=split_place(line.place)[0],
        index=line.index,
        kind=event.kind,
        t=event.t_ms,
        n=event.n,
        rid=encode_b64u(event.rid),
        req=None if event.req is None else encode_b64u(event.req),
        leaf=line.leaf.hex(),
        stage=line.stage,
    )
