# SPDX-License-Identifier: Apache-2.0
"""RFC 6962 Merkle tree hashing and the two proof checks (docs/protocol, section 2 *Logs*).

    MTH({})    = SHA-256("")
    leaf hash  = SHA-256(0x00 || entry)
    node hash  = SHA-256(0x01 || left || right)
    MTH(D[n])  = node(MTH(D[0:k]), MTH(D[k:n])),  k the largest power of two smaller than n

An odd last node is promoted, never duplicated. The length of a proof is a function of the numbers it is checked
against, so those numbers come from what a signature covers and never from the proof: nearly every inclusion
proof also holds for some other index at some other size.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final

from node.core.types import LeafHash, RootHash
from node.errors import InvalidInput, Verification

if TYPE_CHECKING:
    from collections.abc import Sequence

HASH_BYTES: Final = 32
MAX_SIZE: Final = 2**53 - 1
"""Greatest number of entries of a log: the greatest integer of the protocol."""

EMPTY_ROOT: Final = RootHash(hashlib.sha256(b"").digest())
LEAF_PREFIX: Final = b"\x00"
"""Stands in front of an entry when its leaf hash is computed."""
_NODE_PREFIX: Final = b"\x01"


def leaf_hash(entry: bytes) -> LeafHash:
    """Hash the bytes of a log entry (RFC 6962 section 2.1)."""
    return LeafHash(hashlib.sha256(LEAF_PREFIX + entry).digest())


def node_hash(left: bytes, right: bytes) -> bytes:
    """Hash two neighbouring subtree roots of exactly 32 bytes each (RFC 6962 section 2.1)."""
    if len(left) != HASH_BYTES or len(right) != HASH_BYTES:
        raise InvalidInput(
            "hash-length", f"node has {len(left)} and {len(right)} bytes below it, want 32 and 32"
        )
    return hashlib.sha256(_NODE_PREFIX + left + right).digest()


def root_of(leaf_hashes: Sequence[LeafHash]) -> RootHash:
    """Compute the root of a small tree that is held in memory.

    Args:
        leaf_hashes: RFC 6962 leaf hashes (not entries), 32 bytes each, in order.
    """
    rows = _rows(leaf_hashes)
    return RootHash(rows[-1][0]) if rows[0] else EMPTY_ROOT


def path_of(leaf_hashes: Sequence[LeafHash], index: int) -> list[bytes]:
    """Build the inclusion path of one leaf of a small tree that is held in memory, leaf sibling first.

    Args:
        leaf_hashes: RFC 6962 leaf hashes (not entries), 32 bytes each, in order.
        index: Place of the leaf, 0 to ``len(leaf_hashes) - 1``.
    """
    if not 0 <= index < len(leaf_hashes):
        raise InvalidInput("leaf-index", f"no leaf {index} in a tree of {len(leaf_hashes)}")
    path = []
    for row in _rows(leaf_hashes):
        sibling = index ^ 1
        if sibling < len(row):
            path.append(row[sibling])
        index >>= 1
    return path


def _rows(leaf_hashes: Sequence[bytes]) -> list[list[bytes]]:
    """Compute all rows of the tree, leaves first, a promoted odd node standing in each row it rises through."""
    for leaf in leaf_hashes:
        if len(leaf) != HASH_BYTES:
            raise InvalidInput("hash-length", f"leaf hash has {len(leaf)} bytes, want 32")
    row = list(leaf_hashes)
    rows = [row]
    while len(row) > 1:
        above = [node_hash(row[place], row[place + 1]) for place in range(0, len(row) - 1, 2)]
        if len(row) % 2:
            above.append(row[-1])
        row = above
        rows.append(row)
    return rows


def verify_inclusion(index: int, size: int, leaf: LeafHash, path: Sequence[bytes], root: RootHash) -> None:
    """Check that a leaf is entry ``index`` of the tree of ``size`` entries with this root.

    Follows RFC 9162 section 2.1.3.2 with the path's length bound to (index, size) before anything is hashed.

    Args:
        index: Place of the entry; untrusted.
        size: Number of entries, taken from a verified checkpoint and never from the proof.
        leaf: Leaf hash, 32 bytes, computed from the entry's bytes and never taken from the prover.
        path: Sibling hashes of 32 bytes, leaf sibling first; untrusted.
        root: Root, 32 bytes, taken from the same verified checkpoint.

    Raises:
        Verification: ``inclusion-index`` (no such entry), ``inclusion-length`` (wrong number of hashes),
            ``inclusion-hash-length`` (a hash is not 32 bytes), ``inclusion-root`` (another root results).
    """
    if not 0 < size <= MAX_SIZE or not 0 <= index < size:
        raise Verification("inclusion-index", f"no entry {index} in a tree of size {size}")
    _check_hashes("inclusion-hash-length", (leaf, root, *path))
    inner = (index ^ (size - 1)).bit_length()
    border = (index >> inner).bit_count()
    if len(path) != inner + border:
        raise Verification("inclusion-length", f"path has {len(path)} hashes, want {inner + border}")
    node: bytes = leaf
    for height, sibling in enumerate(path[:inner]):
        node = node_hash(sibling, node) if index >> height & 1 else node_hash(node, sibling)
    for sibling in path[inner:]:
        node = node_hash(sibling, node)
    if node != root:
        raise Verification(
            "inclusion-root", f"path of entry {index} leads to another root than that of size {size}"
        )


def verify_consistency(
    old_size: int, new_size: int, old_root: RootHash, new_root: RootHash, proof: Sequence[bytes]
) -> None:
    """Check that the tree of ``old_size`` entries is a prefix of the tree of ``new_size`` entries.

    Follows RFC 9162 section 2.1.4.2. Every tree continues the empty one, so there is nothing to verify from
    size 0 and the call is refused: the caller decides that case before it calls.

    Args:
        old_size: Entries of the older tree, at least 1, from a verified checkpoint or anchor.
        new_size: Entries of the newer tree, from a verified checkpoint or anchor.
        old_root: Root of the older tree, 32 bytes, same source as its size.
        new_root: Root of the newer tree, 32 bytes, same source as its size.
        proof: Hashes of 32 bytes; untrusted.

    Raises:
        Verification: ``consistency-size`` (old size 0 or above the new size), ``consistency-length`` (wrong
            number of hashes), ``consistency-hash-length`` (a hash is not 32 bytes), ``consistency-old-root``,
            ``consistency-new-root`` (another root results).
    """
    if not 0 < old_size <= new_size <= MAX_SIZE:
        raise Verification("consistency-size", f"no proof from size {old_size} to size {new_size}")
    _check_hashes("consistency-hash-length", (old_root, new_root, *proof))
    want = consistency_length(old_size, new_size)
    if len(proof) != want:
        raise Verification("consistency-length", f"proof has {len(proof)} hashes, want {want}")
    if old_size == new_size:
        if old_root != new_root:
            raise Verification("consistency-new-root", f"two roots at size {old_size}")
        return
    # The walk starts at the highest complete subtree that ends at old_size; where that is the whole old tree,
    # its root is not repeated in the proof.
    shift = (old_size & -old_size).bit_length() - 1
    place, last = (old_size - 1) >> shift, (new_size - 1) >> shift
    rest = list(proof)
    seed: bytes = rest.pop(0) if place else old_root
    old_node = new_node = seed
    for sibling in rest:
        while place and not place & 1 and place == last:
            place, last = place >> 1, last >> 1
        if place & 1 or place == last:
            old_node, new_node = node_hash(sibling, old_node), node_hash(sibling, new_node)
        else:
            new_node = node_hash(new_node, sibling)
        place, last = place >> 1, last >> 1
    if old_node != old_root:
        raise Verification("consistency-old-root", f"proof leads to another root at size {old_size}")
    if new_node != new_root:
        raise Verification("consistency-new-root", f"proof leads to another root at size {new_size}")


def consistency_length(old_size: int, new_size: int) -> int:
    """Count the hashes of the consistency proof between two sizes (0 < old_size <= new_size)."""
    if old_size == new_size:
        return 0
    shift = (old_size & -old_size).bit_length() - 1
    place, last = (old_size - 1) >> shift, (new_size - 1) >> shift
    inner = (place ^ last).bit_length()
    border = (place >> inner).bit_count()
    return inner + border + (1 if place else 0)


def _check_hashes(code: str, hashes: Sequence[bytes]) -> None:
    for item in hashes:
        if len(item) != HASH_BYTES:
            raise Verification(code, f"hash has {len(item)} bytes, want 32")
