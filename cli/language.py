# SPDX-License-Identifier: Apache-2.0
"""The language of this run: ``--lang``, else ``IRONCAGE_LANG``, else the locale; Chinese or English.

Known before the commands are defined, because their help texts are in it.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

LANGUAGES: Final = ("zh", "en")


def split_language(arguments: Sequence[str]) -> tuple[str | None, list[str]]:
    """Take ``--lang zh`` or ``--lang en`` out of a command line, wherever it stands.

    Returns:
        The language, None when none is named, and the other words. A language that we do not speak stays among
        them, to be refused.
    """
    words = list(arguments)
    for place, word in enumerate(words):
        if word == "--":
            break
        if word == "--lang" and words[place + 1 : place + 2] in ([known] for known in LANGUAGES):
            return words[place + 1], words[:place] + words[place + 2 :]
        if word.startswith("--lang=") and word[7:] in LANGUAGES:
            return word[7:], words[:place] + words[place + 1 :]
    return None, words


def refuse_language(arguments: Sequence[str]) -> str | None:
    """Say what is wrong with a ``--lang`` that :func:`split_language` left in a command line; None when none is there."""
    words = list(arguments)
    words = words[: words.index("--")] if "--" in words else words
    if not any(word == "--lang" or word.startswith("--lang=") for word in words):
        return None
    return say(
        "--lang 只能给出一次，取值 zh（中文）或 en（英文）",
        "--lang is given once: zh (Chinese) or en (English)",
    )


def detect(arguments: Sequence[str], environment: Mapping[str, str]) -> str:
    """Find the language that a command line and an environment ask for."""
    named, _ = split_language(arguments)
    wanted = named or environment.get("IRONCAGE_LANG", "")
    if wanted in LANGUAGES:
        return wanted
    locale = environment.get("LC_ALL") or environment.get("LC_MESSAGES") or environment.get("LANG") or ""
    return "zh" if locale.lower().startswith("zh") else "en"


LANGUAGE: Final = detect(sys.argv[1:], os.environ)  # noqa: TID251 - the edge of the program


def say(zh: str, en: str) -> str:
    """Choose the text in the language of this run."""
    return zh if LANGUAGE == "zh" else en
