# SPDX-License-Identifier: Apache-2.0
"""The values of records, and the openings of events: shown to whoever has logged that he looks, and to nobody else.

    logged = AccessLog.log(draft)             event appended, committed, head file durable, receipt signed
    opened = Vault.open(logged.look, index)   the only function that unwraps a record's secret to show its values

What will be released is named by digest before anything is decrypted: the place of each field's digest in the record's
``_sd`` is stored beside its sealed values.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

import msgpack
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from node.access.bulk import Line, encode_line, hash_lines, line_salts
from node.access.event import SALTED_NAMES, build_openings, event_salts, parse_event, verify_openings
from node.access.question import AskedSubject
from node.core.encoding import encode_b64u
from node.errors import AccessDenied, Fatal, InvalidInput, NotFound, Verification
from node.records.disclosure import digest_of
from node.records.identity import find_identities, identity_digest
from node.records.profile import ABSENT
from node.records.record import SUBJECT, parse_record, present_record, released_digests
from node.records.sealed import open_values
from node.records.secret import values_key
from node.service import layout
from node.service.drafting import Release
from node.service.issuing import subject_digest
from node.service.looking import Look, require_covered

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from node.access.event import ParsedEvent
    from node.core.types import EntryIndex
    from node.ports import SecretKeeper
    from node.records.catalogue import CatalogueItem
    from node.records.record import RecordClaims
    from node.records.sealed import Subject
    from node.service.reading import Logs

OPEN: Final = "open"
_NONCE_BYTES: Final = 12


@dataclass(frozen=True, slots=True)
class Opened:
    """What a look shows of one record."""

    index: EntryIndex
    jwt: bytes
    vct: str
    subject: Subject | None
    values: Mapping[str, str]
    presentation: str


class Vault:
    """Holds the one way to the values of records and the openings of events.

    Args:
        records: The records logs.
        events: The access logs.
        items: Catalogue items by ``vct``.
        keeper: Unwraps secrets, and counts them.
    """

    def __init__(
        self, records: Logs, events: Logs, items: Mapping[str, CatalogueItem], keeper: SecretKeeper
    ) -> None:
        self._reader = records
        self._events = events
        self._items = items
        self._field_codes = {vct: item.field_codes for vct, item in items.items()}
        self._keeper = keeper

    def plan_release(self, index: EntryIndex, names: Collection[str] | None) -> Release:
        """Name, by digest, what showing some fields of a record releases. Decrypts nothing.

        Args:
            index: Entry of the record.
            names: Field codes and ``subject``; None for all that are there.

        Raises:
            InvalidInput: A name is not a field of this kind of record or is empty in this one.
            NotFound: The entry is no record, its secret was erased, or this node has not its catalogue item.
        """
        row = self._reader.row(index)
        self._reader.wrapped_secret(index)
        jwt = self._reader.entry(row)
        vct = parse_record(jwt).claims.vct
        codes = self._codes(vct)
        known = (SUBJECT, *codes)
        positions = self._positions(row)
        present = {name for name, at in zip(known, positions, strict=False) if at != ABSENT}
        wanted = present if names is None else set(names)
        if missing := wanted - present:
            # A name that is no field of the item is the caller's own text and is not repeated.
            ours = sorted(name if name in known else "(no field of this kind of record)" for name in missing)
            raise InvalidInput("field-absent", f"record has no field {', '.join(ours)}")
        digests = released_digests(jwt, positions, codes, wanted)
        fields = dict(zip((name for name in known if name in wanted), digests, strict=True))
        return Release(index, encode_b64u(sha256(jwt).digest()), vct, MappingProxyType(fields))

    def guarded_fields(self, release: Release) -> list[str]:
        """Name the fields of a release that are not open to all: of a record that is not, all of them.

        A natural person's record is never open, so that its subject needs no look of its own.
        """
        item = self._items[release.vct]
        row = self._reader.row(release.index)
        narrow = {field.code for field in item.fields if field.disclosure != OPEN}
        is_open = layout.DISCLOSURES[row.disclosure] == OPEN
        return [name for name in release.fields if not is_open or name in narrow]

    def open(self, look: Look, index: EntryIndex) -> Opened:
        """Open a record as far as a logged look covers it.

        Raises:
            AccessDenied: The look is not one of the access log's, or does not cover this record.
            NotFound: The record's secret was erased.
            Verification, Fatal: What is stored is not what was signed, or not what the look names; nothing is shown.
        """
        release, jwt, claims, secret, subject, values = self._unseal(look, index)
        codes = self._codes(claims.vct)
        shown = release.fields.keys()
        presentation = present_record(jwt, secret, subject, values, codes, disclose=shown)
        if {digest_of(text) for text in presentation.split("~")[1:-1]} != set(release.fields.values()):
            raise Fatal("release-differs", f"record at index {index} holds other fields than its look names")
        return Opened(
            index,
            jwt,
            claims.vct,
            subject if SUBJECT in shown else None,
            {code: v for code, v in zip(codes, values, strict=True) if code in shown and v is not None},
            presentation,
        )

    def index_digests(self, look: Look, index: EntryIndex, index_key: bytes) -> tuple[list[bytes], bytes]:
        """Compute again, for its erasure, the keyed digests under which a record is found; its values go nowhere.

        Args:
            look: The event of the erasure; it names no field.
            index: Entry of the record.
            index_key: Keys the digests, 32 bytes.

        Returns:
            Digests of every identity that the record can have, and that of its subject.

        Raises:
            As ``open``.
        """
        _, _, claims, _, subject, values = self._unseal(look, index)
        item, disclosure = self._items[claims.vct], layout.DISCLOSURES[self._reader.row(index).disclosure]
        found = find_identities(item, claims.iss, subject, values, disclosure)
        identities = [identity_digest(index_key, identity) for identity in found]
        return identities, subject_digest(index_key, *subject)

    def open_event(self, look: Look, place: int) -> list[str]:
        """Re-make the ten openings of an own event that a logged look covers, byte for byte.

        The lines of a bulk event stay where they are: ``open_whole``.

        Args:
            look: The event of whoever is shown them.
            place: Place of the event in the access logs.

        Returns:
            The disclosures in the order of ``SALTED_NAMES``; each stands under its digest in the event.

        Raises:
            AccessDenied: ``look-does-not-cover``, ``look-used``.
            InvalidInput: ``event-kind``: the entry is a heartbeat or padding.
            NotFound: There is no such entry, or its secret was erased.
            Verification: What is stored is not what was logged.
        """
        return self.open_whole(look, place)[0]

    def open_whole(self, look: Look, place: int) -> tuple[list[str], list[str]]:
        """Re-make the ten openings of an own event and, of a bulk event, its lines; none of any other.

        Raises:
            As ``open_event``.
        """
        if not isinstance(look, Look) or place not in look.events:
            raise AccessDenied("look-does-not-cover", f"no logged look covers the event at place {place}")
        row = self._events.row(place)
        event = parse_event(self._events.entry(row))
        name = encode_b64u(event.rid)
        secret = self._unwrap(look, "event", place, self._events.wrapped_secret(place), name)
        try:
            nonce, cipher = bytes(_NONCE_BYTES), AESGCM(values_key(secret))
            plain = cipher.decrypt(nonce, self._events.values(row), name.encode("ascii"))
        except InvalidTag:
            raise Verification(
                "values-seal", f"values of event {place} do not open under its secret"
            ) from None
        values = msgpack.unpackb(plain)
        stored = values.pop() if event.set_root is not None and type(values) is list and values else []
        if type(values) is not list or len(values) != len(SALTED_NAMES):
            raise Verification("values-form", f"values of event {place} are not ten")
        openings = build_openings(dict(zip(SALTED_NAMES, values, strict=True)), event_salts(secret))
        verify_openings(event, openings)
        return openings, _write_lines(event, stored, secret, place)

    def _unseal(
        self, look: Look, index: EntryIndex
    ) -> tuple[Release, bytes, RecordClaims, bytes, Subject, list[str | None]]:
        """Decrypt a record that a logged look covers: the one place where this is done."""
        release = require_covered(look, index)
        row = self._reader.row(index)
        jwt = self._reader.entry(row)
        if encode_b64u(sha256(jwt).digest()) != release.jwt_digest:
            raise AccessDenied(
                "look-does-not-cover", f"the logged look covers another record than index {index}"
            )
        claims = parse_record(jwt).claims
        self._codes(claims.vct)
        secret = self._unwrap(look, "record", index, self._reader.wrapped_secret(index), claims.jti)
        stored = self._reader.values(row)
        subject, values = open_values(secret, claims.jti, stored[1 + stored[0] :])
        return release, jwt, claims, secret, subject, values

    def _unwrap(self, look: Look, what: str, place: int, wrapped: bytes, name: str) -> bytes:
        """Have a secret unwrapped for a look, once: no other function of the node does."""
        look.use(what, place)
        return self._keeper.unwrap(wrapped, name)

    def _codes(self, vct: str) -> Sequence[str]:
        codes = self._field_codes.get(vct)
        if codes is None:
            raise NotFound("item-unknown", f"this node has no catalogue item {vct}")
        return codes

    def _positions(self, row: layout.Row) -> bytes:
        stored = self._reader.values(row)
        return stored[1 : 1 + stored[0]]


def _write_lines(event: ParsedEvent, stored: Sequence[Sequence[Any]], secret: bytes, place: int) -> list[str]:
    if event.set_root is None:
        return []
    if len(stored) != event.n:
        raise Verification(
            "values-form", f"values of event {place} are of {len(stored)} lines: want {event.n}"
        )
    salts = line_salts(secret, event.n)
    lines = [
        encode_line(Line(salt, AskedSubject(type_, id_), released))
        for salt, (type_, id_, released) in zip(salts, stored, strict=True)
    ]
    if hash_lines(lines).root != event.set_root:
        raise Verification("values-form", f"lines of event {place} are not those under its root")
    return lines
