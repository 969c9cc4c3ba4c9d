# SPDX-License-Identifier: Apache-2.0
"""What is asked: about whom, and which fields of which catalogue items (protocol §8)."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from unicodedata import is_normalized, normalize

from node.access.opening import SUBJECT_TYPES, check_opened
from node.core.canonical import check_members
from node.core.members import check_list, check_text
from node.core.uscc import fold_identifier, parse_uscc
from node.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Sequence

MAX_ITEMS: Final = 64
MAX_FIELDS: Final = 248
MAX_SUBJECT_CHARS: Final = 1_000
MAX_WORDS_CHARS: Final = 1_024

_VCT: Final = re.compile(r"urn:ironcage:[a-z0-9.-]{1,63}:[a-z0-9-]{1,32}:[a-z0-9-]{1,32}")
_FIELD: Final = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}")


class AskedSubject(NamedTuple):
    """About whom is asked.

    Attributes:
        type: One of ``uscc``, ``org``, ``reg``, ``rid``, ``name``.
        id: The identifier, or the name as printed; NFC.
    """

    type: str
    id: str


class ItemQuery(NamedTuple):
    """Which fields of one catalogue item.

    Attributes:
        vct: ``urn:ironcage:<domain>:<item>:<version>``.
        fields: Codes of its fields, ``subject`` like any other: at least one, ascending, each once.
    """

    vct: str
    fields: tuple[str, ...]


def parse_subject(value: Any) -> AskedSubject:
    """Parse ``{"type", "id"}``.

    Raises:
        InvalidInput: ``question-subject``, ``json-…`` and, for type uscc, ``uscc-…`` codes.
    """
    members = check_members(value, "subject", required=("type", "id"))
    subject = AskedSubject(
        check_text(members["type"], "type of subject"),
        check_text(members["id"], "subject", max_chars=MAX_SUBJECT_CHARS),
    )
    if subject.type not in SUBJECT_TYPES:
        raise InvalidInput("question-subject", f"type of subject is unknown: want {', '.join(SUBJECT_TYPES)}")
    if not subject.id or not subject.id.isprintable() or not is_normalized("NFC", subject.id):
        raise InvalidInput("question-subject", "subject is empty, not printable or not NFC")
    if subject.type == "uscc":
        parse_uscc(subject.id)
    return subject


def fold_subject(type_: str, typed: str) -> AskedSubject:
    """Bring a subject, as somebody typed it, into the one form that requests and consents have.

    Args:
        type_: One of ``SUBJECT_TYPES``.
        typed: As typed; codes are folded as an import folds them.

    Raises:
        InvalidInput: As ``parse_subject``.
    """
    folded = normalize("NFC", typed.strip()) if type_ == "name" else fold_identifier(typed)
    return parse_subject({"type": type_, "id": folded})


def encode_subject(subject: AskedSubject) -> dict[str, str]:
    """Give the JSON object of a subject."""
    return {"type": subject.type, "id": subject.id}


def parse_items(value: Any) -> tuple[ItemQuery, ...]:
    """Parse ``[{"vct", "fields": []}]``: items ascending by vct, fields ascending, each once, none empty.

    Raises:
        InvalidInput: ``question-items`` and ``json-…`` codes.
    """
    items = []
    for entry in check_list(value, "items", max_items=MAX_ITEMS):
        members = check_members(entry, "item", required=("vct", "fields"))
        fields = check_list(members["fields"], "fields", max_items=MAX_FIELDS)
        items.append(
            ItemQuery(
                check_text(members["vct"], "vct"), tuple(check_text(field, "field") for field in fields)
            )
        )
    if not all(_VCT.fullmatch(item.vct) and all(map(_FIELD.fullmatch, item.fields)) for item in items):
        raise InvalidInput("question-items", "items hold a name that no catalogue item or field has")
    if not _ascending([item.vct for item in items]) or not all(_ascending(item.fields) for item in items):
        raise InvalidInput(
            "question-items", "items or fields are none, not in ascending order, or one stands twice"
        )
    return tuple(items)


def encode_items(items: Sequence[ItemQuery]) -> list[dict[str, Any]]:
    """Give the JSON array of items, also the value of the salted name ``items``."""
    return [{"vct": item.vct, "fields": list(item.fields)} for item in items]


def covers(whole: Sequence[ItemQuery], part: Sequence[ItemQuery]) -> bool:
    """Tell whether every field of a question is among those of another."""
    fields = {item.vct: set(item.fields) for item in whole}
    return all(fields.get(item.vct, set()).issuperset(item.fields) for item in part)


def parse_words(value: Any, name: str) -> str:
    """Parse a purpose, legal basis or case number: a line that an event can hold too.

    Args:
        value: A parsed JSON value, untrusted.
        name: The salted name that it has in an event.

    Raises:
        InvalidInput: ``question-words`` and ``json-…`` codes.
    """
    text = check_text(value, name, max_chars=MAX_WORDS_CHARS)
    if not text or not text.isprintable():
        raise InvalidInput("question-words", f"{name} is empty or not printable")
    check_opened(name, text)
    return text


def _ascending(names: Sequence[str]) -> bool:
    return bool(names) and all(left < right for left, right in pairwise(names))
