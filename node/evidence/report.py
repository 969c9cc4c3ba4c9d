# SPDX-License-Identifier: Apache-2.0
"""The report of a verification, for programs (canonical JSON) and for people (Chinese or English text)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple

from node.core.canonical import encode_json
from node.core.clock import MAX_TIME
from node.core.encoding import encode_b64u
from node.evidence.steps import Outcome, Step, Words

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from node.core.types import EntryIndex, LeafHash, MemberCode, TreeSize
    from node.evidence.policy import Demand, Level
    from node.log.anchor import Anchor

    Say = Callable[[str, str], str]

Language = Literal["zh", "en"]

MEANINGS: Final = (
    ("valid", Words("有效", "valid")),
    ("withdrawn", Words("已撤回或已被更正取代", "withdrawn, or superseded by a correction")),
    ("suspended", Words("异议处理中，暂停使用", "suspended while an objection is decided")),
    ("repaired", Words("已完成信用修复，停止使用", "repaired: credit repair took effect")),
)
"""Status values 0 to 3 (protocol §4): name in the JSON report, and in words."""


class Verdict(StrEnum):
    """The answer in one word; the exit code follows it."""

    SATISFIED = "satisfied"
    REFUSED = "refused"
    UNAVAILABLE = "unavailable"

    @property
    def exit_code(self) -> int:
        """0 satisfied, 1 refused, 3 unavailable: try again."""
        return {"satisfied": 0, "refused": 1, "unavailable": 3}[self.value]


class RecordFinding(NamedTuple):
    """The record as its issuer signed it. Exists only when level ``signed`` is reached."""

    leaf: LeafHash
    issuer: MemberCode
    vct: str
    jti: str
    issued_at: int
    supersedes: bytes | None
    disclosed: Mapping[str, Any]
    withheld: int


@dataclass(frozen=True, slots=True)
class EntryFinding:
    """The entry's place in its log. Exists only when level ``logged`` is reached."""

    log: str
    index: EntryIndex
    size: TreeSize
    signatures: tuple[str, ...]


class IntervalFinding(NamedTuple):
    """The interval of an entry; only a claim of the file unless ``proven``."""

    anchor: Anchor
    proven: bool


@dataclass(frozen=True, slots=True)
class StatusFinding:
    """Status value and its age in seconds; the age is only a claim unless ``proven``, None when it is none."""

    value: int
    list_uri: str
    index: int
    as_of: int
    age_seconds: int | None
    proven: bool


class Report(NamedTuple):
    """What a verification found. Times are seconds since 1970."""

    verdict: Verdict
    checked_at: int
    level: Level
    demand: Demand
    record: RecordFinding | None
    entry: EntryFinding | None
    interval: IntervalFinding | None
    status: StatusFinding | None
    steps: tuple[Step, ...]
    unmet: tuple[Words, ...]
    notes: tuple[Words, ...]

    @property
    def satisfied(self) -> bool:
        """Whether the policy's demand is met and nothing failed."""
        return self.verdict is Verdict.SATISFIED

    @property
    def in_force(self) -> bool | None:
        """Whether the status is valid; None when the status is not known."""
        return None if self.status is None else self.status.value == 0

    def encode(self) -> bytes:
        """Encode as canonical JSON whose members are always all there (docs/evidence.md)."""
        return encode_json(self.build_object())

    def build_object(self) -> dict[str, Any]:
        """Build the JSON form."""
        return _build_object(self)

    def render(self, language: Language, labels: Mapping[str, str] | None = None) -> str:
        """Render for a person.

        Args:
            language: ``zh`` or ``en``.
            labels: Names of fields by code, from the catalogue item; codes stand for themselves.
        """
        return _render(self, language, labels or {})

    def render_verdict(self, language: Language) -> str:
        """Render the verdict alone, in one line without an end."""
        words = _describe_verdict(self)
        return words.zh if language == "zh" else words.en


