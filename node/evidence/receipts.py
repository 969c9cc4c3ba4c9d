# SPDX-License-Identifier: Apache-2.0
"""Verify a receipt under a policy: is it genuine, and was it honoured (protocol section 7, docs/protocol/proofs.md).

honoured        the promised event stands at the promised place under an anchor that came in time
not-due         there is still time
not-honoured    it convicts its signer: anchored too late or never, another leaf, an unanswered demand
unshown         anchored in time, but nothing in the file or on the chain shows which event stands there
genuine         signed and fitting its event; the policy asks for no more
invalid         no promise of that member at all
undecided       the chain did not answer, or the policy names no RPC
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from node.access.event import parse_event, verify_openings
from node.access.receipt import read_receipt
from node.core.encoding import encode_b64u
from node.crypto.jws import verify_jws
from node.evidence.chain import check_chain, check_key_dates
from node.evidence.checks import check_checkpoint, find_log_entry
from node.evidence.forks import find_node_key
from node.evidence.honouring import Asking, Included
from node.evidence.policy import Level
from node.evidence.promises import DemandState, parse_receipt_file
from node.evidence.report import Verdict, iso_time
from node.evidence.ruling import Finding, Ruling
from node.evidence.steps import Found, Kind, NotChecked, Outcome, Refuted, Steps, Words
from node.log.checkpoint import log_id, parse_origin
from node.log.interval import Interval, check_first_cover
from node.log.merkle import leaf_hash, verify_inclusion

if TYPE_CHECKING:
    from node.access.receipt import Receipt
    from node.crypto.jws import Jws
    from node.evidence.format import AnchorReference
    from node.evidence.policy import Policy, TrustedKey
    from node.evidence.promises import ReceiptChain, ReceiptFile

RECEIPT_STEPS: Final = (
    Kind("file", Words("文件格式", "form of the file"), Level.SIGNED),
    Kind("receipt", Words("回执格式", "form of the receipt"), Level.SIGNED),
    Kind("node-key", Words("签发成员的节点密钥", "node key of the issuer"), Level.SIGNED),
    Kind("receipt-signature", Words("回执签名", "signature of the receipt"), Level.SIGNED),
    Kind("log", Words("日志归属", "owner of the log"), Level.SIGNED),
    Kind("event", Words("所附事件", "the event given with it")),
    Kind("inclusion", Words("包含证明", "inclusion in the log"), Level.LOGGED),
    Kind("anchor", Words("锚定数据", "anchor agrees with the log"), Level.ANCHORED),
    Kind("chain", Words("所询问的链", "the chain that was asked"), Level.ANCHORED),
    Kind("anchor-commitment", Words("链上锚定", "anchor on the chain"), Level.ANCHORED),
    Kind("key-dates", Words("密钥有效期", "dates of the key")),
    Kind("demand", Words("链上质询", "demand on the chain")),
    Kind("promise", Words("是否履行", "whether it was honoured")),
)
"""All steps in order; a step's number is its place here, from 1."""

_CONVICTING: Final = ("demand", "promise")
_OPEN: Final = {"receipt-not-due": "not-due", "receipt-grace": "not-due", "receipt-unshown": "unshown"}
_FINDINGS: Final = {
    "honoured": Words("已履行", "HONOURED: the event stands where it was promised, anchored in time"),
    "genuine": Words(
        "真实：签名成立；策略不要求更多", "GENUINE: the signature holds; the policy asks for no more"
    ),
    "not-due": Words("尚未到期：仍在承诺期限内", "NOT YET DUE: there is still time"),
    "unshown": Words(
        "按时锚定，但尚未出示该处是哪个事件：可用 ironcage receipt demand 质询",
        "ANCHORED IN TIME, but nothing shows which event stands there: demand it with ironcage receipt demand",
    ),
    "not-honoured": Words("未履行：签发成员应负责", "NOT HONOURED: it convicts its signer"),
    "invalid": Words(
        "不予采信：有步骤失败，此文件不证明任何事", "REFUSED: a step failed, so this file proves nothing"
    ),
    "undecided": Words("暂时无法判断", "UNDECIDED: see the steps that were not checked"),
}


