# SPDX-License-Identifier: Apache-2.0
"""A thousand connections at once, and one more than allowed."""

import resource
from contextlib import ExitStack

import pytest

from node.api.server import FILES_BESIDE_CONNECTIONS, ServerLimits, raise_file_limit
from tests.support.api_world import WHY
from tests.support.http_server import Wire, ask, get, listening

CROWD = 1_000


@pytest.fixture
def file_limit():
    """Whatever is done to the limit of this process is undone."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    yield before
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_a_thousand_idle_connections_keep_nobody_out(world, file_limit):
    """The node answers health and commits meanwhile; each of the thousand is served when it asks."""
    raise_file_limit(2 * CROWD)
    leaf = world.leaves()[0]
    with listening(world.app, ServerLimits(600, 600, CROWD + 2)) as port, ExitStack() as stack:
        crowd = [stack.enter_context(Wire(port)) for _ in range(CROWD)]
        for wire in crowd[::2]:
            wire.send("GET /healthz HTTP/1.1\r\nHost: node\r\n")
        assert ask(port, get("/healthz")).status == 200
        before = world.node.access.size()
        body = str(WHY).replace("'", '"').encode()
        answer = ask(
            port,
            f"POST /api/v1/records/{leaf}/show HTTP/1.1\r\nHost: node\r\nContent-Type: application/json\r\n"
            f"Authorization: Bearer {world.tokens['officer']}\r\nContent-Length: {len(body)}\r\n\r\n".encode()
            + body,
        )
        assert answer.status == 200
        assert world.node.access.size() == before + 1
        for wire in crowd[::2]:
            wire.send("\r\n")
        for wire in crowd[1::2]:
            wire.send(get("/healthz"))
        assert {wire.answer().status for wire in crowd} == {200}


def test_more_connections_than_allowed_are_turned_away(world):
    with listening(world.app, ServerLimits(600, 600, 20)) as port, ExitStack() as stack:
        crowd = [stack.enter_context(Wire(port)) for _ in range(20)]
        assert crowd[0].send(get("/healthz")).answer().status == 200
        late = Wire(port)
        with late:
            answer = late.answer()
            assert (answer.status, answer.json["code"]) == (503, "connections")
            assert int(answer.headers["retry-after"]) > 0
            assert late.ended()
        assert crowd[1].send(get("/healthz", "Connection: close")).answer().status == 200
        assert crowd[1].ended()
        # A place is free again.
        assert ask(port, get("/healthz")).status == 200


def test_the_limit_of_open_files_is_raised_as_far_as_it_may(file_limit, capsys):
    _, hard = file_limit
    resource.setrlimit(resource.RLIMIT_NOFILE, (512, hard))
    raise_file_limit(1_000)
    assert resource.getrlimit(resource.RLIMIT_NOFILE) == (1_000 + FILES_BESIDE_CONNECTIONS, hard)
    raise_file_limit(10)
    assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] == 1_000 + FILES_BESIDE_CONNECTIONS
    assert "few-open-files" not in capsys.readouterr().out
    raise_file_limit(hard)
    assert resource.getrlimit(resource.RLIMIT_NOFILE) == (hard, hard)
    assert "few-open-files" in capsys.readouterr().out
