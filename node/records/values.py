# SPDX-License-Identifier: Apache-2.0
"""Cells to normalised values: one converter per field, compiled once per file (protocol.md §1a).

A converter takes a cell as read and returns the value as it will stand in the record, None for an empty cell,
or raises :class:`BadValue` with the rule that refuses it. Converters run thirty times a row; those of codes,
dates and amounts remember what they have seen, because files repeat them.
"""

from __future__ import annotations

import re
import unicodedata
from contextlib import suppress
from datetime import date, timedelta
from decimal import Decimal
from itertools import repeat
from typing import TYPE_CHECKING, TypeAlias, cast

from node.core.uscc import (
    PLACEHOLDER_USCC,
    fold_identifier,
    parse_organisation_code,
    parse_registration_number,
    parse_uscc,
)
from node.core.width import fold_width
from node.errors import InvalidInput
from node.records.rules import looks_like_date

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from node.records.fields import Field, Unwanted

Cell: TypeAlias = str | int | float | None
"""A cell as a reader hands it over; dates come as text, or as serial numbers where the file has numbers; truth
values come as the text that the spreadsheet shows."""

Converter: TypeAlias = "Callable[[Cell], str | None]"

ColumnConverter: TypeAlias = "Callable[[Sequence[Cell], set[int]], list[str | None]]"
"""Converts many cells and marks the rows of those that a rule refuses; for these the value is None."""

_TEXT_TYPES = frozenset({"string", "text"})
_TEXT = frozenset({str})
_TEXT_OR_NONE = frozenset({str, type(None)})
_CACHE_SIZE = 65_536
_EXACT_DIGITS = 10**15
_FIRST_YEAR, _LAST_YEAR = 1949, 2199
_UNSEEN = ""
"""Stands for a value that is not known; no converter returns it."""
_SERIAL_EPOCH = date(1899, 12, 30)
_SERIAL_EPOCH_1904 = date(1904, 1, 1)
_MAX_SERIAL = 110_000

_DATE = re.compile(
    r"(?:([0-9]{4})([-/.])([0-9]{1,2})\2([0-9]{1,2})|([0-9]{4})年([0-9]{1,2})月([0-9]{1,2})日?|([0-9]{4})([0-9]{2})([0-9]{2}))"
    r"(?:[ T]+(?:[01]?[0-9]|2[0-3]):[0-5][0-9](?::[0-5][0-9](?:\.[0-9]+)?)?)?"
)
_SERIAL = re.compile(r"[0-9]{5,6}(?:\.[0-9]+)?")
_AMOUNT = re.compile(r"(-?)((?:[0-9]{1,3}(?:,[0-9]{3})+|[0-9]+)?)(?:\.([0-9]*))?")
_SCIENTIFIC = re.compile(r"[0-9](?:\.[0-9]+)?[Ee]\+?[0-9]+")
_STRONG_SEPARATOR = re.compile("[;；]")
_WEAK_SEPARATOR = re.compile("[、,，|]")
_PREFIX_MARKS = "-－—–:：()（） \u3000"
_MONEY_UNITS = ("元", "万", "亿", "圆", "块")
# Characters taken for others by hand and by OCR, first those outside the alphabet; only to say so, never to correct.
_LOOK_ALIKES = (str.maketrans("IOSZ乙", "10522"), str.maketrans("IOSZ乙LQ", "1052210"))


class BadValue(Exception):
    """A cell that a rule refuses.

    Args:
        rule: A key of ``node.records.rules.RULES``.
    """

    def __init__(self, rule: str) -> None:
        super().__init__(rule)
        self.rule = rule


