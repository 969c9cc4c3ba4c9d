# SPDX-License-Identifier: Apache-2.0
"""Issue records: the hot path of an import.

Records are issued many at a time, and the work that one field costs is done for a column of them. Bytes are built
by joining prepared pieces instead of encoding objects. A slow and readable twin in the tests writes the same bytes
from the definitions (protocol §1a).

A disclosure is base64url of ``["<salt>","<name>",<value>]``. Its first 27 bytes end on a whole group of base64, so it
is put together from two texts:

    head = base64url(["<salt>")          36 characters, other ones in every record
    tail = base64url(,"<name>",<value>])  the same wherever a column repeats a value
"""

from __future__ import annotations

from binascii import b2a_base64
from itertools import chain, compress, islice, repeat
from struct import Struct
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import orjson
from pybase64 import b64encode

from node.core.canonical import encode_json
from node.core.encoding import MAX_SAFE_INTEGER, encode_b64u
from node.core.ids import check_uuid7_all
from node.core.uscc import parse_uscc
from node.crypto.jws import ALGORITHM
from node.crypto.sha256 import sha256_all
from node.errors import InvalidInput
from node.records.conditions import build_picker
from node.records.names import SUBJECT, Vct, check_field_code, encode_vct, parse_status_uri
from node.records.profile import ABSENT, DIGEST_STEP, MAX_DISCLOSURES, RECORD_TYP
from node.records.sealed import Subject, check_subject, check_texts
from node.records.secret import DIGEST_BYTES, DIGEST_CHARACTERS, SALT_CHARACTERS, raw_decoys, raw_salts
from node.records.status import LIST_SIZE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from node.crypto.ed25519 import Ed25519Signer

_MAX_SHAPES: Final = 1_024
MAX_DISCLOSED_BYTES: Final = 1 << 19
"""Greatest size of all disclosures of a record, a separator behind each, so that every presentation stays within
its bound."""
_HEAD_CHARACTERS: Final = 36
_SIGNATURE_CHARACTERS: Final = 86
_SIGNATURE_STRIDE: Final = 88
_URL_SAFE: Final = b"-_"
_BETWEEN: Final = b",\n  "
_NO_TAIL: Final = b""
"""Stands for the tail of an empty field."""
_STRIDE: Final = DIGEST_CHARACTERS + 1
_LISTED_STRIDE: Final = _STRIDE + len(b',"')


class Issued(NamedTuple):
    """A freshly issued record.

    Attributes:
        jwt: The issuer-signed JWT, ASCII; it is the log entry.
        positions: One byte per possible disclosure, subject first: the place of its digest in ``_sd``, 255 when
            the field is empty. Names the digests of a release before anything is decrypted.
    """

    jwt: bytes
    positions: bytes


