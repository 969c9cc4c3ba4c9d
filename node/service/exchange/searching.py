# SPDX-License-Identifier: Apache-2.0
"""Find the records that answer a question, name what is given of each, and prove their status; opens nothing.

What is searched is the records log under its newest signed checkpoint, ``as_of``: a record below it that is not told
of convicts. Records that were withdrawn, superseded, repaired or erased are not shared any more, and not counted.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from node.access.answer import StatusProof
from node.core.recent import Recent
from node.core.types import EntryIndex
from node.errors import NotFound, Unavailable
from node.records.status import SUSPENDED, VALID
from node.service import layout
from node.service.issuing import subject_digest
from node.service.layout import DISCLOSURES, NO_LIST
from node.service.status import current_status

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from node.access.decision import Decision
    from node.access.question import AskedSubject
    from node.ports import Reads
    from node.service.drafting import Release
    from node.service.layout import Row
    from node.service.reading import LogReader, Logs
    from node.service.status import StatusHead, StatusPublisher
    from node.service.vault import Vault

SHARED_STATES: Final = frozenset({VALID, SUSPENDED})
"""A record that was objected to is told of, with that status; it is the asker's to wait for the outcome."""
GIVEN_AT_ONCE: Final = 256
"""Most records in one answer; of more, the oldest are given and the rest is withheld."""
GIVEN_BYTES: Final = 4 << 20
"""Most bytes of records and status lists in one answer, so that it fits its envelope."""
GIVEN_IN_BULK: Final = 1_000
"""Most records in an answer about many subjects; the first lines are served first, and each line says what it lacks."""
GIVEN_IN_BULK_BYTES: Final = 2 << 20
"""Most bytes of records and status lists in it: its lines name each record and each field once more."""
_PROOFS: Final = 64
TOO_MANY: Final = "too-many-records"
NEEDS_CONSENT: Final = "consent-required"


@dataclass(frozen=True, slots=True)
class Found:
    """What a question leads to.

    Attributes:
        releases: What is given, oldest record first.
        withheld: Records that there are and that are not given.
        code: Why they are not.
        searched: Number and size of the records log that was searched.
    """

    releases: tuple[Release, ...]
    withheld: int
    code: str | None
    searched: tuple[int, int]


class _Room:
    """Counts what an answer will hold."""

    def __init__(
        self,
        head: StatusHead | None,
        prove: Callable[[StatusHead, int], StatusProof],
        records: int,
        bytes_: int,
    ) -> None:
        self._records = records
        self._head = head
        self._prove = prove
        self._lists: set[int] = set()
        self._left = bytes_

    def takes(self, row: Row) -> bool:
        """Whether one more record fits, with the status list that it is in."""
        if not self._records or self._head is None or row.status_list >= self._head.lists:
            return False
        # A disclosure is its value with salt and name, in base64.
        needed = row.entry_length + 3 * row.values_length
        if row.status_list not in self._lists:
            needed += len(self._prove(self._head, row.status_list).list) + 4_096
        if needed > self._left:
            return False
        self._records -= 1
        self._left -= needed
        self._lists.add(row.status_list)
        return True


