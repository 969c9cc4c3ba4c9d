# SPDX-License-Identifier: Apache-2.0
"""The shared strings of an .xlsx (ECMA-376 part 1, 18.4)."""

from __future__ import annotations

import re
from array import array
from itertools import accumulate, islice
from typing import TYPE_CHECKING

from node.readers.cell_values import unescape
from node.readers.plain_xml import (
    MARK,
    OddError,
    PlainFeeder,
    append_text,
    build_parser,
    decode_text,
    names_like,
    resolve,
    unreadable,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from node.readers.plain_xml import Attributes

_PLAIN = re.compile(b'[ \t\r\n]*+<si><t(?: xml:space="preserve")?+>([^<]*+)</t>')
_PLAIN_BATCH = re.compile(MARK + _PLAIN.pattern)
_BATCH = 64
_MAX_DIGITS = 9


class Strings:
    """Shared strings, packed: a large workbook has millions of them.

    Args:
        parts: The XML that holds them, block by block.

    Raises:
        InvalidInput: ``workbook-unreadable``.
    """

    def __init__(self, parts: Iterable[bytes] = ()) -> None:
        self._data = bytearray()
        self._ends = array("Q", [0])
        if parts:
            self._load(parts)

    def _load(self, parts: Iterable[bytes]) -> None:  # noqa: C901  called for each tag: no calls below
        parser = build_parser()
        texts: list[str] = []
        name_si = name_t = name_ph = ""
        phonetic = False
        depth = 0

        def start(name: str, _attributes: Attributes) -> None:
            nonlocal name_si, name_t, name_ph, phonetic, depth
            if not name_si:
                name_si, name_t, name_ph = names_like(name, "si", "t", "rPh")
            elif name == name_si:
                texts.clear()
                depth += 1
            elif name == name_ph:
                phonetic = True
            elif name == name_t and not phonetic:
                parser.CharacterDataHandler = collect

        def collect(text: str) -> None:
            append_text(texts, text)

        def end(name: str) -> None:
            nonlocal phonetic, depth
            parser.CharacterDataHandler = None
            if name == name_si:
                self._append("".join(texts))
                texts.clear()
                depth -= 1
            elif name == name_ph:
                phonetic = False

        def is_between() -> bool:
            return name_si == "si" and not (depth or phonetic or texts)

        parser.StartElementHandler = start
        parser.EndElementHandler = end
        for _ in PlainFeeder(parser, b"</si>", is_between, self._take).feed_all(parts):
            continue

    def _append(self, text: str) -> None:
        self._data += unescape(text).encode()
        self._ends.append(len(self._data))

    def _take(self, elements: list[bytes], first: int) -> int:
        """Take strings in plain form, as ``PlainFeeder`` wants it: a batch at once where it can be, or one by one."""
        number = first
        while number < len(elements):
            batch = elements[number : number + _BATCH] if number % _BATCH == 0 else []
            if batch and self._take_batch(batch):
                number += len(batch)
            elif self._take_one(elements[number]):
                number += 1
            else:
                return number
        return number

    def _take_batch(self, elements: list[bytes]) -> bool:
        """Take strings if all of them are in plain form and need no work."""
        found = _PLAIN_BATCH.split(MARK.join([b"", *elements]))
        texts = found[1::2]
        joined = b"".join(texts)
        if len(texts) != len(elements) or any(found[::2]):
            return False
        if b"&" in joined or b"_x" in joined or b"\r" in joined:
            return False
        try:
            # One by one each of them might be no UTF-8 while all together are: the mark keeps them apart.
            decode_text(MARK.join(texts))
        except OddError:
            return False
        self._ends.extend(islice(accumulate(map(len, texts), initial=len(self._data)), 1, None))
        self._data += joined
        return True

    def _take_one(self, element: bytes) -> bool:
        found = _PLAIN.fullmatch(element)
        if found is None:
            return False
        try:
            text = decode_text(found[1])
            self._append(resolve(text) if "&" in text else text)
        except OddError:
            return False
        return True

    def get(self, number: str) -> str | None:
        """Return a string by its decimal number, None for an empty one.

        Raises:
            InvalidInput: ``workbook-unreadable``: there is no such string.
        """
        digits = number.isascii() and number.isdigit() and len(number) <= _MAX_DIGITS
        place = int(number) if digits else -1
        if not 0 <= place < len(self._ends) - 1:
            raise unreadable("a cell refers to a shared string that is not there")
        return self._data[self._ends[place] : self._ends[place + 1]].decode() or None
