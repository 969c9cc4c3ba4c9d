# SPDX-License-Identifier: Apache-2.0
"""Trees whose leaves are all the same: roots and proofs for any size without the leaves.

A subtree's hash then depends on its size alone, so RFC 6962 section 2.1 can be followed for a billion entries.
"""

from __future__ import annotations

from functools import cache
from hashlib import sha256

LEAF = sha256(b"\x00leaf").digest()


@cache
def uniform_root(size):
    if size == 1:
        return LEAF
    k = _split(size)
    return sha256(b"\x01" + uniform_root(k) + uniform_root(size - k)).digest()


def uniform_consistency(old_size, new_size, *, whole=True):
    """Build the proof from old_size to new_size; ``whole`` as b in RFC 6962 section 2.1.2."""
    if old_size == new_size:
        return [] if whole else [uniform_root(new_size)]
    k = _split(new_size)
    if old_size <= k:
        return [*uniform_consistency(old_size, k, whole=whole), uniform_root(new_size - k)]
    return [*uniform_consistency(old_size - k, new_size - k, whole=False), uniform_root(k)]


def _split(size):
    return 1 << ((size - 1).bit_length() - 1)