class Searcher:
    """Searches the records of this node for other members."""

    def __init__(
        self,
        reads: Reads,
        records: Logs,
        vault: Vault,
        status: StatusPublisher,
        *,
        item_names: Mapping[int, str],
        domain: str,
        index_key: bytes,
    ) -> None:
        self._reads = reads
        self._records = records
        self._vault = vault
        self._status = status
        self._vcts = {number: f"urn:ironcage:{domain}:{name}" for number, name in item_names.items()}
        self._index_key = index_key
        # A head says the same of a list for ever, and is the newest one for some minutes.
        self._proofs: Recent[StatusProof] = Recent(_PROOFS)

    def search(self, subject: AskedSubject, decision: Decision) -> Found:
        """Find the records about a subject that a decision allows to give.

        Raises:
            Unavailable: ``not-published``: the records log has no signed checkpoint yet.
        """
        return self._search(subject, decision, self.newest(), self._room(GIVEN_AT_ONCE, GIVEN_BYTES))

    def search_all(self, subjects: Sequence[AskedSubject], decision: Decision) -> list[Found]:
        """Find the records about each of many subjects; one answer holds all of them.

        Raises:
            Unavailable: ``not-published``.
        """
        searched, room = self.newest(), self._room(GIVEN_IN_BULK, GIVEN_IN_BULK_BYTES)
        return [self._search(subject, decision, searched, room) for subject in subjects]

    def _room(self, records: int, bytes_: int) -> _Room:
        return _Room(self._status.newest(), self._prove_list, records, bytes_)

    def _search(
        self, subject: AskedSubject, decision: Decision, searched: tuple[int, int], room: _Room
    ) -> Found:
        releases: list[Release] = []
        withheld, code = 0, None
        asked = decision.fields.keys()
        for place in self._places(subject):
            row = self._records.row(place)
            vct = self._vcts.get(row.kind)
            if vct not in asked or not self._is_shared(place, row, searched[1]):
                continue
            names = decision.fields_of(vct, DISCLOSURES[row.disclosure])
            if names is None:
                withheld, code = withheld + 1, code or NEEDS_CONSENT
            elif not room.takes(row):
                withheld, code = withheld + 1, code or TOO_MANY
            else:
                releases.append(self.plan(place, names))
        return Found(tuple(releases), withheld, code, searched)

    def newest(self) -> tuple[int, int]:
        """Give number and size of the newest signed checkpoint of the records log.

        Raises:
            Unavailable: ``not-published``: there is none yet.
        """
        reader = self._records.open
        size = reader.published_size()
        if not size:
            raise Unavailable(
                "not-published", "the records log has no signed checkpoint yet: try again later"
            )
        return reader.number, size

    def plan(self, place: int, names: Sequence[str]) -> Release:
        """Name what is given of a record: of the fields asked for, those that it has.

        Raises:
            NotFound: It was erased meanwhile.
        """
        whole = self._vault.plan_release(EntryIndex(place), None)
        given = {name: whole.fields[name] for name in names if name in whole.fields}
        return replace(whole, fields=MappingProxyType(given))

    def note(self, searched: tuple[int, int]) -> str:
        """Give the signed checkpoint of a log that was searched.

        Raises:
            NotFound: There is none.
        """
        number, size = searched
        reader = self._records.find(number)
        found = None if reader is None else reader.find_checkpoint(size)
        if found is None:
            raise NotFound("checkpoint-unknown", f"no checkpoint of size {size} was published")
        return found[1]

    def prove_status(self, releases: Sequence[Release]) -> list[StatusProof]:
        """Give the token, head and path of each status list that records are in, as they are now."""
        head = self._status.newest()
        if head is None:
            return []
        numbers = sorted({self._records.row(release.index).status_list for release in releases})
        return [self._prove_list(head, number) for number in numbers]

    def _prove_list(self, head: StatusHead, number: int) -> StatusProof:
        known = self._proofs.find((head, number))
        if known is None:
            reader, index = self._records.locate(head.place)
            text = reader.entry(reader.row(index)).decode("ascii")
            path = tuple(self._status.path(head, number))
            known = StatusProof(self._status.token(head, number), number, path, text)
            self._proofs.put((head, number), known)
        return known

    def _places(self, subject: AskedSubject) -> list[int]:
        digest = subject_digest(self._index_key, subject.type, subject.id)
        start, stop = layout.subject_key(digest, 0), layout.stop_of(layout.subject_key(digest))
        return [layout.parse_u64(key[-8:]) for key, _ in self._reads.scan(start, stop)]

    def _is_shared(self, place: int, row: Row, size: int) -> bool:
        if row.status_list == NO_LIST or self._reads.get(layout.erasure_key(place)) is not None:
            return False
        return self._is_below(place, size) and current_status(self._reads, row) in SHARED_STATES

    def _is_below(self, place: int, size: int) -> bool:
        reader: LogReader
        reader, index = self._records.proven(place)
        # What an earlier log still proves is below the checkpoint of any later one.
        return reader.number < self._records.open.number or index < size
