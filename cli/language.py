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


def detect(arguments: Sequence[str], environment: Mapping[str, str]) -> str:
    """Find the language that a command line and an environment ask for."""
    for place, argument in enumerate(arguments):
        if argument == "--lang" and place + 1 < len(arguments) and arguments[place + 1] in LANGUAGES:
            return arguments[place + 1]
        if argument.startswith("--lang=") and argument[7:] in LANGUAGES:
            return argument[7:]
    wanted = environment.get("IRONCAGE_LANG", "")
    if wanted in LANGUAGES:
        return wanted
    locale = environment.get("LC_ALL") or environment.get("LC_MESSAGES") or environment.get("LANG") or ""
    return "zh" if locale.lower().startswith("zh") else "en"


LANGUAGE: Final = detect(sys.argv[1:], os.environ)  # noqa: TID251 - the edge of the program


def say(zh: str, en: str) -> str:
    """Choose the text in the language of this run."""
    return zh if LANGUAGE == "zh" else en
