# SPDX-License-Identifier: Apache-2.0
"""The single writer: gathers operations, commits them together, answers each when its commit is durable.

Order of one turn, and what a failure at each step means:

    1. take everything that waits, at most MAX_ENTRIES            nothing has happened
    2. run the operations on one transaction                      an operation that refuses is answered; others go on
    3. store.commit                                               refused (disk full): nothing written, callers are
                                                                  told; failed: state unknown, Fatal, the writer stops
    4. head files of the logs that grew                           any failure: nothing signed leaves, Fatal, stops
    5. the new tails become visible, the callers are answered

A commit starts as soon as the one before it ends; there is no waiting time to gather more. Sequenced and
integrated are the same moment here (docs/adr/0003): the tiles are part of the commit.
"""

from __future__ import annotations

import queue
import threading
from concurrent.futures import Future
from copy import copy
from typing import TYPE_CHECKING, Any, Final, TypeAlias, TypeVar

from node.errors import Conflict, Fatal, InvalidInput, NodeError, Unavailable
from node.log.head import Head
from node.log.tree import TreeWriter
from node.service import layout
from node.service.layout import LogKind
from node.service.tiles import StoredTiles
from node.service.transaction import LogTail, Transaction

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from node.ports import Batch, HeadFiles, Store

T = TypeVar("T")
Answer: TypeAlias = "Callable[[Any, Exception | None], None]"
"""Told what an operation gave, or why it gave nothing."""
_Item: TypeAlias = "tuple[Callable[[Transaction], Any], int, Answer]"
MAX_ENTRIES: Final = 1_000
_STOP: Final = object()


def load_tail(store: Store, kind: LogKind, number: int) -> LogTail:
    """Load where a log ends."""
    size = layout.parse_u64(store.get(layout.size_key(kind, number)) or bytes(8))
    return LogTail(
        kind,
        number,
        TreeWriter.load(StoredTiles(store, kind, number), size),
        store.length(layout.entries_stream(kind, number)),
        store.length(layout.values_stream(kind, number)),
    )


