# SPDX-License-Identifier: Apache-2.0
"""When an entry was logged, as the chain bounds it (docs/protocol section 2 *Time of an entry*).

Between the last anchor that does not cover an entry and the first that does, the entry was there for the chain. Ages
count from the start of that interval, because nothing proves the entry younger; timeliness counts to its end, because
nothing proves it earlier. What a record or event says of its own time is a claim. An anchor may wait for the chain,
and what is logged meanwhile is older than the start of its interval: so a claim to be older is believed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from node.errors import Verification

if TYPE_CHECKING:
    from collections.abc import Iterable

    from node.log.anchor import Anchor

CLAIM_TOLERANCE_SECONDS: Final = 300


@dataclass(frozen=True, slots=True)
class Interval:
    """The time (start, end] and the blocks (start, end] of an entry, from the chain.

    Attributes:
        start_time: Block time, seconds, of the last anchor that does not cover the entry.
        end_time: Block time, seconds, of the first anchor that covers it.
        start_block: Block of the former.
        end_block: Block of the latter.
    """

    start_time: int
    end_time: int
    start_block: int
    end_block: int

    @property
    def length_seconds(self) -> int:
        """How uncertain the time is."""
        return self.end_time - self.start_time

    def dates_from(self, claimed_seconds: int) -> int:
        """Give the second from which the entry's age counts: the start, or what it says itself where that is earlier."""
        return min(self.start_time, claimed_seconds)

    def allows_claim(self, claimed_seconds: int) -> bool:
        """Tell whether a claimed time lies in the interval, give or take five minutes."""
        earliest = self.start_time - CLAIM_TOLERANCE_SECONDS
        return earliest < claimed_seconds <= self.end_time + CLAIM_TOLERANCE_SECONDS

    def allows_key(self, from_block: int | None, to_block: int | None) -> bool:
        """Tell whether a key was valid at some block of the interval.

        Args:
            from_block: First block at which the key is valid; None when it always was.
            to_block: First block at which it is valid no more; None when it still is.
        """
        # The state behind the block of the former anchor holds until the next block: an entry of that time is of a key
        # that ends with the next block, as one does that is rotated right behind an anchor.
        return (from_block is None or from_block <= self.end_block) and (
            to_block is None or self.start_block < to_block
        )


def interval_of(anchor: Anchor) -> Interval:
    """Give the interval of the entries that an anchor is the first to cover."""
    return Interval(anchor.prev_time, anchor.time, anchor.prev_block, anchor.block)


def check_first_cover(anchor: Anchor, index: int) -> None:
    """Refuse an anchor that is not the first to cover an entry.

    Args:
        anchor: Anchor whose commitment has been or will be checked against the chain.
        index: Place of the entry, from a verified inclusion.

    Raises:
        Verification: ``anchor-not-covering`` when the anchor ends before the entry, ``anchor-not-first`` when an
            earlier one covers it already.
    """
    if index >= anchor.size:
        raise Verification(
            "anchor-not-covering", f"anchor {anchor.i} covers {anchor.size} entries, not entry {index}"
        )
    if index < anchor.prev_size:
        raise Verification("anchor-not-first", f"an anchor before {anchor.i} already covers entry {index}")


def find_first_cover(anchors: Iterable[Anchor], index: int) -> Anchor | None:
    """Find the anchor that is the first to cover an entry; None while the entry waits for one."""
    return next((anchor for anchor in anchors if anchor.prev_size <= index < anchor.size), None)
