# SPDX-License-Identifier: Apache-2.0
"""The encoding of a text file, found by reading all of it once before any row is taken.

UTF-8 and GB18030 (which holds GBK and GB2312) both keep the newline byte for newlines, so lines can be judged one
by one. Text in one of them is practically never valid in the other once it has a few characters, but GB18030
would decode most of UTF-8 into nonsense without complaint; therefore every line is put to the test of UTF-8 first.
A few broken lines cost only themselves; a file that is a mixture is refused.
"""

from __future__ import annotations

import codecs
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from node.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

_BLOCK_BYTES = 2**20
_MOST_BROKEN_LINES = 100
_BROKEN_PER_LINES = 100
# A short GB18030 text can be valid UTF-8 by chance, mostly as two-byte letters (“一” reads as Cyrillic). Text
# counts as UTF-8 only when it has some of the three-byte characters that Chinese consists of there.
_TELLING_CHARACTERS = 4
_SAMPLE_BYTES = 4_096
_LEAST_ZEROS = 8
_ZEROS_OF_WIDE_TEXT = 20
"""In UTF-16 digits, separators and ends of line hold a zero each, at even places or at odd ones: one byte in so many."""
_NO_LEADS = bytes(byte for byte in range(256) if byte not in {*range(0xE3, 0xEA), 0xEF})
_NEVER_UTF8 = bytes((0xC0, 0xC1, *range(0xF5, 0x100)))
"""Bytes that no UTF-8 has and nearly every line of Chinese in GB18030; to look for them takes less than to fail."""
_FOREIGN_MARKS = {
    codecs.BOM_UTF32_LE: "UTF-32",
    codecs.BOM_UTF32_BE: "UTF-32",
    codecs.BOM_UTF16_LE: "UTF-16",
    codecs.BOM_UTF16_BE: "UTF-16",
}


@dataclass(frozen=True, slots=True)
class TextEncoding:
    """How to decode a text file.

    Args:
        name: Python's name of the encoding: ``utf-8``, ``utf-8-sig`` or ``gb18030``.
        broken_lines: Numbers, from 0, of lines that are not text in it.
        newline: What ends a line: a newline, or a carriage return where the file has no newlines at its begin.
    """

    name: str
    broken_lines: frozenset[int]
    newline: str = "\n"


@dataclass(slots=True)
class _Lines:
    """Lines of one kind: how many, the first one's place in the file, the numbers of the first hundred."""

    count: int = 0
    first_line: int = 0
    first_byte: int = 0
    numbers: list[int] = field(default_factory=list)

    def add(self, number: int, offset: int, count: int = 1) -> None:
        if self.count == 0:
            self.first_line, self.first_byte = number, offset
        if len(self.numbers) <= _MOST_BROKEN_LINES:
            self.numbers.extend(range(number, number + min(count, _MOST_BROKEN_LINES + 1)))
        self.count += count


def find_encoding(path: Path, *, line_bytes: int) -> TextEncoding:
    """Find the encoding of a text file.

    Args:
        path: The file.
        line_bytes: Longest line accepted.

    Raises:
        InvalidInput: ``file-encoding`` when it is neither UTF-8 nor GB18030, or a mixture, with the place of the
            first line that does not fit; ``file-format`` when it is no text.
    """
    utf8, chinese, broken, short = _Lines(), _Lines(), _Lines(), _Lines()
    total = 0
    marked = False
    newline = b"\n"
    offset = 0
    for block in read_blocks(path, line_bytes):
        if offset == 0:
            _check_mark(block)
            marked = block.startswith(codecs.BOM_UTF8)
            newline = b"\r" if b"\r" in block and b"\n" not in block else b"\n"
        lines = block.count(newline) + (not block.endswith(newline))
        if not block.isascii():
            if _is_valid(block, "utf-8") and _is_telling(block):
                utf8.add(total, offset, lines)
            else:
                _judge_lines(block, newline, (total, offset), (utf8, chinese, broken, short))
        total += lines
        offset += len(block)
    if marked or (utf8.count >= chinese.count and utf8.count > 0):
        # The few lines too short to tell are valid UTF-8.
        name, few = "utf-8-sig" if marked else "utf-8", _check_few("UTF-8", (chinese, broken), total)
    elif chinese.count > 0:
        name, few = "gb18030", _check_few("GB18030", (utf8, broken), total)
    else:
        name, few = "utf-8", _check_few("UTF-8", (broken,), total)
    return TextEncoding(name, few, newline.decode())


