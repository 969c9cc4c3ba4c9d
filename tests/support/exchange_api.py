# SPDX-License-Identifier: Apache-2.0
"""The HTTP application over the nodes of an exchange world, and an officer who calls it."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

import httpx

from node.api.auth import TokenGate
from node.service.tokens import new_token
from tests.support.api_world import shared_app
from tests.support.exchange_world import MARKET
from tests.support.node_world import FixedRandom

OFFICER, ENTRY = new_token("li", "officer", None, FixedRandom("officer"))


def serve(world, member):
    """Have the application of all tests serve a node from now on."""
    app = shared_app()
    node = world.nodes[member]
    node.services.condition.verified = node.services.condition.joined = True
    app.state.node = SimpleNamespace(services=node.services)
    app.state.gate = TokenGate(lambda: [ENTRY], node.clock)
    return app


def call(app, path, **arguments):
    async def send():
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://node") as client:
            return await client.post(path, **arguments)

    return asyncio.run(send())


def post(world, path, body, member=MARKET):
    """Call a route of a member's node as its officer."""
    headers = {"Authorization": f"Bearer {OFFICER}", "Accept-Language": "en"}
    return call(serve(world, member), f"/api/v1/{path}", json=body, headers=headers)
