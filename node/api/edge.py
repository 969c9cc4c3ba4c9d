# SPDX-License-Identifier: Apache-2.0
"""The outermost layer of the application: what every request must be and every answer carries.

a request    has a short head, one length, one spelling of its path, and a body that keeps coming
an answer    has a request id, and headers that keep browsers from doing anything with it
"""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING, Final

import structlog
from fastapi import Request
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException

from node.api.problems import FAILURE, REQUEST_ID, ROLE, SLOW_STATUS, problem, route_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from fastapi import Response
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

MAX_HEAD_BYTES: Final = 32 * 1024
MAX_HEADERS: Final = 100
MAX_PATH_BYTES: Final = 2_048
MAX_QUERY_BYTES: Final = 4_096
BODY_STEP_BYTES: Final = 64 * 1024
"""So much of a body has one timeout to come, and then the next so much."""
REQUEST_ID_HEADER: Final = "X-Request-Id"
SECURITY_HEADERS: Final = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
}
PRIVATE: Final = "no-store"
STRICT_TRANSPORT: Final = "max-age=31536000"
_ID: Final = re.compile(r"[A-Za-z0-9._-]{8,64}")
_ID_BYTES: Final = 16
_REFUSED: Final = frozenset({401, 403, SLOW_STATUS})
_FAULTS: Final = 500
_LOG = structlog.get_logger("ironcage")


class Edge:
    """Serves requests within limits and completes their answers.

    Args:
        app: The application.
        timeout_seconds: Longest wait for each ``BODY_STEP_BYTES`` of a body.
        random: Source of request ids.
    """

    def __init__(self, app: ASGIApp, *, timeout_seconds: float, random: Callable[[int], bytes]) -> None:
        self._app = app
        self._timeout_seconds = timeout_seconds
        self._random = random

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request = Request(scope)
        scope[REQUEST_ID] = self._name(request)
        status = 0

        async def complete(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                _complete_headers(message, scope)
            await send(message)

        refusal = _refuse_head(request)
        if refusal is None:
            await self._app(scope, self._timed(receive), complete)
        else:
            await refusal(scope, receive, complete)
        _log_call(scope, status)

    def _name(self, request: Request) -> str:
        """Take the caller's name for the request, or make one."""
        given = request.headers.get(REQUEST_ID_HEADER, "")
        return given if _ID.fullmatch(given) else self._random(_ID_BYTES).hex()

    def _timed(self, receive: Receive) -> Receive:
        """Bound the time that a body may take."""
        loop = asyncio.get_running_loop()
        left, seen = self._timeout_seconds, 0

        async def timed() -> Message:
            nonlocal left, seen
            # Only the caller's time counts, not what is done with a piece before the next is asked for.
            begun = loop.time()
            try:
                async with asyncio.timeout(left):
                    message = await receive()
            except TimeoutError:
                detail = f"the body did not come: want {BODY_STEP_BYTES} bytes in {self._timeout_seconds:g} seconds"
                raise HTTPException(SLOW_STATUS, detail) from None
            left -= loop.time() - begun
            seen += len(message.get("body", b""))
            if seen >= BODY_STEP_BYTES:
                # What came fast buys no time for later.
                left, seen = self._timeout_seconds, 0
            return message

        return timed


def _refuse_head(request: Request) -> Response | None:
    scope = request.scope
    if scope["http_version"] not in {"1.0", "1.1"}:
        detail = "this is no request of HTTP/1.1 or 1.0"
        return problem(request, 400, "http-400", detail, {"Connection": "close"})
    raw_path = scope.get("raw_path") or scope["path"].encode()
    if len(raw_path) > MAX_PATH_BYTES or len(scope["query_string"]) > MAX_QUERY_BYTES:
        detail = f"address is too long: want a path of {MAX_PATH_BYTES} and a query of {MAX_QUERY_BYTES} bytes at most"
        return problem(request, 414, "http-414", detail)
    if len(scope["headers"]) > MAX_HEADERS:
        return problem(request, 431, "http-431", f"request has more than {MAX_HEADERS} headers")
    names = [name for name, _ in scope["headers"]]
    if b"content-length" in names and b"transfer-encoding" in names:
        # Whoever stands in front may have read the other one: the next request could be a stranger's.
        detail = "request has a length and chunks: want one of them"
        return problem(request, 400, "http-400", detail, {"Connection": "close"})
    if b"%" in raw_path or not scope["path"].isprintable():
        # No address of ours needs it, and one thing must not have two names.
        return problem(request, 404, "http-404", "Not Found")
    return None


def _complete_headers(message: Message, scope: Scope) -> None:
    headers = MutableHeaders(scope=message)
    for name, value in SECURITY_HEADERS.items():
        headers.setdefault(name, value)
    headers.setdefault("Cache-Control", PRIVATE)
    headers[REQUEST_ID_HEADER] = scope[REQUEST_ID]
    if scope["scheme"] == "https":
        headers["Strict-Transport-Security"] = STRICT_TRANSPORT


def _log_call(scope: Scope, status: int) -> None:
    """Log calls that change something or were refused; pollers and readers of the open log would drown them."""
    role = scope.get(ROLE)
    told: dict[str, str] = {}
    if status >= _FAULTS and (failure := scope.get(FAILURE)) is not None:
        # In full, here alone where the caller has no token.
        told = {"code": failure.code, "reason": failure.message}
    if status >= _FAULTS or status in _REFUSED or (role is not None and scope["method"] != "GET"):
        _LOG.info(
            "call",
            id=scope[REQUEST_ID],
            method=scope["method"],
            route=route_of(scope),
            role=role,
            status=status,
            **told,
        )
