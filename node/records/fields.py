# SPDX-License-Identifier: Apache-2.0
"""Fields of a catalogue item: the parsed form and its strict parser (docs/catalogue.md)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from node.core.canonical import check_members
from node.core.members import check_integer, check_list, check_text
from node.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Sequence

DISCLOSURE_CLASSES = ("open", "shared", "authorised")
"""From the widest to the narrowest: 公示, 政府部门共享, 授权查询."""

FIELD_TYPES = frozenset(
    {
        "string",
        "text",
        "enum",
        "enums",
        "date",
        "decimal",
        "uscc",
        "agency",
        "organisation-code",
        "registration-number",
        "code",
        "document",
    }
)
SENSITIVITIES = ("none", "personal", "sensitive")
MAX_CELL_CHARS = 32_767
"""Most characters in one cell, as in Excel."""

_CODE = re.compile(r"[A-Z][A-Z0-9_]{0,31}")
_REFUSE_RULES = ("foreign-value", "several-subjects")
_MAX_LISTED = 500
_OPTIONAL = (
    "required",
    "blank",
    "min_length",
    "max_length",
    "values",
    "open_prefix",
    "integer_digits",
    "fraction_digits",
    "unit",
    "kind_field",
    "resident_kinds",
    "sensitive",
    "disclosure",
    "refuse",
    "headers",
)


@dataclass(frozen=True, slots=True)
class Condition:
    """A statement about another field of the same row.

    Args:
        field: Code of the other field.
        contains: Whether the other field holds several values, one of which must be in ``values``.
        values: The values that make the condition true.
    """

    field: str
    contains: bool
    values: frozenset[str]

    def holds(self, value: str | None) -> bool:
        """Tell whether the condition is true for the other field's normalised value."""
        if value is None:
            return False
        if self.contains:
            return not self.values.isdisjoint(value.split(";"))
        return value in self.values


