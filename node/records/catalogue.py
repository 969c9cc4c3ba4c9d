# SPDX-License-Identifier: Apache-2.0
"""Catalogue items: the kinds of record that a node takes, each described by a data file (docs/catalogue.md).

An item is shared data: its bytes may come from another node, so the parser trusts nothing. What it guarantees
to the rest of the program: names that fit a ``vct``, fields that refer only to each other, no header name
that stands for two fields, and no way to publish a natural person or a sensitive field.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from node.core.canonical import check_members, parse_json
from node.core.members import check_list, check_text
from node.errors import InvalidInput
from node.records.fields import DISCLOSURE_CLASSES, Field, parse_field, parse_values, texts
from node.records.headers import HeaderTable, build_header_table
from node.records.profile import MAX_DISCLOSURES

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_ITEM_BYTES = 262_144
"""Greatest size of an item's file."""

REFUSED = "refused"
"""In place of a class: natural persons are recognised and refused."""

MAX_FIELDS = MAX_DISCLOSURES - 1
"""Most fields of an item; with the subject they make the most disclosures that a record holds."""

_NAME = re.compile(r"[a-z0-9-]{1,32}")
_CODE_TYPES = ("uscc", "org", "reg", "rid")
_MEMBERS = ("v", "item", "version", "title", "source", "disclosure", "subject", "identity", "fields")
_OPTIONAL = ("order", "not_future", "empty", "ignored_headers")


@dataclass(frozen=True, slots=True)
class NaturalPersons:
    """How an item that takes natural persons knows them, and the class their records get."""

    field: str
    values: frozenset[str]
    disclosure: str


@dataclass(frozen=True, slots=True)
class Subject:
    """Where the subject of a row stands.

    Args:
        name: Code of the field with the party's name.
        codes: Pairs of a subject type and the code of the field that holds it, in order of preference.
        natural_persons: None when the item refuses natural persons.
    """

    name: str
    codes: tuple[tuple[str, str], ...]
    natural_persons: NaturalPersons | None


@dataclass(frozen=True, slots=True)
class CatalogueItem:
    """One kind of record; its members are explained in docs/catalogue.md.

    Args:
        disclosure_class: Widest class of its records.
        class_values: Spellings of the classes in the column that narrows them.
        number: Code of the field with the document number, None when there is none.
        date: Code of the field with the decision date, None when there is none.
        headers: Table of all header names.
    """

    name: str
    version: str
    title_zh: str
    title_en: str
    source: str
    disclosure_class: str
    class_values: dict[str, str]
    subject: Subject
    number: str | None
    date: str | None
    order: tuple[tuple[str, str], ...]
    not_future: tuple[str, ...]
    empty: frozenset[str]
    fields: tuple[Field, ...]
    headers: HeaderTable

    @property
    def key(self) -> str:
        """Return ``<item>:<version>``, the end of the ``vct`` of its records."""
        return f"{self.name}:{self.version}"

    @property
    def field_codes(self) -> tuple[str, ...]:
        """Return the codes of the fields in the order of the record."""
        return tuple(field.code for field in self.fields)

    def narrow_class(self, other: str) -> str:
        """Return the narrower of the item's class and another."""
        return max(self.disclosure_class, other, key=DISCLOSURE_CLASSES.index)


@cache
def load_builtin_items() -> dict[str, CatalogueItem]:
    """Load the items that come with the program, by their keys ``<item>:<version>``."""
    folder = files("node.records").joinpath("items")
    items = [load_item(path.read_bytes()) for path in folder.iterdir() if path.name.endswith(".json")]
    return {item.key: item for item in sorted(items, key=lambda item: item.key)}


def load_item(data: bytes) -> CatalogueItem:
    """Parse the file of a catalogue item and check that it is consistent.

    Args:
        data: JSON as docs/catalogue.md describes it, at most 256 KiB, untrusted.

    Raises:
        InvalidInput: ``json-…`` for its form, ``item-name``, ``item-field``, ``item-reference`` for a code
            that is not a field of the item, ``item-header`` for a header name of two fields,
            ``item-natural-person`` for a class that would publish natural persons.
    """
    members = check_members(
        parse_json(data, max_bytes=MAX_ITEM_BYTES, what="catalogue item"),
        "catalogue item",
        required=_MEMBERS,
        optional=_OPTIONAL,
    )
    if members["v"] != 1 or type(members["v"]) is not int:
        raise InvalidInput("item-version", "catalogue item has another format: want v 1")
    title = check_members(members["title"], "title", required=("zh", "en"))
    disclosure = check_members(
        members["disclosure"], "disclosure", required=("class",), optional=("headers", "values")
    )
    if disclosure["class"] not in DISCLOSURE_CLASSES:
        raise InvalidInput("item-field", f"disclosure.class: want one of {', '.join(DISCLOSURE_CLASSES)}")
    classes, class_values = parse_values(disclosure.get("values", []), "disclosure")
    if not set(classes) <= set(DISCLOSURE_CLASSES):
        raise InvalidInput(
            "item-field", f"disclosure.values: want the first of each in {', '.join(DISCLOSURE_CLASSES)}"
        )
    identity = check_members(members["identity"], "identity", required=("number", "date"))
    fields = tuple(
        parse_field(value, disclosure["class"])
        for value in check_list(members["fields"], "fields", max_items=MAX_FIELDS)
    )
    item = CatalogueItem(
        name=_name(members["item"], "item"),
        version=_name(members["version"], "version"),
        title_zh=check_text(title["zh"], "title.zh", max_chars=100),
        title_en=check_text(title["en"], "title.en", max_chars=100),
        source=check_text(members["source"], "source", max_chars=400),
        disclosure_class=disclosure["class"],
        class_values=class_values,
        subject=_parse_subject(members["subject"]),
        number=_code_or_none(identity["number"], "identity.number"),
        date=_code_or_none(identity["date"], "identity.date"),
        order=tuple(_pair(pair) for pair in check_list(members.get("order", []), "order", max_items=50)),
        not_future=texts(members.get("not_future", []), "not_future"),
        empty=frozenset(texts(members.get("empty", []), "empty")) | {""},
        fields=fields,
        headers=build_header_table(
            fields,
            class_headers=texts(disclosure.get("headers", []), "disclosure.headers"),
            ignored=texts(members.get("ignored_headers", []), "ignored_headers"),
        ),
    )
    _check_references(item)
    return item


