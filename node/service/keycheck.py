# SPDX-License-Identifier: Apache-2.0
"""Refuse keys that are not those of this store, before anything is written or signed with them.

With another member's keys in the keys directory a node would sign its logs with keys that nobody trusts, wrap secrets
that its own key does not open, and take rows that are in already for new ones. What the chain knows of (operator,
record, node and exchange keys) is compared when the node joins (node.service.joining); here stands what it cannot know or would
learn too late.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from node.errors import Conflict
from node.service import layout
from node.service.keeping import CHECK_BYTES, build_key_digest

if TYPE_CHECKING:
    from collections.abc import Mapping

    from node.ports import SecretKeeper
    from node.service.layout import LogKind


def build_key_check(keeper: SecretKeeper, index_key: bytes) -> bytes:
    """Give what is kept of the keys that nobody else knows, so that they are told apart."""
    return keeper.key_check() + build_key_digest("index", index_key)


@dataclass(frozen=True, slots=True)
class KeyChecks:
    """What a store keeps to tell the keys it is written with from others.

    Attributes:
        secret: Of ``build_key_check``.
        logs: Store key and value of the public keys of each open log; empty where they are not known yet.
    """

    secret: bytes
    logs: Mapping[LogKind, tuple[bytes, bytes]]


class Stored(Protocol):
    """What is read: a store, or one that is not open yet."""

    def get(self, key: bytes) -> bytes | None:
        """Return the value of ``key``, or None."""
        ...


def check_own_keys(reads: Stored, checks: KeyChecks) -> None:
    """Compare keys with those that the store was written with.

    Raises:
        Conflict: ``keys-of-another-store`` or ``log-keys-differ``.
    """
    stored = reads.get(layout.KEY_CHECK_KEY)
    if stored is not None and stored != checks.secret:
        same = stored[:CHECK_BYTES] == checks.secret[:CHECK_BYTES]
        raise wrong_keys("index" if same else "wrapping")
    for log, (key, value) in checks.logs.items():
        if reads.get(key) not in (None, value):
            raise Conflict(
                "log-keys-differ",
                f"the key files of the {log.text} log are not those with which it was signed so far: "
                "put the right ones back; nothing was signed",
            )


def wrong_keys(name: str) -> Conflict:
    """Say that the file of the wrapping or the index key is another store's."""
    return Conflict(
        "keys-of-another-store",
        f"{name}.json does not hold the key with which this store was written: "
        "put the right key files back; nothing was changed",
    )
