# SPDX-License-Identifier: Apache-2.0
"""Show a node that one may write in a directory oneself: leave an empty file there whose name nobody can guess.

The node writes backups with the rights of its own account. A caller over HTTP, who may hold a token and no account of the
machine, must not choose where; the command on the machine shows that it could have written there.
"""

from __future__ import annotations

from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from node.errors import Unavailable
from node.storage.room import describe_failure, is_full

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_PREFIX: Final = ".ironcage-"
_RANDOM_BYTES: Final = 16


@contextmanager
def placemark(directory: Path, random: Callable[[int], bytes]) -> Iterator[str | None]:
    """Leave a mark in a directory, or in the nearest above it that is there, and take it away in the end.

    Args:
        directory: Absolute.
        random: Source of the name.

    Yields:
        Its name; None when this account may not write there.

    Raises:
        Unavailable: ``backup-failed``: the disk is full.
    """
    name = _PREFIX + random(_RANDOM_BYTES).hex()
    try:
        mark = _nearest(directory) / name
    except OSError:
        yield None  # a directory that it may not look into
        return
    try:
        yield name if _leave(mark) else None
    finally:
        # Also when a signal came while it was left.
        with suppress(OSError):
            mark.unlink(missing_ok=True)


def _leave(mark: Path) -> bool:
    try:
        mark.touch(0o600, exist_ok=False)
    except OSError as error:
        if is_full(error):
            raise Unavailable(
                "backup-failed", f"{mark.parent} cannot be written to: {describe_failure(error)}"
            ) from error
        return False
    return True


def is_marked(directory: Path, name: str) -> bool:
    """Tell whether a mark is where ``placemark`` leaves it.

    Args:
        directory: Absolute, untrusted.
        name: Untrusted; the caller has checked that it is `.ironcage-` and 32 hex digits.
    """
    try:
        return (_nearest(directory) / name).is_file()
    except OSError:
        return False


def _nearest(directory: Path) -> Path:
    return next((each for each in (directory, *directory.parents) if each.is_dir()), Path(directory.anchor))
