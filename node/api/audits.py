# SPDX-License-Identifier: Apache-2.0
"""The route by which an auditor reads what events were about (docs/audit.md)."""

from __future__ import annotations

from fastapi import APIRouter, Request
from pydantic import Field

from node.api.auth import Auditor
from node.api.models import Body
from node.api.problems import errors
from node.api.state import services_of
from node.core.encoding import MAX_SAFE_INTEGER

router = APIRouter(prefix="/api/v1", tags=["log"], responses=errors(400, 401, 403, 500, 503))


class RangeBody(Body):
    """A range of entries of one access log."""

    log: int = Field(ge=0, le=MAX_SAFE_INTEGER, description="Succession number of the log.")
    start: int = Field(ge=0, le=MAX_SAFE_INTEGER, description="First entry.")
    stop: int = Field(ge=0, le=MAX_SAFE_INTEGER, description="Entry behind the last, at most 256 further.")


@router.post("/access/openings", responses=errors(404, 409, 413))
def open_events(request: Request, body: RangeBody, caller: Auditor) -> list[list[str]]:
    """The openings of a range of events, ten each; none for other entries. The look at them is logged first, as one `audit`."""
    services = services_of(request)
    services.require_ready_to_sign()
    return services.events.open_range(body.log, body.start, body.stop, caller.name)
