# SPDX-License-Identifier: Apache-2.0
"""SHA-256 of many messages in one call; what verifies does not load it (docs/adr/0031)."""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING, Final

from stringzilla import Sha256s

from node.errors import Fatal

if TYPE_CHECKING:
    from collections.abc import Sequence

# Around the ends of blocks, and as long as entries are: more than there are lanes.
_LENGTHS: Final = (0, 1, *range(54, 66), *range(118, 130), 700, 2_400, 5_000)


def sha256_all(*parts: Sequence[bytes]) -> list[bytes]:
    """Hash many messages.

    Args:
        parts: At least one sequence; the first holds the first piece of every message, the second what follows, and
            so on, so that pieces need not be joined. All are of the same length.

    Returns:
        The digest of each message, 32 bytes.

    Raises:
        ValueError: The sequences differ in length.
    """
    lanes = Sha256s(len(parts[0]))
    for part in parts:
        lanes.update(part)
    digests: list[bytes] = lanes.digest()
    return digests


def check_digests() -> None:
    """Compare with ``hashlib`` on this machine: which code hashes is chosen by its processor, and leaves are signed.

    Raises:
        Fatal: ``digests-wrong`` when a digest is another.
    """
    messages = [(bytes(range(251)) * 20)[:length] for length in _LENGTHS]
    expected = [sha256(b"\x00" + message).digest() for message in messages]
    together = sha256_all([b"\x00"] * len(messages), messages)
    alone = [sha256_all([b"\x00"], [message])[0] for message in messages]
    if not together == alone == expected:
        raise Fatal("digests-wrong", "SHA-256 of many messages gives wrong digests on this machine")