class Drafts(NamedTuple):
    """What is to be issued; all members but ``columns`` have one element a record.

    Attributes:
        subjects: Whom each record is about: type and id of a ``Subject``.
        columns: For each field in the item's order one NFC text a record, None where the field is empty.
        jtis: A fresh UUIDv7 each.
        places: Name of one of the member's status lists, and a place in it that was not used before.
        secrets: 32 fresh random bytes each.
        supersedes: Leaf hash (32 bytes) of the record that each corrects; None when they correct none.
    """

    subjects: Sequence[tuple[str, str]]
    columns: Sequence[Sequence[str | None]]
    jtis: Sequence[str]
    places: Sequence[tuple[str, int]]
    secrets: Sequence[bytes]
    supersedes: Sequence[bytes] | None = None


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
        self._split_salts = Struct(f"{SALT_CHARACTERS}s" * len(self._names)).unpack_from
        self._shapes: dict[tuple[bool, ...], _Shape] = {}
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
        corrected = None if supersedes is None else [supersedes]
        columns = [[value] for value in values]
        drafts = Drafts([subject], columns, [jti], [(status_uri, status_idx)], [secret], corrected)
        return self.issue_all(drafts, iat)[0]

    def issue_all(self, drafts: Drafts, iat: int) -> list[Issued]:
        """Issue many records.

        Args:
            drafts: What is to be issued.
            iat: Time of issue, in seconds.

        Raises:
            InvalidInput: As ``issue``, when it would refuse any of them; none is issued.
        """
        if not drafts.subjects:
            return []
        columns = self._encode_columns(drafts)
        claims = self._encode_claims(iat, drafts)
        shapes = self._find_shapes(columns)
        tails = chain.from_iterable(
            shape.pick(row) for shape, row in zip(shapes, zip(*columns, strict=True), strict=True)
        )
        heads = self._encode_heads(drafts.secrets, shapes)
        shown = iter(sha256_all(heads, list(tails)))
        digests: Iterator[bytes] = chain.from_iterable(
            chain(islice(shown, shape.shown), raw_decoys(secret, shape.decoys))
            for shape, secret in zip(shapes, drafts.secrets, strict=True)
        )
        # A zero byte behind each makes its text end on a whole character: 44, of which the last is spare and takes its number.
        texts = bytearray(_encode_b64u(b"\x00".join([*digests, b""])))
        texts[DIGEST_CHARACTERS::_STRIDE] = b"".join([shape.places for shape in shapes])
        signed, positions, at = [], [], 0
        for shape, open_claims in zip(shapes, claims, strict=True):
            ordered = bytearray(b',"'.join(sorted(shape.split_digests(texts, at))))
            at += _STRIDE * len(shape.places)
            order = ordered[DIGEST_CHARACTERS::_LISTED_STRIDE]
            ordered[DIGEST_CHARACTERS::_LISTED_STRIDE] = b'"' * len(order)
            payload = b"".join((b'{"_sd":["', ordered, b'],"_sd_alg":"sha-256",', open_claims))
            signed.append(self._header + _encode_b64u(payload).rstrip(b"="))
            # A table from the number of a digest to its place, which leaves ABSENT as it is.
            positions.append(shape.numbers.translate(bytes.maketrans(order, shape.places)))
        # Two zero bytes behind each signature make its text, too, end on a whole character.
        signatures = _encode_b64u(b"\x00\x00".join([*map(self._sign, signed), b""]))
        starts = range(0, len(signatures), _SIGNATURE_STRIDE)
        return [
            Issued(b"%b.%b" % (text, signatures[at : at + _SIGNATURE_CHARACTERS]), found)
            for text, found, at in zip(signed, positions, starts, strict=True)
        ]

    def check_record(self, subject: Subject, values: Sequence[str | None]) -> None:
        """Refuse a subject and values that ``issue_all`` would refuse.

        Raises:
            InvalidInput: ``record-values``, ``record-value``, ``record-subject``.
        """
        self._encode_columns(Drafts([subject], [[value] for value in values], [], [], []))

    def _encode_columns(self, drafts: Drafts) -> list[list[bytes]]:
        """Encode the tails of all disclosures, column by column, the subjects first.

        Raises:
            InvalidInput: A subject or value that no record may carry, or too much of them in one record.
        """
        count = len(self._names) - 1
        if len(drafts.columns) != count:
            raise InvalidInput("record-values", f"record has {len(drafts.columns)} values, want {count}")
        subjects = list(dict.fromkeys(drafts.subjects))
        for kind, identifier in subjects:
            check_subject(kind, identifier)
        identifiers = [identifier for _, identifier in subjects]
        check_texts(identifiers)
        items = _encode_array(identifiers).split(_BETWEEN)
        kinds = [kind.encode("ascii") for kind, _ in subjects]
        objects = [b'{"id":%b,"type":"%b"}' % pair for pair in zip(items, kinds, strict=True)]
        tails: dict[Any, bytes] = dict(
            zip(subjects, _encode_tails(SUBJECT, _BETWEEN.join(objects)), strict=True)
        )
        columns = [list(map(tails.__getitem__, drafts.subjects))]
        columns += map(_encode_column, self._names[1:], drafts.columns)
        if sum(max(map(len, column)) for column in columns) > MAX_DISCLOSED_BYTES - len(columns) * (
            _HEAD_CHARACTERS + 1
        ):
            self._check_sizes(columns)
        return columns

    @staticmethod
    def _check_sizes(columns: Sequence[Sequence[bytes]]) -> None:
        for tails in zip(*columns, strict=True):
            # Each disclosure counts with what parts it from the next.
            size = sum(len(tail) + _HEAD_CHARACTERS + 1 for tail in tails if tail)
            if size > MAX_DISCLOSED_BYTES:
                raise InvalidInput(
                    "record-values", f"disclosures take {size} bytes, want at most {MAX_DISCLOSED_BYTES}"
                )

    def _find_shapes(self, columns: Sequence[Sequence[bytes]]) -> list[_Shape]:
        """Find which disclosures each record has."""
        mixed = [not all(column) and any(column) for column in columns]
        usual = [bool(column[0]) for column in columns]
        # Most columns are full, or empty; only the others tell records apart.
        varying = [list(map(bool, column)) for column in compress(columns, mixed)]
        patterns = list(zip(*varying, strict=True)) if varying else [()] * len(columns[0])
        shapes = {}
        for pattern in set(patterns):
            found = iter(pattern)
            present = [next(found) if varies else here for varies, here in zip(mixed, usual, strict=True)]
            shapes[pattern] = self._shape_of(tuple(present))
        return list(map(shapes.__getitem__, patterns))

    def _shape_of(self, present: tuple[bool, ...]) -> _Shape:
        shape = self._shapes.get(present)
        if shape is None:
            shape = _build_shape(present)
            if len(self._shapes) < _MAX_SHAPES:
                self._shapes[present] = shape
        return shape

    def _encode_heads(self, secrets: Sequence[bytes], shapes: Sequence[_Shape]) -> list[bytes]:
        """Encode the heads of the disclosures that records have, in two passes of base64 for all of them."""
        count = len(self._names)
        salts = _encode_b64u(b"".join([raw_salts(secret, count) for secret in secrets]))
        starts = range(0, len(salts), SALT_CHARACTERS * count)
        texts = [
            b'["%b"' % b'"["'.join(shape.pick(self._split_salts(salts, at)))
            for shape, at in zip(shapes, starts, strict=True)
        ]
        heads: list[bytes] = []
        encoded = _encode_b64u(b"".join(texts))
        for shape in shapes:
            heads += shape.split_heads(encoded, _HEAD_CHARACTERS * len(heads))
        return heads

    def _encode_claims(self, iat: int, drafts: Drafts) -> list[bytes]:
        """Encode the open claims behind ``_sd_alg`` in order of name; each is checked to need no escaping."""
        if type(iat) is not int or not 0 <= iat <= MAX_SAFE_INTEGER:
            raise InvalidInput("record-claim", "time of issue is not a number of seconds")
        check_uuid7_all(drafts.jtis)
        for uri, place in drafts.places:
            if uri != self._checked_uri:
                self._check_status_uri(uri)
            if type(place) is not int or not 0 <= place < LIST_SIZE:
                raise InvalidInput(
                    "record-claim", f"place in the status list is not an integer of 0 to {LIST_SIZE - 1}"
                )
        corrects = (
            repeat("")
            if drafts.supersedes is None
            else [f'"supersedes":"{_encode_leaf(leaf)}",' for leaf in drafts.supersedes]
        )
        head, tail = f'"iat":{iat},"iss":"{self._member}","jti":"', f'"vct":"{self._vct}"}}'
        return [
            f'{head}{jti}","status":{{"status_list":{{"idx":{place},"uri":"{uri}"}}}},{corrected}{tail}'.encode()
            for jti, (uri, place), corrected in zip(drafts.jtis, drafts.places, corrects, strict=False)
        ]

    def _check_status_uri(self, status_uri: str) -> None:
        uri = parse_status_uri(status_uri)
        if uri.member != self._member or uri.domain != self._domain:
            raise InvalidInput("record-claim", "status list belongs to another member or exchange domain")
        self._checked_uri = status_uri


