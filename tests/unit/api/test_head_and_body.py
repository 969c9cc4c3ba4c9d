# SPDX-License-Identifier: Apache-2.0
"""The head of an answer goes out with the body that follows at once, and never waits for one that does not."""

import asyncio

from node.api.server import HeadAndBody

HEAD = b"HTTP/1.1 200 OK\r\n\r\n"


class Wire:
    """A transport that keeps what is written; implements what the server uses of ``asyncio.Transport``."""

    def __init__(self):
        self.written = []
        self.closed = False

    def write(self, data):
        assert not self.closed
        self.written.append(bytes(data))

    def close(self):
        self.closed = True

    def is_closing(self):
        return self.closed

    def resume_reading(self):
        self.written.append("reads on")

    def abort(self):
        self.closed = True


def run(steps):
    """Let ``steps`` write, and give what was on the wire when it returned, and some turns of the loop later."""

    async def play():
        wire = Wire()
        transport = HeadAndBody(wire, asyncio.get_running_loop())
        steps(transport)
        before = list(wire.written)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        return before, wire.written, wire.closed

    return asyncio.run(play())


def test_head_and_body_are_one_write():
    def steps(transport):
        for data in (HEAD, b"body", b""):
            transport.write(data)

    assert run(steps) == ([HEAD + b"body"], [HEAD + b"body"], False)


def test_a_head_whose_body_comes_later_goes_out_with_the_next_turn():
    assert run(lambda transport: transport.write(HEAD)) == ([], [HEAD], False)


def test_a_head_without_a_body_goes_out_when_the_answer_ends():
    def steps(transport):
        transport.write(HEAD)
        transport.write(b"")

    assert run(steps) == ([HEAD], [HEAD], False)


def test_order_is_kept_and_nothing_is_written_twice():
    parts = [b"a", HEAD, HEAD, b"b", b"c", HEAD, b"HTTP/1.1 is in this body"]

    def steps(transport):
        for data in parts:
            transport.write(data)

    before, after, _ = run(steps)
    assert b"".join(before) == b"".join(after) == b"".join(parts)


def test_what_is_held_goes_out_before_the_connection_closes():
    def steps(transport):
        transport.write(HEAD)
        transport.close()
        assert transport.is_closing()

    assert run(steps) == ([HEAD], [HEAD], True)
