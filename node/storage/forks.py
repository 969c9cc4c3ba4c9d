# SPDX-License-Identifier: Apache-2.0
"""Proofs of forks as files, where a person finds them; implements ``node.ports.witnesses.ForkFiles``."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from node.errors import Unavailable
from node.storage.files import OsFiles, write_all

if TYPE_CHECKING:
    from pathlib import Path


_DIRECTORY: Final = 0o700
_FILE: Final = 0o600


class DiskForkFiles:
    """Keeps proofs in a directory that is made with the first of them.

    Args:
        directory: Where.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def store(self, name: str, data: bytes) -> str:
        """Make a file durable, readable by the node's own account alone, and say where it lies."""
        path = self._directory / name
        new = path.with_name(path.name + ".new")
        try:
            self._directory.mkdir(mode=_DIRECTORY, parents=True, exist_ok=True)
            new.unlink(missing_ok=True)
            descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, _FILE)
            try:
                write_all(OsFiles(), descriptor, data, 0)
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
            new.replace(path)
            OsFiles().sync_dir(str(self._directory))
        except OSError as error:
            with suppress(OSError):
                new.unlink(missing_ok=True)
            raise Unavailable(
                "fork-not-stored", f"{name} cannot be written to {self._directory}: {error.strerror}"
            ) from error
        return str(path)
