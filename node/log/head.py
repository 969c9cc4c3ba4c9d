# SPDX-License-Identifier: Apache-2.0
"""The head file: what a log has promised last, kept apart from the data (docs/protocol section 2 *Head file*).

Before anything signed leaves the node, (origin, size, root) is durable here. A store that does not continue it was
restored from a copy or lost entries, and would fork the log if it signed again.

    ironcage/head/v1
    <origin>
    <size>
    <base64 of the root>
    <base64 of SHA-256 over the lines above>      so that a damaged file is told from an older one
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Final

from node.core.encoding import encode_b64, parse_b64
from node.errors import Conflict, InvalidInput
from node.log.checkpoint import Checkpoint, encode_checkpoint, parse_checkpoint

if TYPE_CHECKING:
    from node.core.types import RootHash

MAX_HEAD: Final = 1_024
"""Greatest length of a head file in bytes."""

_HEADER: Final = "ironcage/head/v1\n"
_DIGEST_BYTES: Final = 32


@dataclass(frozen=True, slots=True)
class Head:
    """The last promise of a log.

    Raises:
        InvalidInput: ``checkpoint-form`` when a value cannot stand in a checkpoint either.
    """

    origin: str
    size: int
    root: RootHash

    def __post_init__(self) -> None:
        Checkpoint(self.origin, self.size, self.root)


def encode_head(head: Head) -> bytes:
    """Encode the content of the head file."""
    text = _HEADER + encode_checkpoint(Checkpoint(head.origin, head.size, head.root))
    return f"{text}{_digest(text)}\n".encode()


def parse_head(data: bytes) -> Head:
    """Parse the content of the head file.

    Raises:
        InvalidInput: ``head-form`` when it is not exactly what ``encode_head`` writes, ``head-digest`` when it is
            damaged. Either way the log's last promise is unknown and it must not sign.
    """
    try:
        text = data.decode() if len(data) <= MAX_HEAD else ""
    except UnicodeDecodeError:
        text = ""
    if not text.startswith(_HEADER) or not text.endswith("\n"):
        raise InvalidInput(
            "head-form",
            f"head file of {len(data)} bytes does not start as {_HEADER.strip()} and end in a newline",
        )
    lines, _, digest = text[:-1].rpartition("\n")
    parse_b64(digest, length=_DIGEST_BYTES)
    if digest != _digest(lines + "\n"):
        raise InvalidInput("head-digest", "head file is damaged: its digest is that of other lines")
    checkpoint = parse_checkpoint((lines + "\n").removeprefix(_HEADER))
    return Head(checkpoint.origin, checkpoint.size, checkpoint.root)


def check_continues(head: Head | None, size: int, root_at_head: RootHash | None) -> None:
    """Refuse a store that does not continue what its log has promised.

    Args:
        head: Content of the head file; None when there is no file.
        size: Entries in the store.
        root_at_head: Root that the store's tiles give at ``head.size``; None when the store has fewer entries.

    Raises:
        Conflict: ``log-head-missing`` when the log is not empty but has no head file, ``log-behind`` when the store
            has fewer entries than were promised, ``log-fork`` when its root at the promised size is another.
    """
    if head is None:
        if size:
            raise Conflict("log-head-missing", f"store holds {size} entries but its log has no head file")
    elif size < head.size:
        raise Conflict(
            "log-behind",
            f"store holds {size} entries of {head.origin}, want at least {head.size}: it was restored from an older "
            "copy. Nothing will be signed on this log again",
        )
    elif root_at_head != head.root:
        raise Conflict(
            "log-fork", f"store has another root of {head.origin} at size {head.size} than was promised"
        )


def _digest(text: str) -> str:
    return encode_b64(sha256(text.encode()).digest())
