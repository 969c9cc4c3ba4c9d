# SPDX-License-Identifier: Apache-2.0
"""A node's own access log, looked at: found by what stands in the open, opened for whoever has logged that he looks."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from node.access.event import ParsedEvent, parse_entry, parse_event
from node.errors import AccessDenied, NotFound
from node.service.auditing import open_range
from node.service.drafting import EventDraft, Officer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from node.core.types import EntryIndex, LeafHash
    from node.service.drafting import Purpose
    from node.service.layout import Row
    from node.service.looking import AccessLog
    from node.service.reading import LogReader, Logs
    from node.service.sealing import Seals
    from node.service.vault import Vault

AUDIT: Final = "audit"


@dataclass(frozen=True, slots=True)
class EventLine:
    """One event as everybody may see it.

    Attributes:
        place: Its entry, as a place (node.service.layout).
        origin: The log that it is in.
        index: Its entry there.
        event: What stands in the open.
        leaf: Its leaf hash.
        stage: How far the entry has come.
    """

    place: int
    origin: str
    index: EntryIndex
    event: ParsedEvent
    leaf: LeafHash
    stage: str


@dataclass(frozen=True, slots=True)
class ShownEvent:
    """One event with its openings, and the receipt of the look at them.

    Attributes:
        line: What stands in the open.
        entry: The entry's bytes.
        openings: The disclosures of its ten values.
        aud: Whom its receipt is for; None for an event that an older program logged.
        pair: Number of that receipt; None likewise.
        receipt: Receipt of the ``audit`` event.
    """

    line: EventLine
    entry: bytes
    openings: list[str]
    aud: str | None
    pair: int | None
    receipt: str


class OwnEvents:
    """The events of this node's access logs.

    Args:
        logs: The access logs.
        access: Logs the looks at them.
        vault: Opens them.
        seals: Says which of them are sealed.
    """

    def __init__(self, logs: Logs, access: AccessLog, vault: Vault, seals: Seals) -> None:
        self._seals = seals
        self._logs = logs
        self._access = access
        self._vault = vault

    def search(
        self,
        *,
        limit: int,
        before: int | None = None,
        from_ms: int = 0,
        until_ms: int | None = None,
        kinds: frozenset[str] = frozenset(),
        rid: bytes | None = None,
    ) -> list[EventLine]:
        """List events by what stands in the open, the newest first; those taken over by a successor stand where they were first.

        Args:
            limit: At most this many.
            before: Only events below this place; None starts at the end.
            from_ms: Not before this millisecond.
            until_ms: Before this millisecond.
            kinds: Only these kinds; empty for all.
            rid: Only those of this request, 16 bytes.
        """
        found: list[EventLine] = []
        for reader, index, row in self._backwards(before):
            if rid is not None and row.key != rid:
                continue
            event = parse_event(reader.entry(row))
            if (
                event.t_ms < from_ms
                or (until_ms is not None and event.t_ms >= until_ms)
                or (kinds and event.kind not in kinds)
            ):
                continue
            found.append(self._line(reader, index, event))
            if len(found) == limit:
                break
        return found

    def open(self, place: int, why: Purpose) -> ShownEvent:
        """Log an ``audit``, then show an event with all its openings.

        Raises:
            NotFound: ``event-unknown``: there is no event at this place.
            AccessDenied: ``event-sealed``.
            NodeError: The log did not take the ``audit``; nothing is shown.
        """
        reader, index, entry, event = self._find(place)
        if self._seals.hold(event):
            raise AccessDenied(
                "event-sealed", f"event {index} is sealed: its regulator opens it until its day"
            )
        draft = EventDraft(
            kind=AUDIT,
            officer=Officer(why.officer),
            purpose=why.purpose,
            basis=why.basis,
            case=why.case,
            events=[place],
        )
        logged = self._access.log(draft)
        openings = self._vault.open_event(logged.look, place)
        aud: str | None = None
        pair: int | None = None
        with suppress(NotFound):
            aud, pair = reader.receipt_facts(index)
        line = self._line(reader, index, event)
        return ShownEvent(line, entry, openings, aud, pair, logged.receipt)

    def open_range(self, number: int, start: int, stop: int, officer: str) -> list[list[str]]:
        """Give an auditor the openings of a range of events; see ``node.service.auditing.open_range``."""
        return open_range(self._logs, self._access, self._vault, self._seals, number, start, stop, officer)

    def _find(self, place: int) -> tuple[LogReader, EntryIndex, bytes, ParsedEvent]:
        reader, index = self._logs.locate(place)
        entry = reader.entry(reader.row(index))
        event = parse_entry(entry) if entry.startswith(b"{") else None
        if not isinstance(event, ParsedEvent) or not reader.row(index).values_length:
            raise NotFound("event-unknown", f"entry {index} of {reader.origin} is no event of its own")
        return reader, index, entry, event

    def _line(self, reader: LogReader, index: EntryIndex, event: ParsedEvent) -> EventLine:
        place = reader.place(index)
        proven, at = self._logs.proven(place)
        return EventLine(place, reader.origin, index, event, reader.leaf(index), proven.stage(at))

    def _backwards(self, before: int | None) -> Iterator[tuple[LogReader, EntryIndex, Row]]:
        """Go through all events from the newest back, a block of rows at a time."""
        step = 256
        for reader in reversed(self._logs.readers):
            stop = reader.size()
            if before is not None:
                stop = max(0, min(stop, before - reader.place(0)))
            while stop > 0:
                start = max(0, stop - step)
                for index, row in reversed(list(reader.rows(start, stop))):
                    if row.values_length:
                        yield reader, index, row
                stop = start
