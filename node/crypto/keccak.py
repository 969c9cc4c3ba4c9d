# SPDX-License-Identifier: Apache-2.0
"""Keccak-256 with the original padding, as the EVM uses it (not SHA3-256)."""

from __future__ import annotations

from Crypto.Hash import keccak


def keccak256(data: bytes) -> bytes:
    """Return the 32-byte Keccak-256 digest."""
    return keccak.new(digest_bits=256, data=data).digest()
