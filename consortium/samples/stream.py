# SPDX-License-Identifier: Apache-2.0
"""Choices that look random and are the same for the same seed, on every machine and version of Python."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Sequence

T = TypeVar("T")

_BLOCK_BYTES = 4_096
_DRAW_BYTES = 4


class SeededStream:
    """A stream of choices derived from a seed by SHAKE-256.

    Args:
        seed: Any text; another seed gives other files.
    """

    def __init__(self, seed: str) -> None:
        self._seed = seed
        self._block = 0
        self._bytes = b""
        self._place = 0

    def below(self, bound: int) -> int:
        """Return a number from 0 to ``bound`` - 1; the bias of a 32-bit draw does not matter here."""
        if self._place + _DRAW_BYTES > len(self._bytes):
            label = f"{self._seed}/{self._block}".encode()
            self._bytes = hashlib.shake_256(label).digest(_BLOCK_BYTES)
            self._block += 1
            self._place = 0
        draw = int.from_bytes(self._bytes[self._place : self._place + _DRAW_BYTES], "big")
        self._place += _DRAW_BYTES
        return draw % bound

    def choose(self, choices: Sequence[T]) -> T:
        """Return one of the choices."""
        return choices[self.below(len(choices))]
