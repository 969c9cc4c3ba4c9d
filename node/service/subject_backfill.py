# SPDX-License-Identifier: Apache-2.0
"""Enter events into the index of looks by subject that were logged by a release which kept none (docs/subject-view.md, The index).

What an event is about only its openings say, and opening them is a look: each stretch of events is one ``audit``, so that
every secret that comes out has its event. Stretches go from the newest event back, and each is committed together with the new
beginning of the index, so that a node that dies goes on where it was.
"""

from __future__ import annotations

from functools import partial
from hashlib import sha256
from itertools import islice
from typing import TYPE_CHECKING, Final, NamedTuple

from node.access.bulk import parse_line
from node.access.event import parse_event, verify_openings
from node.access.question import AskedSubject
from node.core.encoding import encode_b64u
from node.errors import NotFound
from node.service import layout
from node.service.drafting import EventDraft, Officer
from node.service.subject_index import BEGUN_KEY, build_keys, find_begun

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from node.ports import Reads
    from node.service.looking import AccessLog
    from node.service.reading import Logs
    from node.service.sequencer import Sequencer
    from node.service.subject_index import SubjectIndex
    from node.service.transaction import Transaction
    from node.service.vault import Vault

PURPOSE: Final = "subject-index"
KIND: Final = "audit"
SEALED: Final = "sealed"
EVENTS_AT_ONCE: Final = 256
"""Events that one ``audit`` covers."""
_OPENERS: Final = frozenset({"read", "export", "erase", "grant", "bulk"})
_STEP: Final = 4_096
_NOWHERE: Final = b"\xff" * 8


class _Opened(NamedTuple):
    """What an event is about: whom it names, and which records it opened, by SHA-256 of their JWT in b64u."""

    place: int
    rid: bytes
    subjects: list[AskedSubject]
    released: list[str]


class Backfill:
    """Enters earlier events into the index.

    Args:
        reads: The store.
        sequencer: Writes to it.
        events: The access logs.
        records: The records logs.
        access: Logs that events are opened.
        vault: Opens them.
        index: The index.
    """

    def __init__(
        self,
        reads: Reads,
        sequencer: Sequencer,
        events: Logs,
        records: Logs,
        access: AccessLog,
        vault: Vault,
        index: SubjectIndex,
    ) -> None:
        self._reads = reads
        self._sequencer = sequencer
        self._events = events
        self._records = records
        self._access = access
        self._vault = vault
        self._index = index

    def is_complete(self) -> bool:
        """Tell whether every event is in the index."""
        begun = find_begun(self._reads)
        return next(self._list_before(begun), None) is None

    def run(self, officer: str, *, most: int) -> int:
        """Enter the newest events that are not in the index; call again until there are none.

        Args:
            officer: Account of whoever has it done.
            most: At most this many events.

        Returns:
            How many were entered; 0 when all are.

        Raises:
            NodeError: As ``AccessLog.log``; calling again goes on.
        """
        places = list(islice(self._list_before(find_begun(self._reads)), most))
        opened: list[_Opened] = []
        for at in range(0, len(places), EVENTS_AT_ONCE):
            opened += self._open(places[at : at + EVENTS_AT_ONCE], officer)
        found = self._find_records({digest for event in opened for digest in event.released})
        for at in range(0, len(opened), EVENTS_AT_ONCE):
            self._sequencer.run(partial(self._write, opened[at : at + EVENTS_AT_ONCE], found), entries=0)
        return len(places)

    def _list_before(self, begun: int | None) -> Iterator[int]:
        """List the places of events below the beginning of the index, the newest first."""
        number, stop = (len(self._events.readers), 0) if begun is None else layout.split_place(begun)
        for reader in reversed(self._events.readers[: number + 1]):
            end = stop if reader.number == number else reader.size()
            while end > 0:
                start = max(0, end - _STEP)
                for index, row in reversed(list(reader.rows(start, end))):
                    if row.values_length:
                        yield reader.place(index)
                end = start

    def _open(self, places: Sequence[int], officer: str) -> list[_Opened]:
        """Log that events are opened, and read whom they are about. What is sealed, or has no secret, stays closed."""
        rows = {place: self._events.row(place) for place in places}
        parsed = {place: parse_event(self._events.entry(row)) for place, row in rows.items()}
        wanted = [place for place in places if parsed[place].kind != SEALED and self._has_secret(place)]
        draft = EventDraft(kind=KIND, officer=Officer(officer), purpose=PURPOSE, events=wanted)
        look = self._access.log(draft).look if wanted else None
        opened = []
        for place in places:
            event, subjects, released = parsed[place], [], []
            if look is not None and place in look.events:
                openings, lines = self._vault.open_whole(look, place)
                values = verify_openings(event, openings)
                parsed_lines = list(map(parse_line, lines))
                if values["subject"] is not None:
                    subjects.append(AskedSubject(values["subject"]["type"], values["subject"]["id"]))
                subjects += [line.subject for line in parsed_lines]
                if event.kind in _OPENERS:
                    pairs = [
                        *(values["released"] or ()),
                        *(p for line in parsed_lines for p in line.released or ()),
                    ]
                    # A look that released no field of a record opened nothing of it: it was found for its subject.
                    released = [digest for digest, fields in pairs if fields or event.kind == "erase"]
            opened.append(_Opened(place, event.rid, subjects, released))
        return opened

    def _has_secret(self, place: int) -> bool:
        try:
            self._events.wrapped_secret(place)
        except NotFound:
            return False
        return True

    def _find_records(self, digests: Collection[str]) -> dict[str, int]:
        """Find records by the SHA-256 of their JWT: no index leads there, so all are read."""
        found: dict[str, int] = {}
        if not digests:
            return found
        for reader in self._records.readers:
            for index, row in reader.rows(0, reader.size()):
                if row.status_list != layout.NO_LIST:
                    digest = encode_b64u(sha256(reader.entry(row)).digest())
                    if digest in digests:
                        found[digest] = reader.place(index)
        return found

    def _write(self, opened: Sequence[_Opened], found: Mapping[str, int], transaction: Transaction) -> None:
        for event in opened:
            records = {found[digest] for digest in event.released if digest in found}
            terms = self._index.terms_of(event.subjects, records)
            transaction.put_all(build_keys(event.place, event.rid, terms))
        first = min(opened[-1].place, layout.parse_u64(transaction.get(BEGUN_KEY) or _NOWHERE))
        transaction.put(BEGUN_KEY, layout.u64(first))
