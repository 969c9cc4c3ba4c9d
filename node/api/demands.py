# SPDX-License-Identifier: Apache-2.0
"""Routes for demands: asking, on the chain, which leaf stands where a receipt promised one."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field, StringConstraints

from node.api.auth import Operator
from node.api.models import Body
from node.api.problems import errors
from node.api.state import state_of
from node.core.encoding import MAX_SAFE_INTEGER, encode_b64u

router = APIRouter(prefix="/api/v1", tags=["demands"], responses=errors(400, 401, 403, 500, 503))


class DemandBody(Body):
    """Which entry is demanded."""

    log: Annotated[str, StringConstraints(min_length=1, max_length=255)] = Field(
        description="Origin of the log, as the receipt has it."
    )
    index: int = Field(ge=0, le=MAX_SAFE_INTEGER, description="The entry, as the receipt has it.")


class DemandView(BaseModel):
    """Where a demand stands."""

    log: str
    index: int
    state: str = Field(description="open, overdue, answered or defaulted")
    demanded_at: int = Field(description="Chain time of the demand, in seconds.")
    due_at: int = Field(description="Chain time by which it has to be answered, in seconds.")
    default_block: int | None = Field(description="Block from which the default can be recorded.")
    leaf: str | None = Field(description="Leaf hash that the answer pinned, b64u.")
    done: str | None = Field(description="What this call sent: demand, overdue, default; null for nothing.")


@router.post("/demands", responses=errors(404, 409, 413))
def advance_demand(request: Request, body: DemandBody, caller: Operator) -> DemandView:
    """Demand an entry on the chain, or take the demand one step further; the same call again goes on.

    The owner of the log has 24 hours of chain time to show it. A demand carries no leaf and accuses nobody.
    """
    del caller
    state = state_of(request)
    state.services.require_ready_to_anchor()
    standing = state.services.demands.advance(body.log, body.index, sleep=state.sleep)
    return DemandView(
        log=standing.origin,
        index=standing.index,
        state=standing.state,
        demanded_at=standing.demanded_at,
        due_at=standing.due_at,
        default_block=standing.default_block,
        leaf=None if standing.leaf is None else encode_b64u(standing.leaf),
        done=standing.done,
    )
