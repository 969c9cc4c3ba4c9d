# SPDX-License-Identifier: Apache-2.0
"""What a reading process sends, received with an end to waiting: a workbook may have taken it over and have it say nothing."""

from __future__ import annotations

import os
import select
import time
from typing import TYPE_CHECKING, Final

from node.errors import InvalidInput, Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable

_PIECE_BYTES: Final = 2**20
_LOOK_SECONDS: Final = 0.25
"""So often whoever waits looks whether the node stops."""


class BoundedPipe:
    """The reading end of a pipe. Only time in which nothing is there to be read counts, not that of who works on it.

    Args:
        descriptor: Of the pipe; made non-blocking, closed by the caller.
        silence_seconds: Longest wait within one ``read``. A node that stood still itself meanwhile waited no longer for that.
        wait_seconds: Longest wait of all of them together.
        is_stopping: Whether the node stops.
        monotonic: Seconds of a clock that only goes on.
    """

    def __init__(
        self,
        descriptor: int,
        silence_seconds: float,
        wait_seconds: float,
        is_stopping: Callable[[], bool],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        os.set_blocking(descriptor, False)
        self._descriptor = descriptor
        self._silence_seconds = silence_seconds
        self._left_seconds = wait_seconds
        self._is_stopping = is_stopping
        self._monotonic = monotonic
        self._poll = select.poll()
        self._poll.register(descriptor, select.POLLIN)

    def read(self, length: int) -> bytes:
        """Read so many bytes, fewer at the end of the pipe.

        Raises:
            InvalidInput: ``workbook-slow``: it took too long.
            Unavailable: ``stopping``.
        """
        pieces: list[bytes] = []
        missing, waited = length, 0.0
        while missing:
            try:
                piece = os.read(self._descriptor, min(missing, _PIECE_BYTES))
            except BlockingIOError:
                waited += self._wait()
                if waited > self._silence_seconds or self._left_seconds < 0:
                    raise InvalidInput(
                        "workbook-slow",
                        "the process that reads the workbook gave no answer in time and was ended: save the workbook as CSV "
                        "or in parts, and import it again",
                    ) from None
                continue
            if not piece:
                break
            pieces.append(piece)
            missing -= len(piece)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def _wait(self) -> float:
        """Wait a little for something to read, and give the seconds that this took."""
        if self._is_stopping():
            raise Unavailable("stopping", "node is stopping")
        begun = self._monotonic()
        self._poll.poll(_LOOK_SECONDS * 1000)
        waited = min(self._monotonic() - begun, _LOOK_SECONDS)
        self._left_seconds -= waited
        return waited
