# SPDX-License-Identifier: Apache-2.0
"""NDJSON: one flat JSON object a line; the columns are the members that occur anywhere in the file."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NoReturn

from node.core.canonical import check_depth
from node.errors import InvalidInput
from node.readers.encodings import find_encoding
from node.readers.table import FindHeader, Limits, Row, Table, pack_rows

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from node.records.values import Cell

_REPLACEMENT = "\ufffd"
_MAX_DEPTH = 32
_MAX_NAME_CHARACTERS = 1_000
"""Longer names are cut: no column of any item has one, and names are held as long as their file is read."""


def open_ndjson(path: Path, *, find_header: FindHeader, limits: Limits, start_row: int) -> Table:
    """Open a file of JSON objects, one a line.

    The file is read twice: once for the names of all members, which are its header, and once for the rows.

    Args:
        path: The file, known to be text.
        find_header: Finds the header among the first rows; it gets the member names as the only one.
        limits: Limits of readers.
        start_row: First row wanted; a row's number is its line's.

    Raises:
        InvalidInput: ``file-encoding``, ``file-format``, ``file-columns``, ``header-not-found``.
    """
    encoding = find_encoding(path, line_bytes=limits.line_bytes)
    errors = "replace" if encoding.broken_lines else "strict"
    names: dict[str, int] = {}
    with path.open(encoding=encoding.name, errors=errors, newline="\n") as file:
        for line in file:
            for name in _parse_line(line) or ():
                names.setdefault(name[:_MAX_NAME_CHARACTERS], len(names))
            if len(names) > limits.columns:
                raise InvalidInput(
                    "file-columns",
                    f"file has more than {limits.columns} columns: delete those that are no part of the table",
                )
    header: list[Cell] = list(names)
    find_header([header])
    rows_file = path.open(encoding=encoding.name, errors=errors, newline="\n")
    rows = _read_rows(rows_file, names, encoding.broken_lines)
    return Table(
        format="ndjson",
        encoding=encoding.name,
        header=header,
        header_row=0,
        date1904=False,
        chunks=pack_rows(rows, 1, start_row),
        close=rows_file.close,
    )


def _ends_within_a_character(line: str) -> bool:
    """Tell whether a line that ends the file was text but for its last character; the marks of that one are all it has."""
    text = line.rstrip(_REPLACEMENT)
    return len(text) < len(line) and _REPLACEMENT not in text


def _read_rows(lines: Iterator[str], names: dict[str, int], broken: frozenset[int]) -> Iterator[Row]:
    for number, line in enumerate(lines):
        if number in broken or (broken and _REPLACEMENT in line):
            yield "row-cut" if _ends_within_a_character(line) else "row-encoding"
            continue
        members = _parse_line(line)
        if members is None:
            yield (
                "row-cut" if line.strip() and not line.endswith("\n") else "row-json" if line.strip() else []
            )
        elif any(isinstance(value, dict | list) for value in members.values()):
            yield "row-json-nested"
        else:
            row: list[Cell] = [None] * len(names)
            for name, value in members.items():
                row[names[name[:_MAX_NAME_CHARACTERS]]] = (
                    "TRUE" if value is True else "FALSE" if value is False else value
                )
            yield row


def _parse_line(line: str) -> dict[str, Any] | None:
    """Parse a line, None when it is no JSON object of plain text or has a member twice."""
    try:
        # The decoder recurses in C: where a library has raised Python's own limit, depth would end the process.
        check_depth(line, _MAX_DEPTH, "line")
        value = _DECODER.decode(line)
        if type(value) is not dict:
            return None
        # A lone surrogate, which JSON can escape, is no text.
        "".join(text for pair in value.items() for text in pair if isinstance(text, str)).encode()
    except (ValueError, RecursionError, InvalidInput):
        return None
    return value


def _build_object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a member occurs twice")
    return members


def _refuse_constant(_name: str) -> NoReturn:
    raise ValueError("not a number of JSON")


# Numbers stay the text that they are, so that no digit of an amount is lost.
_DECODER = json.JSONDecoder(
    object_pairs_hook=_build_object, parse_int=str, parse_float=str, parse_constant=_refuse_constant
)
