# SPDX-License-Identifier: Apache-2.0
"""Which events of a log took a number of a receipt, by whom the receipt is for (docs/protocol/access-log.md).

An event that another member is told of takes the next number for that member in the commit that logs it. So between two
receipts of one log there are exactly as many such events as their numbers are apart, wherever the receipts themselves
have gone. Of an event that is not opened nobody knows whose number it took: it may be anybody's.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from node.cage.rows import Scratch

MOST_PEERS: Final = 1_024
"""Members that are told apart; events for more may be anybody's."""
_BLOCK: Final = 1_024
_INDEX: Final = "Q"
_INDEX_BYTES: Final = 8


class Between(NamedTuple):
    """How many events took a number for a member: at least those that say so, at most those and all that are not opened."""

    least: int
    most: int


class Numbering:
    """The events of one log that took numbers, in their order; outside memory but for the newest few of each member.

    Args:
        scratch: Where they are kept.
        name: Begins the names under which they are kept.
    """

    def __init__(self, scratch: Scratch, name: str) -> None:
        self._scratch = scratch
        self._name = name
        self._unknown = _Places(scratch, f"{name}-unknown")
        self._peers: dict[str, _Places] = {}

    def note(self, index: int, peer: str | None) -> None:
        """Note an event.

        Args:
            index: Its place, behind that of the one noted before.
            peer: USCC of the member that its receipt is for; None where that is not known.
        """
        places = self._unknown if peer is None else self._peers.get(peer)
        if places is None:
            places = self._unknown
            if peer is not None and len(self._peers) < MOST_PEERS:
                places = _Places(self._scratch, f"{self._name}-{len(self._peers)}")
                self._peers[peer] = places
        places.add(index)

    def count(self, peer: str, after: int, upto: int) -> Between:
        """Count the events for a member behind one place, up to and with another."""
        places = self._peers.get(peer)
        least = 0 if places is None else places.count_to(upto) - places.count_to(after)
        return Between(least, least + self._unknown.count_to(upto) - self._unknown.count_to(after))


class _Places:
    """Ascending places, in blocks; of each block memory holds the first."""

    def __init__(self, scratch: Scratch, name: str) -> None:
        self._scratch = scratch
        self._name = name
        self._firsts = array(_INDEX)
        self._tail = array(_INDEX)
        self._block = -1
        self._places = array(_INDEX)

    def add(self, place: int) -> None:
        """Add one behind all others."""
        if len(self._tail) == _BLOCK:
            self._scratch.append(self._name, self._tail.tobytes())
            self._firsts.append(self._tail[0])
            self._tail = array(_INDEX)
        self._tail.append(place)

    def count_to(self, place: int) -> int:
        """Count those at a place and before it."""
        if place < 0:
            return 0
        if self._tail and self._tail[0] <= place:
            return _BLOCK * len(self._firsts) + bisect_right(self._tail, place)
        block = bisect_right(self._firsts, place) - 1
        if block < 0:
            return 0
        if block != self._block:
            length = _BLOCK * _INDEX_BYTES
            self._places = array(_INDEX, self._scratch.read(self._name, block * length, length))
            self._block = block
        return _BLOCK * block + bisect_right(self._places, place)
