# SPDX-License-Identifier: Apache-2.0
"""Uploaded files while their import is unfinished. They hold personal data in the clear: 0600, gone when it ends."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO, Final

from node.errors import InvalidInput, NotFound, Unavailable

if TYPE_CHECKING:
    from pathlib import Path

COPY_BYTES: Final = 1 << 20
SYNC_BYTES: Final = 8 << 20
"""Bytes of an upload that may wait for the disk at once: a commit that syncs meanwhile has to wait for them."""


@dataclass(frozen=True, slots=True)
class StoredUpload:
    """A stored file: SHA-256 as hex, and bytes."""

    digest: str
    size_bytes: int


class Uploads:
    """A directory of uploaded files, named by job id."""

    def __init__(self, directory: Path, max_bytes: int) -> None:
        self._directory = directory
        self._max_bytes = max_bytes
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)

    def path(self, job_id: str) -> Path:
        """Give where a job's file lies.

        Raises:
            NotFound: The file is gone.
        """
        path = self._directory / job_id
        if not path.is_file():
            raise NotFound("upload-gone", f"the file of import {job_id} is gone; import it again")
        return path

    def store(self, job_id: str, source: BinaryIO) -> StoredUpload:
        """Copy a file in, durably and whole.

        Raises:
            InvalidInput: It is empty or larger than allowed.
            Unavailable: The disk is full.
        """
        path = self._directory / job_id
        digest, size = hashlib.sha256(), 0
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            with os.fdopen(descriptor, "wb") as target:
                while chunk := source.read(COPY_BYTES):
                    size += len(chunk)
                    if size > self._max_bytes:
                        raise InvalidInput(
                            "upload-size", f"file is larger than {self._max_bytes} bytes: send it in several"
                        )
                    digest.update(chunk)
                    target.write(chunk)
                    if size % SYNC_BYTES < len(chunk):
                        target.flush()
                        os.fdatasync(target.fileno())
                target.flush()
                os.fsync(target.fileno())
            _sync_directory(self._directory)
            if size == 0:
                raise InvalidInput("upload-empty", "file is empty: export it again")
        except InvalidInput:
            path.unlink(missing_ok=True)
            raise
        except OSError as error:
            path.unlink(missing_ok=True)
            raise Unavailable(
                "upload-disk", f"file could not be stored: {error.strerror}; send it again later"
            ) from None
        return StoredUpload(digest.hexdigest(), size)

    def remove(self, job_id: str) -> None:
        """Remove a job's file; an absent one is no error."""
        (self._directory / job_id).unlink(missing_ok=True)

    def remove_all_but(self, job_ids: set[str]) -> None:
        """Remove every file that no unfinished job needs."""
        for path in self._directory.iterdir():
            if path.name not in job_ids:
                path.unlink(missing_ok=True)


def _sync_directory(path: Path) -> None:
    """Make the names in a directory durable: a job whose file a power cut took would fail."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