class _Shape(NamedTuple):
    """What follows from which disclosures a record has.

    Attributes:
        pick: Picks what belongs to these from what belongs to all possible ones.
        split_heads: Splits the base64 of their heads.
        shown: Number of these.
        decoys: Number of decoy digests.
        numbers: One byte per possible disclosure: the number of its digest, decoys behind; ABSENT where it has none.
        split_digests: Splits the texts of all digests, each with one more byte.
        places: Numbers of all digests, ascending.
    """

    pick: Callable[[Sequence[bytes]], tuple[bytes, ...]]
    split_heads: Callable[[bytes, int], tuple[bytes, ...]]
    shown: int
    decoys: int
    numbers: bytes
    split_digests: Callable[[bytearray, int], tuple[bytes, ...]]
    places: bytes


def _build_shape(present: Sequence[bool]) -> _Shape:
    shown = list(compress(range(len(present)), present))
    decoys = -len(shown) % DIGEST_STEP
    numbers = iter(range(len(shown)))
    return _Shape(
        build_picker(shown),
        Struct(f"{_HEAD_CHARACTERS}s" * len(shown)).unpack_from,
        len(shown),
        decoys,
        bytes(next(numbers) if here else ABSENT for here in present),
        Struct(f"{_STRIDE}s" * (len(shown) + decoys)).unpack_from,
        bytes(range(len(shown) + decoys)),
    )