def compile_field(field: Field, empty: frozenset[str], *, date1904: bool) -> Converter:
    """Compile the converter of a field.

    Args:
        field: The field.
        empty: Texts that stand for an empty cell, the empty text among them.
        date1904: Whether serial numbers count from 1904 (a workbook made on an old Macintosh).
    """
    kind = field.type
    if kind in _TEXT_TYPES:
        return _compile_text(field, empty)
    if kind == "enum":
        return _Remembering(_compile_enum(field, empty))
    if kind == "enums":
        return _Remembering(_compile_enums(field, empty))
    if kind == "date":
        return _Remembering(_compile_date(field, empty, date1904=date1904))
    if kind == "decimal":
        return _Remembering(_compile_decimal(field, empty))
    return _Remembering(_compile_code(field, empty))


class _Remembering:
    """A pure converter with a bounded memory of cells that passed.

    Attributes:
        memory: Value by cell.
    """

    __slots__ = ("_convert", "memory")

    def __init__(self, convert: Converter) -> None:
        self._convert = convert
        self.memory: dict[Cell, str | None] = {None: None, "": None}

    def __call__(self, cell: Cell) -> str | None:
        value = self.memory.get(cell, _UNSEEN)
        if value is not _UNSEEN:
            return value
        value = self._convert(cell)
        if len(self.memory) >= _CACHE_SIZE:
            self.memory.clear()
        self.memory[cell] = value
        return value

    def convert_all(self, cells: Sequence[Cell], marked: set[int]) -> list[str | None]:
        """Convert many cells and mark the rows of those that a rule refuses."""
        if _are_empty(cells):
            return [None] * len(cells)
        values = list(map(self.memory.get, cells, repeat(_UNSEEN)))
        if _UNSEEN in values:
            for row, value in enumerate(values):
                if value is _UNSEEN:
                    values[row] = _convert_or_mark(self, cells[row], row, marked)
        return values


def _are_empty(cells: Sequence[Cell]) -> bool:
    """Tell whether all cells, at least one, are the empty text: half of the columns of a file often are."""
    return cells[0] == "" and cells.count("") == len(cells)


def _convert_or_mark(convert: Converter, cell: Cell, row: int, marked: set[int]) -> str | None:
    try:
        return convert(cell)
    except BadValue:
        marked.add(row)
        return None


def compile_column(field: Field, empty: frozenset[str], convert: Converter) -> ColumnConverter:
    """Compile the converter of many cells of a field.

    Args:
        field: The field.
        empty: As for ``compile_field``.
        convert: What ``compile_field`` made of it.
    """
    if isinstance(convert, _Remembering):
        return convert.convert_all

    def convert_each(cells: Sequence[Cell], marked: set[int]) -> list[str | None]:
        return [_convert_or_mark(convert, cell, row, marked) for row, cell in enumerate(cells)]

    if field.refuse or field.min_length:
        return convert_each
    most = field.max_length

    def convert_texts(cells: Sequence[Cell], marked: set[int]) -> list[str | None]:
        if _are_empty(cells):
            return [None] * len(cells)
        kinds = set(map(type, cells))
        if kinds == _TEXT:
            texts = list(map(str.strip, cast("Sequence[str]", cells)))
        elif kinds <= _TEXT_OR_NONE:
            texts = [cell.strip() if cell else "" for cell in cast("Sequence[str]", cells)]
        else:
            return convert_each(cells, marked)
        if max(map(len, texts), default=0) > most:
            return convert_each(cells, marked)
        if empty.isdisjoint(texts):
            return cast("list[str | None]", texts)
        return [None if text in empty else text for text in texts]

    return convert_texts


def text_of(cell: Cell) -> str:
    """Return the text of a cell, numbers as the spreadsheet shows them.

    Raises:
        BadValue: ``number-precision-lost`` for a number of more than 15 digits, which a spreadsheet rounds.
    """
    if isinstance(cell, str):
        return cell
    if cell is None:
        return ""
    if not -_EXACT_DIGITS < cell < _EXACT_DIGITS:
        raise BadValue("number-precision-lost")
    if cell == int(cell):
        return str(int(cell))
    return format(Decimal(format(cell, ".15g")), "f")


