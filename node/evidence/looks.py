# SPDX-License-Identifier: Apache-2.0
"""Verify the file of a look under a policy: who looked, at whose data, why, and is it in that member's log for good?

proven      the event stands in the member's access log, as far as the policy demands
refused     a step failed, or less is proven than the policy demands
undecided   the chain did not answer, or is not there yet
"""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from node.access.bulk import parse_line, verify_line
from node.access.event import parse_event, verify_openings
from node.access.question import encode_subject
from node.core.encoding import encode_b64u
from node.evidence.chain import check_chain, check_interval
from node.evidence.checks import (
    check_anchor,
    check_checkpoint,
    check_disclosures,
    check_inclusion,
    check_issuer,
    check_record_signature,
    find_log_entry,
)
from node.evidence.demand import check_demand, conclude, find_unmet
from node.evidence.lookfile import parse_look_file
from node.evidence.policy import Level
from node.evidence.report import Verdict, iso_time
from node.evidence.ruling import Finding, Ruling
from node.evidence.steps import Found, Kind, NotChecked, Refuted, Steps, Words
from node.records.names import SUBJECT
from node.records.record import parse_presentation

if TYPE_CHECKING:
    from collections.abc import Mapping

    from node.access.event import ParsedEvent
    from node.core.types import EntryIndex
    from node.evidence.chain import ChainReader
    from node.evidence.checks import LogEntry
    from node.evidence.lookfile import LookFile
    from node.evidence.policy import Policy
    from node.log.interval import Interval

LOOK_STEPS: Final = (
    Kind("file", Words("文件格式", "form of the file"), Level.SIGNED),
    Kind("event", Words("事件格式", "form of the event"), Level.SIGNED),
    Kind("openings", Words("打开的内容", "what was opened of it"), Level.SIGNED),
    Kind("origin", Words("日志归属", "owner of the log"), Level.SIGNED),
    Kind("checkpoint", Words("检查点签名", "signatures of the checkpoint"), Level.SIGNED),
    Kind("inclusion", Words("包含证明", "inclusion in the log"), Level.LOGGED),
    Kind("subject", Words("所涉主体", "about whom it is")),
    Kind("anchor", Words("锚定数据", "anchor agrees with the log"), Level.ANCHORED),
    Kind("chain", Words("所询问的链", "the chain that was asked"), Level.ANCHORED),
    Kind("anchor-commitment", Words("链上锚定", "anchor on the chain"), Level.ANCHORED),
    Kind("interval", Words("时间区间", "time interval"), Level.ANCHORED),
    Kind("claimed-time", Words("自称的时间", "claimed time of the look"), advisory=True),
    Kind("demand", Words("策略要求", "demand of the policy")),
)
"""All steps in order; a step's number is its place here, from 1."""

_FINDINGS: Final = {
    "proven": Words(
        "已证明：该查询记在此单位的访问日志中", "PROVEN: this look stands in that member's access log"
    ),
    "refused": Words(
        "不予采信：有步骤失败，或证明不足", "REFUSED: a step failed, or less is proven than is demanded"
    ),
    "undecided": Words(
        "暂时无法判断：链没有应答或尚未终局", "UNDECIDED: the chain did not answer or is not there yet"
    ),
}
_TEXTS: Final = ("peer", "purpose", "basis", "case", "consent", "rule")


class _Opened(NamedTuple):
    event: ParsedEvent
    values: Mapping[str, Any]


def verify_look_file(
    data: bytes, policy: Policy, *, now_seconds: int, chain: ChainReader | None = None
) -> Ruling:
    """Verify the file of a look.

    Args:
        data: The file, untrusted.
        policy: The verifier's own policy. An age of a status that it demands does not concern a look.
        now_seconds: The verifier's clock, seconds since 1970; only for the report, times are the chain's.
        chain: Asks the RPC that the policy names; not used when the policy names none.

    Returns:
        The ruling. What the look was about is told only when its log's signature and its inclusion hold.
    """
    steps = Steps(LOOK_STEPS)
    check, demand = steps.check, policy.demand._replace(max_status_age=None)
    file = check("file", lambda: _check_file(data))
    event = check("event", lambda: _check_event(file.value))
    opened = check("openings", lambda: _check_openings(file.value, event.value))
    named = check("origin", lambda: _check_origin(file.value, policy))
    entry = check("checkpoint", lambda: check_checkpoint(named.value, demand))
    index = check("inclusion", lambda: check_inclusion(entry.value, file.value.event.encode()))
    about = check("subject", lambda: _check_subject(file.value, opened.value, named.value, policy))
    anchor = check("anchor", lambda: check_anchor(file.value.anchor, entry.value, policy))
    wanted = file.find() is not None and file.value.anchor is not None
    asked = check("chain", lambda: check_chain(policy, chain, wanted=wanted))
    times = check("anchor-commitment", lambda: asked.value.check_commitment(anchor.value))
    interval = check("interval", lambda: check_interval(times.value, index.value, demand.max_interval))
    check("claimed-time", lambda: _check_time(event.value, interval.value))
    unmet = find_unmet(demand, steps, file.find(), None)
    check("demand", lambda: check_demand(demand, unmet, steps))
    verdict = conclude(steps)
    name = {Verdict.SATISFIED: "proven", Verdict.REFUSED: "refused"}.get(verdict, "undecided")
    shown = steps.level() >= Level.LOGGED
    return Ruling(
        what="look",
        verdict=verdict,
        checked_at=now_seconds,
        finding=Finding(name, _FINDINGS[name]),
        convicts=None,
        about=_describe(
            file.value, opened.value, entry.value.log.text, index.value, about.find(), times.find()
        )
        if shown
        else {},
        steps=tuple(steps.done),
        notes=_note_limits(steps),
    )


