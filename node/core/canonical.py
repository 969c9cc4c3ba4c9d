# SPDX-License-Identifier: Apache-2.0
"""JSON in one spelling: a profile of RFC 8785 for writing, a strict grammar for reading.

The profile allows objects with ASCII member names, arrays, strings, booleans, null and integers of at most
2^53-1 in size. It excludes floats and other names, where serialisers differ; inside it a fast serialiser with
sorted keys writes the RFC 8785 form byte for byte (logs-and-proofs §1.10).
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, NoReturn

import orjson

from node.core.encoding import MAX_SAFE_INTEGER
from node.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Iterable

_MAX_ENCODE_DEPTH = 64
_SAFE_INTEGER_DIGITS = len(str(-MAX_SAFE_INTEGER))
# An unfinished string swallows the rest, so that each character is looked at once.
_STRING = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z)', re.DOTALL)
_ESCAPED_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")


def encode_json(value: Any) -> bytes:
    """Encode a value of the profile as canonical JSON (RFC 8785).

    Args:
        value: str, bool, None, int, and lists, tuples and dicts of them; subclasses are refused.

    Raises:
        InvalidInput: ``json-value`` for a value of another type, ``json-integer`` beyond 2^53-1,
            ``json-name`` for a member name that is not ASCII text, ``json-surrogate`` for text that is not
            Unicode, ``json-depth`` for more than 64 levels.
    """
    _check_profile(value, _MAX_ENCODE_DEPTH)
    try:
        return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
    except orjson.JSONEncodeError:
        raise InvalidInput(
            "json-surrogate", "text holds a lone surrogate: want Unicode scalar values"
        ) from None


def _check_profile(value: Any, levels: int) -> None:
    kind = type(value)
    if kind is str or kind is bool or value is None:
        return
    if kind is int:
        if not -MAX_SAFE_INTEGER <= value <= MAX_SAFE_INTEGER:
            raise InvalidInput(
                "json-integer", f"integer is too large: want at most {MAX_SAFE_INTEGER} in size"
            )
        return
    if levels == 0:
        raise InvalidInput("json-depth", "value is nested too deep")
    items: Iterable[Any] = value
    if kind is dict:
        _check_names(value)
        items = value.values()
    elif kind is not list and kind is not tuple:
        raise InvalidInput(
            "json-value",
            f"value has no canonical form: got {kind.__name__}, want text, integer, boolean, null, array or object",
        )
    for item in items:
        # Most items are text, or absent; not calling for them halves the time.
        if type(item) is not str and item is not None:
            _check_profile(item, levels - 1)


def _check_names(names: Iterable[Any]) -> None:
    for name in names:
        if type(name) is not str or not name.isascii():
            raise InvalidInput("json-name", "member name is not allowed: want ASCII text")


def parse_json(data: bytes | str, *, max_bytes: int, max_depth: int = 32, what: str = "JSON") -> Any:
    """Parse untrusted JSON by a strict grammar.

    Stricter than RFC 8259: strict UTF-8 without byte order mark, no member twice in one object, integers of
    at most 2^53-1 in size and no other numbers, no lone surrogates.

    Args:
        data: The text, untrusted.
        max_bytes: Greatest size of the UTF-8 text in bytes.
        max_depth: Greatest number of arrays and objects inside each other.
        what: Name of the thing that is parsed, for messages.

    Raises:
        InvalidInput: ``json-size``, ``json-encoding``, ``json-depth``, ``json-syntax``, ``json-duplicate``,
            ``json-number``, ``json-integer`` or ``json-surrogate``, one for each rule above.
    """
    return read_json(data, max_bytes=max_bytes, max_depth=max_depth, what=what)[0]


def read_json(
    data: bytes | str, *, max_bytes: int, max_depth: int = 32, what: str = "JSON"
) -> tuple[Any, bool]:
    """Parse untrusted JSON as ``parse_json`` does, and say whether it is known to be what ``encode_json`` writes.

    Such text is read in a third of the time: what comes out again as it went in holds nothing that the strict grammar
    refuses.

    Raises:
        InvalidInput: As ``parse_json``.
    """
    try:
        raw = data.encode() if isinstance(data, str) else data
        if len(raw) <= max_bytes:
            value = orjson.loads(raw)
            _check_profile(value, min(max_depth, _MAX_ENCODE_DEPTH))
            if orjson.dumps(value, option=orjson.OPT_SORT_KEYS) == raw:
                return value, True
    except (ValueError, orjson.JSONEncodeError, InvalidInput, RecursionError):
        # The strict grammar says what is wrong with it, if anything is.
        pass
    text = _decode(data, max_bytes, what)
    check_depth(text, max_depth, what)
    return _parse_strictly(text, max_depth, what), False


def _parse_strictly(text: str, max_depth: int, what: str) -> Any:
    try:
        value = _DECODER.decode(text)
    except json.JSONDecodeError as error:
        raise InvalidInput("json-syntax", f"{what} is malformed at character {error.pos}") from None
    except RecursionError:
        # The bound above keeps the parser shallow; the caller's own stack may still be nearly full.
        raise InvalidInput(
            "json-depth", f"{what} is nested too deep: want at most {max_depth} levels"
        ) from None
    except InvalidInput as error:
        raise InvalidInput(error.code, f"{what}: {error.message}") from None
    if _ESCAPED_SURROGATE.search(text):
        try:
            orjson.dumps(value)
        except orjson.JSONEncodeError:
            raise InvalidInput(
                "json-surrogate", f"{what} holds a lone surrogate: want Unicode scalar values"
            ) from None
    return value


def _decode(data: bytes | str, max_bytes: int, what: str) -> str:
    if len(data) > max_bytes:
        raise InvalidInput(
            "json-size", f"{what} is too large: got {len(data)} bytes, want at most {max_bytes}"
        )
    try:
        if isinstance(data, str):
            text = data
            size = len(data.encode())
        else:
            text = data.decode()
            size = len(data)
    except UnicodeError:
        raise InvalidInput("json-encoding", f"{what} is not UTF-8") from None
    if size > max_bytes:
        raise InvalidInput("json-size", f"{what} is too large: got {size} bytes, want at most {max_bytes}")
    if text.startswith("\ufeff"):
        raise InvalidInput("json-encoding", f"{what} begins with a byte order mark: want plain UTF-8")
    return text


def check_depth(text: str, max_depth: int, what: str) -> None:
    """Refuse JSON text that is nested too deep, before a parser that recurses sees it; linear in its length.

    Raises:
        InvalidInput: ``json-depth``.
    """
    if text.count("[") + text.count("{") <= max_depth:
        return
    depth = 0
    for character in _STRING.sub("", text):
        if character in "[{":
            depth += 1
            if depth > max_depth:
                raise InvalidInput(
                    "json-depth", f"{what} is nested too deep: want at most {max_depth} levels"
                )
        elif character in "]}":
            depth -= 1


def _build_object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise InvalidInput("json-duplicate", "an object has a member twice")
    return members


def _parse_integer(digits: str) -> int:
    # "-0" is refused because it reads back as 0; the length because int() is slow on long digits.
    if digits == "-0" or len(digits) > _SAFE_INTEGER_DIGITS or abs(int(digits)) > MAX_SAFE_INTEGER:
        raise InvalidInput(
            "json-integer", f"an integer is out of range: want at most {MAX_SAFE_INTEGER} in size"
        )
    return int(digits)


def _refuse_number(_digits: str) -> NoReturn:
    raise InvalidInput("json-number", "a number is not an integer: want integers only")


_DECODER = json.JSONDecoder(
    object_pairs_hook=_build_object,
    parse_int=_parse_integer,
    parse_float=_refuse_number,
    parse_constant=_refuse_number,
)


def check_members(
    value: Any, what: str, *, required: Iterable[str], optional: Iterable[str] = ()
) -> dict[str, Any]:
    """Return the value as a dict with exactly the members that its format names.

    Args:
        value: A parsed JSON value, untrusted.
        what: Name of the object, for messages.
        required: Names that must be present.
        optional: Names that may be present.

    Raises:
        InvalidInput: ``json-object`` when it is no object, ``json-member-missing``, ``json-member-unknown``.
    """
    needed = frozenset(required)
    if type(value) is not dict:
        raise InvalidInput("json-object", f"{what} is not an object: got {type(value).__name__}")
    if value.keys() == needed:
        return value
    missing = needed - value.keys()
    if missing:
        raise InvalidInput("json-member-missing", f"{what} lacks members: want {', '.join(sorted(missing))}")
    # Unknown names are counted, not printed: they are foreign text and may hold personal data.
    unknown = len(value.keys() - needed - set(optional))
    if unknown:
        raise InvalidInput(
            "json-member-unknown",
            f"{what} has {unknown} unknown members: want {', '.join(sorted(needed | set(optional)))}",
        )
    return value
