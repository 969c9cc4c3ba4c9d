# SPDX-License-Identifier: Apache-2.0
"""Text forms of bytes and numbers, each with exactly one spelling per value.

Signed texts must not have a second spelling that means the same, so every parser here refuses what its
encoder would not have written: missing or extra padding, stray bits, leading zeros, signs, spaces,
underscores and digits outside ASCII (logs-and-proofs §1.1, §2).
"""

from __future__ import annotations

import base64
import binascii
import re
from typing import Any

from node.errors import InvalidInput

MAX_SAFE_INTEGER = 2**53 - 1
"""Greatest integer that every JSON reader keeps exactly."""

_TO_URL = bytes.maketrans(b"+/", b"-_")
# What belongs to the other alphabet, and padding, becomes something that is no base64 at all.
_FROM_URL = bytes.maketrans(b"-_+/=", b"+/!!!")
_PADDING = (b"", b"", b"==", b"=")
_LAST = ("", "", "AQgw", "AEIMQUYcgkosw048")
"""By length modulo 4: what the last character can be, so that the bits behind the last byte are 0."""
# 43 characters are 258 bits: the last two are 0.
_DIGEST = re.compile(r"[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]")
_DIGESTS = re.compile(rf"(?:{_DIGEST.pattern},)*+")
_DIGEST_STEP = 44
_DECIMAL = re.compile(r"0|[1-9][0-9]*")
_HEX = re.compile(r"0x(?:[0-9a-f]{2})*")


def require_text(value: object, code: str) -> None:
    """Refuse a value that is not text, as members of foreign JSON may be anything.

    Raises:
        InvalidInput: ``code``.
    """
    if type(value) is not str:
        raise InvalidInput(code, f"value is not text: got {type(value).__name__}")


def encode_b64(data: bytes) -> str:
    """Encode bytes as standard base64 with padding (RFC 4648 §4)."""
    return base64.b64encode(data).decode("ascii")


def parse_b64(text: str, *, length: int | None = None) -> bytes:
    """Parse standard base64 with padding, in its only canonical spelling.

    Args:
        text: The base64 text, untrusted.
        length: Number of bytes that must come out, any when None.

    Raises:
        InvalidInput: ``base64`` for any other spelling, ``base64-length`` for another number of bytes.
    """
    require_text(text, "base64")
    try:
        data = base64.b64decode(text)
    except (ValueError, binascii.Error):
        data = None
    if data is None or base64.b64encode(data).decode("ascii") != text:
        raise InvalidInput(
            "base64", f"base64 is not canonical: got {len(text)} characters, want RFC 4648 §4 with padding"
        )
    _check_length(data, length)
    return data


def encode_b64u(data: bytes) -> str:
    """Encode bytes as base64url without padding (RFC 4648 §5)."""
    # The functions of base64 take twice the time for the same.
    return binascii.b2a_base64(data, newline=False).translate(_TO_URL, b"=").decode("ascii")


def parse_b64u(text: str, *, length: int | None = None) -> bytes:
    """Parse base64url without padding, in its only canonical spelling.

    Args:
        text: The base64url text, untrusted.
        length: Number of bytes that must come out, any when None.

    Raises:
        InvalidInput: ``base64url`` for any other spelling, ``base64-length`` for another number of bytes.
    """
    require_text(text, "base64url")
    rest = len(text) & 3
    try:
        if rest and text[-1] not in _LAST[rest]:
            raise ValueError
        data = binascii.a2b_base64(
            text.encode("ascii").translate(_FROM_URL) + _PADDING[rest], strict_mode=True
        )
    except ValueError:
        raise InvalidInput(
            "base64url",
            f"base64url is not canonical: got {len(text)} characters, want RFC 4648 §5 without padding",
        ) from None
    if length is not None:
        _check_length(data, length)
    return data


def check_digest(text: str) -> None:
    """Refuse a text that is not base64url of 32 bytes, for one who only compares it: in a third of the time.

    Raises:
        InvalidInput: As ``parse_b64u`` of 32 bytes.
    """
    if type(text) is not str or not _DIGEST.fullmatch(text):
        # It says what is wrong.
        parse_b64u(text, length=32)


def are_digests(texts: list[Any]) -> bool:
    """Tell whether some values, at least one, are all base64url of 32 bytes, in much less time than one by one."""
    try:
        joined = ",".join(texts) + ","
    except TypeError:
        return False
    # A comma is in no digest, and stands at every 44th place: so it stands nowhere else.
    return len(joined) == _DIGEST_STEP * len(texts) and _DIGESTS.fullmatch(joined) is not None


def _check_length(data: bytes, length: int | None) -> None:
    if length is not None and len(data) != length:
        raise InvalidInput(
            "base64-length", f"base64 value has the wrong length: got {len(data)} bytes, want {length}"
        )


def parse_decimal(text: str, *, maximum: int = MAX_SAFE_INTEGER) -> int:
    """Parse an unsigned decimal number by grammar: ASCII digits, no leading zero, no sign.

    Args:
        text: The digits, untrusted.
        maximum: Greatest value accepted, inclusive.

    Raises:
        InvalidInput: ``decimal`` when the grammar does not hold, ``decimal-range`` above ``maximum``.
    """
    require_text(text, "decimal")
    if not _DECIMAL.fullmatch(text):
        raise InvalidInput(
            "decimal",
            f"number is not a plain decimal: got {len(text)} characters, want digits without leading zero or sign",
        )
    # The length is compared first, because int() refuses or takes long over thousands of digits.
    if len(text) > len(str(maximum)) or int(text) > maximum:
        raise InvalidInput(
            "decimal-range", f"number is too large: got {len(text)} digits, want at most {maximum}"
        )
    return int(text)


def encode_hex(data: bytes) -> str:
    """Encode bytes as ``0x`` and lower-case hex at full length."""
    return "0x" + data.hex()


def parse_hex(text: str, *, length: int) -> bytes:
    """Parse ``0x`` and lower-case hex of exactly ``length`` bytes.

    Raises:
        InvalidInput: ``hex`` for any other spelling or length.
    """
    require_text(text, "hex")
    if len(text) != 2 + 2 * length or not _HEX.fullmatch(text):
        raise InvalidInput(
            "hex",
            f"hex value is malformed: got {len(text)} characters, want 0x and {2 * length} lower-case digits",
        )
    return bytes.fromhex(text[2:])
