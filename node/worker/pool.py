# SPDX-License-Identifier: Apache-2.0
"""The processes that validate and sign rows. Started (spawn) before the store opens, so they share nothing of it.

Each worker has a socket and, in the node, a thread that waits at it: a chunk goes there and its records come back in
one system call each, without the node's other threads having to give way for every 64 kB of a pipe.

    frame = kind(1) length(8) body      kinds: r ready, t task, a answer, e error (pickled by multiprocessing)
"""

from __future__ import annotations

import gc
import multiprocessing
import os
import queue
import signal
import socket
import struct
import threading
from concurrent.futures import BrokenExecutor, Future
from dataclasses import dataclass
from functools import partial
from multiprocessing.reduction import ForkingPickler
from typing import TYPE_CHECKING, Final

from node.errors import Unavailable
from node.records.catalogue import load_builtin_items, load_item
from node.service.issuing import ChunkIssuer
from node.worker.keys import wrap_over

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from node.core.types import MemberCode

YOUNG_OBJECTS: Final = 50_000
"""New containers that survive before the collector of a process looks at them: a few MiB."""
STOP_SECONDS: Final = 5.0
"""Longest wait for a worker to end by itself."""
_HEAD: Final = struct.Struct(">cQ")
_READY, _TASK, _ANSWER, _ERROR = b"r", b"t", b"a", b"e"
_SPAWN: Final = multiprocessing.get_context("spawn")

_Tasks = queue.SimpleQueue[tuple[bytes, Future[bytes]] | None]


@dataclass(frozen=True, slots=True)
class IssuerSetup:
    """What a worker needs to issue; crosses the process boundary once, through a pipe. Has no printable form."""

    domain: str
    member: MemberCode
    record_seed: bytes
    index_key: bytes
    items: Mapping[str, bytes]

    def __repr__(self) -> str:
        """Show nothing."""
        return "IssuerSetup(…)"


class IssuingPool:
    """Implements ``node.service.importing.Workers``; a worker that dies fails its chunk and is started again.

    Args:
        setup: What each worker gets.
        processes: How many there are.
        open_channel: Gives a socket to the key process, on which a worker has secrets wrapped.
    """

    def __init__(self, setup: IssuerSetup, processes: int, open_channel: Callable[[], socket.socket]) -> None:
        self._tasks: _Tasks = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._closed = False
        self._workers = [_Worker(setup, self._tasks, open_channel) for _ in range(processes)]

    def issue(self, encoded_task: bytes) -> Future[bytes]:
        """Run one chunk in a worker; the future fails with BrokenExecutor when the worker dies over it.

        Raises:
            Unavailable: The pool is closed.
        """
        future: Future[bytes] = Future()
        with self._lock:
            if self._closed:
                raise Unavailable("stopping", "node is stopping")
            self._tasks.put((encoded_task, future))
        return future

    def warm(self) -> None:
        """Wait until every worker is ready, instead of at the first chunk."""
        for worker in self._workers:
            worker.ready.wait()

    def close(self) -> None:
        """Drop what waits, let the workers finish what they have begun, and stop them."""
        with self._lock:
            self._closed = True
        while not self._tasks.empty():
            waiting = self._tasks.get()
            if waiting is not None:
                waiting[1].cancel()
        for _ in self._workers:
            self._tasks.put(None)
        for worker in self._workers:
            worker.join()


