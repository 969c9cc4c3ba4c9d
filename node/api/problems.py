# SPDX-License-Identifier: Apache-2.0
"""Errors over HTTP: RFC 9457 problem+json with our stable codes, in the language the caller asks for."""

from __future__ import annotations

import re
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
    from fastapi import FastAPI

MEDIA_TYPE: Final = "application/problem+json"
RETRY_AFTER_SECONDS: Final = 2
_UNAUTHENTICATED: Final = frozenset({"token-missing", "token-unknown", "token-expired"})
_OWN_NAME: Final = re.compile(r"[a-z_]{1,40}|[0-9]{1,6}")
_LOG = structlog.get_logger("ironcage")


class Problem(BaseModel):
    """An error (RFC 9457)."""

    type: str = Field(description="`urn:ironcage:error:<code>`")
    title: str = Field(description="What is wrong, for a person, in Chinese or English (Accept-Language).")
    status: int = Field(description="HTTP status.")
    code: str = Field(description="Stable code, see docs/errors.md.")
    detail: str = Field(description="What was got and what was wanted; never personal data.")


def problem(request: Request, status: int, code: str, detail: str) -> Response:
    """Build the answer for an error."""
    body: dict[str, Any] = {
        "type": f"urn:ironcage:error:{code}",
        "title": title_of(code, language_of(request)),
        "status": status,
        "code": code,
        "detail": detail,
    }
    headers = {}
    if status == Unavailable.status:
        headers["Retry-After"] = str(RETRY_AFTER_SECONDS)
    if status == 401:  # noqa: PLR2004 - RFC 9110 demands the header with this status
        headers["WWW-Authenticate"] = "Bearer"
    return Response(encode_json(body), status_code=status, media_type=MEDIA_TYPE, headers=headers)


def language_of(request: Request) -> str:
    """Read the caller's language: ``zh`` unless English comes first in Accept-Language."""
    wanted = request.headers.get("accept-language", request.app.state.language)
    return "en" if wanted.strip().lower().startswith("en") else "zh"


def install(app: FastAPI) -> None:
    """Answer every error of the application as a problem."""

    @app.exception_handler(NodeError)
    def on_node_error(request: Request, error: NodeError) -> Response:
        status = error.status
        if isinstance(error, AccessDenied) and error.code in _UNAUTHENTICATED:
            status = 401
        return problem(request, status, error.code, error.message)

    @app.exception_handler(RequestValidationError)
    def on_shape(request: Request, error: RequestValidationError) -> Response:
        first = error.errors()[0]
        # Names of ours are shown; a name that the caller made up could be a person's.
        place = ".".join(str(part) if _OWN_NAME.fullmatch(str(part)) else "…" for part in first["loc"])
        return problem(request, 400, "request-shape", f"{place}: {first['msg']}")

    @app.exception_handler(HTTPException)
    def on_http(request: Request, error: HTTPException) -> Response:
        return problem(request, error.status_code, f"http-{error.status_code}", str(error.detail))

    @app.exception_handler(Exception)
    def on_fault(request: Request, error: Exception) -> Response:
        # The traceback may show values of a request, so only the kind and the place of the fault are logged.
        trace = error.__traceback__
        while trace is not None and trace.tb_next is not None:
            trace = trace.tb_next
        place = f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}" if trace else "?"
        _LOG.error("fault", kind=type(error).__name__, place=place, route=request.url.path)
        return problem(request, 500, "fault", "an error of this node; its log says where")


RESPONSES: Final[dict[int | str, dict[str, Any]]] = {
    400: {"model": Problem, "description": "The input is not what its format or rule says."},
    401: {"model": Problem, "description": "No token, an unknown or an expired one."},
    403: {"model": Problem, "description": "The token's role may not do this."},
    404: {"model": Problem, "description": "There is no such thing here."},
    409: {"model": Problem, "description": "It contradicts what is already there, or the node is read-only."},
    503: {"model": Problem, "description": "Not now; the same call may succeed later (Retry-After)."},
}
"""What every route with a token may answer beside its result."""
