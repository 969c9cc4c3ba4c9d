# SPDX-License-Identifier: Apache-2.0
"""Routes of the window at which subjects consent to be asked about (docs/protocol/policy.md, Consents)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final

from fastapi import APIRouter, Request
from fastapi.responses import Response
from pydantic import BaseModel, Field, StringConstraints

from node.access.consent import MAX_USES
from node.access.question import ItemQuery, fold_subject
from node.access.revocation import MAX_REVOCATION_ENVELOPE_BYTES
from node.api.auth import OPEN, Officer
from node.api.exchange import JSON, Desk, exchange_of
from node.api.models import Body, LeafText, ShortText, SubjectBody
from node.api.problems import errors
from node.api.state import services_of
from node.core.clock import MAX_TIME
from node.core.uscc import parse_uscc
from node.errors import InvalidInput
from node.service.consents import Terms
from node.service.drafting import Purpose

if TYPE_CHECKING:
    from node.core.types import MemberCode
    from node.service.consents import ShownConsent
    from node.service.exchange.wiring import Exchange
    from node.service.tokens import Caller

router = APIRouter(prefix="/api/v1", tags=["consents"], responses=errors(400, 401, 403, 409, 413, 500, 503))
wire = APIRouter(tags=["exchange"], responses=errors(400, 403, 409, 413, 422, 500, 503))
AT_THE_WINDOW = "consent-window"
"""Purpose of the looks and steps that the window itself logs."""
TAKING: Final = 8
"""Revocations of other members taken at once; they share commits."""
_TAKES: Final = Desk("revocations", TAKING)


class ConsentedItem(Body):
    """Fields of one kind of record that may be shown."""

    item: Annotated[str, StringConstraints(pattern="^[a-z0-9-]{1,32}:[a-z0-9-]{1,32}$")] = Field(
        description="Catalogue item, `penalty:2018`."
    )
    fields: list[ShortText] = Field(
        min_length=1, max_length=248, description="Field codes; `subject` is one of them."
    )


class WindowBody(Body):
    """On what ground the officer acts; written into the access log."""

    basis: ShortText | None = Field(None, description="Legal basis or duty.")
    case: ShortText | None = Field(None, description="Number of the application or case.")


class GiveBody(WindowBody):
    """What a subject, identified at the window, consents to."""

    subject: SubjectBody
    provider: ShortText = Field(description="USCC of the one department that may show the records.")
    asker: ShortText = Field(description="USCC of the one department that may ask.")
    purpose: ShortText = Field(description="Code of the one purpose.")
    items: list[ConsentedItem] = Field(min_length=1, max_length=64)
    end: int = Field(ge=0, le=MAX_TIME, description="Second from which the consent is void.")
    uses: int = Field(1, ge=1, le=MAX_USES, description="How often it may be used.")


class TakeBackBody(WindowBody):
    """Taking back a consent of another member's window, at its provider."""

    consent: Annotated[str, StringConstraints(max_length=16_384)] = Field(description="The consent, JWT.")


class ShowBody(WindowBody):
    """Whose consents are shown."""

    subject: SubjectBody


class GivenView(BaseModel):
    """A consent that was given."""

    consent: str = Field(description="The consent, JWT, for the asker. It is handed out once and not kept.")
    digest: str = Field(description="SHA-256 of it, by which it is listed and taken back.")
    event: int = Field(description="Entry of the event in the access log.")
    receipt: str


class TakenBackView(BaseModel):
    """A consent that was taken back."""

    provider: str
    is_effective: bool = Field(
        description="Whether the provider knows it; otherwise this node tells it until it does."
    )
    trouble: str | None = Field(description="Code of why the provider could not be told yet.")
    event: int
    receipt: str


class ConsentView(BaseModel):
    """A consent of a subject."""

    digest: str
    asker: str
    provider: str
    purpose: str
    items: list[ConsentedItem]
    given_ms: int
    end: int
    uses: int
    used: int | None = Field(description="How often it was used; null where another member counts.")
    revoked: int | None = Field(description="Second at which it was taken back here.")
    is_effective: bool = Field(
        description="Of one that was taken back: whether the provider knows it, or it has ended. True for all others."
    )
    known: int | None = Field(
        description="Second at which this node saw that another provider knows that it was taken back."
    )
    trouble: str | None = Field(description="Code of why the provider could not be told yet.")


