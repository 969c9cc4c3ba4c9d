# SPDX-License-Identifier: Apache-2.0
"""Names that records carry: exchange domain, catalogue item (``vct``), status list, field (protocol §1a, §4)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

from node.core.encoding import parse_decimal
from node.core.uscc import parse_uscc
from node.errors import InvalidInput

if TYPE_CHECKING:
    from node.core.types import MemberCode

SUBJECT: Final = "subject"
"""Name of disclosure 0."""

RESERVED_NAMES: Final = frozenset(
    {"aud", "cnf", "exp", "iat", "iss", "jti", "nbf", "status", "sub", SUBJECT, "supersedes", "vct"}
)
"""Claims that no field may be named after: what decides validity is never disclosed selectively (RFC 9901 §9.7)."""

_DOMAIN: Final = re.compile(r"[a-z0-9.-]{1,63}")
_ITEM: Final = re.compile(r"[a-z0-9-]{1,32}")
_FIELD: Final = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}")
_VCT_PREFIX: Final = "urn:ironcage:"
_STATUS_PREFIX: Final = "urn:ironcage:status:"
_SEPARATORS: Final = 2


class Vct(NamedTuple):
    """A catalogue item of one exchange domain in one version."""

    domain: str
    item: str
    version: str


class StatusUri(NamedTuple):
    """The name of a status list: the ``k``-th of a member."""

    domain: str
    member: MemberCode
    k: int


def check_domain(text: str) -> str:
    """Return the text as the name of an exchange domain.

    Raises:
        InvalidInput: ``domain`` unless it is 1 to 63 of a–z, 0–9, dot and hyphen.
    """
    if not _DOMAIN.fullmatch(text):
        raise InvalidInput(
            "domain", f"exchange domain is malformed: got {len(text)} characters, want 1 to 63 of a-z 0-9 . -"
        )
    return text


def check_field_code(code: str) -> str:
    """Return the text as the code of a catalogue field.

    Raises:
        InvalidInput: ``field-code`` unless it is a letter and up to 63 letters, digits and underscores, and
            not the name of a claim that a record or JWT has a meaning for.
    """
    if not _FIELD.fullmatch(code) or code in RESERVED_NAMES:
        raise InvalidInput(
            "field-code",
            f"field code is not allowed: got {len(code)} characters, want a letter and at most 63 letters, digits "
            "and underscores, and no name of an open claim",
        )
    return code


def encode_vct(vct: Vct) -> str:
    """Encode a catalogue item as ``urn:ironcage:<domain>:<item>:<version>``.

    Raises:
        InvalidInput: ``domain`` or ``vct``.
    """
    check_domain(vct.domain)
    if not _ITEM.fullmatch(vct.item) or not _ITEM.fullmatch(vct.version):
        raise InvalidInput(
            "vct", "catalogue item is malformed: want item and version of 1 to 32 of a-z 0-9 -"
        )
    return f"{_VCT_PREFIX}{vct.domain}:{vct.item}:{vct.version}"


def parse_vct(text: str) -> Vct:
    """Parse ``urn:ironcage:<domain>:<item>:<version>``.

    Raises:
        InvalidInput: ``vct`` or ``domain``.
    """
    parts = text.removeprefix(_VCT_PREFIX).split(":")
    if not text.startswith(_VCT_PREFIX) or len(parts) != _SEPARATORS + 1:
        raise InvalidInput("vct", "catalogue item is malformed: want urn:ironcage:<domain>:<item>:<version>")
    vct = Vct(*parts)
    encode_vct(vct)
    return vct


def encode_status_uri(uri: StatusUri) -> str:
    """Encode the name of a status list as ``urn:ironcage:status:<domain>:<USCC>:<k>``.

    Raises:
        InvalidInput: ``domain``, ``status-uri``, or a code of the credit code.
    """
    check_domain(uri.domain)
    parse_uscc(uri.member)
    if uri.k < 0:
        raise InvalidInput("status-uri", f"status list has number {uri.k}, want 0 or more")
    return f"{_STATUS_PREFIX}{uri.domain}:{uri.member}:{uri.k}"


def parse_status_uri(text: str) -> StatusUri:
    """Parse ``urn:ironcage:status:<domain>:<USCC>:<k>``.

    Raises:
        InvalidInput: ``status-uri``, ``domain``, or a code of the credit code or the number.
    """
    parts = text.removeprefix(_STATUS_PREFIX).split(":")
    if not text.startswith(_STATUS_PREFIX) or len(parts) != _SEPARATORS + 1:
        raise InvalidInput(
            "status-uri", "name of a status list is malformed: want urn:ironcage:status:<domain>:<USCC>:<k>"
        )
    return StatusUri(check_domain(parts[0]), parse_uscc(parts[1]), parse_decimal(parts[2]))
