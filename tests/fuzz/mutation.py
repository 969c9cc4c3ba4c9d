# SPDX-License-Identifier: Apache-2.0
"""Changes well-formed input where parsers are weak: inside JSON, inside base64, at numbers, lines and letters.

Each mutation follows from a seed alone. A blind change of one byte dies in the first check of most formats here
(base64, JSON, digests), so values are taken out of their wrapping, changed, and wrapped again.
"""

from __future__ import annotations

import base64
import binascii
import copy
import json
import re
from typing import TYPE_CHECKING, Any

import msgpack

if TYPE_CHECKING:
    from collections.abc import Sequence
    from random import Random

_B64_RUN = re.compile(rb"[A-Za-z0-9+/_-]{6,}={0,2}")
_NUMBER_RUN = re.compile(rb"[0-9]+")
_MAX_WRAPPING = 4
_DEEP = 40

NUMBERS = (
    b"0", b"1", b"-1", b"-0", b"00", b"01", b"+1", b"1.0", b"1e3", b"1_0", b"255", b"256", b"257", b"65535", b"65536",
    b"2147483648", b"4294967296", b"9007199254740991", b"9007199254740992", b"18446744073709551615",
    b"18446744073709551616", b"9" * 400, b"0x10", b"NaN", b"-Infinity", b" 7", "٣".encode(), "１".encode(),
)  # fmt: skip
PIECES = (
    b"\x00", b"\n", b"\r\n", b"\r", b"\t", b" ", b"\x1b[2J", b"\x7f", b"\xc2\x85", b"\xe2\x80\xa8", b"\xef\xbb\xbf",
    b"\xed\xa0\x80", b"\xff", b"\xc0\xaf", b"\xf4\x90\x80\x80", "＋".encode(), "０".encode(), "\u200b".encode(),
    "e\u0301".encode(), "\U0001f600".encode(), b"\\ud800", b"\\u0000", b"\\", b'"', b"'", b"~", b".", b"=", b"==",
    b"/", b"//", b"..", b"../", b"+", b"-", b"_", b"%2e", b"[", b"]", b"{", b"}", b"[" * 2000, b'{"a":' * 2000, b",", b":",
    b"null", b"true", b'"__proto__"', b"\n\n", "— ".encode(), b"A" * 300,
)  # fmt: skip
VALUES: tuple[Any, ...] = (
    None, True, False, 0, 1, -1, 2**31, 2**53 - 1, 2**53, 2**63, 2**64 - 1, 1.5, "", "a", "0", "\x00", "\ufeff", "\x1b[2J",
    "é", "e\u0301", "\u2028", "１２", "x" * 300, [], {}, [[]], [None], {"a": 1}, {"_sd": []}, {"...": "a"}, [1, 2, 3], "A" * 43,
    "..", "\U0001f600", b"", b"\x00" * 32,
)  # fmt: skip
# What msgpack can say beyond JSON: extensions, time stamps, huge declared lengths, keys that are no text.
MSGPACK = (
    b"\xc1", b"\xdd\xff\xff\xff\xff", b"\xdf\xff\xff\xff\xff", b"\xc6\xff\xff\xff\xff", b"\xdb\xff\xff\xff\xff",
    b"\xc9\xff\xff\xff\xff\x01", b"\xd6\xff\x00\x00\x00\x00", b"\xc7\x0c\xff" + b"\xff" * 12, b"\xd4\x05\x00", b"\x81\x80\x01",
    b"\x81\x90\x01", b"\x81\xc0\xc0", b"\xcb\x7f\xf8" + bytes(6), b"\xcf" + b"\xff" * 8, b"\xd3\x80" + bytes(7), b"\xa1\xff",
    b"\x91" * 600, b"\x81\xa0" * 300,
)  # fmt: skip


