# SPDX-License-Identifier: Apache-2.0
"""The steps of a verification that need nothing but the file and the policy (docs/evidence.md, steps 1 to 9).

Each check returns what it found, or raises what does not hold. Checks of a log entry serve twice: for the
record and for the status head, which stands in a log of the same issuer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from node.core.types import EntryIndex
from node.errors import Verification
from node.evidence.format import parse_evidence
from node.evidence.steps import Found, NotChecked, Refuted
from node.log.checkpoint import Checkpoint, log_id, parse_signed_checkpoint, verify_parsed_checkpoint
from node.log.interval import check_first_cover
from node.log.merkle import leaf_hash, verify_inclusion
from node.log.proof import TlogProof, parse_tlog_proof
from node.records.record import open_presentation, parse_presentation, verify_record_signature

if TYPE_CHECKING:
    from node.core.types import MemberCode
    from node.crypto.note import Note
    from node.evidence.format import AnchorReference, Evidence
    from node.evidence.policy import Demand, Policy, TrustedKey, TrustedLog
    from node.records.record import Presentation, VerifiedRecord


class LogEntry(NamedTuple):
    """An entry whose log the policy names; signatures and proof are not verified yet."""

    proof: TlogProof
    checkpoint: Checkpoint
    note: Note
    log: TrustedLog


class SignedEntry(NamedTuple):
    """An entry under a checkpoint whose signatures hold; its inclusion is not verified yet."""

    proof: TlogProof
    checkpoint: Checkpoint
    log: TrustedLog
    algorithms: tuple[str, ...]


def check_file(data: bytes) -> Found[Evidence]:
    """Check the form of the whole file."""
    evidence = parse_evidence(data)
    parts = [
        name
        for name in ("anchor", "status", "chain_proof", "certificate")
        if getattr(evidence, name) is not None
    ]
    return Found(
        evidence,
        f"{len(data)} 字节，含 {'、'.join(['record', 'inclusion', *parts])}",
        f"{len(data)} bytes with {', '.join(['record', 'inclusion', *parts])}",
    )


def check_record(evidence: Evidence) -> Found[Presentation]:
    """Check the form of the record and hash its entry from the JWT's own bytes."""
    presentation = parse_presentation(evidence.record)
    record = presentation.record
    leaf = leaf_hash(record.jwt).hex()
    return Found(
        presentation,
        f"记录 {record.claims.jti}，叶哈希 {leaf}",
        f"record {record.claims.jti}, leaf hash {leaf}",
    )


def check_issuer(presentation: Presentation, policy: Policy) -> Found[list[TrustedKey]]:
    """Find the key that is said to have signed the record in the policy, with its dates.

    Raises:
        Refuted: as ``find_record_keys``.
    """
    member, kid = presentation.record.claims.iss, presentation.record.kid
    keys = find_record_keys(policy, member, kid)
    return Found(keys, f"策略承认 {member} 的密钥 {kid}", f"the policy names key {kid} of {member}")


def find_record_keys(policy: Policy, member: MemberCode, kid: str) -> list[TrustedKey]:
    """Find a member's record key: one public key, once for each range of blocks in which it is valid.

    Raises:
        Refuted: ``issuer-unknown`` when the policy knows no record key of that member, ``issuer-key-unknown`` when
            it knows others.
    """
    keys = policy.find_keys(member, "record", kid)
    if keys:
        return keys
    if any(key.member == member and key.kind == "record" for key in policy.keys):
        raise Refuted(
            "issuer-key-unknown",
            f"策略承认 {member}，但不承认其密钥 {kid}",
            f"the policy names other record keys of {member}, not {kid}",
        )
    raise Refuted(
        "issuer-unknown", f"策略不认识签发单位 {member}", f"the policy names no record key of {member}"
    )


def check_record_signature(presentation: Presentation, key: TrustedKey) -> Found[Presentation]:
    """Verify the issuer's signature over the JWT, and with it the record's claims and digests."""
    verify_record_signature(presentation, key.public)
    member = presentation.record.claims.iss
    return Found(presentation, f"{member} 的 Ed25519 签名成立", f"the Ed25519 signature of {member} holds")


def check_disclosures(presentation: Presentation) -> Found[VerifiedRecord]:
    """Check that every disclosed field was signed.

    Args:
        presentation: One whose signature is verified.
    """
    verified = open_presentation(presentation)
    shown, hidden = len(verified.disclosed), verified.withheld_count
    return Found(
        verified,
        f"披露的 {shown} 项均与已签名的摘要一致，另有 {hidden} 个摘要未披露",
        f"all {shown} disclosed fields match signed digests, {hidden} digests are withheld",
    )


def find_log_entry(inclusion: str, policy: Policy) -> LogEntry:
    """Find the log of an inclusion proof in the policy; whose log it must be is the caller's to check.

    Args:
        inclusion: A tlog-proof, untrusted.
        policy: The verifier's policy.

    Raises:
        InvalidInput: The codes of proof, note and checkpoint.
        Refuted: ``log-unknown``.
        Verification: ``proof-extra`` for bytes that nothing authenticates.
    """
    proof = parse_tlog_proof(inclusion)
    if proof.extra is not None:
        raise Verification("proof-extra", "inclusion proof has an extra line, which nothing authenticates")
    checkpoint, note = parse_signed_checkpoint(proof.checkpoint_note)
    log = policy.find_log(checkpoint.origin)
    if log is None:
        raise Refuted(
            "log-unknown", "策略不认识该日志", "the policy does not name the log of this checkpoint"
        )
    return LogEntry(proof, checkpoint, note, log)


