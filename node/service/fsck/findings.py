# SPDX-License-Identifier: Apache-2.0
"""What a check of the store finds, and what it remembers on the way through the entries."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from node.errors import NodeError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from node.core.types import EntryIndex


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is wrong: stable code, place, and what was got and wanted."""

    code: str
    place: str
    detail: str


def guarded(place: str, check: Callable[[], Iterator[Finding]]) -> Iterator[Finding]:
    """Run a check; its findings, or the error it ended with, are the findings of its place."""
    try:
        yield from check()
    except NodeError as error:
        yield Finding(error.code, place, error.message)
    except Exception as error:  # noqa: BLE001 - damaged bytes may break whatever reads them
        yield Finding("fsck-form", place, f"what is stored cannot be read: {type(error).__name__}")


class Marks:
    """A set of entry indices below ``size``, one bit each, so that it is small for any log."""

    def __init__(self, size: int) -> None:
        self.size = size
        self._bits = bytearray(size + 7 >> 3)

    def add(self, index: int) -> bool:
        """Add an index below the size; give False when it was there."""
        byte, bit = index >> 3, 1 << (index & 7)
        if self._bits[byte] & bit:
            return False
        self._bits[byte] |= bit
        return True

    def __contains__(self, index: int) -> bool:
        return index >> 3 < len(self._bits) and bool(self._bits[index >> 3] >> (index & 7) & 1)

    def __iter__(self) -> Iterator[int]:
        for byte, bits in enumerate(self._bits):
            if bits:
                yield from (byte * 8 + n for n in range(8) if bits >> n & 1)


@dataclass(slots=True)
class Counts:
    """What was looked at."""

    entries: int = 0
    records: int = 0
    checkpoints: int = 0
    anchors: int = 0


@dataclass(slots=True)
class Tally:
    """What the entries of both logs say, for the indices to be compared with.

    Attributes:
        records: Entries of the records log that are records.
        supersedes: (entry, leaf hash of the record that it corrects).
        places: Used places of each status list, as a bitmap.
        heads: Entries of the records log that are status heads.
        looks: Number of events in the access log.
    """

    records: Marks
    supersedes: list[tuple[EntryIndex, bytes]] = field(default_factory=list)
    places: dict[int, bytearray] = field(default_factory=dict)
    heads: list[EntryIndex] = field(default_factory=list)
    looks: int = 0
