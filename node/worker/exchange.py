# SPDX-License-Identifier: Apache-2.0
"""The loop that tends exchanges: reads again what the chain says of their members, drops what is over, logs what was lost.

And checks what other members signed.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Final

import structlog

from node.errors import NodeError

if TYPE_CHECKING:
    from collections.abc import Callable

    from node.service.services import Services

PERIOD_SECONDS: Final = 1.0
TURN: Final = 30
"""Periods from one turn to the next."""
_LOG = structlog.get_logger("ironcage")


class ExchangeLoop:
    """Works now and then on what no call waits for; nothing to do in a node without exchange."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._stop = threading.Event()
        self._told: dict[str, str] = {}
        self._periods = 0
        self._thread = threading.Thread(target=self._run, name="exchange", daemon=True)

    def start(self) -> None:
        """Start the loop."""
        self._thread.start()

    def request_stop(self) -> None:
        """Stop when what runs has ended."""
        self._stop.set()

    def join(self, seconds: float) -> None:
        """Wait until the loop has ended, ``seconds`` at most; then log what was only counted."""
        if self._thread.is_alive():
            self._thread.join(seconds)
        exchange = self._services.exchange
        if exchange is not None and self._may_log():
            self._try("refusals not logged", exchange.stop)

    def tick(self) -> None:
        """Do what there is to do after each period."""
        if self._services.exchange is not None:
            self._services.exchange.directory.refresh()
        self._periods += 1
        if self._periods % TURN == 0:
            self.turn()

    def turn(self) -> None:
        """Do once what there is to do now and then."""
        exchange, gossip = self._services.exchange, self._services.gossip
        if exchange is None or gossip is None:
            return
        if self._may_log():
            self._try("exchange not tended", exchange.tend)
        self._try("checkpoints not checked", self._recheck)

    def _may_log(self) -> bool:
        """Whether events may be logged: they give receipts."""
        condition = self._services.condition
        return condition.verified and condition.joined

    def _run(self) -> None:
        while not self._stop.wait(PERIOD_SECONDS):
            self.tick()

    def _recheck(self) -> None:
        gossip = self._services.gossip
        for fork in gossip.recheck() if gossip is not None else ():
            _LOG.error("a member signed two histories of its log", member=fork.member, proof=fork.name)

    def _try(self, what: str, do: Callable[[], None]) -> None:
        try:
            do()
        except NodeError as error:
            if error.code not in ("stopping", "store-closed") and error.code != self._told.get(what):
                _LOG.warning(what, code=error.code, reason=error.message)
            self._told[what] = error.code
        else:
            self._told.pop(what, None)
