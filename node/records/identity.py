# SPDX-License-Identifier: Apache-2.0
"""What makes a row one record: its identity, its content, and keyed digests of both (DESIGN §7, Import).

Identity and content are plain and personal; what a store keeps are digests under the node's index key, so that
an index tells nothing to whoever lacks the key (invariant 3).
"""

from __future__ import annotations

import hmac
import re
from typing import TYPE_CHECKING

import msgpack

from node.core.docnumber import normalise_document_number
from node.crypto.sha256 import sha256_all
from node.records.sealed import pack_values

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from node.records.catalogue import CatalogueItem

INDEX_KEY_BYTES = 32
DIGEST_BYTES = 16
# One packer for all rows: making one takes as long as packing.
_pack: Callable[[object], bytes] = msgpack.Packer().pack

_BLOCK_BYTES = 64
_INNER_PAD = bytes(byte ^ 0x36 for byte in range(256))
_OUTER_PAD = bytes(byte ^ 0x5C for byte in range(256))

# A number without any of these is its own normal form: white space, invisible and full-width characters, and
# the brackets that become 〔〕.
_PARTING = "\x01"
_FOLDABLE = re.compile(r"[\s\u200b-\u200f\u2060\u3000\ufeff\uff01-\uff5e(\[【﹝]")


def build_content(subject_type: str, subject_id: str, values: Sequence[str | None]) -> bytes:
    """Build the content of a row: subject and all values, packed as they are sealed."""
    return pack_values(subject_type, subject_id, values)


def build_contents(
    subject_types: Sequence[str], subject_ids: Sequence[str], columns: Sequence[Sequence[str | None]]
) -> list[bytes]:
    """Build the contents of many rows, each as ``build_content`` does."""
    return list(map(_pack, zip(subject_types, subject_ids, *columns, strict=True)))


def build_identity(
    item_key: str,
    issuer: str,
    *,
    document: tuple[str, str | None] | None,
    subject: tuple[str, str],
    content: bytes,
) -> bytes:
    """Build the identity of a row: item, issuer, document number, subject, decision date.

    Args:
        item_key: ``<item>:<version>``.
        issuer: USCC of the member that signs the record.
        document: Document number as printed and decision date as YYYY-MM-DD, None where the item has none; without a
            number the content is the identity.
        subject: Subject type and id.
        content: As :func:`build_content` built it.
    """
    number, decided_on = (None, None) if document is None else document
    return build_identities(item_key, issuer, [number], [decided_on], [subject], [content])[0]


def build_identities(
    item_key: str,
    issuer: str,
    numbers: Sequence[str | None],
    decided_on: Sequence[str | None],
    subjects: Sequence[tuple[str, str]],
    contents: Sequence[bytes],
) -> list[bytes]:
    """Build the identities of many rows, each as ``build_identity`` does."""
    return [
        _pack([item_key, issuer, content])
        if number is None
        else _pack([item_key, issuer, number, *subject, date])
        for number, date, subject, content in zip(
            fold_numbers(numbers), decided_on, subjects, contents, strict=True
        )
    ]


def find_identities(
    item: CatalogueItem, issuer: str, subject: tuple[str, str], values: list[str | None], disclosure: str
) -> list[bytes]:
    """Build again every identity that the row of a record can have had when it was imported.

    There are two when the item knows no document number for the row: the content, which is the identity then, holds
    the disclosure class when the file had a column for it.

    Args:
        item: The item of the record.
        issuer: USCC of the member that signed it.
        subject: Subject type and id.
        values: The record's values in the order of the item.
        disclosure: Its disclosure class.
    """
    by_code = dict(zip(item.field_codes, values, strict=True))
    number = by_code[item.number] if item.number is not None else None
    document = None if number is None else (number, by_code[item.date] if item.date is not None else None)
    content = build_content(*subject, values)
    contents = [content] if document is not None else [content, content + disclosure.encode()]
    return [
        build_identity(item.key, issuer, document=document, subject=subject, content=content)
        for content in contents
    ]


def fold_number(number: str) -> str:
    """Return the form of a document number by which it is matched."""
    return number if _FOLDABLE.search(number) is None else normalise_document_number(number)


def fold_numbers(numbers: Sequence[str | None]) -> list[str | None]:
    """Fold many numbers; where no number is, none comes out."""
    joined = _PARTING.join([number or "" for number in numbers])
    if joined.count(_PARTING) >= len(numbers) or "" in numbers:
        return [None if number is None else fold_number(number) for number in numbers]
    if _FOLDABLE.search(joined) is None:
        return list(numbers)
    # Nothing that is folded reaches across the character between them, which is no white space.
    folded = normalise_document_number(joined).split(_PARTING)
    return [None if number is None else found for number, found in zip(numbers, folded, strict=True)]


class KeyedDigests:
    """The 16-byte keyed digests of one kind, for many messages.

    The digest is HMAC-SHA256(key, kind ‖ 0x00 ‖ message), cut off; ``hmac.digest`` takes several times as long.

    Args:
        index_key: Exactly 32 bytes, secret, of this node.
        kind: What is digested.
    """

    def __init__(self, index_key: bytes, kind: str) -> None:
        assert len(index_key) == INDEX_KEY_BYTES, "index key is 32 bytes"
        padded = index_key.ljust(_BLOCK_BYTES, b"\x00")
        self._inner = padded.translate(_INNER_PAD) + kind.encode("ascii") + b"\x00"
        self._outer = padded.translate(_OUTER_PAD)

    def digest_all(self, messages: Sequence[bytes]) -> bytes:
        """Compute the digests of messages, back to back."""
        count = len(messages)
        inner = sha256_all([self._inner] * count, messages)
        return b"".join(digest[:DIGEST_BYTES] for digest in sha256_all([self._outer] * count, inner))


def identity_digest(index_key: bytes, identity: bytes) -> bytes:
    """Compute the 16-byte keyed digest of an identity.

    Args:
        index_key: Exactly 32 bytes, secret, of this node.
        identity: As :func:`build_identity` built it.
    """
    assert len(index_key) == INDEX_KEY_BYTES, "index key is 32 bytes"
    return hmac.digest(index_key, b"identity\x00" + identity, "sha256")[:DIGEST_BYTES]