def verify_receipt_file(
    data: bytes, policy: Policy, *, now_seconds: int, chain: ReceiptChain | None = None
) -> Ruling:
    """Verify a receipt and say whether it was honoured.

    Args:
        data: The file, untrusted.
        policy: The verifier's own policy.
        now_seconds: The verifier's clock, seconds since 1970; only for the report, times are the chain's.
        chain: Asks the RPC that the policy names; not used when the policy names none.

    Returns:
        The ruling. It is satisfied when the receipt was honoured, or is genuine under a policy that demands no
        anchors; refused when it is invalid or convicts; else open.
    """
    steps = Steps(RECEIPT_STEPS)
    check = steps.check
    file = check("file", lambda: _check_file(data))
    read = check("receipt", lambda: _check_receipt(file.value))
    key = check("node-key", lambda: _check_key(read.value, policy))
    signed = check("receipt-signature", lambda: _check_signature(read.value, key.value))
    named = check("log", lambda: _check_log(signed.value, policy))
    check("event", lambda: _check_event(file.value, signed.value))
    included = check("inclusion", lambda: _check_inclusion(file.value, named.value, policy))
    reference = check("anchor", lambda: _check_anchor(file.value, included.value, policy))
    asked = check("chain", lambda: check_chain(policy, chain, wanted=True))
    anchored = check("anchor-commitment", lambda: asked.value.check_commitment(reference.value))

    def asking() -> Asking:
        found = asked.value
        assert chain is not None, "a chain that was asked is there"
        return Asking(found, chain, policy, named.value)

    check("key-dates", lambda: _check_dates(asking(), policy, read.value[0], anchored.find()))
    demand = check("demand", lambda: asking().check_demand())
    shown = included.value if steps.passed("anchor-commitment") else None
    check(
        "promise",
        lambda: asking().check_promise(
            shown, reference.find(), answered=demand.find() is DemandState.ANSWERED
        ),
    )
    return _conclude(steps, policy, now_seconds, signed.find())


def _conclude(steps: Steps, policy: Policy, now_seconds: int, receipt: Receipt | None) -> Ruling:
    name = _find_finding(steps, policy)
    words = _FINDINGS[name]
    if name == "not-honoured":
        # What convicts is said first; the steps repeat it.
        reason = next(
            step.reason
            for step in steps.done
            if step.outcome is Outcome.FAILED and step.kind.name in _CONVICTING
        )
        words = Words(f"{words.zh}：{reason.zh}", f"{words.en}: {reason.en}")
    verdict = Verdict.UNAVAILABLE
    if name in {"honoured", "genuine"}:
        verdict = Verdict.SATISFIED
    elif name in {"not-honoured", "invalid"}:
        verdict = Verdict.REFUSED
    return Ruling(
        what="receipt",
        verdict=verdict,
        checked_at=now_seconds,
        finding=Finding(name, words),
        convicts=receipt.iss if receipt is not None and name == "not-honoured" else None,
        about={} if receipt is None else _describe(receipt),
        steps=tuple(steps.done),
        notes=tuple(_note_limits(steps)),
    )


def _find_finding(steps: Steps, policy: Policy) -> str:
    failed = {step.kind.name for step in steps.failures()}
    if failed:
        return "invalid" if failed - set(_CONVICTING) else "not-honoured"
    if steps.passed("promise"):
        return "honoured"
    found = _OPEN.get(steps.done[-1].code or "", "undecided")
    logged = policy.demand.level is Level.LOGGED and steps.passed("inclusion")
    if found == "undecided" and (policy.demand.level <= Level.SIGNED or logged):
        return "genuine"
    return found


def _check_file(data: bytes) -> Found[ReceiptFile]:
    file = parse_receipt_file(data)
    parts = [name for name in ("event", "inclusion", "anchor") if getattr(file, name) is not None]
    return Found(
        file,
        f"{len(data)} 字节，含 {'、'.join(['receipt', *parts])}",
        f"{len(data)} bytes with {', '.join(['receipt', *parts])}",
    )


def _check_receipt(file: ReceiptFile) -> Found[tuple[Jws, Receipt]]:
    jws, receipt = read_receipt(file.receipt)
    return Found(
        (jws, receipt),
        f"{receipt.iss} 许给 {receipt.aud}：日志 {receipt.log} 第 {receipt.idx} 条，{iso_time(receipt.anchor_by)} 前锚定",
        f"{receipt.iss} promises {receipt.aud} entry {receipt.idx} of log {receipt.log}, anchored by "
        f"{iso_time(receipt.anchor_by)}",
    )


def _check_key(read: tuple[Jws, Receipt], policy: Policy) -> Found[TrustedKey]:
    jws, receipt = read
    key = find_node_key(policy, receipt.iss, jws)
    kid = jws.header["kid"]
    return Found(
        key, f"策略承认 {receipt.iss} 的节点密钥 {kid}", f"the policy names node key {kid} of {receipt.iss}"
    )


def _check_signature(read: tuple[Jws, Receipt], key: TrustedKey) -> Found[Receipt]:
    verify_jws(read[0], key.public)
    iss = read[1].iss
    return Found(read[1], f"{iss} 的 Ed25519 签名成立", f"the Ed25519 signature of {iss} holds")