def _judge_lines(
    block: bytes, newline: bytes, place: tuple[int, int], kinds: tuple[_Lines, _Lines, _Lines, _Lines]
) -> None:
    """Sort the lines of a block that is not plainly UTF-8 into UTF-8, GB18030, neither, and too short to tell."""
    utf8, chinese, broken, short = kinds
    # Judging the block once as GB18030 spares judging its lines when it is, which is nearly always.
    is_chinese = _is_valid(block, "gb18030")
    number, offset = place
    for line in block.removesuffix(newline).split(newline):
        if not line.isascii():
            if len(line.translate(None, _NEVER_UTF8)) == len(line) and _is_valid(line, "utf-8"):
                # What is no GB18030 tells, however short: a file cannot be read as GB18030 over it.
                both = is_chinese or _is_valid(line, "gb18030")
                (short if both and not _is_telling(line) else utf8).add(number, offset)
            elif is_chinese or _is_valid(line, "gb18030"):
                chinese.add(number, offset)
            else:
                broken.add(number, offset)
        number += 1
        offset += len(line) + 1


def _is_telling(text: bytes) -> bool:
    return len(text.translate(None, _NO_LEADS)) >= _TELLING_CHARACTERS


def _check_few(name: str, misfits: tuple[_Lines, ...], total: int) -> frozenset[int]:
    found = [lines for lines in misfits if lines.count]
    count = sum(lines.count for lines in found)
    if not found:
        return frozenset()
    if count > _MOST_BROKEN_LINES or count * _BROKEN_PER_LINES > max(total, _BROKEN_PER_LINES):
        first = min(found, key=lambda lines: lines.first_byte)
        raise InvalidInput(
            "file-encoding",
            f"file is not all {name}: {count} of {total} lines do not fit, the first is line {first.first_line + 1} "
            f"at byte {first.first_byte}; want one of UTF-8 and GB18030 (GBK) throughout: save it in Excel as .xlsx or "
            "“CSV UTF-8”, and look at that line before you do",
        )
    return frozenset(number for lines in found for number in lines.numbers)


def _check_mark(block: bytes) -> None:
    for mark, name in _FOREIGN_MARKS.items():
        if block.startswith(mark):
            raise InvalidInput(
                "file-encoding",
                f"file is {name}: want UTF-8 or GB18030; in Excel save it as “CSV UTF-8” or .xlsx",
            )


def ends_within_a_character(line: bytes, encoding: str) -> bool:
    """Tell whether all of a line is text but for its last character, of which bytes are missing."""
    decoder = codecs.getincrementaldecoder(encoding)()
    try:
        decoder.decode(line)
    except UnicodeDecodeError:
        return False
    return bool(decoder.getstate()[0])


def _is_valid(data: bytes, encoding: str) -> bool:
    try:
        data.decode(encoding)
    except UnicodeDecodeError:
        return False
    return True


def read_blocks(path: Path, line_bytes: int) -> Generator[bytes]:
    """Read a text file in blocks that end with a line.

    Args:
        path: The file.
        line_bytes: Longest line accepted.

    Yields:
        Blocks of a mebibyte and one line at most; the last one may end without an end of line.

    Raises:
        InvalidInput: ``file-format`` when it is no text.
    """
    rest = b""
    offset = 0
    with path.open("rb") as file:
        while block := file.read(_BLOCK_BYTES):
            if b"\0" in block and not (offset == 0 and block.startswith(tuple(_FOREIGN_MARKS))):
                raise _describe_zeros(block, offset)
            # A carriage return at the end may be half of an end of line.
            cut = (block.rfind(b"\n") + 1) or (0 if b"\n" in rest else block.rfind(b"\r", 0, -1) + 1)
            if cut:
                yield rest + block[:cut]
                rest = block[cut:]
            else:
                rest += block
            offset += len(block)
            if len(rest) > line_bytes:
                raise InvalidInput(
                    "file-format",
                    f"a line is longer than {line_bytes} bytes, behind byte {offset - len(rest)}: file is no table as "
                    "text, or its ends of line are lost; export it again",
                )
    if rest:
        yield rest


def _describe_zeros(block: bytes, offset: int) -> InvalidInput:
    """Tell UTF-16 without a mark, whose every other byte is often zero, from a file that is damaged or no text."""
    sample = block[:_SAMPLE_BYTES]
    fewer, more = sorted((sample[::2].count(0), sample[1::2].count(0)))
    if (
        offset == 0
        and more >= _LEAST_ZEROS
        and more * _ZEROS_OF_WIDE_TEXT > len(sample)
        and fewer * 10 < more
    ):
        return InvalidInput(
            "file-encoding",
            "file looks like UTF-16: want UTF-8 or GB18030; in Excel save it as “CSV UTF-8” or .xlsx",
        )
    return InvalidInput(
        "file-format",
        f"file is no text, or a damaged one: byte {offset + block.index(0)} is zero; export or copy it again",
    )
