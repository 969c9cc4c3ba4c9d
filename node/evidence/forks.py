# SPDX-License-Identifier: Apache-2.0
"""Verify a fork proof under a policy: whom it convicts, and of what (docs/protocol/proofs.md).

It convicts by itself: no chain is asked. Whoever signs two statements that cannot both be true has no excuse that a
chain could know of, except a stolen key, which the report names.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from node.access.receipt import read_receipt
from node.core.encoding import encode_b64
from node.crypto.jws import verify_jws
from node.errors import Verification
from node.evidence.policy import Level
from node.evidence.report import Verdict
from node.evidence.ruling import Finding, Ruling
from node.evidence.steps import Found, Kind, Refuted, Steps, Words
from node.log.checkpoint import parse_signed_checkpoint, verify_parsed_checkpoint
from node.log.fork import Form, check_contradiction, parse_fork
from node.log.merkle import verify_inclusion

if TYPE_CHECKING:
    from node.access.receipt import Receipt
    from node.core.types import MemberCode
    from node.crypto.jws import Jws
    from node.crypto.note import Note
    from node.evidence.policy import Policy, TrustedKey, TrustedLog
    from node.log.checkpoint import Checkpoint
    from node.log.fork import ForkProof

FORK_STEPS: Final = (
    Kind("file", Words("文件格式", "form of the file"), Level.SIGNED),
    Kind("statements", Words("两份声明", "the two statements"), Level.SIGNED),
    Kind("signer", Words("签署者", "who signed"), Level.SIGNED),
    Kind("signature-a", Words("声明 a 的签名", "signature of statement a"), Level.SIGNED),
    Kind("signature-b", Words("声明 b 的签名", "signature of statement b"), Level.SIGNED),
    Kind("contradiction", Words("是否矛盾", "whether they contradict each other"), Level.SIGNED),
)
"""All steps in order; a step's number is its place here, from 1."""

_NOTHING: Final = Words("证明不成立：不能据此定责任何人", "PROVES NOTHING: nobody is convicted by this file")


class Statement(NamedTuple):
    """A statement as it was parsed: a checkpoint with its note, or a receipt with its token."""

    checkpoint: tuple[Checkpoint, Note] | None
    receipt: tuple[Jws, Receipt] | None

    @property
    def log(self) -> str:
        """Origin of the log that it is about."""
        if self.checkpoint is not None:
            return self.checkpoint[0].origin
        assert self.receipt is not None, "a statement is one of the two"
        return self.receipt[1].log


class Signer(NamedTuple):
    """By whose keys the two statements are checked."""

    member: MemberCode
    a: TrustedLog | TrustedKey
    b: TrustedLog | TrustedKey


def verify_fork_file(data: bytes, policy: Policy, *, now_seconds: int) -> Ruling:
    """Verify a fork proof and say whom it convicts of what.

    Args:
        data: The file, untrusted.
        policy: The verifier's own policy.
        now_seconds: The verifier's clock, seconds since 1970.

    Returns:
        The ruling: satisfied when the proof holds. A bad file is a ruling with failed steps, never an exception.
    """
    steps = Steps(FORK_STEPS)
    file = steps.check("file", lambda: _check_file(data))
    both = steps.check("statements", lambda: _check_statements(file.value))
    signer = steps.check("signer", lambda: _check_signer(both.value, policy))
    a = steps.check("signature-a", lambda: _check_signature(both.value[0], signer.value.a, policy))
    b = steps.check("signature-b", lambda: _check_signature(both.value[1], signer.value.b, policy))
    signed = steps.check(
        "contradiction", lambda: _check_contradiction(file.value, (a.value, b.value), signer.value.member)
    )
    words = signed.find()
    proven = words is not None and all(steps.passed(kind.name) for kind in FORK_STEPS)
    return Ruling(
        what="fork",
        verdict=Verdict.SATISFIED if proven else Verdict.REFUSED,
        checked_at=now_seconds,
        finding=Finding("forked", words) if proven and words is not None else Finding("none", _NOTHING),
        convicts=signer.value.member if proven else None,
        about=_describe(file.value, both.value) if proven else {},
        steps=tuple(steps.done),
        notes=_note_limits(both.value) if proven else (),
    )


