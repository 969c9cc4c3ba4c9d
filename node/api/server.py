# SPDX-License-Identifier: Apache-2.0
"""The HTTP server: uvicorn with h11, which reads HTTP strictly, and with an end to every wait for somebody outside.

    what does not come, or is not taken              after              what happens
    handshake of TLS                                 timeout            cut off
    head of a request                                timeout            408, closed
    64 KiB more of a body (node.api.edge)            timeout            408, closed
    next request on an open connection               idle timeout       closed
    an answer, by a caller who does not read         timeout            cut off
    more connections than allowed                    at once            503, closed; over TLS cut off, unanswered

A connection counts from its first packet: one that is still in its handshake holds a file like any other.

Trust: nothing that comes in. What h11 refuses (two lengths, other codings than chunked, bare CR and NUL, no Host) gets
its answer here, before the application is asked.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import re
import resource
import socket
import ssl
import sys
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

import h11
import structlog
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from node.api.edge import MAX_HEAD_BYTES, PRIVATE, SECURITY_HEADERS
from node.api.problems import MEDIA_TYPE, RETRY_AFTER_SECONDS, problem_body
from node.errors import InvalidInput

if TYPE_CHECKING:
    from pathlib import Path

    from fastapi import FastAPI

FILES_BESIDE_CONNECTIONS: Final = 2_048
"""Files that the store, the workers and the libraries of a node may have open."""
BACKLOG: Final = 256
"""Connections that the system holds until they are taken, and the most that are taken before one is turned away."""
_FAULTS: Final = {
    400: "this is no request of HTTP/1.1 or 1.0",
    431: f"head is larger than {MAX_HEAD_BYTES} bytes",
    501: "body has another transfer coding than chunked",
}
_PEM: Final = re.compile(r"-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----")
_LOG = structlog.get_logger("ironcage")


@dataclass(frozen=True, slots=True)
class ServerLimits:
    """How long the server waits for those outside, and for how many of them.

    Attributes:
        timeout_seconds: For the handshake of TLS, the head of a request, each 64 KiB of its body, and a caller who takes
            an answer.
        idle_seconds: For the next request on an open connection.
        max_connections: Open at once.
    """

    timeout_seconds: float
    idle_seconds: float
    max_connections: int


@dataclass(frozen=True, slots=True)
class ServerTls:
    """The server's side of TLS.

    Attributes:
        context: How it is spoken.
        certificate: SHA-256 of the server's own certificate, in DER: by it a client on this machine knows the server.
    """

    context: ssl.SSLContext
    certificate: bytes


def build_server_config(
    app: FastAPI, limits: ServerLimits, *, drain_seconds: int, tls: ServerTls | None
) -> uvicorn.Config:
    """Configure the server.

    Args:
        app: The application.
        limits: How long it waits.
        drain_seconds: Longest wait for running calls when it stops.
        tls: From :func:`build_tls`; None speaks plain HTTP.
    """

    class Connection(_Connection):
        server_limits = limits
        language = app.state.language

    def arrive(**arguments: Any) -> asyncio.Protocol:
        connection = Connection(**arguments)
        return connection if tls is None else _Arrival(connection, tls.context)

    _quieten_libraries()
    return uvicorn.Config(
        app,
        http=arrive,  # type: ignore[arg-type]  # it is called as the class would be
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_keep_alive=limits.idle_seconds,  # type: ignore[arg-type]  # it is given to call_later, which takes fractions
        timeout_graceful_shutdown=drain_seconds,
        h11_max_incomplete_event_size=MAX_HEAD_BYTES,
        backlog=BACKLOG,
    )


class _Arrival(asyncio.Protocol):
    """A connection that has still to agree on TLS. asyncio on its own neither counts nor shows those.

    Args:
        connection: Takes over after the handshake.
        tls: The server's side.
    """

    def __init__(self, connection: _Connection, tls: ssl.SSLContext) -> None:
        self._connection = connection
        self._tls = tls
        self._early: list[bytes] = []

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        """Count it, and begin the handshake or turn it away."""
        self._transport = transport
        connections = self._connection.connections
        connections.add(self)  # type: ignore[arg-type]  # the server only asks it to shut down
        if len(connections) > self._connection.server_limits.max_connections:
            transport.abort()
            return
        transport.pause_reading()
        self._handshake = self._connection.loop.create_task(self._secure())

    def data_received(self, data: bytes) -> None:
        """Keep what came in one packet with the end of the handshake."""
        self._early.append(data)

    def connection_lost(self, exc: Exception | None) -> None:
        """Let go of it."""
        del exc
        self._connection.connections.discard(self)

    def shutdown(self) -> None:
        """Cut it off: the server stops."""
        self._transport.abort()

    async def _secure(self) -> None:
        wait = self._connection.server_limits.timeout_seconds
        try:
            secured = await self._connection.loop.start_tls(
                self._transport,
                self,
                self._tls,
                server_side=True,
                ssl_handshake_timeout=wait,
                ssl_shutdown_timeout=wait,
            )
        except OSError:
            secured = None
        finally:
            self._connection.connections.discard(self)
        if secured is None or secured.is_closing():
            # The caller went away, spoke something else, or nothing for too long.
            self._transport.abort()
            return
        secured.set_protocol(self._connection)
        self._connection.connection_made(secured)
        if self._early:
            self._connection.data_received(b"".join(self._early))


class _Connection(H11Protocol):
    """One connection."""

    server_limits: ServerLimits
    language: str
    _head_timer: asyncio.TimerHandle | None = None
    _end_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        """Take a connection, or turn it away when there are too many."""
        super().connection_made(transport)
        # asyncio does so only where the listener was made with its protocol named. With Nagle's algorithm a body, written
        # after its head, waits for the caller's delayed acknowledgement, which takes 40 ms on Linux.
        accepted: socket.socket = transport.get_extra_info("socket")
        accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if len(self.connections) > self.server_limits.max_connections:
            self._refuse(503, "connections", "too many connections")
            return
        self._await_head()

    def data_received(self, data: bytes) -> None:
        """Read on."""
        if self.transport.is_closing():
            return
        super().data_received(data)
        if self._answers():
            self._stop_head_timer()
        else:
            self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Let go of everything."""
        self._stop_head_timer()
        self._stop_end_timer()
        super().connection_lost(exc)

    def on_response_complete(self) -> None:
        """Wait for the next request, but not for ever for the last answer to be taken."""
        self._stop_head_timer()
        super().on_response_complete()
        if self.transport.is_closing():
            self._end_soon()

    def timeout_keep_alive_handler(self) -> None:
        """Close an idle connection."""
        super().timeout_keep_alive_handler()
        self._end_soon()

    def pause_writing(self) -> None:
        """Give a caller who does not read some time."""
        super().pause_writing()
        self._end_soon()

    def resume_writing(self) -> None:
        """Go on: the caller reads again."""
        super().resume_writing()
        if not self.transport.is_closing():
            self._stop_end_timer()

    def send_400_response(self, msg: str) -> None:
        """Answer what is no HTTP."""
        fault = sys.exception()
        status = fault.error_status_hint if isinstance(fault, h11.RemoteProtocolError) else 400
        # The text of the fault repeats what came; only its kind is told.
        self._refuse(status, f"http-{status}", _FAULTS.get(status, msg))

    # ---- ours

    def _answers(self) -> bool:
        """Whether a request is being answered: then the application waits for its body and no longer we for a head."""
        return self.cycle is not None and not self.cycle.response_complete

    def _await_head(self) -> None:
        if self._head_timer is None:
            wait = self.server_limits.timeout_seconds
            self._head_timer = self.loop.call_later(wait, self._end_wait)

    def _end_wait(self) -> None:
        self._head_timer = None
        if self.transport.is_closing() or self._answers():
            return
        if self.conn.trailing_data[0] and self.conn.our_state is h11.IDLE:
            wait = self.server_limits.timeout_seconds
            self._refuse(408, "request-slow", f"the request did not come: want its head in {wait:g} seconds")
        else:
            self.transport.close()
            self._end_soon()

    def _refuse(self, status: int, code: str, detail: str) -> None:
        """Answer without the application, and close."""
        self._stop_head_timer()
        if self.conn.our_state in {h11.IDLE, h11.SEND_RESPONSE} and not self._has_begun():
            headers = SECURITY_HEADERS | {"Cache-Control": PRIVATE, "Connection": "close"}
            if status == HTTPStatus.SERVICE_UNAVAILABLE:
                headers["Retry-After"] = str(RETRY_AFTER_SECONDS)
            body = problem_body(status, code, detail, self.language)
            headers |= {"Content-Type": MEDIA_TYPE, "Content-Length": str(len(body))}
            reason = HTTPStatus(status).phrase
            for event in (
                h11.Response(status_code=status, headers=list(headers.items()), reason=reason),
                h11.Data(data=body),
                h11.EndOfMessage(),
            ):
                self.transport.write(self.conn.send(event) or b"")
        if self.cycle is not None:
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        self.transport.close()
        self._end_soon()

    def _has_begun(self) -> bool:
        return self._answers() and self.cycle.response_started

    def _end_soon(self) -> None:
        """Cut the connection off when what was written is not taken in time; closing waits for that without an end."""
        if self._end_timer is None:
            wait = self.server_limits.timeout_seconds
            self._end_timer = self.loop.call_later(wait, self.transport.abort)

    def _stop_head_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _stop_end_timer(self) -> None:
        if self._end_timer is not None:
            self._end_timer.cancel()
            self._end_timer = None


