# SPDX-License-Identifier: Apache-2.0
"""One thread does a thing, whoever else wants the same meanwhile waits for what it got."""

from __future__ import annotations

import threading
from concurrent.futures import Future
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

T = TypeVar("T")


class Flights(Generic[T]):
    """Runs at most one call for each key at a time; safe to use from any thread."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._running: dict[Hashable, Future[T]] = {}

    def run(self, key: Hashable, call: Callable[[], T]) -> T:
        """Run a call, or wait for the one of the same key that is running, and give its result or error."""
        with self._guard:
            running = self._running.get(key)
            if running is None:
                mine = self._running[key] = Future[T]()
        if running is not None:
            return running.result()
        try:
            result = call()
        except BaseException as error:
            mine.set_exception(error)
            raise
        else:
            mine.set_result(result)
            return result
        finally:
            with self._guard:
                del self._running[key]
