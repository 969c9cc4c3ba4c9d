# SPDX-License-Identifier: Apache-2.0
"""The records of an answer, and their status: what an asker checks before it shows one (protocol §8).

``verify_answer`` showed that the provider stands by the answer and that its event names exactly these disclosures. Here
is shown that they are records of the provider about what was asked, and which status each of them has. That nothing was
held back no asker can see: ``as_of`` convicts a provider that had more.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, TypeVar, cast

from node.access.bulk_answer import BulkAnswer
from node.access.receipt import MAX_SKEW_SECONDS
from node.access.request import Request
from node.core.uscc import parse_uscc
from node.crypto.jws import parse_jws
from node.errors import NodeError, Verification
from node.records.names import SUBJECT, encode_status_uri
from node.records.record import verify_record
from node.records.status import (
    MAX_STATUS_TOKEN_BYTES,
    verify_status_head,
    verify_status_path,
    verify_status_token,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from node.access.answer import Answer, StatusProof
    from node.access.question import AskedSubject
    from node.access.request import AnyRequest
    from node.core.types import MemberCode
    from node.records.record import VerifiedRecord
    from node.records.status import StatusHead, StatusToken

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class AnsweredRecord:
    """A record that was given, with its status.

    Attributes:
        record: Claims and disclosed values.
        status: 0 valid, 1 invalid, 2 suspended, 3 repaired.
        head: The status head that says so; its place in the log is not part of an answer.
    """

    record: VerifiedRecord
    status: int
    head: StatusHead


def verify_answered(
    answer: Answer, *, request: AnyRequest, find_key: Callable[[str, MemberCode], bytes]
) -> list[AnsweredRecord]:
    """Verify the records of an answer, each by its issuer's signature, and read their status.

    Args:
        answer: From ``verify_answer``.
        request: The request that it answers.
        find_key: Returns the record key (32 bytes) that the registry names for a ``kid`` and member, or raises.

    Returns:
        The records in the order of the answer.

    Raises:
        InvalidInput: A record, list or head is malformed.
        Verification: A signature, digest or path does not hold; ``answered-issuer`` for a record of another member,
            ``answered-item`` and ``answered-field`` for what was not asked for, ``answered-subject`` for a record about
            somebody else, or one that keeps back the subject that was asked for, ``answered-status`` when a record has no status or a status no record; or what ``find_key``
            raises.
    """
    fields = {item.vct: set(item.fields) for item in request.items}
    states = {}
    for proof in answer.status:
        token, head = _verify_status(proof, find_key)
        states[encode_status_uri(token.uri)] = token, head
    answered = []
    for text, subject in zip(answer.records, _subjects_of(answer, request), strict=True):
        record = verify_record(text, find_key)
        claims = record.claims
        if claims.iss != answer.iss:
            raise Verification(
                "answered-issuer", f"record is by another member: got {claims.iss}, want {answer.iss}"
            )
        if claims.vct not in fields:
            raise Verification("answered-item", "record is of a kind that was not asked for")
        surplus = record.disclosed.keys() - fields[claims.vct]
        if surplus:
            raise Verification(
                "answered-field", f"record discloses {len(surplus)} fields that were not asked for"
            )
        _check_subject(record, subject, is_asked=SUBJECT in fields[claims.vct])
        if claims.status_uri not in states:
            raise Verification("answered-status", "answer holds no status of a record")
        token, head = states[claims.status_uri]
        answered.append(AnsweredRecord(record, token.places.get(claims.status_idx), head))
    if states.keys() - {one.record.claims.status_uri for one in answered} or len(states) < len(answer.status):
        raise Verification("answered-status", "answer holds a status list of no record, or one twice")
    return answered


def check_heads(
    records: Sequence[AnsweredRecord], *, now_seconds: int, limit_seconds: int, least_seq: int
) -> int | None:
    """Refuse a status of long ago: each period has its head, so whoever shows an old one hides what came since.

    Args:
        records: From ``verify_answered``.
        now_seconds: This node's clock.
        limit_seconds: The network's ``anchor_limit``: how old a head is at most.
        least_seq: Greatest number of a head of this provider that was known when it was asked; 0 when none was.

    Returns:
        The greatest number of a head in the answer; None where there is no record.

    Raises:
        Verification: ``answered-status-old``.
    """
    for head in (one.head for one in records):
        age = now_seconds - head.iat
        if not -MAX_SKEW_SECONDS <= age <= limit_seconds:
            raise Verification(
                "answered-status-old",
                f"status head {head.seq} is {age} seconds old: want at most {limit_seconds}",
            )
        if head.seq < least_seq:
            raise Verification(
                "answered-status-old", f"status head {head.seq} is shown, head {least_seq} was seen before"
            )
    return max((one.head.seq for one in records), default=None)


def _verify_status(
    proof: StatusProof, find_key: Callable[[str, MemberCode], bytes]
) -> tuple[StatusToken, StatusHead]:
    token = _verify_known(proof.list, verify_status_token, find_key)
    head = _verify_known(proof.head, verify_status_head, find_key)
    if proof.index != token.uri.k:
        raise Verification(
            "answered-status",
            f"answer gives a status list another number: got {proof.index}, want {token.uri.k}",
        )
    verify_status_path(head, token, proof.path)
    return token, head


def _verify_known(
    text: str,
    verify: Callable[[str, Callable[[str, MemberCode], bytes]], T],
    find_key: Callable[[str, MemberCode], bytes],
) -> T:
    """Verify a signed status; one that was verified before under the key that is found now is not read again.

    A list and its head stand in every answer of a provider until its next head, some minutes later.
    """
    try:
        kid, member = _signer_of(text)
    except NodeError:
        # It says by itself what is wrong with it.
        return verify(text, find_key)
    return cast("T", _verify_once(text, verify, find_key(kid, member)))


@lru_cache(maxsize=32)
def _signer_of(text: str) -> tuple[str, MemberCode]:
    jws = parse_jws(text, typ=None, max_bytes=MAX_STATUS_TOKEN_BYTES)
    return jws.header["kid"], parse_uscc(jws.payload.get("iss", ""))


@lru_cache(maxsize=32)
def _verify_once(text: str, verify: Callable[[str, Callable[..., bytes]], object], public: bytes) -> object:
    return verify(text, lambda _kid, _member: public)


def _subjects_of(answer: Answer, request: AnyRequest) -> list[AskedSubject]:
    """Give the subject that each record of an answer must be about."""
    if isinstance(answer, BulkAnswer):
        return answer.subjects()
    assert isinstance(request, Request), "the answer to a request about one subject"
    return [request.subject] * len(answer.records)


def _check_subject(record: VerifiedRecord, asked: AskedSubject, *, is_asked: bool) -> None:
    """Refuse a record that is not about the very subject asked about, or keeps back about whom it is."""
    subject = record.disclosed.get(SUBJECT)
    if subject is None:
        if is_asked:
            raise Verification(
                "answered-subject", "record does not disclose its subject, which was asked for"
            )
    elif (subject["type"], subject["id"]) != asked:
        raise Verification("answered-subject", "record is about another subject than the one asked about")