def build_tls(certificate: Path, key: Path) -> ServerTls:
    """Build the server's side of TLS: version 1.2 at least, no compression, no renegotiation.

    Args:
        certificate: PEM with the certificate and what leads from it to the CA.
        key: PEM with its key, not encrypted; the caller has checked who may read it.

    Raises:
        InvalidInput: ``tls-certificate``: one of them is no PEM, or they do not belong together; ``tls-key-encrypted``.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
    context.set_alpn_protocols(["http/1.1"])
    asked = False

    def refuse_password() -> str:
        nonlocal asked
        asked = True
        return ""

    try:
        context.load_cert_chain(certificate, key, refuse_password)
    except (ssl.SSLError, ValueError) as error:
        if asked:
            raise InvalidInput(
                "tls-key-encrypted", f"{key.name} is encrypted: want a key without passphrase, mode 600"
            ) from None
        reason = getattr(error, "reason", None) or "no PEM"
        raise InvalidInput(
            "tls-certificate", f"{certificate.name} and {key.name} are no certificate and its key: {reason}"
        ) from None
    return ServerTls(context, hashlib.sha256(_read_own(certificate)).digest())


def _read_own(certificate: Path) -> bytes:
    """Read the first certificate of a PEM file, which is the server's own, as DER."""
    # latin-1: there may be any text around it.
    block = _PEM.search(certificate.read_text("latin-1"))
    if block is None:
        raise InvalidInput(
            "tls-certificate", f"{certificate.name} has no block of PEM that begins with BEGIN CERTIFICATE"
        )
    return ssl.PEM_cert_to_DER_cert(block[0])


def raise_file_limit(max_connections: int) -> None:
    """Allow this process as many open files as the connections and the store need; warn when it cannot be done."""
    wanted = max_connections + FILES_BESIDE_CONNECTIONS
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft >= wanted or soft == resource.RLIM_INFINITY:
        return
    allowed = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
    if allowed < wanted:
        _LOG.warning(
            "few-open-files",
            allowed=allowed,
            wanted=wanted,
            advice="raise LimitNOFILE of the service, or lower max_connections",
        )


class _Forward(logging.Handler):
    """Puts a library's line into our log, by its kind and place: its text and traceback may show values."""

    def emit(self, record: logging.LogRecord) -> None:
        """Log the fact."""
        kind: Any = record.exc_info[0] if record.exc_info else None
        _LOG.error("library", logger=record.name, kind=kind.__name__ if kind else None, line=record.lineno)


def _quieten_libraries() -> None:
    for name in ("uvicorn", "uvicorn.error", "asyncio"):
        logger = logging.getLogger(name)
        logger.handlers = [_Forward(logging.ERROR)]
        logger.setLevel(logging.ERROR)
        logger.propagate = False