def _check_file(data: bytes) -> Found[LookFile]:
    file = parse_look_file(data)
    parts = ["event", "open", "inclusion"]
    parts += [name for name in ("anchor", "record") if getattr(file, name) is not None]
    return Found(
        file, f"{len(data)} 字节，含 {'、'.join(parts)}", f"{len(data)} bytes with {', '.join(parts)}"
    )


def _check_event(file: LookFile) -> Found[ParsedEvent]:
    event = parse_event(file.event.encode())
    return Found(event, f"{event.kind} 事件", f"a {event.kind} event")


def _check_openings(file: LookFile, event: ParsedEvent) -> Found[_Opened]:
    values = verify_openings(event, file.openings)
    return Found(
        _Opened(event, values),
        f"打开的 {len(values)} 项均与事件中的摘要一致",
        f"all {len(values)} values match digests of the event",
    )


def _check_origin(file: LookFile, policy: Policy) -> Found[LogEntry]:
    entry = find_log_entry(file.inclusion, policy)
    log = entry.log
    if log.origin.kind != "access":
        raise Refuted("log-kind", "不是访问日志", f"{log.text} is no access log")
    return Found(entry, f"{log.text} 属于 {log.owner}", f"{log.text} belongs to {log.owner}")


def _check_subject(
    file: LookFile, opened: _Opened, entry: LogEntry, policy: Policy
) -> Found[Mapping[str, str]]:
    """Find about whom it is: as the event says, or as the record says that it names by digest."""
    named = opened.values.get(SUBJECT)
    if sum(each is not None for each in (named, file.record, file.line)) > 1:
        raise Refuted(
            "look-subject", "主体不止一处写明", "about whom it is stands in more than one place of the file"
        )
    if file.line is not None:
        line = verify_line(opened.event, file.line.text, file.line.k, file.line.path)
        return Found(
            encode_subject(line.subject),
            f"是批量查询的第 {file.line.k} 行",
            f"it is line {file.line.k} of a bulk event",
        )
    if named is not None:
        return Found(named, "事件写明了主体", "the event names its subject")
    if file.record is None:
        raise NotChecked("事件未写明主体，也没有附记录", "the event names no subject, and no record is there")
    presentation = parse_presentation(file.record)
    keys = check_issuer(presentation, policy).value
    verified = check_disclosures(check_record_signature(presentation, keys[0]).value).value
    released = {jwt for jwt, _ in opened.values.get("released") or ()}
    if verified.claims.iss != entry.log.owner or encode_b64u(sha256(verified.jwt).digest()) not in released:
        raise Refuted(
            "look-subject", "事件没有提到所附的记录", "the event does not name the record in the file"
        )
    subject = verified.disclosed.get(SUBJECT)
    if subject is None:
        raise Refuted(
            "look-subject", "所附记录没有披露主体", "the record in the file does not disclose its subject"
        )
    return Found(
        subject,
        f"事件提到 {entry.log.owner} 关于该主体的记录",
        f"it names a record of {entry.log.owner} about this subject",
    )


def _check_time(event: ParsedEvent, interval: Interval) -> Found[None]:
    claimed = event.t_ms // 1_000
    if not interval.allows_claim(claimed):
        raise Refuted(
            "claimed-time",
            "自称的时间在区间之外，以区间为准",
            "the claimed time lies outside the interval, which is what counts",
        )
    return Found(None, "在区间内（前后容差 5 分钟）", "within the interval, give or take 5 minutes")


def _describe(
    file: LookFile,
    opened: _Opened,
    log: str,
    index: EntryIndex,
    about: Mapping[str, str] | None,
    interval: Interval | None,
) -> dict[str, Any]:
    event, values = opened
    described: dict[str, Any] = {
        "log": log,
        "index": index,
        "kind": event.kind,
        "claimed_at": iso_time(event.t_ms // 1_000),
        "rid": encode_b64u(event.rid),
        "n": event.n,
    }
    if interval is not None:
        described["logged_between"] = [iso_time(interval.start_time), iso_time(interval.end_time)]
    if about is not None:
        described["subject"] = f"{about['type']} {about['id']}"
    described |= {name: values[name] for name in _TEXTS if values.get(name) is not None}
    described["items"] = [f"{item['vct']} {' '.join(item['fields'])}" for item in values.get("items") or ()]
    released = values.get("released")
    if file.line is not None and about is not None:
        released = parse_line(file.line.text).released
    if released is not None:
        described["records_given"] = len(released)
    return described


def _note_limits(steps: Steps) -> tuple[Words, ...]:
    notes = []
    if steps.passed("anchor-commitment"):
        notes.append(
            Words(
                "链上锚定由策略指定的 RPC 确认：谁运行它，就等于相信谁对链的说法",
                "the anchor was confirmed by the RPC that the policy names: whoever runs it is believed about the chain",
            )
        )
    else:
        notes.append(Words("未证明时间", "no time is proven"))
    return tuple(notes)
