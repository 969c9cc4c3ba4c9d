# SPDX-License-Identifier: Apache-2.0
"""The sample files of the demonstration: two issuers, two files each, and what an import of each must count.

Files depend on the seed, the issuers and the day alone. The counts are known because the mess is put on here; they
hold when the files are imported in the order of the returned list, each issuer's into its own node.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import date
from typing import TYPE_CHECKING

from consortium.samples.mess import DAMAGES, PENALTY_DAMAGES, write_date, write_loosely
from consortium.samples.records import Record, Unit, build_penalty, build_permit
from consortium.samples.sheets import Cell, excel_serial, store_csv, store_xlsx
from consortium.samples.stream import SeededStream
from node.records.catalogue import load_builtin_items

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_ACCEPTED, _DUPLICATE, _DAMAGED = "accepted", "duplicate", "damaged"
_CHANGED, _SHIFTED, _BROKEN = "record-changed", "columns-shifted", "row-quote"
_CYCLE = 200
_FATES = {
    **dict.fromkeys((20, 40, 80, 120, 160), _DAMAGED),
    **dict.fromkeys((60, 150), _DUPLICATE),
    99: _CHANGED,
    110: _SHIFTED,
    175: _SHIFTED,
    195: _BROKEN,
}
"""What becomes of a row, by its place in every two hundred; the others are accepted."""

_SHIFT_AT = {"CF": "CF_SY", "XK": "XK_WSH"}
_PENALTY_BASE, _PERMIT_BASE = 1_000, 500_000
_LEAST_ROWS = 500

_PENALTY_HEADERS = {
    "CF_XDR_MC": "行政相对人名称*",
    "CF_XDR_SHXYM": "行政相对人代码_1（统一社会信用代码）",
    "CF_FRDB": "法定代表人（负责人）",
    "CF_WSH": "处罚决定书文号",
    "CF_SY": "处罚事由",
    "CF_CFLB": "处罚种类",
    "CF_NR": "处罚结果",
    "CF_NR_FK": "罚款金额（万元）",
    "CF_CFJG": "处罚机关 ",
}
_PERMIT_HEADERS = {
    "XK_XDR_MC": "相对人名称",
    "XK_XDR_SHXYM": "统一社会信用代码",
    "XK_XKWS": "行政许可决定书名称",
    "XK_WSH": "行政许可决定书文号",
    "XK_XKLB": "审批类别",
    "XK_YXQZI": "许可截止期",
    "XK_XKJG": "行政许可机关",
}


@dataclass(slots=True)
class SampleFile:
    """One file and what an import of it must find.

    Args:
        path: The file.
        item: Key of its catalogue item.
        issuer: USCC of the member that imports it.
        accepted: Rows that become records.
        duplicates: Rows that are there already, word for word.
        refused: Rule by number of the row, for every refused row.
    """

    path: Path
    item: str
    issuer: str
    accepted: int = 0
    duplicates: int = 0
    refused: dict[int, str] = field(default_factory=dict)

    @property
    def refused_by_rule(self) -> dict[str, int]:
        """Return how many rows each rule refuses."""
        return dict(sorted(Counter(self.refused.values()).items()))

    @property
    def rows(self) -> int:
        """Return the number of rows below the header."""
        return self.accepted + self.duplicates + len(self.refused)


def store_samples(
    folder: Path, market: Unit, transport: Unit, *, today: date, seed: str = "ironcage", rows: int = 2_000
) -> list[SampleFile]:
    """Store the sample files of a market regulator and a transport authority.

    Args:
        folder: Where the files go; it must exist.
        market: Issuer of penalties.
        transport: Issuer of permits.
        today: Day of the import; decisions lie before it.
        seed: Another seed gives other files.
        rows: Rows of each issuer's CSV file, at least 500; the workbook has a fifth of them.

    Returns:
        The files in the order in which to import them.
    """
    assert rows >= _LEAST_ROWS, "fewer rows do not hold every kind of mess"
    penalties = _Batch("CF", market, today, SeededStream(f"{seed}/penalties"), _PENALTY_BASE)
    permits = _Batch("XK", transport, today, SeededStream(f"{seed}/permits"), _PERMIT_BASE)
    return [
        penalties.store_text(folder / "penalties-gbk.csv", rows, "gbk", _PENALTY_HEADERS),
        penalties.store_workbook(folder / "penalties.xlsx", rows // 5),
        permits.store_text(folder / "permits-utf8-bom.csv", rows, "utf-8-sig", _PERMIT_HEADERS),
        permits.store_workbook(folder / "permits.xlsx", rows // 5),
    ]


class _Batch:
    """Rows of one issuer: clean ones, spoilt ones, repeated ones, and what is expected of each."""

    def __init__(self, prefix: str, unit: Unit, today: date, stream: SeededStream, base: int) -> None:
        self._prefix = prefix
        self._unit = unit
        self._today = today
        self._stream = stream
        self._number = base
        self._item = load_builtin_items()["penalty:2018" if prefix == "CF" else "permit:2018"]
        self._build: Callable[[int, Unit, date, SeededStream], Record] = (
            build_penalty if prefix == "CF" else build_permit
        )
        self._damages = DAMAGES + (PENALTY_DAMAGES if prefix == "CF" else ())
        self._turn = 0
        self._kept: list[Record] = []

    def store_text(self, path: Path, rows: int, encoding: str, names: dict[str, str]) -> SampleFile:
        """Store a CSV file: a title, aliases in the header, a column nobody knows, every kind of mess."""
        sample = SampleFile(path, self._item.key, self._unit.code)
        header = ["序号", *(names.get(field.code, field.zh) for field in self._item.fields), "录入时间"]
        lines: list[list[Cell]] = [[f"{self._unit.name}{self._item.title_zh}信息表"], list[Cell](header)]
        raw_lines: dict[int, str] = {}
        for _ in range(rows):
            row_number = len(lines) + 1
            cells, rule = self._next_row(row_number - 2, self._write_text)
            lines.append([row_number - 2, *cells, f"{self._today.isoformat()} 09:00:00"])
            if rule == _SHIFTED:
                lines[-1] = _shift(
                    lines[-1], header.index(names[_SHIFT_AT[self._prefix]]), right=row_number % 2 == 0
                )
            elif rule == _BROKEN:
                raw_lines[row_number] = f'{row_number - 2},"{cells[0]},{cells[1]}'
            self._count(sample, row_number, rule)
        store_csv(path, lines, encoding=encoding, raw_lines=raw_lines)
        return sample

    def store_workbook(self, path: Path, rows: int) -> SampleFile:
        """Store a workbook: codes under names, dates and amounts as numbers, rows that the CSV file had."""
        sample = SampleFile(path, self._item.key, self._unit.code)
        lines: list[list[Cell]] = [
            [field.zh for field in self._item.fields],
            [field.code for field in self._item.fields],
        ]
        for _ in range(rows):
            row_number = len(lines) + 1
            cells, rule = self._next_row(row_number - 2, self._write_cells)
            if rule == _SHIFTED:
                place = self._item.field_codes.index(_SHIFT_AT[self._prefix])
                cells = _shift(cells, place, right=row_number % 2 == 0)
            elif rule == _BROKEN:
                rule = _ACCEPTED
            lines.append(cells)
            self._count(sample, row_number, rule)
        store_xlsx(path, lines)
        return sample

    def _next_row(self, place: int, write: Callable[[Record, int], list[Cell]]) -> tuple[list[Cell], str]:
        """Build the next row and say what becomes of it: a rule, or one of the words below."""
        kind = _FATES.get(place % _CYCLE, _ACCEPTED)
        if kind in {_DUPLICATE, _CHANGED} and self._kept:
            record = dict(self._stream.choose(self._kept))
            if kind == _CHANGED:
                record[f"{self._prefix}_NR"] = f"{record[f'{self._prefix}_NR']}（更正）"
            return write(record, place), kind
        spoilt = kind in {_DAMAGED, _SHIFTED, _BROKEN}
        record = self._build_record(plain=spoilt)
        if kind == _DAMAGED:
            kind, damage = self._damages[self._turn % len(self._damages)]
            self._turn += 1
            damage(record, self._prefix, self._today)
            return write(record, 0), kind
        if kind == _ACCEPTED:
            self._kept.append(dict(record))
        return write(record, 0 if spoilt else place), kind

    def _build_record(self, *, plain: bool) -> Record:
        """Build a clean record; a plain one is about a company with a code."""
        while True:
            self._number += 1
            record = self._build(self._number, self._unit, self._today, self._stream)
            if not plain or str(record[f"{self._prefix}_XDR_SHXYM"]).startswith("91"):
                return record

    def _write_text(self, record: Record, style: int) -> list[Cell]:
        write_loosely(record, self._prefix, style)
        return [
            write_date(value, style + number) if isinstance(value, date) else value
            for number, value in enumerate(record.get(field.code, "") for field in self._item.fields)
        ]

    def _write_cells(self, record: Record, style: int) -> list[Cell]:
        write_loosely(record, self._prefix, style)
        cells: list[Cell] = []
        for field_ in self._item.fields:
            value = record.get(field_.code, "")
            if isinstance(value, date):
                cells.append((value, excel_serial(value), value.isoformat())[style % 3])
            elif (
                field_.type == "decimal" and value and value.replace(".", "").isascii() and "元" not in value
            ):
                cells.append(float(value))
            else:
                cells.append(value)
        return cells

    @staticmethod
    def _count(sample: SampleFile, row_number: int, rule: str) -> None:
        if rule == _ACCEPTED:
            sample.accepted += 1
        elif rule == _DUPLICATE:
            sample.duplicates += 1
        else:
            sample.refused[row_number] = rule


def _shift(cells: list[Cell], place: int, *, right: bool) -> list[Cell]:
    """Let the cells from a column on slide to the right, or over that column to the left."""
    if right:
        return [*cells[:place], "", *cells[place:-1]]
    return [*cells[:place], *cells[place + 1 :], ""]