@router.post("/consents", status_code=201, responses=errors(422))
def give_consent(request: Request, body: GiveBody, caller: Officer) -> GivenView:
    """Sign a consent of a subject whom the officer has identified, and log it."""
    window = _exchange(request).window
    domain = services_of(request).identity.domain
    items = sorted(
        ItemQuery(f"urn:ironcage:{domain}:{one.item}", tuple(sorted(set(one.fields)))) for one in body.items
    )
    terms = Terms(
        subject=fold_subject(body.subject.type, body.subject.id),
        provider=parse_uscc(body.provider),
        asker=parse_uscc(body.asker),
        purpose=body.purpose,
        items=items,
        end=body.end,
        uses=body.uses,
    )
    given = window.give(terms, _why(body, caller))
    return GivenView(
        consent=given.token,
        digest=given.digest.hex(),
        event=given.logged.index,
        receipt=given.logged.receipt,
    )


@router.post("/consents/search")
def show_consents(request: Request, body: ShowBody, caller: Officer) -> list[ConsentView]:
    """Show a subject the consents that were given here. The look is logged, whether there are any or not."""
    subject = fold_subject(body.subject.type, body.subject.id)
    exchange, services = _exchange(request), services_of(request)
    shown = exchange.window.show_of(subject, _why(body, caller))
    return [_view(one, exchange, services.identity.member, services.clock.now_seconds()) for one in shown]


@router.post("/consents/revoke")
def take_back_token(request: Request, body: TakeBackBody, caller: Officer) -> TakenBackView:
    """Take back a consent that was given at another member's window for this provider."""
    logged = _exchange(request).window.take_back_token(body.consent, _why(body, caller))
    member = services_of(request).identity.member
    return TakenBackView(
        provider=member, is_effective=True, trouble=None, event=logged.index, receipt=logged.receipt
    )


@router.post("/consents/{digest}/revoke", responses=errors(404))
def take_back_consent(request: Request, digest: LeafText, body: WindowBody, caller: Officer) -> TakenBackView:
    """Take back a consent that was given at this window. Another provider is told at once, and until it knows."""
    exchange, consent = _exchange(request), bytes.fromhex(digest)
    logged, provider = exchange.window.take_back(consent, _why(body, caller))
    is_own = provider == services_of(request).identity.member
    is_effective = is_own or exchange.outbox.tell(provider, consent)
    return TakenBackView(
        provider=provider,
        is_effective=is_effective,
        trouble=None if is_effective else exchange.outbox.trouble_of(provider, consent),
        event=logged.index,
        receipt=logged.receipt,
    )


@wire.post(
    "/exchange/v1/revocation",
    dependencies=[OPEN],
    response_class=Response,
    responses={
        200: {"description": "The answer, an envelope.", "content": {JSON: {"schema": {"type": "object"}}}}
    },
)
async def take_revocation(request: Request) -> Response:
    """Take what the window of another member says of a consent for this provider: it was taken back. Open to all: who says so, the signature inside says."""
    revocations = exchange_of(request).revocations
    body = await request.body()
    if len(body) > MAX_REVOCATION_ENVELOPE_BYTES:
        raise InvalidInput(
            "envelope-size", f"envelope has {len(body)} bytes, want at most {MAX_REVOCATION_ENVELOPE_BYTES}"
        )
    services_of(request).require_ready_to_sign()
    return Response(await _TAKES.run(lambda: revocations.take(body)), media_type=JSON)


def _exchange(request: Request) -> Exchange:
    exchange = exchange_of(request)
    services_of(request).require_ready_to_sign()
    return exchange


def _why(body: WindowBody, caller: Caller) -> Purpose:
    return Purpose(officer=caller.name, purpose=AT_THE_WINDOW, basis=body.basis, case=body.case)


def _view(shown: ShownConsent, exchange: Exchange, member: MemberCode, now_seconds: int) -> ConsentView:
    is_open = shown.revoked is not None and shown.provider != member and shown.known is None
    # Of one that has ended nobody is told any more.
    is_effective = not is_open or shown.end <= now_seconds
    trouble = None
    if not is_effective:
        trouble = exchange.outbox.trouble_of(parse_uscc(shown.provider), shown.digest)
    return ConsentView(
        digest=shown.digest.hex(),
        asker=shown.asker,
        provider=shown.provider,
        purpose=shown.purpose,
        items=[
            ConsentedItem(item=one["vct"].split(":", 3)[-1], fields=list(one["fields"]))
            for one in shown.items
        ],
        given_ms=shown.given_ms,
        end=shown.end,
        uses=shown.uses,
        used=shown.used,
        revoked=shown.revoked,
        is_effective=is_effective,
        known=shown.known,
        trouble=trouble,
    )
