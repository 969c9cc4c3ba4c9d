# SPDX-License-Identifier: Apache-2.0
"""Both transports against a real HTTP server that behaves as chain nodes, proxies and strangers do."""

from __future__ import annotations

import gzip
import json
import socket
import threading
from contextlib import closing, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from node.chain import transport as transport_module
from node.chain.transport import HttpTransport, parse_rpc_url
from node.chain.web3_transport import Web3Transport
from node.errors import InvalidInput, Unavailable
from tests.support.errors import raises_code

GUARD_SECONDS = 60
"""Keeps a failure from hanging; what is to be silent has a limit of its own."""
OK = {"jsonrpc": "2.0", "id": 1, "result": "0x1"}
REFUSED = {"jsonrpc": "2.0", "id": 1, "error": {"code": -32601, "message": "Method not found"}}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.seen.append((self.path, dict(self.headers), json.loads(body), self.client_address[1]))
        self.server.behave(self)

    def answer(self, status, body, **headers):
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *args):
        pass


@pytest.fixture
def server():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.seen = []
    server.behave = lambda handler: handler.answer(200, OK)
    server.url = f"http://127.0.0.1:{server.server_port}/key?x=1"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture(params=[HttpTransport, Web3Transport])
def carrier(request, server):
    with closing(request.param(server.url, timeout_seconds=GUARD_SECONDS)) as carrier:
        yield carrier


def test_a_call_and_its_answer(server, carrier):
    assert carrier.request("eth_call", [{"to": "0x00"}, "latest"]) == OK
    path, headers, body, _ = server.seen[0]
    assert path == "/key?x=1"
    assert (body["jsonrpc"], body["method"], body["params"]) == (
        "2.0",
        "eth_call",
        [{"to": "0x00"}, "latest"],
    )
    assert headers["Content-Type"] == "application/json"


def test_the_connection_is_kept(server, carrier):
    for _ in range(3):
        carrier.request("eth_chainId", [])
    assert len({port for *_, port in server.seen}) == 1


def test_a_kept_connection_that_was_closed_is_opened_again(server, carrier):
    def close_after(handler):
        handler.answer(200, OK)
        handler.close_connection = True

    server.behave = close_after
    for _ in range(3):
        assert carrier.request("eth_chainId", []) == OK


@pytest.mark.parametrize("status", [400, 500])
def test_an_rpc_error_counts_whatever_its_http_status(server, carrier, status):
    server.behave = lambda handler: handler.answer(status, REFUSED)
    assert carrier.request("nonsense", []) == REFUSED


@pytest.mark.parametrize(
    ("status", "body"), [(401, b"no"), (500, b"<html>"), (503, b""), (404, {"jsonrpc": "2.0", "result": 1})]
)
def test_another_http_status_means_away(server, carrier, status, body):
    server.behave = lambda handler: handler.answer(status, body)
    with raises_code(Unavailable, "chain-away") as caught:
        carrier.request("eth_chainId", [])
    assert str(status) in caught.value.message


@pytest.mark.parametrize("body", [b"<html>hello</html>", b"", b"[1]", b'"text"', b"\xff\xfe", b"{"])
def test_what_is_no_json_object_is_no_answer(server, carrier, body):
    server.behave = lambda handler: handler.answer(200, body)
    with raises_code(Unavailable, "chain-answer"):
        carrier.request("eth_chainId", [])


def test_a_redirect_is_not_followed(server, carrier):
    server.behave = lambda handler: handler.answer(
        302, b"", Location=f"http://127.0.0.1:{server.server_port}/"
    )
    with pytest.raises(Unavailable):
        carrier.request("eth_chainId", [])
    assert len(server.seen) == 1


@pytest.mark.parametrize("transport", [HttpTransport, Web3Transport])
def test_a_node_that_is_silent_is_away(server, transport):
    waiting = threading.Event()
    server.behave = lambda _: waiting.wait(GUARD_SECONDS)
    with closing(transport(server.url, timeout_seconds=0.2)) as carrier:
        with raises_code(Unavailable, "chain-away") as caught:
            carrier.request("eth_chainId", [])
        waiting.set()
    assert caught.value.message.endswith("time-out")


