# SPDX-License-Identifier: Apache-2.0
"""Rules between the fields of one row: conditions, order of dates, identity documents.

Each check adds to ``faults`` (rule by place of the field) and leaves fields alone that have a fault already.
"""

from __future__ import annotations

from operator import itemgetter
from typing import TYPE_CHECKING, Any, TypeAlias

from node.core.uscc import contains_resident_id

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from node.records.catalogue import CatalogueItem
    from node.records.fields import Condition

Faults: TypeAlias = dict[int, str]
"""Rule by place of the field in the item; the first rule of a field stands."""

RESIDENT_ID_CHARS = 18
_CACHE_SIZE = 4_096


def build_picker(places: Sequence[int]) -> Callable[[Sequence[Any]], tuple[Any, ...]]:
    """Build a function that returns the members of a sequence at some places, in one C call where possible."""
    if len(places) > 1:
        return itemgetter(*places)
    if places:
        (only,) = places
        return lambda members: (members[only],)
    return lambda _members: ()


class Conditions:
    """The rules between fields of one item, compiled.

    Args:
        item: The item.
        today: Day of the import, YYYY-MM-DD.
    """

    def __init__(self, item: CatalogueItem, *, today: str) -> None:
        index = {field.code: place for place, field in enumerate(item.fields)}
        self._today = today
        self._required = tuple(place for place, field in enumerate(item.fields) if field.required)
        rules: dict[int, list[tuple[int, Condition, bool]]] = {}
        for place, field in enumerate(item.fields):
            for condition, wants in ((field.required_when, True), (field.blank_when, False)):
                if condition is not None:
                    rules.setdefault(index[condition.field], []).append((place, condition, wants))
        self._rules = tuple(rules.items())
        self._outcomes: list[dict[str | None, tuple[tuple[int, ...], tuple[int, ...]]]] = [{} for _ in rules]
        self._order = tuple((index[first], index[second]) for first, second in item.order)
        self._not_future = tuple(index[code] for code in item.not_future)
        self._documents = tuple(
            (place, index[field.kind_field], frozenset(field.resident_kinds))
            for place, field in enumerate(item.fields)
            if field.kind_field is not None
        )

    def check(self, values: Sequence[str | None], faults: Faults) -> None:
        """Check all rules between fields of a row.

        Args:
            values: Normalised values in the order of the item.
            faults: Gets the rule of each field that breaks one.
        """
        self._check_presence(values, faults)
        self._check_dates(values, faults)
        for place, kind, resident_kinds in self._documents:
            value = values[place]
            if value is not None and values[kind] in resident_kinds and not is_resident_id(value):
                faults.setdefault(place, "resident-id")

    def find_marked(self, columns: Sequence[Sequence[str | None]], marked: set[int]) -> None:
        """Mark the rows that ``check`` would refuse.

        Args:
            columns: Values of many rows by place in the item; no value is the empty text.
            marked: Gets the places of the rows.
        """
        for place in self._required:
            if not all(columns[place]):
                marked.update(row for row, value in enumerate(columns[place]) if value is None)
        for control, rules in self._rules:
            controls = columns[control]
            distinct = set(controls)
            for place, condition, wants in rules:
                holding = {value for value in distinct if condition.holds(value)}
                if holding:
                    marked.update(
                        row
                        for row, value in enumerate(columns[place])
                        if (value is None) == wants and controls[row] in holding
                    )
        for place in self._not_future:
            if max(filter(None, columns[place]), default="") > self._today:
                marked.update(
                    row for row, value in enumerate(columns[place]) if value and value > self._today
                )
        for first, second in self._order:
            pairs = zip(columns[first], columns[second], strict=True)
            marked.update(row for row, (one, two) in enumerate(pairs) if one and two and one > two)
        for place, kind, resident_kinds in self._documents:
            kinds = columns[kind]
            marked.update(
                row
                for row, value in enumerate(columns[place])
                if value is not None and kinds[row] in resident_kinds and not is_resident_id(value)
            )

    def _check_presence(self, values: Sequence[str | None], faults: Faults) -> None:
        missing = [place for place in self._required if values[place] is None]
        for (control, _), outcomes in zip(self._rules, self._outcomes, strict=True):
            value = values[control]
            outcome = outcomes.get(value)
            required, blank = self._outcome_of(control, value) if outcome is None else outcome
            missing += [place for place in required if values[place] is None]
            for place in blank:
                if values[place] is not None:
                    faults.setdefault(place, "field-must-be-blank")
        for place in missing:
            faults.setdefault(place, "field-required")

    def _check_dates(self, values: Sequence[str | None], faults: Faults) -> None:
        for place in self._not_future:
            value = values[place]
            if value is not None and value > self._today:
                faults.setdefault(place, "date-in-future")
        for first, second in self._order:
            earlier, later = values[first], values[second]
            if earlier is not None and later is not None and earlier > later:
                faults.setdefault(second, "date-order")

    def _outcome_of(self, control: int, value: str | None) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Work out once which fields a value of the controlling field demands and forbids."""
        number = next(n for n, (place, _) in enumerate(self._rules) if place == control)
        holding = [
            (place, wants) for place, condition, wants in self._rules[number][1] if condition.holds(value)
        ]
        outcome = (
            tuple(place for place, wants in holding if wants),
            tuple(place for place, wants in holding if not wants),
        )
        outcomes = self._outcomes[number]
        if len(outcomes) >= _CACHE_SIZE:
            outcomes.clear()
        outcomes[value] = outcome
        return outcome


def is_resident_id(value: str) -> bool:
    """Tell whether a value is a resident id of 18 characters with a right check digit."""
    return len(value) == RESIDENT_ID_CHARS and contains_resident_id(value)
