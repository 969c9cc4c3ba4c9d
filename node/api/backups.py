# SPDX-License-Identifier: Apache-2.0
"""Routes that make a backup of the running node, on the machine on which it runs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field, StringConstraints

from node.api.auth import Operator
from node.api.models import Body
from node.api.problems import errors
from node.api.state import state_of

if TYPE_CHECKING:
    from node.service.backups import BackupProgress

router = APIRouter(prefix="/api/v1", tags=["backups"], responses=errors(401, 403, 500, 503))
PathText = Annotated[str, StringConstraints(min_length=1, max_length=4096, pattern=r"^/[^\x00-\x1f\x7f]*$")]


class BackupBody(Body):
    """Where to make a backup."""

    directory: PathText = Field(
        description="Absolute path on the node's own machine; the backup becomes a new directory in it."
    )


class BackupView(BaseModel):
    """How the newest backup stands."""

    state: str = Field(description="running, done or failed.")
    done_bytes: int = Field(description="Bytes written so far.")
    path: str | None = Field(description="The backup, when it is done.")
    expires_at: int | None = Field(description="When it is to be removed, in seconds.")
    code: str | None = Field(description="Code of what ended it.")
    reason: str | None = Field(description="What ended it.")


@router.post("/backups", status_code=202, responses=errors(400, 409, 413))
def start_backup(request: Request, body: BackupBody, caller: Operator) -> BackupView:
    """Start a backup of the store; imports and looks go on meanwhile."""
    del caller
    return _view(state_of(request).backups.start(Path(body.directory)))


@router.get("/backups/newest", responses=errors(404))
def show_backup(request: Request, caller: Operator) -> BackupView:
    """Say how the newest backup stands."""
    del caller
    return _view(state_of(request).backups.progress())


def _view(progress: BackupProgress) -> BackupView:
    return BackupView(
        state=progress.state,
        done_bytes=progress.done_bytes,
        path=progress.path,
        expires_at=progress.expires_at,
        code=progress.code,
        reason=progress.reason,
    )
