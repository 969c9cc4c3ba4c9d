# SPDX-License-Identifier: Apache-2.0
"""Who changed a record's status, and why: sealed under the record's own secret, so that it goes when the record does.

A ground is text that an officer writes and may speak of a person. The store keeps it encrypted with a key that the
record's secret gives; erasing the secret erases every ground of the record with it, in backups too.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import msgpack
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from node.core.ids import encode_uuid
from node.errors import InvalidInput, NotFound, Verification
from node.service.looking import require_covered
from node.service.status import StoredChange

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from node.core.types import EntryIndex
    from node.ports import SecretKeeper
    from node.service.looking import Look
    from node.service.reading import Logs

_NONCE_BYTES: Final = 12


@dataclass(frozen=True, slots=True)
class StatusChange:
    """One change of a record's status, with what stays at home: who ordered it, and why."""

    status: int
    at_ms: int
    officer: str
    ground: str


class GroundSealer:
    """Seals and opens the grounds of this node's records.

    Args:
        logs: The records logs.
        keeper: Derives the keys of grounds from the records' secrets.
        random: Source of nonces.
    """

    def __init__(self, logs: Logs, keeper: SecretKeeper, random: Callable[[int], bytes]) -> None:
        self._logs = logs
        self._keeper = keeper
        self._random = random

    def seal(self, place: int, change: StatusChange) -> StoredChange:
        """Seal officer and ground of a change.

        Raises:
            NotFound: ``record-erased`` or ``secret-unknown``.
            Verification: The record's secret does not open.
        """
        key, jti = self._key(place)
        nonce = self._random(_NONCE_BYTES)
        plain: bytes = msgpack.packb([change.officer, change.ground])
        sealed = nonce + AESGCM(key).encrypt(nonce, plain, jti.encode("ascii"))
        return StoredChange(change.status, change.at_ms, sealed)

    def can_seal(self, place: int) -> bool:
        """Say whether the record's secret is there and opens."""
        try:
            self._key(place)
        except (InvalidInput, NotFound, Verification):
            return False
        return True

    def open(self, look: Look, place: EntryIndex, history: Sequence[StoredChange]) -> list[StatusChange]:
        """Open the history of a record that a logged look covers.

        Raises:
            AccessDenied: ``look-does-not-cover``.
            NotFound: ``record-erased`` or ``secret-unknown``.
            Verification: ``ground-seal``, or the record's secret does not open.
        """
        require_covered(look, place)
        if not history:
            return []
        key, jti = self._key(place)
        return [_open(key, jti, place, change) for change in history]

    def _key(self, place: int) -> tuple[bytes, str]:
        jti = encode_uuid(self._logs.row(place).key)
        return self._keeper.history_key(self._logs.wrapped_secret(place), jti), jti


def check_history(key: bytes, jti: str, place: int, history: Sequence[StoredChange]) -> None:
    """Check that every ground of a record opens under its key; shows nothing.

    Raises:
        Verification: ``ground-seal``.
    """
    for change in history:
        _open(key, jti, place, change)


def _open(key: bytes, jti: str, place: int, change: StoredChange) -> StatusChange:
    if not change.sealed:
        # An upgrade found no way to seal it (node.service.upgrades).
        return StatusChange(change.status, change.at_ms, "", "")
    nonce, sealed = change.sealed[:_NONCE_BYTES], change.sealed[_NONCE_BYTES:]
    try:
        plain = AESGCM(key).decrypt(nonce, sealed, jti.encode("ascii"))
    except (InvalidTag, ValueError):
        raise Verification(
            "ground-seal", f"ground of a status change of record {place} does not open under its secret"
        ) from None
    officer, ground = msgpack.unpackb(plain)
    return StatusChange(change.status, change.at_ms, officer, ground)
