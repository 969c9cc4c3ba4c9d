# SPDX-License-Identifier: Apache-2.0
"""What was found about a fork proof, a receipt or a look, for programs (canonical JSON) and for people (docs/protocol/proofs.md)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple

from node.core.canonical import encode_json
from node.evidence.report import build_step_object, iso_time, printable, render_steps

if TYPE_CHECKING:
    from collections.abc import Mapping

    from node.core.types import MemberCode
    from node.evidence.report import Language, Verdict
    from node.evidence.steps import Step, Words


_TITLES: Final = {
    "fork": ("分叉证明验证报告", "Report on a fork proof"),
    "receipt": ("回执验证报告", "Report on a receipt"),
    "look": ("查询记录验证报告", "Report on a look"),
}


class Finding(NamedTuple):
    """The answer: its stable name and what it says."""

    name: str
    words: Words


class Ruling(NamedTuple):
    """What a verification of a fork proof, of a receipt or of the file of a look found.

    Attributes:
        what: Which of the three was verified.
        verdict: satisfied, refused or unavailable, as the exit code has it.
        checked_at: The verifier's clock, seconds since 1970.
        finding: The answer.
        convicts: The member that is convicted; None when nobody is.
        about: Facts by name for programs; empty until the signatures hold.
        steps: All steps.
        notes: What the finding rests on that a reader may not expect.
    """

    what: Literal["fork", "receipt", "look"]
    verdict: Verdict
    checked_at: int
    finding: Finding
    convicts: MemberCode | None
    about: Mapping[str, Any]
    steps: tuple[Step, ...]
    notes: tuple[Words, ...]

    def build_object(self) -> dict[str, Any]:
        """Build the JSON form; its members are always all there."""
        return {
            "v": 1,
            "what": self.what,
            "verdict": self.verdict.value,
            "satisfied": self.verdict.value == "satisfied",
            "checked_at": self.checked_at,
            "finding": {"name": self.finding.name, **self.finding.words._asdict()},
            "convicts": self.convicts,
            "about": dict(self.about),
            "steps": [build_step_object(step) for step in self.steps],
            "notes": [words._asdict() for words in self.notes],
        }

    def encode(self) -> bytes:
        """Encode as canonical JSON."""
        return encode_json(self.build_object())

    def render_verdict(self, language: Language) -> str:
        """Render the finding alone, in one line without an end."""
        return self.finding.words.zh if language == "zh" else self.finding.words.en

    def render(self, language: Language) -> str:
        """Render for a person."""

        def say(zh: str, en: str) -> str:
            return zh if language == "zh" else en

        title = say(*_TITLES[self.what])
        lines = [
            f"{title}  {iso_time(self.checked_at)}",
            say("结论：", "Finding: ") + printable(self.render_verdict(language)),
        ]
        if self.convicts is not None:
            lines.append(say(f"★ 定责于：{self.convicts}", f"*** CONVICTS: {self.convicts} ***"))
        lines += [f"  {name}: {printable(str(value))}" for name, value in self.about.items()]
        lines += render_steps(self.steps, self.notes, language)
        return "\n".join(lines) + "\n"
