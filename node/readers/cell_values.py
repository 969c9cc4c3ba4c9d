# SPDX-License-Identifier: Apache-2.0
"""What the text of a cell of an .xlsx stands for, by its type and style (ECMA-376 part 1, 18.3.1.4 and 18.18.11)."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from node.readers.plain_xml import unreadable

if TYPE_CHECKING:
    from collections.abc import Callable

    from node.readers.shared_strings import Strings
    from node.records.values import Cell

MAX_COLUMN = 16_384
_MAX_SERIAL = 2_958_466
"""Serial number of 10000-01-01."""
_MAX_NUMBER = 1e300
_MAX_INTEGER = 2**63
"""Whole numbers from here on stay floats: chunks hold integers of 64 bits."""
_EPOCH = datetime(1899, 12, 30)  # noqa: DTZ001  a spreadsheet's dates have no zone
_EPOCH_1904 = datetime(1904, 1, 1)  # noqa: DTZ001  same
_CACHED_VALUES = 2**16
_ESCAPED = re.compile("_x((?![Dd][89A-Fa-f])[0-9A-Fa-f]{4})_")


class Columns(dict[str, int]):
    """Columns, from 0, of letters such as ``AB``."""

    def __missing__(self, letters: str) -> int:
        column = 0
        for character in letters:
            if not "A" <= character <= "Z" or column > MAX_COLUMN:
                raise unreadable("a cell has a malformed place")
            column = column * 26 + ord(character) - ord("A") + 1
        if not 0 < column <= MAX_COLUMN:
            raise unreadable("a cell has a malformed place")
        self[letters] = column - 1
        return column - 1


class _Known(dict[str, "Cell"]):
    """Values that were read before, by their text; as many as memory holds without harm."""

    def __init__(self, read: Callable[[str], Cell]) -> None:
        super().__init__()
        self._read = read

    def __missing__(self, text: str) -> Cell:
        value = self._read(text)
        if len(self) >= _CACHED_VALUES:
            self.clear()
        self[text] = value
        return value


class CellValues:
    """Reads the texts of cells.

    Args:
        strings: Shared strings of the workbook.
        dates: Numbers of the cell styles that show a date.
        date1904: Whether dates count from 1904.
    """

    def __init__(self, strings: Strings, dates: frozenset[int], *, date1904: bool) -> None:
        self._dates = {str(style) for style in dates}
        self._epoch = _EPOCH_1904 if date1904 else _EPOCH
        self._readers: dict[str, Callable[[str], Cell]] = {
            "s": _Known(strings.get).__getitem__,
            "n": _read_number,
            "b": lambda text: "TRUE" if text == "1" else "FALSE",
            # An error (#N/A) is no value; the reader of whole sheets leaves it empty too.
            "e": lambda _text: None,
        }
        self._read_date = _Known(self._read_moment).__getitem__

    def reader_of(self, kind: str, style: str | None) -> Callable[[str], Cell]:
        """Return what reads the text, not empty, of a cell by the attributes ``t`` and ``s`` of the cell.

        It raises InvalidInput ``workbook-unreadable``.
        """
        if kind == "n" and style in self._dates:
            return self._read_date
        return self._readers.get(kind, unescape)

    def _read_moment(self, text: str) -> Cell:
        value = _parse_number(text)
        if 0 <= value < _MAX_SERIAL:
            return format_moment(self._epoch + timedelta(days=value))
        return _read_number(text)


def _parse_number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise unreadable("a number cell holds no number") from None


def _read_number(text: str) -> Cell:
    value = _parse_number(text)
    if not -_MAX_NUMBER < value < _MAX_NUMBER:
        # No value of any record: as text it is refused with its row.
        return text
    return int(value) if value.is_integer() and -_MAX_INTEGER < value < _MAX_INTEGER else value


def unescape(text: str) -> str:
    """Undo ``_x000D_``, by which characters are written that XML cannot hold (18.18.93, ST_Xstring).

    Half a surrogate pair is no character: it stays as it is written.
    """
    return _ESCAPED.sub(lambda found: chr(int(found[1], 16)), text) if "_x" in text else text


def format_moment(moment: datetime) -> str:
    """Write a date cell as text, without the time when it is midnight."""
    if (moment.hour, moment.minute, moment.second) == (0, 0, 0):
        return moment.date().isoformat()
    return moment.isoformat(sep=" ", timespec="seconds")
