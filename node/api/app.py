# SPDX-License-Identifier: Apache-2.0
"""The HTTP application of a node."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Final

from fastapi import Depends, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException

from node.api import (
    access,
    audits,
    backups,
    consents,
    contradictions,
    demands,
    documents,
    erasure,
    exchange,
    logs,
    many,
    receipts,
    records,
    sealed,
    subjects,
    witness,
)
from node.api.auth import bearer_of, roles_of
from node.api.edge import Edge
from node.api.problems import (
    BODY_SIZE_STATUS,
    MEDIA_TYPE,
    ROLE,
    Problem,
    errors,
    install,
    node_problem,
    problem,
)
from node.errors import NodeError

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from node.api.auth import TokenGate
    from node.api.state import ApiState

MAX_BODY_BYTES: Final = 1 << 20
"""Greatest body of any request but an upload; uploads have their own limit."""
UPLOAD_PATH: Final = "/api/v1/imports"
_MAX_DIGITS: Final = 20


ROUTERS: Final = (
    # They are tried in turn, twice a call: those that are called most come first.
    exchange.wire,
    exchange.staff,
    logs.api,
    records.router,
    erasure.router,
    backups.router,
    access.router,
    audits.router,
    receipts.router,
    contradictions.router,
    documents.router,
    documents.shared,
    demands.router,
    consents.router,
    consents.wire,
    subjects.router,
    many.router,
    sealed.public,
    sealed.router,
    sealed.wire,
    witness.router,
    logs.log,
    logs.health,
)
TIMEOUT_SECONDS: Final = 20.0
_ALWAYS: Final = (400, 404, 413, 414, 431, 500)
_WITH_BODY: Final = (408,)


def build_app(
    state: ApiState,
    gate: TokenGate,
    *,
    language: str,
    max_upload_bytes: int,
    version: str,
    timeout_seconds: float = TIMEOUT_SECONDS,
    random: Callable[[int], bytes] = os.urandom,
) -> FastAPI:
    """Build the application.

    Args:
        state: The node.
        gate: Checks tokens.
        language: ``zh`` or ``en`` for callers that name none.
        max_upload_bytes: Greatest size of a file to import.
        version: Version of the program.
        timeout_seconds: Longest wait for each 64 KiB of a body.
        random: Source of request ids.
    """
    app = FastAPI(
        title="Ironcage node 数据铁笼节点",
        version=version,
        description="One department's node: import and sign records, prove them, log every look.",
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    all_roles()  # a route that lets in nobody knows whom is a fault of the program, seen at its start
    app.state.node = state
    app.state.gate = gate
    app.state.language = language
    for router in ROUTERS:
        app.include_router(router, dependencies=[Depends(known_query)])
    app.add_middleware(RequestLimits, max_bytes=MAX_BODY_BYTES, max_upload_bytes=max_upload_bytes)
    install(app, allowed_methods)
    app.add_middleware(Edge, timeout_seconds=timeout_seconds, random=random)
    app.openapi = lambda: _describe(app)  # type: ignore[method-assign]  # FastAPI's documented way to change it
    return app


def _describe(app: FastAPI) -> dict[str, Any]:
    """Build the OpenAPI description: as FastAPI does, but with the errors that we answer instead of its own.

    ``x-roles`` names the roles that an operation lets in; null lets in everybody.
    """
    if app.openapi_schema is None:
        roles = all_roles()
        described = get_openapi(
            title=app.title, version=app.version, description=app.description, routes=app.routes
        )
        for path, operations in described["paths"].items():
            for method, operation in operations.items():
                answers = operation["responses"]
                if MEDIA_TYPE not in answers.get("422", {}).get("content", {}):
                    answers.pop("422", None)
                common = errors(*_ALWAYS, *(_WITH_BODY if "requestBody" in operation else ()))
                for status, answer in common.items():
                    answers.setdefault(str(status), answer)
                let_in = roles[method.upper(), path]
                operation["x-roles"] = None if let_in is None else list(let_in)
        schemas = described.setdefault("components", {}).setdefault("schemas", {})
        for name in ("HTTPValidationError", "ValidationError"):
            schemas.pop(name, None)
        _describe_forms(schemas)
        schemas["Problem"] = Problem.model_json_schema()
        app.openapi_schema = described
    return app.openapi_schema


def _describe_forms(schemas: dict[str, Any]) -> None:
    """Say of forms what FastAPI does not: other fields are refused (``known_form``), and files are any bytes."""
    for name, form in schemas.items():
        if name.startswith("Body_"):
            form["additionalProperties"] = False
            for field in form["properties"].values():
                if "contentMediaType" in field:
                    field["format"] = "binary"  # as OpenAPI 3.0 has it: many clients look for nothing else


def all_roles() -> dict[tuple[str, str], tuple[str, ...] | None]:
    """Give the roles that each call, by method and path, lets in; None for all the world.

    Raises:
        LookupError: A route does not say.
    """
    return {
        (method, route.path_format): roles_of(route) for route in _routes() for method in route.methods or ()
    }


def allowed_methods(path: str) -> list[str]:
    """Give the methods of all routes that a path has, for ``Allow``."""
    return sorted(
        {method for route in _routes() if route.path_regex.match(path) for method in route.methods or ()}
    )


def _routes() -> list[APIRoute]:
    """Give all routes in the order in which they are tried."""
    return [route for router in ROUTERS for route in router.routes if isinstance(route, APIRoute)]


async def known_query(request: Request) -> None:
    """Refuse parameters of a query that the route has not, and those that stand twice: they would be passed over."""
    route = request.scope["route"]
    known = {field.alias for field in route.dependant.query_params}
    names = [name for name, _ in request.query_params.multi_items()]
    if known and (set(names) - known or len(set(names)) < len(names)):
        fault = {
            "type": "extra_forbidden",
            "loc": ("query",),
            "msg": f"want each of {', '.join(sorted(known))} once at most, and no others",
        }
        raise RequestValidationError([fault])


class RequestLimits:
    """Ends a request before its body is read: of a caller whom its route does not let in, or larger than that allows.

    The route asks for the token again when the body is there: it may have been revoked meanwhile.
    """

    def __init__(self, app: ASGIApp, *, max_bytes: int, max_upload_bytes: int) -> None:
        self._app = app
        self._max_bytes = max_bytes
        # A multipart body is a little larger than the file in it.
        self._max_upload_bytes = max_upload_bytes + MAX_BODY_BYTES
        self._routes = [(route, roles_of(route)) for route in _routes()]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request = Request(scope)
        try:
            self._check_token(request)
        except NodeError as error:
            await node_problem(request, error)(scope, receive, send)
            return
        is_upload = request.method == "POST" and scope["path"] == UPLOAD_PATH
        limit = self._max_upload_bytes if is_upload else self._max_bytes
        detail = f"body is larger than {limit} bytes"
        if is_upload:
            detail = f"file is larger than {limit - MAX_BODY_BYTES} bytes: send it in several"
        if _declared_bytes(request) > limit:
            await problem(request, BODY_SIZE_STATUS, "body-size", detail)(scope, receive, send)
            return
        seen = 0

        async def bounded() -> Message:
            nonlocal seen
            message = await receive()
            seen += len(message.get("body", b""))
            if seen > limit:
                raise HTTPException(BODY_SIZE_STATUS, detail)
            return message

        await self._app(scope, bounded, send)

    def _check_token(self, request: Request) -> None:
        path, method = request.scope["path"], request.method
        for route, roles in self._routes:
            if method in (route.methods or ()) and route.path_regex.match(path):
                if roles is not None:
                    request.scope["route"] = route  # names it in the log when it refuses
                    request.scope[ROLE] = request.app.state.gate.check(bearer_of(request), roles).role
                return


def _declared_bytes(request: Request) -> int:
    """Read the declared length; the server has refused what is no number, and what follows is counted anyway."""
    declared = request.headers.get("content-length", "")
    return int(declared) if declared.isascii() and declared.isdigit() and len(declared) < _MAX_DIGITS else 0
