# SPDX-License-Identifier: Apache-2.0
"""Finding rows whose cells slid into a neighbouring column.

One missing or extra cell makes every cell behind it wrong, and a list of all those faults hides the cause. A
column counts as evidence of a shift when its own cell is refused or missing, the cell beside it is what the
column wants, and that cell does not belong where it stands. Two columns that agree on the direction make a
shifted row; one alone may be chance.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from node.records.values import BadValue

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from node.records.values import Cell, Converter

TELLING_TYPES = frozenset({"uscc", "agency", "organisation-code", "date", "enum", "enums", "decimal"})
"""Types that few strangers fit; a text column takes anything and tells nothing."""

_WEAK_TYPES = frozenset({"decimal"})
_FREE_TYPES = frozenset({"string", "text", "code", "registration-number", "document"})
_ENOUGH = 2


class Columns:
    """The columns of a file as a shift sees them.

    Args:
        types: Field type by column, None where no field stands.
        converters: Converter by column, None where no field stands.
    """

    def __init__(self, types: Sequence[str | None], converters: Sequence[Converter | None]) -> None:
        self._types = types
        self._converters = converters

    def find_shift(self, row: Sequence[Cell], refused: Collection[int]) -> int | None:
        """Find the first column that a shift spoiled, None when nothing speaks for a shift.

        Args:
            row: The cells as read.
            refused: Columns whose own cell was refused or is missing though mandatory; the number of columns for a
                field that has none.
        """
        for step in (1, -1):
            evidence = [place for place in refused if self._is_evidence(row, place, place + step, refused)]
            if len(evidence) >= _ENOUGH:
                return min(min(place, place + step) for place in evidence)
        return None

    def _is_evidence(self, row: Sequence[Cell], place: int, beside: int, refused: Collection[int]) -> bool:
        # A mandatory field without a column is missing behind the last one.
        kind = self._types[place] if place < len(self._types) else None
        if kind not in TELLING_TYPES or not 0 <= beside < len(row):
            return False
        kind_beside = self._types[beside] if beside < len(self._types) else None
        displaced = beside in refused or kind_beside is None
        if not displaced and (kind_beside not in _FREE_TYPES or kind in _WEAK_TYPES):
            return False
        convert = self._converters[place]
        if convert is None:
            return False
        try:
            return convert(row[beside]) is not None
        except BadValue:
            return False
