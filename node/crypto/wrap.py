# SPDX-License-Identifier: Apache-2.0
"""Wrapping of record secrets by the node's wrapping key: AES-256-GCM-SIV (RFC 8452, protocol §1).

A wrapped secret is nonce (12) ‖ ciphertext (32) ‖ tag (16), bound to the record by its jti.
"""

from __future__ import annotations

from functools import lru_cache

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCMSIV

from node.errors import InvalidInput, Verification

KEY_BYTES = 32
SECRET_BYTES = 32
NONCE_BYTES = 12
WRAPPED_BYTES = 60


def wrap_secret(wrapping_key: bytes, secret: bytes, jti: str, nonce: bytes) -> bytes:
    """Wrap the secret of the record ``jti``.

    Args:
        wrapping_key: 32 secret bytes.
        secret: 32 secret bytes.
        jti: ASCII identifier of the record.
        nonce: 12 random bytes.

    Raises:
        InvalidInput: ``wrap-length`` when a length is wrong, ``wrap-jti`` when the identifier is not ASCII.
    """
    if len(secret) != SECRET_BYTES or len(nonce) != NONCE_BYTES:
        raise InvalidInput(
            "wrap-length",
            f"secret or nonce has the wrong length: got {len(secret)} and {len(nonce)} bytes, want 32 and 12",
        )
    return nonce + _cipher(wrapping_key).encrypt(nonce, secret, _associated_data(jti))


def unwrap_secret(wrapping_key: bytes, wrapped: bytes, jti: str) -> bytes:
    """Unwrap the 32-byte secret of the record ``jti``.

    Args:
        wrapping_key: 32 secret bytes.
        wrapped: 60 bytes as :func:`wrap_secret` returned them.
        jti: ASCII identifier of the record.

    Raises:
        InvalidInput: ``wrap-length``, ``wrap-jti``.
        Verification: ``wrap-tag`` for another key, another record or changed bytes.
    """
    if len(wrapped) != WRAPPED_BYTES:
        raise InvalidInput(
            "wrap-length",
            f"wrapped secret has the wrong length: got {len(wrapped)} bytes, want {WRAPPED_BYTES}",
        )
    try:
        return _cipher(wrapping_key).decrypt(
            wrapped[:NONCE_BYTES], wrapped[NONCE_BYTES:], _associated_data(jti)
        )
    except InvalidTag:
        raise Verification(
            "wrap-tag",
            f"wrapped secret of record {jti} does not open: want the key and record it was wrapped for",
        ) from None


@lru_cache(maxsize=8)
def _cipher(wrapping_key: bytes) -> AESGCMSIV:
    if len(wrapping_key) != KEY_BYTES:
        raise InvalidInput(
            "wrap-length",
            f"wrapping key has the wrong length: got {len(wrapping_key)} bytes, want {KEY_BYTES}",
        )
    return AESGCMSIV(wrapping_key)


def _associated_data(jti: str) -> bytes:
    if not jti.isascii():
        raise InvalidInput("wrap-jti", "record identifier is not ASCII")
    return jti.encode("ascii")
