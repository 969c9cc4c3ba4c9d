# SPDX-License-Identifier: Apache-2.0
"""Tell a full disk from other failures of a disk, and say what to do about it."""

from __future__ import annotations

import errno
import os
from typing import Final

from node.errors import NodeError, NotFound, Unavailable

_NUMBERS: Final = (errno.ENOSPC, errno.EDQUOT)
_FULL: Final = "the disk is full, make room on it first (docs/runbooks/disk-full.md)"
_TEXTS: Final = (*map(os.strerror, _NUMBERS), _FULL)
"""LevelDB passes on the text of an error, not its number."""


def is_full(reason: OSError | str) -> bool:
    """Tell whether the system refused because the disk is full or a quota is reached.

    Args:
        reason: Its error, or a message that quotes its text or this module's.
    """
    if isinstance(reason, OSError):
        return reason.errno in _NUMBERS
    return any(text in reason for text in _TEXTS)


def describe_failure(reason: OSError | str) -> str:
    """Say why a file could not be written; of a full disk, what to do."""
    if is_full(reason):
        return _FULL
    return f"got {reason.strerror or type(reason).__name__}" if isinstance(reason, OSError) else reason


def refuse_full(path: str) -> Unavailable:
    """Give the error of a store that cannot be opened for want of room: ``store-disk-full``."""
    return Unavailable("store-disk-full", f"{path} cannot be opened, which writes a little: {_FULL}")


def refuse_unwritten(error: OSError) -> NodeError:
    """Give the error of a file that a command could not read or write: ``store-disk-full`` or ``file-access``."""
    place = error.filename or "file"
    if is_full(error):
        return Unavailable("store-disk-full", f"{place}: {_FULL}")
    return NotFound("file-access", f"{place}: {error.strerror or type(error).__name__}")
