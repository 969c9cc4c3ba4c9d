# SPDX-License-Identifier: Apache-2.0
"""Names of tiles and entry bundles, and the form of a bundle (C2SP tlog-tiles, docs/protocol section 2 *Paths*).

    tile/<level>/<index>[.p/<width>]       hashes; full tiles (256) have no width
    tile/entries/<index>[.p/<width>]       entries, each as uint16 big-endian length and bytes

An index is written in groups of three digits, all but the last with an ``x`` before them: 1234067 is
``x001/x234/067``. Each name has one spelling, and the parser refuses every other.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from node.errors import InvalidInput
from node.log.merkle import MAX_SIZE
from node.log.tree import TILE_HEIGHT, TILE_WIDTH

if TYPE_CHECKING:
    from collections.abc import Iterable

MAX_ENTRY: Final = 65_535
"""Greatest length of an entry in bytes, set by the length field of a bundle."""

MAX_LEVEL: Final = 63
_LENGTH_BYTES: Final = 2
_GROUP: Final = 1_000
_MAX_PATH: Final = 64
_PATH: Final = re.compile(
    r"tile/(entries|0|[1-9][0-9]?)/((?:x[0-9]{3}/)*[0-9]{3})(?:\.p/([1-9][0-9]{0,2}))?", re.ASCII
)


@dataclass(frozen=True, slots=True)
class TileName:
    """Which tile, and how many hashes of it.

    Attributes:
        level: 0 to 63.
        index: Place in its level.
        width: Hashes in it, 1 to 256.
    """

    level: int
    index: int
    width: int


@dataclass(frozen=True, slots=True)
class BundleName:
    """Which entry bundle, and how many entries of it (1 to 256)."""

    index: int
    width: int


def tile_path(level: int, index: int, width: int = TILE_WIDTH) -> str:
    """Name a tile.

    Args:
        level: 0 to 63.
        index: Place in its level.
        width: Hashes in it, 1 to 256.
    """
    if not 0 <= level <= MAX_LEVEL:
        raise InvalidInput("tile-path", f"tile level is {level}, want 0 to {MAX_LEVEL}")
    return f"tile/{level}/{_encode_place(index, width)}"


def entries_path(index: int, width: int = TILE_WIDTH) -> str:
    """Name an entry bundle of ``width`` entries, 1 to 256."""
    return f"tile/entries/{_encode_place(index, width)}"


def parse_tile_path(path: str) -> TileName | BundleName:
    """Parse the name of a tile or of an entry bundle, untrusted.

    Raises:
        InvalidInput: ``tile-path`` for anything that the functions above do not write.
    """
    match = _PATH.fullmatch(path) if len(path) <= _MAX_PATH else None
    if match is None:
        raise InvalidInput("tile-path", "tile path is malformed: want tile/<level>/<index>[.p/<width>]")
    kind, place, partial = match.groups()
    index = int(place.replace("x", "").replace("/", ""))
    width = int(partial) if partial else TILE_WIDTH
    name = BundleName(index, width) if kind == "entries" else TileName(int(kind), index, width)
    # What the pattern lets through in a second spelling (x000/001, .p/256) is not what we would have written.
    canonical = (
        entries_path(index, width) if isinstance(name, BundleName) else tile_path(name.level, index, width)
    )
    if canonical != path:
        raise InvalidInput("tile-path", "tile path is not canonical: want no empty groups and no full width")
    return name


def tile_width(level: int, index: int, size: int) -> int:
    """Count the hashes (or, at level 0, entries) that a tile holds in the tree of ``size`` entries: 0 to 256."""
    return max(0, min(TILE_WIDTH, (size >> TILE_HEIGHT * level) - (index << TILE_HEIGHT)))


def encode_bundle_entry(entry: bytes) -> bytes:
    """Encode one entry of a bundle: length in two bytes big-endian, then the entry.

    Raises:
        InvalidInput: ``entry-size`` when it is longer than 65,535 bytes.
    """
    if len(entry) > MAX_ENTRY:
        raise InvalidInput("entry-size", f"log entry has {len(entry)} bytes, want at most {MAX_ENTRY}")
    return len(entry).to_bytes(_LENGTH_BYTES, "big") + entry


def encode_bundle(entries: Iterable[bytes]) -> bytes:
    """Encode entries back to back."""
    return b"".join([encode_bundle_entry(entry) for entry in entries])


def parse_bundle(data: bytes, count: int) -> list[bytes]:
    """Parse exactly ``count`` entries that fill ``data`` exactly.

    Args:
        data: Bundle or part of one, untrusted.
        count: Number of entries, taken from the log's size.

    Raises:
        InvalidInput: ``bundle-form`` when an entry is cut off or bytes are left over.
    """
    entries = []
    place = 0
    for number in range(count):
        start = place + _LENGTH_BYTES
        length = int.from_bytes(data[place:start], "big")
        place = start + length
        if place > len(data):
            raise InvalidInput("bundle-form", f"bundle is cut off in entry {number} of {count}")
        entries.append(data[start:place])
    if place != len(data):
        raise InvalidInput("bundle-form", f"bundle has {len(data) - place} bytes after its {count} entries")
    return entries


def _encode_place(index: int, width: int) -> str:
    if not 0 <= index <= MAX_SIZE >> TILE_HEIGHT or not 1 <= width <= TILE_WIDTH:
        raise InvalidInput("tile-path", f"no tile has index {index} and width {width}")
    rest, last = divmod(index, _GROUP)
    groups = [f"{last:03}"]
    while rest:
        rest, group = divmod(rest, _GROUP)
        groups.append(f"x{group:03}")
    return "/".join(reversed(groups)) + ("" if width == TILE_WIDTH else f".p/{width}")
