# SPDX-License-Identifier: Apache-2.0
"""Check that everything sealed still opens: with the wrapping key, and without showing anything to anybody.

A seal binds each byte of the sealed values, of a sealed ground and of the wrapped secret, so a bit that was flipped in either is found. What
was erased has no secret and is passed over.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from node.core.encoding import encode_b64u
from node.crypto.wrap import unwrap_secret
from node.errors import NotFound
from node.records.secret import values_key
from node.service.fsck.findings import Finding, guarded, name_of
from node.service.grounds import check_history
from node.service.layout import LogKind
from node.service.status import parse_history

if TYPE_CHECKING:
    from collections.abc import Iterator

    from node.service.layout import Row
    from node.service.reading import LogReader

_NONCE = bytes(12)


class SealCheck:
    """Checks the sealed values of all logs, and the grounds of status changes.

    Args:
        wrapping_key: Of this node, 32 bytes.

    Attributes:
        count: Entries whose seal was checked.
    """

    def __init__(self, wrapping_key: bytes) -> None:
        self._wrapping_key = wrapping_key
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
        secret = unwrap_secret(self._wrapping_key, wrapped, name)
        try:
            AESGCM(values_key(secret)).decrypt(_NONCE, sealed, name.encode("ascii"))
        except InvalidTag:
            yield Finding("values-seal", place, "sealed values do not open under their secret")
        if reader.kind is LogKind.RECORDS:
            check_history(secret, name, reader.place(index), parse_history(reader.history(index)))
