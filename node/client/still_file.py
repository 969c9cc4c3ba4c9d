# SPDX-License-Identifier: Apache-2.0
"""A file that is sent must not change meanwhile: half of an export is a file too, and would be imported."""

from __future__ import annotations

import os
from typing import BinaryIO

from node.errors import InvalidInput


class StillFile:
    """Reads an open file once, and gives its end only if nobody has written to it since.

    Args:
        stream: The file, at its beginning.
    """

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._state = self._look()
        self._left = self._state[0]

    def read(self, size: int = -1) -> bytes:
        """Read at most so many bytes.

        Raises:
            InvalidInput: ``file-changing``, before the last bytes are given.
        """
        data = self._stream.read(size)
        self._left -= len(data)
        if (self._left <= 0 or not data) and self._look() != self._state:
            raise InvalidInput(
                "file-changing",
                "file was written to while it was sent, and the node has taken nothing of it: send it again when its "
                "export has ended",
            )
        return data

    def fileno(self) -> int:
        """Return the descriptor, by which its size is looked up."""
        return self._stream.fileno()

    def _look(self) -> tuple[int, int]:
        status = os.fstat(self._stream.fileno())
        return status.st_size, status.st_mtime_ns
