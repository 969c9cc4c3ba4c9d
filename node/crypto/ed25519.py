# SPDX-License-Identifier: Apache-2.0
"""Ed25519 (RFC 8032) with the strict key checks that the backend leaves out.

The backend accepts public keys of small order, under which anyone can make signatures for any message, and
keys with a second spelling. Both are refused here, at registration and at every verification.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache
from typing import TYPE_CHECKING

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from node.errors import InvalidInput, Verification

if TYPE_CHECKING:
    from collections.abc import Callable

KEY_BYTES = 32
SEED_BYTES = 32
SIGNATURE_BYTES = 64

_P = 2**255 - 19
_L = 2**252 + 27742317777372353535851937790883648493
_D = -121665 * pow(121666, -1, _P) % _P
_SIGN_BIT = 2**255
# y of the eight points whose order divides 8: the neutral point, orders 2, 4 (y = 0) and 8 (two pairs).
_Y_ORDER_8 = 0x05FC536D880238B13933C6D305ACDFD5F098EFF289F4C345B027B2C28F95E826
_SMALL_ORDER_Y = frozenset({0, 1, _P - 1, _Y_ORDER_8, _P - _Y_ORDER_8})

_COFACTORED = (
    "cdb267ce40c5cd45306fa5d2f29731459387dbf9eb933b7bd5aed9a765b88d4d",
    "e47d62c63f830dc7a6851a0b1f33ae4bb2f507fb6cffec4011eaccd55b53f56c",
    "160a1cb0dc9c0258cd0a7d23e94d8fa878bcb1925f2c64246b2dee1796bed5125ec6bc982a269b723e0668e540911a9a6a58921d6925e434ab10aa7940551a09",
)
"""Key, message and signature that hold only with the cofactor (ed25519-speccheck, case 4)."""

_holds: Callable[[bytes, bytes, bytes], bool] | None = None
"""Whether a signature holds for libsodium, in a process that has loaded it because it signs; None for one that is too lax."""


def check_ed25519_key(public: bytes) -> None:
    """Refuse a public key that is not the one spelling of a point of large order.

    Args:
        public: 32 bytes as RFC 8032 §5.1.5 encodes them, untrusted.

    Raises:
        InvalidInput: ``ed25519-key-length``, ``ed25519-key-non-canonical`` for y not below the field prime,
            ``ed25519-key-small-order``, ``ed25519-key-off-curve``.
    """
    if len(public) != KEY_BYTES:
        raise InvalidInput(
            "ed25519-key-length",
            f"Ed25519 key has the wrong length: got {len(public)} bytes, want {KEY_BYTES}",
        )
    y = int.from_bytes(public, "little") % _SIGN_BIT
    if y >= _P:
        raise InvalidInput(
            "ed25519-key-non-canonical", "Ed25519 key is not in canonical form: want y below 2^255-19"
        )
    if y in _SMALL_ORDER_Y:
        raise InvalidInput("ed25519-key-small-order", "Ed25519 key has small order: want a point of order L")
    # x² = u/v is a square exactly when u·v is, as v is never 0; Euler's criterion.
    u, v = y * y - 1, _D * y * y + 1
    if pow(u * v, (_P - 1) // 2, _P) != 1:
        raise InvalidInput("ed25519-key-off-curve", "Ed25519 key is not a point of the curve")


def key_id16(public: bytes) -> str:
    """Return the ``kid`` of a public key: the first 16 hex digits of its SHA-256 (protocol preamble)."""
    return hashlib.sha256(public).hexdigest()[:16]


class Ed25519Signer:
    """A private key that signs.

    Args:
        seed: Exactly 32 secret bytes (RFC 8032 §5.1.5).

    Raises:
        InvalidInput: ``ed25519-seed-length``.
    """

    def __init__(self, seed: bytes) -> None:
        if len(seed) != SEED_BYTES:
            raise InvalidInput(
                "ed25519-seed-length",
                f"Ed25519 seed has the wrong length: got {len(seed)} bytes, want {SEED_BYTES}",
            )
        # libsodium signs in three quarters of the time (docs/adr/0015); who only verifies need not load it.
        from nacl import bindings  # noqa: PLC0415

        self.public: bytes
        self.public, self._secret = bindings.crypto_sign_seed_keypair(seed)
        self.kid: str = key_id16(self.public)
        self._sign = bindings.crypto_sign
        _load_libsodium()

    def sign(self, message: bytes) -> bytes:
        """Sign a message and return the 64-byte signature."""
        # The library puts the message behind the signature.
        return self._sign(message, self._secret)[:SIGNATURE_BYTES]


def verify_ed25519(public: bytes, message: bytes, signature: bytes) -> None:
    """Verify a signature under a public key that the caller trusts.

    Args:
        public: 32 bytes; checked as by :func:`check_ed25519_key`.
        message: The signed bytes as received.
        signature: 64 bytes, untrusted.

    Raises:
        InvalidInput: as :func:`check_ed25519_key`.
        Verification: ``ed25519-signature`` when the signature does not hold, its length is wrong or its
            second half is not below the group order.
    """
    key = _load_public(bytes(public))
    if len(signature) != SIGNATURE_BYTES or int.from_bytes(signature[KEY_BYTES:], "little") >= _L:
        raise Verification(
            "ed25519-signature",
            f"Ed25519 signature is malformed: got {len(signature)} bytes, want 64 with S below L",
        )
    # libsodium takes half of the time. What it accepts the backend accepts, too; of the rest the backend decides
    # (docs/adr/0029).
    if _holds is not None and _holds(public, message, signature):
        return
    try:
        key.verify(signature, message)
    except InvalidSignature:
        raise Verification(
            "ed25519-signature", f"Ed25519 signature does not hold under key {key_id16(public)}"
        ) from None


@lru_cache(maxsize=1)
def _load_libsodium() -> None:
    from nacl import bindings, exceptions  # noqa: PLC0415 - as for signing

    def holds(public: bytes, message: bytes, signature: bytes) -> bool:
        try:
            bindings.crypto_sign_open(signature + message, bytes(public))
        except exceptions.CryptoError:
            return False
        return True

    # One that multiplies by the cofactor, as libsodium will, accepts what an offline verifier refuses: it is not asked.
    lax = holds(*map(bytes.fromhex, _COFACTORED))
    global _holds  # noqa: PLW0603 - the same whoever loads it
    _holds = None if lax else holds


@lru_cache(maxsize=1024)
def _load_public(public: bytes) -> Ed25519PublicKey:
    check_ed25519_key(public)
    return Ed25519PublicKey.from_public_bytes(public)
