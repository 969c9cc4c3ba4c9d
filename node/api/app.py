# SPDX-License-Identifier: Apache-2.0
"""The HTTP application of a node."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from fastapi import FastAPI

from node.api import logs, records
from node.api.problems import install

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from node.api.auth import TokenGate
    from node.api.state import ApiState

MAX_BODY_BYTES: Final = 1 << 20
"""Greatest body of any request but an upload; uploads have their own limit."""


def build_app(
    state: ApiState, gate: TokenGate, *, language: str, max_upload_bytes: int, version: str
) -> FastAPI:
    """Build the application.

    Args:
        state: The node.
        gate: Checks tokens.
        language: ``zh`` or ``en`` for callers that name none.
        max_upload_bytes: Greatest size of a file to import.
        version: Version of the program.
    """
    app = FastAPI(
        title="Ironcage node 数据铁笼节点",
        version=version,
        description="One department's node: import and sign records, prove them, log every look.",
        docs_url=None,
        redoc_url=None,
    )
    app.state.node = state
    app.state.gate = gate
    app.state.language = language
    install(app)
    for router in (logs.api, records.router, logs.log, logs.health):
        app.include_router(router)
    app.add_middleware(BodyLimit, max_bytes=MAX_BODY_BYTES, max_upload_bytes=max_upload_bytes)
    return app


class BodyLimit:
    """Ends a request whose body is larger than its route allows, before it is read whole."""

    def __init__(self, app: ASGIApp, *, max_bytes: int, max_upload_bytes: int) -> None:
        self._app = app
        self._max_bytes = max_bytes
        # A multipart body is a little larger than the file in it.
        self._max_upload_bytes = max_upload_bytes + MAX_BODY_BYTES

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        upload = scope["path"] == "/api/v1/imports"
        limit = self._max_upload_bytes if upload else self._max_bytes
        declared = dict(scope["headers"]).get(b"content-length", b"0")
        if not declared.isdigit() or int(declared) > limit:
            await _refuse(send, limit)
            return
        seen = 0

        async def bounded() -> Message:
            nonlocal seen
            message = await receive()
            seen += len(message.get("body", b""))
            if seen > limit:
                return {"type": "http.disconnect"}
            return message

        await self._app(scope, bounded, send)


async def _refuse(send: Send, limit: int) -> None:
    body = b'{"code":"body-size","detail":"body is larger than %d bytes","status":413,' % limit
    body += b'"title":"request body too large","type":"urn:ironcage:error:body-size"}'
    headers: list[Any] = [(b"content-type", b"application/problem+json")]
    await send({"type": "http.response.start", "status": 413, "headers": headers})
    await send({"type": "http.response.body", "body": body})