def find_receipt_fork(a: Receipt, b: Receipt) -> Words:
    """Say how two receipts of one member contradict each other; their signatures are the caller's.

    Raises:
        Verification: ``fork-origins`` when they are by two members, ``fork-agrees`` when both can be honoured.
    """
    if a.iss != b.iss:
        raise Verification("fork-origins", "the two receipts are by two members: want one")
    # The same event may be promised twice (a retry, or again under a successor log); two events may not.
    if a.leaf == b.leaf:
        raise Verification("fork-agrees", "both receipts promise one event")
    if (a.log, a.idx) == (b.log, b.idx):
        return Words(
            f"{a.iss} 把日志 {a.log} 的第 {a.idx} 条先后许给两个不同的事件",
            f"{a.iss} promised entry {a.idx} of log {a.log} to two different events",
        )
    if (a.aud, a.pair) == (b.aud, b.pair):
        return Words(
            f"{a.iss} 给 {a.aud} 的第 {a.pair} 号回执开出两次，对应两个不同的事件",
            f"{a.iss} gave receipt number {a.pair} for {a.aud} twice, for two different events",
        )
    raise Verification("fork-agrees", "the two receipts are about two entries and two numbers")


def _check_file(data: bytes) -> Found[ForkProof]:
    proof = parse_fork(data)
    return Found(
        proof, f"{len(data)} 字节，形式 {proof.form.value}", f"{len(data)} bytes, form {proof.form.value}"
    )


def _check_statements(proof: ForkProof) -> Found[tuple[Statement, Statement]]:
    receipt_a, receipt_b = proof.form is Form.RECEIPTS, proof.form in (Form.RECEIPTS, Form.RECEIPT)
    a, b = _parse(proof.a, receipt=receipt_a), _parse(proof.b, receipt=receipt_b)
    # Two receipts for one pair number may be about two logs, one after the other.
    if proof.form is not Form.RECEIPTS and a.log != b.log:
        raise Refuted("fork-origins", "两份声明属于不同日志", "the two statements are about two logs")
    kinds = [Words("回执", "receipt") if s.receipt else Words("检查点", "checkpoint") for s in (a, b)]
    return Found(
        (a, b),
        f"a 为{kinds[0].zh}，b 为{kinds[1].zh}，日志 {a.log}",
        f"a is a {kinds[0].en}, b is a {kinds[1].en}, log {a.log}",
    )


def _parse(text: str, *, receipt: bool) -> Statement:
    if receipt:
        return Statement(None, read_receipt(text))
    return Statement(parse_signed_checkpoint(text), None)


def _check_signer(both: tuple[Statement, Statement], policy: Policy) -> Found[Signer]:
    logs = [policy.find_log(statement.log) for statement in both]
    if logs[0] is None or logs[1] is None:
        raise Refuted("log-unknown", "策略不认识该日志", "the policy does not name the log of a statement")
    member = logs[0].owner
    if logs[1].owner != member:
        raise Refuted("fork-origins", "两份声明由不同成员作出", "the statements are by two members")
    a, b = (
        log if statement.receipt is None else find_node_key(policy, member, statement.receipt[0])
        for statement, log in zip(both, (logs[0], logs[1]), strict=True)
    )
    return Found(Signer(member, a, b), f"策略承认 {member} 的密钥", f"the policy names the keys of {member}")


def find_node_key(policy: Policy, member: MemberCode, jws: Jws) -> TrustedKey:
    """Find the node key that is said to have signed a receipt.

    Raises:
        Refuted: ``issuer-unknown`` when the policy knows no node key of the member, ``issuer-key-unknown`` when it
            knows others.
    """
    kid = jws.header["kid"]
    keys = policy.find_keys(member, "node", kid)
    if keys:
        return keys[0]
    if any(key.member == member and key.kind == "node" for key in policy.keys):
        raise Refuted(
            "issuer-key-unknown",
            f"策略承认 {member}，但不承认其节点密钥 {kid}",
            f"the policy names other node keys of {member}, not {kid}",
        )
    raise Refuted(
        "issuer-unknown", f"策略没有 {member} 的节点密钥", f"the policy names no node key of {member}"
    )


def _check_signature(
    statement: Statement, trusted: TrustedLog | TrustedKey, policy: Policy
) -> Found[Statement]:
    if statement.receipt is not None:
        verify_jws(statement.receipt[0], trusted.public)  # type: ignore[union-attr]  # find_node_key gave it
        return Found(statement, "节点密钥的签名成立", "the signature of the node key holds")
    assert statement.checkpoint is not None, "a statement is one of the two"
    checkpoint, note = statement.checkpoint
    keys = (trusted.ed25519, trusted.ml_dsa_44)  # type: ignore[union-attr]  # as above
    algorithms = verify_parsed_checkpoint(checkpoint, note, keys).algorithms
    if "ml-dsa-44" in policy.demand.require and "ml-dsa-44" not in algorithms:
        raise Refuted(
            "ml-dsa-44-missing",
            "策略要求 ML-DSA-44 签名，检查点没有",
            "the policy requires an ML-DSA-44 signature, the checkpoint has none",
        )
    names = sorted(algorithms)
    return Found(
        statement,
        f"大小 {checkpoint.size}，{'、'.join(names)} 签名成立",
        f"size {checkpoint.size}, signatures hold: {', '.join(names)}",
    )