class _Worker:
    """One worker process, started again when it has died, and the thread that talks to it."""

    def __init__(self, setup: IssuerSetup, tasks: _Tasks, open_channel: Callable[[], socket.socket]) -> None:
        self._open_channel = open_channel
        self._setup = setup
        self._tasks = tasks
        self.ready = threading.Event()
        self._start()
        self._thread = threading.Thread(target=self._run, name="worker", daemon=True)
        self._thread.start()

    def join(self) -> None:
        """Wait for the end of the thread, which ends the process."""
        self._thread.join()

    def _start(self) -> None:
        with self._open_channel() as keys:
            self._socket, theirs = socket.socketpair()
            self._process = _SPAWN.Process(target=_serve, args=(theirs, keys, self._setup), daemon=True)
            self._process.start()
            theirs.close()
        self._is_new = True

    def _run(self) -> None:
        try:
            self._wait_ready()
        except (OSError, EOFError):
            self._end()
        self.ready.set()
        while (item := self._tasks.get()) is not None:
            task, future = item
            if future.set_running_or_notify_cancel():
                try:
                    future.set_result(self._ask(task))
                except (OSError, EOFError):
                    self._end()
                    future.set_exception(BrokenExecutor("a worker process ended in the middle of its work"))
                except Exception as error:  # noqa: BLE001 - what a worker could not do is told to whoever asked
                    future.set_exception(error)
        self._end()

    def _ask(self, task: bytes) -> bytes:
        if not self._process.is_alive():
            self._end()
            self._start()
        self._wait_ready()
        _send(self._socket, _TASK, task)
        kind, body = _receive(self._socket)
        if kind == _ERROR:
            raise ForkingPickler.loads(body)
        return body

    def _wait_ready(self) -> None:
        if self._is_new:
            kind, _ = _receive(self._socket)
            assert kind == _READY, "a worker says first that it is ready"
            self._is_new = False

    def _end(self) -> None:
        self._socket.close()
        self._process.join(STOP_SECONDS)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()


def _serve(channel: socket.socket, keys: socket.socket, setup: IssuerSetup) -> None:
    """Be a worker: issue chunk after chunk until the node closes the socket."""
    # Ctrl-C reaches the whole process group; the parent decides when workers end. (SIGTERM is how it says so.)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, name="parent", daemon=True).start()
    issuer = ChunkIssuer(
        domain=setup.domain,
        member=setup.member,
        record_seed=setup.record_seed,
        wrap_all=partial(wrap_over, keys),
        index_key=setup.index_key,
        items=load_builtin_items() | {name: load_item(data) for name, data in setup.items.items()},
        random=os.urandom,
    )
    # What was loaded stays for good: the collector need not look at it again. A chunk makes tens of thousands of objects
    # and no cycles; the collector goes through them once every few chunks instead of many times a chunk.
    gc.set_threshold(YOUNG_OBJECTS)
    gc.freeze()
    try:
        _send(channel, _READY, b"")
        while True:
            _, task = _receive(channel)
            try:
                answer = issuer.issue(task)
            except (OSError, EOFError):
                # The key process has ended: this worker's channel to it is of no more use, the next worker gets another.
                return
            except Exception as error:  # noqa: BLE001 - the node decides what to make of it
                _send(channel, _ERROR, bytes(ForkingPickler.dumps(error)))
            else:
                _send(channel, _ANSWER, answer)
    except (OSError, EOFError):
        return


def _end_with_parent() -> None:
    """End with the node, however it ended: a worker holds its keys and must not outlive it."""
    parent = multiprocessing.parent_process()
    assert parent is not None, "a worker is a child"
    parent.join()
    os._exit(1)


def _send(channel: socket.socket, kind: bytes, body: bytes) -> None:
    channel.sendall(_HEAD.pack(kind, len(body)))
    channel.sendall(body)


def _receive(channel: socket.socket) -> tuple[bytes, bytes]:
    """Receive one frame.

    Raises:
        EOFError: The other side has ended.
    """
    kind, length = _HEAD.unpack(_receive_exactly(channel, _HEAD.size))
    return kind, _receive_exactly(channel, length)


def _receive_exactly(channel: socket.socket, length: int) -> bytes:
    data = channel.recv(length, socket.MSG_WAITALL) if length else b""
    while len(data) < length:
        # A signal can cut the wait short.
        more = channel.recv(length - len(data), socket.MSG_WAITALL)
        if not more:
            raise EOFError
        data += more
    return data
