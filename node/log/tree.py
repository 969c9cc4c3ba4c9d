# SPDX-License-Identifier: Apache-2.0
"""The tree of a log as tiles: growing it, proving from it, and deriving it again from what is stored.

A tile of level L holds up to 256 hashes, each the root of 256**L entries (C2SP tlog-tiles); tile n of a level
holds hashes 256n to 256n+255. Tiles only ever grow at their end, so a stored tile may hold more hashes than an
older size of the log needs, and a prefix of it is what it was at that size. Only hashes of complete subtrees are
stored; whatever ends at the right edge is folded from them. Beside a full tile its 16 inner nodes are stored, so
that a proof need not hash the whole tile (``node.log.nodes``).

Sizes passed to this module are trusted: the store has committed them. A tile that such a size needs and that is not
there means that our own state is damaged, which is Fatal.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Final, Protocol

from node.core.recent import Recent
from node.core.types import RootHash
from node.errors import Fatal, InvalidInput
from node.log.merkle import EMPTY_ROOT, HASH_BYTES, MAX_SIZE
from node.log.nodes import INNER_BYTES, INNER_HEIGHT, INNER_WIDTH, TileNodes, hash_each, inner_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from node.log.nodes import HashAll

TILE_HEIGHT: Final = 8
TILE_WIDTH: Final = 1 << TILE_HEIGHT
TILE_BYTES: Final = TILE_WIDTH * HASH_BYTES
_LOW: Final = TILE_WIDTH - 1


class TileReader(Protocol):
    """Reads the tiles that a log has stored."""

    def read_tile(self, level: int, index: int) -> bytes:
        """Read all hashes stored in a tile: 32 bytes each, at most 256, nothing when there is no such tile."""
        ...


@dataclass(frozen=True, slots=True)
class TileWrite:
    """The final content of one tile that an extension touched.

    Attributes:
        level: Level of the tile.
        index: Its place in the level.
        data: 1 to 256 hashes of 32 bytes.
        inner: Of a full tile its 16 inner nodes, to be stored beside it; of another tile nothing.
    """

    level: int
    index: int
    data: bytes
    inner: bytes = b""


class _EdgeTile:
    """The tile of one level that is still filling.

    Attributes:
        index: Its place in the level, which is the number of full tiles before it.
        hashes: What it holds so far, fewer than 256 hashes.
        inner: The roots of its complete groups of 16 hashes.
        peaks: Roots of its complete binary subtrees, widest first.
    """

    __slots__ = ("hashes", "index", "inner", "peaks")

    def __init__(
        self,
        index: int = 0,
        hashes: bytes | bytearray = b"",
        inner: bytes | bytearray = b"",
        peaks: Sequence[bytes] = (),
    ) -> None:
        self.index = index
        self.hashes = bytearray(hashes)
        self.inner = bytearray(inner)
        self.peaks = list(peaks)

    def copy(self) -> _EdgeTile:
        return _EdgeTile(self.index, self.hashes, self.inner, self.peaks)

    def push(self, data: bytes, hash_all: HashAll = hash_each) -> None:
        """Append hashes that fit: one by one to the end of a group, then whole groups, then the rest."""
        width = len(self.hashes) // HASH_BYTES
        self.hashes += data
        lead = min(len(data), -width % INNER_WIDTH * HASH_BYTES)
        whole = lead + (len(data) - lead) // INNER_BYTES * INNER_BYTES
        if lead:
            self._fold(data[:lead], 0, width)
        if lead < whole:
            groups = inner_of(data[lead:whole], hash_all)
            self.inner += groups
            self._fold(groups, INNER_HEIGHT, (width + lead // HASH_BYTES) // INNER_WIDTH)
        if whole < len(data):
            self._fold(data[whole:], 0, width + whole // HASH_BYTES)

    def _fold(self, data: bytes, height: int, count: int) -> None:
        """Fold roots of complete subtrees of one height into the peaks, with ``count`` of them before."""
        peaks = self.peaks
        for start in range(0, len(data), HASH_BYTES):
            node = data[start : start + HASH_BYTES]
            carry, reached = count, height
            while carry & 1:
                node = sha256(b"\x01" + peaks.pop() + node).digest()
                carry >>= 1
                reached += 1
                if reached == INNER_HEIGHT:
                    self.inner += node
            peaks.append(node)
            count += 1

    def extend(self, level: int, data: bytes, writes: list[TileWrite], hash_all: HashAll) -> bytes:
        """Append hashes, note each tile touched, return the roots of the tiles that became full."""
        roots, place = b"", 0
        if self.hashes:
            place = min(len(data), TILE_BYTES - len(self.hashes))
            self.push(data[:place], hash_all)
            if len(self.hashes) == TILE_BYTES:
                writes.append(TileWrite(level, self.index, bytes(self.hashes), bytes(self.inner)))
                roots = self.peaks[0]
                self.hashes, self.inner, self.peaks = bytearray(), bytearray(), []
                self.index += 1
        count = (len(data) - place) // TILE_BYTES
        inner = inner_of(data[place : place + count * TILE_BYTES], hash_all) if count else b""
        for number in range(count):
            beside = inner[number * INNER_BYTES : (number + 1) * INNER_BYTES]
            writes.append(TileWrite(level, self.index, data[place : place + TILE_BYTES], beside))
            self.index += 1
            place += TILE_BYTES
        if place < len(data):
            self.push(data[place:], hash_all)
        if self.hashes:
            writes.append(TileWrite(level, self.index, bytes(self.hashes)))
        return roots + inner_of(inner, hash_all) if inner else roots


class TreeWriter:
    """The right edge of a tree, from which it grows without reading anything: O(1) hashes a leaf.

    For one thread at a time; ``copy`` before extending what others still read.
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
        """Copy, so that a batch can be thrown away while this tree stays."""
        twin = TreeWriter()
        twin._size = self._size
        twin._edges = [edge.copy() for edge in self._edges]
        twin._root = self._root
        return twin

    def extend(self, leaf_hashes: bytes, hash_all: HashAll = hash_each) -> list[TileWrite]:
        """Append leaves and return every tile touched, once, with its final content.

        Args:
            leaf_hashes: RFC 6962 leaf hashes back to back, 32 bytes each.
            hash_all: Hashes nodes.
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
            data = self._edges[level].extend(level, data, writes, hash_all)
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


def _no_inner(_level: int, _index: int) -> bytes:
    return b""


class TileCache:
    """Answers for any complete subtree of a stored tree, keeping what it has read.

    Safe for several threads. It stays right while the log grows, because a tile never changes what it already
    holds; drop it when the store it reads from is replaced.

    Args:
        reader: The stored tiles.
        read_inner: Reads the 16 inner nodes stored beside a full tile (level, index); nothing where there are none,
            as with tiles of another node or of a store that an older release wrote. Then they are computed.
        upper_tiles: How many tiles of level 1 and above to keep (at most 17 kB each with their inner nodes); one such
            tile serves 65,536 entries.
        leaf_tiles: How many tiles of level 0 to keep (as large). They have a bound of their own, so that
            proofs for entries all over a large log do not push the upper tiles out.
    """

    def __init__(
        self,
        reader: TileReader,
        read_inner: Callable[[int, int], bytes] = _no_inner,
        *,
        upper_tiles: int = 2_048,
        leaf_tiles: int = 256,
    ) -> None:
        self.read_inner = read_inner
        self._reader = reader
        self._upper: Recent[TileNodes] = Recent(upper_tiles)
        self._leaves: Recent[TileNodes] = Recent(leaf_tiles)
        self._folds: Recent[dict[int, bytes]] = Recent(64)

    def read_tile(self, level: int, index: int) -> bytes:
        """Read a tile as stored, past the cache: its end may have grown since."""
        return self._reader.read_tile(level, index)

    def nodes(self, level: int, index: int, width: int) -> TileNodes:
        """Give the nodes of a tile.

        Args:
            level: Level of the tile.
            index: Place of the tile in its level.
            width: How many hashes of it are needed, 1 to 256.

        Raises:
            Fatal: ``log-tile-missing`` when fewer are stored; ``log-tile-corrupt`` when the inner nodes stored beside
                it do not give the root that the tile above holds.
        """
        recent = self._upper if level else self._leaves
        nodes = recent.find((level, index))
        if nodes is None or len(nodes.data) < width * HASH_BYTES:
            nodes = self._load(level, index, _read_hashes(self._reader, level, index, width), nodes)
            recent.put((level, index), nodes)
        return nodes

    def _load(self, level: int, index: int, data: bytes, narrower: TileNodes | None) -> TileNodes:
        inner = self.read_inner(level, index) if len(data) == TILE_BYTES else b""
        if inner:
            above = self.node(TILE_HEIGHT * (level + 1), index)
            nodes = TileNodes(level, index, data, inner)
            if len(inner) != INNER_BYTES or nodes.node(TILE_HEIGHT, 0) != above:
                raise _wrong_inner(level, index)
            return nodes
        known = narrower.inner if narrower is not None and data.startswith(narrower.data) else b""
        return TileNodes(level, index, data, known + inner_of(data[len(known) * INNER_WIDTH :]))

    def node(self, height: int, place: int) -> bytes:
        """Give the root of the complete subtree of entries ``place << height`` to ``(place + 1 << height) - 1``."""
        level, low = divmod(height, TILE_HEIGHT)
        first = place << low
        offset = (first & _LOW) >> low
        return self.nodes(level, first >> TILE_HEIGHT, (offset + 1) << low).node(low, offset)

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
        path += cache.nodes(level, tile, ((offset >> rise) + 1) << rise).siblings(offset, rise)
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
        Fatal: ``log-tile-corrupt`` naming the tile (level, index) that disagrees with the tiles below it or with the
            inner nodes stored beside it, or the size whose root is another; ``log-tile-missing`` when a tile is absent or too short.
    """
    if not 0 <= verified_size <= size:
        raise InvalidInput("log-size", f"cannot derive size {size} from size {verified_size}")
    if verified_root is not None and TreeWriter.load(reader, verified_size).root() != verified_root:
        raise Fatal(
            "log-tile-corrupt", f"stored tiles lead to another root at size {verified_size} than was signed"
        )
    cache = _cached(reader)
    level, first, count = 0, verified_size, size
    derived = b""
    while first < count:
        roots = []
        for index in range(first >> TILE_HEIGHT, ((count - 1) >> TILE_HEIGHT) + 1):
            width = min(TILE_WIDTH, count - (index << TILE_HEIGHT))
            data = _read_hashes(cache, level, index, width)
            if level:
                _check_derived(level, index, data, first, derived)
            if width == TILE_WIDTH:
                inner = inner_of(data)
                if cache.read_inner(level, index) not in {b"", inner}:
                    raise _wrong_inner(level, index)
                roots.append(inner_of(inner))
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


def _wrong_inner(level: int, index: int) -> Fatal:
    return Fatal(
        "log-tile-corrupt", f"tile ({level}, {index}) has other inner nodes stored beside it than its own"
    )
