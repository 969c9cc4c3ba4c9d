# SPDX-License-Identifier: Apache-2.0
"""Status of records: IETF Token Status Lists, and the status head that commits to all of a member's lists.

A list holds 131,072 places of 2 bits, the lowest bits of a byte first, zlib inside a signed ``statuslist+jwt``.
Lists are re-issued when they change and are no log entries; once per anchor period the records log gets a
``status-head+jwt`` whose root covers every list as it stands (protocol §4).
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from node.core.canonical import check_members
from node.core.clock import MAX_TIME
from node.core.encoding import encode_b64u, parse_b64u
from node.core.members import check_integer, check_text
from node.core.types import RootHash
from node.core.uscc import parse_uscc
from node.crypto.jws import sign_jws, verify_jws
from node.crypto.token import parse_token, token_digest
from node.errors import InvalidInput
from node.log.merkle import HASH_BYTES, leaf_hash, path_of, root_of, verify_inclusion
from node.records.names import StatusUri, encode_status_uri, parse_status_uri

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from node.core.types import MemberCode
    from node.crypto.ed25519 import Ed25519Signer

LIST_SIZE: Final = 131_072
"""Places of one list."""
BITS: Final = 2
LIST_BYTES: Final = LIST_SIZE * BITS // 8
MAX_STATUS_TOKEN_BYTES: Final = 59_392
"""Greatest size of a list's token: one whose places do not compress takes 58.7 kB."""
MAX_STATUS_HEAD_BYTES: Final = 1_024
MAX_LISTS: Final = 1 << 24

VALID: Final = 0
INVALID: Final = 1
"""Withdrawn or superseded; ``supersedes`` of another record leads to the successor."""
SUSPENDED: Final = 2
"""Under objection."""
REPAIRED: Final = 3

STATUS_LIST_TYP: Final = "statuslist+jwt"
STATUS_HEAD_TYP: Final = "status-head+jwt"

_BITS_OF_A_STATUS: Final = (1, 2, 4, 8)


def compress_places(places: bytes) -> str:
    """Encode the byte array of a list as its ``lst`` text (Token Status List, section 4.2)."""
    return encode_b64u(zlib.compress(places, 9))


def decompress_places(lst: str, *, max_bytes: int) -> bytes:
    """Decode a ``lst`` text into its byte array, never holding more than one byte above the bound.

    Args:
        lst: base64url text, untrusted.
        max_bytes: Greatest size of the byte array.

    Raises:
        InvalidInput: ``base64url``, ``status-zlib`` for anything but one complete zlib stream, ``status-size``
            when more comes out.
    """
    inflate = zlib.decompressobj()
    try:
        places = inflate.decompress(parse_b64u(lst), max_bytes + 1)
    except zlib.error:
        raise InvalidInput("status-zlib", "status list is no zlib stream") from None
    if len(places) > max_bytes:
        raise InvalidInput("status-size", f"status list is too long: want at most {max_bytes} bytes")
    if not inflate.eof or inflate.unused_data:
        raise InvalidInput("status-zlib", "status list is cut off or has bytes behind its zlib stream")
    return places


