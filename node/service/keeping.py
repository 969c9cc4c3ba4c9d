# SPDX-License-Identifier: Apache-2.0
"""The wrapping key in this process: what the key process runs, and what a check of a stopped node needs.

The only module that unwraps a secret. In a running node it is loaded by the key process (``node.worker.keys_server``)
and by nothing else; services reach it through ``node.ports.SecretKeeper``.
"""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING, Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from node.crypto.wrap import NONCE_BYTES, unwrap_secret, wrap_secret
from node.errors import Verification
from node.records.secret import derive, values_key

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

HISTORY_LABEL: Final = "ironcage/v1/history"
CHECK_LABEL: Final = b"ironcage/key-check/v1\x00"
CHECK_BYTES: Final = 16
_VALUES_NONCE: Final = bytes(12)


class LocalKeeper:
    """Implements ``SecretKeeper`` with a key that is in this process.

    Args:
        wrapping_key: 32 bytes.
        random: Source of nonces.
        count: Called before each secret comes out and gives how many have; None where nobody counts.
    """

    def __init__(
        self, wrapping_key: bytes, random: Callable[[int], bytes], count: Callable[[], int] | None = None
    ) -> None:
        self._key = wrapping_key
        self._random = random
        self._count = count
        self._unwraps: int | None = None

    @property
    def unwraps(self) -> int | None:
        """How many secrets have come out, as last counted."""
        return self._unwraps

    def wrap(self, secret: bytes, name: str) -> bytes:
        """Wrap a secret."""
        return wrap_secret(self._key, secret, name, self._random(NONCE_BYTES))

    def wrap_all(self, secrets: Sequence[bytes], names: Sequence[str]) -> list[bytes]:
        """Wrap many secrets."""
        nonces = self._random(len(secrets) * NONCE_BYTES)
        return [
            wrap_secret(self._key, secret, name, nonces[at : at + NONCE_BYTES])
            for secret, name, at in zip(secrets, names, range(0, len(nonces), NONCE_BYTES), strict=True)
        ]

    def unwrap(self, wrapped: bytes, name: str) -> bytes:
        """Give a secret out, and count it."""
        secret = unwrap_secret(self._key, wrapped, name)
        if self._count is not None:
            self._unwraps = self._count()
        return secret

    def history_key(self, wrapped: bytes, name: str) -> bytes:
        """Derive the key of the grounds of a record's status changes."""
        return derive(HISTORY_LABEL, unwrap_secret(self._key, wrapped, name), 32)

    def check_sealed(self, wrapped: bytes, name: str, sealed: bytes) -> None:
        """Check that sealed values open under a wrapped secret."""
        cipher = AESGCM(values_key(unwrap_secret(self._key, wrapped, name)))
        try:
            cipher.decrypt(_VALUES_NONCE, sealed, name.encode("ascii"))
        except InvalidTag:
            raise Verification("values-seal", "sealed values do not open under their secret") from None

    def raise_to(self, count: int) -> None:
        """Do nothing: who counts here knows best."""

    def key_check(self) -> bytes:
        """Give half of a digest of the wrapping key."""
        return build_key_digest("wrapping", self._key)


def build_key_digest(name: str, key: bytes) -> bytes:
    """Give half of a digest of a key that nobody else knows, by which it is told from others."""
    return sha256(CHECK_LABEL + name.encode("ascii") + b"\x00" + key).digest()[:CHECK_BYTES]
