# SPDX-License-Identifier: Apache-2.0
"""Head files: what this node promised last, where a backup of its data does not reach (protocol section 2)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from node.log.head import Head


class HeadFiles(Protocol):
    """The newest head of each of our logs, kept outside the data directory and its backups (protocol section 2)."""

    def load(self, origin: str) -> Head | None:
        """Return the head stored for ``origin``, or None when there is none.

        Raises:
            Fatal: ``head-corrupt`` when the file is not a head of that origin.
            Unavailable: ``head-unreadable`` when the operating system refuses the read.
        """
        ...

    def store(self, head: Head) -> None:
        """Make ``head`` durable in place of the one before it.

        Raises:
            Conflict: ``head-behind`` or ``log-fork`` when it does not follow the stored one.
            Fatal: ``head-not-stored``; which of the two heads the disk holds is not known.
        """
        ...