def test_a_connection_that_breaks_is_away(server, carrier):
    def cut(handler):
        handler.send_response(200)
        handler.send_header("Content-Length", "100")
        handler.end_headers()
        handler.wfile.write(b'{"json')
        handler.close_connection = True

    server.behave = cut
    with raises_code(Unavailable, "chain-away"):
        carrier.request("eth_chainId", [])


@pytest.mark.parametrize("transport", [HttpTransport, Web3Transport])
def test_nobody_there_is_away_and_the_path_stays_secret(transport):
    with socket.socket() as free:
        # Bound, so that nobody else listens there meanwhile.
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        carrier = transport(f"http://127.0.0.1:{port}/v3/secret-key", timeout_seconds=GUARD_SECONDS)
        with raises_code(Unavailable, "chain-away") as caught:
            carrier.request("eth_chainId", [])
    assert f"127.0.0.1:{port}" in caught.value.message
    assert "secret" not in caught.value.message


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gzip"])
def test_a_huge_answer_is_cut_off(server, carrier, monkeypatch, packed):
    monkeypatch.setattr(transport_module, "MAX_ANSWER_BYTES", 1000)
    body = json.dumps({"result": "x" * 100_000}).encode()
    server.behave = lambda handler: (
        handler.answer(200, gzip.compress(body), **{"Content-Encoding": "gzip"})
        if packed
        else handler.answer(200, body)
    )
    with raises_code(Unavailable, "chain-answer"):
        carrier.request("eth_getLogs", [])
    server.behave = lambda handler: handler.answer(200, OK)
    assert carrier.request("eth_chainId", []) == OK


@pytest.mark.parametrize("transport", [HttpTransport, Web3Transport])
def test_an_answer_that_trickles_is_given_up(server, transport):
    """Each byte comes in time, the answer never does."""
    stop = threading.Event()

    def trickle(handler):
        handler.send_response(200)
        handler.send_header("Content-Length", "1000000")
        handler.end_headers()
        with suppress(OSError):
            while not stop.wait(0.02):
                handler.wfile.write(b" ")
                handler.wfile.flush()

    server.behave = trickle
    with (
        closing(transport(server.url, timeout_seconds=0.2)) as carrier,
        raises_code(Unavailable, "chain-away"),
    ):
        carrier.request("eth_chainId", [])
    stop.set()


def test_threads_share_a_transport(server, carrier):
    answers = []

    def call():
        answers.extend(carrier.request("eth_chainId", []) for _ in range(20))

    threads = [threading.Thread(target=call) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [OK] * 80


@pytest.mark.parametrize(
    ("text", "place", "target"),
    [
        ("http://localhost", "localhost:80", "/"),
        ("https://rpc.example/v1/k?a=b", "rpc.example:443", "/v1/k?a=b"),
        ("http://[::1]:8545", "[::1]:8545", "/"),
    ],
)
def test_urls(text, place, target):
    url = parse_rpc_url(text)
    assert (url.place, url.target) == (place, target)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "127.0.0.1:8545",
        "ws://host",
        "file:///etc/passwd",
        "http://",
        "http://user:password@host",
        "http://user@host",
        "http://host/#fragment",
        "http://host:0",
        "http://host:99999",
        "http://host:x",
        "http://ho st",
        "http://主机",
        "http://[::1",
        "http://host/\n",
        "http://" + "h" * 3000,
        "http://" + "h" * 64 + ".example/",
        "http://.example/",
        "http://a..b/",
        "http://-a/",
    ],
)
def test_what_is_no_rpc_address(text):
    with raises_code(InvalidInput, "chain-url") as caught:
        parse_rpc_url(text)
    assert "password" not in caught.value.message
