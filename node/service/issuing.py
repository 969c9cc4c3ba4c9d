# SPDX-License-Identifier: Apache-2.0
"""Rows in, signed records out: what a worker process does with one chunk of an import.

Pure but for the source of randomness. A chunk travels as msgpack both ways, so that the parent neither looks into
rows on their way in nor copies records on their way out.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import msgpack

from node.core.ids import build_uuid7_many
from node.crypto.ed25519 import Ed25519Signer
from node.crypto.wrap import wrap_secret
from node.errors import InvalidInput
from node.log.merkle import leaf_hash
from node.records.chunks import parse_chunk as parse_row_chunk
from node.records.headers import map_headers
from node.records.identity import content_digest, identity_digest
from node.records.issue import Issuer
from node.records.names import StatusUri, Vct, encode_status_uri
from node.records.rows import RowValidator
from node.records.sealed import Subject, seal_values
from node.service.layout import DISCLOSURES

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from node.core.types import MemberCode
    from node.records.catalogue import CatalogueItem
    from node.records.chunks import RowChunk
    from node.records.rows import ValidRow
    from node.records.values import Cell

SECRET_BYTES: Final = 32
NONCE_BYTES: Final = 12
DIGEST_BYTES: Final = 16
KEY_BYTES: Final = 16
NO_NUMBER: Final = "record-without-number"
NO_RECORD: Final = "record-form"
# Codes that speak of what the row holds; any other one is of this program and ends the import.
_ROW_CODES: Final = frozenset({"record-values", "record-value", "record-subject"})


def subject_digest(index_key: bytes, subject_type: str, subject_id: str) -> bytes:
    """Digest a subject under the node's index key: 16 bytes that say nothing to whoever lacks the key."""
    message = b"subject\x00" + subject_type.encode() + b"\x00" + subject_id.encode()
    return hmac.digest(index_key, message, "sha256")[:DIGEST_BYTES]


@dataclass(frozen=True, slots=True)
class IssueTask:
    """One chunk of rows to issue.

    Attributes:
        item: Name of the catalogue item, ``<item>:<version>``.
        header: Cells of the file's header row.
        chunk: The rows, as ``node.records.chunks`` packs them.
        places: (status list, index), at least one for each row; those of rows that are not issued stay unused.
        supersedes: Leaf hash of the record each row corrects; empty when none does.
        today: Date of the import, YYYY-MM-DD.
        now_ms: Time of issue, milliseconds.
        date1904: Whether the file's serial dates count from 1904.
    """

    item: str
    header: Sequence[Cell]
    chunk: bytes
    places: Sequence[tuple[int, int]]
    supersedes: Sequence[bytes]
    today: str
    now_ms: int
    date1904: bool = False


@dataclass(frozen=True, slots=True)
class IssuedChunk:
    """What became of a chunk. From ``rows`` to ``disclosures`` there is one element an issued record.

    Attributes:
        first_row: Number of the chunk's first row as the user sees it.
        last_row: Number of its last row.
        read: Rows that were not blank.
        rows: Places of the issued rows in the chunk.
        entries: Issuer-signed JWTs.
        leaves: Their leaf hashes.
        values: Positions and sealed values, as stored.
        secrets: Wrapped secrets.
        jtis: ``jti`` as 16 bytes each, back to back.
        identities: Identity digests, back to back.
        contents: Content digests, back to back.
        subjects: Subject digests, back to back.
        disclosures: Disclosure class of each record, one byte each (place in DISCLOSURES).
        refusals: [row number, column or None, rule, class of value] of every refused row.
        flags: [row number, rule] of issued rows that someone should look at.
    """

    first_row: int
    last_row: int
    read: int
    rows: list[int]
    entries: list[bytes]
    leaves: list[bytes]
    values: list[bytes]
    secrets: list[bytes]
    jtis: bytes
    identities: bytes
    contents: bytes
    subjects: bytes
    disclosures: bytes
    refusals: list[list[Any]]
    flags: list[list[Any]]


def encode_task(task: IssueTask) -> bytes:
    """Encode a task for the worker."""
    packed: bytes = msgpack.packb(
        [
            task.item,
            list(task.header),
            task.chunk,
            list(task.places),
            list(task.supersedes),
            task.today,
            task.now_ms,
            task.date1904,
        ]
    )
    return packed


def parse_chunk(data: bytes) -> IssuedChunk:
    """Decode a worker's answer."""
    return IssuedChunk(*msgpack.unpackb(data))


