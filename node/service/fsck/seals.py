# SPDX-License-Identifier: Apache-2.0
"""Check that everything sealed still opens: with the wrapping key, and without showing anything to anybody.

A seal binds each byte of the sealed values, of a sealed ground and of the wrapped secret, so a bit that was flipped in either is found. What
was erased has no secret and is passed over.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING
from uuid import UUID

from node.core.encoding import encode_b64u
from node.errors import NotFound, Verification
from node.service.fsck.findings import Finding, guarded, name_of
from node.service.grounds import check_history
from node.service.layout import LogKind
from node.service.status import parse_history

if TYPE_CHECKING:
    from collections.abc import Iterator

    from node.ports import SecretKeeper
    from node.service.layout import Row
    from node.service.reading import LogReader


class SealCheck:
    """Checks the sealed values of all logs, and the grounds of status changes.

    Args:
        keeper: Has the wrapping key of this node.

    Attributes:
        count: Entries whose seal was checked.
    """

    def __init__(self, keeper: SecretKeeper) -> None:
        self._keeper = keeper
        self.count = 0

    def run(self, reader: LogReader) -> Iterator[Finding]:
        """Check every entry of one log."""
        yield from guarded(f"{name_of(reader)} seals", partial(self._check_log, reader))

    def _check_log(self, reader: LogReader) -> Iterator[Finding]:
        for index, row in reader.rows(0, reader.size()):
            if row.values_length:
                place = f"{name_of(reader)} entry {index}"
                yield from guarded(place, partial(self._check_entry, reader, place, index, row))

    def _check_entry(self, reader: LogReader, place: str, index: int, row: Row) -> Iterator[Finding]:
        try:
            wrapped = reader.wrapped_secret(index)
        except NotFound:
            return
        self.count += 1
        stored = reader.values(row)
        if reader.kind is LogKind.RECORDS:
            name, sealed = str(UUID(bytes=row.key)), stored[1 + stored[0] :]
        else:
            name, sealed = encode_b64u(row.key), stored
        try:
            self._keeper.check_sealed(wrapped, name, sealed)
        except Verification as error:
            yield Finding(error.code, place, error.message)
            if error.code != "values-seal":
                return
        if reader.kind is LogKind.RECORDS and (history := parse_history(reader.history(index))):
            check_history(self._keeper.history_key(wrapped, name), name, reader.place(index), history)
