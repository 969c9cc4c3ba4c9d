# SPDX-License-Identifier: Apache-2.0
"""What one record secret gives: the key of the stored values, the salts and the decoy digests.

    derive(label, n) = SHAKE-256(label ‖ 0x00 ‖ secret, n bytes)

Everything that opens a record is re-made from its secret and its values, so that only the values are stored and
erasing the secret erases the salts as well (docs/protocol, section 1a *Record secret*).
"""

from __future__ import annotations

from binascii import b2a_base64
from functools import cache
from hashlib import shake_256
from struct import Struct
from typing import TYPE_CHECKING, Final

from node.core.encoding import encode_b64u
from node.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Callable

SECRET_BYTES: Final = 32
SALT_BYTES: Final = 18
"""Bytes of one salt; 18 bytes fill 24 base64url characters without a spare bit."""
SALT_CHARACTERS: Final = 24
DIGEST_BYTES: Final = 32
DIGEST_CHARACTERS: Final = 43

VALUES_LABEL: Final = "ironcage/v1/values"
SALTS_LABEL: Final = "ironcage/v1/salts"
DECOYS_LABEL: Final = "ironcage/v1/decoys"

_VALUES_PREFIX: Final = VALUES_LABEL.encode("ascii") + b"\x00"
_SALTS_PREFIX: Final = SALTS_LABEL.encode("ascii") + b"\x00"
_DECOYS_PREFIX: Final = DECOYS_LABEL.encode("ascii") + b"\x00"


def derive(label: str, secret: bytes, length: int) -> bytes:
    """Derive bytes for one purpose from a record secret.

    Args:
        label: ASCII name of the purpose, without a zero byte.
        secret: The record secret, exactly 32 bytes.
        length: Number of bytes that come out.

    Raises:
        InvalidInput: ``record-secret`` for a secret of another length, ``derive-label`` for another label.
    """
    if not label.isascii() or "\x00" in label:
        raise InvalidInput("derive-label", "label is not usable: want ASCII without a zero byte")
    return _squeeze(label.encode("ascii") + b"\x00", secret, length)


def _squeeze(prefix: bytes, secret: bytes, length: int) -> bytes:
    if len(secret) != SECRET_BYTES:
        raise InvalidInput("record-secret", f"record secret has {len(secret)} bytes, want {SECRET_BYTES}")
    return shake_256(prefix + secret).digest(length)


def values_key(secret: bytes) -> bytes:
    """Derive the AES-256 key of the record's stored values (32 bytes, used once)."""
    return _squeeze(_VALUES_PREFIX, secret, 32)


def raw_salts(secret: bytes, count: int) -> bytes:
    """Derive the salts of disclosures 0 to ``count - 1``, present or not: 18 bytes each, back to back."""
    return _squeeze(_SALTS_PREFIX, secret, SALT_BYTES * count)


def salts(secret: bytes, count: int) -> list[str]:
    """Derive the salts of disclosures 0 to ``count - 1``, present or not, as 24 base64url characters each."""
    # One base64 call for all of them: no salt shares a character with its neighbour.
    text = encode_b64u(raw_salts(secret, count))
    return [
        text[start : start + SALT_CHARACTERS] for start in range(0, SALT_CHARACTERS * count, SALT_CHARACTERS)
    ]


def raw_decoys(secret: bytes, count: int) -> list[bytes]:
    """Derive ``count`` decoy digests of 32 bytes each."""
    if not count:
        return []
    return list(_split_digests(count)(_squeeze(_DECOYS_PREFIX, secret, DIGEST_BYTES * count)))


@cache
def _split_digests(count: int) -> Callable[[bytes], tuple[bytes, ...]]:
    return Struct(f"{DIGEST_BYTES}s" * count).unpack


def decoys(secret: bytes, count: int) -> list[str]:
    """Derive ``count`` decoy digests as 43 base64url characters each."""
    # A zero byte behind each digest makes its text end on a whole character: 44, of which the last is spare.
    raw = b"".join(digest + b"\x00" for digest in raw_decoys(secret, count))
    text = b2a_base64(raw, newline=False).replace(b"+", b"-").replace(b"/", b"_").decode("ascii")
    stride = DIGEST_CHARACTERS + 1
    return [text[start : start + DIGEST_CHARACTERS] for start in range(0, stride * count, stride)]
