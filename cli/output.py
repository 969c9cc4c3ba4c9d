# SPDX-License-Identifier: Apache-2.0
"""What commands print, and with which exit code they end.

0  done, or verified at the level that the policy demands
1  refused, or not verified
2  wrong usage or input
3  unavailable: the same call may succeed later
"""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import typer

from cli.language import LANGUAGE, say
from node.core.canonical import encode_json
from node.errors import InvalidInput, NodeError, NotFound, Unavailable

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

REFUSED: Final = 1
USAGE: Final = 2
UNAVAILABLE: Final = 3


def exit_code_of(error: NodeError) -> int:
    """Give the exit code for an error."""
    if isinstance(error, Unavailable):
        return UNAVAILABLE
    return USAGE if isinstance(error, InvalidInput) or error.code in _USAGE_CODES else REFUSED


_USAGE_CODES: Final = frozenset({"file-missing", "config-missing", "network-missing", "passphrase-missing"})


@contextmanager
def reported(*, as_json: bool = False) -> Iterator[None]:
    """Turn an error into its message and exit code."""
    try:
        yield
    except NodeError as error:
        from node.core.texts import title_of

        title = title_of(error.code, LANGUAGE)
        if as_json:
            print_json({"code": error.code, "detail": error.message, "title": title})
        else:
            sys.stderr.write(f"{title}\n  {error.message}\n  [{error.code}]\n")
        raise typer.Exit(exit_code_of(error)) from None


def print_json(value: Any) -> None:
    """Print one line of JSON."""
    sys.stdout.write(encode_json(value).decode() + "\n")


def print_line(text: str = "") -> None:
    """Print one line."""
    sys.stdout.write(text + "\n")


def print_table(
    columns: Sequence[str], rows: Sequence[Sequence[object]], *, title: str | None = None
) -> None:
    """Print a table as wide as the terminal allows; empty tables say so."""
    if not rows:
        print_line(say("（无）", "(none)"))
        return
    from rich.console import Console
    from rich.table import Table

    table = Table(title=title, title_justify="left", header_style="bold", box=None, pad_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*(str(cell) for cell in row))
    Console().print(table)


def require_file(path: Any) -> bytes:
    """Read a file that the user named.

    Raises:
        NotFound: It is not there or cannot be read.
    """
    try:
        data: bytes = path.read_bytes()
    except OSError as error:
        raise NotFound("file-missing", f"{path}: {error.strerror}") from None
    return data
