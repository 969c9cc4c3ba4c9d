# SPDX-License-Identifier: Apache-2.0
"""Routes that make a backup of the running node, on the machine on which it runs.

The node could write wherever its account may. Administrators say where; an operator has to show that he may write there
himself (node.storage.placemark), which a token alone does not let him.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field, StringConstraints

from node.api.auth import Operator
from node.api.models import Body
from node.api.problems import errors
from node.api.state import state_of
from node.errors import AccessDenied

if TYPE_CHECKING:
    from node.service.backups import BackupProgress

router = APIRouter(prefix="/api/v1", tags=["backups"], responses=errors(401, 403, 500, 503))
PathText = Annotated[str, StringConstraints(min_length=1, max_length=4096, pattern=r"^/[^\x00-\x1f\x7f]*$")]
MarkText = Annotated[str, StringConstraints(pattern=r"^\.ironcage-[0-9a-f]{32}$")]


class BackupBody(Body):
    """Where to make a backup."""

    directory: PathText = Field(
        description="Absolute path on the node's own machine; the backup becomes a new directory in it."
    )
    mark: MarkText | None = Field(
        None,
        description="Name of an empty file in the directory, or in the nearest above it that exists: `.ironcage-` and 32 hex "
        "digits. It shows that the caller may write there himself. Administrators need none.",
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
    directory = Path(body.directory)
    if caller.role != "administrator" and (
        body.mark is None or not state_of(request).is_marked(directory, body.mark)
    ):
        raise AccessDenied(
            "backup-place",
            "an operator's backup goes where he may write himself: run the command on the node's machine under an account "
            "that may write in the directory, or take an administrator's token",
        )
    return _view(state_of(request).backups.start(directory))


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
