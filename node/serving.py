# SPDX-License-Identifier: Apache-2.0
"""Run a node from start to stop: listen, serve, and on SIGTERM or Ctrl-C leave everything in order.

    on the signal        no new calls, loops are told to stop, running calls have DRAIN_SECONDS
    then                 imports stop at the next chunk, the chain loop at its next look
    then                 the writer finishes its queue, the store closes, the workers end, run/node.json goes

What does not end in time (a chain node that gives no answer, a workbook that takes a minute to load) is left behind:
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
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Final

import structlog
import uvicorn

from node.api.app import build_app
from node.api.auth import TokenGate
from node.api.server import BACKLOG, ServerLimits, ServerTls, build_server_config, build_tls, raise_file_limit
from node.api.state import ApiState
from node.bootstrap import open_node
from node.config import load_settings
from node.core.canonical import encode_json
from node.core.clock import SystemClock
from node.core.encoding import encode_hex
from node.errors import NotFound, Unavailable
from node.recovery import back_up
from node.service.backups import Backups
from node.storage.keyfiles import load_private
from node.storage.placemark import is_marked
from node.storage.processes import find_start
from node.storage.tokenfile import TokenFile

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from node.bootstrap import RunningNode
    from node.config import Settings
    from node.service.backups import Make

PASSPHRASE_CREDENTIAL: Final = "ironcage-passphrase"  # noqa: S105 - the name of a credential
DRAIN_SECONDS: Final = 4
"""Longest wait, after the signal, for calls that are being answered."""
THREAD_SECONDS: Final = 1.0
"""Longest wait, after everything is closed, for threads that are still busy with a call."""
_UMASK: Final = 0o077


def run_node(home: Path) -> None:
    """Run the node of a home directory until SIGTERM or Ctrl-C.

    Raises:
        NodeError: What kept it from starting.
    """
    _configure_log()
    # A core file would hold the node's keys.
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    os.umask(_UMASK)
    settings = load_settings(home)
    passphrase = load_passphrase(settings)
    clock = SystemClock()
    tokens = TokenFile(settings.path(settings.keys_dir))
    tokens.load()
    gate = TokenGate(tokens.current, clock)
    settings.require_guarded_port()
    tls = _load_tls(settings)
    raise_file_limit(settings.max_connections)
    try:
        with (
            _stopping_on_signals(),
            _listen(settings) as listener,
            open_node(settings, passphrase, clock) as node,
        ):
            backups = Backups(_backup_maker(settings, node))
            try:
                _serve(settings, node, backups, gate, listener, tls)
            finally:
                backups.request_stop()
                node.request_stop()
                node.join(backups)
    except _Stop:
        structlog.get_logger("ironcage").info("stopped", member=settings.member)
    _leave_busy_threads()


def load_passphrase(settings: Settings) -> str:
    """Load the passphrase of the keys: from a systemd credential, the configured file, or the terminal.

    Raises:
        NotFound: None of them is there.
    """
    credentials = os.environ.get("CREDENTIALS_DIRECTORY")  # noqa: TID251 - systemd names the directory only here
    if credentials and (Path(credentials) / PASSPHRASE_CREDENTIAL).is_file():
        return (Path(credentials) / PASSPHRASE_CREDENTIAL).read_text().rstrip("\n")
    if settings.passphrase_file is not None:
        return load_private(settings.path(settings.passphrase_file)).decode().rstrip("\n")
    if sys.stdin.isatty():
        return getpass.getpass("Passphrase of this node's keys 本节点密钥口令: ")
    raise NotFound(
        "passphrase-missing", "no passphrase: set passphrase_file, a systemd credential, or use a terminal"
    )


class _Stop(BaseException):
    """A signal asked the node to stop. No ``except Exception`` on the way may take it for a failure."""


@contextmanager
def _stopping_on_signals() -> Iterator[None]:
    """Turn the first SIGTERM or SIGINT into :class:`_Stop`; those that follow change nothing.

    While the server runs, its own handlers take the signal, end it in order and raise the signal again for us.
    """
    numbers = (signal.SIGTERM, signal.SIGINT)

    def stop(_number: int, _frame: object) -> None:
        for number in numbers:
            signal.signal(number, signal.SIG_IGN)
        raise _Stop

    before = {number: signal.signal(number, stop) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class _Server(uvicorn.Server):
    """Tells the loops to stop as soon as the server does, so that they do while calls are still answered."""

    def __init__(self, config: uvicorn.Config, node: RunningNode, backups: Backups) -> None:
        super().__init__(config)
        self._node = node
        self._backups = backups

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop the loops, then the server."""
        self._backups.request_stop()
        self._node.request_stop()
        await super().shutdown(sockets)


