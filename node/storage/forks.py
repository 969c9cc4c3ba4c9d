# SPDX-License-Identifier: Apache-2.0
"""Proofs of forks as files, where a person finds them; implements ``node.ports.witnesses.ForkFiles``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from node.errors import Unavailable
from node.storage.files import OsFiles, replace_file
from node.storage.keyfiles import make_private_directory

if TYPE_CHECKING:
    from pathlib import Path


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
        try:
            make_private_directory(self._directory)
            replace_file(OsFiles(), str(path), data)
        except OSError as error:
            raise Unavailable(
                "fork-not-stored", f"{name} cannot be written to {self._directory}: {error.strerror}"
            ) from error
        return str(path)
