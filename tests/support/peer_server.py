# SPDX-License-Identifier: Apache-2.0
"""A server on a real socket that treats each connection as a test tells it to."""

from __future__ import annotations

import hashlib
import socket
import ssl
import threading
from contextlib import contextmanager, suppress

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

GUARD_SECONDS = 120


class PeerServer:
    """Counts connections and requests, and runs a script on every connection.

    Args:
        script: Called with the ``Conversation`` of each connection, in a thread of its own.
        tls: The server's side of TLS; None speaks plain HTTP.
    """

    def __init__(self, script, tls=None):
        self._script = script
        self._tls = tls
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.port = self._listener.getsockname()[1]
        self.connections = 0
        self.requests = []
        self.released = threading.Event()
        self._open = []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                accepted, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            self._open.append(accepted)
            threading.Thread(target=self._serve, args=(accepted,), daemon=True).start()

    def _serve(self, accepted):
        # Whatever the other side does to the connection is what the test is about.
        with suppress(OSError):
            accepted.settimeout(GUARD_SECONDS)
            if self._tls is not None:
                accepted = self._tls.wrap_socket(accepted, server_side=True)
            with accepted:
                self._script(Conversation(self, accepted))

    def close(self):
        self.released.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for accepted in self._open:
            with suppress(OSError):
                accepted.close()


class Conversation:
    """One connection, from the server's side."""

    def __init__(self, server, accepted):
        self.server = server
        self.socket = accepted
        self._waiting = b""

    def request(self):
        """Read one request and give its body; None when the connection ended."""
        while b"\r\n\r\n" not in self._waiting:
            if not self._more():
                return None
        head, _, self._waiting = self._waiting.partition(b"\r\n\r\n")
        lengths = [line for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")]
        length = int(lengths[0].split(b":")[1])
        while len(self._waiting) < length:
            if not self._more():
                return None
        body, self._waiting = self._waiting[:length], self._waiting[length:]
        self.server.requests.append((head, body))
        return body

    def _more(self):
        data = self.socket.recv(65_536)
        self._waiting += data
        return bool(data)

    def answer(self, body, status=200, *headers):
        lines = [f"HTTP/1.1 {status} x", f"Content-Length: {len(body)}", *headers, "", ""]
        self.socket.sendall("\r\n".join(lines).encode() + body)

    def wait(self):
        """Say nothing until the test is over."""
        self.server.released.wait(GUARD_SECONDS)


def echo(conversation):
    """Answer every request with its own body in capitals."""
    while (body := conversation.request()) is not None:
        conversation.answer(body.upper())


@contextmanager
def peer_server(script=echo, files=None):
    """Run a server; ``files`` of tests.support.certificates make it speak TLS."""
    tls = None
    if files is not None:
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(files.certificate, files.key)
    server = PeerServer(script, tls)
    try:
        yield server
    finally:
        server.close()


def key_pin(files):
    """SHA-256 of the SubjectPublicKeyInfo of a certificate."""
    key = x509.load_pem_x509_certificate(files.certificate.read_bytes()).public_key()
    return hashlib.sha256(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).digest()
