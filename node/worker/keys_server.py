# SPDX-License-Identifier: Apache-2.0
"""The key process: it alone holds the wrapping key, answers over a socket, and counts every secret that comes out.

    request = op(1) length(4) msgpack of the arguments       answer = status(1) count(8) length(4) msgpack

    op w  wrap(secret, name)          u  unwrap(wrapped, name), counted      i  key_check()
       W  wrap_all(secrets, names)    h  history_key(wrapped, name)          f  raise_to(count)
       s  check_sealed(wrapped, name, sealed)
       c  a file descriptor comes behind it: a socket on which W alone is answered, for one worker; no answer

Its first answer, before any request, says that it is ready, or why it cannot be. It ends with the node, however that
ended.
"""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import signal
import socket
import struct
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

import msgpack

from node.errors import InvalidInput, NodeError, Unavailable
from node.service.keeping import LocalKeeper
from node.worker.keys_counter import UnwrapCounter, boot_id

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

REQUEST: Final = struct.Struct(">cI")
ANSWER: Final = struct.Struct(">cQI")
DONE, REFUSED = b"a", b"e"
CHANNEL: Final = b"c"
_PR_SET_DUMPABLE: Final = 4


def serve_keys(channel: socket.socket, load: Callable[[], bytes], counter: Path) -> None:
    """Be the key process until the node closes the socket.

    Args:
        channel: To the node.
        load: Loads the wrapping key.
        counter: File of the unwrap counter.
    """
    # Ctrl-C reaches the whole process group, and so does a service manager's SIGTERM; a node that stops still wraps and
    # opens for what it finishes. It closes the socket at its end, or dies.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, name="parent", daemon=True).start()
    _hide_memory()
    try:
        count = UnwrapCounter(counter, boot_id())
        keeper = LocalKeeper(load(), os.urandom, count.add)
    except NodeError as error:
        _refuse_start(channel, error)
        return
    except Exception as error:  # noqa: BLE001 - a start without memory is told like any other that fails
        _refuse_start(channel, Unavailable("key-process-start", f"the key process: {type(error).__name__}"))
        return
    try:
        _serve(channel, keeper, count)
    finally:
        count.close()


def _refuse_start(channel: socket.socket, error: NodeError) -> None:
    # Nobody may listen any more.
    with suppress(OSError):
        _refuse(channel, 0, error)


def _serve(channel: socket.socket, keeper: LocalKeeper, count: UnwrapCounter) -> None:
    operations: dict[bytes, Callable[..., Any]] = {
        b"w": keeper.wrap,
        b"W": keeper.wrap_all,
        b"u": keeper.unwrap,
        b"h": keeper.history_key,
        b"s": keeper.check_sealed,
        b"i": keeper.key_check,
        b"f": count.raise_to,
    }
    try:
        _answer(channel, count, None)
        while True:
            op, arguments = _receive(channel)
            if op == CHANNEL:
                _, descriptors, _, _ = socket.recv_fds(channel, 1, 1)
                worker = socket.socket(fileno=descriptors[0])
                threading.Thread(
                    target=_serve_worker, args=(worker, keeper, count), name="worker", daemon=True
                ).start()
                continue
            _work(channel, count, operations[op], arguments)
    except (OSError, EOFError):
        return


def _serve_worker(channel: socket.socket, keeper: LocalKeeper, count: UnwrapCounter) -> None:
    """Wrap for one worker, and do nothing else for it."""
    with channel:
        try:
            while True:
                op, arguments = _receive(channel)
                if op != b"W":
                    return
                _work(channel, count, keeper.wrap_all, arguments)
        except (OSError, EOFError):
            return


def _work(
    channel: socket.socket, count: UnwrapCounter, operation: Callable[..., Any], arguments: list[Any]
) -> None:
    try:
        result = operation(*arguments)
    except NodeError as error:
        _refuse(channel, count.count, error)
    except Exception as error:  # noqa: BLE001 - its text may hold what was sent; the next request is served
        _refuse(channel, count.count, InvalidInput("key-request", f"request failed: {type(error).__name__}"))
    else:
        _answer(channel, count, result)


def _answer(channel: socket.socket, count: UnwrapCounter, result: Any) -> None:
    body = msgpack.packb(result)
    channel.sendall(ANSWER.pack(DONE, count.count, len(body)) + body)


def _refuse(channel: socket.socket, count: int, error: NodeError) -> None:
    body = msgpack.packb([type(error).__name__, error.code, error.message])
    channel.sendall(ANSWER.pack(REFUSED, count, len(body)) + body)


def _receive(channel: socket.socket) -> tuple[bytes, list[Any]]:
    op, length = REQUEST.unpack(receive_exactly(channel, REQUEST.size))
    return op, msgpack.unpackb(receive_exactly(channel, length)) if length else []


def receive_exactly(channel: socket.socket, length: int) -> bytes:
    """Receive so many bytes.

    Raises:
        EOFError: The other side has ended.
    """
    parts = bytearray()
    while len(parts) < length:
        more = channel.recv(length - len(parts))
        if not more:
            raise EOFError
        parts += more
    return bytes(parts)


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None, "the key process is a child"
    parent.join()
    os._exit(1)


def _hide_memory() -> None:
    """Let no other process of this account read this one's memory, where the system can (Linux)."""
    try:
        ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
    except (OSError, AttributeError):
        return
