# SPDX-License-Identifier: Apache-2.0
"""Messages that no member signed: counted, and told by the next heartbeat (protocol section 6)."""

from __future__ import annotations

import threading


class Rejects:
    """A count since the last heartbeat; safe to use from any thread. A kill loses what no heartbeat has told yet."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._count = 0

    def add(self) -> None:
        """Count one."""
        with self._guard:
            self._count += 1

    @property
    def count(self) -> int:
        """How many there were since the last heartbeat."""
        return self._count

    def settle(self, told: int) -> None:
        """Take off those of which a heartbeat that is durable has told."""
        with self._guard:
            self._count -= told
