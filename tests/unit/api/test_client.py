# SPDX-License-Identifier: Apache-2.0
"""The client that the commands use, against a node that listens."""

import threading
import time
from contextlib import contextmanager

import pytest
import uvicorn

from node.client.api import NodeClient
from node.errors import AccessDenied, Conflict, InvalidInput, NotFound, Unavailable
from tests.support.api_world import WHY, csv_of
from tests.support.errors import raises_code
from tests.support.node_world import penalty
from tests.support.rows import PENALTY


@contextmanager
def listening(app):
    """Serve an application on a free port of this machine."""
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_config=None, lifespan="off"))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started:
            time.sleep(0.01)
        port = server.servers[0].sockets[0].getsockname()[1]
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join(120)


@pytest.fixture
def url(world):
    with listening(world.app) as found:
        yield found


def test_the_main_job(world, url, tmp_path):
    file = tmp_path / "处罚.csv"
    file.write_text(csv_of([penalty(1), penalty(2)], PENALTY.field_codes), encoding="utf-8")
    with NodeClient(url, world.tokens["operator"]) as client:
        job = client.upload("/api/v1/imports", file, {"item": "penalty:2018"})
        assert job["file_name"] == "处罚.csv"
        world.run_imports()
        assert client.get(f"/api/v1/imports/{job['id']}")["accepted"] == 2
        assert len(client.get("/api/v1/imports", limit=5)) == 1
        world.node.anchor()
        leaf = client.post("/api/v1/records/search", {"limit": 1})[0]["leaf"]
        assert client.post(f"/api/v1/records/{leaf}/show", WHY)["fields"]["CF_WSH"].endswith("2号")
        assert client.get_text("/log/records/0/checkpoint").startswith("zj.example/")
        assert len(client.get_bytes("/log/records/0/tile/0/000.p/3")) == 96


def test_errors_come_back_as_the_node_raised_them(world, url):
    with NodeClient(url, world.tokens["officer"]) as client:
        with raises_code(NotFound, "record-unknown") as caught:
            client.post(f"/api/v1/records/{'00' * 32}/show", WHY)
        assert caught.value.message.startswith("no record with leaf hash")
        with raises_code(InvalidInput, "request-shape"):
            client.post("/api/v1/records/x/show", WHY)
        with raises_code(AccessDenied, "role-insufficient"):
            client.get("/api/v1/imports")
        with raises_code(InvalidInput, "body-size"):
            client.post("/api/v1/records/search", {"more": "x" * (1 << 20)})
        world.node.services.sequencer.set_read_only(Conflict("log-behind", "fewer entries"))
        with raises_code(Unavailable, "log-behind"):
            client.get("/readyz")
    with NodeClient(url) as client, raises_code(AccessDenied, "token-missing"):
        client.get("/api/v1/imports")
    with NodeClient(url, "ict_x") as client, raises_code(AccessDenied, "token-unknown"):
        client.get("/api/v1/imports")


def test_nobody_there():
    with NodeClient("http://127.0.0.1:9", timeout_seconds=1) as client, raises_code(Unavailable, "node-away"):
        client.get("/api/v1/node")


async def not_a_node(scope, _receive, send):
    """Another program on the port."""
    status = 200 if scope["path"] == "/page" else 418
    await send(
        {"type": "http.response.start", "status": status, "headers": [(b"content-type", b"text/html")]}
    )
    await send({"type": "http.response.body", "body": b"<html>"})


def test_an_answer_that_is_no_node_s():
    with listening(not_a_node) as url, NodeClient(url) as client:
        with raises_code(Unavailable, "node-answer"):
            client.get("/page")
        with raises_code(Unavailable, "node-answer"):
            client.get("/teapot")
