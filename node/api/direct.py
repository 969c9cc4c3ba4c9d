# SPDX-License-Identifier: Apache-2.0
"""Serve the calls of exchanges past FastAPI's machinery, which costs as much as HTTP itself.

A call that is as nearly all are (one spelling of its path, no query, plain JSON of the right shape) goes straight from the
limits to its route's function, with the roles that the route declares. Any other goes the usual way, which says what is
wrong with it: nothing is refused here but callers.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from fastapi import Request
from pydantic import ValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from node.api.auth import let_in, roles_of
from node.api.problems import http_problem, node_problem
from node.errors import NodeError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from fastapi import Response
    from fastapi.routing import APIRoute
    from pydantic import BaseModel
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

_JSON: Final = "application/json"


@dataclass(frozen=True, slots=True)
class _Call:
    """A route, the roles that it lets in (None: all the world), and the shape of its body; None where it reads the body itself."""

    route: APIRoute
    roles: tuple[str, ...] | None
    shape: type[BaseModel] | None


class Direct:
    """Serves some routes directly, and hands on every other call.

    Args:
        app: The application.
        routes: Each a POST with a fixed path, and the shape of its body or None. Its function takes the request, the body
            under ``body`` where there is a shape, and the caller under ``caller`` where not all are let in.
        allowed_methods: Gives the methods that a path has.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        routes: Iterable[tuple[APIRoute, type[BaseModel] | None]],
        allowed_methods: Callable[[str], list[str]],
    ) -> None:
        self._app = app
        self._allowed_methods = allowed_methods
        self._calls = {route.path: _Call(route, roles_of(route), shape) for route, shape in routes}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        is_plain = scope["type"] == "http" and scope["method"] == "POST" and not scope["query_string"]
        call = self._calls.get(scope["path"]) if is_plain else None
        if call is None:
            await self._app(scope, receive, send)
            return
        request = Request(scope, receive)
        try:
            body = None
            if call.shape is not None:
                data = await _read(request)
                body = None if data is None else _parse(call.shape, data)
                if body is None:
                    await self._app(scope, receive if data is None else _again(data, receive), send)
                    return
            response = await _run(call, request, body)
        except NodeError as error:
            response = node_problem(request, error)
        except HTTPException as error:
            response = http_problem(request, error, self._allowed_methods)
        await response(scope, receive, send)


async def _run(call: _Call, request: Request, body: BaseModel | None) -> Response:
    """Let the caller in, and call the route's function."""
    request.scope["route"] = call.route  # names it in the log
    arguments: dict[str, Any] = {}
    if call.roles is not None:
        arguments["caller"] = let_in(request, call.roles)
    if body is not None:
        arguments["body"] = body
    answer: Awaitable[Response] = call.route.endpoint(request, **arguments)
    return await answer


async def _read(request: Request) -> bytes | None:
    """Read a body that says it is JSON; None when it is something else, or does not come."""
    if request.headers.get("content-type") != _JSON:
        return None
    try:
        return await request.body()
    except ClientDisconnect:
        return None


def _parse(shape: type[BaseModel], data: bytes) -> BaseModel | None:
    """Parse a body as FastAPI does; None when it is not of its shape."""
    try:
        return shape.model_validate(json.loads(data))
    except (ValueError, RecursionError, ValidationError):
        return None


def _again(data: bytes, receive: Receive) -> Receive:
    """Give a body that was read to one who reads it again."""
    is_given = False

    async def give() -> Message:
        nonlocal is_given
        if is_given:
            return await receive()
        is_given = True
        return {"type": "http.request", "body": data, "more_body": False}

    return give
