# SPDX-License-Identifier: Apache-2.0
"""Invented identifiers with right check digits (GB 32100, GB 11714, GB 11643)."""

from __future__ import annotations

_ALPHABET = "0123456789ABCDEFGHJKLMNPQRTUWXY"
_ORGANISATION_WEIGHTS = (3, 7, 9, 10, 5, 8, 4, 2)
_RESIDENT_CHECKS = "10X98765432"


def build_uscc(kind: str, region: str, body: str) -> str:
    """Build a credit code.

    Args:
        kind: Registering department and category, 2 characters such as ``91``.
        region: 6 digits.
        body: The first 8 characters of the organisation code inside, such as ``MA000001``.
    """
    code = kind + region + body + _organisation_check(body)
    total = sum(pow(3, place, 31) * _ALPHABET.index(character) for place, character in enumerate(code))
    return code + _ALPHABET[-total % 31]


def _organisation_check(body: str) -> str:
    total = sum(w * int(character, 36) for w, character in zip(_ORGANISATION_WEIGHTS, body, strict=True))
    return "0123456789X"[-total % 11]


def build_registration_number(serial: int) -> str:
    """Build a 15-digit registration number (ISO 7064 MOD 11,10) in a region that does not exist."""
    digits = f"999900{serial:08d}"
    product = 10
    for digit in digits:
        product = ((product + int(digit)) % 10 or 10) * 2 % 11
    return digits + str((11 - product) % 10)


def build_resident_id(serial: int) -> str:
    """Build a resident id in a region that does not exist, of somebody born in 1900: nobody's."""
    digits = f"19999919000101{serial % 1000:03d}"
    total = sum(pow(2, 17 - place, 11) * int(digit) for place, digit in enumerate(digits))
    return digits + _RESIDENT_CHECKS[total % 11]


def break_check_digit(code: str) -> str:
    """Return a credit code with another last character, so that only the outer check fails."""
    return code[:17] + _ALPHABET[(_ALPHABET.index(code[17]) + 1) % len(_ALPHABET)]


def break_inner_check(code: str) -> str:
    """Return a credit code whose outer check holds and whose organisation code is wrong."""
    inner = str((int(code[16]) + 1) % 10) if code[16].isdigit() else "0"
    body = code[:16] + inner
    total = sum(pow(3, place, 31) * _ALPHABET.index(character) for place, character in enumerate(body))
    return body + _ALPHABET[-total % 31]


def widen(text: str) -> str:
    """Return a text with its ASCII digits and letters in full width, as some input methods type them."""
    return "".join(chr(ord(c) + 0xFEE0) if c.isascii() and c.isalnum() else c for c in text)
