# SPDX-License-Identifier: Apache-2.0
"""The route by which an auditor reads the receipts that this node holds from other members (docs/audit.md)."""

from __future__ import annotations

from typing import Final

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field

from node.api.auth import Auditor
from node.api.models import Body
from node.api.problems import errors
from node.api.state import services_of
from node.core.encoding import MAX_SAFE_INTEGER
from node.service.exchange.promised import read_promised
from node.service.layout import LogKind

MOST_RECEIPTS: Final = 256
router = APIRouter(prefix="/api/v1", tags=["log"], responses=errors(400, 401, 403, 500, 503))


class ReceiptsBody(Body):
    """Which page of them."""

    after: int | None = Field(
        None, ge=0, lt=MAX_SAFE_INTEGER, description="`next` of the page before; none for the first."
    )
    limit: int = Field(MOST_RECEIPTS, ge=1, le=MOST_RECEIPTS, description="At most so many.")


class ReceiptsView(BaseModel):
    """A page of receipts."""

    receipts: list[str] = Field(description="Compact JWS, as the other members signed them.")
    next: int | None = Field(description="For `after` of the next page; null when there is none.")


@router.post("/access/receipts", responses=errors(409, 413))
def read_receipts(request: Request, body: ReceiptsBody, caller: Auditor) -> ReceiptsView:
    """Receipts that this node holds from other members, in the order of its own events. The look at them is logged first, as one `audit`."""
    services = services_of(request)
    services.require_ready_to_sign()
    receipts, following = read_promised(
        services.store,
        services.logs[LogKind.ACCESS],
        services.access,
        after=body.after,
        limit=body.limit,
        officer=caller.name,
    )
    return ReceiptsView(receipts=receipts, next=following)
