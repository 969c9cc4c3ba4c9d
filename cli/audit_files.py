# SPDX-License-Identifier: Apache-2.0
"""Files of an audit: room outside memory while it runs, and the folder with its report and proofs."""

from __future__ import annotations

from typing import TYPE_CHECKING, BinaryIO

from node.core.canonical import encode_json

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime
    from pathlib import Path

    from node.cage.audit import Report

REPORT_FILE = "report.json"
FOLDER_MODE = 0o700
_OPEN_FILES = 64


class ScratchFiles:
    """Keeps bytes under names in files of a directory; a ``Scratch`` of ``node.cage``.

    Args:
        directory: Empty, of this audit alone, removed by whoever made it.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._files: dict[str, BinaryIO] = {}
        self._lengths: dict[str, int] = {}

    def append(self, name: str, data: bytes) -> None:
        """Append to what is kept under a name."""
        self._file(name).write(data)
        self._lengths[name] = self.length(name) + len(data)

    def read(self, name: str, offset: int, length: int) -> bytes:
        """Read as much of it as is there."""
        if name not in self._lengths:
            return b""
        file = self._file(name)
        file.seek(offset)
        data = file.read(length)
        file.seek(0, 2)
        return data

    def length(self, name: str) -> int:
        """Give how many bytes are kept under a name."""
        return self._lengths.get(name, 0)

    def close(self) -> None:
        """Close all files."""
        for file in self._files.values():
            file.close()
        self._files.clear()

    def _file(self, name: str) -> BinaryIO:
        file = self._files.pop(name, None)
        if file is None:
            if len(self._files) >= _OPEN_FILES:
                oldest = next(iter(self._files))
                self._files.pop(oldest).close()
            # Opened at its end; appended to and read, never by two at once.
            file = (self._directory / name).open("a+b")
        self._files[name] = file
        return file


def read_lines(paths: list[Path]) -> Iterator[str]:
    """Read files of one text a line, blank lines left out."""
    for path in paths:
        with path.open(encoding="ascii", errors="replace") as file:
            for line in file:
                if text := line.strip():
                    yield text


def make_folder(place: Path, begun: datetime) -> Path:
    """Make the folder of an audit that names none, after the second at which it began; of several audits each gets its own.

    Raises:
        OSError: The place cannot be written to.
    """
    name = f"audit-{begun:%Y%m%dT%H%M%SZ}"
    folder, number = place / name, 1
    while True:
        try:
            folder.mkdir(mode=FOLDER_MODE)
        except FileExistsError:
            number += 1
            folder = place / f"{name}-{number}"
        else:
            return folder


def store_report(directory: Path, report: Report) -> None:
    """Write the report and every proof into a folder.

    Raises:
        OSError: The folder cannot be written to.
    """
    for finding in report.findings.listed:
        if finding.proof is not None and finding.file is not None:
            (directory / finding.file).write_bytes(finding.proof)
    (directory / REPORT_FILE).write_bytes(encode_json(report.to_json()) + b"\n")
