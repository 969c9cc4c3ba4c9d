# SPDX-License-Identifier: Apache-2.0
"""The commands that our pages show, read from their code blocks and their running text."""

from __future__ import annotations

import re
import shlex
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

_BLOCK = re.compile(r"^```[a-z]*\n(.*?)^```", re.MULTILINE | re.DOTALL)
_INLINE = re.compile(r"(?<!`)`(ironcage [^`\n]+)`")


def shell_lines(page: Path) -> list[str]:
    """The lines of a page's code blocks in order, continued lines joined, comments cut off."""
    lines = []
    for block in _BLOCK.findall(page.read_text(encoding="utf-8")):
        for line in block.replace("\\\n", " ").splitlines():
            text = re.sub(r"(^|\s+)#\s.*$", "", line)
            # A drawing or a file's content is indented; what a reader is to type is not.
            if text and not text[0].isspace():
                lines.append(" ".join(text.split()))
    return lines


def block_commands(page: Path) -> list[list[str]]:
    """The ``ironcage`` commands of a page's code blocks, split into words."""
    return [shlex.split(line)[1:] for line in shell_lines(page) if line.startswith("ironcage ")]


def inline_commands(page: Path) -> list[list[str]]:
    """The ``ironcage`` commands that a page's text mentions, split into words."""
    text = _BLOCK.sub("", page.read_text(encoding="utf-8"))
    return [match.split()[1:] for match in _INLINE.findall(text)]


def find_command(application: Any, words: list[str]) -> tuple[Any, list[str]]:
    """Walk down to the command that the words name; the rest are its arguments.

    Args:
        application: The Typer application's root command.
        words: As after ``ironcage``.
    """
    command, rest = application, words
    while hasattr(command, "commands") and rest and not rest[0].startswith("-"):
        assert rest[0] in command.commands, f"no command {rest[0]} in ironcage {' '.join(words)}"
        command, rest = command.commands[rest[0]], rest[1:]
    return command, rest
