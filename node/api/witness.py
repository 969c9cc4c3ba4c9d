# SPDX-License-Identifier: Apache-2.0
"""A route by which a member learns, when its node starts, what this one holds of it."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Request
from pydantic import BaseModel, Field

from node.api.auth import OPEN
from node.api.problems import errors
from node.api.state import services_of
from node.core.uscc import USCC_FORM, parse_uscc

router = APIRouter(prefix="/api/v1", tags=["node"], responses=errors(400, 500, 503))


class HeldView(BaseModel):
    """What this node holds of a member's logs."""

    notes: list[str] = Field(description="Signed checkpoints, as the member's node sent them.")
    sealed: str | None = Field(
        description="Envelope to the member with the newest of its receipts; null where there is none, or no key."
    )


@router.get("/held/{member}", dependencies=[OPEN])
def show_held(
    request: Request, member: Annotated[str, Path(pattern=f"^{USCC_FORM}$", description="USCC.")]
) -> HeldView:
    """The newest signed checkpoints and the newest receipt that this node got of a member.

    Open to all: checkpoints are signed to be shown, and the receipt is sealed to the member itself.
    """
    code = parse_uscc(member)
    services = services_of(request)
    gossip, exchange = services.gossip, services.exchange
    return HeldView(
        notes=[] if gossip is None else gossip.notes_of(code),
        sealed=None if exchange is None else exchange.held.seal(code),
    )
