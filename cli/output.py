# SPDX-License-Identifier: Apache-2.0
"""What commands print, and with which exit code they end.

0  done, or verified at the level that the policy demands
1  refused, or not verified
2  wrong usage or input
3  unavailable: the same call may succeed later
"""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from cli.language import LANGUAGE, say
from cli.words import value_text
from node.core.canonical import encode_json
from node.errors import InvalidInput, NodeError, NotFound, Unavailable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

REFUSED: Final = 1
USAGE: Final = 2
UNAVAILABLE: Final = 3
SAVED_MODE: Final = 0o600
"""What commands save tells who asked about whom."""


def exit_code_of(error: NodeError) -> int:
    """Give the exit code for an error."""
    if isinstance(error, Unavailable):
        return UNAVAILABLE
    return USAGE if isinstance(error, InvalidInput) or error.code in _USAGE_CODES else REFUSED


_USAGE_CODES: Final = frozenset(
    {
        "config-missing",
        "file-access",
        "file-missing",
        "item-unknown",
        "key-missing",
        "network-missing",
        "passphrase-missing",
    }
)
_WIDEST: Final = 10_000


@contextmanager
def reported(*, as_json: bool = False, advice: Mapping[str, str] | None = None) -> Iterator[None]:
    """Turn an error into its message and exit code.

    Args:
        as_json: Whether the error is printed as JSON, on standard output.
        advice: What to do about errors of this command alone, by their codes, in Chinese; details say it in English.
    """
    try:
        yield
    except NodeError as error:
        _tell(error, as_json=as_json)
        if LANGUAGE == "zh" and not as_json:
            _advise(error.code, advice or {})
        raise SystemExit(exit_code_of(error)) from None
    except BrokenPipeError:
        raise
    except OSError as error:
        from node.storage.room import refuse_unwritten

        refused = refuse_unwritten(error)
        _tell(refused, as_json=as_json)
        raise SystemExit(exit_code_of(refused)) from None


def _advise(code: str, advice: Mapping[str, str]) -> None:
    from cli.advice import ADVICE

    what_to_do = advice.get(code) or ADVICE.get(code)
    if what_to_do is not None:
        sys.stderr.write(f"处理办法：{what_to_do}\n")


def _tell(error: NodeError, *, as_json: bool) -> None:
    (sys.stdout if as_json else sys.stderr).write(describe_error(error, as_json=as_json))


def describe_error(error: NodeError, *, as_json: bool) -> str:
    """Describe an error in lines to print: one of JSON, or title, message and code."""
    from node.core.texts import title_of

    title = title_of(error.code, LANGUAGE)
    if as_json:
        return encode_json({"code": error.code, "detail": error.message, "title": title}).decode() + "\n"
    return f"{title}\n  {error.message}\n  [{error.code}]\n"


def print_json(value: Any) -> None:
    """Print one line of JSON."""
    sys.stdout.write(encode_json(value).decode() + "\n")


def print_text(text: str) -> None:
    """Print lines that end as lines do."""
    sys.stdout.write(text)


def print_line(text: str = "") -> None:
    """Print one line."""
    sys.stdout.write(text + "\n")


def print_table(columns: Sequence[str], rows: Sequence[Sequence[object]], *, fold: bool = True) -> None:
    """Print a table as wide as the terminal allows; empty tables say so.

    Args:
        columns: Their headings.
        rows: As many cells each.
        fold: False where a cell is there to be copied: lines may be longer than the terminal is wide.
    """
    if not rows:
        print_line(say("（无）", "(none)"))
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(header_style="bold", box=None, pad_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold", no_wrap=not fold)
    for row in rows:
        # A plain string would be read as markup: what stands in square brackets would vanish.
        table.add_row(*(Text(str(cell)) for cell in row))
    console = Console()
    if not fold:
        wide = console.options.update(max_width=_WIDEST)
        console.width = max(console.width, console.measure(table, options=wide).maximum)
    console.print(table)


def print_values(values: Mapping[str, object]) -> None:
    """Print a table of what an event was about, without the names that have no value."""
    rows = [(name, value_text(value)) for name, value in values.items() if value is not None]
    print_table((say("名称", "name"), say("值", "value")), rows)


def require_file(path: Path, *, max_bytes: int) -> bytes:
    """Read a file that the user named, as a whole.

    Raises:
        NotFound: It is not there or cannot be read.
        InvalidInput: ``file-too-large``.
    """
    data = require_start(path, max_bytes=max_bytes + 1)
    if len(data) > max_bytes:
        raise InvalidInput("file-too-large", f"{path}: want at most {max_bytes} bytes")
    return data


def require_start(path: Path, *, max_bytes: int) -> bytes:
    """Read the beginning of a file that the user named, for one who judges too long a file himself.

    Raises:
        NotFound: It is not there or cannot be read.
    """
    try:
        with path.open("rb") as file:
            return file.read(max_bytes)
    except OSError as error:
        raise NotFound("file-missing", f"{path}: {error.strerror}") from None


def require_writable(path: Path) -> None:
    """Make sure, before anything is done, that its result can be written where the user wants it.

    Raises:
        NotFound: ``file-access``.
    """
    place = path if path.exists() else path.parent
    if not os.access(place, os.W_OK):
        raise NotFound("file-access", f"nothing can be written to {path}")


def save_private(path: Path, data: bytes) -> None:
    """Write a file that its owner alone reads."""
    path.touch(mode=SAVED_MODE)
    path.write_bytes(data)
