# SPDX-License-Identifier: Apache-2.0
"""Findings and remarks of an audit: what does not fit, said neutrally, and where it stands (docs/audit.md).

A finding contradicts a rule of the protocol and counts for the exit code. A remark says what the audit could not see,
or what its reader should know; it contradicts nothing.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import orjson

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

MAX_LISTED: Final = 100
"""How many findings of one code and one log are listed with their proof; the others are counted."""


class Place(NamedTuple):
    """An entry: number of its log in this audit, and its index there."""

    log: int
    at: int


@dataclass(slots=True)
class Finding:
    """One thing that does not fit.

    Attributes:
        code: Stable name, such as ``answer-missing``.
        member: USCC of the member whose log lacks something or contradicts itself; None where none can be named.
        origin: The log in which the finding stands.
        entries: Entries that show it, the first is its place; empty for a finding about a whole log.
        values: What its text names: numbers, sizes, names of fields, never what they hold.
        receipts: Receipts that show it, compact JWS.
        notes: Signed checkpoints that show it.
        opened: What regulators signed that boxes held, JWT.
        proof: The file that proves it, once it is built.
        file: Its name.
    """

    code: str
    member: str | None
    origin: str
    entries: tuple[Place, ...] = ()
    values: dict[str, int | str] = field(default_factory=dict)
    receipts: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    opened: tuple[str, ...] = ()
    proof: bytes | None = None
    file: str | None = None

    def text(self, language: str) -> str:
        """Say it in ``zh`` or ``en``."""
        return finding_text(self.code, language).format_map(self.values)

    def to_json(self) -> dict[str, Any]:
        """Give it as the JSON report has it."""
        return {
            "code": self.code,
            "member": self.member,
            "log": self.origin,
            "index": self.entries[0].at if self.entries else None,
            "text": {"zh": self.text("zh"), "en": self.text("en")},
            "proof": self.file,
        }


class Findings:
    """Collects findings and remarks, in bounded memory however many there are."""

    def __init__(self) -> None:
        self.listed: list[Finding] = []
        self.counts: Counter[tuple[str, str]] = Counter()
        self.remarks: Counter[tuple[str, str]] = Counter()

    def add(
        self,
        code: str,
        member: str | None,
        origin: str,
        entries: Sequence[Place] = (),
        *,
        receipts: Sequence[str] = (),
        notes: Sequence[str] = (),
        opened: Sequence[str] = (),
        values: Mapping[str, int | str] | None = None,
    ) -> None:
        """Note a finding; beyond ``MAX_LISTED`` of a code and log it is only counted."""
        self.counts[code, origin] += 1
        if self.counts[code, origin] <= MAX_LISTED:
            self.listed.append(
                Finding(
                    code,
                    member,
                    origin,
                    tuple(entries),
                    dict(values or {}),
                    tuple(receipts),
                    tuple(notes),
                    tuple(opened),
                )
            )

    def remark(self, code: str, origin: str, count: int = 1) -> None:
        """Count a remark about a log."""
        if count:
            self.remarks[code, origin] += count

    @property
    def total(self) -> int:
        """Number of findings, listed or not."""
        return self.counts.total()


def finding_text(code: str, language: str) -> str:
    """Give the text of a finding or remark, with names of values in braces."""
    return _load_texts()[code]["zh" if language == "zh" else "en"]


def finding_codes() -> list[str]:
    """List the codes of all findings and remarks."""
    return list(_load_texts())


@cache
def _load_texts() -> dict[str, dict[str, str]]:
    data: dict[str, dict[str, str]] = orjson.loads(Path(__file__).with_name("texts.json").read_bytes())
    return data
