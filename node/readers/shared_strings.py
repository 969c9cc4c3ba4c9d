# SPDX-License-Identifier: Apache-2.0
"""The shared strings of an .xlsx (ECMA-376 part 1, 18.4)."""

from __future__ import annotations

import re
from array import array
from typing import TYPE_CHECKING

from node.readers.cell_values import unescape
from node.readers.plain_xml import (
    OddError,
    PlainFeeder,
    append_text,
    build_parser,
    names_like,
    resolve,
    unreadable,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from node.readers.plain_xml import Attributes

_PLAIN = re.compile('[ \t\n]*+<si><t(?: xml:space="preserve")?>([^<]*+)</t>')
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
        for _ in PlainFeeder(parser, "</si>", is_between, self._take).feed_all(parts):
            continue

    def _append(self, text: str) -> None:
        self._data += unescape(text).encode()
        self._ends.append(len(self._data))

    def _take(self, elements: list[str], first: int) -> int:
        data, ends, fullmatch = self._data, self._ends, _PLAIN.fullmatch
        for number in range(first, len(elements)):
            found = fullmatch(elements[number])
            if found is None:
                return number
            text = found[1]
            if "&" in text:
                try:
                    text = resolve(text)
                except OddError:
                    return number
            if "_x" in text:
                self._append(text)
            else:
                data += text.encode()
                ends.append(len(data))
        return len(elements)

    def get(self, number: str) -> str:
        """Return a string by its decimal number.

        Raises:
            InvalidInput: ``workbook-unreadable``: there is no such string.
        """
        digits = number.isascii() and number.isdigit() and len(number) <= _MAX_DIGITS
        place = int(number) if digits else -1
        if not 0 <= place < len(self._ends) - 1:
            raise unreadable("a cell refers to a shared string that is not there")
        return self._data[self._ends[place] : self._ends[place + 1]].decode()
