# SPDX-License-Identifier: Apache-2.0
"""Foreign text in a message: one line that says nothing to a terminal but letters."""

from __future__ import annotations


def cut_line(text: str, *, most_characters: int) -> str:
    """Make a text that somebody else chose fit for a message.

    Args:
        text: Any text.
        most_characters: Greatest length of what comes out; what is cut off shows as an ellipsis.
    """
    cut = text[: most_characters + 1]
    line = "".join(character if character.isprintable() else " " for character in cut)
    return line if len(line) <= most_characters else line[: most_characters - 1] + "…"
