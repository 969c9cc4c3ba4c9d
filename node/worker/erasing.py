# SPDX-License-Identifier: Apache-2.0
"""The loop that finishes erasures: what a kill or a reader kept on the disk is removed as soon as it can be."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Final

import structlog

from node.errors import NodeError

if TYPE_CHECKING:
    from node.service.erasing import Eraser

PERIOD_SECONDS: Final = 60.0
_LOG = structlog.get_logger("ironcage")


class PurgeLoop:
    """Goes on with unfinished erasures at the start and every minute."""

    def __init__(self, eraser: Eraser) -> None:
        self._eraser = eraser
        self._stop = threading.Event()
        self._told: str | None = None
        self._thread = threading.Thread(target=self._run, name="erasing", daemon=True)

    def start(self) -> None:
        """Start the loop."""
        self._thread.start()

    def request_stop(self) -> None:
        """Stop when the running purge has ended."""
        self._stop.set()

    def join(self, seconds: float) -> None:
        """Wait until the loop has ended, ``seconds`` at most."""
        if self._thread.is_alive():
            self._thread.join(seconds)

    def _run(self) -> None:
        while not self._stop.is_set():
            self._turn()
            self._stop.wait(PERIOD_SECONDS)

    def _turn(self) -> None:
        try:
            waiting = self._eraser.purge_all()
        except NodeError as error:
            if error.code not in ("stopping", "store-closed") and error.code != self._told:
                _LOG.warning("erasure unfinished", code=error.code, reason=error.message)
            self._told = error.code
            return
        self._told = None
        if waiting:
            _LOG.info(
                "erased bytes are still on the disk: a read, a backup or a copy keeps them", records=waiting
            )
