# SPDX-License-Identifier: Apache-2.0
"""The tree of a log as tiles: growing it, proving from it, and deriving it again from what is stored.

A tile of level L holds up to 256 hashes, each the root of 256**L entries (C2SP tlog-tiles); tile n of a level
holds hashes 256n to 256n+255. Tiles only ever grow at their end, so a stored tile may hold more hashes than an
older size of the log needs, and a prefix of it is what it was at that size. Only hashes of complete subtrees are
stored; whatever ends at the right edge is folded from them.

Sizes passed to this module are trusted: they are sizes that the store has committed. A tile that such a size
needs and that is not there means that our own state is damaged, which is Fatal.
"""

from __future__ import annotations

import struct
import threading
from dataclasses import dataclass
from hashlib import sha256
from typing import Final, Generic, Protocol, TypeVar

from node.core.types import RootHash
from node.errors import Fatal, InvalidInput
from node.log.merkle import EMPTY_ROOT, HASH_BYTES, MAX_SIZE

K = TypeVar("K")
V = TypeVar("V")

TILE_HEIGHT: Final = 8
TILE_WIDTH: Final = 1 << TILE_HEIGHT
TILE_BYTES: Final = TILE_WIDTH * HASH_BYTES
_LOW: Final = TILE_WIDTH - 1
_PAIR: Final = struct.Struct(f"{2 * HASH_BYTES}s")
_PAIR_BYTES: Final = _PAIR.size


class TileReader(Protocol):
    """Reads the tiles that a log has stored."""

    def read_tile(self, level: int, index: int) -> bytes:
        """Read all hashes stored in a tile: 32 bytes each, at most 256, nothing when there is no such tile."""
        ...


@dataclass(frozen=True, slots=True)
class TileWrite:
    """The final content of one tile that an extension touched: 1 to 256 hashes of 32 bytes."""

    level: int
    index: int
    data: bytes


class _EdgeTile:
    """The tile of one level that is still filling.

    Attributes:
        index: Its place in the level, which is the number of full tiles before it.
        hashes: What it holds so far, fewer than 256 hashes.
        peaks: Roots of its complete binary subtrees, widest first: the sums that the next hashes fold into.
    """

    __slots__ = ("hashes", "index", "peaks")

    def __init__(self, index: int = 0) -> None:
        self.index = index
        self.hashes = bytearray()
        self.peaks: list[bytes] = []

    def copy(self) -> _EdgeTile:
        twin = _EdgeTile(self.index)
        twin.hashes = bytearray(self.hashes)
        twin.peaks = list(self.peaks)
        return twin

    def push(self, data: bytes) -> None:
        """Append hashes for which there is room."""
        peaks = self.peaks
        width = len(self.hashes) // HASH_BYTES
        self.hashes += data
        for start in range(0, len(data), HASH_BYTES):
            node = data[start : start + HASH_BYTES]
            carry = width
            while carry & 1:
                node = sha256(b"\x01" + peaks.pop() + node).digest()
                carry >>= 1
            peaks.append(node)
            width += 1

    def extend(self, level: int, data: bytes, writes: list[TileWrite]) -> bytes:
        """Append hashes, note each tile touched, and return the roots of the tiles that became full."""
        roots = []
        place = 0
        if self.hashes:
            place = min(len(data), TILE_BYTES - len(self.hashes))
            self.push(data[:place])
            if len(self.hashes) == TILE_BYTES:
                writes.append(TileWrite(level, self.index, bytes(self.hashes)))
                roots.append(self.peaks[0])
                self.hashes, self.peaks = bytearray(), []
                self.index += 1
        while len(data) - place >= TILE_BYTES:
            tile = data[place : place + TILE_BYTES]
            writes.append(TileWrite(level, self.index, tile))
            roots.append(_tile_root(tile))
            self.index += 1
            place += TILE_BYTES
        self.push(data[place:])
        if self.hashes:
            writes.append(TileWrite(level, self.index, bytes(self.hashes)))
        return b"".join(roots)


