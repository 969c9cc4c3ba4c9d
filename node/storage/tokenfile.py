# SPDX-License-Identifier: Apache-2.0
"""The file of token digests: read anew by a running node whenever it has changed, so that a revoked token ends at once.

Trust: whoever may write it may call everything; it lies in the keys directory, 0600.
"""

from __future__ import annotations

import fcntl
import os
import threading
from typing import TYPE_CHECKING

from node.errors import Fatal, NodeError, Unavailable
from node.service.tokens import encode_tokens, parse_tokens
from node.storage.keyfiles import load_private, store_private

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from node.service.tokens import TokenEntry

TOKENS_FILE = "tokens.json"


class TokenFile:
    """The tokens of one node.

    Args:
        directory: The keys directory.
    """

    def __init__(self, directory: Path) -> None:
        self._path = directory / TOKENS_FILE
        self._lock = threading.Lock()
        self._seen: tuple[int, ...] | None = None
        self._entries: Sequence[TokenEntry] = ()

    def load(self) -> list[TokenEntry]:
        """Read the file.

        Raises:
            NotFound: It is missing.
            Fatal: Others can read it.
            InvalidInput: It is no token file.
        """
        return parse_tokens(load_private(self._path))

    def current(self) -> Sequence[TokenEntry]:
        """Give the tokens as they are now; the file is read only when it is another than the last time.

        Raises:
            Unavailable: ``tokens-unreadable``: nobody is let in on an old list while the new one cannot be read.
        """
        with self._lock:
            try:
                found = self._path.stat()
                seen = (found.st_mtime_ns, found.st_size, found.st_ino, found.st_mode)
                if seen != self._seen:
                    self._entries = self.load()
                    self._seen = seen
            except (NodeError, OSError) as error:
                self._seen = None
                raise Unavailable(
                    "tokens-unreadable", f"{TOKENS_FILE} cannot be read: {_why(error)}"
                ) from None
            return self._entries

    def change(self, change: Callable[[list[TokenEntry]], list[TokenEntry]]) -> None:
        """Replace the file by a changed one, durably; two who do so at once do it one after the other."""
        directory = os.open(self._path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fcntl.flock(directory, fcntl.LOCK_EX)
            store_private(self._path, encode_tokens(change(self.load())))
        finally:
            os.close(directory)


def _why(error: NodeError | OSError) -> str:
    if isinstance(error, NodeError):
        return error.code if isinstance(error, Fatal) else error.message
    return error.strerror or type(error).__name__
