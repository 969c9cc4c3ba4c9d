# SPDX-License-Identifier: Apache-2.0
"""The node's two background loops: imports, and the chain (join, compare, anchor on the clock).

A loop never ends because of an error of the day: it says what is wrong in ``Services.condition`` and tries again.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Final

import structlog

from node.errors import Conflict, Fatal, NodeError, Unavailable
from node.service.jobs import UNFINISHED, unfinished_jobs
from node.service.startup import check_chain

if TYPE_CHECKING:
    from node.service.services import Services
    from node.worker.uploads import Uploads

RETRY_SECONDS: Final = 2.0
_LOG = structlog.get_logger("ironcage")


class ImportLoop:
    """Runs ordered imports one after the other, the unfinished ones of the last run first."""

    def __init__(self, services: Services, uploads: Uploads) -> None:
        self._services = services
        self._uploads = uploads
        self._wake = threading.Event()
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="imports", daemon=True)

    def start(self) -> None:
        """Drop the files of ended imports and start the loop."""
        self._uploads.remove_all_but({job.id for job in unfinished_jobs(self._services.store)})
        self._wake.set()
        self._thread.start()

    def wake(self) -> None:
        """Say that there is something to do."""
        self._wake.set()

    def stop(self) -> None:
        """Stop at the next chunk and wait."""
        self._stopping = True
        self._services.importer.stop()
        self._wake.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stopping:
            self._wake.wait()
            self._wake.clear()
            for job in unfinished_jobs(self._services.store):
                if self._stopping:
                    return
                self._run_job(job.id)

    def _run_job(self, job_id: str) -> None:
        try:
            done = self._services.importer.run_job(job_id)
        except NodeError as error:
            _LOG.warning("import interrupted", job=job_id, code=error.code, reason=error.message)
            if isinstance(error, Unavailable) and not self._stopping:
                threading.Timer(RETRY_SECONDS, self._wake.set).start()
        else:
            if done.state not in UNFINISHED:
                self._uploads.remove(job_id)
            _LOG.info(
                "import ended", job=job_id, state=done.state, accepted=done.accepted, refused=done.refused
            )


class ChainLoop:
    """Compares the store with the chain, joins, and anchors every period."""

    def __init__(self, services: Services, period_seconds: float) -> None:
        self._services = services
        self._period_seconds = period_seconds
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="chain", daemon=True)

    def start(self) -> None:
        """Start the loop."""
        self._thread.start()

    def stop(self) -> None:
        """Stop and wait. A transaction under way stays durable and goes on after the next start."""
        self._stop.set()
        self._thread.join()

    def prepare(self) -> None:
        """Compare and join, once each.

        Raises:
            Unavailable: The chain is away.
            Conflict: The store does not continue the chain: the node is read-only from here on.
        """
        services = self._services
        condition = services.condition
        services.anchorer.require_ready()
        if not condition.verified:
            try:
                check_chain(services.chain, services.sequencer, services.readers, services.log_ids)
            except Conflict as error:
                services.sequencer.set_read_only(error)
                raise
            condition.verified = True
        if not condition.joined:
            done = services.joiner.join(sleep=self._sleep)
            condition.joined = True
            if done:
                _LOG.info("joined the chain", steps=done)

    def _sleep(self, seconds: float) -> None:
        if self._stop.wait(seconds):
            raise Unavailable("stopping", "node is stopping")

    def _run(self) -> None:
        while not self._stop.is_set():
            delay = self._turn()
            self._stop.wait(delay)

    def _turn(self) -> float:
        services = self._services
        if services.sequencer.read_only or services.sequencer.fatal:
            return self._period_seconds
        try:
            ready = services.condition.verified and services.condition.joined
            if not ready:
                self.prepare()
                services.condition.chain = services.condition.last_error = None
                return self._period_seconds
            services.anchorer.anchor_now(sleep=self._sleep)
        except Fatal as error:
            services.condition.last_error = error
            _LOG.error("anchoring stopped", code=error.code, reason=error.message)
            return self._period_seconds
        except NodeError as error:
            if error.code != "stopping":
                services.condition.chain = error
                _LOG.warning("chain step failed", code=error.code, reason=error.message)
            return min(RETRY_SECONDS, self._period_seconds)
        services.condition.chain = services.condition.last_error = None
        return self._period_seconds
