# SPDX-License-Identifier: Apache-2.0
"""The node's side of the key process: implements ``SecretKeeper``, and starts it again when it has died.

Whoever asks while it dies is refused with ``key-process-ended`` and gets nothing; a new one is started at once, after the
old one has certainly ended, so that never two count. The next call waits until the new one is ready.
"""

from __future__ import annotations

import multiprocessing
import socket
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

import msgpack

from node import errors
from node.errors import NodeError, Unavailable
from node.worker.keys_server import ANSWER, CHANNEL, REFUSED, REQUEST, receive_exactly, serve_keys

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

ANSWER_SECONDS: Final = 20.0
"""Longest wait for an answer; a key process that gives none is taken for dead. Its start derives a key, which takes a second."""
STOP_SECONDS: Final = 5.0
_SPAWN: Final = multiprocessing.get_context("spawn")


class KeyProcess:
    """The key process of this node; safe to use from any thread.

    Args:
        load: Loads the wrapping key; crosses the process boundary, so it must be picklable.
        counter: File of the unwrap counter; its directory is there.
    """

    def __init__(self, load: Callable[[], bytes], counter: Path) -> None:
        self._load = load
        self._counter = counter
        self._lock = threading.Lock()
        self._unwraps: int | None = None
        self._closed = False
        self._is_ready = False
        self._start()

    @property
    def pid(self) -> int | None:
        """Its process id."""
        return self._process.pid

    @property
    def unwraps(self) -> int | None:
        """How many secrets have come out, as the newest answer said."""
        return self._unwraps

    def wait_ready(self) -> None:
        """Wait until the key is loaded.

        Raises:
            NodeError: Why it cannot be: the passphrase is wrong, the key file is missing, the counter is damaged.
        """
        with self._lock:
            self._require_ready()

    def wrap(self, secret: bytes, name: str) -> bytes:
        """Wrap a secret."""
        wrapped: bytes = self._ask(b"w", secret, name)
        return wrapped

    def wrap_all(self, secrets: Sequence[bytes], names: Sequence[str]) -> list[bytes]:
        """Wrap many secrets."""
        wrapped: list[bytes] = self._ask(b"W", list(secrets), list(names))
        return wrapped

    def unwrap(self, wrapped: bytes, name: str) -> bytes:
        """Give a secret out, and count it."""
        secret: bytes = self._ask(b"u", wrapped, name)
        return secret

    def history_key(self, wrapped: bytes, name: str) -> bytes:
        """Derive the key of the grounds of a record's status changes."""
        key: bytes = self._ask(b"h", wrapped, name)
        return key

    def check_sealed(self, wrapped: bytes, name: str, sealed: bytes) -> None:
        """Check that sealed values open under a wrapped secret."""
        self._ask(b"s", wrapped, name, sealed)

    def key_check(self) -> bytes:
        """Give half of a digest of the wrapping key."""
        check: bytes = self._ask(b"i")
        return check

    def raise_to(self, count: int) -> None:
        """Count on from at least a number."""
        self._ask(b"f", count)

    def open_channel(self) -> socket.socket:
        """Give a socket on which a worker has secrets wrapped, and nothing else, with :func:`wrap_over`.

        Raises:
            Unavailable: ``key-process-ended``.
        """
        ours, theirs = socket.socketpair()
        try:
            with self._lock, theirs:
                channel = self._require_open()
                try:
                    channel.sendall(REQUEST.pack(CHANNEL, 0))
                    socket.send_fds(channel, [b"\0"], [theirs.fileno()])
                except OSError:
                    raise self._restart() from None
        except NodeError:
            ours.close()
            raise
        return ours

    def close(self) -> None:
        """Stop the key process; it writes down how far it counted."""
        self._closed = True
        # A call that waits for a process that hangs ends now, and gives the lock free.
        with suppress(OSError):
            self._channel.shutdown(socket.SHUT_RDWR)
        with self._lock:
            self._end(STOP_SECONDS)

    def _ask(self, op: bytes, *arguments: Any) -> Any:
        body = msgpack.packb(arguments) if arguments else b""
        with self._lock:
            try:
                self._require_ready()
                self._channel.sendall(REQUEST.pack(op, len(body)) + body)
                return self._receive()
            except (OSError, EOFError):
                raise self._restart() from None

    def _receive(self) -> Any:
        status, count, length = ANSWER.unpack(receive_exactly(self._channel, ANSWER.size))
        body = msgpack.unpackb(receive_exactly(self._channel, length))
        self._unwraps = max(count, self._unwraps or 0)
        if status == REFUSED:
            kind, code, message = body
            raise getattr(errors, kind)(code, message)
        return body

    def _require_open(self) -> socket.socket:
        if self._closed:
            raise Unavailable("stopping", "node is stopping")
        return self._channel

    def _require_ready(self) -> None:
        self._require_open()
        if self._is_ready:
            return
        try:
            self._receive()
        except NodeError:
            # It has said why it cannot, and ended: the next call tries again.
            self._end(STOP_SECONDS)
            self._start()
            raise
        except (OSError, EOFError):
            raise self._restart() from None
        self._is_ready = True

    def _restart(self) -> Unavailable:
        """Take the process for dead; give the error for whoever noticed."""
        self._end(0)
        if self._closed:
            return Unavailable("stopping", "node is stopping")
        self._start()
        return self._ended()

    def _start(self) -> None:
        self._channel, theirs = socket.socketpair()
        self._channel.settimeout(ANSWER_SECONDS)
        self._process = _SPAWN.Process(
            target=serve_keys, args=(theirs, self._load, self._counter), name="keys", daemon=True
        )
        self._process.start()
        theirs.close()
        self._is_ready = False

    def _end(self, patience_seconds: float) -> None:
        self._channel.close()
        self._process.join(patience_seconds)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()

    @staticmethod
    def _ended() -> Unavailable:
        return Unavailable(
            "key-process-ended", "the key process ended: nothing was opened; it is started again, try again"
        )


def wrap_over(channel: socket.socket, secrets: Sequence[bytes], names: Sequence[str]) -> list[bytes]:
    """Have secrets wrapped over a worker's channel.

    Raises:
        EOFError, OSError: The key process has ended; the channel is of no more use.
        NodeError: It refused.
    """
    body = msgpack.packb([list(secrets), list(names)])
    channel.sendall(REQUEST.pack(b"W", len(body)) + body)
    status, _, length = ANSWER.unpack(receive_exactly(channel, ANSWER.size))
    answer = msgpack.unpackb(receive_exactly(channel, length))
    if status == REFUSED:
        kind, code, message = answer
        raise getattr(errors, kind)(code, message)
    wrapped: list[bytes] = answer
    return wrapped
