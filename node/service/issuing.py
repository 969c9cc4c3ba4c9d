# SPDX-License-Identifier: Apache-2.0
"""Rows in, signed records out: what a worker process does with one chunk of an import.

Pure but for the source of randomness. A chunk travels as msgpack both ways, so that the parent neither looks into
rows on their way in nor copies records on their way out.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from itertools import compress
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import msgpack

from node.core.ids import build_uuid7_many
from node.crypto.ed25519 import Ed25519Signer
from node.crypto.sha256 import sha256_all
from node.errors import InvalidInput
from node.log.merkle import LEAF_PREFIX
from node.records.chunks import parse_chunk as parse_row_chunk
from node.records.headers import map_headers
from node.records.identity import KeyedDigests
from node.records.issue import Drafts, Issuer
from node.records.names import StatusUri, Vct, encode_status_uri
from node.records.rows import RowValidator
from node.records.sealed import Subject, seal_packed
from node.service.layout import DISCLOSURES

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from node.core.types import MemberCode
    from node.records.catalogue import CatalogueItem
    from node.records.issue import Issued
    from node.records.rows import ValidRow, ValidRows
    from node.records.values import Cell

SECRET_BYTES: Final = 32
DIGEST_BYTES: Final = 16
KEY_BYTES: Final = 16
NO_NUMBER: Final = "record-without-number"
NO_RECORD: Final = "record-form"
# Codes that speak of what the row holds; any other one is of this program and ends the import.
_ROW_CODES: Final = frozenset({"record-values", "record-value", "record-subject"})

WrapAll: TypeAlias = "Callable[[Sequence[bytes], Sequence[str]], list[bytes]]"
"""Wraps secrets under their names (``node.ports.SecretKeeper.wrap_all``)."""


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
        wrap_all: Wraps record secrets under their names.
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
        wrap_all: WrapAll,
        index_key: bytes,
        items: Mapping[str, CatalogueItem],
        random: Callable[[int], bytes],
    ) -> None:
        self._domain = domain
        self._member = member
        self._signer = Ed25519Signer(record_seed)
        self._wrap_all = wrap_all
        self._identities = KeyedDigests(index_key, "identity")
        self._contents = KeyedDigests(index_key, "content")
        self._subjects = KeyedDigests(index_key, "subject")
        self._items = items
        self._random = random
        self._issuers: dict[str, Issuer] = {}
        self._uris: dict[int, str] = {}
        # Its memory, some MB for an answer, is kept: asking the system for it anew takes longer than packing.
        self._pack: Callable[[object], bytes] = msgpack.Packer().pack
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
        valid, refused = validator.check_all(chunk.rows, chunk.first_row)
        refusals = list(map(list, refused))
        valid, records, unfit = self._issue_rows(item, task, valid)
        refusals += [[chunk.first_row + place, None, NO_RECORD, ""] for place in unfit]
        flags = [
            [chunk.first_row + place, NO_NUMBER]
            for place, numbered in zip(valid.places, valid.numbered, strict=True)
            if not numbered
        ]
        read = sum(1 for row in chunk.rows if row)
        last_row = chunk.first_row + len(chunk.rows) - 1
        return self._pack([chunk.first_row, last_row, read, valid.places, *records, refusals, flags])

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
        self, item: CatalogueItem, task: IssueTask, valid: ValidRows
    ) -> tuple[ValidRows, list[Any], list[int]]:
        """Issue valid rows; give those that became records, the records, and the places of those that cannot."""
        issuer, unfit = self._issuer(item), []
        try:
            issued, drafts = self._issue_all(issuer, task, valid)
        except InvalidInput as error:
            if error.code not in _ROW_CODES:
                raise
            fit = [_is_fit(issuer, row) for row in valid.split()]
            unfit = [place for place, is_fit in zip(valid.places, fit, strict=True) if not is_fit]
            valid = valid.pick(lambda members: list(compress(members, fit)))
            issued, drafts = self._issue_all(issuer, task, valid)
        entries = [record.jwt for record in issued]
        return (
            valid,
            [
                entries,
                sha256_all([LEAF_PREFIX] * len(entries), entries),
                self._seal_all(issued, drafts, valid.packed),
                self._wrap_all(drafts.secrets, drafts.jtis),
                bytes.fromhex("".join(drafts.jtis).replace("-", "")),
                self._identities.digest_all(valid.identities),
                self._contents.digest_all(valid.contents),
                self._subjects.digest_all(
                    [f"{kind}\x00{identifier}".encode() for kind, identifier in valid.subjects]
                ),
                bytes(map(DISCLOSURES.index, valid.disclosures)),
            ],
            unfit,
        )

    def _issue_all(self, issuer: Issuer, task: IssueTask, valid: ValidRows) -> tuple[list[Issued], Drafts]:
        count = len(valid.places)
        secrets = self._random(count * SECRET_BYTES)
        places = [task.places[place] for place in valid.places]
        drafts = Drafts(
            subjects=valid.subjects,
            columns=valid.columns,
            jtis=build_uuid7_many(task.now_ms, count, self._random),
            places=[(self._uri(number), index) for number, index in places],
            secrets=[secrets[at : at + SECRET_BYTES] for at in range(0, count * SECRET_BYTES, SECRET_BYTES)],
            supersedes=[task.supersedes[place] for place in valid.places] if task.supersedes else None,
        )
        return issuer.issue_all(drafts, task.now_ms // 1000), drafts

    @staticmethod
    def _seal_all(issued: Sequence[Issued], drafts: Drafts, packed: Sequence[bytes]) -> list[bytes]:
        """Give positions and sealed values of each record, as they are stored."""
        return [
            b"%c%b%b" % (len(record.positions), record.positions, seal_packed(secret, jti, content))
            for record, secret, jti, content in zip(issued, drafts.secrets, drafts.jtis, packed, strict=True)
        ]

    def _issuer(self, item: CatalogueItem) -> Issuer:
        if item.key not in self._issuers:
            vct = Vct(self._domain, item.name, item.version)
            self._issuers[item.key] = Issuer(self._member, vct, item.field_codes, self._signer)
        return self._issuers[item.key]

    def _uri(self, number: int) -> str:
        if number not in self._uris:
            self._uris[number] = encode_status_uri(StatusUri(self._domain, self._member, number))
        return self._uris[number]


def _is_fit(issuer: Issuer, row: ValidRow) -> bool:
    try:
        issuer.check_record(Subject(row.subject_type, row.subject_id), row.values)
    except InvalidInput:
        return False
    return True