@dataclass(frozen=True, slots=True)
class Unwanted:
    """Values that show that something else stands in the cell.

    Args:
        how: ``like`` (only ``date``), ``ends`` or ``contains``.
        texts: What the value is like, ends in or contains.
        rule: The rule that refuses it.
    """

    how: str
    texts: tuple[str, ...]
    rule: str


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a catalogue item; its members are explained in docs/catalogue.md."""

    code: str
    zh: str
    en: str
    type: str
    required: bool
    required_when: Condition | None
    blank_when: Condition | None
    min_length: int
    max_length: int
    values: tuple[str, ...]
    value_aliases: dict[str, str]
    open_prefix: str | None
    integer_digits: int
    fraction_digits: int
    unit: str | None
    kind_field: str | None
    resident_kinds: tuple[str, ...]
    sensitive: str
    disclosure: str
    refuse: tuple[Unwanted, ...]
    header_aliases: tuple[str, ...]


def parse_field(value: Any, item_class: str) -> Field:
    """Parse one member of an item's ``fields``.

    Args:
        value: The parsed JSON object, untrusted.
        item_class: Disclosure class of the item, which the field's is not wider than.

    Raises:
        InvalidInput: ``item-field`` for a member whose value is not allowed, ``json-…`` for its form.
    """
    members = check_members(value, "field", required=("code", "zh", "en", "type"), optional=_OPTIONAL)
    code = check_text(members["code"], "field code", max_chars=32)
    if not _CODE.fullmatch(code):
        raise InvalidInput("item-field", "field code is malformed: want [A-Z][A-Z0-9_]{0,31}")
    required = members.get("required", False)
    values, aliases = parse_values(members.get("values", []), code)
    field = Field(
        code=code,
        zh=check_text(members["zh"], f"{code}.zh", max_chars=100),
        en=check_text(members["en"], f"{code}.en", max_chars=100),
        type=_choice(members["type"], f"{code}.type", sorted(FIELD_TYPES)),
        required=required is True,
        required_when=None if isinstance(required, bool) else _condition(required, f"{code}.required"),
        blank_when=_condition(members["blank"], f"{code}.blank") if "blank" in members else None,
        min_length=check_integer(members.get("min_length", 0), f"{code}.min_length", most=MAX_CELL_CHARS),
        max_length=check_integer(
            members.get("max_length", MAX_CELL_CHARS), f"{code}.max_length", least=1, most=MAX_CELL_CHARS
        ),
        values=values,
        value_aliases=aliases,
        open_prefix=_optional_text(members, "open_prefix", code),
        integer_digits=check_integer(members.get("integer_digits", 12), f"{code}.integer_digits", most=30),
        fraction_digits=check_integer(members.get("fraction_digits", 6), f"{code}.fraction_digits", most=12),
        unit=_optional_text(members, "unit", code),
        kind_field=_optional_text(members, "kind_field", code),
        resident_kinds=texts(members.get("resident_kinds", []), f"{code}.resident_kinds"),
        sensitive=_choice(members.get("sensitive", "none"), f"{code}.sensitive", SENSITIVITIES),
        disclosure=_choice(members.get("disclosure", item_class), f"{code}.disclosure", DISCLOSURE_CLASSES),
        refuse=tuple(
            _unwanted(rule, code) for rule in check_list(members.get("refuse", []), code, max_items=20)
        ),
        header_aliases=texts(members.get("headers", []), f"{code}.headers"),
    )
    _check_field(field, item_class)
    return field


def _check_field(field: Field, item_class: str) -> None:
    if DISCLOSURE_CLASSES.index(field.disclosure) < DISCLOSURE_CLASSES.index(item_class):
        raise InvalidInput("item-field", f"{field.code} is disclosed more widely than its item")
    if field.sensitive == "sensitive" and field.disclosure != "authorised":
        raise InvalidInput("item-field", f"{field.code} is sensitive: want disclosure authorised")
    if field.sensitive == "personal" and field.disclosure == "open":
        raise InvalidInput("item-field", f"{field.code} is personal: want disclosure shared or authorised")
    if field.type in {"enum", "enums"} and not field.values:
        raise InvalidInput("item-field", f"{field.code} is an enumeration without values")
    if field.type not in {"enum", "enums", "date"} and field.values:
        raise InvalidInput("item-field", f"{field.code} lists values: want type enum, enums or date")
    if field.type == "enums" and any(";" in value for value in field.values):
        raise InvalidInput("item-field", f"{field.code} has a value with a semicolon, which joins several")
    if (field.type == "document") != (field.kind_field is not None):
        raise InvalidInput("item-field", f"{field.code}: want kind_field with type document and only there")
    if field.required and field.blank_when is not None:
        raise InvalidInput("item-field", f"{field.code} is always required and sometimes blank")


def parse_values(value: Any, what: str) -> tuple[tuple[str, ...], dict[str, str]]:
    """Parse lists of texts, each a value and its aliases, into the values and a table from alias to value.

    Raises:
        InvalidInput: ``item-field`` when one text stands for two values.
    """
    values: list[str] = []
    aliases: dict[str, str] = {}
    for line in check_list(value, f"{what}.values", max_items=_MAX_LISTED):
        spellings = texts(line, f"{what}.values")
        if not spellings:
            raise InvalidInput("item-field", f"{what}.values has an empty list: want a value and its aliases")
        values.append(spellings[0])
        for text in spellings:
            if aliases.setdefault(text, spellings[0]) != spellings[0]:
                raise InvalidInput("item-field", f"{what}.values has one text for two values")
    return tuple(values), aliases


def texts(value: Any, what: str) -> tuple[str, ...]:
    """Return a parsed JSON list of short texts as a tuple."""
    return tuple(
        check_text(text, what, max_chars=200) for text in check_list(value, what, max_items=_MAX_LISTED)
    )


def _condition(value: Any, what: str) -> Condition:
    members = check_members(value, what, required=("field",), optional=("in", "contains"))
    if ("in" in members) == ("contains" in members):
        raise InvalidInput("item-field", f"{what} is no condition: want one of in and contains")
    contains = "contains" in members
    return Condition(
        field=check_text(members["field"], what, max_chars=32),
        contains=contains,
        values=frozenset(texts(members["contains" if contains else "in"], what)),
    )


def _unwanted(value: Any, code: str) -> Unwanted:
    what = f"{code}.refuse"
    members = check_members(value, what, required=("rule",), optional=("like", "ends", "contains"))
    rule = _choice(members["rule"], what, _REFUSE_RULES)
    hows = [how for how in ("like", "ends", "contains") if how in members]
    if len(hows) != 1:
        raise InvalidInput("item-field", f"{what} is no rule: want one of like, ends and contains")
    how = hows[0]
    if how == "like":
        return Unwanted(how, (_choice(members[how], what, ("date",)),), rule)
    return Unwanted(how, texts(members[how], what), rule)


def _choice(value: Any, what: str, choices: Sequence[str]) -> str:
    if value not in choices:
        raise InvalidInput("item-field", f"{what} is not allowed: want one of {', '.join(choices)}")
    return str(value)


def _optional_text(members: dict[str, Any], name: str, code: str) -> str | None:
    return check_text(members[name], f"{code}.{name}", max_chars=32) if name in members else None
