# SPDX-License-Identifier: Apache-2.0
"""Check that everything sealed still opens: with the wrapping key, and without showing anything to anybody.

A seal binds each byte of the sealed values and of the wrapped secret, so a bit that was flipped in either is found. What
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
from node.service.fsck.findings import Finding, guarded
from node.service.layout import LogKind

if TYPE_CHECKING:
    from collections.abc import Iterator

    from node.service.layout import Row
    from node.service.reading import LogReader

_NONCE = bytes(12)


def check_seals(reader: LogReader, wrapping_key: bytes) -> Iterator[Finding]:
    """Check the sealed values of every entry of one log.

    Args:
        reader: The log.
        wrapping_key: Of this node, 32 bytes.
    """
    yield from guarded(f"{reader.kind.text} seals", partial(_check_all, reader, wrapping_key))


def _check_all(reader: LogReader, wrapping_key: bytes) -> Iterator[Finding]:
    for index, row in reader.rows(0, reader.size()):
        if row.values_length:
            place = f"{reader.kind.text} entry {index}"
            yield from guarded(place, partial(_check_seal, reader, place, index, row, wrapping_key))


def _check_seal(
    reader: LogReader, place: str, index: int, row: Row, wrapping_key: bytes
) -> Iterator[Finding]:
    try:
        wrapped = reader.wrapped_secret(index)
    except NotFound:
        return
    stored = reader.values(row)
    if reader.kind is LogKind.RECORDS:
        name, sealed = str(UUID(bytes=row.key)), stored[1 + stored[0] :]
    else:
        name, sealed = encode_b64u(row.key), stored
    secret = unwrap_secret(wrapping_key, wrapped, name)
    try:
        AESGCM(values_key(secret)).decrypt(_NONCE, sealed, name.encode("ascii"))
    except InvalidTag:
        yield Finding("values-seal", place, "sealed values do not open under their secret")
