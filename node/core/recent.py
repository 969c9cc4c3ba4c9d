# SPDX-License-Identifier: Apache-2.0
"""The last things that were made or read, by what names them (docs/adr/0024).

Where ``functools.lru_cache`` keeps what a function returned, here is kept what its caller has at hand anyway: who
builds a text need not parse it to have it known.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Hashable

T = TypeVar("T")


class Recent(Generic[T]):
    """Keeps the last values; safe to use from any thread.

    Args:
        most: How many; the one that came first goes first.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._guard = threading.Lock()
        self._kept: dict[Hashable, T] = {}

    def find(self, key: Hashable) -> T | None:
        """Find a value; None where it is not kept, or not any more."""
        return self._kept.get(key)

    def put(self, key: Hashable, value: T) -> None:
        """Keep a value that nobody changes any more."""
        with self._guard:
            if len(self._kept) >= self._most and key not in self._kept:
                del self._kept[next(iter(self._kept))]
            self._kept[key] = value
