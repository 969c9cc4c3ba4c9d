# SPDX-License-Identifier: Apache-2.0
"""Routes for erasing records. Erasing is final, so it is for administrators alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, Field, StringConstraints

from node.api.auth import Administrator, Staff
from node.api.models import DECIMAL, Body, LeafText, ShortText
from node.api.problems import errors
from node.api.state import services_of
from node.core.encoding import MAX_SAFE_INTEGER
from node.records.tombstone import GROUNDS
from node.service.drafting import Purpose

if TYPE_CHECKING:
    from node.service.erasing import Erased, Erasure
    from node.service.services import Services

router = APIRouter(prefix="/api/v1", tags=["erasure"], responses=errors(400, 401, 403, 500, 503))
GroundText = Annotated[str, StringConstraints(pattern=f"^({'|'.join(GROUNDS)})$")]


class EraseBody(Body):
    """Why a record is erased."""

    ground: GroundText = Field(description="Stands in the tombstone, open to all.")
    basis: ShortText | None = Field(None, description="Legal basis; stands in the access log, salted.")
    case: ShortText | None = Field(None, description="Number of the order or case; salted too.")
    with_versions: bool = Field(
        default=False, description="Erase the records as well that it corrected or that corrected it."
    )


class ErasureView(BaseModel):
    """An erased record."""

    index: int
    leaf: str = Field(description="Leaf hash of the record, which stays in the log.")
    item: str
    ground: str
    erased: int = Field(description="When its secret was deleted, in seconds.")
    final_by: int = Field(description="When the last backup with its secret has expired, in seconds.")
    tombstone: str = Field(description="The signed `tombstone+jwt`.")
    log: str = Field(description="Origin of the log that the tombstone is in.")
    tombstone_index: int = Field(description="Its entry there: `ironcage log prove` proves it.")
    tombstone_stage: str = Field(description="integrated, published or anchored")
    event: int = Field(description="Entry of the event in the access log.")
    purged: bool = Field(description="Whether the deleted bytes are gone from the node's disk.")
    receipt: str | None = Field(None, description="Receipt of the event, given when the record is erased.")
    open_versions: list[str] = Field(
        description="Leaf hashes of the records that it corrected or that corrected it and that still open."
    )
    also: list[ErasureView] = Field(default=[], description="Other versions that were erased with it.")


@router.post("/records/{leaf}/erase", responses=errors(404, 409, 413, 422))
def erase_record(request: Request, leaf: LeafText, body: EraseBody, caller: Administrator) -> ErasureView:
    """Erase a record for good: its secret, and what finds it by subject or document. A second call changes nothing."""
    services = services_of(request)
    services.require_ready_to_sign()
    why = Purpose(officer=caller.name, purpose=body.ground, basis=body.basis, case=body.case)
    done = services.eraser.erase(
        bytes.fromhex(leaf), ground=body.ground, why=why, with_versions=body.with_versions
    )
    return _view_all(services, done)


@router.get("/records/{leaf}/erasure", responses=errors(404))
def show_erasure(request: Request, leaf: LeafText, caller: Staff) -> ErasureView:
    """Show the tombstone of an erased record and how far it has come."""
    del caller
    services = services_of(request)
    return _view(services, services.eraser.find(bytes.fromhex(leaf)))


@router.get("/erasures")
def list_erasures(
    request: Request,
    caller: Staff,
    limit: Annotated[int, Query(ge=1, le=1000), DECIMAL] = 100,
    after: Annotated[
        int | None, Query(ge=0, le=MAX_SAFE_INTEGER, description="Continue behind this index."), DECIMAL
    ] = None,
) -> list[ErasureView]:
    """List erased records: what has to be erased again when an older backup is restored."""
    del caller
    services = services_of(request)
    return [_view(services, found) for found in services.eraser.list_all(limit=limit, after=after)]


def _view_all(services: Services, done: Erased) -> ErasureView:
    view = _view(services, done.erasure, done.receipt)
    view.also = [_view(services, each.erasure, each.receipt) for each in done.also]
    return view


def _view(services: Services, erasure: Erasure, receipt: str | None = None) -> ErasureView:
    shown = services.eraser.show(erasure)
    return ErasureView(
        index=erasure.place,
        leaf=shown.leaf.hex(),
        item=shown.item,
        ground=erasure.ground,
        erased=erasure.erased,
        final_by=erasure.final_by,
        tombstone=shown.tombstone,
        log=shown.origin,
        tombstone_index=shown.index,
        tombstone_stage=shown.stage,
        event=erasure.event,
        purged=erasure.purged,
        receipt=receipt,
        open_versions=[leaf.hex() for leaf in shown.open_versions],
    )
