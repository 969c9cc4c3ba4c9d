# SPDX-License-Identifier: Apache-2.0
"""The node's two background loops: imports, and the chain (join, compare, anchor on the clock).

A loop never ends because of an error of the day: it says what is wrong in ``Services.condition`` and tries again.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Final

import structlog

from node.errors import Conflict, Fatal, NodeError, Unavailable
from node.service.jobs import UNFINISHED, get_job, unfinished_jobs

if TYPE_CHECKING:
    from node.service.jobs import Job
    from node.service.services import Services
    from node.worker.uploads import Uploads

RETRY_SECONDS: Final = 2.0
MAX_ATTEMPTS: Final = 5
"""So often an import may fail at the same row before it is given up: a row that kills its worker must not stop all."""
_ENDED_PROCESSES: Final = frozenset({"worker-died", "reader-ended"})
_LOG = structlog.get_logger("ironcage")


class ImportLoop:
    """Runs ordered imports one after the other, the unfinished ones of the last run first."""

    def __init__(self, services: Services, uploads: Uploads) -> None:
        self._services = services
        self._uploads = uploads
        self._wake = threading.Event()
        self._stopping = False
        self._attempts: dict[str, tuple[int, int]] = {}
        self._thread = threading.Thread(target=self._run, name="imports", daemon=True)

    def start(self) -> None:
        """Drop the files of ended imports and start the loop."""
        self._uploads.remove_all_but({job.id for job in unfinished_jobs(self._services.store)})
        self._wake.set()
        self._thread.start()

    def wake(self) -> None:
        """Say that there is something to do."""
        self._wake.set()

    def request_stop(self) -> None:
        """Stop at the next chunk."""
        self._stopping = True
        self._services.importer.stop()
        self._wake.set()

    def join(self, seconds: float) -> None:
        """Wait until the loop has ended, ``seconds`` at most."""
        if self._thread.is_alive():
            self._thread.join(seconds)

    def _run(self) -> None:
        again = False
        while not self._stopping:
            self._wake.wait(RETRY_SECONDS if again else None)
            self._wake.clear()
            again = self._turn()

    def _turn(self) -> bool:
        """Run what is unfinished and say whether to try again soon: behind a job that waits none is run before it."""
        for job in self._unfinished():
            if self._stopping:
                return False
            if self._run_job(job):
                return True
        return False

    def _unfinished(self) -> list[Job]:
        try:
            return unfinished_jobs(self._services.store)
        except NodeError as error:
            _LOG.error("imports stopped", code=error.code, reason=error.message)
            return []

    def _run_job(self, job: Job) -> bool:
        """Run one job and say whether it is to be tried again soon."""
        try:
            self._services.require_own_record_key()
            done = self._services.importer.run_job(job.id)
        except NodeError as error:
            if self._stopping:
                return False
            self._tell(job, error)
            if error.code in _ENDED_PROCESSES:
                return self._retry_or_give_up(job, error.code, error.message)
            return isinstance(error, Unavailable)
        except Exception as error:  # noqa: BLE001 - one file must not end the imports of all others
            if self._stopping:
                return False
            # The text of the error may hold values of the file, so only its kind and place are told.
            kind = type(error).__name__
            _LOG.error("import fault", job=job.id, kind=kind, place=_place_of(error))
            fault = Unavailable("fault", f"an error of this node: {kind}")
            self._services.condition.imports = fault
            return self._retry_or_give_up(job, fault.code, fault.message)
        self._services.condition.imports = None
        self._attempts.pop(job.id, None)
        if done.state not in UNFINISHED:
            self._uploads.remove(job.id)
            _LOG.info(
                "import ended", job=job.id, state=done.state, accepted=done.accepted, refused=done.refused
            )
        return False

    def _tell(self, job: Job, error: NodeError) -> None:
        """Keep why imports wait, and log it when it is new: a full disk is tried every two seconds."""
        told, self._services.condition.imports = self._services.condition.imports, error
        if told is None or told.code != error.code:
            _LOG.warning("import interrupted", job=job.id, code=error.code, reason=error.message)

    def _retry_or_give_up(self, job: Job, code: str, message: str) -> bool:
        """Try a job again, but not for ever at the same row."""
        services = self._services
        try:
            now = get_job(services.store, job.id)
            row, attempts = self._attempts.get(job.id, (-1, 0))
            attempts = attempts + 1 if row == now.last_row else 1
            self._attempts[job.id] = (now.last_row, attempts)
            if attempts < MAX_ATTEMPTS:
                return True
            reason = f"{message}; {attempts} times behind row {now.last_row}"
            services.importer.fail(job.id, code, reason)
        except NodeError as error:
            self._tell(job, error)
            return isinstance(error, Unavailable) and not self._stopping
        services.condition.imports = None  # those behind it do not wait for that
        del self._attempts[job.id]
        self._uploads.remove(job.id)
        _LOG.error("import given up", job=job.id, code=code, row=now.last_row)
        return False


class ChainLoop:
    """Compares the store with the chain, joins, and anchors every period."""

    def __init__(self, services: Services, period_seconds: float) -> None:
        self._services = services
        self._period_seconds = period_seconds
        self._stop = threading.Event()
        self._told: str | None = None
        self._thread = threading.Thread(target=self._run, name="chain", daemon=True)

    def start(self) -> None:
        """Start the loop."""
        self._thread.start()

    def request_stop(self) -> None:
        """Stop at the next look. A transaction under way stays durable and goes on after the next start."""
        self._stop.set()

    def join(self, seconds: float) -> None:
        """Wait until the loop has ended, ``seconds`` at most."""
        if self._thread.is_alive():
            self._thread.join(seconds)

    def sleep(self, seconds: float) -> None:
        """Wait for the chain, but not beyond a stop.

        Raises:
            Unavailable: ``stopping``.
        """
        if self._stop.wait(seconds):
            raise Unavailable("stopping", "node is stopping")

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
            services.anchorer.compare()
            services.ask_witnesses()
            condition.verified = True
        if not condition.joined:
            done = self._join()
            condition.joined, condition.key_ended = True, None
            if done:
                _LOG.info("joined the chain", steps=done)

    def _join(self) -> list[str]:
        """Join; what joining has to send follows the anchor that was under way when the node stopped."""
        services = self._services
        try:
            try:
                return services.joiner.join(sleep=self.sleep)
            except Conflict as error:
                if error.code != "transaction-pending":
                    raise
            services.anchorer.settle(sleep=self.sleep)
            return services.joiner.join(sleep=self.sleep)
        except Conflict as error:
            if error.code == "key-ended":
                services.condition.key_ended = error
            raise

    def _refresh_documents(self) -> None:
        """Read which shared documents hold, and get what is missing; without it this node goes on by what it has."""
        services = self._services
        try:
            done = services.documents.refresh(services.document_source)
        except NodeError as error:
            # A network of an older release has no documents, and nobody can change that.
            if error.code not in {"contracts-older", "chain-away", "stopping"}:
                _LOG.warning("shared documents not read", code=error.code, reason=error.message)
            return
        for digest in done.fetched:
            _LOG.info("shared document got", digest=digest.hex())
        for digest, reason in done.missing:
            _LOG.warning("shared document missing", digest=digest.hex(), reason=reason)

    def _run(self) -> None:
        while not self._stop.is_set():
            delay = self._turn()
            self._stop.wait(delay)

    def _turn(self) -> float:
        """Do what is due and give the seconds until the next turn."""
        delay = self._step()
        services = self._services
        # Whoever may not anchor may answer still, and what fails here is no reason to anchor again.
        if services.condition.verified and not (services.sequencer.fatal or services.sequencer.read_only):
            self._try_demands()
        return delay

    def _step(self) -> float:
        """Anchor, or prepare for it, and give the seconds until the next turn."""
        services, condition = self._services, self._services.condition
        if services.sequencer.fatal:
            return self._period_seconds
        if services.sequencer.read_only:
            return self._account()
        try:
            if condition.verified and condition.joined:
                services.anchorer.anchor_now(sleep=self.sleep)
                self._refresh_documents()
            else:
                self.prepare()
        except Fatal as error:
            self._tell("anchoring stopped", error.code, error.message)
            condition.last_error = error
            return self._period_seconds
        except NodeError as error:
            if error.code != "stopping":
                self._tell("chain step failed", error.code, error.message)
                condition.chain = error
            # Whoever is refused now is refused again in two seconds, and each try makes the logs longer.
            retry = RETRY_SECONDS if isinstance(error, Unavailable) else self._period_seconds
            return min(retry, self._period_seconds)
        except Exception as error:  # noqa: BLE001 - whatever it was, the next turn starts from what is stored
            fault = Unavailable("fault", f"an error of this node: {type(error).__name__}")
            self._tell("chain fault", fault.code, f"{type(error).__name__} at {_place_of(error)}")
            condition.chain = fault
            return self._period_seconds
        if self._told:
            _LOG.info("chain works again")
        self._told = None
        condition.chain = condition.last_error = None
        return self._period_seconds

    def _try_demands(self) -> None:
        try:
            self._serve_demands()
        except NodeError as error:
            if error.code not in {"chain-away", "stopping"}:
                _LOG.warning("demands not looked at", code=error.code, reason=error.message)
        except Exception as error:  # noqa: BLE001 - whatever it was, the next turn looks again
            _LOG.error("chain fault", code="fault", reason=f"{type(error).__name__} at {_place_of(error)}")

    def _serve_demands(self) -> None:
        """Answer what is demanded of own logs, and say at every turn what cannot be answered: it becomes a default."""
        demands = self._services.demands
        answered = demands.serve(sleep=self.sleep)
        if answered:
            _LOG.info("demands answered", answers=answered)
        for demand in demands.unanswered:
            _LOG.error(
                "demand not answered",
                log=demand.origin,
                index=demand.index,
                due_at=demand.due_at,
                code=demand.error.code,
            )

    def _account(self) -> float:
        """Say what the store of a read-only node lacks, again until the chain has been asked too."""
        try:
            account = self._services.take_stock()
            if account.chain_asked:
                self._serve_demands()
        except NodeError as error:
            self._tell("what is missing is not known", error.code, error.message)
            return self._period_seconds
        for log in account.logs:
            if self._told != "read-only" and log.verdict != "continues":
                _LOG.error(
                    "read-only", log=log.origin, verdict=log.verdict, entries=log.size, missing=log.missing
                )
        self._told = "read-only"
        return self._period_seconds if account.chain_asked else min(RETRY_SECONDS, self._period_seconds)

    def _tell(self, event: str, code: str, reason: str) -> None:
        """Log what is wrong once, not at every turn that finds it so."""
        if code != self._told:
            _LOG.warning(event, code=code, reason=reason)
        self._told = code


def _place_of(error: BaseException) -> str:
    """Name the line of our source where an error came from."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}" if trace else "?"