def iso_time(seconds: int) -> str:
    """Spell a time of 1970 to 9999 in UTC, e.g. ``2026-09-21T13:33:20Z``."""
    assert 0 <= seconds <= MAX_TIME, "times are bounded where they are parsed"
    return datetime.fromtimestamp(seconds, tz=UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _build_object(report: Report) -> dict[str, Any]:
    demand = report.demand
    return {
        "v": 1,
        "verdict": report.verdict.value,
        "satisfied": report.satisfied,
        "checked_at": report.checked_at,
        "level": report.level.text,
        "demanded": {
            "level": demand.level.text,
            "max_status_age": demand.max_status_age,
            "max_interval": demand.max_interval,
            "require": sorted(demand.require),
        },
        "in_force": report.in_force,
        "record": _record_object(report.record),
        "entry": _entry_object(report.entry),
        "interval": _interval_object(report.interval),
        "status": _status_object(report.status),
        "steps": [build_step_object(step) for step in report.steps],
        "unmet": [words._asdict() for words in report.unmet],
        "notes": [words._asdict() for words in report.notes],
    }


def build_step_object(step: Step) -> dict[str, Any]:
    """Build the JSON form of a step."""
    return {
        "n": step.number,
        "name": step.kind.name,
        "outcome": step.outcome.value,
        "advisory": step.kind.advisory,
        "code": step.code,
        "zh": step.reason.zh,
        "en": step.reason.en,
    }


def _record_object(record: RecordFinding | None) -> dict[str, Any] | None:
    if record is None:
        return None
    return {
        "leaf": encode_b64u(record.leaf),
        "issuer": record.issuer,
        "vct": record.vct,
        "jti": record.jti,
        "issued_at": record.issued_at,
        "supersedes": None if record.supersedes is None else encode_b64u(record.supersedes),
        "disclosed": dict(record.disclosed),
        "withheld": record.withheld,
    }


def _entry_object(entry: EntryFinding | None) -> dict[str, Any] | None:
    if entry is None:
        return None
    return {
        "log": entry.log,
        "index": entry.index,
        "size": entry.size,
        "signatures": list(entry.signatures),
    }


def _interval_object(interval: IntervalFinding | None) -> dict[str, Any] | None:
    if interval is None:
        return None
    return {
        "start": interval.anchor.prev_time,
        "end": interval.anchor.time,
        "start_at": iso_time(interval.anchor.prev_time),
        "end_at": iso_time(interval.anchor.time),
        "start_block": interval.anchor.prev_block,
        "end_block": interval.anchor.block,
        "proven": interval.proven,
    }


def _status_object(status: StatusFinding | None) -> dict[str, Any] | None:
    if status is None:
        return None
    return {
        "value": status.value,
        "meaning": MEANINGS[status.value][0],
        "list": status.list_uri,
        "index": status.index,
        "as_of": status.as_of,
        "as_of_at": iso_time(status.as_of),
        "age_seconds": status.age_seconds,
        "proven": status.proven,
    }


_SATISFIED: Final = Words("满足策略要求", "SATISFIED: the policy's demand is met")
_UNAVAILABLE: Final = Words(
    "暂时无法判断：链没有应答或尚未终局，请稍后重试",
    "UNDECIDED: the chain did not answer or is not there yet, try again",
)
_NOT_IN_FORCE: Final = Words(
    "不予采信：内容真实，但记录现在无效", "REFUSED: authentic, but the record is not in force"
)
_WRONG: Final = Words("不予采信：第 {} 步失败", "REFUSED: {} failed")
_UNMET: Final = Words(
    "未达到策略要求：没有发现错误，但证明不足",
    "REFUSED: nothing is wrong, but less is proven than the policy demands",
)
LEVELS: Final = {
    "none": Words("未证明任何事项", "none: nothing is proven"),
    "signed": Words("已签名", "signed"),
    "logged": Words("已入日志", "logged"),
    "anchored": Words("已锚定", "anchored"),
    "final": Words("已终局", "final"),
}
"""What each level is called."""
_OUTCOMES: Final = {
    Outcome.PASSED: Words("通过", "passed"),
    Outcome.FAILED: Words("失败", "FAILED"),
    Outcome.NOT_CHECKED: Words("未检查", "not checked"),
}
_SUBJECT_TYPES: Final = {
    "uscc": Words("统一社会信用代码", "unified social credit code"),
    "org": Words("组织机构代码", "organisation code"),
    "reg": Words("工商注册号", "registration number"),
    "rid": Words("居民身份证号", "resident id"),
    "name": Words("名称", "name"),
}


def _render(report: Report, language: Language, labels: Mapping[str, str]) -> str:
    def say(zh: str, en: str) -> str:
        return zh if language == "zh" else en

    def word(words: Words) -> str:
        return say(words.zh, words.en)

    lines = [say("证据验证报告", "Evidence report") + f"  {iso_time(report.checked_at)}"]
    lines.append(say("结论：", "Verdict: ") + word(_describe_verdict(report)))
    if report.status is not None and report.status.value != 0:
        meaning = word(MEANINGS[report.status.value][1])
        lines.append(say(f"★ 该记录现在不能作为有效记录使用：{meaning}", f"*** NOT IN FORCE: {meaning} ***"))
    lines.append(
        say("证明程度：", "Level: ")
        + word(LEVELS[report.level.text])
        + say("，要求：", ", demanded: ")
        + word(LEVELS[report.demand.level.text])
    )
    lines += [say("  未满足：", "  not met: ") + word(reason) for reason in report.unmet]
    lines += _render_record(report, say, labels)
    lines += _render_times(report, say)
    lines += render_steps(report.steps, report.notes, language)
    return "\n".join(lines) + "\n"


def render_steps(steps: Sequence[Step], notes: Sequence[Words], language: Language) -> list[str]:
    """Render steps and notes, one a line."""

    def say(zh: str, en: str) -> str:
        return zh if language == "zh" else en

    lines = [say("步骤：", "Steps:")]
    for step in steps:
        advisory = say("（仅提示）", " (advisory)") if step.kind.advisory else ""
        outcome = say(*_OUTCOMES[step.outcome])
        title, reason = say(*step.kind.title), say(*step.reason)
        lines.append(f"  {step.number:>2} {outcome}{advisory}  {title}{say('：', ': ')}{reason}")
    return lines + [say("说明：", "Note: ") + say(*note) for note in notes]


def _describe_verdict(report: Report) -> Words:
    if report.verdict is Verdict.SATISFIED:
        return _SATISFIED
    if report.verdict is Verdict.UNAVAILABLE:
        return _UNAVAILABLE
    wrong = [step for step in report.steps if step.outcome is Outcome.FAILED and not step.kind.advisory]
    first = wrong[0]
    if first.kind.name == "demand":
        return _UNMET
    if first.kind.name == "in-force":
        return _NOT_IN_FORCE
    numbers = [str(step.number) for step in wrong if step.kind.name != "demand"]
    steps = ("step " if len(numbers) == 1 else "steps ") + ", ".join(numbers)
    return Words(_WRONG.zh.format("、".join(numbers)), _WRONG.en.format(steps))


def _render_record(report: Report, say: Say, labels: Mapping[str, str]) -> list[str]:
    record = report.record
    if record is None:
        return [say("记录：未通过签名验证，内容不予显示", "Record: not verified, its content is not shown")]
    lines = [
        say("记录：", "Record: ") + record.jti,
        say("  签发单位：", "  issuer: ") + record.issuer,
        say("  类别：", "  kind: ") + record.vct,
        say("  自称签发时间：", "  claimed time of issue: ") + iso_time(record.issued_at),
        say("  叶哈希：", "  leaf hash: ") + record.leaf.hex(),
    ]
    if record.supersedes is not None:
        lines.append(
            say("  更正了叶哈希为此的记录：", "  corrects the record with leaf hash: ")
            + record.supersedes.hex()
        )
    lines.append(
        say(
            f"  披露 {len(record.disclosed)} 项，未披露摘要 {record.withheld} 个（含填充）：",
            f"  {len(record.disclosed)} fields disclosed, {record.withheld} digests withheld (fillers among them):",
        )
    )
    for name, value in record.disclosed.items():
        if name == "subject":
            kind = _SUBJECT_TYPES[value["type"]]
            lines.append(
                say(f"    主体（{kind.zh}）：", f"    subject ({kind.en}): ") + printable(value["id"])
            )
        else:
            label = f"{labels[name]} {name}" if name in labels else name
            lines.append(f"    {label}" + say("：", ": ") + printable(value))
    if report.entry is not None:
        entry = report.entry
        lines.append(
            say(
                f"日志：{entry.log}，第 {entry.index} 条，检查点大小 {entry.size}，签名 {'、'.join(entry.signatures)}",
                f"Log: {entry.log}, entry {entry.index}, checkpoint of size {entry.size}, "
                f"signed with {', '.join(entry.signatures)}",
            )
        )
    return lines


def _render_times(report: Report, say: Say) -> list[str]:
    lines = []
    if report.interval is not None:
        anchor = report.interval.anchor
        times = f"{iso_time(anchor.prev_time)} … {iso_time(anchor.time)}"
        blocks = f"{anchor.prev_block} … {anchor.block}"
        if report.interval.proven:
            lines.append(
                say(f"入日志时间：{times}（区块 {blocks}）", f"Logged between: {times} (blocks {blocks})")
            )
        else:
            lines.append(
                say(
                    f"入日志时间：文件自称 {times}，未经链核实",
                    f"Logged between: {times}, says the file; not checked on the chain",
                )
            )
    status = report.status
    if status is None:
        lines.append(say("状态：未知", "Status: unknown"))
        return lines
    meaning = MEANINGS[status.value][1]
    as_of = iso_time(status.as_of)
    text = say(f"状态：{meaning.zh}，截至 {as_of}", f"Status: {meaning.en}, as of {as_of}")
    if status.age_seconds is None:
        text += say("，与本机时钟不符", ", which does not agree with this clock")
    else:
        text += say(f"，{status.age_seconds} 秒之前", f", {status.age_seconds} seconds ago")
    if not status.proven:
        text += say("（时间未经链核实）", " (time not checked on the chain)")
    lines.append(text)
    return lines


def printable(text: str) -> str:
    """Return a signed text fit for a terminal: control and format characters as escapes.

    A field may hold any Unicode; right-to-left marks or escape sequences must not make the report read otherwise.
    """
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)
