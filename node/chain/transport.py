# SPDX-License-Identifier: Apache-2.0
"""How JSON-RPC calls reach a chain node: one request, one answer, nothing more.

Two classes carry calls. ``HttpTransport`` here is small and quick to import; verifying one evidence file and the
operator's commands use it. ``Web3Transport`` keeps a pool of connections for a running node.

Both refuse what could lead a call elsewhere: credentials in the URL, redirects, proxies from the environment; and
both bound the wait for the connection, for each read and for the whole answer, and its size. Both give a decoded JSON object or raise; what it says is judged in ``rpc``.
"""

from __future__ import annotations

import http.client
import re
import socket
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol
from urllib.parse import urlsplit

import orjson

from node.core.canonical import encode_json
from node.errors import InvalidInput, Unavailable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

DEFAULT_TIMEOUT_SECONDS: Final = 10.0
"""Longest wait for one answer."""

MAX_ANSWER_BYTES: Final = 16 * 1024 * 1024
"""Largest answer read; eth_getLogs over 1,000 blocks full of anchors stays far below."""

WAITS_PER_ANSWER: Final = 3
"""How many times the longest wait for one read an answer may take as a whole; else a byte now and then would hold us."""

_PART_BYTES: Final = 65_536
_HEADERS: Final = {"Content-Type": "application/json"}
_MAX_URL_CHARACTERS: Final = 2048
_HTTP_OK: Final = 200
# Names and IPv4 addresses; IPv6 addresses. Longer labels are an error of the socket's own, and no name has them.
_HOST: Final = re.compile(
    r"(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?\.)*[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?\.?|[0-9a-f:.]*:[0-9a-f:.]*"
)
_MAX_HOST_CHARACTERS: Final = 253
_DEFAULT_PORTS: Final = {"http": 80, "https": 443}


class Transport(Protocol):
    """Carry one JSON-RPC call; safe to use from several threads."""

    @property
    def place(self) -> str:
        """Host and port, for messages."""
        ...

    def request(self, method: str, params: Sequence[Any]) -> dict[str, Any]:
        """Send a call and give the decoded answer, an object with ``result`` or ``error``.

        Raises:
            Unavailable: ``chain-away`` without an answer, ``chain-answer`` when it is not a JSON object.
        """
        ...

    def close(self) -> None:
        """Release the connections; a later request opens new ones."""
        ...


