# SPDX-License-Identifier: Apache-2.0
"""Openings of access events: what stands behind each of the ten salted names (protocol §6)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from node.core.canonical import check_members, encode_json, read_json
from node.core.encoding import check_digest, parse_b64u
from node.core.members import check_list, check_text
from node.core.uscc import parse_member
from node.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_OPENING_BYTES: Final = 1 << 20
"""Greatest size of the JSON of one opening in bytes: an export of 10,000 records names each of them."""

SUBJECT_TYPES: Final = ("uscc", "org", "reg", "rid", "name")
_MAX_RELEASED: Final = 10_000
_MAX_FIELDS: Final = 1_024
_MAX_TEXT_CHARS: Final = 1_024
_SALT_CHARS: Final = 24
_SALT: Final = re.compile(r"[A-Za-z0-9_-]{24}")
"""18 bytes: each such text is the one spelling of some."""
_ITEMS: Final = 3
_PAIR: Final = 2
_MAX_DEPTH: Final = 8


def parse_opening(text: str) -> tuple[str, Any]:
    """Parse an opening and return its name and value.

    Args:
        text: A disclosure, base64url of the canonical JSON of [salt, name, value], untrusted.

    Raises:
        InvalidInput: ``opening-shape`` for anything but such an array with a salt of 24 characters,
            ``opening-size``, ``opening-name`` for a name that no event has, ``opening-value`` and ``json-…``
            for a value that has not the shape of its name.
    """
    if len(text) > 2 * MAX_OPENING_BYTES:
        raise InvalidInput(
            "opening-size", f"opening is too large: want at most {MAX_OPENING_BYTES} bytes of JSON"
        )
    data = parse_b64u(text)
    array, is_canonical = read_json(data, max_bytes=MAX_OPENING_BYTES, max_depth=_MAX_DEPTH, what="opening")
    if type(array) is not list or len(array) != _ITEMS or not (is_canonical or encode_json(array) == data):
        raise InvalidInput("opening-shape", "opening is not a canonical array of salt, name and value")
    salt, name, value = array
    if type(salt) is not str or len(salt) != _SALT_CHARS:
        raise InvalidInput("opening-shape", f"salt of an opening is not {_SALT_CHARS} base64url characters")
    if not _SALT.fullmatch(salt):
        # It says what is wrong.
        parse_b64u(salt)
    if type(name) is not str:
        raise InvalidInput("opening-name", "name of an opening is not text")
    check_opened(name, value)
    return name, value


def check_opened(name: str, value: Any) -> None:
    """Refuse a value that has not the shape of its name; None, which says absent, fits every name.

    Raises:
        InvalidInput: ``opening-name`` for a name that no event has, ``opening-value`` and ``json-…`` codes.
    """
    check = _CHECKS.get(name)
    if check is None:
        raise InvalidInput("opening-name", "no event has this name: want one of the ten salted names")
    if value is not None:
        check(value)


def _check_peer(value: Any) -> None:
    if parse_member(check_text(value, "peer", max_chars=18)) != value:
        raise InvalidInput("opening-value", "peer is not a USCC in its one spelling")


def _check_subject(value: Any) -> None:
    members = check_members(value, "subject", required=("type", "id"))
    if members["type"] not in SUBJECT_TYPES:
        raise InvalidInput("opening-value", f"type of subject is unknown: want {', '.join(SUBJECT_TYPES)}")
    _check_words(members["id"])


def _check_officer(value: Any) -> None:
    members = check_members(value, "officer", required=("id", "idp", "auth"), optional=("second",))
    _check_person(members)
    if "second" in members:
        second = check_members(members["second"], "second officer", required=("id", "idp", "auth"))
        _check_person(second)
        if (second["id"], second["idp"]) == (members["id"], members["idp"]):
            raise InvalidInput("opening-value", "the officer and the second officer are one person")


def _check_person(members: dict[str, Any]) -> None:
    _check_words(members["id"])
    if members["idp"] is not None:
        _check_words(members["idp"])
    if members["auth"] is not None:
        _check_digest(members["auth"])


def _check_items(value: Any) -> None:
    for item in check_list(value, "items", max_items=_MAX_FIELDS):
        members = check_members(item, "item", required=("vct", "fields"))
        _check_words(members["vct"])
        for field in check_list(members["fields"], "fields", max_items=_MAX_FIELDS):
            _check_words(field)


def _check_released(value: Any) -> None:
    for pair in check_list(value, "released", max_items=_MAX_RELEASED):
        if len(check_list(pair, "released item", max_items=_PAIR)) != _PAIR:
            raise InvalidInput("opening-value", "an item of released is not a digest and a list of digests")
        _check_digest(pair[0])
        for digest in check_list(pair[1], "released digests", max_items=_MAX_FIELDS):
            _check_digest(digest)


def _check_digest(value: Any) -> None:
    check_digest(check_text(value, "digest", max_chars=43))


def _check_words(value: Any) -> None:
    if not check_text(value, "opening", max_chars=_MAX_TEXT_CHARS):
        raise InvalidInput("opening-value", "a text of an opening is empty: want null where there is none")


_CHECKS: Final[dict[str, Callable[[Any], None]]] = {
    "peer": _check_peer,
    "subject": _check_subject,
    "officer": _check_officer,
    "purpose": _check_words,
    "basis": _check_words,
    "case": _check_words,
    "items": _check_items,
    "consent": _check_digest,
    "rule": _check_words,
    "released": _check_released,
}
