# SPDX-License-Identifier: Apache-2.0
"""Check what a node counts and keeps beside its logs: uses of consents, rates, versions of documents, openings of logs.

Of most of it the logs say nothing in the open, so form and the agreement of keys with each other are what is checked, and that
each use belongs to an event that is there.
"""

from __future__ import annotations

from collections import Counter
from functools import partial
from typing import TYPE_CHECKING, Final

import msgpack

from node.access.event import REVOKE, parse_event, verify_openings
from node.access.limits import parse_tally
from node.core.uscc import parse_uscc
from node.service import layout
from node.service.documents import parse_document_version
from node.service.fsck.findings import Finding, check_each, guarded
from node.service.layout import LogKind
from node.service.limiting import DIGEST_BYTES, read_used
from node.service.reading import parse_stored_anchor

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from node.ports import Reads
    from node.service.reading import Logs

CHECKED: Final = (
    *(b"C%c" % letter for letter in b"cegkorstux"),
    b"T",
    layout.DOCUMENT_VERSION_PREFIX,
)
"""Prefixes of the keys that are checked here, beside when logs were opened."""
_PLACE_BYTES: Final = 8
_MEMBER: Final = layout.MEMBER_BYTES


class LedgerCheck:
    """Checks them.

    Args:
        reads: The store.
        logs: The logs of both kinds.
    """

    def __init__(self, reads: Reads, logs: Mapping[LogKind, Logs]) -> None:
        self._reads = reads
        self._logs = logs
        self._events = logs[LogKind.ACCESS]

    def run(self) -> Iterator[Finding]:
        """Check all of them."""
        yield from guarded("uses", self._check_uses)
        for prefix, name, check in (
            (b"T", "rate", self._check_rate),
            (b"Cg", "consent", self._check_given),
            (b"Co", "end of a consent", self._check_over),
            (b"Cs", "subject of a consent", self._check_subject),
            (b"Ct", "consent taken back, to be told", self._check_to_tell),
            (b"Ck", "consent taken back, known to its provider", self._check_known),
            (b"Cr", "consent that its window took back", self._check_told),
            (b"Cx", "end of one that its window took back", self._check_told_over),
            (layout.DOCUMENT_VERSION_PREFIX, "version of a document", self._check_version),
            (b"U", "opening of a log", self._check_opening),
        ):
            yield from check_each(self._reads, prefix, name, "fsck-ledger", check)

    # ---- consents and rates

    def _check_uses(self) -> Iterator[Finding]:
        """Each use is of an event with that request, each consent was used at least as often, and its end is noted."""
        used: Counter[bytes] = Counter()
        for key, value in self._reads.scan(b"Cu", layout.stop_of(b"Cu")):
            digest, rid = key[2 : 2 + DIGEST_BYTES], key[2 + DIGEST_BYTES :]
            used[digest] += 1
            place = f"use {key[2:].hex()}"
            yield from guarded(place, partial(self._check_use, place, rid, value))
        ends = {key[2:] for key, _ in self._reads.scan(b"Ce", layout.stop_of(b"Ce"))}
        for key, _ in self._reads.scan(b"Cc", layout.stop_of(b"Cc")):
            digest = key[2:]
            place = f"uses of {digest.hex()}"
            counted = read_used(self._reads, digest)
            requests = used.pop(digest, 0)
            if requests > counted.uses or (counted.uses and not requests):
                yield Finding("fsck-ledger", place, f"{requests} requests made {counted.uses} uses of it")
            if counted.end is not None:
                ends.discard(layout.u64(counted.end) + digest)
                if self._reads.get(b"Ce" + layout.u64(counted.end) + digest) is None:
                    yield Finding("fsck-ledger", place, "nothing says when the count goes")
        for digest in used:
            yield Finding("fsck-ledger", f"uses of {digest.hex()}", "uses that nobody counted")
        for end in ends:
            yield Finding("fsck-ledger", f"end {end.hex()}", "end of a count that is not there")

    def _check_use(self, place: str, rid: bytes, value: bytes) -> Iterator[Finding]:
        if len(value) != _PLACE_BYTES or self._events.row(layout.parse_u64(value)).key != rid:
            yield Finding("fsck-ledger", place, "the event that used it is of another request")

    def _check_rate(self, _key: bytes, value: bytes) -> str | None:
        parse_tally(value)
        return None

    def _check_given(self, key: bytes, value: bytes) -> str | None:
        end, _uses, _provider, place = msgpack.unpackb(value)
        subject = self._reads.get(b"Co" + layout.u64(end) + key)
        if self._kind_at(place) != "consent":
            return "the event that gave it is none"
        if subject is None or self._reads.get(b"Cs" + subject + key) is None:
            return "its subject does not lead to it"
        return None

    def _check_over(self, key: bytes, _value: bytes) -> str | None:
        return self._require_given(key[_PLACE_BYTES:])

    def _check_subject(self, key: bytes, value: bytes) -> str | None:
        return (
            "there are bytes under a key that has none" if value else self._require_given(key[-DIGEST_BYTES:])
        )

    def _require_given(self, digest: bytes) -> str | None:
        return None if self._reads.get(b"Cg" + digest) is not None else "it leads to no consent"

    def _check_to_tell(self, key: bytes, value: bytes) -> str | None:
        _end, place = msgpack.unpackb(value)
        parse_uscc(key[:_MEMBER].decode("ascii"))
        fits = len(key) == _MEMBER + DIGEST_BYTES and self._kind_at(place) == REVOKE
        return None if fits else "the event that took it back is none"

    def _check_known(self, key: bytes, value: bytes) -> str | None:
        fits = len(key) == DIGEST_BYTES and layout.parse_u64(value)
        return None if fits else "it is of no consent, or no time"

    def _check_told(self, key: bytes, value: bytes) -> str | None:
        end, _at, place, openings = msgpack.unpackb(value)
        parse_uscc(key[:_MEMBER].decode("ascii"))
        if self._kind_at(place) != REVOKE:
            return "the event that says so is none"
        verify_openings(parse_event(self._events.entry(self._events.row(place))), openings)
        found = self._reads.get(b"Cx" + layout.u64(end) + key)
        return None if found is not None else "nothing says when it goes"

    def _check_told_over(self, key: bytes, value: bytes) -> str | None:
        if value:
            return "there are bytes under a key that has none"
        return None if self._reads.get(b"Cr" + key[_PLACE_BYTES:]) is not None else "it leads to no consent"

    def _kind_at(self, place: int) -> str:
        return parse_event(self._events.entry(self._events.row(place))).kind

    # ---- documents and logs

    def _check_version(self, key: bytes, value: bytes) -> str | None:
        whole = layout.DOCUMENT_VERSION_PREFIX + key
        version = parse_document_version(whole, value)
        if layout.document_version_key(version.kind, version.name, version.version) != whole:
            return "it is of another document"
        if version.digest is not None and len(version.digest) != DIGEST_BYTES:
            return "its digest is none"
        return (
            None if version.decided_block <= version.since_block else "it was in force before it was decided"
        )

    def _check_opening(self, key: bytes, value: bytes) -> str | None:
        kind, number = LogKind(key[:1]), int.from_bytes(key[1:], "big")
        log = self._logs[kind].find(number)
        if len(value) != _PLACE_BYTES or log is None:
            return "it is of no log, or no time"
        first = self._reads.get(layout.anchor_key(kind, 1, number))
        if first is not None and parse_stored_anchor(first).anchor.prev_time != layout.parse_u64(value):
            return "the first anchor followed another time"
        return None