def _compile_text(field: Field, empty: frozenset[str]) -> Converter:
    longest_empty = max(map(len, empty))
    least, most = field.min_length, field.max_length
    unwanted = field.refuse

    def convert(cell: Cell) -> str | None:
        if cell.__class__ is not str:
            if cell is None:
                return None
            cell = text_of(cell)
        text: str = cell.strip()
        length = len(text)
        if length <= longest_empty and text in empty:
            return None
        if length > most:
            raise BadValue("text-too-long")
        if unwanted or length < least:
            _check_wanted(text, unwanted, least)
        return text

    return convert


def _check_wanted(text: str, unwanted: tuple[Unwanted, ...], least: int) -> None:
    for rule in unwanted:
        if (
            (rule.how == "like" and looks_like_date(text))
            or (rule.how == "ends" and text.endswith(rule.texts))
            or (rule.how == "contains" and any(part in text for part in rule.texts))
        ):
            raise BadValue(rule.rule)
    if len(text) < least:
        raise BadValue("text-too-short")


def fold_value(text: str) -> str:
    """Fold an enumerated value for comparison: width, case and spaces do not count."""
    return "".join(unicodedata.normalize("NFKC", text).split()).upper()


def _compile_enum(field: Field, empty: frozenset[str]) -> Converter:
    find = _compile_choice(field)

    def convert(cell: Cell) -> str | None:
        text = text_of(cell).strip()
        if text in empty and text not in field.value_aliases:
            return None
        value = find(text)
        if value is None:
            raise BadValue("enum-value")
        if len(value) > field.max_length:
            raise BadValue("text-too-long")
        return value

    return convert


def _compile_enums(field: Field, empty: frozenset[str]) -> Converter:
    find = _compile_choice(field)

    def convert(cell: Cell) -> str | None:
        text = text_of(cell).strip()
        if text in empty:
            return None
        values: list[str] = []
        for part in _STRONG_SEPARATOR.split(text):
            if not part.strip():
                continue
            value = find(part.strip())
            # A separator inside 其他-… belongs to the name, so the whole part is tried first.
            found = (
                [value] if value is not None else [find(word.strip()) for word in _WEAK_SEPARATOR.split(part)]
            )
            for each in found:
                if each is None:
                    raise BadValue("enum-value")
                if each not in values:
                    values.append(each)
        if not values:
            raise BadValue("enum-value")
        joined = ";".join(values)
        if len(joined) > field.max_length:
            raise BadValue("text-too-long")
        return joined

    return convert


def _compile_choice(field: Field) -> Callable[[str], str | None]:
    table = {fold_value(alias): value for alias, value in field.value_aliases.items()}
    table |= field.value_aliases
    prefix = field.open_prefix

    def find(text: str) -> str | None:
        value = table.get(text) or table.get(fold_value(text))
        if value is None and prefix is not None and text.startswith(prefix):
            rest = unicodedata.normalize("NFC", text[len(prefix) :].strip(_PREFIX_MARKS))
            if not rest:
                raise BadValue("enum-other-unnamed")
            return f"{prefix}-{rest}"
        return value

    return find


def _compile_date(field: Field, empty: frozenset[str], *, date1904: bool) -> Converter:
    words = {fold_value(alias): value for alias, value in field.value_aliases.items()}
    epoch = _SERIAL_EPOCH_1904 if date1904 else _SERIAL_EPOCH

    def convert(cell: Cell) -> str | None:
        if isinstance(cell, int | float) and cell < _MAX_SERIAL:
            return _serial_date(cell, epoch)
        text = fold_width(text_of(cell)).strip()
        if text in empty:
            return None
        if "年" in text:
            text = text.replace(" ", "")
        match = _DATE.fullmatch(text)
        if match is None:
            if fold_value(text) in words:
                return words[fold_value(text)]
            if _SERIAL.fullmatch(text):
                return _serial_date(float(text), epoch)
            raise BadValue("date-format")
        year, month, day = (int(part) for part in match.groups() if part is not None and part.isdigit())
        return _check_date(year, month, day)

    return convert


