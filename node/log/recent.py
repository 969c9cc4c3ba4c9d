# SPDX-License-Identifier: Apache-2.0
"""Values that were used last."""

from __future__ import annotations

import threading
from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class Recent(Generic[K, V]):
    """The most recently used values, up to a bound; safe for several threads."""

    def __init__(self, bound: int) -> None:
        """Keep at most ``bound`` values."""
        self._bound = bound
        self._values: dict[K, V] = {}
        self._lock = threading.Lock()

    def find(self, key: K) -> V | None:
        """Find a value, which is the most recently used one then."""
        with self._lock:
            value = self._values.pop(key, None)
            if value is not None:
                self._values[key] = value
            return value

    def put(self, key: K, value: V) -> None:
        """Keep a value, and drop the one that was not used for the longest time where there are too many."""
        with self._lock:
            self._values.pop(key, None)
            self._values[key] = value
            if len(self._values) > self._bound:
                del self._values[next(iter(self._values))]
