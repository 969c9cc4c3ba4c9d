# SPDX-License-Identifier: Apache-2.0
"""What each format of the store changed in what the services keep there, as steps from the one before.

    1 → 2   grounds of status changes, until then in the clear, are sealed under the record's secret
    2 → 3   nothing: the store itself keeps more

A step changes what it finds in the old form only, so that any part of it can be done again.
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Final

import msgpack

from node.errors import InvalidInput, NotFound, Verification
from node.ports import Batch
from node.service import layout
from node.service.grounds import GroundSealer, StatusChange
from node.service.keycheck import wrong_keys
from node.service.status import StoredChange, encode_history

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from node.ports import SecretKeeper, Store
    from node.service.reading import Logs

CHUNK: Final = 500
PROBES: Final = 1000
"""Secrets that are tried before a wrapping key that opened none is refused."""
_OPEN_MEMBERS: Final = 4


class SealGrounds:
    """Format 1 to 2: seal who changed a status and why.

    Where a record's secret is gone or damaged, nobody could ever read the ground again: it is dropped and counted. That a
    secret does not open proves damage only when the wrapping key opens others.

    Attributes:
        lost: Changes whose ground was dropped.
    """

    from_format: int = 1
    name: str = "seal-grounds"
    ranges: Sequence[tuple[bytes, bytes]] = ((b"o", b"p"),)

    def __init__(self, records: Logs, keeper: SecretKeeper, random: Callable[[int], bytes]) -> None:
        self._sealer = GroundSealer(records, keeper, random)
        self._records = records
        self._key_proven = False
        self.lost = 0

    def run(self, store: Store, cursor: bytes) -> Iterator[tuple[Batch, bytes, int]]:
        """Seal the histories behind ``cursor``, in chunks.

        Raises:
            Conflict: ``keys-of-another-store``: no secret opens with the wrapping key.
        """
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
            sealed = self._sealer.seal(place, change)
        except NotFound:
            pass
        except (InvalidInput, Verification):
            self._require_own_key()
        else:
            self._key_proven = True
            return sealed
        self.lost += 1
        return StoredChange(change.status, change.at_ms, b"")

    def _require_own_key(self) -> None:
        """Refuse a wrapping key that opens none of the secrets looked at."""
        if not self._key_proven:
            self._key_proven = any(islice(map(self._sealer.can_seal, self._find_records()), PROBES))
        if not self._key_proven:
            raise wrong_keys("wrapping")

    def _find_records(self) -> Iterator[int]:
        for reader in reversed(self._records.readers):
            for index, row in reader.rows(0, reader.size()):
                if row.status_list != layout.NO_LIST:
                    yield reader.place(index)
