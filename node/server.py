# SPDX-License-Identifier: Apache-2.0
"""The HTTP server of a node: opens the node, answers calls, and tells the loops to stop with the server.

Importing this module loads what a node consists of, half of the time that a start takes: see node.serving.
"""

from __future__ import annotations

import os
import sys
from importlib.metadata import version
from typing import TYPE_CHECKING, Final

import structlog
import uvicorn

from node.api.app import build_app
from node.api.auth import TokenGate
from node.api.server import ServerLimits, ServerTls, build_server_config, build_tls, raise_file_limit
from node.api.state import ApiState
from node.bootstrap import open_node
from node.core.canonical import encode_json
from node.core.clock import SystemClock
from node.core.encoding import encode_hex
from node.errors import NotFound
from node.recovery import back_up
from node.service.backups import Backups
from node.storage.keyfiles import load_private
from node.storage.placemark import is_marked
from node.storage.processes import find_start
from node.storage.tokenfile import TokenFile

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable
    from pathlib import Path

    from node.bootstrap import RunningNode
    from node.config import Settings
    from node.service.backups import Make
    from node.unlocking import Unlocking

DRAIN_SECONDS: Final = 4
"""Longest wait, after the signal, for calls that are being answered."""


def serve_node(
    settings: Settings,
    passphrase: str,
    unlocking: Unlocking,
    listener: socket.socket,
    require_no_signal: Callable[[], None],
) -> None:
    """Open the node and answer calls until a signal ends the server.

    Args:
        settings: Of the home directory.
        passphrase: Of the key files.
        unlocking: Its keys, on their way.
        listener: Where calls arrive.
        require_no_signal: Raises what a signal raised, should that have been lost.

    Raises:
        NodeError: What kept it from starting.
    """
    _configure_log()
    require_no_signal()
    clock = SystemClock()
    tokens = TokenFile(settings.path(settings.keys_dir))
    tokens.load()
    gate = TokenGate(tokens.current, clock)
    tls = _load_tls(settings)
    raise_file_limit(settings.max_connections)
    with open_node(settings, passphrase, clock, unlocking) as node:
        backups = Backups(_backup_maker(settings, node))
        try:
            require_no_signal()
            _serve(settings, node, backups, gate, listener, tls)
        finally:
            backups.request_stop()
            node.request_stop()
            node.join(backups)


def tell_stopped(settings: Settings) -> None:
    """Write the last line of the log."""
    structlog.get_logger("ironcage").info("stopped", member=settings.member)


class _Server(uvicorn.Server):
    """Starts the chain loop once calls are taken, and tells all loops to stop while calls are still answered."""

    def __init__(self, config: uvicorn.Config, node: RunningNode, backups: Backups) -> None:
        super().__init__(config)
        self._node = node
        self._backups = backups

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start the server, then the chain loop."""
        await super().startup(sockets)
        if self.started:
            self._node.chain_loop.start()

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