class ChunkIssuer:
    """Issues chunks for one member with its keys; one per worker process.

    Args:
        domain: Exchange domain.
        member: USCC of the issuing member.
        record_seed: Seed of the record key, 32 bytes.
        wrapping_key: Wraps record secrets, 32 bytes.
        index_key: Keys the digests of identities, contents and subjects, 32 bytes.
        items: Catalogue items by ``<item>:<version>``.
        random: Source of secrets.
    """

    def __init__(
        self,
        *,
        domain: str,
        member: MemberCode,
        record_seed: bytes,
        wrapping_key: bytes,
        index_key: bytes,
        items: Mapping[str, CatalogueItem],
        random: Callable[[int], bytes],
    ) -> None:
        self._domain = domain
        self._member = member
        self._signer = Ed25519Signer(record_seed)
        self._wrapping_key = wrapping_key
        self._index_key = index_key
        self._items = items
        self._random = random
        self._issuers: dict[str, Issuer] = {}
        self._uris: dict[int, str] = {}
        self._last: tuple[tuple[object, ...], RowValidator] | None = None

    def issue(self, encoded_task: bytes) -> bytes:
        """Validate and issue one chunk.

        Args:
            encoded_task: An :class:`IssueTask` as ``encode_task`` gives it.

        Returns:
            An :class:`IssuedChunk` for ``parse_chunk``.
        """
        task = IssueTask(*msgpack.unpackb(encoded_task, use_list=True))
        item = self._items[task.item]
        validator = self._validator(item, task)
        chunk = parse_row_chunk(task.chunk)
        valid, refusals = _validate(validator, chunk)
        valid, records, unfit = self._issue_rows(item, task, valid)
        refusals += [[chunk.first_row + place, None, NO_RECORD, ""] for place in unfit]
        flags = [[chunk.first_row + place, NO_NUMBER] for place, row in valid if not row.numbered]
        read = sum(1 for row in chunk.rows if row)
        last_row = chunk.first_row + len(chunk.rows) - 1
        rows = [place for place, _ in valid]
        packed: bytes = msgpack.packb([chunk.first_row, last_row, read, rows, *records, refusals, flags])
        return packed

    def _validator(self, item: CatalogueItem, task: IssueTask) -> RowValidator:
        """Return the validator of the chunk before when the file is the same: it remembers cells that repeat."""
        key = (item.key, tuple(task.header), task.today, task.date1904)
        if self._last is None or self._last[0] != key:
            header_map = map_headers(item, task.header)
            validator = RowValidator(
                item, header_map, issuer=self._member, today=task.today, date1904=task.date1904
            )
            self._last = key, validator
        return self._last[1]

    def _issue_rows(
        self, item: CatalogueItem, task: IssueTask, valid: Sequence[tuple[int, ValidRow]]
    ) -> tuple[list[tuple[int, ValidRow]], list[Any], list[int]]:
        """Issue valid rows; give those that became records, the records, and the places of those that cannot."""
        issuer = self._issuer(item)
        count = len(valid)
        jtis = build_uuid7_many(task.now_ms, count, self._random)
        secrets = self._random(count * SECRET_BYTES)
        nonces = self._random(count * NONCE_BYTES)
        iat = task.now_ms // 1000
        entries: list[bytes] = []
        leaves: list[bytes] = []
        values: list[bytes] = []
        wrapped: list[bytes] = []
        fit: list[int] = []
        unfit: list[int] = []
        for n, (place, row) in enumerate(valid):
            jti, secret = jtis[n], secrets[n * SECRET_BYTES : (n + 1) * SECRET_BYTES]
            list_number, list_index = task.places[place]
            subject = Subject(row.subject_type, row.subject_id)
            try:
                issued = issuer.issue(
                    subject=subject,
                    values=row.values,
                    jti=jti,
                    status_uri=self._uri(list_number),
                    status_idx=list_index,
                    iat=iat,
                    secret=secret,
                    supersedes=task.supersedes[place] if task.supersedes else None,
                )
                sealed = seal_values(secret, jti, subject, row.values)
            except InvalidInput as error:
                if error.code not in _ROW_CODES:
                    raise
                unfit.append(place)
                continue
            fit.append(n)
            entries.append(issued.jwt)
            leaves.append(leaf_hash(issued.jwt))
            values.append(bytes((len(issued.positions),)) + issued.positions + sealed)
            nonce = nonces[n * NONCE_BYTES : (n + 1) * NONCE_BYTES]
            wrapped.append(wrap_secret(self._wrapping_key, secret, jti, nonce))
        done = [valid[n] for n in fit]
        rows = [row for _, row in done]
        records = [
            entries,
            leaves,
            values,
            wrapped,
            bytes.fromhex("".join(jtis[n] for n in fit).replace("-", "")),
            b"".join(identity_digest(self._index_key, row.identity) for row in rows),
            b"".join(content_digest(self._index_key, row.content) for row in rows),
            b"".join(subject_digest(self._index_key, row.subject_type, row.subject_id) for row in rows),
            bytes(DISCLOSURES.index(row.disclosure) for row in rows),
        ]
        return done, records, unfit

    def _issuer(self, item: CatalogueItem) -> Issuer:
        if item.key not in self._issuers:
            vct = Vct(self._domain, item.name, item.version)
            self._issuers[item.key] = Issuer(self._member, vct, item.field_codes, self._signer)
        return self._issuers[item.key]

    def _uri(self, number: int) -> str:
        if number not in self._uris:
            self._uris[number] = encode_status_uri(StatusUri(self._domain, self._member, number))
        return self._uris[number]


def _validate(validator: RowValidator, chunk: RowChunk) -> tuple[list[tuple[int, ValidRow]], list[list[Any]]]:
    valid: list[tuple[int, ValidRow]] = []
    refusals: list[list[Any]] = []
    for place, cells in enumerate(chunk.rows):
        if not cells:
            continue
        outcome = validator.check(cells, chunk.first_row + place)
        if isinstance(outcome, list):
            refusals.extend(list(refusal) for refusal in outcome)
        else:
            valid.append((place, outcome))
    return valid, refusals
