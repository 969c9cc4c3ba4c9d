# SPDX-License-Identifier: Apache-2.0
"""Callers who hold connections and do nothing: each wait of the server for them has an end.

No test looks at a clock. The server's limits are short; a caller waits for what the server does.
"""

from contextlib import suppress
from math import ceil

import pytest

from node.api.app import build_app
from node.api.edge import BODY_STEP_BYTES
from node.api.server import ServerLimits
from tests.support.api_world import new_app
from tests.support.http_server import GUARD_SECONDS, Wire, ask_again, ask_to_end, get, listening

TIMEOUT_SECONDS = 1.0
"""Far more than a caller takes between two steps, also on a busy machine."""
LIMITS = ServerLimits(timeout_seconds=TIMEOUT_SECONDS, idle_seconds=TIMEOUT_SECONDS, max_connections=64)
NEVER = ServerLimits(timeout_seconds=600, idle_seconds=600, max_connections=64)
"""Limits that no test lives to see: whatever ends a connection then is another limit than the one under test."""
DRIPS = 2_000
"""More bytes than a caller gets rid of, one every 20 ms."""


@pytest.fixture(scope="module")
def port(world):
    world.bare_app = new_app(timeout_seconds=TIMEOUT_SECONDS)
    with listening(world.app, LIMITS) as found:
        yield found


def search(world, length):
    return (
        f"POST /api/v1/records/search HTTP/1.1\r\nHost: node\r\nAuthorization: Bearer {world.tokens['officer']}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n"
    )


def is_slow(answer):
    assert (answer.status, answer.json["code"]) == (408, "request-slow")
    assert answer.headers["connection"] == "close"
    return True


def test_a_connection_on_which_nothing_comes(port):
    with Wire(port) as wire:
        assert wire.ended()


@pytest.mark.parametrize(
    "start", ["G", "GET /healthz HTTP/1.1\r\n", "GET /healthz HTTP/1.1\r\nHost: node\r\nX: "]
)
def test_a_head_that_stops(port, start):
    assert is_slow(ask_to_end(port, start))


def test_a_head_that_comes_byte_by_byte(port):
    """Slowloris: each byte used to buy more time."""
    with Wire(port) as wire:
        assert wire.drip(b"GET /healthz HTTP/1.1\r\nHost: node\r\nX: " + b"x" * DRIPS) < DRIPS


def test_a_second_head_that_comes_byte_by_byte(port):
    with Wire(port) as wire:
        first = wire.send(get("/healthz")).answer()
        # On a busy machine that one may be too slow already.
        assert first is None or first.status in {200, 408}
        assert wire.drip(b"GET /healthz HTTP/1.1\r\nHost: node\r\nX: " + b"x" * DRIPS) < DRIPS


def test_a_connection_left_open(world):
    with listening(world.app, ServerLimits(600, TIMEOUT_SECONDS, 64)) as port, Wire(port) as wire:
        # In one piece: nothing but the last answer leaves it open.
        wire.send(get("/healthz") * 3)
        assert [wire.answer().status for _ in range(3)] == [200] * 3
        assert wire.ended()


def test_a_body_that_stops(world, port):
    assert is_slow(ask_to_end(port, search(world, 100) + "{"))


def test_a_body_that_comes_byte_by_byte(world, port):
    with Wire(port) as wire:
        wire.send(search(world, DRIPS))
        assert wire.drip(b" " * DRIPS) < DRIPS


def test_an_upload_that_stops(world, port):
    request = (
        f"POST /api/v1/imports HTTP/1.1\r\nHost: node\r\nAuthorization: Bearer {world.tokens['operator']}\r\n"
        "Content-Type: multipart/form-data; boundary=b\r\nTransfer-Encoding: chunked\r\n\r\n"
    )
    part = '--b\r\nContent-Disposition: form-data; name="file"; filename="a.csv"\r\n\r\nx'
    assert is_slow(ask_to_end(port, f"{request}{len(part):x}\r\n{part}\r\n"))
    assert world.stored_uploads() == []


def test_a_body_may_take_longer_the_more_of_it_has_come(world):
    """An upload over a slow line is no attack: what counts is that it goes on."""
    pieces = 12
    world.bare_app = new_app(timeout_seconds=10)
    with listening(world.app, NEVER) as port, Wire(port) as wire:
        wire.send(search(world, pieces * BODY_STEP_BYTES))
        for _ in range(pieces):
            # 20 × 50 ms for each step, a tenth of a timeout: all of them together are longer than one.
            wire.drip(b" " * 20, 0.05)
            wire.send(b" " * (BODY_STEP_BYTES - 20))
        assert wire.answer().json["code"] == "request-shape"


def test_what_came_fast_buys_no_time(world):
    """An upload that stops half way is held for one timeout, however much of it has come."""
    world.bare_app = build_app(
        None, None, language="zh", max_upload_bytes=1 << 26, version="0", timeout_seconds=TIMEOUT_SECONDS
    )
    request = (
        f"POST /api/v1/imports HTTP/1.1\r\nHost: node\r\nAuthorization: Bearer {world.tokens['operator']}\r\n"
        f"Content-Type: multipart/form-data; boundary=b\r\nContent-Length: {1 << 25}\r\n\r\n"
        '--b\r\nContent-Disposition: form-data; name="file"; filename="a.csv"\r\n\r\n'
    )
    with listening(world.app, NEVER) as port, Wire(port) as wire:
        # Each piece used to buy a timeout: together more than the guard of this wire.
        pieces = ceil(2 * GUARD_SECONDS / TIMEOUT_SECONDS)
        assert is_slow(wire.send(request).send(b"x" * pieces * BODY_STEP_BYTES).answer())


def test_a_body_after_the_answer(port):
    """Whoever was refused before his body was read cannot go on sending it for ever."""
    with Wire(port) as wire:
        wire.send("POST /api/v1/records/search HTTP/1.1\r\nHost: node\r\nContent-Length: 100000\r\n\r\n")
        assert wire.drip(b" " * DRIPS) < DRIPS


def test_an_answer_that_nobody_reads(port):
    """More than all buffers on the way hold: the connection is cut off, and what was written is let go."""
    with Wire(port, receive_bytes=4_096) as wire:
        wire.send(get("/openapi.json") * 400)
        while True:
            try:
                wire.send(get("/openapi.json"))
            except OSError:
                break


def test_others_are_served_meanwhile(world, port):
    with Wire(port) as head, Wire(port) as body, Wire(port) as idle:
        for wire, start in ((head, "GET /healthz HTTP/1.1\r\nX: "), (body, search(world, 100) + "{")):
            with suppress(OSError):
                wire.send(start)
        assert ask_again(port, get("/healthz")).status == 200
        for wire in (head, body):
            # None where the machine was so busy that the connection ended before anything came on it.
            answer = wire.answer()
            assert answer is None or is_slow(answer)
        assert idle.ended()
    assert ask_again(port, get("/readyz")).status == 200


def test_callers_who_go_away_are_no_fault(world, port, capsys):
    for request in (
        search(world, 100) + "{",
        "GET /healthz HTTP/1.1\r\n",
        get("/openapi.json"),
        search(world, 2) + "{}",
    ):
        with Wire(port) as wire:
            wire.send(request)
    assert ask_again(port, get("/healthz")).status == 200
    logged = capsys.readouterr()
    assert "fault" not in logged.out + logged.err
