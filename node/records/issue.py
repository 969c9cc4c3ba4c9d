# SPDX-License-Identifier: Apache-2.0
"""Issue records: the hot path of an import.

Bytes are built by joining prepared pieces instead of encoding objects, with one call per record where one per
field would do: one SHAKE for all salts, one JSON pass over all values, one base64 for all digests. A slow
and readable twin in the tests writes the same bytes from the definitions (protocol §1a).
"""

from __future__ import annotations

from binascii import b2a_base64
from hashlib import sha256
from struct import Struct
from typing import TYPE_CHECKING, Final, NamedTuple

import orjson

from node.core.canonical import encode_json
from node.core.encoding import MAX_SAFE_INTEGER, encode_b64u
from node.core.ids import check_uuid7
from node.core.uscc import parse_uscc
from node.crypto.jws import ALGORITHM
from node.errors import InvalidInput
from node.records.names import SUBJECT, Vct, check_field_code, encode_vct, parse_status_uri
from node.records.sealed import check_values
from node.records.secret import DIGEST_BYTES, DIGEST_CHARACTERS, SALT_CHARACTERS, raw_decoys, salt_text
from node.records.status import LIST_SIZE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from node.crypto.ed25519 import Ed25519Signer
    from node.records.sealed import Subject

RECORD_TYP: Final = "credit-record+sd-jwt"
DIGEST_STEP: Final = 8
"""``_sd`` is filled up with decoys to a multiple of this."""
MAX_DISCLOSURES: Final = 248
"""Greatest number of disclosures, the subject included; every place in ``_sd`` then fits one byte below 255."""
MAX_DISCLOSED_BYTES: Final = 1 << 19
"""Greatest size of all disclosures of a record, so that every presentation stays within its bound."""
ABSENT: Final = 255
"""Mark in ``positions`` for a field that has no disclosure."""

_JOIN: Final = b"".join
# Digests are base64-encoded together with a zero byte behind each, so that each begins a new group of four.
_TEXTS: Final = {
    count: Struct(f"{DIGEST_CHARACTERS}sx" * count).unpack
    for count in range(DIGEST_STEP, MAX_DISCLOSURES + 1, DIGEST_STEP)
}


class Issued(NamedTuple):
    """A freshly issued record.

    Attributes:
        jwt: The issuer-signed JWT, ASCII; it is the log entry.
        positions: One byte per possible disclosure, subject first: the place of its digest in ``_sd``, 255 when
            the field is empty. Names the digests of a release before anything is decrypted.
    """

    jwt: bytes
    positions: bytes


