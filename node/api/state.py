# SPDX-License-Identifier: Apache-2.0
"""What the routes share: the node's services and the parts of the edge that belong to the API."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO, Protocol, cast

if TYPE_CHECKING:
    from pathlib import Path

    from fastapi import Request

    from node.service.backups import Backups
    from node.service.services import Services


class StoredFile(Protocol):
    """A stored upload: SHA-256 as hex, and bytes."""

    @property
    def digest(self) -> str:
        """SHA-256 as hex."""
        ...

    @property
    def size_bytes(self) -> int:
        """Size in bytes."""
        ...


class UploadStore(Protocol):
    """Takes uploaded files."""

    def store(self, job_id: str, source: BinaryIO) -> StoredFile:
        """Copy a file in, durably and whole."""
        ...

    def remove(self, job_id: str) -> None:
        """Remove a file again; an absent one is no error."""
        ...


@dataclass(frozen=True, slots=True)
class ApiState:
    """The state of the application.

    Attributes:
        services: The node.
        uploads: Takes files for import.
        wake_imports: Tells the import loop that there is work.
        sleep: Waits some seconds for the chain; raises when the node is stopping.
        backups: Makes backups.
        is_marked: Tells whether a directory has a mark of a name (node.storage.placemark).
    """

    services: Services
    uploads: UploadStore
    wake_imports: Callable[[], None]
    sleep: Callable[[float], None]
    backups: Backups
    is_marked: Callable[[Path, str], bool]


def state_of(request: Request) -> ApiState:
    """Give the state of the application that serves a request."""
    return cast("ApiState", request.app.state.node)


def services_of(request: Request) -> Services:
    """Give the services of the node that serves a request."""
    return state_of(request).services
