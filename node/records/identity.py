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

if TYPE_CHECKING:
    from collections.abc import Callable

INDEX_KEY_BYTES = 32
DIGEST_BYTES = 16
# One packer for all rows: making one takes as long as packing.
_pack: Callable[[object], bytes] = msgpack.Packer().pack

# A number without any of these is its own normal form: white space, invisible and full-width characters, and
# the brackets that become 〔〕.
_FOLDABLE = re.compile(r"[\s\u200b-\u200f\u2060\u3000\ufeff\uff01-\uff5e(\[【﹝]")


def build_content(subject_type: str, subject_id: str, values: list[str | None]) -> bytes:
    """Build the content of a row: msgpack of the subject and all values, null where absent."""
    return _pack([subject_type, subject_id, *values])


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
    if document is None:
        return _pack([item_key, issuer, content])
    number, decided_on = document
    return _pack([item_key, issuer, fold_number(number), *subject, decided_on])


def fold_number(number: str) -> str:
    """Return the form of a document number by which it is matched."""
    return number if _FOLDABLE.search(number) is None else normalise_document_number(number)


def identity_digest(index_key: bytes, identity: bytes) -> bytes:
    """Compute the 16-byte keyed digest of an identity.

    Args:
        index_key: Exactly 32 bytes, secret, of this node.
        identity: As :func:`build_identity` built it.
    """
    assert len(index_key) == INDEX_KEY_BYTES, "index key is 32 bytes"
    return hmac.digest(index_key, b"identity\x00" + identity, "sha256")[:DIGEST_BYTES]


def content_digest(index_key: bytes, content: bytes) -> bytes:
    """Compute the 16-byte keyed digest of a row's content.

    Args:
        index_key: Exactly 32 bytes, secret, of this node.
        content: As :func:`build_content` built it.
    """
    assert len(index_key) == INDEX_KEY_BYTES, "index key is 32 bytes"
    return hmac.digest(index_key, b"content\x00" + content, "sha256")[:DIGEST_BYTES]