@dataclass(frozen=True, slots=True)
class RpcUrl:
    """Address of a chain node: scheme, host, port, and path with query."""

    scheme: str
    host: str
    port: int
    target: str

    @property
    def place(self) -> str:
        """Host and port. The path is left out of messages, because providers put access keys into it."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


def parse_rpc_url(text: str) -> RpcUrl:
    """Parse the address of a chain node.

    Args:
        text: ``http://`` or ``https://`` with host, no user name, no fragment; printable ASCII.

    Raises:
        InvalidInput: ``chain-url``.
    """
    wanted = "want http:// or https:// with a host and without user name or fragment"
    if len(text) > _MAX_URL_CHARACTERS or not text.isascii() or not text.isprintable() or " " in text:
        raise InvalidInput("chain-url", f"RPC address is malformed: got {len(text)} characters, {wanted}")
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        raise InvalidInput("chain-url", f"RPC address is malformed: {wanted}") from None
    if (
        parts.scheme not in _DEFAULT_PORTS
        or not parts.hostname
        or len(parts.hostname) > _MAX_HOST_CHARACTERS
        or not _HOST.fullmatch(parts.hostname)
        or parts.username is not None
        or "#" in text
        or port == 0
    ):
        raise InvalidInput("chain-url", f"RPC address is malformed: {wanted}")
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return RpcUrl(parts.scheme, parts.hostname, port or _DEFAULT_PORTS[parts.scheme], target)


def decode_answer(body: bytes, *, http_status: int, place: str) -> dict[str, Any]:
    """Decode the body of an HTTP answer, whatever its status, into a JSON-RPC object.

    Some engines send their JSON-RPC errors with HTTP status 400 or 500, so the body decides first.

    Args:
        body: Untrusted.
        http_status: Of the answer.
        place: Host and port, for messages.

    Raises:
        Unavailable: ``chain-away`` when the status is not 200 and the body holds no JSON-RPC error,
            ``chain-answer`` when the status is 200 and the body is not a JSON object.
    """
    try:
        answer = orjson.loads(body)
    except orjson.JSONDecodeError:
        answer = None
    if isinstance(answer, dict) and (http_status == _HTTP_OK or isinstance(answer.get("error"), dict)):
        return answer
    if http_status != _HTTP_OK:
        raise Unavailable(
            "chain-away", f"chain node {place} answers with HTTP status {http_status}, want 200"
        )
    raise Unavailable("chain-answer", f"chain node {place} does not speak JSON-RPC: got {len(body)} bytes")


class HttpTransport:
    """Carry calls over one kept connection; calls from several threads go one after the other.

    Args:
        url: Address of the chain node.
        timeout_seconds: Longest wait for the connection and for each read of the answer.
    """

    def __init__(self, url: str, *, timeout_seconds: float = DEFAULT_TIMEOUT_SECONDS) -> None:
        self._url = parse_rpc_url(url)
        self._timeout_seconds = timeout_seconds
        self._connection: http.client.HTTPConnection | None = None
        self._lock = threading.Lock()

    @property
    def place(self) -> str:
        """Host and port, for messages."""
        return self._url.place

    def request(self, method: str, params: Sequence[Any]) -> dict[str, Any]:
        """Send a call and give the decoded answer (see :class:`Transport`)."""
        body = encode_json({"id": 1, "jsonrpc": "2.0", "method": method, "params": list(params)})
        with self._lock:
            reused = self._connection is not None
            try:
                status, answer = self._exchange(body)
            except (http.client.HTTPException, ConnectionError) as error:
                self._drop()
                if not reused:
                    raise self._away(error) from None
                # A kept connection may have been closed by the other side meanwhile, and no call of ours does
                # anything twice when it is repeated.
                try:
                    status, answer = self._exchange(body)
                except (http.client.HTTPException, OSError) as second:
                    self._drop()
                    raise self._away(second) from None
            except OSError as error:
                self._drop()
                raise self._away(error) from None
        return decode_answer(answer, http_status=status, place=self.place)

    def close(self) -> None:
        """Close the connection; a later request opens a new one."""
        with self._lock:
            self._drop()

    def _exchange(self, body: bytes) -> tuple[int, bytes]:
        if self._connection is None:
            kind = http.client.HTTPSConnection if self._url.scheme == "https" else http.client.HTTPConnection
            self._connection = kind(self._url.host, self._url.port, timeout=self._timeout_seconds)
            self._connection.connect()
            self._connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._connection.request("POST", self._url.target, body, _HEADERS)
        response = self._connection.getresponse()
        try:
            answer = collect_answer(_read_parts(response), self.place, self._timeout_seconds)
        except Unavailable:
            self._drop()
            raise
        if response.length:
            # A read of at most n bytes takes a broken connection for the end.
            raise http.client.IncompleteRead(answer, response.length)
        return response.status, answer

    def _drop(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _away(self, error: Exception) -> Unavailable:
        return build_away(self.place, error)


def _read_parts(response: http.client.HTTPResponse) -> Iterator[bytes]:
    while part := response.read1(_PART_BYTES):
        yield part
    if response.length == 0:
        # Only a read of everything tells the connection that it may be kept.
        response.read()


def collect_answer(parts: Iterable[bytes], place: str, timeout_seconds: float) -> bytes:
    """Put the parts of an answer together, as long as they are not too many and come in time.

    Args:
        parts: As they arrive, untrusted.
        place: Host and port, for messages.
        timeout_seconds: Longest wait for one read.

    Raises:
        Unavailable: ``chain-answer`` beyond :data:`MAX_ANSWER_BYTES`.
        TimeoutError: The answer as a whole takes too long.
    """
    end = time.monotonic() + WAITS_PER_ANSWER * timeout_seconds
    answer = bytearray()
    for part in parts:
        answer += part
        if len(answer) > MAX_ANSWER_BYTES:
            raise Unavailable(
                "chain-answer", f"answer of {place} is too large: want at most {MAX_ANSWER_BYTES} bytes"
            )
        if time.monotonic() > end:
            raise TimeoutError
    return bytes(answer)


def build_away(place: str, error: Exception) -> Unavailable:
    """Build the error for a chain node that gave no answer, naming the cause by its kind only."""
    cause = "time-out" if isinstance(error, TimeoutError) else type(error).__name__
    return Unavailable("chain-away", f"chain node {place} gives no answer: {cause}")
