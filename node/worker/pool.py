# SPDX-License-Identifier: Apache-2.0
"""The processes that validate and sign rows. Started (spawn) before the store opens, so they share nothing of it."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from typing import TYPE_CHECKING

from node.errors import Unavailable
from node.records.catalogue import load_builtin_items, load_item
from node.service.issuing import ChunkIssuer

if TYPE_CHECKING:
    from collections.abc import Mapping
    from concurrent.futures import Future

    from node.core.types import MemberCode

_issuer: ChunkIssuer | None = None


@dataclass(frozen=True, slots=True)
class IssuerSetup:
    """What a worker needs to issue; crosses the process boundary once, through a pipe. Has no printable form."""

    domain: str
    member: MemberCode
    record_seed: bytes
    wrapping_key: bytes
    index_key: bytes
    items: Mapping[str, bytes]

    def __repr__(self) -> str:
        """Show nothing."""
        return "IssuerSetup(…)"


class IssuingPool:
    """Implements ``node.service.importing.Workers`` over a process pool that is renewed when a worker dies."""

    def __init__(self, setup: IssuerSetup, processes: int) -> None:
        self._setup = setup
        self._processes = processes
        self._lock = threading.Lock()
        self._pool = self._start()

    def issue(self, encoded_task: bytes) -> Future[bytes]:
        """Run one chunk in a worker.

        Raises:
            Unavailable: The pool is closed.
        """
        with self._lock:
            try:
                return self._pool.submit(_issue, encoded_task)
            except BrokenProcessPool:
                self._pool.shutdown(wait=False, cancel_futures=True)
                self._pool = self._start()
                return self._pool.submit(_issue, encoded_task)
            except RuntimeError as error:
                raise Unavailable("stopping", "node is stopping") from error

    def warm(self) -> None:
        """Start every worker now instead of at the first chunk."""
        for future in [self._pool.submit(os.getpid) for _ in range(self._processes)]:
            future.result()

    def close(self) -> None:
        """Stop the workers."""
        with self._lock:
            self._pool.shutdown(wait=True, cancel_futures=True)

    def _start(self) -> ProcessPoolExecutor:
        return ProcessPoolExecutor(
            self._processes,
            mp_context=multiprocessing.get_context("spawn"),
            initializer=_initialise,
            initargs=(self._setup,),
        )


def _initialise(setup: IssuerSetup) -> None:
    global _issuer  # noqa: PLW0603 - a worker process has one issuer for its life
    # Ctrl-C reaches the whole process group; the parent decides when workers end. (SIGTERM is how it says so.)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, name="parent", daemon=True).start()
    _issuer = ChunkIssuer(
        domain=setup.domain,
        member=setup.member,
        record_seed=setup.record_seed,
        wrapping_key=setup.wrapping_key,
        index_key=setup.index_key,
        items=load_builtin_items() | {name: load_item(data) for name, data in setup.items.items()},
        random=os.urandom,
    )


def _end_with_parent() -> None:
    """End with the node, however it ended: a worker holds its keys and must not outlive it."""
    parent = multiprocessing.parent_process()
    assert parent is not None, "a worker is a child"
    parent.join()
    os._exit(1)


def _issue(encoded_task: bytes) -> bytes:
    assert _issuer is not None, "initialiser runs first"
    return _issuer.issue(encoded_task)
