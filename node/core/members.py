# SPDX-License-Identifier: Apache-2.0
"""Types and bounds of the members of parsed JSON.

``parse_json`` yields values of any JSON type; each reader states here which one its format wants. ``type(x) is``
is used throughout because True is an int to ``isinstance``.
"""

from __future__ import annotations

from typing import Any

from node.core.encoding import MAX_SAFE_INTEGER
from node.errors import InvalidInput


def check_text(value: Any, what: str, *, max_chars: int = 65_536) -> str:
    """Return the value as text.

    Args:
        value: A parsed JSON value, untrusted.
        what: Name of the member, for messages.
        max_chars: Greatest length in characters.

    Raises:
        InvalidInput: ``json-text`` for another type, ``json-text-size`` for text that is too long.
    """
    if type(value) is not str:
        raise InvalidInput("json-text", f"{what} is not text: got {type(value).__name__}")
    if len(value) > max_chars:
        raise InvalidInput(
            "json-text-size", f"{what} is too long: got {len(value)} characters, want at most {max_chars}"
        )
    return value


def check_integer(value: Any, what: str, *, least: int = 0, most: int = MAX_SAFE_INTEGER) -> int:
    """Return the value as an integer of ``least`` to ``most``, both inclusive.

    Raises:
        InvalidInput: ``json-range`` for another type and for one outside.
    """
    if type(value) is not int or not least <= value <= most:
        raise InvalidInput("json-range", f"{what} is not an integer of {least} to {most}")
    return value


def check_list(value: Any, what: str, *, max_items: int) -> list[Any]:
    """Return the value as a list of at most ``max_items``.

    Raises:
        InvalidInput: ``json-list`` for another type and for one that is too long.
    """
    if type(value) is not list or len(value) > max_items:
        raise InvalidInput("json-list", f"{what} is not a list of at most {max_items} items")
    return value
