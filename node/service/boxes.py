# SPDX-License-Identifier: Apache-2.0
"""What a regulator's store keeps of warrants and boxes: keys and rows, for the depository and for the check of a store.

    key                              value
    S w warrant(32)                  msgpack [token, place]: a warrant that was issued here, and its event; rows of older
                                     programs have its ``iat`` there, and no ``i``
    S i place(8)                     warrant(32): warrants in the order in which they were issued
    S k warrant(32) rid(16)          msgpack [provider, [boxes of the asker's first event], boxes in all]: a look
    S d box(32)                      msgpack of a ``HeldRow`` but for its box; for rows of older programs see ``parse_held``
    S b box(32)                      enc ‖ ciphertext ‖ tag
    S t place(8)                     box(32): boxes in the order in which they came
    S o open_by(8) box(32)           empty: by when what nobody opened yet is to be opened

Times stand in the events that the places lead to, and nowhere else.
"""

from __future__ import annotations

from dataclasses import astuple, dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

import msgpack

from node.service import layout

if TYPE_CHECKING:
    from collections.abc import Iterator

    from node.ports import Reads
    from node.service.transaction import Transaction

WARRANT: Final = b"Sw"
ISSUED: Final = b"Si"
LOOK: Final = b"Sk"
HELD: Final = b"Sd"
BOX: Final = b"Sb"
ORDER: Final = b"St"
DUE: Final = b"So"
DIGEST_BYTES: Final = 32
_OLDER_VALUES: Final = 9
"""An older program kept the seconds at which a box came and was opened, the latter last, and no place of that ``audit``."""


@dataclass(frozen=True, slots=True)
class HeldRow:
    """What is kept of a box beside the box.

    Attributes:
        box: SHA-256 of it.
        warrant: SHA-256 of its warrant.
        rid: 16 bytes of the request.
        owner: The member whose event it is.
        part: ``ask``, ``grant`` or ``receive``.
        peer: The other side of the exchange.
        place: Place of this regulator's event of the box in its access logs.
        open_by: Second by which it is to be opened.
        opened: Place of the ``audit`` event under which it was opened first, or None.
    """

    box: bytes
    warrant: bytes
    rid: bytes
    owner: str
    part: str
    peer: str
    place: int
    open_by: int
    opened: int | None = None


class LookRow(NamedTuple):
    """A look: the provider, the boxes of the asker's first event in the order in which they came, and how many boxes in all."""

    provider: str
    asks: list[bytes]
    boxes: int


def parse_held(box: bytes, data: bytes) -> HeldRow:
    """Read the row of a box; one that an older program wrote counts as not opened, and may be opened and noted again."""
    values = msgpack.unpackb(data)
    if len(values) == _OLDER_VALUES:
        *values, _, open_by, _ = values
        values.append(open_by)
    return HeldRow(box, *values)


def find_held(reads: Reads | Transaction, box: bytes) -> HeldRow | None:
    """Find the row of a box by its digest."""
    data = reads.get(HELD + box)
    return None if data is None else parse_held(box, data)


def put_held(transaction: Transaction, row: HeldRow) -> None:
    """Write the row of a box."""
    _, *values = astuple(row)
    transaction.put(HELD + row.box, msgpack.packb(values))


def parse_look(data: bytes) -> LookRow:
    """Read a look."""
    return LookRow(*msgpack.unpackb(data))


def find_look(reads: Reads | Transaction, warrant: bytes, rid: bytes) -> LookRow | None:
    """Find a look by warrant and request."""
    data = reads.get(LOOK + warrant + rid)
    return None if data is None else parse_look(data)


def put_look(transaction: Transaction, warrant: bytes, rid: bytes, look: LookRow) -> None:
    """Write a look."""
    transaction.put(LOOK + warrant + rid, msgpack.packb(list(look)))


def due_key(open_by: int, box: bytes) -> bytes:
    """Key that says by when a box is to be opened."""
    return DUE + layout.u64(open_by) + box


def put_box(transaction: Transaction, row: HeldRow, box: bytes) -> None:
    """Write a box that was taken, and what finds it."""
    put_held(transaction, row)
    transaction.put(BOX + row.box, box)
    transaction.put(ORDER + layout.u64(row.place), row.box)
    transaction.put(due_key(row.open_by, row.box), b"")


def put_warrant(transaction: Transaction, digest: bytes, token: str, place: int) -> None:
    """Write a warrant that was issued, and what lists it."""
    transaction.put(WARRANT + digest, msgpack.packb([token, place]))
    transaction.put(ISSUED + layout.u64(place), digest)


def find_warrant_row(reads: Reads, digest: bytes) -> tuple[str, int] | None:
    """Find a warrant that was issued here: the token, and the place of its event."""
    data = reads.get(WARRANT + digest)
    if data is None:
        return None
    token, place = msgpack.unpackb(data)
    return token, place


def list_ordered(reads: Reads, prefix: bytes, *, after: int | None, limit: int) -> Iterator[bytes]:
    """List boxes (``ORDER``) or warrants (``ISSUED``) in the order of their events, by digest.

    Args:
        reads: The store.
        prefix: Of which.
        after: Place behind which to go on; None begins at the first.
        limit: At most so many.
    """
    start = prefix if after is None else prefix + layout.u64(after + 1)
    for _, digest in reads.scan(start, layout.stop_of(prefix), limit=limit):
        yield digest
