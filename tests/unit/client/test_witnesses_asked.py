# SPDX-License-Identifier: Apache-2.0
"""Asking other members what they hold: who does not answer, or not so, is left out."""

from __future__ import annotations

from concurrent.futures import Future

from node.client.witnesses import PeerWitnesses
from node.core.canonical import encode_json
from node.errors import Unavailable
from node.ports import Endpoint, MemberStatus
from node.ports.witnesses import Held

ME, GOOD, AWAY, ODD, GONE, NOWHERE, NONE, LONG = (f"9133010600000000{number}X" for number in range(10, 18))


class Chain:
    """Members, and where they say that they are reached."""

    def members(self):
        kinds = {GONE: MemberStatus.REMOVED}
        return [
            type("Row", (), {"code": code, "status": kinds.get(code, MemberStatus.ACTIVE)})
            for code in (ME, GOOD, AWAY, ODD, GONE, NOWHERE, NONE, LONG)
        ]

    def endpoint(self, code):
        return None if code == NOWHERE else Endpoint(f"https://{code.lower()}.example", bytes(32))


class Post:
    """Answers by member."""

    def __init__(self, answers):
        self.answers = answers
        self.asked = []

    def get(self, address, path):
        self.asked.append((address.member, address.url, path))
        future = Future()
        answer = self.answers[address.member]
        if isinstance(answer, Exception):
            future.set_exception(answer)
        else:
            future.set_result(answer)
        return future


def test_those_that_answer_count():
    answers = {
        GOOD: encode_json({"notes": ["one\n", "two\n"], "sealed": "box"}),
        NONE: encode_json({"notes": [], "sealed": None}),
        AWAY: Unavailable("peer-away", "no answer"),
        ODD: b'{"notes": 7, "sealed": null}',
        LONG: encode_json({"notes": [], "sealed": "x" * 10_000}),
    }
    post = Post(answers)
    assert PeerWitnesses(Chain(), post).ask(ME) == [
        Held(GOOD, ("one\n", "two\n"), sealed="box"),
        Held(NONE),
    ]
    assert [member for member, _, _ in post.asked] == [GOOD, AWAY, ODD, NONE, LONG]
    assert {path for _, _, path in post.asked} == {f"/api/v1/held/{ME}"}
