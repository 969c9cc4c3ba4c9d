# SPDX-License-Identifier: Apache-2.0
"""The steps about a record's status (docs/evidence.md, steps 15 to 20).

A status answer is a signed list, committed to by a signed head, which is an entry of the issuer's log. That it is
the newest answer nobody can prove offline; how old it may be the anchors tell.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from node.evidence.chain import check_key_dates
from node.evidence.checks import check_checkpoint, check_inclusion, check_origin, find_record_keys
from node.evidence.report import MEANINGS, StatusFinding
from node.evidence.steps import Found, NotChecked, Refuted
from node.log.interval import CLAIM_TOLERANCE_SECONDS, interval_of
from node.records.names import encode_status_uri
from node.records.status import VALID, verify_status_head, verify_status_path, verify_status_token

if TYPE_CHECKING:
    from node.core.types import EntryIndex, MemberCode
    from node.evidence.chain import AskedChain
    from node.evidence.checks import SignedEntry
    from node.evidence.format import AnchorReference, Evidence, StatusPart
    from node.evidence.policy import Policy, TrustedKey
    from node.log.interval import Interval
    from node.records.record import Presentation
    from node.records.status import StatusHead, StatusToken


class SignedList(NamedTuple):
    """The status part of the file, and its list: the one that the record names, with a signature that holds."""

    file: StatusPart
    token: StatusToken


class SignedHead(NamedTuple):
    """A verified status head that commits to the list, and the key of the policy that signed it, with its dates."""

    head: StatusHead
    keys: list[TrustedKey]


def check_list(evidence: Evidence, presentation: Presentation, policy: Policy) -> Found[SignedList]:
    """Verify the status list token, and that it is the list that the record names.

    Raises:
        NotChecked: the evidence holds no status.
        Refuted: ``status-list-other``, ``status-list-number``, or the codes of ``find_record_keys``.
        InvalidInput, Verification: the token is malformed or its signature does not hold.
    """
    part = evidence.status
    if part is None:
        raise NotChecked("证据中没有状态", "the evidence holds no status")
    claims = presentation.record.claims
    token = verify_status_token(part.token, _KeyFinder(policy))
    if encode_status_uri(token.uri) != claims.status_uri:
        raise Refuted(
            "status-list-other", "不是该记录所指的状态列表", "it is another list than the record names"
        )
    if part.index != token.uri.k:
        raise Refuted(
            "status-list-number",
            f"列表序号不符：文件为 {part.index}，列表为 {token.uri.k}",
            f"the file gives the list another number: got {part.index}, want {token.uri.k}",
        )
    return Found(
        SignedList(part, token), f"{claims.status_uri}，签名成立", f"{claims.status_uri}, its signature holds"
    )


def check_head(status: SignedList, presentation: Presentation, policy: Policy) -> Found[SignedHead]:
    """Verify the status head, that it is the record issuer's, and that it commits to the list.

    Raises:
        Refuted: ``status-head-issuer``, or the codes of ``find_record_keys``.
        InvalidInput, Verification: the head is malformed, its signature or the path does not hold.
    """
    finder = _KeyFinder(policy)
    head = verify_status_head(status.file.head, finder)
    issuer = presentation.record.claims.iss
    if head.iss != issuer:
        raise Refuted(
            "status-head-issuer",
            f"状态首部由 {head.iss} 签发，记录由 {issuer} 签发",
            f"the status head is by {head.iss}, the record by {issuer}",
        )
    verify_status_path(head, status.token, status.file.path)
    number = status.token.uri.k
    return Found(
        SignedHead(head, finder.found),
        f"第 {head.seq} 号首部含第 {number} 个列表，签名成立",
        f"head {head.seq} commits to list {number}, its signature holds",
    )


def check_logged(
    status: SignedList,
    _head: SignedHead,
    presentation: Presentation,
    policy: Policy,
    record_place: tuple[SignedEntry, EntryIndex],
) -> Found[SignedEntry]:
    """Verify that the head stands in a records log of the issuer, under a signed checkpoint, behind the record.

    A head from before the record says nothing about it: the record's place in the list was not used yet.

    Args:
        status: The status part.
        _head: The verified head; asking for it makes this step depend on it.
        presentation: The record, its signature verified.
        policy: The verifier's policy.
        record_place: The record's own verified entry and index.

    Raises:
        Refuted: ``status-head-older``.
        Refuted, InvalidInput, Verification: as steps 6 to 8 of the record itself.
    """
    part = status.file
    entry = check_checkpoint(check_origin(part.inclusion, presentation, policy).value, policy.demand).value
    found = check_inclusion(entry, part.head.encode("ascii"))
    record_entry, record_index = record_place
    if (entry.log.origin.n, found.value) <= (record_entry.log.origin.n, record_index):
        raise Refuted(
            "status-head-older",
            f"状态首部（第 {found.value} 条）早于记录（第 {record_index} 条），不能说明其状态",
            f"the status head, entry {found.value}, is older than the record, entry {record_index}, "
            "and says nothing about it",
        )
    zh, en = f"{entry.log.text}，{found.zh}", f"{entry.log.text}: {found.en}"
    if entry.log.origin.n != record_entry.log.origin.n:
        zh += f"；{record_entry.log.text} 已由后继日志接续，原因见后继日志首条"
        en += f"; it succeeds {record_entry.log.text}, its first entry says why"
    return Found(entry, zh, en)


def check_commitment(asked: AskedChain, reference: AnchorReference, head: SignedHead) -> Found[Interval]:
    """Ask the chain for the head's anchor, and check that the key that signed the head was valid then.

    Raises:
        Refuted, NotChecked, Unavailable: as steps 11 and 13 of the record itself.
    """
    confirmed = asked.check_commitment(reference)
    check_key_dates(head.keys, confirmed.value)
    return confirmed


def read_answer(
    status: SignedList,
    head: StatusHead,
    presentation: Presentation,
    reference: AnchorReference,
    *,
    now_seconds: int,
    proven: bool,
) -> StatusFinding:
    """Read the record's value in the list and compute its age.

    Args:
        status: The list, committed to by a head that stands in the issuer's log.
        head: That head: the answer is no younger than it says.
        presentation: The record, its signature verified.
        reference: The anchor that first covers that head.
        now_seconds: The verifier's clock.
        proven: Whether the chain confirmed that anchor.
    """
    claims = presentation.record.claims
    interval = interval_of(reference.anchor)
    # Beyond the tolerance one of the two clocks is wrong, and an age of 0 would be the kindest lie.
    plausible = interval.start_time <= now_seconds + CLAIM_TOLERANCE_SECONDS
    as_of = interval.dates_from(head.iat)
    return StatusFinding(
        value=status.token.places.get(claims.status_idx),
        list_uri=claims.status_uri,
        index=claims.status_idx,
        as_of=as_of,
        age_seconds=max(0, now_seconds - as_of) if plausible else None,
        proven=proven,
    )


def check_in_force(status: StatusFinding) -> Found[None]:
    """Check that the record's value is ``valid``.

    Raises:
        Refuted: ``status-withdrawn``, ``status-suspended`` or ``status-repaired``.
    """
    name, meaning = MEANINGS[status.value]
    if status.value != VALID:
        raise Refuted(
            f"status-{name}",
            f"记录现在不能作为有效记录使用：{meaning.zh}",
            f"the record is not in force: {meaning.en}",
        )
    return Found(None, "状态为有效", "the status is valid")


class _KeyFinder:
    """Finds record keys in the policy and keeps what it found last."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self.found: list[TrustedKey] = []

    def __call__(self, kid: str, member: MemberCode) -> bytes:
        self.found = find_record_keys(self._policy, member, kid)
        return self.found[0].public
