# SPDX-License-Identifier: Apache-2.0
"""The purposes document: for what departments may ask each other, and what each purpose may see.

A shared document (docs/protocol/policy.md): one canonical JSON text, named by its SHA-256, which the network
registers on chain. Every node of the network decides by the same bytes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Named:
    """A registered legal basis: its code and what it is called."""

    code: str
    zh: str
    en: str


@dataclass(frozen=True, slots=True)
class Rate:
    """Greatest number of lines in any hour and any day; None is no limit."""

    member_hour: int
    member_day: int
    officer_hour: int | None
    officer_day: int | None


@dataclass(frozen=True, slots=True)
class Purpose:
    """One purpose and what it allows.

    Attributes:
        code: Its code, ``[a-z0-9-]{1,32}``.
        zh: Its name in Chinese.
        en: Its name in English.
        bases: Codes of the legal bases under which it may be pursued.
        without_consent: Those of them that allow 授权查询 without the subject's consent.
        needs_basis: Whether a question must name one.
        needs_case: Whether a question must name a case.
        needs_consent: Whether even what is open or shared needs consent.
        subjects: Types of subject that may be asked about.
        roles: Roles of a member of which an asker must have one.
        members: USCCs of the only members that may ask; None for all with a role.
        items: Fields by ``<item>:<version>``.
        rate: How much may be asked.
        bulk_lines: Most lines of one question; 1 where the purpose allows no bulk query.
        approved_lines: Most lines with a second person's approval.
        sealed: Whether a regulator's warrant may keep it secret for a time.
    """

    code: str
    zh: str
    en: str
    bases: frozenset[str]
    without_consent: frozenset[str]
    needs_basis: bool
    needs_case: bool
    needs_consent: bool
    subjects: frozenset[str]
    roles: frozenset[str]
    members: frozenset[str] | None
    items: Mapping[str, frozenset[str]]
    rate: Rate
    bulk_lines: int
    approved_lines: int
    sealed: bool


@dataclass(frozen=True, slots=True)
class PurposeRules:
    """A purposes document.

    Attributes:
        digest: SHA-256 of its bytes, under which it is registered.
        bases: Legal bases by code.
        purposes: Purposes by code.
    """

    digest: bytes
    bases: Mapping[str, Named]
    purposes: Mapping[str, Purpose]


def parse_purposes(data: bytes) -> PurposeRules:
    """Parse a purposes document."""
    raise NotImplementedError