def _serve(
    settings: Settings,
    node: RunningNode,
    backups: Backups,
    gate: TokenGate,
    listener: socket.socket,
    tls: ServerTls | None,
) -> None:
    state = ApiState(
        node.services,
        node.uploads,
        node.imports.wake,
        sleep=node.chain_loop.sleep,
        backups=backups,
        is_marked=is_marked,
    )
    app = build_app(
        state,
        gate,
        language=settings.language,
        max_upload_bytes=settings.max_upload_bytes,
        version=version("ironcage"),
        timeout_seconds=settings.request_timeout_seconds,
    )
    limits = ServerLimits(
        settings.request_timeout_seconds, settings.idle_timeout_seconds, settings.max_connections
    )
    config = build_server_config(app, limits, drain_seconds=DRAIN_SECONDS, tls=tls)
    host, port = listener.getsockname()[:2]
    url = f"{'http' if tls is None else 'https'}://{_reachable(host)}:{port}"
    run_file = settings.home / "run" / "node.json"
    run_file.parent.mkdir(mode=0o700, exist_ok=True)
    # Whole or not at all: commands read it while we write.
    new = run_file.with_suffix(".new")
    described = {"pid": os.getpid(), "started": find_start(os.getpid()), "url": url, "v": 1}
    if tls is not None:
        described["certificate"] = encode_hex(tls.certificate)
    new.write_bytes(encode_json(described))
    new.replace(run_file)
    structlog.get_logger("ironcage").info("listening", url=url, member=settings.member)
    try:
        node.start_loops()
        _Server(config, node, backups).run(sockets=[listener])
    finally:
        run_file.unlink(missing_ok=True)


def _backup_maker(settings: Settings, node: RunningNode) -> Make:
    def make(directory: Path, tell: Callable[[int], None]) -> tuple[Path, int, int]:
        path, manifest = back_up(settings, node.store, directory, node.services.clock, tell)
        return path, manifest.total_bytes, manifest.expires_at

    return make


def _reachable(host: str) -> str:
    """Give the address at which this machine reaches its own server, as URLs have it."""
    here = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - compared, not bound
    return f"[{here}]" if ":" in here else here


def _load_tls(settings: Settings) -> ServerTls | None:
    if settings.tls_certificate is None or settings.tls_key is None:
        return None
    certificate, key = settings.path(settings.tls_certificate), settings.path(settings.tls_key)
    if not certificate.is_file():
        raise NotFound("key-missing", f"no certificate {certificate.name} in {certificate.parent}")
    load_private(key)  # refuses one that others can read
    return build_tls(certificate, key)


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
    listener.listen(BACKLOG)
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


def _configure_log() -> None:
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.JSONRenderer(
                serializer=lambda event, **_: encode_json(_plain(event)).decode()
            ),
        ],
        logger_factory=structlog.PrintLoggerFactory(file=sys.stderr),
    )


def _plain(event: dict[str, object]) -> dict[str, object]:
    return {
        key: value if isinstance(value, str | int | bool | list | None) else str(value)
        for key, value in event.items()
    }