def _parse_subject(value: Any) -> Subject:
    members = check_members(value, "subject", required=("name", "codes", "natural_persons"))
    codes = []
    for entry in check_list(members["codes"], "subject.codes", max_items=10):
        code = check_members(entry, "subject.codes", required=("type", "field"))
        if code["type"] not in _CODE_TYPES:
            raise InvalidInput("item-field", f"subject.codes: want type one of {', '.join(_CODE_TYPES)}")
        codes.append((code["type"], check_text(code["field"], "subject.codes", max_chars=32)))
    if [kind for kind, _ in codes] != [kind for kind in _CODE_TYPES if kind in {found for found, _ in codes}]:
        raise InvalidInput(
            "item-field", "subject.codes: want each type once, in the order uscc, org, reg, rid"
        )
    persons = None
    if members["natural_persons"] is not None:
        rule = check_members(
            members["natural_persons"], "natural_persons", required=("field", "values", "disclosure")
        )
        if rule["disclosure"] not in ("shared", "authorised", REFUSED):
            raise InvalidInput(
                "item-natural-person",
                "natural persons are never published: want shared, authorised or refused",
            )
        persons = NaturalPersons(
            field=check_text(rule["field"], "natural_persons.field", max_chars=32),
            values=frozenset(texts(rule["values"], "natural_persons.values")),
            disclosure=rule["disclosure"],
        )
    if (persons is None or persons.disclosure == REFUSED) and any(kind == "rid" for kind, _ in codes):
        raise InvalidInput(
            "item-natural-person", "subject.codes has rid, but the item refuses natural persons"
        )
    return Subject(check_text(members["name"], "subject.name", max_chars=32), tuple(codes), persons)


def _check_references(item: CatalogueItem) -> None:
    """Check that every code named anywhere is a field of the type wanted there."""
    types = {field.code: field.type for field in item.fields}
    if len(types) != len(item.fields) or not types:
        raise InvalidInput("item-field", "catalogue item has no fields, or one code twice")
    for what, code, allowed in [*_item_references(item), *_field_references(item.fields)]:
        if types.get(code) not in allowed:
            raise InvalidInput(
                "item-reference", f"{what} names no field of type {' or '.join(sorted(allowed))}"
            )


def _item_references(item: CatalogueItem) -> Iterator[tuple[str, str, set[str]]]:
    yield "subject.name", item.subject.name, {"string", "text"}
    for kind, code in item.subject.codes:
        yield "subject.codes", code, _SUBJECT_FIELD_TYPES[kind]
    if item.subject.natural_persons is not None:
        yield "natural_persons.field", item.subject.natural_persons.field, {"enum"}
    if item.number is not None:
        yield "identity.number", item.number, {"string"}
    if item.date is not None:
        yield "identity.date", item.date, {"date"}
    for code in (*item.not_future, *(code for pair in item.order for code in pair)):
        yield "order or not_future", code, {"date"}


def _field_references(fields: tuple[Field, ...]) -> Iterator[tuple[str, str, set[str]]]:
    for field in fields:
        if field.kind_field is not None:
            yield f"{field.code}.kind_field", field.kind_field, {"enum"}
        for condition in (field.required_when, field.blank_when):
            if condition is not None:
                yield field.code, condition.field, {"enums"} if condition.contains else {"enum"}


_SUBJECT_FIELD_TYPES = {
    "uscc": {"uscc"},
    "org": {"organisation-code"},
    "reg": {"registration-number"},
    "rid": {"document"},
}


def _name(value: Any, what: str) -> str:
    if type(value) is not str or not _NAME.fullmatch(value):
        raise InvalidInput("item-name", f"{what} is malformed: want [a-z0-9-]{{1,32}}")
    return value


def _code_or_none(value: Any, what: str) -> str | None:
    return None if value is None else check_text(value, what, max_chars=32)


def _pair(value: Any) -> tuple[str, str]:
    codes = texts(value, "order")
    if len(codes) != 2:  # noqa: PLR2004  a pair
        raise InvalidInput("item-field", "order: want pairs of date fields")
    return codes[0], codes[1]
