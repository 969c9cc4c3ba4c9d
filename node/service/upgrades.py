# SPDX-License-Identifier: Apache-2.0
"""What each format of the store changed in what the services keep there, as steps from the one before.

    1 → 2   grounds of status changes, until then in the clear, are sealed under the record's secret

A step changes what it finds in the old form only, so that any part of it can be done again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgpack

from node.errors import InvalidInput, NotFound, Verification
from node.ports import Batch
from node.service import layout
from node.service.grounds import GroundSealer, StatusChange
from node.service.status import StoredChange, encode_history

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from node.ports import Store
    from node.service.reading import Logs

CHUNK: Final = 500
_OPEN_MEMBERS: Final = 4


class SealGrounds:
    """Format 1 to 2: seal who changed a status and why.

    Where a record's secret does not open, nobody could ever read the ground again: it is dropped and counted.

    Attributes:
        lost: Changes whose ground was dropped.
    """

    from_format: int = 1
    name: str = "seal-grounds"
    ranges: Sequence[tuple[bytes, bytes]] = ((b"o", b"p"),)

    def __init__(self, records: Logs, wrapping_key: bytes, random: Callable[[int], bytes]) -> None:
        self._sealer = GroundSealer(records, wrapping_key, random)
        self.lost = 0

    def run(self, store: Store, cursor: bytes) -> Iterator[tuple[Batch, bytes, int]]:
        """Seal the histories behind ``cursor``, in chunks."""
        start = cursor + b"\x00" if cursor else layout.history_key(0)
        while True:
            found = list(store.scan(start, layout.stop_of(b"o"), limit=CHUNK))
            if not found:
                return
            batch, last = Batch(), found[-1][0]
            for key, value in found:
                batch.put(key, self._seal(layout.parse_u64(key[1:]), value))
            yield batch, last, len(found)
            start = last + b"\x00"

    def _seal(self, place: int, value: bytes) -> bytes:
        return encode_history([self._change(place, item) for item in msgpack.unpackb(value)])

    def _change(self, place: int, item: list[int | str | bytes]) -> StoredChange:
        if len(item) != _OPEN_MEMBERS:
            return StoredChange(*item)  # type: ignore[arg-type]  # sealed before the upgrade was interrupted
        change = StatusChange(*item)  # type: ignore[arg-type]  # as format 1 wrote it
        try:
            return self._sealer.seal(place, change)
        except (InvalidInput, NotFound, Verification):
            self.lost += 1
            return StoredChange(change.status, change.at_ms, b"")
