# SPDX-License-Identifier: Apache-2.0
"""UUIDv7 identifiers (RFC 9562 §5.7): 48 bits of milliseconds, 74 random bits."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from node.core.encoding import require_text
from node.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_RANDOM_BYTES = 10
_MAX_MS = 2**48 - 1
_UUID7 = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
_UUID7_LINES = re.compile(rf"(?:{_UUID7.pattern}\n)*+")
_LINE_CHARACTERS = 37
_VARIANT = {digit: "89ab"[int(digit, 16) & 3] for digit in "0123456789abcdef"}


def build_uuid7(now_ms: int, random: Callable[[int], bytes]) -> str:
    """Build one UUIDv7 as text.

    Args:
        now_ms: Milliseconds since 1970, below 2^48.
        random: Returns that many unpredictable bytes.
    """
    return build_uuid7_many(now_ms, 1, random)[0]


def build_uuid7_many(now_ms: int, count: int, random: Callable[[int], bytes]) -> list[str]:
    """Build ``count`` UUIDv7 texts of one millisecond with a single draw of randomness.

    Args:
        now_ms: Milliseconds since 1970, below 2^48.
        count: How many, at least 0.
        random: Returns that many unpredictable bytes.

    Raises:
        InvalidInput: ``uuid7-time`` for a time that does not fit.
    """
    if not 0 <= now_ms <= _MAX_MS:
        raise InvalidInput("uuid7-time", f"time does not fit a UUIDv7: got {now_ms} ms, want 0 to 2^48-1")
    stamp = f"{now_ms:012x}"
    head = f"{stamp[:8]}-{stamp[8:]}-7"
    # 20 hex digits per id: 3 after the version, 1 whose low two bits follow the variant, 15 more; one is unused.
    digits = random(_RANDOM_BYTES * count).hex()
    return [
        f"{head}{digits[i : i + 3]}-{_VARIANT[digits[i + 3]]}{digits[i + 4 : i + 7]}-{digits[i + 7 : i + 19]}"
        for i in range(0, 2 * _RANDOM_BYTES * count, 2 * _RANDOM_BYTES)
    ]


def parse_uuid7(text: str) -> bytes:
    """Parse a UUIDv7 in lower case with hyphens and return its 16 bytes.

    Raises:
        InvalidInput: ``uuid7`` for any other text.
    """
    check_uuid7(text)
    return bytes.fromhex(text.replace("-", ""))


def parse_uuid7_ms(text: str) -> int:
    """Parse a UUIDv7 and return its milliseconds since 1970.

    Raises:
        InvalidInput: ``uuid7`` for any other text.
    """
    return int.from_bytes(parse_uuid7(text)[:6])


def encode_uuid(raw: bytes) -> str:
    """Write 16 bytes as a UUID in lower case with hyphens."""
    digits = raw.hex()
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def check_uuid7(text: str) -> None:
    """Check that a text is a UUIDv7 in lower case with hyphens.

    Raises:
        InvalidInput: ``uuid7`` for any other text.
    """
    require_text(text, "uuid7")
    if not _UUID7.fullmatch(text):
        raise InvalidInput(
            "uuid7", f"identifier is not a UUIDv7: got {len(text)} characters, want 36 in lower case"
        )


def check_uuid7_all(texts: Sequence[str]) -> None:
    """Check many texts as ``check_uuid7`` does, in much less time than one by one.

    Raises:
        InvalidInput: As ``check_uuid7``.
    """
    try:
        joined = "\n".join([*texts, ""])
    except TypeError:
        joined = ""
    # All lines are of one length, so that no text can be two of them.
    if len(joined) != _LINE_CHARACTERS * len(texts) or not _UUID7_LINES.fullmatch(joined):
        for text in texts:
            check_uuid7(text)
