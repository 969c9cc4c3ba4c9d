# SPDX-License-Identifier: Apache-2.0
"""Feeding expat a document of many like elements, of which those in plain form are cut out before it sees them.

Expat calls Python for every tag, which is what reading a large sheet costs. Rows and shared strings come nearly always
in one of few forms, which a regular expression takes as a whole. An element that is balanced and well-formed by
itself may be left out of a document without changing whether the rest is well-formed, if it is left out where expat
stands between tokens, in content. So:

1. Expat gets the document up to the end of such an element.
2. While it stands between two of them, having used every byte, each further one is offered to be taken.
3. What is not taken goes to expat, in its order; expat alone refuses.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from xml.parsers import expat

from node.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

MAX_CELL_CHARACTERS = 2**20
"""Far more than the 32,767 that a spreadsheet program takes."""
_MAX_TOKEN_BYTES = 2**22
_AGAIN = "open it in Excel and save it as .xlsx again"
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
MARK = b"\0"
JOINT = b"\1"
"""Neither stands in the elements that are offered, so that whoever takes them may put these in for what is left out."""
_CONTROLS = bytes(code for code in range(32) if code not in b"\0\t\n\r")
_REFERENCE = re.compile("&(?:(amp|lt|gt|quot|apos)|#(?:([0-9]{1,7})|x([0-9A-Fa-f]{1,6})));")
_XML_CHARACTER = re.compile("[\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_UNICODE_END = 0x110000
_ENTITIES = {"amp": "&", "lt": "<", "gt": ">", "quot": '"', "apos": "'"}

Attributes = dict[str, str]


class OddError(Exception):
    """An element is not in plain form; expat shall read it."""


def unreadable(reason: str) -> InvalidInput:
    """Build the error for a workbook that is not what a workbook must be."""
    return InvalidInput("workbook-unreadable", f"{reason}: {_AGAIN}")


def refuse_doctype(*_declaration: object) -> None:
    """Refuse a document type, as a handler of expat."""
    raise unreadable("a part of the workbook declares a document type, which none may")


def feed(parser: expat.XMLParserType, data: bytes, *, last: bool) -> None:
    """Give a parser more of its document.

    Raises:
        InvalidInput: ``workbook-unreadable``: no well-formed XML.
    """
    try:
        parser.Parse(data, last)
    except expat.ExpatError as error:
        if error.code == expat.errors.codes[expat.errors.XML_ERROR_NO_MEMORY]:
            raise MemoryError from None
        raise unreadable("a part of the workbook is no well-formed XML") from None
    except (LookupError, ValueError):
        # Of Python's codecs, which expat asks for any encoding but UTF-8, UTF-16, ISO-8859-1 and US-ASCII.
        raise unreadable("a part of the workbook is in an encoding that none may have") from None


class PlainFeeder:
    """Gives a parser its document, block by block; no tag or comment may be endless.

    Args:
        parser: A parser without namespaces, its handlers set but those of the declaration and of CDATA.
        end: The end tag of the elements that may be taken, as ``</row>``.
        is_between: Tells whether the handlers stand where such an element is read as ``take`` reads it.
        take: Takes elements from the one of a number on, and returns the number of the first that it did not take. They come
            without their end tags, with the white space before them, and hold neither MARK nor JOINT.
    """

    def __init__(
        self,
        parser: expat.XMLParserType,
        end: bytes,
        is_between: Callable[[], bool],
        take: Callable[[list[bytes], int], int],
    ) -> None:
        self._parser = parser
        self._end = end
        self._is_between = is_between
        self._take = take
        self._fed = 0
        self._plain = True
        """Whether the document is UTF-8 and, so far, without CDATA, inside which tags are text."""
        parser.XmlDeclHandler = self._declare
        parser.StartCdataSectionHandler = self._meet_cdata

    def _declare(self, _version: str, encoding: str | None, _standalone: int) -> None:
        if encoding is not None and encoding.lower() != "utf-8":
            self._plain = False

    def _meet_cdata(self) -> None:
        self._plain = False

    def feed_all(self, parts: Iterable[bytes]) -> Iterator[None]:
        """Give the parser its whole document.

        Yields:
            None after each block.

        Raises:
            InvalidInput: ``workbook-unreadable``.
        """
        held = b""
        try:
            for part in parts:
                if not self._fed and not held:
                    start = part.removeprefix(_BYTE_ORDER_MARK)[:2]
                    # Otherwise it may be UTF-16, which needs no declaration.
                    self._plain = len(start) == 2 and start.isascii() and 0 not in start  # noqa: PLR2004  bytes of one unit
                held = self._feed_block(held + part)
                yield
            self._feed(held)
            feed(self._parser, b"", last=True)
            yield
        finally:
            # The handlers hold the parser, and this object.
            parser = self._parser
            parser.StartElementHandler = parser.EndElementHandler = parser.CharacterDataHandler = None
            parser.XmlDeclHandler = parser.StartCdataSectionHandler = None

    def _feed_block(self, data: bytes) -> bytes:
        """Feed and take what is there, and return the beginning of an element whose end is not there yet."""
        end = self._end
        first = data.find(end) + len(end)
        if first < len(end) or not self._plain:
            self._feed(data)
            return b""
        if not self._stands_between():
            self._feed(data[:first])
            # Once a block: expat begins an unfinished token anew each time, and a comment may be full of end tags.
            if not self._stands_between():
                self._feed(data[first:])
                return b""
        else:
            first = 0
        last = data.rfind(end) + len(end)
        self._feed_elements(data[first:last])
        return data[last:]

    def _feed_elements(self, data: bytes) -> None:
        if MARK in data or JOINT in data:
            self._feed(data)
            return
        elements = data.split(self._end)
        elements.pop()
        number = self._take(elements, 0)
        while number < len(elements):
            self._feed(elements[number] + self._end)
            number += 1
            if not self._stands_between():
                self._feed(self._end.join([*elements[number:], b""]))
                return
            number = self._take(elements, number)

    def _stands_between(self) -> bool:
        return self._plain and self._parser.CurrentByteIndex == self._fed and self._is_between()

    def _feed(self, data: bytes) -> None:
        feed(self._parser, data, last=False)
        self._fed += len(data)
        # Expat begins an unfinished tag anew with every block, which takes time by the square of its length.
        if self._fed - max(self._parser.CurrentByteIndex, 0) > _MAX_TOKEN_BYTES:
            raise unreadable("a part of the workbook holds an endless tag")


def decode_text(data: bytes) -> str:
    """Decode text between tags, with ends of line as XML wants them (XML 1.0, 2.11); a MARK may stand between texts.

    Raises:
        OddError: Another byte that is no character of XML (2.2), or the end of CDATA.
    """
    if len(data.translate(None, _CONTROLS)) != len(data):
        raise OddError
    try:
        text = data.decode()
    except UnicodeDecodeError:
        raise OddError from None
    if "]]>" in text or "\ufffe" in text or "\uffff" in text:
        raise OddError
    return text.replace("\r\n", "\n").replace("\r", "\n") if "\r" in text else text


def resolve(text: str) -> str:
    """Replace the predefined entities and the numbers of characters in a text.

    Raises:
        OddError: Another entity, or no character that XML may hold.
    """
    if text.count("&") != len(_REFERENCE.findall(text)):
        raise OddError
    return _REFERENCE.sub(_resolve_one, text)


def _resolve_one(found: re.Match[str]) -> str:
    name, decimal, hexadecimal = found.groups()
    if name:
        return _ENTITIES[name]
    code = int(decimal) if decimal else int(hexadecimal, 16)
    if code >= _UNICODE_END or not _XML_CHARACTER.fullmatch(chr(code)):
        raise OddError
    return chr(code)


def build_parser() -> expat.XMLParserType:
    """Build a parser that gives texts in few pieces and refuses document types."""
    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.buffer_size = 2**16
    parser.StartDoctypeDeclHandler = refuse_doctype
    return parser


def names_like(root: str, *names: str) -> list[str]:
    """Return names with the prefix of a document's root, where it has one."""
    prefix, separator, _ = root.rpartition(":")
    return [f"{prefix}{separator}{name}" for name in names]


def append_text(texts: list[str], text: str) -> None:
    """Append a piece to the pieces of a cell's text, which must not become endless."""
    texts.append(text)
    # A text comes whole unless it is long, so that counting costs the rare one alone.
    if len(texts) > 1 and sum(map(len, texts)) > MAX_CELL_CHARACTERS:
        raise unreadable(f"a cell holds more than {MAX_CELL_CHARACTERS} characters")
