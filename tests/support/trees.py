# SPDX-License-Identifier: Apache-2.0
"""A tile store in memory, and the tree of RFC 6962 section 2.1 written as the recursion that the RFC prints."""

from __future__ import annotations

from hashlib import sha256

from node.log.tree import TreeWriter


class MemoryTiles:
    """Keeps tiles in a dict, as a TileReader, and the inner nodes beside them; counts how many tiles were read."""

    def __init__(self):
        self.tiles = {}
        self.inner = {}
        self.reads = 0

    def read_tile(self, level, index):
        self.reads += 1
        return self.tiles.get((level, index), b"")

    def read_inner(self, level, index):
        return self.inner.get((level, index), b"")

    def apply(self, writes):
        for write in writes:
            self.tiles[write.level, write.index] = write.data
            if write.inner:
                self.inner[write.level, write.index] = write.inner

    def copy(self):
        twin = MemoryTiles()
        twin.tiles, twin.inner = dict(self.tiles), dict(self.inner)
        return twin

    def corrupt(self, level, index, place):
        """Flip one bit of one stored hash."""
        self.tiles[level, index] = _flip(self.tiles[level, index], place)

    def corrupt_inner(self, level, index, place):
        """Flip one bit of one inner node stored beside a tile."""
        self.inner[level, index] = _flip(self.inner[level, index], place)


def _flip(hashes, place):
    data = bytearray(hashes)
    data[place * 32] ^= 1
    return bytes(data)


def numbered_leaf(number):
    """Leaf hash of the entry that holds the number in ASCII."""
    return sha256(b"\x00%d" % number).digest()


def grow(size, *, batch=None):
    """Build a tree of numbered leaves; returns its writer and its tiles."""
    tiles, writer = MemoryTiles(), TreeWriter()
    step = batch or max(size, 1)
    for start in range(0, size, step):
        stop = min(start + step, size)
        tiles.apply(writer.extend(b"".join(numbered_leaf(number) for number in range(start, stop))))
    return writer, tiles


def naive_root(leaves):
    if not leaves:
        return sha256(b"").digest()
    if len(leaves) == 1:
        return leaves[0]
    k = _split(len(leaves))
    return sha256(b"\x01" + naive_root(leaves[:k]) + naive_root(leaves[k:])).digest()


def naive_path(index, leaves):
    if len(leaves) == 1:
        return []
    k = _split(len(leaves))
    if index < k:
        return [*naive_path(index, leaves[:k]), naive_root(leaves[k:])]
    return [*naive_path(index - k, leaves[k:]), naive_root(leaves[:k])]


def naive_consistency(old_size, leaves, *, known=True):
    if old_size == len(leaves):
        return [] if known else [naive_root(leaves)]
    k = _split(len(leaves))
    if old_size <= k:
        return [*naive_consistency(old_size, leaves[:k], known=known), naive_root(leaves[k:])]
    return [*naive_consistency(old_size - k, leaves[k:], known=False), naive_root(leaves[:k])]


def _split(count):
    k = 1
    while 2 * k < count:
        k *= 2
    return k
