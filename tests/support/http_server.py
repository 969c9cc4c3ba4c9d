# SPDX-License-Identifier: Apache-2.0
"""The server of a node on a free port of this machine, and callers that speak to it byte by byte."""

from __future__ import annotations

import json
import socket
import threading
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass

import uvicorn

from node.api.server import ServerLimits, build_server_config

GUARD_SECONDS = 120
"""No test here waits that long; it only keeps a failure from hanging."""
PATIENT = ServerLimits(timeout_seconds=20, idle_seconds=10, max_connections=1_024)


@contextmanager
def listening(app, limits=PATIENT, tls=None):
    """Serve an application in a thread; gives the port."""
    config = build_server_config(app, limits, drain_seconds=1, tls=tls)
    server = uvicorn.Server(config)
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(2_048)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            while not server.started:
                time.sleep(0.005)
            yield listener.getsockname()[1]
        finally:
            server.should_exit = True
            thread.join(GUARD_SECONDS)
            assert not thread.is_alive()


@dataclass
class Answer:
    """One answer, as it came."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self):
        return json.loads(self.body)


class Wire:
    """One connection. Use as a context manager."""

    def __init__(self, port, *, receive_bytes=None):
        self.socket = socket.socket()
        if receive_bytes is not None:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
        self.socket.settimeout(GUARD_SECONDS)
        self.socket.connect(("127.0.0.1", port))
        self.waiting = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, data):
        self.socket.sendall(data if isinstance(data, bytes) else data.encode("latin-1"))
        return self

    def drip(self, data, pause=0.02):
        """Send byte by byte until the other side has had enough; how many went."""
        for count, byte in enumerate(data):
            try:
                self.socket.sendall(bytes([byte]))
            except OSError:
                return count
            time.sleep(pause)
        return len(data)

    def answer(self):
        """Read one answer; None when the connection ended before."""
        while b"\r\n\r\n" not in self.waiting:
            if not self._more():
                assert self.waiting == b"", self.waiting
                return None
        head, _, self.waiting = self.waiting.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        length = int(headers.get("content-length", 0))
        while len(self.waiting) < length:
            assert self._more(), "the answer was cut off"
        body, self.waiting = self.waiting[:length], self.waiting[length:]
        return Answer(int(first.split()[1]), headers, body)

    def ended(self):
        """Read to the end of the connection; whether nothing more came."""
        while self._more():
            pass
        return self.waiting == b""

    def _more(self):
        try:
            data = self.socket.recv(65_536)
        except ConnectionResetError:
            return False
        self.waiting += data
        return bool(data)


def ask(port, request):
    """Send one request on a connection of its own and give the answer."""
    with Wire(port) as wire:
        return wire.send(request).answer()


def ask_again(port, request):
    """Ask until an answer comes: a server may end a connection before a busy machine has sent anything on it."""
    deadline = time.monotonic() + GUARD_SECONDS
    while True:
        with suppress(OSError):
            if (answer := ask(port, request)) is not None:
                return answer
        assert time.monotonic() < deadline, "no answer comes"


def ask_to_end(port, request):
    """The same of a request after whose answer the server ends the connection; gives the answer."""
    deadline = time.monotonic() + GUARD_SECONDS
    while True:
        with suppress(OSError), Wire(port) as wire:
            if (answer := wire.send(request).answer()) is not None:
                assert wire.ended()
                return answer
        assert time.monotonic() < deadline, "no answer comes"


def get(path, *headers):
    """Write a GET request."""
    return "\r\n".join([f"GET {path} HTTP/1.1", "Host: node", *headers, "", ""])
