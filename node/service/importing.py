# SPDX-License-Identifier: Apache-2.0
"""Import a department's file: read, validate, sign, commit, report.

    reader process        parses the file and hands on chunks of rows
    worker processes      validate, issue, seal (node.service.issuing)
    the importer          keeps the chunks in order, decides new, duplicate or changed (node.service.deciding)
    the writer            appends the records and writes the report, in one commit a chunk

The job's ``last_row`` is part of the same commit as the rows up to it, so an import that was cut off goes on behind
it. What was committed before the cut is never issued twice: its identity is in the index.
"""

from __future__ import annotations

import threading
from collections import deque
from concurrent.futures import BrokenExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Protocol

from node.core.clock import china_date
from node.core.ids import build_uuid7
from node.errors import Conflict, InvalidInput, NodeError, NotFound, Unavailable
from node.records.chunks import CHUNK_ROWS, encode_chunk
from node.records.chunks import parse_chunk as parse_row_chunk
from node.records.headers import map_headers
from node.records.status import INVALID
from node.service.deciding import CHANGED, WITHDRAWN, append_records, decide, supersede
from node.service.grounds import StatusChange
from node.service.identities import Identities
from node.service.issuing import IssueTask, encode_task, parse_chunk
from node.service.jobs import (
    DONE,
    FAILED,
    QUEUED,
    RUNNING,
    Job,
    failed,
    find_newest_ms,
    get_job,
    store_job,
    store_refusals,
)
from node.service.status import current_status

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from concurrent.futures import Future

    from node.core.clock import Clock
    from node.core.types import EntryIndex
    from node.ports import Rows, Store
    from node.records.catalogue import CatalogueItem
    from node.records.headers import HeaderWarning
    from node.records.values import Cell
    from node.service.deciding import Decision
    from node.service.grounds import GroundSealer
    from node.service.issuing import IssuedChunk
    from node.service.reading import Logs
    from node.service.sequencer import Sequencer
    from node.service.status import Place, StatusAllocator
    from node.service.transaction import Transaction

CHUNKS_AHEAD: Final = 6
"""Chunks in the pipeline at once: enough to keep the workers busy, few enough to bound memory."""
CORRECTION_GROUND: Final = "corrected by import"
CORRECTION_WAIT_SECONDS: Final = 2.0
"""How long a single correction waits for a running import to end."""


class Workers(Protocol):
    """The processes that issue chunks."""

    def issue(self, encoded_task: bytes) -> Future[bytes]:
        """Run ``ChunkIssuer.issue`` in a worker."""
        ...


