# SPDX-License-Identifier: Apache-2.0
"""A way to a chain node that sees every call and can do something at each: count, hold, kill the caller.

Put between a node and its chain (``rpc_url`` in its settings) to hit an exact moment of what the node does there.
"""

from __future__ import annotations

import http.client
import json
import threading
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

BEFORE, AFTER = "before", "after"


class ChainProxy:
    """Forwards JSON-RPC calls to a chain node on loopback; use it as a context manager.

    Args:
        port: Of the chain node.

    Attributes:
        calls: Methods called so far.
        at: Called with (number of the call, method, ``before`` or ``after`` it was forwarded); from several threads.
    """

    def __init__(self, port):
        self.port = port
        self.calls: list[str] = []
        self.at = lambda _number, _method, _when: None
        self._lock = threading.Lock()
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                with suppress(OSError):
                    self._answer(proxy.forward(body))

            def _answer(self, answer):
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_):
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self._server.server_port}"

    def forward(self, body):
        method = json.loads(body)["method"]
        with self._lock:
            number = len(self.calls)
            self.calls.append(method)
        self.at(number, method, BEFORE)
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request("POST", "/", body, {"Content-Type": "application/json"})
            answer = connection.getresponse().read()
        finally:
            connection.close()
        self.at(number, method, AFTER)
        return answer

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