def status_at(places: bytes | bytearray, bits: int, index: int) -> int:
    """Read one place of a list of any width (Token Status List, section 4.1).

    Args:
        places: The byte array.
        bits: Width of a place: 1, 2, 4 or 8.
        index: Number of the place, from 0.

    Raises:
        InvalidInput: ``status-bits``, ``status-index`` when the list has no such place.
    """
    if bits not in _BITS_OF_A_STATUS:
        raise InvalidInput("status-bits", f"status list has {bits} bits a place, want 1, 2, 4 or 8")
    per_byte = 8 // bits
    if not 0 <= index < len(places) * per_byte:
        raise InvalidInput("status-index", f"no place {index} in a list of {len(places) * per_byte}")
    return places[index // per_byte] >> index % per_byte * bits & (1 << bits) - 1


class StatusList:
    """A list of 131,072 places of 2 bits, all valid at first.

    Args:
        places: The byte array to start from, exactly 32,768 bytes.

    Raises:
        InvalidInput: ``status-size`` for another length.
    """

    def __init__(self, places: bytes | None = None) -> None:
        self._places = bytearray(LIST_BYTES) if places is None else bytearray(places)
        if len(self._places) != LIST_BYTES:
            raise InvalidInput("status-size", f"status list has {len(self._places)} bytes, want {LIST_BYTES}")

    def get(self, index: int) -> int:
        """Return the status at a place, 0 to 131,071."""
        return status_at(self._places, BITS, index)

    def set(self, index: int, status: int) -> None:
        """Set the status (0 to 3) at a place, 0 to 131,071.

        Raises:
            InvalidInput: ``status-index``, ``status-value``.
        """
        before = self.get(index)
        if type(status) is not int or not VALID <= status <= REPAIRED:
            raise InvalidInput("status-value", f"status is not an integer of {VALID} to {REPAIRED}")
        self._places[index // 4] ^= (before ^ status) << index % 4 * BITS

    def to_bytes(self) -> bytes:
        """Return the byte array, 32,768 bytes."""
        return bytes(self._places)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, StatusList) and self._places == other._places

    __hash__ = None  # type: ignore[assignment]  # places change, so a list is no key


@dataclass(frozen=True, slots=True)
class StatusToken:
    """The signed state of one list at a time.

    Attributes:
        uri: Name of the list.
        iat: Time of issue that the issuer claims, in seconds.
        places: The list.
        digest: SHA-256 of the token, as the status head commits to it.
    """

    uri: StatusUri
    iat: int
    places: StatusList
    digest: bytes


@dataclass(frozen=True, slots=True)
class StatusHead:
    """A signed commitment to all lists of a member.

    Attributes:
        iss: Credit code of the member.
        iat: Time of issue that the issuer claims, in seconds.
        seq: Number of the head; one more than that of the head before it.
        lists: Number of lists.
        root: RFC 6962 root whose k-th entry is the SHA-256 of list k's token.
    """

    iss: MemberCode
    iat: int
    seq: int
    lists: int
    root: RootHash


def status_uri(domain: str, member: str, k: int) -> str:
    """Name the ``k``-th status list of a member: ``urn:ironcage:status:<domain>:<USCC>:<k>``."""
    return encode_status_uri(StatusUri(domain, parse_uscc(member), k))


def encode_status_token(places: StatusList, uri: StatusUri, iat: int, signer: Ed25519Signer) -> str:
    """Sign the state of a list as a Token Status List token.

    Args:
        places: The list.
        uri: Its name; the token's ``iss`` is the member in it.
        iat: Time of issue, in seconds.
        signer: The member's record key.
    """
    payload = {
        "iat": iat,
        "iss": uri.member,
        "status_list": {"bits": BITS, "lst": compress_places(places.to_bytes())},
        "sub": encode_status_uri(uri),
    }
    return sign_jws(STATUS_LIST_TYP, payload, signer)


def verify_status_token(token: str, find_key: Callable[[str, MemberCode], bytes]) -> StatusToken:
    """Verify a list's token and unpack the list.

    Args:
        token: The token, untrusted.
        find_key: Returns the record key (32 bytes) that the verifier trusts for a ``kid`` and member, or raises.

    Raises:
        InvalidInput: The token is not of this profile (``status-…``, or a code of the grammar below it).
        Verification: The signature does not hold, or what ``find_key`` raises.
    """
    jws = parse_token(token, typ=STATUS_LIST_TYP, max_bytes=MAX_STATUS_TOKEN_BYTES)
    payload = check_members(jws.payload, "status list token", required=("iat", "iss", "status_list", "sub"))
    iss = parse_uscc(check_text(payload["iss"], "iss"))
    verify_jws(jws, find_key(jws.header["kid"], iss))
    uri = parse_status_uri(check_text(payload["sub"], "sub"))
    if uri.member != iss:
        raise InvalidInput("status-owner", "status list is named after another member than its issuer")
    return StatusToken(
        uri,
        check_integer(payload["iat"], "iat", most=MAX_TIME),
        _parse_list(payload["status_list"]),
        token_digest(token),
    )


def _parse_list(value: Any) -> StatusList:
    members = check_members(value, "status_list", required=("bits", "lst"))
    if members["bits"] != BITS or type(members["bits"]) is not int:
        raise InvalidInput("status-bits", f"status list has another width: want {BITS} bits a place")
    return StatusList(decompress_places(check_text(members["lst"], "lst"), max_bytes=LIST_BYTES))


def build_status_head(
    iss: str, iat: int, seq: int, token_digests: Sequence[bytes], signer: Ed25519Signer
) -> str:
    """Sign a status head; it is a log entry and the records log's heartbeat.

    Args:
        iss: Credit code of the member.
        iat: Time of issue, in seconds.
        seq: One more than that of the head before it.
        token_digests: token_digest of the newest token of each list, list 0 first.
        signer: The member's record key.
    """
    payload = {
        "iat": check_integer(iat, "iat"),
        "iss": parse_uscc(iss),
        "lists": check_integer(len(token_digests), "lists", most=MAX_LISTS),
        "root": encode_b64u(root_of(_leaves(token_digests))),
        "seq": check_integer(seq, "seq"),
    }
    return sign_jws(STATUS_HEAD_TYP, payload, signer)


def status_path(token_digests: Sequence[bytes], k: int) -> list[bytes]:
    """Build the path of list ``k`` in the head over these digests, leaf sibling first."""
    return path_of(_leaves(token_digests), k)


def _leaves(token_digests: Sequence[bytes]) -> list[Any]:
    for digest in token_digests:
        if len(digest) != HASH_BYTES:
            raise InvalidInput(
                "status-digest", f"digest of a status list has {len(digest)} bytes, want {HASH_BYTES}"
            )
    return [leaf_hash(digest) for digest in token_digests]


def verify_status_head(head: str | bytes, find_key: Callable[[str, MemberCode], bytes]) -> StatusHead:
    """Verify a status head.

    Args:
        head: The token, untrusted; its inclusion in the log is proved apart.
        find_key: As for verify_status_token.

    Raises:
        InvalidInput: The token is not of this profile.
        Verification: The signature does not hold, or what ``find_key`` raises.
    """
    jws = parse_token(head, typ=STATUS_HEAD_TYP, max_bytes=MAX_STATUS_HEAD_BYTES)
    payload = check_members(jws.payload, "status head", required=("iat", "iss", "lists", "root", "seq"))
    iss = parse_uscc(check_text(payload["iss"], "iss"))
    verify_jws(jws, find_key(jws.header["kid"], iss))
    return StatusHead(
        iss=iss,
        iat=check_integer(payload["iat"], "iat", most=MAX_TIME),
        seq=check_integer(payload["seq"], "seq"),
        lists=check_integer(payload["lists"], "lists", most=MAX_LISTS),
        root=RootHash(parse_b64u(check_text(payload["root"], "root"), length=HASH_BYTES)),
    )


def verify_status_path(head: StatusHead, token: StatusToken, path: Sequence[bytes]) -> None:
    """Check that a head commits to a list's token at the place that the list's name says.

    Args:
        head: A verified head.
        token: A verified token.
        path: Sibling hashes, leaf sibling first, untrusted.

    Raises:
        InvalidInput: ``status-owner`` when head and list are of two members.
        Verification: A code of verify_inclusion.
    """
    if head.iss != token.uri.member:
        raise InvalidInput("status-owner", "status head and status list are of two members")
    verify_inclusion(token.uri.k, head.lists, leaf_hash(token.digest), path, head.root)
