# SPDX-License-Identifier: Apache-2.0
"""ML-DSA-44 (FIPS 204), the post-quantum line of every checkpoint, with empty context."""

from __future__ import annotations

from functools import lru_cache

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey, MLDSA44PublicKey

from node.errors import InvalidInput, Verification

KEY_BYTES = 1312
SEED_BYTES = 32
SIGNATURE_BYTES = 2420


class MlDsa44Signer:
    """A private key that signs.

    Args:
        seed: Exactly 32 secret bytes (FIPS 204 ξ).

    Raises:
        InvalidInput: ``ml-dsa-44-seed-length``.
    """

    def __init__(self, seed: bytes) -> None:
        if len(seed) != SEED_BYTES:
            raise InvalidInput(
                "ml-dsa-44-seed-length",
                f"ML-DSA-44 seed has the wrong length: got {len(seed)} bytes, want {SEED_BYTES}",
            )
        key = MLDSA44PrivateKey.from_seed_bytes(seed)
        self.public: bytes = key.public_key().public_bytes_raw()
        self._sign = key.sign

    def sign(self, message: bytes) -> bytes:
        """Sign a message with empty context and return the 2,420-byte signature."""
        return self._sign(message)


def verify_mldsa44(public: bytes, message: bytes, signature: bytes) -> None:
    """Verify a signature with empty context under a public key that the caller trusts.

    Args:
        public: 1,312 bytes.
        message: The signed bytes as received.
        signature: 2,420 bytes, untrusted.

    Raises:
        InvalidInput: ``ml-dsa-44-key-length``.
        Verification: ``ml-dsa-44-signature``.
    """
    if len(public) != KEY_BYTES:
        raise InvalidInput(
            "ml-dsa-44-key-length",
            f"ML-DSA-44 key has the wrong length: got {len(public)} bytes, want {KEY_BYTES}",
        )
    if len(signature) != SIGNATURE_BYTES:
        raise Verification(
            "ml-dsa-44-signature",
            f"ML-DSA-44 signature is malformed: got {len(signature)} bytes, want {SIGNATURE_BYTES}",
        )
    try:
        _load_public(bytes(public)).verify(signature, message)
    except InvalidSignature:
        raise Verification("ml-dsa-44-signature", "ML-DSA-44 signature does not hold") from None


@lru_cache(maxsize=256)
def _load_public(public: bytes) -> MLDSA44PublicKey:
    return MLDSA44PublicKey.from_public_bytes(public)