class TreeWriter:
    """The right edge of a tree, from which it grows without reading anything: O(1) hashes a leaf.

    Not safe for two threads at once; ``copy`` before extending what others still read.
    """

    def __init__(self) -> None:
        self._size = 0
        self._edges: list[_EdgeTile] = []
        self._root: RootHash | None = EMPTY_ROOT

    @classmethod
    def load(cls, reader: TileReader, size: int) -> TreeWriter:
        """Load the right edge of a stored tree.

        Args:
            reader: The stored tiles.
            size: Number of entries, as the store committed it.

        Raises:
            Fatal: ``log-tile-missing`` when a tile that this size needs is absent or too short.
        """
        if not 0 <= size <= MAX_SIZE:
            raise InvalidInput("log-size", f"log size is {size}, want 0 to {MAX_SIZE}")
        writer = cls()
        writer._size = size
        writer._root = None if size else EMPTY_ROOT
        level = 0
        while size:
            size, width = size >> TILE_HEIGHT, size & _LOW
            edge = _EdgeTile(size)
            if width:
                edge.push(_read_hashes(reader, level, size, width)[: width * HASH_BYTES])
            writer._edges.append(edge)
            level += 1
        return writer

    @property
    def size(self) -> int:
        """Number of leaves."""
        return self._size

    def copy(self) -> TreeWriter:
        """Copy, so that a batch can be built and thrown away while this tree stays as it is."""
        twin = TreeWriter()
        twin._size = self._size
        twin._edges = [edge.copy() for edge in self._edges]
        twin._root = self._root
        return twin

    def extend(self, leaf_hashes: bytes) -> list[TileWrite]:
        """Append leaves and return every tile touched, once, with its final content.

        Args:
            leaf_hashes: RFC 6962 leaf hashes back to back, 32 bytes each.
        """
        if len(leaf_hashes) % HASH_BYTES:
            raise InvalidInput(
                "hash-length", f"leaf hashes have {len(leaf_hashes)} bytes, want a multiple of 32"
            )
        count = len(leaf_hashes) // HASH_BYTES
        if self._size + count > MAX_SIZE:
            raise InvalidInput(
                "log-size", f"log would have {self._size + count} entries, want at most {MAX_SIZE}"
            )
        writes: list[TileWrite] = []
        level, data = 0, leaf_hashes
        while data:
            if level == len(self._edges):
                self._edges.append(_EdgeTile())
            data = self._edges[level].extend(level, data, writes)
            level += 1
        if count:
            self._size += count
            self._root = None
        return writes

    def root(self) -> RootHash:
        """Fold the right edge into the root."""
        if self._root is None:
            node = b""
            for edge in self._edges:
                for peak in reversed(edge.peaks):
                    node = sha256(b"\x01" + peak + node).digest() if node else peak
            self._root = RootHash(node)
        return self._root


class _Recent(Generic[K, V]):
    """The most recently used values, up to a bound; safe for several threads."""

    def __init__(self, bound: int) -> None:
        self._bound = bound
        self._values: dict[K, V] = {}
        self._lock = threading.Lock()

    def find(self, key: K) -> V | None:
        with self._lock:
            value = self._values.pop(key, None)
            if value is not None:
                self._values[key] = value
            return value

    def put(self, key: K, value: V) -> None:
        with self._lock:
            self._values.pop(key, None)
            self._values[key] = value
            if len(self._values) > self._bound:
                del self._values[next(iter(self._values))]


class TileCache:
    """Answers for any complete subtree of a stored tree, keeping the inner nodes of tiles it has read.

    Safe for several threads. The cache stays right while the log grows, because a tile never changes what it
    already holds; it must be dropped when the store it reads from is replaced.

    Args:
        reader: The stored tiles.
        upper_tiles: How many tiles of level 1 and above to keep (16 kB each with their inner nodes); one such
            tile serves 65,536 entries.
        leaf_tiles: How many tiles of level 0 to keep (16 kB each). They have a bound of their own, so that
            proofs for entries all over a large log do not push the upper tiles out.
    """

    def __init__(self, reader: TileReader, *, upper_tiles: int = 2_048, leaf_tiles: int = 256) -> None:
        self._reader = reader
        self._upper: _Recent[tuple[int, int], list[bytes]] = _Recent(upper_tiles)
        self._leaves: _Recent[tuple[int, int], list[bytes]] = _Recent(leaf_tiles)
        self._folds: _Recent[int, dict[int, bytes]] = _Recent(64)

    def read_tile(self, level: int, index: int) -> bytes:
        """Read a tile as stored, past the cache: its end may have grown since."""
        return self._reader.read_tile(level, index)

    def rows(self, level: int, index: int, width: int) -> list[bytes]:
        """Give the rows of a tile, hashes first, each row the parents of the complete pairs below it.

        Args:
            level: Level of the tile.
            index: Place of the tile in its level.
            width: How many hashes of it are needed, 1 to 256.

        Raises:
            Fatal: ``log-tile-missing`` when fewer are stored.
        """
        recent = self._upper if level else self._leaves
        rows = recent.find((level, index))
        if rows is None or len(rows[0]) < width * HASH_BYTES:
            rows = _build_rows(_read_hashes(self._reader, level, index, width))
            recent.put((level, index), rows)
        return rows

    def node(self, height: int, place: int) -> bytes:
        """Give the root of the complete subtree of entries ``place << height`` to ``(place + 1 << height) - 1``."""
        level, low = divmod(height, TILE_HEIGHT)
        first = place << low
        offset = (first & _LOW) >> low
        row = self.rows(level, first >> TILE_HEIGHT, (offset + 1) << low)[low]
        return row[offset * HASH_BYTES : (offset + 1) * HASH_BYTES]

    def folds(self, size: int) -> dict[int, bytes]:
        """Give, for each complete subtree on the edge of the tree of ``size``, the root from its start to the end."""
        folds = self._folds.find(size)
        if folds is None:
            folds = {}
            node = b""
            for height in range(size.bit_length()):
                if size >> height & 1:
                    place = (size >> height) - 1
                    peak = self.node(height, place)
                    node = sha256(b"\x01" + peak + node).digest() if node else peak
                    folds[place << height] = node
            self._folds.put(size, folds)
        return folds


