# SPDX-License-Identifier: Apache-2.0
"""Carries envelopes to other members' nodes: one loop, a few connections a peer, and an end to every wait.

Trust: nothing that a peer sends. Who it is, its TLS key says before a byte of a message leaves, and only that
which the chain names is taken; what it answers is a sealed envelope that others check.

    what happens                              what is done
    no connection, or it breaks               the same bytes again, ``attempts`` times at most: a peer answers a
                                              request it has seen with the answer it gave
    429 or 503                                again after Retry-After, if there is time left
    nothing for too long                      given up; so is an answer that comes byte by byte
    another TLS key                           given up at once, nothing was sent
    an answer too large, or no HTTP           given up at once, the connection is closed
    too much waits for one peer               refused at once; other peers notice nothing

Every peer has its own connections, its own queue and its own look-up of its name, so that a slow one holds up nobody.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import socket
import ssl
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import h11
import orjson

from node.client.pinned import build_pinned_tls
from node.core.hosts import is_loopback
from node.core.printable import cut_line
from node.errors import AccessDenied, Conflict, InvalidInput, NodeError, Unavailable

if TYPE_CHECKING:
    from node.core.types import MemberCode
    from node.ports.peers import PeerAddress

EXCHANGE_PATH: Final = "/exchange/v1"
DEPOSIT_PATH: Final = "/exchange/v1/deposit"
REVOCATION_PATH: Final = "/exchange/v1/revocation"
MAX_URL_CHARACTERS: Final = 512
MAX_HEAD_BYTES: Final = 16 * 1024
MAX_REFUSAL_BYTES: Final = 64 * 1024
"""Greatest body of an answer that is no envelope."""
RESTART_SECONDS: Final = 0.2
"""Pause before the second attempt; before the third, twice that."""
NAME_SECONDS: Final = 60.0
"""How long the addresses of a name are used before it is looked up again."""
_NAME_THREADS: Final = 64
_BUSY: Final = frozenset({429, 503})
_OK: Final = 200
_READ_BYTES: Final = 64 * 1024
_MAX_RETRY_AFTER_CHARACTERS: Final = 4
_HTTPS_PORT: Final = 443
_HTTP_PORT: Final = 80
_CODE: Final = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+){0,9}")
_URL: Final = re.compile(r"https?://[A-Za-z0-9.:\[\]-]{1,500}/?")


@dataclass(frozen=True, slots=True)
class PeerLimits:
    """How long a message may take, and how much one peer may hold.

    Attributes:
        connect_seconds: For looking a name up, connecting and the handshake of TLS, together.
        whole_seconds: For a message and its answer, with everything that is tried again.
        idle_seconds: An open connection is used again within this time; servers close theirs after ten.
        attempts: How often a message is sent at most.
        in_flight: Messages on their way to one peer at once, each on a connection of its own.
        waiting: Messages that wait for one of those.
        answer_bytes: Greatest answer.
    """

    connect_seconds: float = 3.0
    whole_seconds: float = 15.0
    idle_seconds: float = 8.0
    attempts: int = 3
    in_flight: int = 32
    waiting: int = 128
    answer_bytes: int = 16 << 20


class PeerPost:
    """Sends messages to peers; implements ``node.ports.peers.Peers``.

    Args:
        limits: How long, how often, how much.
        allow_plain: Whether plain HTTP to an address of this machine is spoken, for tests and demonstrations.
    """

    def __init__(self, limits: PeerLimits | None = None, *, allow_plain: bool = False) -> None:
        self._limits = limits or PeerLimits()
        self._allow_plain = allow_plain
        self._peers: dict[MemberCode, tuple[PeerAddress, _Peer]] = {}
        self._guard = threading.Lock()
        self._closing = False
        self._running: set[asyncio.Task[bytes]] = set()
        self._names = ThreadPoolExecutor(_NAME_THREADS, thread_name_prefix="peer-names")
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="peers", daemon=True)
        self._thread.start()

    def send(self, address: PeerAddress, body: bytes) -> Future[bytes]:
        """Send a body to a peer and give its answer; see ``node.ports.peers.Peers.send``."""
        return self._start(address, "POST", EXCHANGE_PATH, body)

    def deposit(self, address: PeerAddress, body: bytes) -> Future[bytes]:
        """Send a body to a regulator and give its answer; see ``node.ports.peers.Peers.deposit``."""
        return self._start(address, "POST", DEPOSIT_PATH, body)

    def revoke(self, address: PeerAddress, body: bytes) -> Future[bytes]:
        """Send a body to a provider and give its answer; see ``node.ports.peers.Peers.revoke``."""
        return self._start(address, "POST", REVOCATION_PATH, body)

    def get(self, address: PeerAddress, path: str) -> Future[bytes]:
        """Fetch what a peer shows under a path, such as a tile of its log; as ``send``, and bounded like it."""
        return self._start(address, "GET", path, b"")

    def _start(self, address: PeerAddress, method: str, path: str, body: bytes) -> Future[bytes]:
        answer: Future[bytes] = Future()
        with self._guard:
            if self._closing:
                raise Unavailable("stopping", "node is stopping")
            message = _Message(method, path, body)
            self._loop.call_soon_threadsafe(self._begin, address, message, answer)
        return answer

    def _begin(self, address: PeerAddress, message: _Message, answer: Future[bytes]) -> None:
        def end(task: asyncio.Task[bytes]) -> None:
            self._running.discard(task)
            if task.cancelled():
                answer.set_exception(Unavailable("stopping", "node is stopping"))
            elif (error := task.exception()) is not None:
                answer.set_exception(error)
            else:
                answer.set_result(task.result())

        task = self._loop.create_task(self._send(address, message))
        self._running.add(task)
        task.add_done_callback(end)

    def close(self) -> None:
        """Give up what is on its way and close all connections; a second call does nothing."""
        with self._guard:
            if self._closing:
                return
            self._closing = True
            # Behind this nothing begins, and what began before it is ended by it.
            self._loop.call_soon_threadsafe(self._end)
        self._thread.join()
        self._loop.close()
        # A look-up that hangs is left behind; it holds nothing of ours.
        self._names.shutdown(wait=False, cancel_futures=True)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()

    def _end(self) -> None:
        tasks = list(self._running)
        for task in tasks:
            task.cancel()

        async def wait() -> None:
            await asyncio.gather(*tasks, return_exceptions=True)
            for _, peer in self._peers.values():
                peer.close()
            # Connections tell their transports to close in the next turns of the loop.
            await asyncio.sleep(0)
            self._loop.stop()

        self._ending = self._loop.create_task(wait())

    async def _send(self, address: PeerAddress, message: _Message) -> bytes:
        return await self._find_peer(address).send(message)

    def _find_peer(self, address: PeerAddress) -> _Peer:
        known, peer = self._peers.get(address.member, (None, None))
        if peer is None or known != address:
            if peer is not None:
                peer.close()
            peer = _Peer(self._target(address), self._limits, self._names)
            self._peers[address.member] = address, peer
        return peer

    def _target(self, address: PeerAddress) -> _Target:
        """Read an address.

        Raises:
            InvalidInput: ``peer-address``.
        """
        try:
            if len(address.url) > MAX_URL_CHARACTERS or not _URL.fullmatch(address.url):
                raise ValueError
            parts = urlsplit(address.url)
            host, port = parts.hostname or "", parts.port
            host.encode("idna")
        except ValueError:
            host, port, parts = "", None, urlsplit("")
        if not host or port == 0:
            raise InvalidInput(
                "peer-address", f"address of {address.member} is none: want https://host or https://host:port"
            )
        if parts.scheme == "https" and address.pin is not None:
            return _Target(str(address.member), host, port or _HTTPS_PORT, build_pinned_tls(address.pin))
        if parts.scheme == "http" and self._allow_plain and is_loopback(host):
            return _Target(str(address.member), host, port or _HTTP_PORT, None)
        raise InvalidInput(
            "peer-address",
            f"address of {address.member} cannot be used: want https and the digest of its key; "
            "plain HTTP is spoken on this machine alone, where plain_peers is set",
        )


@dataclass(frozen=True, slots=True)
class _Target:
    member: str
    host: str
    port: int
    tls: ssl.SSLContext | None


@dataclass(frozen=True, slots=True)
class _Message:
    method: str
    path: str
    body: bytes


@dataclass(slots=True)
class _Busy(Exception):
    """The peer asks to be asked again."""

    after_seconds: float


class _Away(Exception):
    """There is no connection, or it ended or spoke no HTTP; the message may be sent again."""

    def __init__(self, kind: str) -> None:
        super().__init__(kind)
        self.kind = kind


@dataclass(slots=True)
class _Connection:
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    http: h11.Connection = field(default_factory=lambda: h11.Connection(h11.CLIENT, MAX_HEAD_BYTES))
    used: bool = False
    answered: bool = False
    idle_since: float = 0.0

    def close(self) -> None:
        self.writer.transport.abort()


class _Peer:
    """One peer: its connections, its queue, the addresses of its name. Lives in the loop."""

    def __init__(self, target: _Target, limits: PeerLimits, names: ThreadPoolExecutor) -> None:
        self._target = target
        self._limits = limits
        self._names = names
        self._slots = asyncio.Semaphore(limits.in_flight)
        self._present = 0
        self._idle: list[_Connection] = []
        self._resolving = asyncio.Lock()
        self._resolved: tuple[float, list[Any]] = (float("-inf"), [])

    async def send(self, message: _Message) -> bytes:
        limits = self._limits
        if self._present >= limits.in_flight + limits.waiting:
            raise Unavailable(
                "peer-busy",
                f"{self._present} messages to {self._target.member} are under way: try again later",
            )
        self._present += 1
        try:
            async with asyncio.timeout(limits.whole_seconds) as whole:
                return await self._attempts(message, whole.when() or 0.0)
        except TimeoutError:
            raise Unavailable(
                "peer-slow", f"no answer from {self._target.member} in {limits.whole_seconds:g} seconds"
            ) from None
        finally:
            self._present -= 1

    async def _attempts(self, message: _Message, until: float) -> bytes:
        """Send until there is an answer, as often as is allowed and as long as there is time."""
        loop, attempt = asyncio.get_running_loop(), 0
        while True:
            attempt += 1
            error: Unavailable
            try:
                return await self._attempt(message)
            except _Busy as busy:
                error = Unavailable(
                    "peer-busy", f"{self._target.member} has too much to do now: try again later"
                )
                pause = busy.after_seconds
            except _Away as away:
                error = Unavailable("peer-away", f"no answer from {self._target.member}: {away.kind}")
                # Whoever restarts is back in a moment.
                pause = RESTART_SECONDS * attempt
            if attempt >= self._limits.attempts or loop.time() + pause >= until:
                raise error
            await asyncio.sleep(pause)

    def close(self) -> None:
        for connection in self._idle:
            connection.close()
        self._idle.clear()

    async def _attempt(self, message: _Message) -> bytes:
        """Send once; on a connection that ended while it lay idle, once more on a new one."""
        async with self._slots:
            while True:
                connection = self._take_idle() or await self._connect()
                try:
                    return await self._converse(connection, message)
                except _Away:
                    if connection.used and not connection.answered:
                        continue
                    raise

    def _take_idle(self) -> _Connection | None:
        now = asyncio.get_running_loop().time()
        while self._idle:
            connection = self._idle.pop()
            fresh = now - connection.idle_since < self._limits.idle_seconds
            if fresh and not connection.reader.at_eof() and not connection.writer.is_closing():
                return connection
            connection.close()
        return None

    async def _connect(self) -> _Connection:
        target, seconds = self._target, self._limits.connect_seconds
        reason = "no address"
        try:
            async with asyncio.timeout(seconds):
                found = await self._resolve()
                for at, info in enumerate(found):
                    try:
                        # A dead address must leave time for the next one.
                        async with asyncio.timeout(seconds / (len(found) - at)):
                            return await self._open(info)
                    except ssl.SSLCertVerificationError:
                        raise
                    except (OSError, TimeoutError) as error:
                        reason = type(error).__name__
        except ssl.SSLCertVerificationError:
            raise AccessDenied(
                "peer-certificate",
                f"{target.member} shows another TLS key than the chain names: nothing was sent",
            ) from None
        except (OSError, TimeoutError) as error:
            reason = type(error).__name__
        raise _Away(reason)

    async def _open(self, info: Any) -> _Connection:
        target = self._target
        reader, writer = await asyncio.open_connection(
            info[4][0],
            target.port,
            family=info[0],
            ssl=target.tls,
            server_hostname=target.host if target.tls is not None else None,
            limit=_READ_BYTES,
        )
        return _Connection(reader, writer)

    async def _resolve(self) -> list[Any]:
        """Look the name up; one look-up at once, so that a slow one holds one thread."""
        loop = asyncio.get_running_loop()
        async with self._resolving:
            at, found = self._resolved
            if loop.time() - at > NAME_SECONDS:
                target = self._target
                found = await loop.run_in_executor(
                    self._names, lambda: socket.getaddrinfo(target.host, target.port, type=socket.SOCK_STREAM)
                )
                self._resolved = loop.time(), found
            return found

    async def _converse(self, connection: _Connection, message: _Message) -> bytes:
        """Send a request on a connection and read its answer; whatever goes wrong closes the connection."""
        kept = False
        try:
            try:
                await self._request(connection, message)
                status, headers, answer = await self._response(connection)
            except (OSError, h11.RemoteProtocolError) as error:
                raise _Away(type(error).__name__) from None
            kept = self._keep(connection)
        finally:
            if not kept:
                connection.close()
        if status == _OK:
            return answer
        if status in _BUSY:
            raise _Busy(_retry_after(headers))
        raise self._refusal(status, answer)

    async def _request(self, connection: _Connection, message: _Message) -> None:
        target, http = self._target, connection.http
        host = f"[{target.host}]" if ":" in target.host else target.host
        headers = [("Host", f"{host}:{target.port}"), ("Accept-Encoding", "identity")]
        if message.method == "POST":
            headers += [("Content-Type", "application/json"), ("Content-Length", str(len(message.body)))]
        data = http.send(h11.Request(method=message.method, target=message.path, headers=headers)) or b""
        if message.body:
            data += http.send(h11.Data(data=message.body)) or b""
        connection.writer.write(data + (http.send(h11.EndOfMessage()) or b""))
        await connection.writer.drain()

    async def _response(self, connection: _Connection) -> tuple[int, Any, bytes]:
        http, body, status, headers = connection.http, bytearray(), 0, None
        limit = self._limits.answer_bytes
        while True:
            event = http.next_event()
            if event is h11.NEED_DATA:
                data = await connection.reader.read(_READ_BYTES)
                connection.answered = connection.answered or bool(data)
                http.receive_data(data)
            elif isinstance(event, h11.Response):
                status, headers = event.status_code, event.headers
                limit = self._limits.answer_bytes if status == _OK else MAX_REFUSAL_BYTES
            elif isinstance(event, h11.Data):
                body += event.data
                if len(body) > limit:
                    raise Unavailable(
                        "peer-answer",
                        f"answer of {self._target.member} is too large: want at most {limit} bytes",
                    )
            elif isinstance(event, h11.EndOfMessage):
                return status, headers, bytes(body)
            elif isinstance(event, h11.ConnectionClosed):
                raise h11.RemoteProtocolError("connection ended")

    def _keep(self, connection: _Connection) -> bool:
        http = connection.http
        if http.our_state is not h11.DONE or http.their_state is not h11.DONE or http.trailing_data[0]:
            return False
        http.start_next_cycle()
        connection.used, connection.answered = True, False
        connection.idle_since = asyncio.get_running_loop().time()
        self._idle.append(connection)
        return True

    def _refusal(self, status: int, body: bytes) -> NodeError:
        code = ""
        with contextlib.suppress(orjson.JSONDecodeError, KeyError, TypeError):
            code = str(orjson.loads(body)["code"])
        if not _CODE.fullmatch(code):
            return Unavailable(
                "peer-answer",
                f"{self._target.member} answered with status {status}: is this address a node's?",
            )
        return Conflict(
            "peer-refused",
            f"{self._target.member} took no notice of the message: {cut_line(code, most_characters=80)}",
        )


def _retry_after(headers: Any) -> float:
    """Read Retry-After in seconds; one second where it is absent or a date."""
    for name, value in headers or ():
        text = value.decode("latin-1")
        if (
            name == b"retry-after"
            and text.isascii()
            and text.isdigit()
            and len(text) <= _MAX_RETRY_AFTER_CHARACTERS
        ):
            return float(text)
    return 1.0
