# SPDX-License-Identifier: Apache-2.0
"""Whether what was found meets what the policy demands (docs/evidence.md, step 23 and *Verdict*)."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from node.evidence.policy import Level
from node.evidence.report import LEVELS, Verdict
from node.evidence.steps import Found, NotChecked, Refuted, Words

if TYPE_CHECKING:
    from collections.abc import Sequence

    from node.evidence.format import Evidence
    from node.evidence.lookfile import LookFile
    from node.evidence.policy import Demand
    from node.evidence.report import EntryFinding, StatusFinding
    from node.evidence.steps import Steps


class Unmet(NamedTuple):
    """A demand that is not met. ``retry``: the same file may meet it once the chain answers."""

    words: Words
    retry: bool = False


def find_unmet(
    demand: Demand, steps: Steps, evidence: Evidence | LookFile | None, status: StatusFinding | None
) -> list[Unmet]:
    """List the demands that are not met after steps 1 to 22.

    Args:
        demand: The policy's.
        steps: The steps so far.
        evidence: The parsed file, None when it could not be parsed.
        status: Value and age as found, None when they are not known.
    """
    unmet = []
    level = steps.level()
    if level < demand.level:
        waits = (
            steps.retry
            and demand.level <= Level.ANCHORED
            and evidence is not None
            and evidence.anchor is not None
        )
        unmet.append(
            Unmet(
                Words(
                    f"要求证明程度：{LEVELS[demand.level.text].zh}，现为：{LEVELS[level.text].zh}",
                    f"level {demand.level.text} is demanded, {level.text} is reached",
                ),
                waits,
            )
        )
    if demand.max_status_age is not None:
        late = _find_late(demand.max_status_age, status)
        if late is not None:
            unproven = status is not None and not status.proven
            unmet.append(Unmet(late, steps.retry and unproven))
    if "certificate" in demand.require:
        unmet.append(
            Unmet(
                Words(
                    "要求纪元证书，本版本不验证纪元证书",
                    "an epoch certificate is required, which this version does not verify",
                )
            )
        )
    return unmet


def _find_late(most: int, status: StatusFinding | None) -> Words | None:
    if status is None:
        return Words("要求状态，但状态未知", "a status is demanded, and none is known")
    if status.age_seconds is None:
        return Words(
            "状态的时间晚于本机时钟，两者之一有误",
            "the status is from the future of this clock: one of the two is wrong",
        )
    if status.age_seconds > most:
        return Words(
            f"状态已有 {status.age_seconds} 秒，最多允许 {most} 秒",
            f"the status is {status.age_seconds} seconds old, at most {most} are allowed",
        )
    if not status.proven:
        return Words("状态的时间未经证明", "the age of the status is not proven")
    return None


def check_demand(demand: Demand, unmet: Sequence[Unmet], steps: Steps) -> Found[None]:
    """Conclude: the demand is met, refused, or open until the chain answers.

    Raises:
        Refuted: ``demand-unmet``.
        NotChecked: nothing failed, and all that is missing may come with the chain's answer.
    """
    if not unmet:
        level = demand.level.text
        return Found(None, f"满足：要求{LEVELS[level].zh}", f"met: {level} is demanded")
    zh, en = "；".join(each.words.zh for each in unmet), "; ".join(each.words.en for each in unmet)
    if all(each.retry for each in unmet) and not steps.failures():
        raise NotChecked(zh, en, code="demand-open", retry=True)
    raise Refuted("demand-unmet", zh, en)


def conclude(steps: Steps) -> Verdict:
    """Give the verdict over all steps: satisfied only if none failed and the demand is met."""
    if steps.failures():
        return Verdict.REFUSED
    return Verdict.SATISFIED if steps.passed("demand") else Verdict.UNAVAILABLE


def note_limits(steps: Steps, entry: EntryFinding | None) -> list[Words]:
    """Say what the verdict rests on that a reader may not expect."""
    notes = []
    if steps.passed("anchor-commitment"):
        notes.append(
            Words(
                "链上锚定由策略指定的 RPC 确认：谁运行它，就等于相信谁对链的说法",
                "the anchors were confirmed by the RPC that the policy names: whoever runs it is believed about the chain",
            )
        )
    if entry is not None and "ml-dsa-44" in entry.signatures:
        notes.append(
            Words(
                "检查点有抗量子签名（ML-DSA-44），包含关系即使 Ed25519 被攻破仍可认证；锚定、密钥日期与证书不抗量子",
                "the checkpoint has a post-quantum signature (ML-DSA-44), which authenticates the inclusion even if "
                "Ed25519 is broken; anchors, key dates and certificates are not post-quantum",
            )
        )
    if not steps.passed("interval"):
        notes.append(
            Words(
                "未证明时间，因而也未证明签发密钥当时有效",
                "no time is proven, and so not that the issuer's key was valid then",
            )
        )
    return notes