class Issuer:
    """Issues records of one catalogue item in the name of one member.

    Args:
        member: Credit code of the member, ``iss`` of every record.
        vct: The catalogue item.
        field_codes: Codes of the item's fields, in its order.
        signer: The member's record key.

    Raises:
        InvalidInput: A code of the credit code, ``vct``, ``domain``, ``field-code``, ``field-count``.
    """

    def __init__(self, member: str, vct: Vct, field_codes: Sequence[str], signer: Ed25519Signer) -> None:
        self._member = parse_uscc(member)
        self._domain = vct.domain
        self._names = (SUBJECT, *map(check_field_code, field_codes))
        self._middles = tuple(f'","{name}",'.encode("ascii") for name in self._names)
        self._all_absent = bytes((ABSENT,)) * len(self._names)
        self._split_salts = Struct(f"{SALT_CHARACTERS}s" * len(self._names)).unpack
        if len(set(self._names)) != len(self._names) or len(self._names) > MAX_DISCLOSURES:
            raise InvalidInput(
                "field-count",
                f"item has {len(field_codes)} fields: want at most {MAX_DISCLOSURES - 1}, all different",
            )
        header = encode_json({"alg": ALGORITHM, "kid": signer.kid, "typ": RECORD_TYP})
        self._header = encode_b64u(header).encode("ascii") + b"."
        self._vct = encode_vct(vct)
        self._sign = signer.sign
        self._checked_uri = ""

    def issue(
        self,
        *,
        subject: Subject,
        values: Sequence[str | None],
        jti: str,
        status_uri: str,
        status_idx: int,
        iat: int,
        secret: bytes,
        supersedes: bytes | None = None,
    ) -> Issued:
        """Issue one record.

        Args:
            subject: Whom the record is about.
            values: One NFC text per field in the item's order, None where the field is empty.
            jti: A fresh UUIDv7.
            status_uri: Name of one of the member's status lists.
            status_idx: Place in that list, not used before.
            iat: Time of issue, in seconds.
            secret: 32 fresh random bytes.
            supersedes: Leaf hash (32 bytes) of the record that this one corrects.

        Raises:
            InvalidInput: ``record-values``, ``record-value``, ``record-subject``, ``record-claim``,
                ``record-secret``, ``uuid7``, or a code of the status list's name.
        """
        claims = self._encode_claims(jti, status_uri, status_idx, iat, supersedes)
        check_values(len(self._names) - 1, subject, values)
        present = [0, *[number for number, value in enumerate(values, 1) if value is not None]]
        disclosures = self._encode_disclosures(subject, values, secret, present)
        digests = [sha256(disclosure).digest() for disclosure in disclosures]
        digests += raw_decoys(secret, -len(digests) % DIGEST_STEP)
        digests.append(b"")
        texts = _TEXTS[len(digests) - 1](_encode_b64u(b"\x00".join(digests)))
        ordered = sorted(texts)
        payload = b'{"_sd":["%b"],"_sd_alg":"sha-256",%b' % (b'","'.join(ordered), claims)
        signed = self._header + _encode_b64u(payload).rstrip(b"=")
        signature = _encode_b64u(self._sign(signed)).rstrip(b"=")
        place = dict(zip(ordered, range(len(ordered)), strict=True))
        positions = bytearray(self._all_absent)
        for number, text in zip(present, texts, strict=False):
            positions[number] = place[text]
        return Issued(b"%b.%b" % (signed, signature), bytes(positions))

    def _encode_disclosures(
        self, subject: Subject, values: Sequence[str | None], secret: bytes, present: Sequence[int]
    ) -> list[bytes]:
        """Encode the disclosures of subject and values, in order, as base64url text.

        Args:
            subject: Whom the record is about.
            values: The values.
            secret: The record secret.
            present: Numbers of the disclosures that there are: 0 for the subject, n for the n-th value.
        """
        salts, middles = self._split_salts(salt_text(secret, len(self._names))), self._middles
        try:
            texts = orjson.dumps(
                [subject.id, *[value for value in values if value is not None]], option=orjson.OPT_INDENT_2
            )
        except orjson.JSONEncodeError:
            raise InvalidInput("record-value", "value holds a lone surrogate") from None
        # One indented array: a line end inside a value is escaped, so those that are there part the values.
        items = texts[4:-2].split(b",\n  ")
        items[0] = b'{"id":%b,"type":"%b"}' % (items[0], subject.type.encode("ascii"))
        rows = [
            _JOIN((b'["', salts[number], middles[number], item, b"]"))
            for number, item in zip(present, items, strict=True)
        ]
        # Each row is encoded with a line end behind it, which parts the rows again after one pass over all.
        lines = b"".join(map(b2a_base64, rows)).replace(b"+", b"-").replace(b"/", b"_").replace(b"=", b"")
        if len(lines) > MAX_DISCLOSED_BYTES:
            raise InvalidInput(
                "record-values", f"disclosures take {len(lines)} bytes, want at most {MAX_DISCLOSED_BYTES}"
            )
        return lines.split()

    def _encode_claims(
        self, jti: str, status_uri: str, status_idx: int, iat: int, supersedes: bytes | None
    ) -> bytes:
        """Encode the open claims behind ``_sd_alg`` in order of name; each is checked to need no escaping."""
        check_uuid7(jti)
        if status_uri != self._checked_uri:
            self._check_status_uri(status_uri)
        if type(status_idx) is not int or not 0 <= status_idx < LIST_SIZE:
            raise InvalidInput(
                "record-claim", f"place in the status list is not an integer of 0 to {LIST_SIZE - 1}"
            )
        if type(iat) is not int or not 0 <= iat <= MAX_SAFE_INTEGER:
            raise InvalidInput("record-claim", "time of issue is not a number of seconds")
        corrects = "" if supersedes is None else f'"supersedes":"{_encode_leaf(supersedes)}",'
        return (
            f'"iat":{iat},"iss":"{self._member}","jti":"{jti}","status":{{"status_list":{{"idx":{status_idx},'
            f'"uri":"{status_uri}"}}}},{corrects}"vct":"{self._vct}"}}'
        ).encode("ascii")

    def _check_status_uri(self, status_uri: str) -> None:
        uri = parse_status_uri(status_uri)
        if uri.member != self._member or uri.domain != self._domain:
            raise InvalidInput("record-claim", "status list belongs to another member or exchange domain")
        self._checked_uri = status_uri


def _encode_b64u(data: bytes) -> bytes:
    return b2a_base64(data, newline=False).replace(b"+", b"-").replace(b"/", b"_")


def _encode_leaf(leaf: bytes) -> str:
    if len(leaf) != DIGEST_BYTES:
        raise InvalidInput(
            "record-claim", f"leaf hash of the corrected record has {len(leaf)} bytes, want 32"
        )
    return encode_b64u(leaf)
