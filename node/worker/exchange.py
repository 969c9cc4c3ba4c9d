# SPDX-License-Identifier: Apache-2.0
"""The loop that tends exchanges: drops what is over, logs what was lost, checks what other members signed.

A thread of its own reads again what the chain says of the members in use: a chain that hangs holds up nothing else.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Final

import structlog

from node.errors import NodeError

if TYPE_CHECKING:
    from collections.abc import Callable

    from node.service.services import Services

PERIOD_SECONDS: Final = 30.0
REFRESH_PERIOD_SECONDS: Final = 1.0
_LOG = structlog.get_logger("ironcage")


class ExchangeLoop:
    """Works now and then on what no call waits for; nothing to do in a node without exchange."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._stop = threading.Event()
        self._told: dict[str, str] = {}
        self._threads = tuple(
            threading.Thread(target=self._run, args=(do, period), name=name, daemon=True)
            for name, do, period in (
                ("exchange", self.turn, PERIOD_SECONDS),
                ("directory", self.refresh, REFRESH_PERIOD_SECONDS),
            )
        )

    def start(self) -> None:
        """Start the loop."""
        for thread in self._threads:
            thread.start()

    def request_stop(self) -> None:
        """Stop when what runs has ended."""
        self._stop.set()

    def join(self, seconds: float) -> None:
        """Wait until the loop has ended, ``seconds`` at most; then log what was only counted."""
        clock = self._services.clock
        until = clock.monotonic() + seconds
        for thread in self._threads:
            if thread.is_alive():
                thread.join(max(0.0, until - clock.monotonic()))
        exchange = self._services.exchange
        if exchange is not None and self._may_log():
            self._try("refusals not logged", exchange.stop)

    def refresh(self) -> None:
        """Read again what the chain says of the members in use; what fails is met by whoever needs it."""
        if self._services.exchange is not None:
            self._services.exchange.directory.refresh()

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

    def _run(self, do: Callable[[], None], period_seconds: float) -> None:
        while not self._stop.wait(period_seconds):
            try:
                do()
            except Exception as error:  # noqa: BLE001 - whatever it was, the next period begins anew
                kind = type(error).__name__
                if kind != self._told.get("exchange fault"):
                    _LOG.error("exchange fault", code="fault", reason=kind)
                self._told["exchange fault"] = kind

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
