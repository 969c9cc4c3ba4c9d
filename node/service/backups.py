# SPDX-License-Identifier: Apache-2.0
"""Backups of the running node, one at a time, in a thread of their own."""

from __future__ import annotations

import threading
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from node.errors import Conflict, NodeError, NotFound, Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Make = Callable[[Path, Callable[[int], None]], tuple[Path, int, int]]
    """Makes a backup in a directory, told where to report bytes; gives the backup, its bytes and when it expires."""


@dataclass(frozen=True, slots=True)
class BackupProgress:
    """How the newest backup stands.

    Attributes:
        state: running, done or failed.
        done_bytes: Bytes written so far.
        path: The complete backup, when it is done.
        expires_at: When it is to be removed, in seconds, when it is done.
        code: Code of what ended it, when it failed.
        reason: The message of that.
    """

    state: str
    done_bytes: int = 0
    path: str | None = None
    expires_at: int | None = None
    code: str | None = None
    reason: str | None = None


class Backups:
    """Makes backups while the node works."""

    def __init__(self, make: Make) -> None:
        self._make = make
        self._lock = threading.Lock()
        self._progress: BackupProgress | None = None
        self._thread: threading.Thread | None = None
        self._stopping = False

    def start(self, directory: Path) -> BackupProgress:
        """Start a backup.

        Raises:
            Conflict: ``backup-running``.
            Unavailable: ``stopping``.
        """
        with self._lock:
            if self._stopping:
                raise Unavailable("stopping", "node is stopping")
            if self._progress is not None and self._progress.state == "running":
                raise Conflict("backup-running", "a backup is being made already")
            self._progress = BackupProgress("running")
            self._thread = threading.Thread(target=self._run, args=(directory,), name="backup", daemon=True)
            self._thread.start()
            return self._progress

    def progress(self) -> BackupProgress:
        """Say how the newest backup since the start of the node stands.

        Raises:
            NotFound: ``backup-unknown``: none was made.
        """
        progress = self._progress
        if progress is None:
            raise NotFound("backup-unknown", "no backup was made since this node started")
        return progress

    def request_stop(self) -> None:
        """Give up the backup that is being made, at its next piece."""
        self._stopping = True

    def join(self, seconds: float) -> None:
        """Wait until the thread has ended, ``seconds`` at most."""
        if self._thread is not None:
            self._thread.join(seconds)

    def _tell(self, done_bytes: int) -> None:
        if self._stopping:
            raise Unavailable("stopping", "node is stopping")
        assert self._progress is not None
        self._progress = replace(self._progress, done_bytes=done_bytes)

    def _run(self, directory: Path) -> None:
        try:
            path, size, expires_at = self._make(directory, self._tell)
        except NodeError as error:
            self._progress = BackupProgress("failed", code=error.code, reason=error.message)
        except Exception as error:  # noqa: BLE001 - a thread has nobody above it, and the caller waits for an end
            reason = f"an error of this node: {type(error).__name__}"
            self._progress = BackupProgress("failed", code="fault", reason=reason)
        else:
            self._progress = BackupProgress("done", size, str(path), expires_at)
