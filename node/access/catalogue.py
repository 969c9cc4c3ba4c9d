# SPDX-License-Identifier: Apache-2.0
"""The exchange catalogue: which kinds of record the members of an exchange domain ask each other for.

A shared document (docs/protocol/policy.md) as the purposes are. It names each catalogue item, the member that owns its
schema, the members that hold such records, and the file of the item by digest. Fields and their disclosure classes
stand in that file (docs/catalogue.md), once.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from hashlib import sha256
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from node.access.purposes import check_names
from node.core.canonical import check_members, encode_json, parse_json
from node.core.encoding import encode_b64u, parse_b64u
from node.core.members import check_list, check_text
from node.core.uscc import parse_uscc
from node.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Mapping

    from node.core.types import MemberCode

MAX_CATALOGUE_BYTES: Final = 1 << 20
_MAX_ITEMS: Final = 1_000
_MAX_PROVIDERS: Final = 10_000
_MAX_DEPTH: Final = 6
_DIGEST_BYTES: Final = 32
_DOMAIN: Final = re.compile(r"[a-z0-9.-]{1,63}")
_ITEM: Final = re.compile(r"[a-z0-9-]{1,32}:[a-z0-9-]{1,32}")


@dataclass(frozen=True, slots=True)
class ListedItem:
    """One kind of record that members ask each other for.

    Attributes:
        key: ``<item>:<version>``.
        schema: SHA-256 of the item's file, 32 bytes.
        owner: The member that answers for the schema.
        providers: The members that hold such records, in the order of the document; None when any may.
    """

    key: str
    schema: bytes
    owner: MemberCode
    providers: tuple[MemberCode, ...] | None


@dataclass(frozen=True, slots=True)
class ExchangeCatalogue:
    """An exchange catalogue.

    Attributes:
        digest: SHA-256 of its bytes, under which it is registered.
        domain: The exchange domain.
        zh: Its name in Chinese.
        en: Its name in English.
        items: Its items by ``<item>:<version>``.
    """

    digest: bytes
    domain: str
    zh: str
    en: str
    items: Mapping[str, ListedItem]


def encode_catalogue(domain: str, zh: str, en: str, items: list[ListedItem]) -> bytes:
    """Encode an exchange catalogue in the one spelling in which it is registered.

    Raises:
        InvalidInput: As ``parse_catalogue``.
    """
    listed = [
        {
            "item": item.key,
            "schema": encode_b64u(item.schema),
            "owner": item.owner,
            "providers": None if item.providers is None else list(item.providers),
        }
        for item in items
    ]
    data = encode_json({"v": 1, "domain": domain, "title": {"zh": zh, "en": en}, "items": listed})
    parse_catalogue(data)
    return data


def parse_catalogue(data: bytes) -> ExchangeCatalogue:
    """Parse an exchange catalogue.

    Args:
        data: Canonical JSON as docs/protocol/policy.md describes it, at most 1 MiB, untrusted.

    Raises:
        InvalidInput: ``json-…`` and ``base64url…`` for its form, ``document-canonical`` for another spelling,
            ``document-version``, ``document-name``, ``catalogue-item`` for an item that is malformed or stands twice,
            ``catalogue-provider`` for members listed twice or not at all, or a code of the credit code.
    """
    members = parse_json(data, max_bytes=MAX_CATALOGUE_BYTES, max_depth=_MAX_DEPTH, what="exchange catalogue")
    if encode_json(members) != data:
        raise InvalidInput("document-canonical", "exchange catalogue is not canonical JSON (RFC 8785)")
    check_members(members, "exchange catalogue", required=("v", "domain", "title", "items"))
    if members["v"] != 1 or type(members["v"]) is not int:
        raise InvalidInput(
            "document-version", "exchange catalogue has a version that is not known here: want 1"
        )
    domain = check_text(members["domain"], "domain", max_chars=63)
    if not _DOMAIN.fullmatch(domain):
        raise InvalidInput("domain", "exchange domain is malformed: want 1 to 63 of a-z 0-9 . -")
    names = check_names(check_members(members["title"], "title", required=("zh", "en")))
    items = [_parse_item(value) for value in check_list(members["items"], "items", max_items=_MAX_ITEMS)]
    by_key = {item.key: item for item in items}
    if len(by_key) != len(items) or not items:
        raise InvalidInput("catalogue-item", "exchange catalogue has no items, or one twice")
    return ExchangeCatalogue(sha256(data).digest(), domain, *names, items=MappingProxyType(by_key))


def _parse_item(value: Any) -> ListedItem:
    members = check_members(value, "item", required=("item", "schema", "owner", "providers"))
    key = check_text(members["item"], "item", max_chars=65)
    if not _ITEM.fullmatch(key):
        raise InvalidInput("catalogue-item", "item is malformed: want <item>:<version>, each [a-z0-9-]{1,32}")
    providers = None
    if members["providers"] is not None:
        listed = check_list(members["providers"], "providers", max_items=_MAX_PROVIDERS)
        providers = tuple(parse_uscc(check_text(code, "providers", max_chars=18)) for code in listed)
        if not providers or len(set(providers)) != len(providers):
            raise InvalidInput(
                "catalogue-provider", f"providers of {key} are none, or one stands twice: want null for any"
            )
    return ListedItem(
        key,
        parse_b64u(check_text(members["schema"], "schema", max_chars=43), length=_DIGEST_BYTES),
        parse_uscc(check_text(members["owner"], "owner", max_chars=18)),
        providers,
    )