class Sequencer:
    """Owns the store's write side.

    Args:
        store: The open store.
        heads: The head files.
        origins: Origin of each log.
        numbers: Succession number of each log.
        read_only: Why nothing may be written; None when writing is allowed.
    """

    def __init__(
        self,
        store: Store,
        heads: HeadFiles,
        origins: Mapping[LogKind, str],
        numbers: Mapping[LogKind, int],
        *,
        read_only: Conflict | None = None,
    ) -> None:
        self._store = store
        self._heads = heads
        self._origins = origins
        self._queue: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._tails = {kind: load_tail(store, kind, numbers[kind]) for kind in LogKind}
        self._read_only = read_only
        self._fatal: Fatal | None = None
        self._closed = False
        self._closing = threading.Lock()
        self._thread = threading.Thread(target=self._run, name="sequencer", daemon=True)
        self._thread.start()

    @property
    def read_only(self) -> Conflict | None:
        """Why nothing may be written; None when writing is allowed."""
        return self._read_only

    @property
    def fatal(self) -> Fatal | None:
        """What stopped the writer; None while it works."""
        return self._fatal

    def set_read_only(self, reason: Conflict) -> None:
        """Refuse every write from now on; of several reasons the first one stays."""
        self._read_only = self._read_only or reason

    def halt(self, reason: Fatal) -> None:
        """Refuse every write from now on, because what is stored cannot be trusted."""
        self._fatal = self._fatal or reason

    def require_writable(self) -> None:
        """Refuse to go on when nothing can be written.

        Raises:
            Conflict: The node is read-only.
            Fatal: The writer has stopped.
            Unavailable: The node is stopping.
        """
        refusal = self._refusal()
        if refusal is not None:
            raise refusal

    def size(self, log: LogKind) -> int:
        """Durable number of entries."""
        return self._tails[log].size

    def root(self, log: LogKind) -> tuple[int, bytes]:
        """Durable size and root of a log, of one moment."""
        tree = self._tails[log].tree
        return tree.size, tree.root()

    def submit(self, operation: Callable[[Transaction], T], *, entries: int = 1) -> Future[T]:
        """Queue an operation; the future is done when its commit is durable.

        Args:
            operation: Called in the writer's thread; raises only before its first write.
            entries: About how many entries it appends, for the size of a group.
        """
        future: Future[T] = Future()

        def answer(result: T, error: Exception | None) -> None:
            if error is None:
                future.set_result(result)
            else:
                future.set_exception(error)

        self.submit_then(operation, answer, entries=entries)
        return future

    def submit_then(
        self, operation: Callable[[Transaction], Any], answer: Answer, *, entries: int = 1
    ) -> None:
        """Queue an operation; ``answer`` is called when its commit is durable. A third of the weight of a future.

        Args:
            operation: As for ``submit``.
            answer: Called once, in the writer's thread or before this returns; must be quick and must not raise.
            entries: As for ``submit``.
        """
        with self._closing:
            if not (self._closed or self._fatal or self._read_only):
                self._queue.put((operation, entries, answer))
                return
        answer(None, self._refusal())

    def run(self, operation: Callable[[Transaction], T], *, entries: int = 1) -> T:
        """Submit an operation and wait until it is durable; a lock is handed over in a third less time than a future."""
        done = threading.Lock()
        done.acquire()
        answers: list[tuple[Any, Exception | None]] = []

        def answer(result: Any, error: Exception | None) -> None:
            answers.append((result, error))
            done.release()

        self.submit_then(operation, answer, entries=entries)
        done.acquire()
        result, error = answers.pop()
        if error is not None:
            try:
                raise error
            finally:
                del error  # it holds this frame
        value: T = result
        return value

    def close(self) -> None:
        """Finish what was queued and stop the thread."""
        with self._closing:
            if self._closed:
                return
            self._closed = True
            # Nothing is queued behind the stop, so nobody waits for an answer that does not come.
            self._queue.put(_STOP)
        self._thread.join()

    def _refusal(self) -> NodeError | None:
        """Say why nothing is written now. A new error each time: one that is raised again keeps all its frames."""
        if self._closed:
            return Unavailable("stopping", "node is stopping")
        reason = self._fatal or self._read_only
        return None if reason is None else copy(reason)

    def _run(self) -> None:
        stopping = False
        while not stopping:
            group, stopping = self._gather()
            reason = self._fatal or self._read_only
            if reason is not None:
                _fail([answer for _, _, answer in group], reason)
            elif group:
                self._commit(group)

    def _gather(self) -> tuple[list[_Item], bool]:
        group: list[_Item] = []
        entries = 0
        item = self._queue.get()
        while item is not _STOP:
            group.append(item)
            entries += item[1]
            if entries >= MAX_ENTRIES:
                return group, False
            try:
                item = self._queue.get_nowait()
            except queue.Empty:
                return group, False
        return group, True

    def _commit(self, group: list[_Item]) -> None:
        answers: list[tuple[Answer, Any]] = []
        place = 0
        try:
            transaction = Transaction(self._store, self._tails)
            for operation, _, answer in group:
                before = transaction.writes
                try:
                    result = operation(transaction)
                except Exception as error:  # noqa: BLE001 - answered, or Fatal
                    _refuse(transaction.writes != before, answer, error)
                else:
                    answers.append((answer, result))
                place += 1
            if transaction.writes:
                batch, tails = transaction.seal()
                refusal = self._store_batch(batch)
                if refusal is not None:
                    _fail([answer for answer, _ in answers], refusal)
                    return
                for kind, tail in tails.items():
                    if tail.size != self._tails[kind].size:
                        self._heads.store(Head(self._origins[kind], tail.size, tail.tree.root()))
                self._tails = tails
        except Exception as error:  # noqa: BLE001 - whatever it was, our state is unknown now
            waiting = [answer for answer, _ in answers] + [answer for _, _, answer in group[place:]]
            self._stop_for_good(error, waiting)
            return
        for answer, result in answers:
            answer(result, None)

    def _store_batch(self, batch: Batch) -> NodeError | None:
        """Commit; give the reason when the store says that it wrote nothing."""
        try:
            self._store.commit(batch)
        except (InvalidInput, Unavailable) as error:
            return error
        return None

    def _stop_for_good(self, error: Exception, waiting: Iterable[Answer]) -> None:
        self._fatal = (
            error
            if isinstance(error, Fatal)
            else Fatal("commit-failed", f"commit failed: {type(error).__name__}")
        )
        _fail(waiting, self._fatal)


def _refuse(wrote: bool, answer: Answer, error: Exception) -> None:  # noqa: FBT001 - the one fact that counts
    """Answer an operation that refused; nothing of it is in the commit, so it costs only itself."""
    if wrote:
        name = error.code if isinstance(error, NodeError) else type(error).__name__
        raise Fatal("operation-half-done", f"an operation wrote before it refused with {name}") from error
    answer(None, error)


def _fail(waiting: Iterable[Answer], reason: NodeError) -> None:
    for answer in waiting:
        answer(None, copy(reason))
