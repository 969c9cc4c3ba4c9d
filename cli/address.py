# SPDX-License-Identifier: Apache-2.0
"""The node that a command talks to when it is not the one of ``--home``: ``--url`` and ``--tls-ca``, anywhere in the line.

For people on other accounts and other machines than the node's, who have a token file of their own and may not read its
home. Without them a command finds the node of the home directory.
"""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

OPTIONS: Final = {"--url": "IRONCAGE_URL", "--tls-ca": "IRONCAGE_TLS_CA"}


@dataclass(frozen=True, slots=True)
class Address:
    """Where the node is: its URL, None for that of the home directory, and the CA of its certificate."""

    url: str | None
    tls_ca: Path | None


def split_address(arguments: Sequence[str]) -> tuple[dict[str, str], list[str]]:
    """Take the options out of a command line, wherever they stand.

    Returns:
        Their values by name, and the other words. An option without a value or named twice stays among them, to be
        refused.
    """
    words = list(arguments)
    found: dict[str, str] = {}
    place = 0
    while place < len(words) and words[place] != "--":
        name, separator, value = words[place].partition("=")
        if name in OPTIONS and name not in found:
            if separator and value:
                found[name] = value
                del words[place]
                continue
            if not separator and words[place + 1 : place + 2] and not words[place + 1].startswith("-"):
                found[name] = words[place + 1]
                del words[place : place + 2]
                continue
        place += 1
    return found, words


def detect(arguments: Sequence[str], environment: Mapping[str, str]) -> Address:
    """Find the node that a command line and an environment name."""
    found, _ = split_address(arguments)
    named = {name: found.get(name) or environment.get(variable) for name, variable in OPTIONS.items()}
    authority = named["--tls-ca"]
    return Address(named["--url"] or None, Path(authority) if authority else None)


ADDRESS: Final = detect(sys.argv[1:], os.environ)  # noqa: TID251 - the edge of the program
