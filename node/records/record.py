# SPDX-License-Identifier: Apache-2.0
"""The record: a profile of SD-JWT that leaves one spelling for each record (protocol §1a).

Verification runs the RFC 9901 core and refuses everything the profile does not name:

    1. the JWT: EdDSA, ``typ`` credit-record+sd-jwt, canonical bytes, exactly the open claims
    2. the issuer's key, which the verifier brings, and the signature
    3. disclosures as RFC 9901 wants them, each with its digest in ``_sd``
    4. disclosures as the profile wants them: flat, canonical, subject or field

What issues a record is node.records.issue, what a node stores of it node.records.sealed.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final

from node.core.canonical import check_members, encode_json
from node.core.clock import MAX_TIME
from node.core.encoding import are_digests, check_digest, encode_b64u, parse_b64u
from node.core.ids import parse_uuid7
from node.core.members import check_integer, check_list, check_text
from node.core.uscc import parse_uscc
from node.crypto.jws import verify_jws
from node.crypto.token import parse_token
from node.errors import InvalidInput, Verification
from node.log.merkle import leaf_hash
from node.records.disclosure import (
    HASH_NAME,
    SD,
    SD_ALG,
    build_disclosure,
    digest_of,
    open_disclosures,
)
from node.records.names import SUBJECT, StatusUri, Vct, check_field_code, parse_status_uri, parse_vct
from node.records.profile import ABSENT, DIGEST_STEP, MAX_DISCLOSURES, RECORD_TYP
from node.records.sdjwt import split_sd_jwt
from node.records.sealed import (
    Subject,
    check_subject,
    check_text_value,
    check_values,
    open_values,
    seal_values,
)
from node.records.secret import SALT_CHARACTERS, salts
from node.records.status import LIST_SIZE

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from node.core.types import LeafHash, MemberCode
    from node.crypto.jws import Jws

__all__ = [
    "MAX_RECORD_BYTES",
    "RECORD_TYP",
    "SUBJECT",
    "Presentation",
    "Record",
    "RecordClaims",
    "StatusUri",
    "Subject",
    "Vct",
    "VerifiedRecord",
    "open_presentation",
    "open_values",
    "parse_presentation",
    "parse_record",
    "present_record",
    "released_digests",
    "seal_values",
    "verify_record",
    "verify_record_signature",
]

MAX_RECORD_BYTES: Final = 65_535
"""Greatest size of a record without disclosures: it is one log entry."""

_SALT: Final = re.compile(rf"[A-Za-z0-9_-]{{{SALT_CHARACTERS}}}")


@dataclass(frozen=True, slots=True)
class RecordClaims:
    """The open claims of a record.

    Attributes:
        iss: Credit code of the issuing member.
        iat: Time of issue that the issuer claims, in seconds.
        jti: UUIDv7 text.
        vct: Catalogue item, as text.
        item: The same, taken apart.
        status_uri: Name of the status list, as text; it is one of the issuer's own.
        status_idx: Place in that list.
        supersedes: Leaf hash of the record that this one corrects, 32 bytes, or None.
    """

    iss: MemberCode
    iat: int
    jti: str
    vct: str
    item: Vct
    status_uri: str
    status_idx: int
    supersedes: bytes | None


@dataclass(frozen=True, slots=True)
class Record:
    """An issuer-signed JWT of the record profile; its signature is not verified.

    Attributes:
        jwt: The bytes of the log entry.
        kid: Name of the key that is said to have signed it.
        claims: The open claims.
        digests: ``_sd``: digests of disclosures and decoys, sorted.
    """

    jwt: bytes
    kid: str
    claims: RecordClaims
    digests: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Presentation:
    """A record with the disclosures that came with it, in three steps to be verified; none is done yet."""

    record: Record
    jws: Jws
    disclosures: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class VerifiedRecord:
    """A record whose signature and disclosures hold.

    Attributes:
        jwt: The bytes of the log entry.
        leaf: Their leaf hash.
        claims: The open claims.
        disclosed: Value by name: the subject as {"id", "type"}, fields as text.
        withheld_count: Number of digests that nothing opened, decoys among them.
    """

    jwt: bytes
    leaf: LeafHash
    claims: RecordClaims
    disclosed: dict[str, Any]
    withheld_count: int


def verify_record(presentation: str, find_key: Callable[[str, MemberCode], bytes]) -> VerifiedRecord:
    """Verify a presentation of a record.

    Args:
        presentation: The JWT and the chosen disclosures, a tilde behind each; untrusted.
        find_key: Returns the record key (32 bytes) that the verifier trusts for a ``kid`` and member, or raises.

    Raises:
        InvalidInput: It is not of the record profile (``record-…``, or a code of the grammar below it).
        Verification: The signature or a digest does not hold, or what ``find_key`` raises.
    """
    # 1: the JWT
    parsed = parse_presentation(presentation)
    # 2: key and signature
    verify_record_signature(parsed, find_key(parsed.record.kid, parsed.record.claims.iss))
    # 3 and 4: RFC 9901 and the profile
    return open_presentation(parsed)


def parse_presentation(text: str) -> Presentation:
    """Parse a presentation; nothing is verified and no disclosure is read (step 1).

    Args:
        text: The JWT and the chosen disclosures, a tilde behind each; untrusted.

    Raises:
        InvalidInput: It is not of the record profile.
    """
    jwt, disclosures, _ = split_sd_jwt(text)
    jws = _parse(jwt)
    return Presentation(_build_record(jwt, jws), jws, disclosures)


def verify_record_signature(presentation: Presentation, public: bytes) -> None:
    """Verify the issuer's signature over the JWT, and with it the open claims and digests (step 2).

    Args:
        presentation: From parse_presentation.
        public: The record key (32 bytes) that the verifier trusts for its ``kid`` and issuer.

    Raises:
        Verification: The token names another key, or the signature does not hold.
    """
    verify_jws(presentation.jws, public)


def open_presentation(presentation: Presentation) -> VerifiedRecord:
    """Put the disclosures where their digests stand (steps 3 and 4).

    Args:
        presentation: One whose signature is verified; without that the result says nothing.

    Raises:
        InvalidInput: A disclosure is not of the record profile.
        Verification: A disclosure has no digest in the record, or bends the rules of RFC 9901.
    """
    record = presentation.record
    opened = open_disclosures(presentation.jws.payload, presentation.disclosures)
    disclosed = dict(_check_disclosure(text, opened.read[text]) for text in presentation.disclosures)
    return VerifiedRecord(record.jwt, leaf_hash(record.jwt), record.claims, disclosed, len(opened.withheld))


def parse_record(jwt: bytes | str) -> Record:
    """Parse a log entry as a record, without verifying its signature.

    Args:
        jwt: The issuer-signed JWT: everything before the first tilde.

    Raises:
        InvalidInput: It is not of the record profile.
    """
    text = jwt if isinstance(jwt, str) else jwt.decode("ascii", "replace")
    return _parse_once(text)


@lru_cache(maxsize=64)
def _parse_once(text: str) -> Record:
    """Parse a record whose release is planned, named and then opened: the same text each time."""
    return _build_record(text, _parse(text))


def _parse(jwt: str) -> Jws:
    return parse_token(jwt, typ=RECORD_TYP, max_bytes=MAX_RECORD_BYTES)


def _build_record(jwt: str, jws: Jws) -> Record:
    payload = check_members(
        jws.payload,
        "record",
        required=(SD, SD_ALG, "iat", "iss", "jti", "status", "vct"),
        optional=("supersedes",),
    )
    if payload[SD_ALG] != HASH_NAME:
        raise InvalidInput(
            "record-sd-alg", f"digests of a record are made with another hash: want {HASH_NAME}"
        )
    return Record(jwt.encode("ascii"), jws.header["kid"], _parse_claims(payload), _parse_digests(payload[SD]))


def _parse_claims(payload: Mapping[str, Any]) -> RecordClaims:
    vct = check_text(payload["vct"], "vct")
    item = parse_vct(vct)
    iss = parse_uscc(check_text(payload["iss"], "iss"))
    jti = check_text(payload["jti"], "jti")
    parse_uuid7(jti)
    status = check_members(payload["status"], "status", required=("status_list",))["status_list"]
    place = check_members(status, "status_list", required=("idx", "uri"))
    status_uri = check_text(place["uri"], "uri")
    owner = parse_status_uri(status_uri)
    if owner.member != iss or owner.domain != item.domain:
        raise InvalidInput(
            "record-status", "status list belongs to another member or exchange domain than the record"
        )
    supersedes = payload.get("supersedes", None)
    if "supersedes" in payload:
        supersedes = parse_b64u(check_text(supersedes, "supersedes"), length=32)
    return RecordClaims(
        iss=iss,
        iat=check_integer(payload["iat"], "iat", most=MAX_TIME),
        jti=jti,
        vct=vct,
        item=item,
        status_uri=status_uri,
        status_idx=check_integer(place["idx"], "idx", most=LIST_SIZE - 1),
        supersedes=supersedes,
    )


def _parse_digests(value: Any) -> tuple[str, ...]:
    digests = check_list(value, SD, max_items=MAX_DISCLOSURES)
    if not digests or len(digests) % DIGEST_STEP:
        raise InvalidInput(
            "record-digests", f"record has {len(digests)} digests, want a multiple of {DIGEST_STEP}"
        )
    if not are_digests(digests):
        # One by one it is found out what is wrong.
        for digest in digests:
            check_digest(check_text(digest, "digest"))
    if any(left >= right for left, right in pairwise(digests)):
        raise InvalidInput("record-digests", "digests of a record are not sorted, or one stands twice")
    return tuple(digests)


def _check_disclosure(text: str, read: tuple[list[Any], bool]) -> tuple[str, Any]:
    """Return name and value of a disclosure whose digest stands in a record, from what it reads as."""
    items, is_canonical = read
    salt, name, value = items
    if not is_canonical and encode_b64u(encode_json(items)) != text:
        raise InvalidInput("record-disclosure", "disclosure is not in RFC 8785 form")
    if not _SALT.fullmatch(salt):
        raise InvalidInput("record-disclosure", f"salt has {len(salt)} characters, want 24 of base64url")
    if name == SUBJECT:
        subject = check_members(value, SUBJECT, required=("id", "type"))
        check_subject(
            check_text(subject["type"], "type of the subject"), check_text(subject["id"], "subject")
        )
        check_text_value(subject["id"])
    else:
        check_field_code(name)
        check_text_value(check_text(value, "value of a field"))
    return name, value


def present_record(
    jwt: bytes,
    secret: bytes,
    subject: Subject,
    values: Sequence[str | None],
    field_codes: Sequence[str],
    *,
    disclose: Collection[str],
) -> str:
    """Build a presentation: the JWT and the chosen disclosures, re-made from secret and values.

    Args:
        jwt: The record as it stands in the log.
        secret: The record secret, exactly 32 bytes, unwrapped for a look that is logged.
        subject: Whom the record is about, as stored.
        values: The stored values, one per field, None where empty.
        field_codes: Codes of the catalogue item's fields, in its order.
        disclose: Names to disclose, ``subject`` like any other; an empty field adds nothing.

    Raises:
        InvalidInput: ``disclose-unknown`` for a name that the item has not, ``record-values``,
            ``record-subject``, ``record-secret``, or the JWT is no record.
        Verification: ``record-values-differ`` when what is stored is not what was signed.
    """
    check_values(len(field_codes), subject, values)
    names = (SUBJECT, *field_codes)
    _check_known(names, disclose)
    digests = set(parse_record(jwt).digests)
    items: tuple[Any, ...] = ({"id": subject.id, "type": subject.type}, *values)
    disclosures = [
        build_disclosure(salt, name, item)
        for salt, name, item in zip(salts(secret, len(names)), names, items, strict=True)
        if name in disclose and item is not None
    ]
    if not digests.issuperset(map(digest_of, disclosures)):
        raise Verification(
            "record-values-differ", "stored values or secret are not those that the record was signed for"
        )
    return "~".join((jwt.decode("ascii"), *disclosures, ""))


def released_digests(
    jwt: bytes, positions: bytes, field_codes: Sequence[str], disclose: Collection[str]
) -> list[str]:
    """Name the digests that a presentation would open, in order of the names, before anything is decrypted.

    Args:
        jwt: The record as it stands in the log.
        positions: As issued with it: the place in ``_sd`` of each possible disclosure.
        field_codes: Codes of the catalogue item's fields, in its order.
        disclose: Names to disclose, as for present_record.

    Raises:
        InvalidInput: ``disclose-unknown``, ``record-positions`` when they do not fit the record or item.
    """
    names = (SUBJECT, *field_codes)
    _check_known(names, disclose)
    digests = parse_record(jwt).digests
    places = [
        place for name, place in zip(names, positions, strict=False) if name in disclose and place != ABSENT
    ]
    if len(positions) != len(names) or any(place >= len(digests) for place in places):
        raise InvalidInput(
            "record-positions", f"{len(positions)} positions do not fit the record and its item"
        )
    return [digests[place] for place in places]


def _check_known(names: Sequence[str], disclose: Collection[str]) -> None:
    unknown = set(disclose) - set(names)
    if unknown:
        raise InvalidInput(
            "disclose-unknown", f"catalogue item has no field of {len(unknown)} of the names to disclose"
        )
