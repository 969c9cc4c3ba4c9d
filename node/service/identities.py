# SPDX-License-Identifier: Apache-2.0
"""Which identities the log has: the index in the store, and in front of it a filter in memory.

Nearly every identity that an import asks for is new. LevelDB finds that out by its own filters, yet counts each such
question as a seek in the first table that it went past, and merges tables with many seeks into the next level, however
little they hold: of 8 million records 46 bytes were written again for each byte of a key. So only what the filter in
memory may have seen goes to the store.

The filter is made from the index by the first import that asks for enough, never at the start of a node, and forgets
nothing: an identity that was erased, or never committed, costs a question that the store answers.
"""

from __future__ import annotations

from itertools import islice
from struct import Struct
from typing import TYPE_CHECKING, Final

from node.service import layout
from node.service.issuing import DIGEST_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable

    from node.ports import Reads

FILTER_BYTES: Final = 64 * 1024 * 1024
"""Memory of the filter. Of 10 million identities it takes one new one in 700 for known, of 100 million one in 10."""
MOST_IDENTITIES: Final = 100_000_000
"""With more, the filter would not be worth its memory."""
READ_PER_QUESTION: Final = 64
"""Entries of the index that are read in about the time that a question to the store costs with what follows from it."""
_READ_TOGETHER: Final = 4_096
_INDEX: Final = b"i"
_HALVES: Final = Struct("=QQ")


class Identities:
    """The identities of a node's records; used by one thread at a time, that of the importer.

    Args:
        reads: The store.
        count: Says how many there may be.
        is_stopping: Asked while the filter is made, which takes a second for a million identities.
        filter_bytes: Memory of the filter, a power of two.
    """

    def __init__(
        self,
        reads: Reads,
        count: Callable[[], int],
        is_stopping: Callable[[], bool],
        *,
        filter_bytes: int = FILTER_BYTES,
    ) -> None:
        self._reads = reads
        self._count = count
        self._is_stopping = is_stopping
        self._filter_bytes = filter_bytes
        self._filter = bytearray()
        self._asked = 0

    def find_all(self, digests: bytes) -> list[bytes | None]:
        """Find what the index has for identities; whoever asks may commit them afterwards.

        Args:
            digests: Identity digests, back to back.

        Returns:
            The value of each, or None.
        """
        count = len(digests) // DIGEST_BYTES
        self._asked += count
        if not self._filter and self._is_filter_worth_it():
            self._fill()
        known = self._note(digests) if self._filter else range(count)
        keys = [layout.identity_key(digests[n * DIGEST_BYTES : (n + 1) * DIGEST_BYTES]) for n in known]
        found: list[bytes | None] = [None] * count
        for n, value in zip(known, self._reads.get_all(keys), strict=True):
            found[n] = value
        return found

    def _is_filter_worth_it(self) -> bool:
        return self._count() <= min(MOST_IDENTITIES, self._asked * READ_PER_QUESTION)

    def _fill(self) -> None:
        """Make the filter from what is committed; everything that is committed later is asked for before."""
        self._filter = bytearray(self._filter_bytes)
        pairs = self._reads.scan(_INDEX, layout.stop_of(_INDEX))
        while digests := [key[len(_INDEX) :] for key, _ in islice(pairs, _READ_TOGETHER)]:
            if self._is_stopping():
                self._filter = bytearray()
                return
            self._note(b"".join(digests))

    def _note(self, digests: bytes) -> list[int]:
        """Put identities into the filter; give the numbers of those that may have been in it.

        Digests are keyed, so that nobody outside chooses which of them fall together.
        """
        bits, last = self._filter, self._filter_bytes - 1
        seen = []
        for n, (one, other) in enumerate(_HALVES.iter_unpack(digests)):
            # Three bits of each half choose the bit, the rest its byte.
            first, second = one >> 3 & last, other >> 3 & last
            first_bit, second_bit = 1 << (one & 7), 1 << (other & 7)
            if bits[first] & first_bit and bits[second] & second_bit:
                seen.append(n)
            else:
                bits[first] |= first_bit
                bits[second] |= second_bit
        return seen
