# SPDX-License-Identifier: Apache-2.0
"""The numbered steps of a verification and what became of each.

A step's body is a function that returns what it found, raises one of our errors when something does not hold,
or raises ``NotChecked``. A body that uses the value of a step which did not pass is not carried out: the use itself
stops it, so that no step can rest on an unverified one by mistake.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final, Generic, NamedTuple, TypeVar

from node.core.texts import title_of
from node.errors import NodeError, Unavailable, Verification
from node.evidence.policy import Level

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

T = TypeVar("T")


class Words(NamedTuple):
    """One sentence in Chinese and English."""

    zh: str
    en: str


class Kind(NamedTuple):
    """A step as docs/evidence.md lists it: its name, its title, and the level that needs it, if one does."""

    name: str
    title: Words
    level: Level | None = None
    advisory: bool = False


STEPS: Final = (
    Kind("file", Words("文件格式", "form of the file"), Level.SIGNED),
    Kind("record", Words("记录格式", "form of the record"), Level.SIGNED),
    Kind("issuer-key", Words("签发单位的密钥", "key of the issuer"), Level.SIGNED),
    Kind("record-signature", Words("记录签名", "signature of the record"), Level.SIGNED),
    Kind("disclosures", Words("披露的字段", "disclosed fields"), Level.SIGNED),
    Kind("origin", Words("日志归属", "owner of the log"), Level.LOGGED),
    Kind("checkpoint", Words("检查点签名", "signatures of the checkpoint"), Level.LOGGED),
    Kind("inclusion", Words("包含证明", "inclusion in the log"), Level.LOGGED),
    Kind("anchor", Words("锚定数据", "anchor agrees with the log"), Level.ANCHORED),
    Kind("chain", Words("所询问的链", "the chain that was asked"), Level.ANCHORED),
    Kind("anchor-commitment", Words("链上锚定", "anchor on the chain"), Level.ANCHORED),
    Kind("interval", Words("时间区间", "time interval"), Level.ANCHORED),
    Kind("key-dates", Words("密钥有效期", "dates of the key"), Level.ANCHORED),
    Kind("claimed-time", Words("自称的签发时间", "claimed time of issue"), advisory=True),
    Kind("status-list", Words("状态列表", "status list")),
    Kind("status-head", Words("状态首部", "status head")),
    Kind("status-logged", Words("状态首部的包含证明", "status head in the log")),
    Kind("status-anchor", Words("状态首部的锚定数据", "anchor of the status head")),
    Kind("status-commitment", Words("状态首部的链上锚定", "status head's anchor on the chain")),
    Kind("in-force", Words("是否有效", "in force")),
    Kind("chain-proof", Words("链证明", "chain proof")),
    Kind("certificate", Words("纪元证书", "epoch certificate")),
    Kind("demand", Words("策略要求", "demand of the policy")),
)
"""All steps in order; a step's number is its place here, from 1."""


class Outcome(StrEnum):
    """What became of a step."""

    PASSED = "passed"
    FAILED = "failed"
    NOT_CHECKED = "not-checked"


class Step(NamedTuple):
    """A step that was carried out or left out, its number from 1, and why it ended as it did."""

    number: int
    kind: Kind
    outcome: Outcome
    reason: Words
    code: str | None = None


class Found(NamedTuple, Generic[T]):
    """What a step that passed found: a value for later steps and the reason for the report."""

    value: T
    zh: str
    en: str

    @property
    def words(self) -> Words:
        """The reason alone."""
        return Words(self.zh, self.en)


class Refuted(Verification):
    """Something does not hold, said in both languages."""

    def __init__(self, code: str, zh: str, en: str) -> None:
        super().__init__(code, en)
        self.zh = zh

    def __reduce__(self) -> Any:
        """Survive a process boundary."""
        return type(self), (self.code, self.zh, self.message)


class NotChecked(Exception):
    """A step cannot be carried out.

    Args:
        zh: Why, in Chinese.
        en: Why, in English.
        code: Stable code, when an error lies behind it.
        retry: True when it may be carried out later with the same file and policy.
    """

    def __init__(self, zh: str, en: str, *, code: str | None = None, retry: bool = False) -> None:
        super().__init__(en)
        self.zh = zh
        self.en = en
        self.code = code
        self.retry = retry


class Result(Generic[T]):
    """The result of a step, which only a step that passed has."""

    def __init__(self, number: int, found: Found[T] | None) -> None:
        self._number = number
        self._found = found

    @property
    def value(self) -> T:
        """What the step found.

        Raises:
            NotChecked: the step did not pass, so whoever needs its value cannot be checked.
        """
        if self._found is None:
            raise NotChecked(f"取决于第 {self._number} 步", f"depends on step {self._number}")
        return self._found.value

    def find(self) -> T | None:
        """Find what the step found, None when it did not pass."""
        return None if self._found is None else self._found.value


class Steps:
    """The record of one verification.

    Args:
        kinds: The steps in order; those of an evidence file unless another kind of file is verified.
    """

    def __init__(self, kinds: Sequence[Kind] = STEPS) -> None:
        self._kinds = kinds
        self.done: list[Step] = []
        self.retry = False

    def check(self, name: str, body: Callable[[], Found[T]]) -> Result[T]:
        """Carry out the next step and record what became of it.

        Args:
            name: The step's name; steps are carried out in their order, each once.
            body: The check. Our own errors fail the step, ``Unavailable`` and ``NotChecked`` leave it open;
                anything else is a fault of this program and is not caught.
        """
        number = len(self.done) + 1
        kind = self._kinds[number - 1]
        assert kind.name == name, f"step {number} is {kind.name}, not {name}"
        try:
            found = body()
        except NotChecked as open_:
            self.retry = self.retry or open_.retry
            self.done.append(Step(number, kind, Outcome.NOT_CHECKED, Words(open_.zh, open_.en), open_.code))
        except Unavailable as error:
            self.retry = True
            reason = Words(
                f"链没有应答：{title_of(error.code, 'zh')}", f"the chain did not answer: {error.message}"
            )
            self.done.append(Step(number, kind, Outcome.NOT_CHECKED, reason, error.code))
        except NodeError as error:
            self.done.append(Step(number, kind, Outcome.FAILED, _reason_of(error), error.code))
        else:
            self.done.append(Step(number, kind, Outcome.PASSED, Words(found.zh, found.en)))
            return Result(number, found)
        return Result(number, None)

    def passed(self, name: str) -> bool:
        """Tell whether a step was carried out and passed."""
        return any(step.kind.name == name and step.outcome is Outcome.PASSED for step in self.done)

    def failures(self) -> list[Step]:
        """List the steps that failed, advisory ones left out."""
        return [step for step in self.done if step.outcome is Outcome.FAILED and not step.kind.advisory]

    def level(self) -> Level:
        """Return the highest level all of whose steps, and those of the levels below, passed.

        ``final`` needs a chain proof, which this version does not verify.
        """
        reached = Level.NONE
        for level in (Level.SIGNED, Level.LOGGED, Level.ANCHORED):
            if not all(self.passed(kind.name) for kind in self._kinds if kind.level is level):
                break
            reached = level
        return reached


def _reason_of(error: NodeError) -> Words:
    # Errors from lower layers speak English only; the title of their code says in Chinese what is wrong.
    zh = error.zh if isinstance(error, Refuted) else title_of(error.code, "zh")
    return Words(zh, error.message)
