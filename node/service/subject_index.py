# SPDX-License-Identifier: Apache-2.0
"""Which events of the access logs are about a subject: a keyed index beside them (docs/subject-view.md, The index).

    key                              value
    Y e place(8)                     msgpack [[subject(16)], [record place]]: what leads to this event
    Y r record place(8) place(8)     rid(16) of an event that opened this record
    Y s subject(16) place(8)         rid(16) of an event that is about this subject
    Y t                              place(8) of the first event in the index; earlier ones are of a release that kept none

It is written in the commit of the event. The digest of a subject is keyed twice, so that it says nothing to whoever
lacks the index key, and is not the one under which the subject's records are found: an erasure deletes that one, while
who looked has to be kept. Events that name a record by digest alone (ADR 5) are found through the subject's records, and
no longer once the record is erased. Sealed events are in the index, and left out by whoever reads it for a subject.
"""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING, Final, NamedTuple

import msgpack

from node.access.question import AskedSubject
from node.errors import Fatal
from node.records.identity import DIGEST_BYTES
from node.service import layout
from node.service.issuing import subject_digest

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from node.ports import Reads
    from node.service.drafting import EventDraft
    from node.service.transaction import Transaction

PREFIX: Final = b"Y"
BEGUN_KEY: Final = PREFIX + b"t"
EVENT_PREFIX: Final = PREFIX + b"e"
RECORD_PREFIX: Final = PREFIX + b"r"
SUBJECT_PREFIX: Final = PREFIX + b"s"
_PLACE_BYTES: Final = 8
_LABEL: Final = b"looks\x00"


class Terms(NamedTuple):
    """What leads to an event: digests of subjects, 16 bytes each, and places of records, both ascending."""

    subjects: tuple[bytes, ...]
    records: tuple[int, ...]


class FoundEvent(NamedTuple):
    """An event that is about a subject.

    Attributes:
        rid: Shared with the other events of the same request.
        records: Places of the subject's records that it opened; empty where it names the subject itself.
    """

    rid: bytes
    records: tuple[int, ...]


class SubjectIndex:
    """Writes and reads the index.

    Args:
        index_key: Keys the digests of subjects, 32 bytes.
    """

    def __init__(self, index_key: bytes) -> None:
        self._index_key = index_key
        self._is_begun = False

    def note(self, transaction: Transaction, draft: EventDraft, place: int, rid: bytes) -> None:
        """Enter an event that the same commit appends.

        Args:
            transaction: The commit.
            draft: What the event says.
            place: Its place.
            rid: Its 16 bytes.
        """
        if not self._is_begun:
            self._is_begun = transaction.get(BEGUN_KEY) is not None
            if not self._is_begun:
                transaction.put(BEGUN_KEY, layout.u64(place))
        named = [line.subject for line in draft.lines]
        if draft.subject is not None:
            named.append(AskedSubject(draft.subject["type"], draft.subject["id"]))
        terms = self.terms_of(named, {int(release.index) for release in draft.releases}, draft.concerns)
        if draft.follows is not None:
            # One from before the index, of an older release, has no terms there.
            followed = transaction.get(EVENT_PREFIX + layout.u64(draft.follows))
            known = () if followed is None else parse_terms(followed).subjects
            terms = terms._replace(subjects=tuple(sorted({*terms.subjects, *known})))
        transaction.put_all(build_keys(place, rid, terms))

    def terms_of(
        self, subjects: Iterable[AskedSubject], records: Iterable[int], digests: Iterable[bytes] = ()
    ) -> Terms:
        """Say what shall lead to an event.

        Args:
            subjects: Whom it names.
            records: Places of the records that it opened, each once.
            digests: Subjects whom it is about and does not name (node.service.issuing.subject_digest).
        """
        known = {subject_digest(self._index_key, *subject) for subject in subjects} | set(digests)
        return Terms(tuple(sorted(map(self._digest, known))), tuple(sorted(records)))

    def find(self, reads: Reads, subject: AskedSubject) -> dict[int, FoundEvent]:
        """Find the events about a subject, by place."""
        digest = subject_digest(self._index_key, *subject)
        named = dict(_scan(reads, subject_key(self._digest(digest))))
        records = layout.subject_key(digest)
        opened: dict[int, list[int]] = {}
        rids = dict(named)
        for key, _ in reads.scan(layout.subject_key(digest, 0), layout.stop_of(records)):
            record = layout.parse_u64(key[-_PLACE_BYTES:])
            for place, rid in _scan(reads, record_key(record)):
                rids[place] = rid
                opened.setdefault(place, []).append(record)
        return {
            place: FoundEvent(rid, () if place in named else tuple(opened[place]))
            for place, rid in rids.items()
        }

    def _digest(self, subject: bytes) -> bytes:
        return hmac.digest(self._index_key, _LABEL + subject, "sha256")[:DIGEST_BYTES]


def build_keys(place: int, rid: bytes, terms: Terms) -> list[tuple[bytes, bytes]]:
    """Build the keys and values of one event in the index."""
    tail = layout.u64(place)
    return [
        (EVENT_PREFIX + tail, msgpack.packb(terms)),
        *((subject_key(subject) + tail, rid) for subject in terms.subjects),
        *((record_key(record) + tail, rid) for record in terms.records),
    ]


def parse_terms(data: bytes) -> Terms:
    """Read what leads to an event, as ``build_keys`` wrote it.

    Raises:
        Fatal: ``store-corrupt``.
    """
    try:
        match msgpack.unpackb(data):
            case [[*subjects], [*records]] if msgpack.packb([subjects, records]) == data:
                return Terms(tuple(subjects), tuple(records))
    except (ValueError, msgpack.exceptions.UnpackException):
        pass
    raise Fatal("store-corrupt", "what leads to an event is not readable")


def subject_key(subject: bytes) -> bytes:
    """Key prefix of the events about a subject, 16 bytes as in ``Terms``."""
    return SUBJECT_PREFIX + subject


def record_key(record: int) -> bytes:
    """Key prefix of the events that opened a record."""
    return RECORD_PREFIX + layout.u64(record)


def find_begun(reads: Reads) -> int | None:
    """Find from which place on events are in the index; None while it was never begun."""
    stored = reads.get(BEGUN_KEY)
    return None if stored is None else layout.parse_u64(stored)


def place_of_key(key: bytes) -> int:
    """Give the place of the event that a key of the index leads to."""
    return layout.parse_u64(key[-_PLACE_BYTES:])


def _scan(reads: Reads, prefix: bytes) -> Iterator[tuple[int, bytes]]:
    for key, rid in reads.scan(prefix, layout.stop_of(prefix)):
        yield place_of_key(key), rid
