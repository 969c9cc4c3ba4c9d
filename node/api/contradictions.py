# SPDX-License-Identifier: Apache-2.0
"""The route by which an auditor reads what another member signed against its own earlier word (docs/protocol/exchange.md)."""

from __future__ import annotations

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field

from node.api.auth import Auditor
from node.api.exchange import exchange_of
from node.api.models import Body
from node.api.problems import errors
from node.api.state import services_of
from node.core.uscc import parse_uscc

router = APIRouter(prefix="/api/v1", tags=["log"], responses=errors(400, 401, 403, 500, 503))


class ContradictionsBody(Body):
    """Whose."""

    member: str = Field(max_length=18, description="USCC of the member that asked.")


class ContradictionsView(BaseModel):
    """What a member signed."""

    requests: list[str] = Field(description="Request JWS, oldest first.")


@router.post("/access/contradictions", responses=errors(409, 413))
def read_contradictions(request: Request, body: ContradictionsBody, caller: Auditor) -> ContradictionsView:
    """Requests of a member that were refused for what they say of earlier answers of this node. The look at them is logged first, as one `audit`."""
    services = services_of(request)
    services.require_ready_to_sign()
    found = exchange_of(request).contradictions.open(parse_uscc(body.member), caller.name)
    return ContradictionsView(requests=found)