def build_inclusion_path(reader: TileReader, index: int, size: int) -> list[bytes]:
    """Build the inclusion path of an entry, leaf sibling first (RFC 6962 section 2.1.1).

    Args:
        reader: The stored tiles; a TileCache keeps what it computes for the next call.
        index: Place of the entry, 0 to ``size - 1``.
        size: Any size that the log has had, up to the committed one.

    Raises:
        InvalidInput: ``leaf-index`` when the tree of that size has no such entry.
        Fatal: ``log-tile-missing`` when a tile is absent or too short.
    """
    if not 0 <= index < size:
        raise InvalidInput("leaf-index", f"no leaf {index} in a tree of {size}")
    cache = _cached(reader)
    # The entry lies in the complete subtree of this height, the first of the edge that index and size differ in.
    height = (index ^ size).bit_length() - 1
    path = []
    for level in range(-(-height // TILE_HEIGHT)):
        rise = min(TILE_HEIGHT, height - level * TILE_HEIGHT)
        tile, offset = divmod(index >> level * TILE_HEIGHT, TILE_WIDTH)
        rows = cache.rows(level, tile, ((offset >> rise) + 1) << rise)
        for row in rows[:rise]:
            sibling = (offset ^ 1) * HASH_BYTES
            path.append(row[sibling : sibling + HASH_BYTES])
            offset >>= 1
    if size & ((1 << height) - 1):
        path.append(cache.folds(size)[size >> height << height])
    path.extend(
        cache.node(above, (size >> above) - 1)
        for above in range(height + 1, size.bit_length())
        if size >> above & 1
    )
    return path


def build_consistency_proof(reader: TileReader, old_size: int, new_size: int) -> list[bytes]:
    """Build the consistency proof between two sizes (RFC 6962 section 2.1.2); empty from size 0.

    Args:
        reader: The stored tiles; a TileCache keeps what it computes for the next call.
        old_size: Size that is to be shown as a prefix.
        new_size: Any size that the log has had, up to the committed one.

    Raises:
        InvalidInput: ``consistency-size`` when the old size is above the new one.
        Fatal: ``log-tile-missing`` when a tile is absent or too short.
    """
    if not 0 <= old_size <= new_size:
        raise InvalidInput("consistency-size", f"no proof from size {old_size} to size {new_size}")
    cache = _cached(reader)
    proof: list[bytes] = []
    start, end = 0, new_size
    while old_size and old_size != end:
        middle = start + (1 << (end - start - 1).bit_length() - 1)
        if old_size <= middle:
            proof.append(_range_root(cache, middle, end))
            end = middle
        else:
            proof.append(_range_root(cache, start, middle))
            start = middle
    if start:
        proof.append(_range_root(cache, start, end))
    return proof[::-1]


def root_at(reader: TileReader, size: int) -> RootHash:
    """Compute the root that the log had at a size, up to the committed one.

    Raises:
        Fatal: ``log-tile-missing`` when a tile is absent or too short.
    """
    return RootHash(_cached(reader).folds(size)[0]) if size else EMPTY_ROOT


def recompute_root(
    reader: TileReader, verified_size: int, size: int, *, verified_root: RootHash | None = None
) -> RootHash:
    """Derive again, from stored level-0 tiles upward, every tile touched since a verified size, and the root.

    What the touched tiles already held at ``verified_size`` is bound by ``verified_root``: every hash in them
    goes into that root. A caller that walks a long log (fsck) goes from size to size, each root verifying the
    next, and shows its progress between.

    Args:
        reader: The stored tiles, read past any cache.
        verified_size: A size whose root has been checked before; 0 derives everything.
        size: Size to derive, at least ``verified_size``.
        verified_root: Root that was signed at ``verified_size``; None leaves it to the caller to compare.

    Returns:
        Root of the tree of ``size``, which the caller compares with the root it is about to sign.

    Raises:
        Fatal: ``log-tile-corrupt`` naming the tile (level, index) that disagrees with the tiles below it, or the
            size whose root is another; ``log-tile-missing`` when a tile is absent or too short.
    """
    if not 0 <= verified_size <= size:
        raise InvalidInput("log-size", f"cannot derive size {size} from size {verified_size}")
    if verified_root is not None and TreeWriter.load(reader, verified_size).root() != verified_root:
        raise Fatal(
            "log-tile-corrupt", f"stored tiles lead to another root at size {verified_size} than was signed"
        )
    level, first, count = 0, verified_size, size
    derived = b""
    while first < count:
        roots = []
        for index in range(first >> TILE_HEIGHT, ((count - 1) >> TILE_HEIGHT) + 1):
            width = min(TILE_WIDTH, count - (index << TILE_HEIGHT))
            data = _read_hashes(reader, level, index, width)
            if level:
                _check_derived(level, index, data, first, derived)
            if width == TILE_WIDTH:
                roots.append(_tile_root(data))
        derived = b"".join(roots)
        level, first, count = level + 1, first >> TILE_HEIGHT, count >> TILE_HEIGHT
    return TreeWriter.load(reader, size).root()


def _check_derived(level: int, index: int, data: bytes, first: int, derived: bytes) -> None:
    """Compare a stored tile with the hashes of its level from place ``first`` on, as derived from below."""
    base = index << TILE_HEIGHT
    start = max(first, base)
    stop = min(base + len(data) // HASH_BYTES, first + len(derived) // HASH_BYTES)
    for place in range(start, stop):
        here, there = (place - base) * HASH_BYTES, (place - first) * HASH_BYTES
        if data[here : here + HASH_BYTES] != derived[there : there + HASH_BYTES]:
            raise Fatal(
                "log-tile-corrupt",
                f"tile ({level}, {index}) holds at {place - base} another hash than tile ({level - 1}, {place}) gives",
            )


def _range_root(cache: TileCache, start: int, end: int) -> bytes:
    """Root of entries start to end, either a complete subtree or what reaches from a peak to the right edge."""
    count = end - start
    if count & (count - 1):
        return cache.folds(end)[start]
    height = count.bit_length() - 1
    return cache.node(height, start >> height)


def _cached(reader: TileReader) -> TileCache:
    return reader if isinstance(reader, TileCache) else TileCache(reader)


def _read_hashes(reader: TileReader, level: int, index: int, width: int) -> bytes:
    """Read a tile of which at least ``width`` hashes must be stored."""
    data = reader.read_tile(level, index)
    if len(data) % HASH_BYTES or len(data) > TILE_BYTES or len(data) < width * HASH_BYTES:
        raise Fatal(
            "log-tile-missing",
            f"tile ({level}, {index}) has {len(data)} bytes, want {width * HASH_BYTES} to {TILE_BYTES} by 32",
        )
    return data


def _build_rows(data: bytes) -> list[bytes]:
    rows = [data]
    while len(data) >= _PAIR_BYTES:
        data = _parents(data)
        rows.append(data)
    return rows


def _tile_root(data: bytes) -> bytes:
    while len(data) > HASH_BYTES:
        data = _parents(data)
    return data


def _parents(data: bytes) -> bytes:
    """Hash complete pairs; the hot loop of the tree, so all names in it are local."""
    digest, prefix = sha256, b"\x01"
    whole = data[: len(data) // _PAIR_BYTES * _PAIR_BYTES]
    return b"".join([digest(prefix + pair).digest() for (pair,) in _PAIR.iter_unpack(whole)])
