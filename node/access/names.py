# SPDX-License-Identifier: Apache-2.0
"""The names of the members of an exchange domain, for lists that a person reads.

A shared document (docs/protocol/documents.md), kind ``members``, as purposes and catalogue are: the members agree on it by vote.
What is logged and signed names members by their credit codes alone; a name never decides anything.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Final, NamedTuple

from node.access.purposes import check_names
from node.core.canonical import check_members, encode_json, parse_json
from node.core.members import check_list, check_text
from node.core.uscc import parse_uscc
from node.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Mapping

    from node.core.types import MemberCode

MAX_NAMES_BYTES: Final = 1 << 20
_MAX_MEMBERS: Final = 10_000
_MAX_DEPTH: Final = 4


class Name(NamedTuple):
    """What a member is called in Chinese and in English."""

    zh: str
    en: str


def encode_member_names(names: Mapping[MemberCode, Name]) -> bytes:
    """Encode the names of members in the one spelling in which they are registered.

    Raises:
        InvalidInput: As ``parse_member_names``.
    """
    listed = [{"code": code, "zh": name.zh, "en": name.en} for code, name in sorted(names.items())]
    data = encode_json({"v": 1, "members": listed})
    parse_member_names(data)
    return data


def parse_member_names(data: bytes) -> Mapping[MemberCode, Name]:
    """Parse the names of members, by credit code.

    Args:
        data: Canonical JSON as docs/protocol/documents.md describes it, at most 1 MiB, untrusted.

    Raises:
        InvalidInput: ``json-…`` for its form, ``document-canonical`` for another spelling, ``document-version``, ``document-name``
            for a name that is empty or cannot be printed, ``document-members`` for members that are not in ascending order of their codes, each once; or a
            code of the credit code.
    """
    document = parse_json(data, max_bytes=MAX_NAMES_BYTES, max_depth=_MAX_DEPTH, what="names of members")
    if encode_json(document) != data:
        raise InvalidInput("document-canonical", "names of members are not canonical JSON (RFC 8785)")
    check_members(document, "names of members", required=("v", "members"))
    if document["v"] != 1 or type(document["v"]) is not int:
        raise InvalidInput(
            "document-version", "names of members have a version that is not known here: want 1"
        )
    found: list[tuple[MemberCode, Name]] = []
    for value in check_list(document["members"], "members", max_items=_MAX_MEMBERS):
        entry = check_members(value, "member", required=("code", "zh", "en"))
        code = parse_uscc(check_text(entry["code"], "code", max_chars=18))
        name = Name(*check_names({"zh": entry["zh"], "en": entry["en"]}))
        if not all(text.isprintable() for text in name):
            raise InvalidInput("document-name", "a name holds characters that are not printed")
        found.append((code, name))
    codes = [code for code, _ in found]
    if codes != sorted(set(codes)):
        raise InvalidInput(
            "document-members", "members are not in ascending order of their codes, or one stands twice"
        )
    return MappingProxyType(dict(found))
