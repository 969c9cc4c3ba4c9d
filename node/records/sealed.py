# SPDX-License-Identifier: Apache-2.0
"""What a node stores of a record beside the signed JWT: subject and values, sealed under the record's own key.

AES-256-GCM over a msgpack array, null where a field is empty. The key comes from the record secret and is used
once, hence the nonce of zeros; the additional data binds the bytes to the record's ``jti`` (protocol §1a).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from unicodedata import is_normalized

import msgpack
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from node.errors import InvalidInput, Verification
from node.records.secret import values_key

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

SUBJECT_FORMS: Final = {
    "uscc": re.compile(r"(?!0{17}X)[0-9A-HJ-NPQRTUWXY]{18}"),
    "org": re.compile(r"[0-9A-Z]{8}[0-9X]"),
    "reg": re.compile(r".{1,64}"),  # 15 digits; on older licences 13, or a text
    "rid": re.compile(r"[0-9]{17}[0-9X]"),
    "name": re.compile(r".{1,1000}"),
}
"""Kinds of subject identifier in order of preference, each with its form; check digits are the importer's matter."""

MAX_VALUE_CHARACTERS: Final = 32_767
"""Greatest length of one value, that of a spreadsheet cell; in its longest JSON spelling it fits a disclosure."""

_NONCE: Final = bytes(12)
# One packer for all records: making one takes as long as packing.
_pack: Callable[[object], bytes] = msgpack.Packer().pack
_SUBJECT_ITEMS: Final = 2


class Subject(NamedTuple):
    """Whom a record is about.

    Attributes:
        type: A kind of ``SUBJECT_FORMS``.
        id: The identifier, or for ``name`` the name as printed; NFC.
    """

    type: str
    id: str


def check_subject(kind: str, identifier: str) -> None:
    """Refuse a subject identifier that is not of its kind.

    Raises:
        InvalidInput: ``record-subject``.
    """
    form = SUBJECT_FORMS.get(kind)
    if form is None:
        raise InvalidInput(
            "record-subject", f"subject is of an unknown kind: want {', '.join(SUBJECT_FORMS)}"
        )
    if not form.fullmatch(identifier):
        raise InvalidInput("record-subject", f"identifier of the subject has not the form of its kind {kind}")


def check_text_value(text: str) -> None:
    """Refuse a text that no disclosure may hold.

    Raises:
        InvalidInput: ``record-value`` for one that is empty, too long or not NFC.
    """
    if not 0 < len(text) <= MAX_VALUE_CHARACTERS:
        raise InvalidInput(
            "record-value",
            f"value has {len(text)} characters, want 1 to {MAX_VALUE_CHARACTERS} (None when empty)",
        )
    if not text.isascii() and not is_normalized("NFC", text):
        raise InvalidInput("record-value", "value is not in Unicode normalisation form C")


def check_values(count: int, subject: Subject, values: Sequence[str | None]) -> None:
    """Refuse a subject or values that no record may carry.

    Args:
        count: Number of the item's fields.
        subject: Whom the record is about.
        values: One text per field or None.

    Raises:
        InvalidInput: ``record-values`` for another number of values, ``record-value`` for one that is no text,
            empty, too long or not NFC; ``record-subject``.
    """
    if len(values) != count:
        raise InvalidInput("record-values", f"record has {len(values)} values, want {count}")
    check_subject(subject.type, subject.id)
    check_texts([subject.id, *[value for value in values if value is not None]])


def check_texts(texts: Sequence[str]) -> None:
    """Refuse texts of which no disclosure may hold one.

    Raises:
        InvalidInput: ``record-value`` for one that is no text, empty, too long or not NFC.
    """
    try:
        joined = "\n".join(texts)
    except TypeError:
        raise InvalidInput("record-value", "value is no text") from None
    # Joined with line ends the texts are NFC exactly when each is: nothing composes across a line end.
    plain = joined.isascii() or is_normalized("NFC", joined)
    lengths = [*map(len, texts), 1]
    if not plain or not min(lengths) or max(lengths) > MAX_VALUE_CHARACTERS:
        for text in texts:
            check_text_value(text)


def seal_values(secret: bytes, jti: str, subject: Subject, values: Sequence[str | None]) -> bytes:
    """Encrypt subject and values of one record under the key that its secret gives.

    Called once per secret: the same secret with other values would reuse key and nonce.

    Args:
        secret: The record secret, exactly 32 bytes.
        jti: The record's identifier, ASCII.
        subject: Whom the record is about.
        values: One value per field of the catalogue item, in its order, None where empty.

    Raises:
        InvalidInput: ``record-secret``.
    """
    return seal_packed(secret, jti, pack_values(*subject, values))


def pack_values(subject_type: str, subject_id: str, values: Sequence[str | None]) -> bytes:
    """Pack subject and values of a record as they are sealed: a msgpack array, null where a field is empty."""
    return _pack([subject_type, subject_id, *values])


def seal_packed(secret: bytes, jti: str, packed: bytes) -> bytes:
    """Encrypt what ``pack_values`` gave, as ``seal_values`` does.

    Raises:
        InvalidInput: ``record-secret``.
    """
    return AESGCM(values_key(secret)).encrypt(_NONCE, packed, jti.encode("ascii"))


def open_values(secret: bytes, jti: str, sealed: bytes) -> tuple[Subject, list[str | None]]:
    """Decrypt subject and values of one record.

    Args:
        secret: The record secret, exactly 32 bytes, unwrapped for a look that is logged.
        jti: The record's identifier, ASCII.
        sealed: Bytes of seal_values, as stored.

    Raises:
        InvalidInput: ``record-secret``.
        Verification: ``values-seal`` for another secret, another record or changed bytes, ``values-form``.
    """
    try:
        plain = AESGCM(values_key(secret)).decrypt(_NONCE, sealed, jti.encode("ascii"))
    except InvalidTag:
        raise Verification(
            "values-seal", f"stored values of record {jti} do not open under its secret"
        ) from None
    items = _unpack(plain, jti)
    subject, values = items[:_SUBJECT_ITEMS], items[_SUBJECT_ITEMS:]
    if len(subject) < _SUBJECT_ITEMS or not all(type(item) is str for item in subject):
        raise Verification("values-form", f"stored values of record {jti} do not begin with its subject")
    if not all(item is None or type(item) is str for item in values):
        raise Verification("values-form", f"stored values of record {jti} hold something that is no text")
    return Subject(*subject), values


def _unpack(plain: bytes, jti: str) -> list[Any]:
    try:
        items = msgpack.unpackb(plain)
    except (ValueError, msgpack.UnpackException):
        items = None
    if type(items) is not list:
        raise Verification("values-form", f"stored values of record {jti} are not one msgpack array")
    return items
