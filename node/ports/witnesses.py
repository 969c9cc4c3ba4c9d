# SPDX-License-Identifier: Apache-2.0
"""What other members hold of a log, what its own node shows of it, and where proofs against it are kept."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from node.core.types import MemberCode
    from node.crypto.note import VKey
    from node.log.tree import TileReader


@dataclass(frozen=True, slots=True)
class Held:
    """What one member holds of this node. Nothing of it is believed unless this node's own keys signed it.

    Attributes:
        by: Who holds it.
        notes: Signed checkpoints of this node's logs.
        receipts: Receipts of this node.
        sealed: The newest of them in an envelope to this node.
    """

    by: MemberCode
    notes: tuple[str, ...] = ()
    receipts: tuple[str, ...] = ()
    sealed: str | None = None


class Witnesses(Protocol):
    """Asks other members what they hold of this node."""

    def ask(self, member: MemberCode) -> Sequence[Held]:
        """Ask every member that can be reached, each for a bounded time; who does not answer is left out."""
        ...


class LogSources(Protocol):
    """Where the logs of other members are read; safe to use from any thread."""

    def find_vkeys(self, origin: str) -> Sequence[VKey]:
        """Find the keys of a log that is on the chain; empty for one that is not.

        Raises:
            Unavailable: The chain cannot be asked now.
        """
        ...

    def open_tiles(self, origin: str, size: int) -> TileReader:
        """Give the tiles of a log at a size, as its member's node serves them; all untrusted.

        Reading one raises Unavailable when the node does not answer, or not with as many hashes as a tree of that
        size has there.
        """
        ...


class ForkFiles(Protocol):
    """Keeps fork proofs where a person finds them."""

    def store(self, name: str, data: bytes) -> str:
        """Make a file durable, readable by the node's own account alone, and say where it lies.

        Raises:
            Unavailable: ``fork-not-stored``.
        """
        ...