class Mutator:
    """Mutates inputs of one target.

    Args:
        random: Source of every choice.
        others: Further inputs, for pieces of other cases.
        words: The target's own pieces.
        binary: Whether inputs are msgpack.
    """

    def __init__(
        self, random: Random, others: Sequence[bytes], words: Sequence[bytes] = (), *, binary: bool = False
    ):
        self._random = random
        self._others = others
        self._words = (*words, *PIECES, *(MSGPACK if binary else ()))
        self._binary = binary

    def mutate(self, data: bytes, largest: int) -> bytes:
        """Change an input in one to four places."""
        for _ in range(self._random.choice((1, 1, 1, 2, 2, 3, 4))):
            data = self._change(data, 0)[:largest]
        return data

    def _change(self, data: bytes, wrapping: int) -> bytes:
        choice = self._random.random()
        if choice < 0.35:
            changed = self._change_tree(data, wrapping)
            if changed is not None:
                return changed
        if choice < 0.6 and wrapping < _MAX_WRAPPING:
            changed = self._change_base64(data, wrapping)
            if changed is not None:
                return changed
        operation = self._random.choice(
            (
                self._flip,
                self._insert,
                self._delete,
                self._repeat,
                self._splice,
                self._number,
                self._line,
                self._case,
            )
        )
        return operation(data)

    def _change_tree(self, data: bytes, wrapping: int) -> bytes | None:
        try:
            tree = msgpack.unpackb(data, strict_map_key=False) if self._binary else json.loads(data)
        except (ValueError, TypeError, RecursionError):
            return None
        except msgpack.UnpackException:
            return None
        if not isinstance(tree, dict | list):
            return None
        try:
            for _ in range(self._random.choice((1, 1, 2))):
                if isinstance(tree, dict | list):
                    tree = self._edit(tree, wrapping)
            return msgpack.packb(tree) if self._binary else self._spell(tree)
        except (ValueError, TypeError, OverflowError, RecursionError):
            return None

    def _edit(self, tree: Any, wrapping: int) -> Any:
        places = [(None, None)]
        _collect(tree, places, _DEEP)
        holder, name = self._random.choice(places)
        if holder is None:
            return self._replace(tree, wrapping) if self._random.random() < 0.1 else tree
        operation = self._random.randrange(6)
        if operation == 0:
            del holder[name]
        elif operation == 1 and isinstance(holder, dict):
            holder[
                self._random.choice(
                    ("x", "v", "", "_sd", "...", "é", name.upper() if isinstance(name, str) else "y")
                )
            ] = holder[name]
        elif operation == 1:
            holder.insert(name, holder[name])
        elif operation == 2:
            other_holder, other_name = self._random.choice(places[1:])
            holder[name] = copy.deepcopy(other_holder[other_name])
        else:
            holder[name] = self._replace(holder[name], wrapping)
        return tree

    def _replace(self, value: Any, wrapping: int) -> Any:
        choice = self._random.random()
        if choice < 0.4 and isinstance(value, str) and value:
            return self._change(value.encode("utf-8", "surrogatepass"), wrapping + 1).decode(
                "utf-8", "replace"
            )
        if choice < 0.4 and type(value) is int:
            return self._random.choice(
                (value + 1, value - 1, -value, value * 2, value + 2**53, value ^ 1, str(value), bool(value))
            )
        if choice < 0.4 and isinstance(value, bytes):
            return self._change(value, wrapping + 1)
        if choice < 0.5:
            for _ in range(self._random.choice((1, 2, 12, 34))):
                value = [value] if self._random.random() < 0.5 else {"a": value}
            return value
        if choice < 0.6 and isinstance(value, list) and value:
            return self._random.choice(
                (value[::-1], value * 2, value[:-1], value * 20 if len(value) < 20 else value)
            )
        return copy.deepcopy(self._random.choice(VALUES))

    def _spell(self, tree: Any) -> bytes:
        """Write JSON, mostly in the canonical spelling, sometimes in another that says the same."""
        canonical = {"sort_keys": True, "ensure_ascii": False, "separators": (",", ":")}
        choice = self._random.random()
        if choice > 0.3:
            return json.dumps(tree, **canonical).encode("utf-8", "surrogatepass")
        if choice > 0.2:
            return json.dumps(tree, separators=(",", ":")).encode()
        if choice > 0.1:
            return json.dumps(tree, indent=self._random.choice((None, 1)), ensure_ascii=False).encode(
                "utf-8", "surrogatepass"
            )
        text = json.dumps(tree, **canonical).encode("utf-8", "surrogatepass")
        # A member twice: the first member of some object again at its front.
        at = [match.end() for match in re.finditer(rb'\{(?=")', text)]
        if not at:
            return text
        place = self._random.choice(at)
        twice = re.match(rb'"[^"]*":("[^"]*"|[0-9a-z]+)', text[place:])
        return text[:place] + twice[0] + b"," + text[place:] if twice else text

    def _change_base64(self, data: bytes, wrapping: int) -> bytes | None:
        runs = [match.span() for match in _B64_RUN.finditer(data)]
        if not runs:
            return None
        start, stop = self._random.choice(runs)
        run = data[start:stop]
        standard = b"=" in run or b"+" in run or b"/" in run or len(run) % 4 == 0
        plain = run.rstrip(b"=")
        try:
            inner = base64.b64decode(
                plain.translate(bytes.maketrans(b"-_", b"+/")) + b"=" * (-len(plain) % 4)
            )
        except (ValueError, binascii.Error):
            return None
        inner = self._change(inner, wrapping + 1)
        choice = self._random.random()
        if standard and (b"=" in run or choice < 0.5):
            again = base64.b64encode(inner)
        else:
            again = base64.urlsafe_b64encode(inner).rstrip(b"=")
        if choice > 0.9 and again:
            # Stray bits in the last character: another spelling of the same bytes for a lax decoder.
            last = again.rstrip(b"=")
            again = last[:-1] + bytes([last[-1] ^ 1]) + again[len(last) :] if last else again
        return data[:start] + again + data[stop:]

    def _place(self, data: bytes) -> int:
        return self._random.randrange(len(data) + 1)

    def _span(self, data: bytes) -> tuple[int, int]:
        start = self._place(data)
        return start, min(len(data), start + self._random.choice((1, 1, 2, 4, 16, 64)))

    def _flip(self, data: bytes) -> bytes:
        if not data:
            return b"\x00"
        place = self._random.randrange(len(data))
        byte = self._random.choice(
            (data[place] ^ (1 << self._random.randrange(8)), self._random.randrange(256))
        )
        return data[:place] + bytes([byte]) + data[place + 1 :]

    def _insert(self, data: bytes) -> bytes:
        place = self._place(data)
        return data[:place] + self._random.choice(self._words) + data[place:]

    def _delete(self, data: bytes) -> bytes:
        start, stop = self._span(data)
        return data[:start] + data[stop:] if self._random.random() < 0.8 else data[:start]

    def _repeat(self, data: bytes) -> bytes:
        start, stop = self._span(data)
        return data[:stop] + data[start:stop] * self._random.choice((1, 1, 2, 300)) + data[stop:]

    def _splice(self, data: bytes) -> bytes:
        other = self._random.choice(self._others) if self._others else b""
        start, stop = sorted((self._place(other), self._place(other)))
        place = self._place(data)
        return data[:place] + other[start:stop] + (b"" if self._random.random() < 0.5 else data[place:])

    def _number(self, data: bytes) -> bytes:
        runs = [match.span() for match in _NUMBER_RUN.finditer(data)]
        if not runs:
            return self._flip(data)
        start, stop = self._random.choice(runs)
        return data[:start] + self._random.choice(NUMBERS) + data[stop:]

    def _line(self, data: bytes) -> bytes:
        lines = data.split(b"\n")
        place = self._random.randrange(len(lines))
        operation = self._random.randrange(4)
        if operation == 0:
            lines.insert(place, lines[place])
        elif operation == 1:
            del lines[place]
        elif operation == 2:
            other = self._random.randrange(len(lines))
            lines[place], lines[other] = lines[other], lines[place]
        else:
            lines[place] += self._random.choice((b"\r", b" ", b"\t", b"\x00"))
        return b"\n".join(lines)

    def _case(self, data: bytes) -> bytes:
        start, stop = self._span(data)
        return data[:start] + data[start:stop].swapcase() + data[stop:]


def _collect(value: Any, places: list[tuple[Any, Any]], levels: int) -> None:
    """List every member and item with what holds it."""
    if levels == 0:
        return
    for name, item in value.items() if isinstance(value, dict) else enumerate(value):
        places.append((value, name))
        if isinstance(item, dict | list):
            _collect(item, places, levels - 1)
