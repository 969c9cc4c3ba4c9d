# SPDX-License-Identifier: Apache-2.0
"""Validation of rows: cells in, a record's values or the rules that refuse them out.

Each row goes through these steps:

1. the row as a whole: what the reader found wrong, the number of cells;
2. every cell by its field's converter;
3. texts: Unicode form, control characters, resident ids where none belong;
4. fields against each other: conditions, order of dates, identity documents;
5. the subject, the disclosure class, identity and content.

A refused row gets one refusal for each field at fault, or a single one when its cells slid sideways.
"""

from __future__ import annotations

from itertools import chain, compress
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from node.records.conditions import Conditions, build_picker
from node.records.identity import build_contents, build_identities
from node.records.rules import Refusal, describe_value
from node.records.shifts import Columns
from node.records.subjects import SubjectRule
from node.records.texts import Texts
from node.records.values import BadValue, compile_column, compile_field

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from node.records.catalogue import CatalogueItem
    from node.records.conditions import Faults
    from node.records.headers import HeaderMap
    from node.records.values import Cell

_FOREIGN_ENOUGH = 2
_CLASS_COLUMN = "disclosure"


class ValidRow(NamedTuple):
    """A row that became a record's values.

    Args:
        subject_type: ``uscc``, ``org``, ``reg``, ``rid`` or ``name``.
        subject_id: The subject's code, or the name as printed.
        values: Normalised values in the order of the item's fields, None where absent.
        packed: Subject and values as they are sealed.
        identity: Canonical identity; plain and personal, only its keyed digest is kept.
        content: Canonical content; plain and personal, only its keyed digest is kept.
        disclosure: Class of the record: ``open``, ``shared`` or ``authorised``.
        numbered: False when the row has no document number, so that its content identifies it.
    """

    subject_type: str
    subject_id: str
    values: list[str | None]
    packed: bytes
    identity: bytes
    content: bytes
    disclosure: str
    numbered: bool


class ValidRows(NamedTuple):
    """Rows that became records' values; all members but ``columns`` have one element a row.

    Args:
        places: Where the rows stand among those that were checked, ascending.
        subjects: Type and id of each subject, as in ``ValidRow``.
        columns: For each of the item's fields, its values.
        packed: As in ``ValidRow``, like all that follow.
        identities: The identities.
        contents: The contents.
        disclosures: The classes.
        numbered: Whether each has a document number.
    """

    places: Sequence[int]
    subjects: Sequence[tuple[str, str]]
    columns: Sequence[Sequence[str | None]]
    packed: Sequence[bytes]
    identities: Sequence[bytes]
    contents: Sequence[bytes]
    disclosures: Sequence[str]
    numbered: Sequence[bool]

    def split(self) -> list[ValidRow]:
        """Give the rows one by one."""
        values = map(list, zip(*self.columns, strict=True))
        return [
            ValidRow(*subject, *rest) for subject, *rest in zip(self.subjects, values, *self[3:], strict=True)
        ]

    def pick(self, pick: Callable[[Sequence[Any]], Sequence[Any]]) -> ValidRows:
        """Apply to each sequence of one element a row what picks some of its elements, or orders them."""
        places, subjects, columns, *others = self
        return ValidRows(pick(places), pick(subjects), list(map(pick, columns)), *map(pick, others))


