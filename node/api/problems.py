# SPDX-License-Identifier: Apache-2.0
"""Errors over HTTP: RFC 9457 problem+json with our stable codes, in the language the caller asks for."""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

import structlog
from fastapi import Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException

from node.core.canonical import encode_json
from node.core.texts import title_of
from node.errors import AccessDenied, NodeError, Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from fastapi import FastAPI
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

MEDIA_TYPE: Final = "application/problem+json"
PROBLEM_SCHEMA: Final = {"$ref": "#/components/schemas/Problem"}
BODY_SIZE_STATUS: Final = 413
SLOW_STATUS: Final = 408
RETRY_AFTER_SECONDS: Final = 2
_UNAUTHENTICATED: Final = frozenset({"token-missing", "token-unknown", "token-expired"})
_OWN_NAME: Final = re.compile(r"[a-z_]{1,40}|[0-9]{1,6}")
REQUEST_ID: Final = "ironcage.request_id"
"""Where a request's id stands in its scope."""
ROLE: Final = "ironcage.role"
"""Where the role of a caller with a token stands in the scope of his request."""
FAILURE: Final = "ironcage.failure"
"""Where the error that was answered stands in its scope, for the line in the node's log."""
WITHHELD: Final = "what exactly is said to the node's own staff: ironcage node status, or its log"
_LOG = structlog.get_logger("ironcage")


class Problem(BaseModel):
    """An error (RFC 9457)."""

    type: str = Field(description="`urn:ironcage:error:<code>`")
    title: str = Field(description="What is wrong, for a person, in Chinese or English (Accept-Language).")
    status: int = Field(description="HTTP status.")
    code: str = Field(description="Stable code, see docs/errors.md.")
    detail: str = Field(
        description="What was got and what was wanted; never personal data. What ails the node is told to its own staff."
    )


def problem(
    request: Request, status: int, code: str, detail: str, more_headers: Mapping[str, str] | None = None
) -> Response:
    """Build the answer for an error."""
    body = problem_body(status, code, detail, language_of(request))
    headers = dict(more_headers or {})
    if status == Unavailable.status:
        headers["Retry-After"] = str(RETRY_AFTER_SECONDS)
    if status == 401:  # noqa: PLR2004 - RFC 9110 demands the header with this status
        headers["WWW-Authenticate"] = "Bearer"
    return Response(body, status_code=status, media_type=MEDIA_TYPE, headers=headers)


def problem_body(status: int, code: str, detail: str, language: str) -> bytes:
    """Encode an error (RFC 9457)."""
    body: dict[str, Any] = {
        "type": f"urn:ironcage:error:{code}",
        "title": title_of(code, language),
        "status": status,
        "code": code,
        "detail": detail,
    }
    return encode_json(body)


def node_problem(request: Request, error: NodeError) -> Response:
    """Build the answer for one of our errors.

    What ails the node may name a place on its disk or an address of its network: callers without a token are told code and title.
    """
    unknown = isinstance(error, AccessDenied) and error.code in _UNAUTHENTICATED
    request.scope[FAILURE] = error
    is_own = error.status >= HTTPStatus.INTERNAL_SERVER_ERROR
    detail = WITHHELD if is_own and ROLE not in request.scope else error.message
    return problem(request, 401 if unknown else error.status, error.code, detail)


def language_of(request: Request) -> str:
    """Read the caller's language: ``zh`` unless English comes first in Accept-Language."""
    wanted = request.headers.get("accept-language", request.app.state.language)
    return "en" if wanted.strip().lower().startswith("en") else "zh"


def install(app: FastAPI, allowed_methods: Callable[[str], list[str]]) -> None:
    """Answer every error of the application as a problem.

    Args:
        app: The application.
        allowed_methods: Gives the methods that a path has.
    """

    @app.exception_handler(NodeError)
    def on_node_error(request: Request, error: NodeError) -> Response:
        return node_problem(request, error)

    @app.exception_handler(RequestValidationError)
    def on_shape(request: Request, error: RequestValidationError) -> Response:
        first = error.errors()[0]
        # Names of ours are shown; a name that the caller made up could be a person's.
        place = ".".join(str(part) if _OWN_NAME.fullmatch(str(part)) else "…" for part in first["loc"])
        return problem(request, 400, "request-shape", f"{place}: {first['msg']}")

    @app.exception_handler(HTTPException)
    def on_http(request: Request, error: HTTPException) -> Response:
        if error.status_code == BODY_SIZE_STATUS:
            return problem(request, error.status_code, "body-size", str(error.detail))
        if error.status_code == SLOW_STATUS:
            closing = {"Connection": "close"}
            return problem(request, error.status_code, "request-slow", str(error.detail), closing)
        if isinstance(error.__cause__, OSError):
            # The body of an upload waits on the disk (TMPDIR) until it is there as a whole.
            full = Unavailable(
                "upload-disk", f"file could not be stored: {error.__cause__.strerror}; send it again later"
            )
            return node_problem(request, full)
        code = f"http-{error.status_code}"
        headers = dict(error.headers or {})
        if "Allow" in headers:
            # Starlette names those of one route; a path may have several.
            headers["Allow"] = ", ".join(allowed_methods(request.scope["path"]))
        return problem(request, error.status_code, code, str(error.detail), headers)

    app.add_middleware(FaultBarrier)


class FaultBarrier:
    """Answers whatever nobody foresaw, and lets no text of it out: not to the caller, not to the log of the server."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        started = False

        async def watched(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            await self._app(scope, receive, watched)
        except Exception as error:  # noqa: BLE001 - this is the place where faults end
            # The traceback may show values of a request, so only the kind and the place of the fault are logged.
            _LOG.error(
                "fault",
                kind=type(error).__name__,
                place=_place_of(error),
                route=route_of(scope),
                id=scope.get(REQUEST_ID),
            )
            if not started and scope["type"] == "http":
                answer = problem(Request(scope), 500, "fault", "an error of this node; its log says where")
                await answer(scope, receive, send)


def _place_of(error: BaseException) -> str:
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}" if trace else "?"


def route_of(scope: Scope) -> str:
    """Name the route by its pattern; a path could hold what a caller typed."""
    return str(getattr(scope.get("route"), "path", "?"))


_MEANINGS: Final = {
    400: "The input is not what its format or rule says.",
    401: "No token, an unknown or an expired one.",
    403: "The token's role may not do this.",
    404: "There is no such thing here.",
    405: "There is no such call here; Allow names those that are.",
    408: "The body did not come in time.",
    409: "It contradicts what is already there, or the node is read-only.",
    413: "The body is larger than this route takes.",
    414: "The address is too long.",
    422: "What is stored is not what was signed; nothing is shown.",
    429: "Too many requests of this member were refused; come again after the seconds in Retry-After.",
    431: "The head of the request is too large.",
    500: "An error of this node, or its own state is unknown.",
    503: "Not now; the same call may succeed later (Retry-After).",
}
Responses = dict[int | str, dict[str, Any]]


def errors(*statuses: int) -> Responses:
    """Describe the errors that a route may answer, all of them problems."""
    return {
        status: {"description": _MEANINGS[status], "content": {MEDIA_TYPE: {"schema": PROBLEM_SCHEMA}}}
        for status in statuses
    }
