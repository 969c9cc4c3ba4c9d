# SPDX-License-Identifier: Apache-2.0
"""Run a node: ``python -m node HOME`` (the same as ``ironcage node run --home HOME``)."""

from __future__ import annotations

import getpass
import os
import resource
import socket
import sys
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Final

import structlog
import uvicorn

from node.api.app import build_app
from node.api.auth import TokenGate, parse_tokens
from node.api.state import ApiState
from node.bootstrap import open_node
from node.config import load_settings
from node.core.canonical import encode_json
from node.core.clock import SystemClock
from node.errors import InvalidInput, NodeError, NotFound, Unavailable
from node.storage.keyfiles import load_private

if TYPE_CHECKING:
    from node.bootstrap import RunningNode
    from node.config import Settings

PASSPHRASE_CREDENTIAL: Final = "ironcage-passphrase"  # noqa: S105 - the name of a credential
STOP_SECONDS: Final = 8
_BACKLOG: Final = 256


def run_node(home: Path) -> None:
    """Run the node of a home directory until SIGTERM or Ctrl-C.

    Raises:
        NodeError: What kept it from starting.
    """
    _configure_log()
    # A core file would hold the node's keys.
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    settings = load_settings(home)
    passphrase = load_passphrase(settings)
    clock = SystemClock()
    gate = TokenGate(parse_tokens(load_private(settings.path(settings.keys_dir) / "tokens.json")), clock)
    listener = _listen(settings)
    with open_node(settings, passphrase, clock) as node:
        try:
            _serve(settings, node, gate, listener)
        finally:
            node.imports.stop()
            node.chain_loop.stop()


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


def _serve(settings: Settings, node: RunningNode, gate: TokenGate, listener: socket.socket) -> None:
    def ready_to_anchor() -> None:
        services = node.services
        blocking = services.sequencer.fatal or services.sequencer.read_only
        if blocking is not None:
            raise blocking
        condition = services.condition
        if not (condition.verified and condition.joined):
            raise condition.chain or Unavailable(
                "chain-not-compared", "the node is still comparing itself with the chain"
            )

    state = ApiState(node.services, node.uploads, node.imports.wake, ready_to_anchor)
    app = build_app(
        state,
        gate,
        language=settings.language,
        max_upload_bytes=settings.max_upload_bytes,
        version=version("ironcage"),
    )
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        timeout_keep_alive=10,
        timeout_graceful_shutdown=STOP_SECONDS,
        limit_concurrency=1_100,
        h11_max_incomplete_event_size=64 * 1024,
        server_header=False,
    )
    host, port = listener.getsockname()[:2]
    run_file = settings.home / "run" / "node.json"
    run_file.parent.mkdir(mode=0o700, exist_ok=True)
    run_file.write_bytes(encode_json({"pid": os.getpid(), "url": f"http://{host}:{port}", "v": 1}))
    structlog.get_logger("ironcage").info("listening", url=f"http://{host}:{port}", member=settings.member)
    node.start_loops()
    try:
        uvicorn.Server(config).run(sockets=[listener])
    finally:
        run_file.unlink(missing_ok=True)


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
    listener.listen(_BACKLOG)
    return listener


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


def main(arguments: list[str]) -> int:
    """Run from the command line; give the exit code."""
    if len(arguments) != 1:
        sys.stderr.write("usage: python -m node HOME\n")
        return 2
    try:
        run_node(Path(arguments[0]))
    except NodeError as error:
        sys.stderr.write(f"{error.code}: {error.message}\n")
        return 3 if isinstance(error, Unavailable) else 2 if isinstance(error, InvalidInput) else 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
