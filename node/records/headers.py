# SPDX-License-Identifier: Apache-2.0
"""From the header of a file to the fields of a catalogue item.

Header names are compared folded (docs/catalogue.md, Header names). A field's own code or name wins over its
aliases, because files carry both; two columns of equal standing for one field are refused, since taking
either would drop the other silently. Columns that stand for nothing are reported, not dropped in silence.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from node.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from node.records.catalogue import CatalogueItem
    from node.records.fields import Field
    from node.records.values import Cell

MAX_TITLE_ROWS = 10
"""The header stands within so many rows; titles and notes may stand above it."""

_MAX_HEADER_CHARS = 100
# A header may hold every name twice, or one a thousand times; the message stays one that can be read.
_MAX_NAMED_TWICE = 10
_MAX_NAMED_COLUMNS = 4
_DROPPED = dict.fromkeys(map(ord, "()[]{}<>〔〕【】《》「」_-—–*:、,;。·/\\\"'“”‘’.?!|~"))


class HeaderWarning(NamedTuple):
    """A column that is not imported.

    Args:
        column: Number of the column from 1.
        header: Its header as printed, cut to 50 characters.
        rule: ``column-unknown``, or ``column-second-name`` for an alias of a field that has its own column.
    """

    column: int
    header: str
    rule: str


@dataclass(frozen=True, slots=True)
class HeaderTable:
    """Folded header names of an item, to the codes of its fields."""

    own: dict[str, str]
    aliases: dict[str, str]
    class_names: frozenset[str]
    ignored: frozenset[str]


@dataclass(frozen=True, slots=True)
class HeaderMap:
    """Where each field of an item stands in the rows of a file.

    Args:
        positions: For each field of the item its column from 0, None when the file has none.
        class_position: Column that narrows the disclosure class, None when the file has none.
        width: Number of columns up to the last one with a name.
        unnamed: Columns within the width that have no name; their cells must be empty.
        warnings: Columns that are not imported.
    """

    positions: tuple[int | None, ...]
    class_position: int | None
    width: int
    unnamed: tuple[int, ...]
    warnings: tuple[HeaderWarning, ...]


class HeaderPlace(NamedTuple):
    """Indices, from 0, of the header among the first rows of a file and of the first row of data."""

    header: int
    data: int


def fold_header(cell: Cell) -> str:
    """Fold a header name for comparison: width, case, spaces, brackets and punctuation do not count."""
    if type(cell) is not str or len(cell) > _MAX_HEADER_CHARS:
        return ""
    return (
        "".join(unicodedata.normalize("NFKC", cell).translate(_DROPPED).split()).upper().strip("\ufeff\u200b")
    )


def build_header_table(
    fields: Iterable[Field], *, class_headers: Iterable[str], ignored: Iterable[str]
) -> HeaderTable:
    """Build the table of all header names of an item.

    Raises:
        InvalidInput: ``item-header`` when one name stands for two things, or for none after folding.
    """
    own: dict[str, str] = {}
    aliases: dict[str, str] = {}
    class_names = frozenset(map(fold_header, class_headers))
    ignored_names = frozenset(map(fold_header, ignored))
    fields = tuple(fields)
    for field in fields:
        for name in (field.code, field.zh):
            _claim(own, name, field.code)
    for field in fields:
        for name in field.header_aliases:
            if own.get(fold_header(name), field.code) != field.code:
                raise InvalidInput("item-header", f"an alias of {field.code} is the name of another field")
            _claim(aliases, name, field.code)
    taken = own.keys() | aliases.keys()
    if (
        class_names & ignored_names
        or taken & (class_names | ignored_names)
        or "" in class_names | ignored_names
    ):
        raise InvalidInput("item-header", "a header name stands for two things, or is empty after folding")
    return HeaderTable(own, aliases, class_names, ignored_names)


def _claim(table: dict[str, str], name: str, code: str) -> None:
    folded = fold_header(name)
    if not folded or table.setdefault(folded, code) != code:
        raise InvalidInput("item-header", f"a header name of {code} is empty or stands for another field too")


def find_header(item: CatalogueItem, rows: Sequence[Sequence[Cell]]) -> HeaderPlace:
    """Find the header among the first rows of a file.

    It is the first row that names at least half of the mandatory columns. A second such row right below it
    (codes under names) belongs to the header.

    Args:
        item: The item whose columns are sought.
        rows: The first rows of the file; at most ten are looked at.

    Raises:
        InvalidInput: ``header-not-found``.
    """
    mandatory = {field.code for field in item.fields if field.required}
    wanted = max(1, (len(mandatory) + 1) // 2)
    best = 0
    for index, row in enumerate(rows[:MAX_TITLE_ROWS]):
        named = _count_named(item, row, mandatory)
        if named >= wanted:
            below = index + 1 < len(rows) and _count_named(item, rows[index + 1], mandatory) >= wanted
            return HeaderPlace(index, index + 2 if below else index + 1)
        best = max(best, named)
    raise InvalidInput(
        "header-not-found",
        f"no header of {item.key} in the first {min(len(rows), MAX_TITLE_ROWS)} rows: "
        f"the best names {best} of {len(mandatory)} mandatory columns, want at least {wanted}",
    )


def _count_named(item: CatalogueItem, row: Sequence[Cell], mandatory: set[str]) -> int:
    table = item.headers
    found = set()
    for cell in row:
        folded = fold_header(cell)
        code = table.own.get(folded) or table.aliases.get(folded)
        if code is not None:
            found.add(code)
    return len(found & mandatory)


def map_headers(item: CatalogueItem, header: Sequence[Cell]) -> HeaderMap:
    """Map the columns of a file to the fields of an item.

    Args:
        item: The item that the rows are of.
        header: The header row as read.

    Raises:
        InvalidInput: ``header-duplicate`` when two columns stand for one field, which names the first ten such fields
            and the first four columns of each; ``header-missing`` when a mandatory field has no column, which names all of them.
    """
    table = item.headers
    own: dict[str, list[int]] = {}
    aliases: dict[str, list[int]] = {}
    classes: list[int] = []
    unknown: list[int] = []
    unnamed: list[int] = []
    for position, cell in enumerate(header):
        folded = fold_header(cell)
        if folded in table.own:
            own.setdefault(table.own[folded], []).append(position)
        elif folded in table.aliases:
            aliases.setdefault(table.aliases[folded], []).append(position)
        elif folded in table.class_names:
            classes.append(position)
        elif not folded and (cell is None or not str(cell).strip()):
            unnamed.append(position)
        elif folded not in table.ignored:
            unknown.append(position)
    _check_unique(item, own, aliases, classes)
    chosen = {code: places[0] for code, places in (aliases | own).items()}
    missing = [field for field in item.fields if field.required and field.code not in chosen]
    if missing:
        names = ", ".join(f"{field.code} {field.zh}" for field in missing)
        raise InvalidInput("header-missing", f"mandatory columns of {item.key} are missing: want {names}")
    second = [place for code, places in aliases.items() if code in own for place in places]
    width = max((place for place in range(len(header)) if place not in unnamed), default=-1) + 1
    return HeaderMap(
        positions=tuple(chosen.get(field.code) for field in item.fields),
        class_position=classes[0] if classes else None,
        width=width,
        unnamed=tuple(place for place in unnamed if place < width),
        warnings=tuple(
            HeaderWarning(place + 1, str(header[place]).strip()[:50], rule)
            for place, rule in sorted(
                [(place, "column-unknown") for place in unknown]
                + [(place, "column-second-name") for place in second]
            )
        ),
    )


def _check_unique(
    item: CatalogueItem, own: dict[str, list[int]], aliases: dict[str, list[int]], classes: list[int]
) -> None:
    twice = [(code, places) for code, places in own.items() if len(places) > 1]
    twice += [(code, places) for code, places in aliases.items() if len(places) > 1 and code not in own]
    if len(classes) > 1:
        twice.append(("disclosure class", classes))
    if twice:
        named = [f"{code} in columns {_name_columns(places)}" for code, places in twice[:_MAX_NAMED_TWICE]]
        names = "; ".join([*named, *(["and others"] if len(twice) > len(named) else [])])
        raise InvalidInput("header-duplicate", f"columns of {item.key} occur twice: {names}")


def _name_columns(places: Sequence[int]) -> str:
    numbers = [str(place + 1) for place in places[:_MAX_NAMED_COLUMNS]]
    return " and ".join([*numbers, *(["others"] if len(places) > len(numbers) else [])])
