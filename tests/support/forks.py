# SPDX-License-Identifier: Apache-2.0
"""Logs that fork: trees that share a beginning, and what their log signs about both."""

from __future__ import annotations

from functools import cache
from hashlib import sha256

from node.crypto.ed25519 import Ed25519Signer
from node.crypto.mldsa import MlDsa44Signer
from node.crypto.note import ED25519, MLDSA44, build_vkey
from node.log.checkpoint import Checkpoint, build_origin, sign_checkpoint
from node.log.tree import TreeWriter, root_at
from tests.support.trees import MemoryTiles, numbered_leaf

MEMBER = "91330106MA27Y8LH7C"
ORIGIN = build_origin("zj.example", MEMBER, "access", 0)
LOG_KEY = Ed25519Signer(sha256(b"forks").digest())
LOG_KEY_PQ = MlDsa44Signer(sha256(b"forks pq").digest())
VKEYS = (build_vkey(ORIGIN, ED25519, LOG_KEY.public), build_vkey(ORIGIN, MLDSA44, LOG_KEY_PQ.public))
SIGNED_AT = 1_800_000_000


def forked_leaf(number, at):
    """Leaf of a tree that leaves the numbered one at an index."""
    return numbered_leaf(number) if number < at else sha256(b"\x00other %d" % number).digest()


def forked_tiles(size, *, at):
    """A tree whose leaves are others from an index on; returns its writer and its tiles."""
    tiles, writer = MemoryTiles(), TreeWriter()
    tiles.apply(writer.extend(b"".join(forked_leaf(number, at) for number in range(size))))
    return writer, tiles


@cache
def note_of(tiles, size, *, origin=ORIGIN):
    """What the log signs about a tree at a size, once: ML-DSA-44 signs with fresh randomness."""
    return sign_checkpoint(Checkpoint(origin, size, root_at(tiles, size)), LOG_KEY, LOG_KEY_PQ, SIGNED_AT)
