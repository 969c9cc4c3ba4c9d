# SPDX-License-Identifier: Apache-2.0
"""The purposes document: for what departments may ask each other, and what each purpose may see.

A shared document (docs/protocol/policy.md): one canonical JSON text, named by its SHA-256, which the network
registers on chain. Every node of the network decides by the same bytes. The text comes from other nodes, so the
parser trusts nothing: a document that contradicts itself is refused as a whole instead of being read in one of its
two senses.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from hashlib import sha256
from importlib.resources import files
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, TypeVar

from node.access.opening import SUBJECT_TYPES
from node.core.canonical import check_members, encode_json, parse_json
from node.core.members import check_integer, check_list, check_text
from node.core.uscc import parse_uscc
from node.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

ROLES: Final = ("issuer", "consumer", "auditor", "regulator", "gateway")
"""Roles of members, as the chain's member registry names them."""

NEEDS: Final = ("basis", "case", "consent")
"""What a purpose may demand of every question."""

MAX_PURPOSES_BYTES: Final = 1 << 20
MAX_LINES: Final = 10_000
"""Most lines of one question, whatever its purpose: one event names at most so many released records."""

_MAX_LISTED: Final = 1_000
_MAX_MEMBERS: Final = 10_000
_MAX_FIELDS: Final = 247
_MAX_DEPTH: Final = 8
_MAX_TITLE_CHARS: Final = 200
_NAMED_IN_MESSAGES: Final = 12
_CODE: Final = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,46}[a-z0-9])?")
_ITEM: Final = re.compile(r"[a-z0-9-]{1,32}:[a-z0-9-]{1,32}")
_FIELD: Final = re.compile(r"[A-Z][A-Z0-9_]{0,31}")
_PURPOSE_MEMBERS: Final = (
    "code",
    "zh",
    "en",
    "bases",
    "without_consent",
    "needs",
    "subjects",
    "roles",
    "members",
    "items",
    "rate",
    "bulk",
    "sealed",
)


@dataclass(frozen=True, slots=True)
class Basis:
    """A registered legal basis: its code and what it is called."""

    code: str
    zh: str
    en: str


@dataclass(frozen=True, slots=True)
class Rate:
    """Most lines in any hour and in any day, for all of a member and for one officer."""

    member_hour: int
    member_day: int
    officer_hour: int
    officer_day: int


@dataclass(frozen=True, slots=True)
class Purpose:
    """One purpose and what it allows.

    Attributes:
        code: Its code, lower-case letters, digits and hyphens, at most 48.
        zh: Its name in Chinese.
        en: Its name in English.
        bases: Codes of the legal bases under which it may be pursued.
        without_consent: Those of them that allow 授权查询 without the subject's consent.
        needs: What every question must show, of ``NEEDS``. With ``consent`` even what is open or shared needs it.
        subjects: Types of subject that may be asked about.
        roles: An asker has one of these roles.
        members: USCCs of the only members that may ask; None for all that have a role.
        items: Fields by ``<item>:<version>``.
        rate: How much may be asked.
        bulk_lines: Most lines of one question; 1 where the purpose knows no bulk query.
        approved_lines: Most lines with a second person's approval.
        sealed: Whether a regulator's warrant may keep a question secret for a time.
    """

    code: str
    zh: str
    en: str
    bases: frozenset[str]
    without_consent: frozenset[str]
    needs: frozenset[str]
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
    bases: Mapping[str, Basis]
    purposes: Mapping[str, Purpose]


_T = TypeVar("_T", Basis, Purpose)


def canonical_purposes(data: bytes) -> bytes:
    """Give a purposes document, written by a person, in the one spelling in which it is registered.

    Args:
        data: JSON in any layout, at most 1 MiB.

    Raises:
        InvalidInput: As ``parse_purposes``, but for the spelling.
    """
    canonical = encode_json(_parse_json(data))
    parse_purposes(canonical)
    return canonical