@dataclass(frozen=True, slots=True)
class ImportTools:
    """What an import works with.

    Attributes:
        store: For reading jobs and identities.
        sequencer: The writer.
        reader: The records logs.
        allocator: Places in status lists; used under the importer's lock only.
        workers: Where chunks are issued.
        items: Catalogue items by ``<item>:<version>``.
        kinds: Kind number of each catalogue item.
        open_file: Opens the stored upload of a job behind its ``last_row``.
        clock: The clock.
        random: Source of randomness for job ids.
        sealer: Seals the grounds of corrections.
    """

    store: Store
    sequencer: Sequencer
    reader: Logs
    allocator: StatusAllocator
    workers: Workers
    items: Mapping[str, CatalogueItem]
    kinds: Mapping[str, int]
    open_file: Callable[[Job, CatalogueItem], Rows]
    clock: Clock
    random: Callable[[int], bytes]
    sealer: GroundSealer

    def task(
        self,
        item: str,
        header: Sequence[Cell],
        chunk: bytes,
        supersedes: Sequence[bytes] = (),
        *,
        date1904: bool = False,
        rows: int = CHUNK_ROWS,
    ) -> IssueTask:
        """Build the task for a chunk of at most ``rows`` rows, with fresh status places."""
        now_ms = self.clock.now_ms()
        places = self.allocator.take(rows)
        today = china_date(now_ms // 1000)
        return IssueTask(item, header, chunk, places, supersedes, today, now_ms, date1904)


class Importer:
    """Runs imports, and single corrections, one at a time."""

    def __init__(self, tools: ImportTools) -> None:
        self._tools = tools
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._naming = threading.Lock()
        self._newest_id_ms = find_newest_ms(tools.store)
        self._identities = Identities(tools.store, self._count_records, self._stop.is_set)

    def _count_records(self) -> int:
        return sum(reader.size() for reader in self._tools.reader.readers)

    def order(
        self,
        *,
        job_id: str,
        item: str,
        file_name: str,
        file_digest: str,
        file_bytes: int,
        officer: str,
        corrections: bool,
    ) -> Job:
        """Put an import on the list; its file must be stored already.

        Raises:
            NotFound: There is no such catalogue item.
        """
        self.require_item(item)
        job = Job(
            id=job_id,
            item=item,
            file_name=file_name,
            file_digest=file_digest,
            file_bytes=file_bytes,
            officer=officer,
            corrections=corrections,
            state=QUEUED,
            created_ms=self._tools.clock.now_ms(),
        )
        self._tools.sequencer.run(lambda t: store_job(t, job), entries=0)
        return job

    def new_job_id(self) -> str:
        """Make an id for a job, greater than all before: they are run in this order, whatever becomes of the clock."""
        with self._naming:
            self._newest_id_ms = max(self._tools.clock.now_ms(), self._newest_id_ms + 1)
            return build_uuid7(self._newest_id_ms, self._tools.random)

    def stop(self) -> None:
        """Leave the running import at the next chunk; it goes on after the next start."""
        self._stop.set()

    def run_job(self, job_id: str) -> Job:
        """Run or resume a job to its end, or to a stop.

        Raises:
            Unavailable, Fatal: The node cannot write now; the job stays unfinished.
        """
        with self._lock:
            job = get_job(self._tools.store, job_id)
            if job.state in (DONE, FAILED):
                return job
            try:
                self.require_item(job.item)
                item = self._tools.items[job.item]
                with self._tools.open_file(job, item) as table:
                    warnings = map_headers(item, table.header).warnings
                    first = (
                        self._tools.reader.open.place(self._tools.reader.open.size())
                        if job.state == QUEUED
                        else job.first_index
                    )
                    texts = (*table.notes, *(_warning(w) for w in warnings))
                    job = replace(job, state=RUNNING, first_index=first, warnings=texts)
                    return ImportRun(self._tools, self._identities, job, table, self._stop).pump()
            except (InvalidInput, NotFound) as error:
                return self.fail(job_id, error.code, error.message)

    def fail(self, job_id: str, code: str, message: str) -> Job:
        """End a job for good; what it has committed so far stays."""
        tools = self._tools
        ended = failed(get_job(tools.store, job_id), code, message, tools.clock.now_ms())
        tools.sequencer.run(lambda t: store_job(t, ended), entries=0)
        return ended

    def correct(
        self,
        *,
        item: str,
        header: Sequence[Cell],
        cells: Sequence[Any],
        supersedes: bytes,
        officer: str,
        ground: str,
    ) -> bytes:
        """Issue one record that corrects another.

        Args:
            item: Catalogue item of the new record.
            header: Column names.
            cells: The whole corrected row.
            supersedes: Leaf hash of the record it corrects.
            officer: Account that orders it.
            ground: Why, for the status history.

        Returns:
            Leaf hash of the new record.

        Raises:
            InvalidInput: The row is refused, or a column is none that would go in; the message names it.
            NotFound: There is no such record or item.
            Unavailable: ``import-running``: an import holds the way in for longer than this call waits.
            Conflict: The old record is withdrawn or superseded, or the row is a duplicate, or another record has
                this identity.
        """
        self.require_item(item)
        tools = self._tools
        # An import warns of columns that it leaves out; a correction names its own, so none may be lost.
        warnings = map_headers(tools.items[item], header).warnings
        if warnings:
            raise InvalidInput("column-not-taken", "; ".join(map(_warning, warnings)))
        with self._lock_for_one():
            old_index = tools.reader.index_of(supersedes)
            task = tools.task(item, header, encode_chunk(1, [list(cells)]), [supersedes], rows=1)
            change = StatusChange(INVALID, tools.clock.now_ms(), officer, ground)
            try:
                return self._commit_correction(task, old_index, change)
            except NodeError:
                tools.allocator.give_back(task.places)
                raise

    @contextmanager
    def _lock_for_one(self) -> Iterator[None]:
        if not self._lock.acquire(timeout=CORRECTION_WAIT_SECONDS):
            raise Unavailable("import-running", "an import is running: try again when it has ended")
        try:
            yield
        finally:
            self._lock.release()

    def _commit_correction(self, task: IssueTask, old_index: EntryIndex, change: StatusChange) -> bytes:
        tools = self._tools
        chunk = _result(tools.workers.issue(encode_task(task)))
        if chunk.refusals:
            _, column, rule, value_class = chunk.refusals[0]
            raise InvalidInput("row-refused", f"column {column or '(row)'}: rule {rule}, got {value_class}")
        decision = decide(chunk, self._identities.find_all(chunk.identities), lambda _: None)
        if decision.duplicates:
            raise Conflict("record-duplicate", "the corrected row says the same as a record in the log")
        if decision.corrections and decision.corrections[0][1] != old_index:
            raise Conflict(
                "identity-taken", "another record in the log has the identity of the corrected row"
            )
        pairs, kind = [(0, old_index)], tools.kinds[task.item]
        seal = partial(tools.sealer.seal, change=change)
        tools.sequencer.run(lambda t: supersede(t, tools.reader, chunk, pairs, task.places, kind, seal))
        return chunk.leaves[0]

    def require_item(self, item: str) -> None:
        """Refuse a catalogue item that this node does not have.

        Raises:
            NotFound: There is no such catalogue item.
        """
        if item not in self._tools.items:
            known = ", ".join(sorted(self._tools.items))
            raise NotFound("item-unknown", f"no catalogue item of that name; this node has: {known}")


class ImportRun:
    """One run of one job: the pipeline and what it has counted."""

    def __init__(
        self, tools: ImportTools, identities: Identities, job: Job, table: Rows, stop: threading.Event
    ) -> None:
        self._tools = tools
        self._identities = identities
        self._job = job
        self._table = table
        self._stop = stop
        self._ahead: deque[tuple[IssueTask, Future[bytes]]] = deque()

    def pump(self) -> Job:
        """Feed the workers and commit their answers in the order of the file.

        Returns:
            The job: done, or unfinished when it was stopped.
        """
        table = self._table
        try:
            for chunk in table.chunks:
                if self._stop.is_set():
                    return self._job
                task = self._tools.task(self._job.item, table.header, chunk, date1904=table.date1904)
                self._ahead.append((task, self._tools.workers.issue(encode_task(task))))
                if len(self._ahead) >= CHUNKS_AHEAD:
                    self._commit_next()
            while self._ahead:
                self._commit_next()
        finally:
            for task, _ in self._ahead:
                self._tools.allocator.give_back(task.places)
        done = replace(self._job, state=DONE, finished_ms=self._tools.clock.now_ms())
        self._tools.sequencer.run(lambda t: store_job(t, done), entries=0)
        return done

    def _commit_next(self) -> None:
        task, future = self._ahead[0]
        chunk = _result(future)
        while True:
            decision = decide(chunk, self._identities.find_all(chunk.identities), self._judge)
            if self._commit(task, chunk, decision):
                break
        if len(decision.new) < len(task.places):
            used = {chunk.rows[n] for n in decision.new}
            self._tools.allocator.give_back(place for n, place in enumerate(task.places) if n not in used)
        self._ahead.popleft()

    def _judge(self, index: EntryIndex) -> str | None:
        """Say why a row does not correct this record; None when it does."""
        tools, job = self._tools, self._job
        # Of two rows of one file that contradict each other the first one counts, however far apart they stand.
        if not job.corrections or index >= job.first_index:
            return CHANGED
        return WITHDRAWN if current_status(tools.store, tools.reader.row(index)) == INVALID else None

    def _commit(self, task: IssueTask, chunk: IssuedChunk, decision: Decision) -> bool:
        """Commit a chunk; give False when a record was withdrawn while its correction was on its way."""
        tools, job = self._tools, self._job
        refusals = chunk.refusals + [_refusal(chunk, n, rule) for n, rule in decision.refused]
        correction = self._issue_corrections(task, chunk, decision) if decision.corrections else None
        refusals.sort(key=lambda refusal: refusal[0])
        done = _account(job, chunk, decision, refusals)
        kind = tools.kinds[job.item]

        def write(transaction: Transaction) -> None:
            if correction is not None:
                change = StatusChange(INVALID, tools.clock.now_ms(), job.officer, CORRECTION_GROUND)
                new, places = correction.chunk, correction.places
                seal = partial(tools.sealer.seal, change=change)
                supersede(transaction, tools.reader, new, correction.pairs, places, kind, seal)
            append_records(transaction, chunk, decision.new, task.places, kind)
            store_refusals(transaction, job.id, refusals)
            store_job(transaction, done)

        try:
            tools.sequencer.run(write, entries=len(decision.new) + 1)
        except NodeError as error:
            if correction is None:
                raise
            tools.allocator.give_back(correction.places)
            if error.code != WITHDRAWN:
                raise
            return False
        self._job = done
        return True

    def _issue_corrections(self, task: IssueTask, chunk: IssuedChunk, decision: Decision) -> Correction:
        """Issue the changed rows again, each naming the record it corrects."""
        tools = self._tools
        old = [index for _, index in decision.corrections]
        places = [chunk.rows[n] for n, _ in decision.corrections]
        rows = parse_row_chunk(task.chunk).rows
        changed = encode_chunk(1, [rows[place] for place in places])
        leaves = [tools.reader.leaf(index) for index in old]
        again = tools.task(task.item, task.header, changed, leaves, date1904=task.date1904, rows=len(places))
        try:
            issued = _result(tools.workers.issue(encode_task(again)))
        except NodeError:
            tools.allocator.give_back(again.places)
            raise
        return Correction(issued, again.places, list(zip(range(len(issued.rows)), old, strict=True)))


@dataclass(frozen=True, slots=True)
class Correction:
    """Correcting records, ready to be committed: (record of the chunk, index of the record it corrects)."""

    chunk: IssuedChunk
    places: Sequence[Place]
    pairs: list[tuple[int, EntryIndex]]


def _result(future: Future[bytes]) -> IssuedChunk:
    try:
        return parse_chunk(future.result())
    except BrokenExecutor:
        raise Unavailable(
            "worker-died", "a worker process ended in the middle of its work; it is started again"
        ) from None


def _refusal(chunk: IssuedChunk, n: int, rule: str) -> list[Any]:
    return [chunk.first_row + chunk.rows[n], None, rule, ""]


def _warning(warning: HeaderWarning) -> str:
    """Say which column, and why; a header is no personal data, yet only its first characters are kept."""
    return f"column {warning.column} {warning.header[:40]}: {warning.rule}"


def _account(
    job: Job,
    chunk: IssuedChunk,
    decision: Decision,
    refusals: list[list[Any]],
) -> Job:
    flagged = {flag[0] for flag in chunk.flags}
    if flagged:
        flagged &= {chunk.first_row + chunk.rows[n] for n in decision.new}
    return replace(
        job,
        last_row=chunk.last_row,
        read=job.read + chunk.read,
        accepted=job.accepted + len(decision.new) + len(decision.corrections),
        corrected=job.corrected + len(decision.corrections),
        duplicate=job.duplicate + len(decision.duplicates),
        refused=job.refused + len({refusal[0] for refusal in refusals}),
        flagged=job.flagged + len(flagged),
    )