def _check_contradiction(
    proof: ForkProof, both: tuple[Statement, Statement], member: MemberCode
) -> Found[Words]:
    words = _contradict(proof, both, member)
    return Found(words, words.zh, words.en)


def _contradict(proof: ForkProof, both: tuple[Statement, Statement], member: MemberCode) -> Words:
    a, b = both
    if a.checkpoint is None:
        assert a.receipt is not None, "two receipts"
        assert b.receipt is not None, "two receipts"
        return find_receipt_fork(a.receipt[1], b.receipt[1])
    tree = a.checkpoint[0]
    if b.receipt is not None:
        receipt = b.receipt[1]
        _check_receipt(proof, tree, receipt)
        return Words(
            f"{member} 在回执中把日志 {tree.origin} 的第 {receipt.idx} 条许给一个事件，签署的树（大小 {tree.size}）在该处却是另一条",
            f"{member} promised entry {receipt.idx} of log {tree.origin} to an event in a receipt, and signed a tree "
            f"(size {tree.size}) with another entry there",
        )
    assert b.checkpoint is not None, "two checkpoints"
    other = b.checkpoint[0]
    check_contradiction(proof, tree, other)
    if proof.form is Form.ROOTS:
        return Words(
            f"{member} 就日志 {tree.origin} 在大小 {tree.size} 处签署了两个不同的根：一份日志，两段历史",
            f"{member} signed two roots of log {tree.origin} at size {tree.size}: one log with two histories",
        )
    if proof.form is Form.LEAVES:
        return Words(
            f"{member} 就日志 {tree.origin} 签署了大小 {tree.size} 与 {other.size} 的两棵树，其第 {proof.index} 条不同",
            f"{member} signed two trees of log {tree.origin}, of sizes {tree.size} and {other.size}, with two "
            f"different entries {proof.index}",
        )
    return Words(
        f"{member} 就日志 {tree.origin} 签署了大小 {tree.size} 的树，又签署了并非由其延续的大小 {other.size} 的树",
        f"{member} signed a tree of log {tree.origin} of size {tree.size}, and one of size {other.size} that does "
        f"not continue it",
    )


def _check_receipt(proof: ForkProof, tree: Checkpoint, receipt: Receipt) -> None:
    assert proof.side_a is not None, "the form has a leaf"
    if proof.index != receipt.idx:
        raise Verification("fork-index", f"receipt is for entry {receipt.idx}, the leaf is at {proof.index}")
    if proof.side_a.leaf == receipt.leaf:
        raise Verification("fork-agrees", f"the leaf at {receipt.idx} is the one that the receipt promises")
    verify_inclusion(receipt.idx, tree.size, proof.side_a.leaf, proof.side_a.path, tree.root)


def _describe(proof: ForkProof, both: tuple[Statement, Statement]) -> dict[str, Any]:
    about: dict[str, Any] = {"form": proof.form.value, "log": both[0].log}
    for name, statement in zip("ab", both, strict=True):
        if statement.checkpoint is not None:
            tree = statement.checkpoint[0]
            about |= {f"{name}_size": tree.size, f"{name}_root": encode_b64(tree.root)}
        elif statement.receipt is not None:
            receipt = statement.receipt[1]
            about |= {f"{name}_index": receipt.idx, f"{name}_aud": receipt.aud, f"{name}_pair": receipt.pair}
    return about


def _note_limits(both: tuple[Statement, Statement]) -> tuple[Words, ...]:
    notes = [
        Words(
            "签署者即持有该成员密钥的人；密钥是否曾被宣告泄露，策略文件不知道",
            "the signer is whoever held the member's key; a policy file does not know whether it was declared compromised",
        )
    ]
    if any(statement.receipt is not None for statement in both):
        notes.append(
            Words(
                "未比较节点密钥的有效期：回执本身不证明时间",
                "the dates of the node key were not compared: a receipt proves no time by itself",
            )
        )
    return tuple(notes)