class RowValidator:
    """Validates the rows of one file against one catalogue item.

    Args:
        item: The item that the rows are of.
        header_map: Where its fields stand, from ``map_headers``.
        issuer: USCC of the member that will sign the records.
        today: Day of the import, YYYY-MM-DD; decisions are not later.
        date1904: Whether the file's serial dates count from 1904.
    """

    def __init__(
        self, item: CatalogueItem, header_map: HeaderMap, *, issuer: str, today: str, date1904: bool = False
    ) -> None:
        self._codes = item.field_codes
        self._item_key = item.key
        self._issuer = issuer
        self._width = width = header_map.width
        self._unnamed = header_map.unnamed
        self._class_position = header_map.class_position
        # A field without a column reads the None that is put behind every row.
        self._positions = tuple(width if place is None else place for place in header_map.positions)
        self._pick = build_picker(self._positions)
        self._last_mandatory = max(
            (place for place, field in zip(self._positions, item.fields, strict=True) if field.required),
            default=-1,
        )
        self._converters = tuple(compile_field(field, item.empty, date1904=date1904) for field in item.fields)
        self._column_converters = tuple(
            compile_column(field, item.empty, convert)
            for field, convert in zip(item.fields, self._converters, strict=True)
        )
        self._texts = Texts(item)
        self._conditions = Conditions(item, today=today)
        self._subjects = SubjectRule(item)
        self._number = None if item.number is None else self._codes.index(item.number)
        self._date = None if item.date is None else self._codes.index(item.date)
        fields = dict(zip(self._positions, zip(item.fields, self._converters, strict=True), strict=False))
        places = range(width)
        self._columns = Columns(
            [fields[place][0].type if place in fields else None for place in places],
            [fields[place][1] if place in fields else None for place in places],
        )

    def check(self, row: Sequence[Cell] | str, number: int) -> ValidRow | list[Refusal]:
        """Check one row.

        Args:
            row: The cells as read; or the reader's rule code for a row that it could not read.
            number: The row's number as Excel shows it, from 1.

        Returns:
            The record's values, or at least one refusal.
        """
        outcome = self._check(row, number, 0)
        return outcome.split()[0] if isinstance(outcome, ValidRows) else outcome

    def _check(self, row: Sequence[Cell] | str, number: int, place: int) -> ValidRows | list[Refusal]:
        if isinstance(row, str):
            return [Refusal(number, None, row, "")]
        faults: Faults = {}
        cells = self._fit(row)
        picked = self._pick(cells)
        try:
            values = [convert(cell) for convert, cell in zip(self._converters, picked, strict=True)]
        except BadValue:
            values = self._convert_each(picked, faults)
        self._texts.check(values, faults)
        self._conditions.check(values, faults)
        self._subjects.check_person(values, faults)
        whole = self._find_whole_fault(row)
        if faults or whole is not None:
            return self._refuse(row, number, faults, whole)
        return self._accept(cells, values, number, place)

    def check_all(
        self, rows: Sequence[Sequence[Cell] | str], first_row: int
    ) -> tuple[ValidRows, list[Refusal]]:
        """Check consecutive rows; the outcome is that of ``check`` for each, in a third of the time.

        Columns are looked at instead of rows, and whatever stands out sends its row through ``check``.

        Args:
            rows: As for ``check``; blank ones are empty.
            first_row: Number of the first of them.

        Returns:
            The valid rows and the refusals.
        """
        even = [place for place, row in enumerate(rows) if not isinstance(row, str) and self._is_even(row)]
        parts = [self._accept_all([rows[place] for place in even], even)]
        found = set(parts[0].places)
        refusals: list[Refusal] = []
        for place, row in enumerate(rows):
            if row and place not in found:
                outcome = self._check(row, first_row + place, place)
                if isinstance(outcome, ValidRows):
                    parts.append(outcome)
                else:
                    refusals += outcome
        return _join(parts), refusals

    def _is_even(self, row: Sequence[Cell]) -> bool:
        """Tell whether a row has a cell for each column and nothing behind them."""
        return len(row) == self._width or (
            len(row) > self._width and not any(map(_is_filled, row[self._width :]))
        )

    def _accept_all(self, rows: Sequence[Any], places: Sequence[int]) -> ValidRows:
        """Accept what needs no closer look of rows that have a cell for each column."""
        if not rows:
            return self._build_valid([], [[] for _ in self._codes], [], [])
        cells: list[Sequence[Cell]] = list(zip(*rows, strict=False))
        # A field without a column reads empty cells.
        cells[self._width :] = [[None] * len(rows)]
        marked: set[int] = set()
        for place in self._unnamed:
            marked.update(row for row, cell in enumerate(cells[place]) if _is_filled(cell))
        columns = [
            convert(cells[place], marked)
            for convert, place in zip(self._column_converters, self._positions, strict=True)
        ]
        for checks in (self._texts, self._conditions, self._subjects):
            checks.find_marked(columns, marked)
        subjects = self._subjects.find_subjects(columns)
        marked.update(row for row, subject in enumerate(subjects) if subject is None)
        persons = self._subjects.find_persons(columns)
        if self._class_position is None:
            usual = [self._subjects.find_class(None, person=person) for person in (False, True)]
            classes = list(map(usual.__getitem__, persons))
        else:
            classes = [
                self._find_class_or_mark(cell, row, marked, person=person)
                for row, (cell, person) in enumerate(zip(cells[self._class_position], persons, strict=True))
            ]
        keep = [row not in marked for row in range(len(rows))]
        return self._build_valid(
            list(compress(places, keep)),
            [list(compress(column, keep)) for column in columns] if marked else columns,
            cast("list[tuple[str, str]]", list(compress(subjects, keep))),
            list(compress(classes, keep)),
        )

    def _find_class_or_mark(self, cell: Cell, row: int, marked: set[int], *, person: bool) -> str:
        try:
            return self._subjects.find_class(cell, person=person)
        except BadValue:
            marked.add(row)
            return ""

    def _build_valid(
        self,
        places: Sequence[int],
        columns: Sequence[Sequence[str | None]],
        subjects: Sequence[tuple[str, str]],
        classes: Sequence[str],
    ) -> ValidRows:
        kinds, ids = zip(*subjects, strict=True) if subjects else ((), ())
        packed = build_contents(kinds, ids, columns)
        contents = packed
        if self._class_position is not None:
            # The class is not among the values, yet a row with another class is another row.
            contents = [content + name.encode() for content, name in zip(packed, classes, strict=True)]
        nothing = [None] * len(packed)
        numbers = nothing if self._number is None else columns[self._number]
        dates = nothing if self._date is None else columns[self._date]
        identities = build_identities(self._item_key, self._issuer, numbers, dates, subjects, contents)
        numbered = [number is not None for number in numbers]
        return ValidRows(places, subjects, columns, packed, identities, contents, classes, numbered)

    def _fit(self, row: Sequence[Cell]) -> list[Cell]:
        """Return exactly the named columns and a None behind them."""
        cells = list(row)
        missing = self._width + 1 - len(cells)
        if missing == 1:
            cells.append(None)
        elif missing > 1:
            cells.extend([None] * missing)
        else:
            del cells[self._width :]
            cells.append(None)
        return cells

    def _convert_each(self, picked: Sequence[Cell], faults: Faults) -> list[str | None]:
        values: list[str | None] = []
        for place, (convert, cell) in enumerate(zip(self._converters, picked, strict=True)):
            try:
                values.append(convert(cell))
            except BadValue as fault:
                faults[place] = fault.rule
                values.append(None)
        return values

    def _find_whole_fault(self, row: Sequence[Cell]) -> str | None:
        """Find what is wrong with the row as a whole: cells without a column, or columns without a cell."""
        if len(row) <= self._last_mandatory:
            return "row-too-few-cells"
        if len(row) > self._width and any(map(_is_filled, row[self._width :])):
            return "cell-without-column"
        if self._unnamed and any(_is_filled(row[place]) for place in self._unnamed if place < len(row)):
            return "cell-without-column"
        return None

    def _accept(
        self, cells: Sequence[Cell], values: Sequence[str | None], row_number: int, place: int
    ) -> ValidRows | list[Refusal]:
        person = self._subjects.is_natural_person(values)
        cell = None if self._class_position is None else cells[self._class_position]
        try:
            disclosure = self._subjects.find_class(cell, person=person)
        except BadValue as fault:
            return [Refusal(row_number, _CLASS_COLUMN, fault.rule, describe_value(cell))]
        subject = self._subjects.find_subject(values)
        if subject is None:
            return [
                Refusal(
                    row_number, self._codes[self._subjects.name_place], "field-required", describe_value(None)
                )
            ]
        columns = [[value] for value in values]
        return self._build_valid([place], columns, [subject], [disclosure])

    def _refuse(self, row: Sequence[Cell], number: int, faults: Faults, whole: str | None) -> list[Refusal]:
        refused = {self._positions[place] for place in faults}
        shifted = self._columns.find_shift(row, refused)
        foreign = [place for place, rule in faults.items() if rule == "foreign-value"]
        if shifted is None and len(foreign) >= _FOREIGN_ENOUGH:
            shifted = min(self._positions[place] for place in foreign)
        if shifted is not None:
            column = self._codes[self._positions.index(shifted)] if shifted in self._positions else None
            return [Refusal(number, column, "columns-shifted", describe_value(_cell_at(row, shifted)))]
        if whole is not None:
            return [Refusal(number, None, whole, "")]
        return [
            Refusal(number, self._codes[place], rule, describe_value(_cell_at(row, self._positions[place])))
            for place, rule in sorted(faults.items())
        ]


def _join(parts: Sequence[ValidRows]) -> ValidRows:
    """Put what was found apart together, in the order of the rows."""
    if len(parts) == 1:
        return parts[0]
    each, others = [part.columns for part in parts], [part._replace(columns=()) for part in parts]
    joined = ValidRows(*(list(chain.from_iterable(members)) for members in zip(*others, strict=True)))
    columns = [list(chain.from_iterable(pieces)) for pieces in zip(*each, strict=True)]
    order = sorted(range(len(joined.places)), key=joined.places.__getitem__)
    return joined._replace(columns=columns).pick(build_picker(order))


def _cell_at(row: Sequence[Cell], place: int) -> Cell:
    return row[place] if place < len(row) else None


def _is_filled(cell: Cell) -> bool:
    return cell is not None and (not isinstance(cell, str) or bool(cell.strip()))
