# SPDX-License-Identifier: Apache-2.0
"""Run a node from start to stop: listen, serve, and on SIGTERM or Ctrl-C leave everything in order.

    at the start         the port is taken, the key process starts and threads derive the keys;
                         meanwhile this one loads the server and all that a node consists of
    on the signal        no new calls, loops are told to stop, running calls have DRAIN_SECONDS
    then                 imports stop at the next chunk, the chain loop at its next look
    then                 the writer finishes its queue, the store closes, the workers end, run/node.json goes

What does not end in time (a chain node that gives no answer) is left behind:
what it would have written is not written, and the next start takes it up again.
"""

from __future__ import annotations

import getpass
import os
import resource
import signal
import socket
import sys
import threading
import time
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from node.config import load_settings
from node.errors import NotFound, Unavailable, Verification
from node.storage.keyfiles import load_private
from node.unlocking import Unlocking

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from node.config import Settings

PASSPHRASE_CREDENTIAL: Final = "ironcage-passphrase"  # noqa: S105 - the name of a credential
THREAD_SECONDS: Final = 1.0
"""Longest wait, after everything is closed, for threads that are still busy with a call."""
_UMASK: Final = 0o077


def run_node(home: Path) -> None:
    """Run the node of a home directory until SIGTERM or Ctrl-C.

    Raises:
        NodeError: What kept it from starting.
    """
    # A core file would hold the node's keys; other processes of the node inherit it.
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    os.umask(_UMASK)
    settings = load_settings(home)
    passphrase = load_passphrase(settings)
    settings.require_guarded_port()
    settings.require_separate_heads()
    is_loaded = False
    try:
        with (
            _stopping_on_signals() as require_no_signal,
            _listen(settings) as listener,
            closing(Unlocking(settings, passphrase)) as unlocking,
        ):
            from node.server import serve_node  # noqa: PLC0415 - takes as long as the keys, so it is loaded beside them

            is_loaded = True
            serve_node(settings, passphrase, unlocking, listener, require_no_signal)
    except _Stop:
        if is_loaded:
            from node.server import tell_stopped  # noqa: PLC0415 - the same

            tell_stopped(settings)
    _leave_busy_threads()


def load_passphrase(settings: Settings) -> str:
    """Load the passphrase of the keys: from a systemd credential, the configured file, or the terminal.

    Raises:
        NotFound: None of them is there.
        Fatal: ``key-readable``: others can read the file.
        Unavailable: ``key-unreadable``.
        Verification: ``keyfile-passphrase``: what is there is no text.
    """
    credentials = os.environ.get("CREDENTIALS_DIRECTORY")  # noqa: TID251 - systemd names the directory only here
    if credentials and (Path(credentials) / PASSPHRASE_CREDENTIAL).is_file():
        return _read_text(Path(credentials) / PASSPHRASE_CREDENTIAL, _load_credential)
    if settings.passphrase_file is not None:
        return _read_text(settings.path(settings.passphrase_file), load_private)
    if sys.stdin.isatty():
        return getpass.getpass("Passphrase of this node's keys 本节点密钥口令: ")
    raise NotFound(
        "passphrase-missing", "no passphrase: set passphrase_file, a systemd credential, or use a terminal"
    )


def _load_credential(path: Path) -> bytes:
    """Read what systemd put there, whose mode is systemd's own."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise Unavailable(
            "key-unreadable", f"{path.name} in {path.parent} cannot be read: got {error.strerror}"
        ) from error


def _read_text(path: Path, load: Callable[[Path], bytes]) -> str:
    try:
        return load(path).decode().rstrip("\n")
    except UnicodeDecodeError:
        # Its text would quote the passphrase.
        raise Verification("keyfile-passphrase", f"{path.name} is no UTF-8 text") from None


class _Stop(BaseException):
    """A signal asked the node to stop. No ``except Exception`` on the way may take it for a failure."""


@contextmanager
def _stopping_on_signals() -> Iterator[Callable[[], None]]:
    """Turn the first SIGTERM or SIGINT into :class:`_Stop`; those that follow change nothing, to the end of the process.

    While the server runs, its own handlers take the signal, end it in order and raise the signal again for us.

    Gives what raises it again: Python drops what is raised in a finaliser, and an import runs hundreds of them.
    """
    numbers = (signal.SIGTERM, signal.SIGINT)

    came = False

    def stop(_number: int, _frame: object) -> None:
        nonlocal came
        came = True
        for number in numbers:
            signal.signal(number, signal.SIG_IGN)
        raise _Stop

    def require_no_signal() -> None:
        if came:
            raise _Stop

    before = {number: signal.signal(number, stop) for number in numbers}
    try:
        yield require_no_signal
    finally:
        if not came:
            for number, handler in before.items():
                signal.signal(number, handler)


def _listen(settings: Settings) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.listen_host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((settings.listen_host, settings.listen_port))
    except OSError as error:
        listener.close()
        place = f"{settings.listen_host}:{settings.listen_port}"
        raise Unavailable("listen-failed", f"cannot listen on {place}: {error.strerror}") from None
    # The server lets more of them wait, as soon as it runs.
    listener.listen()
    return listener


def _leave_busy_threads() -> None:
    """End the process although a thread still waits for somebody outside; everything of ours is closed."""
    deadline = time.monotonic() + THREAD_SECONDS
    for thread in threading.enumerate():
        if thread is not threading.main_thread() and not thread.daemon:
            thread.join(max(0.0, deadline - time.monotonic()))
            if thread.is_alive():
                sys.stdout.flush()
                sys.stderr.flush()
                os._exit(0)