def _encode_column(name: str, values: Sequence[str | None]) -> list[bytes]:
    """Encode the tails of one field of many records, each value once."""
    try:
        distinct: dict[Any, Any] = dict.fromkeys(values)
    except TypeError:
        raise InvalidInput("record-value", "value is no text") from None
    distinct.pop(None, None)
    texts = list(distinct)
    check_texts(texts)
    if not texts:
        return [_NO_TAIL] * len(values)
    tails = dict(zip(texts, _encode_tails(name, _encode_array(texts)), strict=True))
    if len(tails) == len(values):
        return list(tails.values())
    tails[None] = _NO_TAIL
    return list(map(tails.__getitem__, values))


def _encode_array(texts: Sequence[str]) -> bytes:
    """Encode texts as JSON strings with ``_BETWEEN`` between them."""
    try:
        # A line end inside a text is escaped, so those of an indented array part the texts.
        return orjson.dumps(texts, option=orjson.OPT_INDENT_2)[4:-2]
    except orjson.JSONEncodeError:
        raise InvalidInput("record-value", "value holds a lone surrogate") from None


def _encode_tails(name: str, array: bytes) -> list[bytes]:
    """Encode the tails of one name for JSON values with ``_BETWEEN`` between them."""
    middle = f',"{name}",'.encode("ascii")
    rows = (middle + array.replace(_BETWEEN, b"]\n" + middle) + b"]").split(b"\n")
    # Each is encoded with a line end behind it, which parts them again after one pass over all.
    lines = b"".join(map(b2a_base64, rows))
    return lines.replace(b"+", b"-").replace(b"/", b"_").replace(b"=", b"").split()


def _encode_b64u(data: bytes) -> bytes:
    return b64encode(data, _URL_SAFE)


def _encode_leaf(leaf: bytes) -> str:
    if len(leaf) != DIGEST_BYTES:
        raise InvalidInput(
            "record-claim", f"leaf hash of the corrected record has {len(leaf)} bytes, want 32"
        )
    return encode_b64u(leaf)