def _check_log(receipt: Receipt, policy: Policy) -> Found[Receipt]:
    log = policy.find_log(receipt.log)
    if log is None:
        raise Refuted("log-unknown", "策略不认识该日志", "the policy does not name the log of this receipt")
    return Found(receipt, f"{log.text} 属于 {receipt.iss}", f"{log.text} belongs to {receipt.iss}")


def _check_event(file: ReceiptFile, receipt: Receipt) -> Found[None]:
    if file.event is None:
        raise NotChecked("文件中没有事件", "the file does not hold the event")
    entry = file.event.encode()
    if leaf_hash(entry) != receipt.leaf:
        raise Refuted(
            "receipt-leaf", "回执不是为所附事件开出的", "the receipt is not for the event in the file"
        )
    event = parse_event(entry)
    if event.rid != receipt.rid:
        raise Refuted(
            "receipt-rid", "回执与事件的请求不同", "the receipt names another request than its event"
        )
    opened = verify_openings(event, file.openings)
    return Found(
        None,
        f"{event.kind} 事件，叶哈希相符，已打开 {len(opened)} 项",
        f"a {event.kind} event, its leaf is the receipt's, {len(opened)} values opened",
    )


def _check_inclusion(file: ReceiptFile, receipt: Receipt, policy: Policy) -> Found[Included]:
    if file.inclusion is None:
        raise NotChecked("文件中没有包含证明", "the file holds no inclusion proof")
    entry = find_log_entry(file.inclusion, policy)
    proof, tree = entry.proof, entry.checkpoint
    own, other = parse_origin(receipt.log), entry.log.origin
    same = other == own
    if (own.domain, own.member, own.kind) != (other.domain, other.member, other.kind) or other.n < own.n:
        raise Refuted("receipt-log", "包含证明属于另一日志", "the inclusion is in another log")
    if same and proof.index != receipt.idx:
        raise Refuted("receipt-index", "包含证明属于另一条", "the inclusion is of another entry")
    check_checkpoint(entry, policy.demand)
    verify_inclusion(proof.index, tree.size, receipt.leaf, proof.path, tree.root)
    return Found(
        Included(tree.origin, proof.index, tree.size, tree.root),
        f"是日志 {tree.origin} 的第 {proof.index} 条",
        f"it is entry {proof.index} of log {tree.origin}",
    )


def _check_anchor(file: ReceiptFile, included: Included, policy: Policy) -> Found[AnchorReference]:
    reference = file.anchor
    if reference is None:
        raise NotChecked("文件中没有锚定", "the file holds no anchor")
    anchor, chain = reference.anchor, policy.chain
    if (reference.chain_id, reference.contract) != (chain.id, chain.contract):
        raise Refuted(
            "anchor-chain", "锚定不在策略的链与合约上", "the anchor is on another chain or contract"
        )
    if reference.log_id != log_id(included.origin):
        raise Refuted("anchor-log", "锚定属于另一日志", "the anchor is of another log than the checkpoint")
    if (anchor.size, anchor.root) != (included.size, included.root):
        raise Refuted(
            "anchor-checkpoint", "锚定与检查点不同", "the anchor is of another state than the checkpoint"
        )
    check_first_cover(anchor, included.index)
    return Found(
        reference,
        f"第 {anchor.i} 次锚定首次覆盖该条目",
        f"anchor {anchor.i} is the first to cover it",
    )


def _check_dates(asking: Asking, policy: Policy, jws: Jws, confirmed: Interval | None) -> Found[None]:
    keys = policy.find_keys(asking.receipt.iss, "node", jws.header["kid"])
    return check_key_dates(keys, confirmed or asking.claimed_interval())


def _describe(receipt: Receipt) -> dict[str, Any]:
    return {
        "iss": receipt.iss,
        "aud": receipt.aud,
        "log": receipt.log,
        "index": receipt.idx,
        "leaf": encode_b64u(receipt.leaf),
        "pair": receipt.pair,
        "signed_at": iso_time(receipt.iat),
        "anchor_by": iso_time(receipt.anchor_by),
    }


def _note_limits(steps: Steps) -> list[Words]:
    notes = []
    if steps.passed("chain"):
        notes.append(
            Words(
                "链上情况由策略指定的 RPC 确认：谁运行它，就等于相信谁对链的说法",
                "the chain was asked through the RPC that the policy names: whoever runs it is believed about the chain",
            )
        )
    if steps.passed("key-dates") and not steps.passed("anchor-commitment"):
        notes.append(
            Words(
                "密钥有效期按回执自称的签发时间比较，该时间未经证明",
                "the dates of the key were compared with the time that the receipt claims, which nothing proves",
            )
        )
    return notes
