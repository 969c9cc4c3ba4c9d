# SPDX-License-Identifier: Apache-2.0
"""Identifiers of organisations and persons, and their check digits.

* Unified social credit code, GB 32100-2015: 18 characters, with an organisation code inside that has a check
  of its own; both must hold.
* Organisation code, GB 11714: 8 characters and a check character.
* Registration number of the old business licences: 15 digits, ISO 7064 MOD 11,10.
* Resident id, GB 11643: only detected, so that it can be refused or masked.

Parsers fold nothing; :func:`fold_identifier` is for input that people typed. No message repeats a value.
"""

from __future__ import annotations

import re
from functools import lru_cache
from operator import mul
from typing import TYPE_CHECKING, cast

from node.core.encoding import require_text
from node.core.width import fold_width
from node.errors import InvalidInput

if TYPE_CHECKING:
    from node.core.types import MemberCode

PLACEHOLDER_USCC = "0" * 17 + "X"
"""Stands in real files where a party has no code."""

_USCC_ALPHABET = "0123456789ABCDEFGHJKLMNPQRTUWXY"
_USCC_VALUES = bytes.maketrans(_USCC_ALPHABET.encode(), bytes(range(31)))
_USCC_WEIGHTS = (*(pow(3, i, 31) for i in range(17)), 1)
USCC_FORM = f"[{_USCC_ALPHABET}]{{2}}[0-9]{{6}}[{_USCC_ALPHABET}]{{10}}"
_USCC = re.compile(USCC_FORM)

_ORGANISATION_WEIGHTS = (3, 7, 9, 10, 5, 8, 4, 2)
_ORGANISATION_VALUES = bytes.maketrans(b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ", bytes(range(36)))
_ORGANISATION = re.compile(r"([0-9A-Z]{8})-?([0-9X])")

_REGISTRATION = re.compile(r"[0-9]{15}")

_RESIDENT_WEIGHTS = tuple(pow(2, 17 - i, 11) for i in range(17))
_RESIDENT_CHECKS = "10X98765432"
_RESIDENT_ID = re.compile(
    r"(?<![0-9])"
    r"([1-9][0-9]{5})[ -]?((?:18|19|20)[0-9]{2})[ -]?((?:0[1-9]|1[0-2])(?:0[1-9]|[12][0-9]|3[01]))[ -]?([0-9]{3}[0-9Xx])"
    r"(?![0-9])"
)

# Byte order mark and zero-width characters that spreadsheets carry along; str.strip() keeps them.
_INVISIBLE = "\ufeff\u200b\u200c\u200d\u200e\u200f\u2060"
_SURROUNDING = " \t\r\n\v\f\xa0\u3000" + _INVISIBLE


def fold_identifier(text: str) -> str:
    """Fold a typed identifier: full-width to ASCII, without surrounding space, upper case."""
    return fold_width(text).strip(_SURROUNDING).upper()


def parse_uscc(text: str) -> MemberCode:
    """Parse a unified social credit code (GB 32100-2015).

    Args:
        text: 18 characters, untrusted.

    Raises:
        InvalidInput: ``uscc-placeholder`` for the code that stands for none, ``uscc-form`` for another length
            or alphabet, ``uscc-check-digit``, ``uscc-organisation-code`` when the inner check fails.
    """
    require_text(text, "uscc-form")
    if text == PLACEHOLDER_USCC:
        raise InvalidInput("uscc-placeholder", "credit code is the placeholder for none")
    if not _USCC.fullmatch(text):
        raise InvalidInput(
            "uscc-form",
            f"credit code is malformed: got {_describe(text)}, want 18 digits and capitals without I O S V Z",
        )
    # The check character makes the weighted sum a multiple of 31.
    if sum(map(mul, _USCC_WEIGHTS, text.encode("ascii").translate(_USCC_VALUES))) % 31:
        raise InvalidInput("uscc-check-digit", "credit code has a wrong check character at place 18")
    if _organisation_check(text[8:16]) != text[16]:
        raise InvalidInput(
            "uscc-organisation-code",
            "credit code has a wrong check character at place 17, of the organisation code inside",
        )
    return cast("MemberCode", text)


@lru_cache(maxsize=256)
def parse_member(text: str) -> MemberCode:
    """Parse the code of a member, which each message of an exchange names many times.

    Raises:
        InvalidInput: As ``parse_uscc``.
    """
    return parse_uscc(text)


def parse_organisation_code(text: str) -> str:
    """Parse an organisation code (GB 11714) and return its 9 characters without the hyphen.

    Raises:
        InvalidInput: ``organisation-code-form``, ``organisation-code-check-digit``.
    """
    require_text(text, "organisation-code-form")
    match = _ORGANISATION.fullmatch(text)
    if match is None:
        raise InvalidInput(
            "organisation-code-form",
            f"organisation code is malformed: got {_describe(text)}, want 8 digits and capitals and a check character",
        )
    if _organisation_check(match[1]) != match[2]:
        raise InvalidInput(
            "organisation-code-check-digit", "organisation code has a wrong check character at place 9"
        )
    return match[1] + match[2]


def _organisation_check(body: str) -> str:
    check = -sum(map(mul, _ORGANISATION_WEIGHTS, body.encode("ascii").translate(_ORGANISATION_VALUES))) % 11
    return "X" if check == 10 else str(check)  # noqa: PLR2004  ten is written X


def parse_registration_number(text: str) -> str:
    """Parse a 15-digit business registration number (ISO 7064 MOD 11,10).

    Raises:
        InvalidInput: ``registration-number-form``, ``registration-number-check-digit``.
    """
    require_text(text, "registration-number-form")
    if not _REGISTRATION.fullmatch(text):
        raise InvalidInput(
            "registration-number-form",
            f"registration number is malformed: got {_describe(text)}, want 15 digits",
        )
    product = 10
    for digit in text[:14]:
        product = ((product + int(digit)) % 10 or 10) * 2 % 11
    if (product + int(text[14])) % 10 != 1:
        raise InvalidInput(
            "registration-number-check-digit", "registration number has a wrong check digit at place 15"
        )
    return text


def contains_resident_id(text: str) -> bool:
    """Tell whether a text holds an 18-digit resident id with a plausible birth date and a right check digit.

    Full-width digits count, and single spaces or hyphens between region, year, day and the rest. A number
    that begins with 9 and is a valid credit code is taken for one (foreign residents' ids begin so too).
    """
    return any(_is_resident_id(match) for match in _RESIDENT_ID.finditer(fold_width(text)))


def _is_resident_id(match: re.Match[str]) -> bool:
    digits = "".join(match.groups()).upper()
    total = sum(weight * int(digit) for weight, digit in zip(_RESIDENT_WEIGHTS, digits, strict=False))
    if _RESIDENT_CHECKS[total % 11] != digits[17]:
        return False
    if not digits.startswith("9"):
        return True
    try:
        parse_uscc(digits)
    except InvalidInput:
        return True
    return False


def _describe(text: str) -> str:
    """Describe a value by its length and classes of characters, never by itself."""
    kinds = (
        ("digits", any(c.isascii() and c.isdigit() for c in text)),
        ("capitals", any("A" <= c <= "Z" for c in text)),
        ("small letters", any("a" <= c <= "z" for c in text)),
        ("other characters", any(not (c.isascii() and c.isalnum()) for c in text)),
    )
    return f"{len(text)} characters ({', '.join(name for name, present in kinds if present) or 'none'})"
