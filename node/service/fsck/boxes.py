# SPDX-License-Identifier: Apache-2.0
"""Check what is kept of sealed looks against the access logs: receipts of regulators, and a regulator's warrants and boxes.

Each sealed event of a node is either its own, and then its regulator's receipt is kept (``Sh``), or it is what a regulator
logged of a box that it holds (``St``). What only a key tells is not looked at: the signature of another member's receipt, and
what a box holds; nor whether a look that was counted was asked or answered, which stands in its openings.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from hashlib import sha256
from typing import TYPE_CHECKING, Final

import msgpack

from node.access.deposit import ASK, GRANT, PARTS
from node.access.event import parse_event
from node.access.receipt import parse_receipt
from node.access.request import SEALED
from node.access.warrant import parse_warrant
from node.crypto.token import token_digest
from node.log.checkpoint import parse_origin
from node.log.merkle import leaf_hash
from node.service import layout
from node.service.boxes import (
    BOX,
    DIGEST_BYTES,
    DUE,
    HELD,
    ISSUED,
    LOOK,
    ORDER,
    WARRANT,
    due_key,
    find_held,
    find_look,
    find_warrant_row,
    parse_held,
    parse_look,
)
from node.service.fsck.findings import Finding, check_each, guarded
from node.service.limiting import read_used
from node.service.sealing import COUNT, DEPOSITED, find_deposited, find_part, month_at

if TYPE_CHECKING:
    from collections.abc import Iterator

    from node.access.event import ParsedEvent
    from node.ports import Reads
    from node.service.boxes import HeldRow
    from node.service.fsck.findings import Marks
    from node.service.reading import Logs

CHECKED: Final = (BOX, COUNT, HELD, DEPOSITED, ISSUED, LOOK, DUE, ORDER, WARRANT)
"""Prefixes of the keys that are checked here."""
AUDIT: Final = "audit"
_EARLY_OR_LATE_SECONDS: Final = 600
"""How far the clock may have moved between an event and its count: only at the edge of a month it makes a difference."""
_COUNT_KEY_BYTES: Final = 7


class BoxCheck:
    """Checks it.

    Args:
        reads: The store.
        events: The access logs.
        sealed: Places of the sealed events in them.
    """

    def __init__(self, reads: Reads, events: Logs, sealed: Marks) -> None:
        self._reads = reads
        self._events = events
        self._sealed = sealed
        self._member = parse_origin(events.open.origin).member
        self._boxes: Counter[tuple[bytes, bytes]] = Counter()
        self._own: dict[tuple[bytes, bytes], int] = {}

    def run(self) -> Iterator[Finding]:
        """Check all of it."""
        for prefix, name, check in (
            (WARRANT, "warrant", self._check_warrant),
            (ISSUED, "warrant at place", self._check_issued),
            (HELD, "box", self._check_held),
            (BOX, "box", self._check_box),
            (ORDER, "box at place", self._check_order),
            (DUE, "day of a box", self._check_due),
            (LOOK, "sealed look", self._check_look),
            (DEPOSITED, "receipt of a regulator for the event at place", self._check_deposited),
        ):
            yield from check_each(self._reads, prefix, name, "fsck-sealed", check)
        yield from guarded("sealed events", self._check_events)
        yield from guarded("counts of sealed looks", self._check_counts)

    # ---- at a regulator: warrants

    def _check_warrant(self, digest: bytes, value: bytes) -> str | None:
        token, place = msgpack.unpackb(value)
        warrant = parse_warrant(token)
        if warrant.digest != digest or token_digest(token) != digest:
            return "it has another digest"
        if warrant.iss != self._member:
            return "another member signed it"
        if place == warrant.iat:
            return None  # an older program did not keep where the event is
        if self._event(place).kind != AUDIT:
            return "the event of its issue is none"
        found = self._reads.get(ISSUED + layout.u64(place))
        return None if found == digest else "no place leads to it"

    def _check_issued(self, key: bytes, digest: bytes) -> str | None:
        found = find_warrant_row(self._reads, digest)
        return None if found is not None and layout.u64(found[1]) == key else "it leads to no warrant"

    # ---- at a regulator: boxes

    def _check_held(self, box: bytes, value: bytes) -> str | None:
        row = parse_held(box, value)
        self._boxes[row.warrant, row.rid] += 1
        event = self._event(row.place)
        if (event.kind, event.n, event.rid) != (SEALED, 0, row.rid):
            return "its event is none of a box"
        if (event.box, event.warrant, event.open_by) != (box, row.warrant, row.open_by):
            return "its event is of another box"
        owner, _ = layout.parse_receipt(self._reads.get(layout.receipt_key(row.place)) or b"")
        if owner != row.owner:
            return "the receipt of its event is for another member"
        # In rows of older programs it is no place, but it is there.
        was_opened = msgpack.unpackb(value)[-1] is not None
        return self._check_found(row, was_opened=was_opened) or self._check_part(row)

    def _check_found(self, row: HeldRow, *, was_opened: bool) -> str | None:
        box = row.box
        if self._reads.get(ORDER + layout.u64(row.place)) != box or self._reads.get(BOX + box) is None:
            return "no place leads to it, or the box itself is gone"
        due = self._reads.get(due_key(row.open_by, box))
        if (due is None) is not was_opened:
            return "it is to be opened and was, or neither"
        if row.opened is not None and (row.opened <= row.place or self._event(row.opened).kind != AUDIT):
            return "the event under which it was opened is none"
        return None

    def _check_part(self, row: HeldRow) -> str | None:
        issued, look = (
            find_warrant_row(self._reads, row.warrant),
            find_look(self._reads, row.warrant, row.rid),
        )
        if issued is None:
            return "its warrant is not there"
        if look is None:
            return "its look is not there"
        asker = parse_warrant(issued[0]).asker
        sides = (look.provider, asker) if row.part == GRANT else (asker, look.provider)
        if row.part not in PARTS or (row.owner, row.peer) != sides:
            return "it is of no part of its look"
        return None if (row.box in look.asks) is (row.part == ASK) else "its look begins with another box"

    def _check_box(self, digest: bytes, value: bytes) -> str | None:
        if sha256(value).digest() != digest:
            return "the box has another digest"
        return None if find_held(self._reads, digest) is not None else "nothing says whose box it is"

    def _check_order(self, key: bytes, box: bytes) -> str | None:
        row = find_held(self._reads, box)
        return None if row is not None and layout.u64(row.place) == key else "it leads to no box"

    def _check_due(self, key: bytes, value: bytes) -> str | None:
        if value:
            return "there are bytes under a key that has none"
        row = find_held(self._reads, key[-DIGEST_BYTES:])
        fits = row is not None and due_key(row.open_by, row.box) == DUE + key and row.opened is None
        return None if fits else "no box has to be opened by then"

    def _check_look(self, key: bytes, value: bytes) -> str | None:
        warrant, rid = key[:DIGEST_BYTES], key[DIGEST_BYTES:]
        look = parse_look(value)
        if look.boxes != self._boxes.pop((warrant, rid), 0):
            return "it has another number of boxes"
        rows = [find_held(self._reads, box) for box in look.asks]
        begun = [row.place for row in rows if row is not None and (row.warrant, row.rid) == (warrant, rid)]
        if not begun or len(begun) != len(rows) or begun != sorted(set(begun)):
            return "a box that it begins with is not there, or of another look"
        used = self._reads.get(b"Cu" + key)
        if read_used(self._reads, warrant).uses and used != layout.u64(begun[0]):
            return "its use of the warrant is not counted"
        return None

    # ---- at asker and provider

    def _check_deposited(self, key: bytes, _value: bytes) -> str | None:
        place = layout.parse_u64(key)
        found = find_deposited(self._reads, place)
        assert found is not None, "just read"
        regulator, theirs, token = found
        part = find_part(self._reads, place)
        if place not in self._sealed or (part is not None and part not in PARTS):
            return "the event here is not sealed, or of no part of a look"
        own, event, receipt = self._event(place), parse_event(theirs), parse_receipt(token)
        if (receipt.iss, receipt.aud, receipt.rid) != (regulator, self._member, own.rid):
            return "the receipt is of another member, or for one"
        if (receipt.leaf, receipt.iat) != (leaf_hash(theirs), event.t_ms // 1_000):
            return "the receipt is of another event"
        if (event.kind, event.n, event.rid) != (SEALED, 0, own.rid):
            return "the regulator's event is none of a box"
        if (event.box, event.warrant, event.open_by) != (own.box, own.warrant, own.open_by):
            return "the regulator's event is of another box"
        assert own.warrant is not None, "sealed"
        look = own.warrant, own.rid
        self._own[look] = min(own.t_ms, self._own.get(look, own.t_ms))
        return None

    def _check_events(self) -> Iterator[Finding]:
        """Each sealed event has the receipt of its regulator, or is that of a box, and not both."""
        for place in self._sealed:
            is_box = self._reads.get(ORDER + layout.u64(place)) is not None
            if is_box is (self._reads.get(DEPOSITED + layout.u64(place)) is not None):
                yield Finding(
                    "fsck-sealed",
                    f"event at place {place}",
                    "neither a regulator's receipt nor a box is kept of the sealed event, or both",
                )
        for warrant, rid in self._boxes:
            yield Finding(
                "fsck-sealed", f"sealed look {(warrant + rid).hex()}", "boxes of a look that is not there"
            )

    def _check_counts(self) -> Iterator[Finding]:
        """The looks of each month are those that the log has, give or take those at its edge."""
        counted: Counter[bytes] = Counter()
        for key, value in self._reads.scan(COUNT, layout.stop_of(COUNT)):
            place = f"count of sealed looks {key[len(COUNT) :].hex()}"
            number = layout.parse_u64(value)
            if len(key) != _COUNT_KEY_BYTES or key[-1] > 1 or not number:
                yield Finding("fsck-sealed", place, "it is no count of a month")
            counted[key[len(COUNT) : -1]] += number
        surely: dict[bytes, int] = defaultdict(int)
        perhaps: dict[bytes, int] = defaultdict(int)
        for t_ms in self._own.values():
            second = t_ms // 1_000
            months = {month_at(second + moved) for moved in (-_EARLY_OR_LATE_SECONDS, _EARLY_OR_LATE_SECONDS)}
            for month in months:
                perhaps[month] += 1
                surely[month] += len(months) == 1
        for month in sorted(counted.keys() | perhaps.keys()):
            if not surely[month] <= counted[month] <= perhaps[month]:
                year, number = divmod(int.from_bytes(month, "big"), 12)
                yield Finding(
                    "fsck-sealed",
                    f"sealed looks of {year:04}-{number + 1:02}",
                    f"{counted[month]} are counted, want {perhaps[month]}",
                )
        if counted.total() != len(self._own):
            yield Finding(
                "fsck-sealed", "sealed looks", f"{counted.total()} are counted, want {len(self._own)}"
            )

    def _event(self, place: int) -> ParsedEvent:
        return parse_event(self._events.entry(self._events.row(place)))