def parse_purposes(data: bytes) -> PurposeRules:
    """Parse a purposes document.

    Args:
        data: Canonical JSON as docs/protocol/policy.md describes it, at most 1 MiB, untrusted.

    Raises:
        InvalidInput: ``json-…`` for its form, ``document-canonical`` for another spelling, ``document-version``,
            ``purposes-code`` for a code that is malformed, stands twice or refers to nothing, ``purposes-choice``
            for a word that is not one of those allowed, ``purposes-limits`` for limits that contradict each other,
            ``purposes-consent`` for a purpose that both demands and lifts consent.
    """
    members = _parse_json(data)
    if encode_json(members) != data:
        raise InvalidInput("document-canonical", "purposes document is not canonical JSON (RFC 8785)")
    check_members(members, "purposes document", required=("v", "title", "bases", "purposes"))
    if members["v"] != 1 or type(members["v"]) is not int:
        raise InvalidInput(
            "document-version", "purposes document has a version that is not known here: want 1"
        )
    check_names(check_members(members["title"], "title", required=("zh", "en")))
    bases = [_parse_basis(value) for value in check_list(members["bases"], "bases", max_items=_MAX_LISTED)]
    by_code = _by_code(bases, "bases")
    purposes = [
        _parse_purpose(value, by_code.keys())
        for value in check_list(members["purposes"], "purposes", max_items=_MAX_LISTED)
    ]
    return PurposeRules(sha256(data).digest(), by_code, _by_code(purposes, "purposes"))


def load_sample_purposes() -> bytes:
    """Load the sample that comes with the program, in the spelling in which it can be registered."""
    return canonical_purposes(files("node.access").joinpath("samples", "purposes.json").read_bytes())


def check_names(members: Mapping[str, Any]) -> tuple[str, str]:
    """Return the names ``zh`` and ``en`` of something in a shared document.

    Raises:
        InvalidInput: ``document-name`` for one that is empty, ``json-…`` for its form.
    """
    names = [check_text(members[code], code, max_chars=_MAX_TITLE_CHARS) for code in ("zh", "en")]
    if not all(name.strip() for name in names):
        raise InvalidInput("document-name", "a name is empty: want one in Chinese and one in English")
    return names[0], names[1]


def list_codes(codes: Collection[str]) -> str:
    """List codes of a document in a message, the first few of many."""
    first = sorted(codes)[:_NAMED_IN_MESSAGES]
    rest = len(codes) - len(first)
    return ", ".join(first) + (f" and {rest} more" if rest else "")


def _parse_json(data: bytes) -> Any:
    return parse_json(data, max_bytes=MAX_PURPOSES_BYTES, max_depth=_MAX_DEPTH, what="purposes document")


def _parse_basis(value: Any) -> Basis:
    members = check_members(value, "basis", required=("code", "zh", "en"))
    return Basis(_code(members["code"], _CODE, "code of a basis"), *check_names(members))


def _parse_purpose(value: Any, known_bases: Collection[str]) -> Purpose:
    members = check_members(value, "purpose", required=_PURPOSE_MEMBERS)
    code = _code(members["code"], _CODE, "code of a purpose")
    bases = _chosen(members["bases"], f"{code}.bases", known_bases, least=1)
    lifting = _chosen(members["without_consent"], f"{code}.without_consent", bases)
    needs = _chosen(members["needs"], f"{code}.needs", NEEDS)
    if "consent" in needs and lifting:
        raise InvalidInput("purposes-consent", f"{code} demands consent and names bases that lift it")
    bulk = check_members(members["bulk"], f"{code}.bulk", required=("lines", "approved"))
    rate = _parse_rate(members["rate"], code)
    lines = check_integer(bulk["lines"], f"{code}.bulk.lines", least=1, most=MAX_LINES)
    approved = check_integer(bulk["approved"], f"{code}.bulk.approved", least=lines, most=MAX_LINES)
    if approved > rate.officer_hour:
        raise InvalidInput(
            "purposes-limits", f"{code} allows more lines in one question than an officer may ask in an hour"
        )
    if type(members["sealed"]) is not bool:
        raise InvalidInput("purposes-choice", f"{code}.sealed: want true or false")
    return Purpose(
        code,
        *check_names(members),
        bases=bases,
        without_consent=lifting,
        needs=needs,
        subjects=_chosen(members["subjects"], f"{code}.subjects", SUBJECT_TYPES, least=1),
        roles=_chosen(members["roles"], f"{code}.roles", ROLES, least=1),
        members=_parse_askers(members["members"], code),
        items=_parse_items(members["items"], code),
        rate=rate,
        bulk_lines=lines,
        approved_lines=approved,
        sealed=members["sealed"],
    )