def check_origin(inclusion: str, presentation: Presentation, policy: Policy) -> Found[LogEntry]:
    """Find the log of an inclusion proof in the policy, and check whose it is.

    Args:
        inclusion: A tlog-proof, untrusted.
        presentation: The record, which names the member and exchange domain whose log it must be.
        policy: The verifier's policy.

    Raises:
        InvalidInput, Verification: As ``find_log_entry``.
        Refuted: ``log-unknown``, ``log-kind``, ``log-owner``, ``log-domain``.
    """
    claims = presentation.record.claims
    member, domain = claims.iss, claims.item.domain
    entry = find_log_entry(inclusion, policy)
    log = entry.log
    if log.origin.kind != "records":
        raise Refuted("log-kind", "不是记录日志", f"{log.text} is no records log")
    if log.owner != member:
        raise Refuted(
            "log-owner",
            f"日志属于 {log.owner}，记录由 {member} 签发",
            f"the log belongs to {log.owner}, the record is by {member}",
        )
    if log.origin.domain != domain:
        raise Refuted(
            "log-domain",
            f"日志属于交换域 {log.origin.domain}，记录属于 {domain}",
            f"the log is of exchange domain {log.origin.domain}, the record of {domain}",
        )
    return Found(entry, f"{log.text} 属于 {member}", f"{log.text} belongs to {member}")


def check_checkpoint(entry: LogEntry, demand: Demand) -> Found[SignedEntry]:
    """Verify the checkpoint's signatures by the keys that the policy names for its log.

    Raises:
        Refuted: ``ml-dsa-44-missing`` when the policy requires that line and it is not there.
        Verification: a signature does not hold.
    """
    verified = verify_parsed_checkpoint(
        entry.checkpoint, entry.note, (entry.log.ed25519, entry.log.ml_dsa_44)
    )
    if "ml-dsa-44" in demand.require and "ml-dsa-44" not in verified.algorithms:
        raise Refuted(
            "ml-dsa-44-missing",
            "策略要求 ML-DSA-44 签名，检查点没有",
            "the policy requires an ML-DSA-44 signature, the checkpoint has none",
        )
    algorithms = tuple(sorted(verified.algorithms))
    size = verified.checkpoint.size
    return Found(
        SignedEntry(entry.proof, verified.checkpoint, entry.log, algorithms),
        f"大小 {size}，{'、'.join(algorithms)} 签名成立",
        f"size {size}, signatures hold: {', '.join(algorithms)}",
    )


def check_inclusion(entry: SignedEntry, data: bytes) -> Found[EntryIndex]:
    """Verify that the entry stands in the tree; its size comes from the signed checkpoint only.

    Args:
        entry: Proof and verified checkpoint.
        data: The entry's own bytes, which are hashed here.
    """
    tree = entry.checkpoint
    verify_inclusion(entry.proof.index, tree.size, leaf_hash(data), entry.proof.path, tree.root)
    index = EntryIndex(entry.proof.index)
    return Found(index, f"是日志的第 {index} 条", f"it is entry {index} of the log")


def check_anchor(
    reference: AnchorReference | None, entry: SignedEntry, policy: Policy
) -> Found[AnchorReference]:
    """Check that the anchor is about this checkpoint, first covers this entry, and is on the policy's chain.

    Args:
        reference: From the file, None when it has none.
        entry: The entry and its verified checkpoint.
        policy: The verifier's policy.

    Raises:
        NotChecked: the evidence holds no anchor.
        Refuted: ``anchor-log``, ``anchor-chain``, ``anchor-contract``, ``anchor-checkpoint``.
        Verification: ``anchor-not-covering`` or ``anchor-not-first``.
    """
    if reference is None:
        raise NotChecked("证据中没有锚定", "the evidence holds no anchor")
    anchor, tree, chain = reference.anchor, entry.checkpoint, policy.chain
    if reference.log_id != log_id(tree.origin):
        raise Refuted("anchor-log", "锚定属于另一日志", "the anchor is of another log than the checkpoint")
    if reference.chain_id != chain.id:
        raise Refuted(
            "anchor-chain",
            f"锚定在链 {reference.chain_id}，策略为链 {chain.id}",
            f"the anchor is on chain {reference.chain_id}, the policy's is {chain.id}",
        )
    if reference.contract != chain.contract:
        raise Refuted(
            "anchor-contract", "锚定在策略以外的合约", "the anchor is in another contract than the policy's"
        )
    if (anchor.size, anchor.root) != (tree.size, tree.root):
        raise Refuted(
            "anchor-checkpoint",
            "锚定的大小或根与检查点不同",
            f"size or root of the anchor is not the checkpoint's: got size {anchor.size}, want {tree.size}",
        )
    check_first_cover(anchor, entry.proof.index)
    return Found(
        reference,
        f"第 {anchor.i} 次锚定首次覆盖该条目：{anchor.prev_size} ≤ {entry.proof.index} < {anchor.size}",
        f"anchor {anchor.i} is the first to cover it: {anchor.prev_size} ≤ {entry.proof.index} < {anchor.size}",
    )


def has_anchor(evidence: Evidence) -> bool:
    """Tell whether the evidence holds an anchor, its own or the status head's."""
    return evidence.anchor is not None or evidence.status is not None