def _serial_date(serial: float, epoch: date) -> str:
    if not 1 <= serial < _MAX_SERIAL:
        raise BadValue("date-range")
    day = epoch + timedelta(days=int(serial))
    return _check_date(day.year, day.month, day.day)


def _check_date(year: int, month: int, day: int) -> str:
    try:
        value = date(year, month, day)
    except ValueError:
        raise BadValue("date-range") from None
    if not _FIRST_YEAR <= year <= _LAST_YEAR:
        raise BadValue("date-range")
    return value.isoformat()


def _compile_decimal(field: Field, empty: frozenset[str]) -> Converter:
    unit = fold_value(field.unit or "")

    def convert(cell: Cell) -> str | None:
        text = "".join(fold_width(text_of(cell)).split())
        if text in empty:
            return None
        if unit and text.endswith(unit):
            text = text[: -len(unit)]
        if text.endswith(_MONEY_UNITS):
            raise BadValue("decimal-unit")
        match = _AMOUNT.fullmatch(text)
        if match is None or not (match[2] or match[3]):
            raise BadValue("decimal-format")
        whole = match[2].replace(",", "").lstrip("0") or "0"
        fraction = (match[3] or "").rstrip("0")
        if match[1] and (whole != "0" or fraction):
            raise BadValue("decimal-negative")
        if len(whole) > field.integer_digits or len(fraction) > field.fraction_digits:
            raise BadValue("decimal-digits")
        return f"{whole}.{fraction}" if fraction else whole

    return convert


def _compile_code(field: Field, empty: frozenset[str]) -> Converter:
    check = _CODE_CHECKS[field.type]

    def convert(cell: Cell) -> str | None:
        text = fold_identifier(text_of(cell))
        if text in empty:
            return None
        if _SCIENTIFIC.fullmatch(text):
            raise BadValue("number-precision-lost")
        text = check(text)
        if len(text) > field.max_length:
            raise BadValue("text-too-long")
        return text

    return convert


def _check_uscc(text: str) -> str:
    if text == PLACEHOLDER_USCC:
        return text
    try:
        return parse_uscc(text)
    except InvalidInput as error:
        raise BadValue("uscc-look-alike" if _has_look_alikes(text) else error.code) from None


def _has_look_alikes(text: str) -> bool:
    """Tell whether a wrong code becomes right when look-alike characters are read as what they resemble."""
    for table in _LOOK_ALIKES:
        other = text.translate(table)
        if other != text:
            with suppress(InvalidInput):
                parse_uscc(other)
                return True
    return False


def _check_agency(text: str) -> str:
    if text == PLACEHOLDER_USCC:
        raise BadValue("uscc-placeholder")
    _check_uscc(text)
    # 91 companies, 92 individual businesses, 93 farmers' cooperatives (GB 32100-2015)
    if text.startswith(("91", "92", "93")):
        raise BadValue("agency-code")
    return text


def _check_organisation(text: str) -> str:
    try:
        return parse_organisation_code(text)
    except InvalidInput as error:
        raise BadValue(error.code) from None


def _check_registration(text: str) -> str:
    # Only the 15-digit form has a check digit; older licences have 13 digits or text.
    if len(text) == 15 and text.isascii() and text.isdigit():  # noqa: PLR2004  the form's length
        try:
            return parse_registration_number(text)
        except InvalidInput as error:
            raise BadValue(error.code) from None
    return unicodedata.normalize("NFC", text)


def _check_any(text: str) -> str:
    return unicodedata.normalize("NFC", text)


_CODE_CHECKS: dict[str, Callable[[str], str]] = {
    "uscc": _check_uscc,
    "agency": _check_agency,
    "organisation-code": _check_organisation,
    "registration-number": _check_registration,
    "code": _check_any,
    "document": _check_any,
}
