# SPDX-License-Identifier: Apache-2.0
"""Whom a row is about, and how widely its record may be disclosed (protocol.md §1a, docs/catalogue.md)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from node.core.uscc import PLACEHOLDER_USCC
from node.records.catalogue import REFUSED
from node.records.conditions import is_resident_id
from node.records.fields import DISCLOSURE_CLASSES
from node.records.values import BadValue, fold_value, text_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from node.records.catalogue import CatalogueItem
    from node.records.conditions import Faults
    from node.records.values import Cell


class SubjectRule:
    """How an item finds the subject and the class of a row, compiled."""

    def __init__(self, item: CatalogueItem) -> None:
        index = {field.code: place for place, field in enumerate(item.fields)}
        self._item = item
        self._name = index[item.subject.name]
        self._codes = tuple((kind, index[code]) for kind, code in item.subject.codes if kind != "rid")
        self._resident = next((index[code] for kind, code in item.subject.codes if kind == "rid"), None)
        persons = item.subject.natural_persons
        self._kind = None if persons is None else index[persons.field]
        self._person_values = frozenset() if persons is None else persons.values
        self._refuses_persons = persons is not None and persons.disclosure == REFUSED
        self._person_class = (
            "" if persons is None or self._refuses_persons else item.narrow_class(persons.disclosure)
        )
        self._classes = {fold_value(text): name for text, name in item.class_values.items()}

    @property
    def name_place(self) -> int:
        """Return the place of the field with the party's name."""
        return self._name

    def is_natural_person(self, values: Sequence[str | None]) -> bool:
        """Tell whether a row is about a natural person, by the field that says so."""
        return self._kind is not None and values[self._kind] in self._person_values

    def check_person(self, values: Sequence[str | None], faults: Faults) -> None:
        """Refuse a row about a natural person where the item takes none."""
        if self._refuses_persons and self._kind is not None and self.is_natural_person(values):
            faults.setdefault(self._kind, "natural-person-refused")

    def find_marked(self, columns: Sequence[Sequence[str | None]], marked: set[int]) -> None:
        """Mark the rows that ``check_person`` would refuse."""
        if self._refuses_persons and self._kind is not None:
            kinds = columns[self._kind]
            marked.update(row for row, kind in enumerate(kinds) if kind in self._person_values)

    def find_subject(self, values: Sequence[str | None]) -> tuple[str, str] | None:
        """Find type and id of the subject, None when even a name is missing.

        A natural person is known by the resident id, or by name when the document is another one. Anyone else is
        known by the first code there is; the placeholder for no code is none.

        Args:
            values: Checked values in the order of the item.
        """
        name = values[self._name]
        if self.is_natural_person(values):
            document = None if self._resident is None else values[self._resident]
            if document is not None and is_resident_id(document):
                return "rid", document
            return None if name is None else ("name", name)
        for kind, place in self._codes:
            code = values[place]
            if code is not None and code != PLACEHOLDER_USCC:
                return kind, code
        return None if name is None else ("name", name)

    def find_subjects(self, columns: Sequence[Sequence[str | None]]) -> list[tuple[str, str] | None]:
        """Find the subjects of many rows, each as ``find_subject`` does.

        Args:
            columns: Checked values of the rows by place in the item.
        """
        found = [None if name is None else ("name", name) for name in columns[self._name]]
        for kind, place in reversed(self._codes):
            if any(columns[place]):
                for row, code in enumerate(columns[place]):
                    if code is not None and code != PLACEHOLDER_USCC:
                        found[row] = kind, code
        for row, person in enumerate(self.find_persons(columns)):
            if person:
                found[row] = self.find_subject([column[row] for column in columns])
        return found

    def find_persons(self, columns: Sequence[Sequence[str | None]]) -> list[bool]:
        """Tell for many rows whether each is about a natural person."""
        if self._kind is None:
            return [False] * len(columns[self._name])
        return list(map(self._person_values.__contains__, columns[self._kind]))

    def find_class(self, cell: Cell, *, person: bool) -> str:
        """Find the disclosure class of a row.

        Args:
            cell: The cell that narrows the class, None where the file has no such column.
            person: Whether the row is about a natural person.

        Raises:
            BadValue: ``enum-value`` for a class that the item does not list.
        """
        widest = self._person_class if person else self._item.disclosure_class
        if cell is None:
            return widest
        text = fold_value(text_of(cell))
        if text in self._item.empty:
            return widest
        if text not in self._classes:
            raise BadValue("enum-value")
        return self._item.narrow_class(max(widest, self._classes[text], key=DISCLOSURE_CLASSES.index))
