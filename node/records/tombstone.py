# SPDX-License-Identifier: Apache-2.0
"""The tombstone: a record was erased, on what ground, and when that is final (protocol section 10).

It is an entry of the records log, open to all, and says nothing of the record's content. The ground is therefore one of
a closed list; what else there is to say of an erasure stands in the access log, behind salted digests.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from node.core.canonical import check_members
from node.core.clock import MAX_TIME
from node.core.encoding import encode_b64u, parse_b64u
from node.core.members import check_integer, check_text
from node.core.types import EntryIndex, LeafHash
from node.core.uscc import parse_uscc
from node.crypto.jws import sign_jws, verify_jws
from node.crypto.token import parse_token
from node.errors import InvalidInput
from node.log.merkle import HASH_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable

    from node.core.types import MemberCode
    from node.crypto.ed25519 import Ed25519Signer

TOMBSTONE_TYP: Final = "tombstone+jwt"
MAX_TOMBSTONE_BYTES: Final = 1_024
BACKUP_SECONDS: Final = 30 * 86_400
"""Backups of wrapped secrets expire this long after they were made, so an erasure is final this long after it."""

GROUNDS: Final = {
    "retention-ended": ("保存期限届满", "the time for which the record may be kept is over"),
    "purpose-ended": ("处理目的已实现或不再必要", "the purpose is achieved, or no longer needs the record"),
    "consent-withdrawn": ("个人撤回同意", "the person withdrew the consent on which it was kept"),
    "unlawful": ("违法违规收集或处理", "it was collected or kept against law or agreement"),
    "annulled": ("原决定被撤销或确认违法", "the decision was annulled"),
    "objection-upheld": ("异议成立，事实错误", "an objection was upheld: the facts were wrong"),
    "repaired": ("信用修复，停止共享和使用", "credit was repaired, sharing and use end"),
    "imported-in-error": ("误导入", "it was imported by mistake"),
    "ordered": ("司法或行政机关要求", "a court or authority ordered it"),
}
"""Code of each ground: in Chinese, in English."""


@dataclass(frozen=True, slots=True)
class Tombstone:
    """That a record is erased.

    Attributes:
        iss: Credit code of the member.
        iat: Time of issue that the issuer claims, in seconds.
        index: Entry of the record in the records log.
        leaf: Leaf hash of that entry.
        ground: One of ``GROUNDS``.
        erased: When its secret was deleted, in seconds.
        final_by: When the last backup with its secret has expired, in seconds.
    """

    iss: MemberCode
    iat: int
    index: EntryIndex
    leaf: LeafHash
    ground: str
    erased: int
    final_by: int


def check_ground(ground: str) -> str:
    """Return a ground that is one of ``GROUNDS``.

    Raises:
        InvalidInput: ``erase-ground``.
    """
    if ground not in GROUNDS:
        raise InvalidInput(
            "erase-ground", f"ground of an erasure is unknown: want one of {', '.join(GROUNDS)}"
        )
    return ground


def build_tombstone(tombstone: Tombstone, signer: Ed25519Signer) -> str:
    """Sign a tombstone with the record key.

    Raises:
        InvalidInput: ``erase-ground``, ``integer-range``, or a code of parse_uscc.
    """
    payload = {
        "erased": check_integer(tombstone.erased, "erased", most=MAX_TIME),
        "final_by": check_integer(tombstone.final_by, "final_by", most=MAX_TIME),
        "ground": check_ground(tombstone.ground),
        "iat": check_integer(tombstone.iat, "iat", most=MAX_TIME),
        "index": check_integer(tombstone.index, "index"),
        "iss": parse_uscc(tombstone.iss),
        "leaf": encode_b64u(tombstone.leaf),
    }
    return sign_jws(TOMBSTONE_TYP, payload, signer)


def parse_tombstone(token: str | bytes) -> Tombstone:
    """Parse a tombstone without checking its signature: for entries whose leaf hash is known.

    Raises:
        InvalidInput: The token is not of this profile.
    """
    jws = parse_token(token, typ=TOMBSTONE_TYP, max_bytes=MAX_TOMBSTONE_BYTES)
    names = ("erased", "final_by", "ground", "iat", "index", "iss", "leaf")
    payload = check_members(jws.payload, "tombstone", required=names)
    erased = check_integer(payload["erased"], "erased", most=MAX_TIME)
    return Tombstone(
        iss=parse_uscc(check_text(payload["iss"], "iss")),
        iat=check_integer(payload["iat"], "iat", most=MAX_TIME),
        index=EntryIndex(check_integer(payload["index"], "index")),
        leaf=LeafHash(parse_b64u(check_text(payload["leaf"], "leaf"), length=HASH_BYTES)),
        ground=check_ground(check_text(payload["ground"], "ground")),
        erased=erased,
        final_by=check_integer(payload["final_by"], "final_by", least=erased, most=MAX_TIME),
    )


def verify_tombstone(token: str | bytes, find_key: Callable[[str, MemberCode], bytes]) -> Tombstone:
    """Verify a tombstone; its inclusion in the log is proved apart.

    Args:
        token: The token, untrusted.
        find_key: Returns the record key (32 bytes) that the verifier trusts for a ``kid`` and member, or raises.

    Raises:
        InvalidInput: The token is not of this profile.
        Verification: The signature does not hold, or what ``find_key`` raises.
    """
    tombstone = parse_tombstone(token)
    jws = parse_token(token, typ=TOMBSTONE_TYP, max_bytes=MAX_TOMBSTONE_BYTES)
    verify_jws(jws, find_key(jws.header["kid"], tombstone.iss))
    return tombstone
