# SPDX-License-Identifier: Apache-2.0
"""Keccak-256 with the original padding, as the EVM uses it (not SHA3-256)."""

from __future__ import annotations

from functools import cache
from typing import Any


def keccak256(data: bytes) -> bytes:
    """Return the 32-byte Keccak-256 digest."""
    digest: bytes = _load_keccak().new(digest_bits=256, data=data).digest()
    return digest


@cache
def _load_keccak() -> Any:
    # Importing it runs a C parser for 80 ms, which a verifier that asks no chain never needs.
    from Crypto.Hash import keccak  # noqa: PLC0415

    return keccak
