# SPDX-License-Identifier: Apache-2.0
"""Read the subjects of a question from a file: one column of a workbook or a text file, each row one subject."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from node.errors import InvalidInput, NotFound

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from node.records.headers import HeaderPlace
    from node.records.values import Cell

MAX_FILE_BYTES: Final = 16 << 20
_MOST_NAMED: Final = 20
"""Rows that an error names; of more, it says how many."""
_EXACT: Final = 2**53
_SEPARATORS: Final = frozenset(",;\t")
_HEADERS: Final = {
    "uscc": ("统一社会信用代码", "社会信用代码", "信用代码", "USCC", "CF_XDR_SHXYM", "XK_XDR_SHXYM"),
    "org": ("组织机构代码", "CF_XDR_ZZJG", "XK_XDR_ZZJG"),
    "reg": ("工商注册号", "注册号", "工商登记码", "CF_XDR_GSZC", "XK_XDR_GSZC"),
    "rid": ("身份证号", "身份证号码", "公民身份号码"),
    "name": ("名称", "姓名", "企业名称", "单位名称", "行政相对人名称", "CF_XDR_MC", "XK_XDR_MC"),
}


def read_subjects(path: Path, type_: str, column: str | None) -> list[str]:
    """Read subjects in the order of their rows.

    Args:
        path: .xlsx, .xls, CSV or NDJSON; a text file with one identifier a line is a CSV without a header.
        type_: ``uscc``, ``org``, ``reg``, ``rid`` or ``name``.
        column: Name of the column; by default a usual name of such a column, or the only one.

    Raises:
        NotFound: ``file-missing``.
        InvalidInput: ``column-unknown``; ``subjects-refused``, which names the rows and never what stands there; the codes
            of the readers.
    """
    from node.readers.opening import open_table
    from node.readers.table import Limits
    from node.records.chunks import parse_chunk

    if not path.is_file():
        raise NotFound("file-missing", f"no file {path}")
    finder = _Finder(type_, column)
    subjects: dict[str, int] = {}
    wrong: list[tuple[int, str]] = []
    limits = Limits(file_bytes=MAX_FILE_BYTES)
    with open_table(path, find_header=finder.find, limits=limits) as table:
        for data in table.chunks:
            chunk = parse_chunk(data)
            for number, row in enumerate(chunk.rows, chunk.first_row):
                if isinstance(row, str):
                    # What of the file cannot be read has a rule of its own.
                    wrong.append((number, row))
                    continue
                if not any(map(_text, row)):
                    continue
                try:
                    subject = _read_row(row, type_, finder.place)
                except InvalidInput as error:
                    wrong.append((number, error.code))
                    continue
                if subject in subjects:
                    wrong.append((number, f"as row {subjects[subject]}"))
                else:
                    subjects[subject] = number
    if wrong or not subjects:
        raise InvalidInput("subjects-refused", _describe(wrong))
    return list(subjects)


class _Finder:
    """Finds the column by its header, and remembers it."""

    def __init__(self, type_: str, column: str | None) -> None:
        self._type = type_
        self._column = column
        self.place = 0

    def find(self, rows: Sequence[Sequence[Cell]]) -> HeaderPlace:
        """Find the header among the first rows; a file of identifiers alone has none.

        Raises:
            InvalidInput: ``column-unknown``.
        """
        from node.records.headers import HeaderPlace, fold_header

        names = (self._column,) if self._column is not None else _HEADERS.get(self._type, ())
        wanted = {fold_header(name) for name in names}
        for at, row in enumerate(rows):
            for place, cell in enumerate(row):
                if fold_header(cell) in wanted:
                    self.place = place
                    return HeaderPlace(at, at + 1)
        first = next((at for at, row in enumerate(rows) if any(map(_text, row))), None)
        if self._column is None and first is not None:
            cells = [(place, _text(cell)) for place, cell in enumerate(rows[first]) if _text(cell)]
            # A line that is cut by another separator than its own is one cell, too.
            if len(cells) == 1 and not _SEPARATORS.intersection(cells[0][1]):
                self.place = cells[0][0]
                return HeaderPlace(first, first if self._is_subject(rows[first]) else first + 1)
        raise InvalidInput(
            "column-unknown",
            "no column of that name"
            if self._column is not None
            else "no column of a usual name: want --column NAME",
        )

    def _is_subject(self, row: Sequence[Cell]) -> bool:
        try:
            _read_row(row, self._type, self.place)
        except InvalidInput:
            return False
        return True


def _read_row(row: Sequence[Cell], type_: str, place: int) -> str:
    from node.access.question import fold_subject

    cell = row[place] if place < len(row) else None
    if isinstance(cell, float) and not (cell.is_integer() and abs(cell) < _EXACT):
        raise InvalidInput(
            "question-subject", "a number that is no code: the digits are lost, format the column as text"
        )
    return fold_subject(type_, _text(cell)).id


def _text(cell: Cell) -> str:
    if cell is None:
        return ""
    return str(int(cell)) if isinstance(cell, float) and cell.is_integer() else str(cell).strip()


def _describe(wrong: Sequence[tuple[int, str]]) -> str:
    if not wrong:
        return "the file holds no subject"
    named = ", ".join(f"row {number} [{code}]" for number, code in wrong[:_MOST_NAMED])
    more = f" and {len(wrong) - _MOST_NAMED} more" if len(wrong) > _MOST_NAMED else ""
    return f"nothing was asked: {named}{more}"
