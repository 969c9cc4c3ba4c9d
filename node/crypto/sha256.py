# SPDX-License-Identifier: Apache-2.0
"""SHA-256 of many messages in one call; what verifies does not load it (docs/adr/0031)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stringzilla import Sha256s

if TYPE_CHECKING:
    from collections.abc import Sequence


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
