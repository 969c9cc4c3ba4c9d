# SPDX-License-Identifier: Apache-2.0
"""Check the index of events by subject (node.service.subject_index) against the access logs.

Whether an event is about the subjects that lead to it only its openings say, which no check opens. All the rest is: every
event from the first one on is in the index, each key leads to an event, and no key is there that no event has.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

from node.service import layout
from node.service.fsck.findings import Finding, Marks, guarded
from node.service.subject_index import (
    BEGUN_KEY,
    EVENT_PREFIX,
    PREFIX,
    RECORD_PREFIX,
    SUBJECT_PREFIX,
    build_keys,
    find_begun,
    parse_terms,
    place_of_key,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from node.ports import Reads
    from node.service.reading import Logs

CHECKED: Final = (BEGUN_KEY, EVENT_PREFIX, RECORD_PREFIX, SUBJECT_PREFIX)
"""Prefixes of the keys that are checked here."""


class LooksCheck:
    """Checks the index.

    Args:
        reads: The store.
        events: The access logs.
        records: Places of records.
    """

    def __init__(self, reads: Reads, events: Logs, records: Marks) -> None:
        self._reads = reads
        self._events = events
        self._records = records
        self._keys = 0

    def run(self) -> Iterator[Finding]:
        """Check all of it."""
        begun, first, count = find_begun(self._reads), None, 0
        entered = Marks(*(reader.size() for reader in self._events.readers))
        for key, value in self._reads.scan(EVENT_PREFIX, layout.stop_of(EVENT_PREFIX)):
            place = place_of_key(key)
            first, count = place if first is None else first, count + 1
            name = f"event at place {place}"
            yield from guarded(name, partial(self._check_event, name, place, value, entered))
        if begun != first:
            yield Finding("fsck-index", "looks by subject", "the index does not begin with its first event")
        for place in self._list_events(begun):
            if place not in entered:
                yield Finding("fsck-index", f"event at place {place}", "no subject and no record leads to it")
        prefixes = (RECORD_PREFIX, SUBJECT_PREFIX)
        there = sum(1 for prefix in prefixes for _ in self._reads.scan(prefix, layout.stop_of(prefix)))
        if there != self._keys:
            yield Finding("fsck-index", "looks by subject", f"{there} keys lead to events, want {self._keys}")
        known = there + count + (begun is not None)
        if (all_ := sum(1 for _ in self._reads.scan(PREFIX, layout.stop_of(PREFIX)))) != known:
            yield Finding(
                "fsck-key", "looks by subject", f"{all_ - known} keys that no part of a node writes"
            )

    def _check_event(self, name: str, place: int, value: bytes, entered: Marks) -> Iterator[Finding]:
        row = self._events.row(place)
        entered.add(place)
        terms = parse_terms(value)
        keys = build_keys(place, row.key, terms)[1:]
        self._keys += len(keys)
        if not row.values_length:
            yield Finding("fsck-index", name, "the entry is no event of its own")
        if self._reads.get_all([key for key, _ in keys]) != [rid for _, rid in keys]:
            yield Finding("fsck-index", name, "what leads to it is not there, or leads to another request")
        if any(record not in self._records for record in terms.records):
            yield Finding("fsck-index", name, "it opened what is no record")

    def _list_events(self, begun: int | None) -> Iterator[int]:
        if begun is None:
            return
        number, index = layout.split_place(begun)
        for reader in self._events.readers[number:]:
            first = index if reader.number == number else 0
            for at, row in reader.rows(first, reader.size()):
                if row.values_length:
                    yield reader.place(at)
