# SPDX-License-Identifier: Apache-2.0
"""What a check of the store finds, and what it remembers on the way through the entries."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from node.errors import NodeError
from node.service.layout import place_of, split_place, stop_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from node.core.types import EntryIndex
    from node.ports import Reads
    from node.service.reading import LogReader


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


def check_each(
    reads: Reads, prefix: bytes, name: str, code: str, check: Callable[[bytes, bytes], str | None]
) -> Iterator[Finding]:
    """Check every value that is stored under a prefix.

    Args:
        reads: The store.
        prefix: Of the keys.
        name: What is kept there; with the rest of the key it is the place of a finding.
        code: Of the findings.
        check: Given the rest of a key and its value, says what is wrong; None where nothing is.
    """
    for key, value in reads.scan(prefix, stop_of(prefix)):
        rest = key[len(prefix) :]
        place = f"{name} {rest.hex()}"
        yield from guarded(place, partial(_check_one, place, code, partial(check, rest, value)))


def _check_one(place: str, code: str, check: Callable[[], str | None]) -> Iterator[Finding]:
    wrong = check()
    if wrong is not None:
        yield Finding(code, place, wrong)


class Marks:
    """A set of places (node.service.layout), one bit each, so that it is small for any log.

    Args:
        sizes: Entries of each log, from number 0.
    """

    def __init__(self, *sizes: int) -> None:
        self.sizes = sizes
        self._bits = [bytearray(size + 7 >> 3) for size in sizes]

    def add(self, place: int) -> bool:
        """Add a place in one of the logs; give False when it was there."""
        number, index = split_place(place)
        bits = self._bits[number]
        byte, bit = index >> 3, 1 << (index & 7)
        if bits[byte] & bit:
            return False
        bits[byte] |= bit
        return True

    def __contains__(self, place: int) -> bool:
        number, index = split_place(place)
        if number >= len(self._bits):
            return False
        bits = self._bits[number]
        return index >> 3 < len(bits) and bool(bits[index >> 3] >> (index & 7) & 1)

    def __iter__(self) -> Iterator[int]:
        for number, own in enumerate(self._bits):
            for byte, bits in enumerate(own):
                if bits:
                    yield from (place_of(number, byte * 8 + n) for n in range(8) if bits >> n & 1)


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
        sealed: Places of sealed events.
        supersedes: (entry, leaf hash of the record that it corrects).
        places: Used places of each status list, as a bitmap.
        heads: Entries of the records log that are status heads.
        tombstones: Place of the tombstone of each erased record, by the record's leaf hash.
        looks: Number of events in the access log.
        unnumbered: Those of them that an older program logged, without a note of their receipts.
        pairs: First and last number of the receipts that were given to each member.
    """

    records: Marks
    sealed: Marks
    supersedes: list[tuple[EntryIndex, bytes]] = field(default_factory=list)
    places: dict[int, bytearray] = field(default_factory=dict)
    heads: list[EntryIndex] = field(default_factory=list)
    tombstones: dict[bytes, int] = field(default_factory=dict)
    looks: int = 0
    unnumbered: int = 0
    pairs: dict[str, tuple[int, int]] = field(default_factory=dict)


def name_of(reader: LogReader) -> str:
    """Name a log in findings: its kind, with its number where it is not the first."""
    return f"{reader.kind.text}.{reader.number}" if reader.number else reader.kind.text