def _parse_rate(value: Any, code: str) -> Rate:
    names = ("member_hour", "member_day", "officer_hour", "officer_day")
    members = check_members(value, f"{code}.rate", required=names)
    rate = Rate(*(check_integer(members[name], f"{code}.rate.{name}", least=1) for name in names))
    if (
        rate.member_hour > rate.member_day
        or rate.officer_hour > min(rate.officer_day, rate.member_hour)
        or rate.officer_day > rate.member_day
    ):
        raise InvalidInput(
            "purposes-limits",
            f"{code}.rate contradicts itself: want an hour within its day and an officer within the member",
        )
    return rate


def _parse_askers(value: Any, code: str) -> frozenset[str] | None:
    if value is None:
        return None
    listed = check_list(value, f"{code}.members", max_items=_MAX_MEMBERS)
    askers = [parse_uscc(check_text(member, f"{code}.members", max_chars=18)) for member in listed]
    if not askers or len(set(askers)) != len(askers):
        raise InvalidInput(
            "purposes-code", f"{code}.members is empty or names a member twice: want null for all"
        )
    return frozenset(askers)


def _parse_items(value: Any, code: str) -> Mapping[str, frozenset[str]]:
    items: dict[str, frozenset[str]] = {}
    for entry in check_list(value, f"{code}.items", max_items=_MAX_LISTED):
        members = check_members(entry, f"{code}.items", required=("item", "fields"))
        key = _code(members["item"], _ITEM, f"{code}.items.item")
        listed = check_list(members["fields"], f"{code}.items.fields", max_items=_MAX_FIELDS)
        fields = [_code(field, _FIELD, f"{code}.items.fields") for field in listed]
        if key in items or len(set(fields)) != len(fields):
            raise InvalidInput("purposes-code", f"{code} names item {key} or one of its fields twice")
        items[key] = frozenset(fields)
    if not items:
        raise InvalidInput("purposes-code", f"{code} names no catalogue item")
    return MappingProxyType(items)


def _chosen(value: Any, what: str, allowed: Collection[str], *, least: int = 0) -> frozenset[str]:
    words = check_list(value, what, max_items=_MAX_LISTED)
    if any(type(word) is not str or word not in allowed for word in words):
        raise InvalidInput("purposes-choice", f"{what}: want words of {list_codes(allowed) or 'none'}")
    if len(set(words)) != len(words) or len(words) < least:
        raise InvalidInput(
            "purposes-choice", f"{what} says a word twice, or has fewer than {least}: got {len(words)}"
        )
    return frozenset(words)


def _code(value: Any, form: re.Pattern[str], what: str) -> str:
    if type(value) is not str or not form.fullmatch(value):
        raise InvalidInput("purposes-code", f"{what} is malformed: want {form.pattern}")
    return value


def _by_code(entries: list[_T], what: str) -> Mapping[str, _T]:
    found = {entry.code: entry for entry in entries}
    if len(found) != len(entries) or not entries:
        raise InvalidInput("purposes-code", f"{what} is empty, or has one code twice")
    return MappingProxyType(found)
