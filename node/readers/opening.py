# SPDX-License-Identifier: Apache-2.0
"""Opening a file by what it holds, not by what it is called (docs/import.md)."""

from __future__ import annotations

import zipfile
from struct import Struct
from typing import TYPE_CHECKING

from node.errors import InvalidInput, NotFound
from node.readers.csv_file import open_csv
from node.readers.ndjson_file import open_ndjson
from node.readers.table import FindHeader, Limits, Table
from node.readers.workbook import open_workbook

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_SNIFFED_BYTES = 4_096
_ZIP = b"PK\x03\x04"
_EMPTY_ZIP = b"PK\x05\x06"
_COMPOUND = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
# Name of the stream that holds an encrypted .xlsx, as a directory entry of a compound file writes it.
_ENCRYPTED_STREAM = "EncryptedPackage".encode("utf-16-le")
_DIRECTORY_BYTES = 2**20
# Ends of an archive (APPNOTE.TXT 4.3.14 to 4.3.16): of each, the number of entries and the size of the directory.
_END = Struct("<10xHI6x")
_LARGE_END = Struct("<32xQQ8x")
_LARGE_MARK = b"PK\x06\x06"
_LOCATOR = b"PK\x06\x07"
_LOCATOR_BYTES = 20
_TAIL_BYTES = _END.size + 2**16 + _LOCATOR_BYTES + _LARGE_END.size
_MAX_PARTS = 10_000
_MAX_DIRECTORY_BYTES = 4 * 2**20
_WEB_ARCHIVES = (b"MIME-Version:", b"Content-Type: multipart/", b"From: ")
_KNOWN_OTHERS = {
    b"%PDF": "a PDF",
    b"{\\rtf": "an RTF text",
    b"\x1f\x8b": "a gzip archive",
    b"Rar!": "a RAR archive",
}


def open_table(
    path: Path,
    *,
    find_header: FindHeader,
    limits: Limits | None = None,
    start_row: int = 1,
    is_stopping: Callable[[], bool] = lambda: False,
) -> Table:
    """Open a file of rows: .xlsx, .xls, CSV (comma, tab, semicolon) or NDJSON.

    Args:
        path: The file, untrusted.
        find_header: Finds the header among the first rows of a sheet or file.
        limits: How much a reader takes; the defaults when None.
        start_row: First row wanted, as Excel numbers it, for an import that goes on where it stopped.
        is_stopping: Whether the node stops, which nobody may hold up who waits for the process that reads a workbook.

    Returns:
        The open table; close it, or use it in a ``with`` statement.

    Raises:
        NotFound: ``file-missing``.
        InvalidInput: ``file-…``, ``workbook-…`` or ``header-not-found``, explained in docs/import.md.
        Unavailable: ``reader-ended``, ``stopping``: for a workbook, also while its chunks are read.
    """
    limits = limits or Limits()
    kind = find_format(path, limits)
    if kind in {"xlsx", "xls"}:
        return open_workbook(
            path, kind, find_header=find_header, limits=limits, start_row=start_row, is_stopping=is_stopping
        )
    opener = open_ndjson if kind == "ndjson" else open_csv
    return opener(path, find_header=find_header, limits=limits, start_row=start_row)


def find_format(path: Path, limits: Limits) -> str:
    """Find the format of a file from its first bytes: ``csv``, ``ndjson``, ``xlsx`` or ``xls``.

    Raises:
        NotFound: ``file-missing``.
        InvalidInput: ``file-empty``, ``file-too-large``, ``file-markup``, ``file-format``, ``workbook-cut``,
            ``workbook-too-large``, ``workbook-encrypted``.
    """
    if not path.is_file():
        raise NotFound("file-missing", "there is no such file")
    size = path.stat().st_size
    if size > limits.file_bytes:
        raise InvalidInput("file-too-large", f"file has {size} bytes: want at most {limits.file_bytes}")
    with path.open("rb") as file:
        head = file.read(_SNIFFED_BYTES)
    if head.startswith((_ZIP, _EMPTY_ZIP)):
        _check_xlsx(path)
        return "xlsx"
    if head.startswith(_COMPOUND):
        _check_not_encrypted(path)
        return "xls"
    for mark, name in _KNOWN_OTHERS.items():
        if head.startswith(mark):
            raise InvalidInput("file-format", f"file is {name}: want .xlsx, .xls, CSV or NDJSON")
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    if not text:
        raise InvalidInput("file-empty", f"file holds nothing: {size} bytes")
    if text.startswith((b"<", *_WEB_ARCHIVES)):
        raise InvalidInput(
            "file-markup",
            "file is a web page or XML, whatever its name says: open it in Excel and save it as .xlsx",
        )
    if text.startswith(b"["):
        raise InvalidInput("file-format", "file is a JSON array: want one object a line (NDJSON)")
    return "ndjson" if text.startswith(b"{") else "csv"


def _check_xlsx(path: Path) -> None:
    _check_directory(path)
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, NotImplementedError, OSError, ValueError):
        raise InvalidInput(
            "workbook-cut",
            "workbook is cut off or damaged, its archive cannot be opened: fetch or save it again",
        ) from None
    if len(names) != len(set(names)):
        # Which of them counts differs from reader to reader.
        raise InvalidInput(
            "workbook-unreadable",
            "archive holds two parts of one name: open it in Excel and save it as .xlsx again",
        )
    if "xl/workbook.bin" in names:
        raise InvalidInput("file-format", "file is an .xlsb: open it in Excel and save it as .xlsx")
    if "xl/workbook.xml" not in names:
        raise InvalidInput("file-format", "file is an archive but no .xlsx: want .xlsx, .xls, CSV or NDJSON")


def _check_directory(path: Path) -> None:
    """Bound the directory of an archive before it is read as a whole, by the records at the end of the file."""
    size = path.stat().st_size
    with path.open("rb") as file:
        file.seek(max(0, size - _TAIL_BYTES))
        tail = file.read(_TAIL_BYTES)
    at = len(tail) - _END.size
    # As zipfile looks for it: an end without a comment first, then the last one that there is.
    if at < 0 or not (tail.startswith(_EMPTY_ZIP, at) and tail.endswith(b"\x00\x00")):
        at = tail.rfind(_EMPTY_ZIP)
    if not 0 <= at <= len(tail) - _END.size:
        raise InvalidInput(
            "workbook-cut", "workbook is cut off, its archive has no end: fetch or save it again"
        )
    entries, directory = _END.unpack_from(tail, at)
    locator = at - _LOCATOR_BYTES
    if locator >= 0 and tail.startswith(_LOCATOR, locator):
        # Its numbers count instead, whatever the shorter record says.
        large = locator - _LARGE_END.size
        if large < 0 or not tail.startswith(_LARGE_MARK, large):
            raise InvalidInput(
                "workbook-cut",
                "workbook is damaged, its archive has no end of the long form: fetch or save it again",
            )
        entries, directory = _LARGE_END.unpack_from(tail, large)
    if entries > _MAX_PARTS or directory > _MAX_DIRECTORY_BYTES:
        raise InvalidInput(
            "workbook-too-large",
            f"archive lists {entries} parts in {directory} bytes: want at most {_MAX_PARTS} in "
            f"{_MAX_DIRECTORY_BYTES}",
        )


def _check_not_encrypted(path: Path) -> None:
    with path.open("rb") as file:
        while block := file.read(_DIRECTORY_BYTES):
            if _ENCRYPTED_STREAM in block:
                raise InvalidInput(
                    "workbook-encrypted", "workbook is protected by a password: save it without and send that"
                )
