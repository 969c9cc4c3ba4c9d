# SPDX-License-Identifier: Apache-2.0
"""Sealing to an exchange key: HPKE in base mode with MLKEM768-X25519, HKDF-SHA256 and AES-256-GCM (protocol §8).

HPKE is RFC 9180, which does not define this KEM. It is KEM 0x647a of draft-ietf-hpke-pq, taken from
draft-irtf-cfrg-concrete-hybrid-kems (MLKEM768-X25519) and the same as X-Wing (draft-connolly-cfrg-xwing-kem): whoever
wants to read a box must break both ML-KEM-768 and X25519. The private key is X-Wing's 32-byte seed, so it is kept
like the node's other 32-byte secrets.
"""

from __future__ import annotations

from hashlib import shake_256
from typing import TYPE_CHECKING, Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey, MLKEM768PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hpke import (
    AEAD,
    KDF,
    KEM,
    MLKEM768X25519PrivateKey,
    MLKEM768X25519PublicKey,
    Suite,
)

from node.core.recent import Recent
from node.crypto.ed25519 import key_id16
from node.errors import InvalidInput, Verification

if TYPE_CHECKING:
    from collections.abc import Callable

SEED_BYTES: Final = 32
ML_KEM_BYTES: Final = 1_184
PUBLIC_BYTES: Final = 1_216
"""ML-KEM-768 encapsulation key (1,184) ‖ X25519 public key (32)."""
ENC_BYTES: Final = 1_120
"""ML-KEM-768 ciphertext (1,088) ‖ ephemeral X25519 public key (32)."""
OVERHEAD_BYTES: Final = ENC_BYTES + 16
"""What a box is longer than its plaintext: enc and the tag."""

_ML_KEM_SEED_BYTES: Final = 64
_P: Final = 2**255 - 19
# u of the points whose order divides 8, on the curve and its twist: under them the X25519 half would be no secret.
_SMALL_ORDER_U: Final = frozenset(
    {
        0,
        1,
        _P - 1,
        0x00B8495F16056286FDB1329CEB8D09DA6AC49FF1FAE35616AEB8413B7C7AEBE0,
        0x57119FD0DD4E22D8868E1C58C45C44045BEF839C55B1D0B1248C50A3BC959C5F,
    }
)
_SUITE: Final = Suite(KEM.MLKEM768_X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)


def check_exchange_key(public: bytes) -> None:
    """Refuse a public key that is malformed, has a second spelling, or gives no secret in its X25519 half.

    Args:
        public: 1,216 bytes, untrusted.

    Raises:
        InvalidInput: ``exchange-key``.
    """
    _load_public(bytes(public))


def seal(public: bytes, info: bytes, plaintext: bytes) -> bytes:
    """Seal a plaintext to a public key; each call gives other bytes.

    Args:
        public: 1,216 bytes; checked as by :func:`check_exchange_key`.
        info: What both sides know the box is for.
        plaintext: The secret; its length is no secret.

    Returns:
        enc (1,120 bytes) ‖ ciphertext ‖ tag (16).

    Raises:
        InvalidInput: ``exchange-key``.
    """
    return _SUITE.encrypt(plaintext, _load_public(bytes(public)), info=info)


class ExchangeKey:
    """A private exchange key: it opens what was sealed to its public half.

    Args:
        seed: Exactly 32 secret bytes, of which SHAKE-256 makes ML-KEM's 64 and X25519's 32 (X-Wing, *Key generation*).

    Attributes:
        public: 1,216 bytes, as registered on chain or sent as a reply key.
        kid: First 16 hex digits of the SHA-256 of ``public``.

    Raises:
        InvalidInput: ``exchange-seed``.
    """

    def __init__(self, seed: bytes) -> None:
        if len(seed) != SEED_BYTES:
            raise InvalidInput(
                "exchange-seed", f"seed of an exchange key has {len(seed)} bytes, want {SEED_BYTES}"
            )
        expanded = shake_256(seed).digest(_ML_KEM_SEED_BYTES + SEED_BYTES)
        ml_kem = MLKEM768PrivateKey.from_seed_bytes(expanded[:_ML_KEM_SEED_BYTES])
        x25519 = X25519PrivateKey.from_private_bytes(expanded[_ML_KEM_SEED_BYTES:])
        self._key = MLKEM768X25519PrivateKey(ml_kem, x25519)
        self._seed = seed
        halves = ml_kem.public_key(), x25519.public_key()
        self.public: bytes = b"".join(half.public_bytes_raw() for half in halves)
        self.kid: str = key_id16(self.public)
        _LOADED.put(self.public, MLKEM768X25519PublicKey(*halves))

    @classmethod
    def generate(cls, random: Callable[[int], bytes]) -> ExchangeKey:
        """Make a key from 32 bytes of a source of unpredictable bytes: a one-time reply key."""
        return cls(random(SEED_BYTES))

    def derive(self, label: bytes) -> bytes:
        """Derive 32 bytes for a use of its own: whoever has not the seed learns nothing from them, nor from them the seed.

        Args:
            label: ASCII name of the use; X-Wing itself hashes the seed with none.
        """
        return shake_256(label + b"\x00" + self._seed).digest(SEED_BYTES)

    def open(self, info: bytes, box: bytes) -> bytes:
        """Open a box and return its plaintext.

        Args:
            info: As it was sealed with.
            box: enc ‖ ciphertext ‖ tag, untrusted.

        Raises:
            Verification: ``box-open``: cut off, changed, for another key or sealed with other info. Which of them is
                never said.
        """
        try:
            return _SUITE.decrypt(box, self._key, info=info)
        except (InvalidTag, ValueError):
            raise Verification(
                "box-open", f"box of {len(box)} bytes does not open under key {self.kid}"
            ) from None


_LOADED: Final[Recent[MLKEM768X25519PublicKey]] = Recent(64)
"""Public keys that were checked, or made here."""


def _load_public(public: bytes) -> MLKEM768X25519PublicKey:
    known = _LOADED.find(public)
    if known is None:
        known = _read_public(public)
        _LOADED.put(public, known)
    return known


def _read_public(public: bytes) -> MLKEM768X25519PublicKey:
    if len(public) != PUBLIC_BYTES:
        raise InvalidInput("exchange-key", f"exchange key has {len(public)} bytes, want {PUBLIC_BYTES}")
    u = int.from_bytes(public[ML_KEM_BYTES:], "little")
    if u >= _P or u in _SMALL_ORDER_U:
        raise InvalidInput(
            "exchange-key", "X25519 half of an exchange key is not canonical or of small order"
        )
    try:
        ml_kem = MLKEM768PublicKey.from_public_bytes(public[:ML_KEM_BYTES])
    except ValueError:
        raise InvalidInput(
            "exchange-key", "ML-KEM half of an exchange key is malformed: want coefficients below 3329"
        ) from None
    return MLKEM768X25519PublicKey(ml_kem, X25519PublicKey.from_public_bytes(public[ML_KEM_BYTES:]))
