# SPDX-License-Identifier: Apache-2.0
"""Messages to peers over real sockets: peers that are slow, cut off, lie, say too much or are somebody else."""

from __future__ import annotations

import socket
from concurrent.futures import wait
from itertools import count

import pytest

from node.client.peers import PeerLimits, PeerPost
from node.errors import AccessDenied, Conflict, InvalidInput, Unavailable
from node.ports.peers import PeerAddress
from tests.support.certificates import Authority
from tests.support.peer_server import echo, key_pin, peer_server
from tests.support.rows import ISSUER

GUARD_SECONDS = 120
OTHER = "11520100008000017N"
SHORT = PeerLimits(connect_seconds=2, whole_seconds=0.4, attempts=3)
PATIENT = PeerLimits(connect_seconds=5, whole_seconds=15, attempts=3)


@pytest.fixture
def post():
    made = []

    def make(limits=PATIENT, **options):
        made.append(PeerPost(limits, allow_plain=True, **options))
        return made[-1]

    yield make
    for one in made:
        one.close()


def plain(server, member=ISSUER):
    return PeerAddress(member, f"http://127.0.0.1:{server.port}", None)


def secure(server, pin):
    return PeerAddress(ISSUER, f"https://127.0.0.1:{server.port}", pin)


def fails(future, code, kind=Unavailable):
    with pytest.raises(kind) as caught:
        future.result(GUARD_SECONDS)
    assert caught.value.code == code
    return caught.value.message


def test_the_answer_comes_back_and_the_connection_is_used_again(post):
    with peer_server() as server:
        peers = post()
        for number in range(5):
            assert peers.send(plain(server), b"ask %d" % number).result(GUARD_SECONDS) == b"ASK %d" % number
        assert server.connections == 1
        assert server.requests[0][0].startswith(b"POST /exchange/v1 HTTP/1.1\r\n")
        assert f"Host: 127.0.0.1:{server.port}".encode() in server.requests[0][0]


def test_many_at_once_have_connections_of_their_own_up_to_the_limit(post):
    with peer_server() as server:
        peers = post(PeerLimits(in_flight=4, waiting=100))
        futures = [peers.send(plain(server), b"ask %d" % number) for number in range(60)]
        answers = [future.result(GUARD_SECONDS) for future in futures]
        assert answers == [b"ASK %d" % number for number in range(60)]
        assert server.connections <= 4


def test_the_pinned_key_is_taken_whatever_name_its_certificate_has(tmp_path, post):
    files = Authority(tmp_path).issue("elsewhere", hosts=("10.9.8.7",))
    with peer_server(files=files) as server:
        assert post().send(secure(server, key_pin(files)), b"ask").result(GUARD_SECONDS) == b"ASK"


def test_another_key_is_told_nothing_and_asked_once(tmp_path, post):
    authority = Authority(tmp_path)
    ours, theirs = authority.issue("ours"), authority.issue("theirs")
    with peer_server(files=theirs) as server:
        fails(post().send(secure(server, key_pin(ours)), b"ask"), "peer-certificate", AccessDenied)
        assert server.requests == []
        assert server.connections == 1


@pytest.mark.parametrize(
    ("url", "pin"),
    [
        ("http://192.0.2.7:80", None),
        ("http://node.example", None),
        ("https://127.0.0.1:1", None),
        ("ftp://127.0.0.1", bytes(32)),
        ("https://user@127.0.0.1", bytes(32)),
        ("https://127.0.0.1:0", bytes(32)),
        ("https://127.0.0.1:99999", bytes(32)),
        ("https://127.0.0.1/elsewhere", bytes(32)),
        ("https://", bytes(32)),
        ("https://node\n.example", bytes(32)),
        ("", None),
        ("https://" + "a" * 600, bytes(32)),
    ],
)
def test_addresses_that_cannot_be_used_are_refused(post, url, pin):
    fails(post().send(PeerAddress(ISSUER, url, pin), b"ask"), "peer-address", InvalidInput)


def test_plain_http_is_refused_unless_it_was_allowed():
    with peer_server() as server:
        peers = PeerPost(PATIENT)
        try:
            fails(peers.send(plain(server), b"ask"), "peer-address", InvalidInput)
            assert server.connections == 0
        finally:
            peers.close()


def test_a_peer_that_says_nothing_is_given_up(post):
    with peer_server(lambda talk: (talk.request(), talk.wait())) as server:
        fails(post(SHORT).send(plain(server), b"ask"), "peer-slow")
        # On a busy machine the time may be over before the server has read it.
        assert len(server.requests) <= 1


def test_a_peer_that_answers_byte_by_byte_is_given_up(post):
    def drip(talk):
        talk.request()
        talk.socket.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
        while not talk.server.released.wait(0.02):
            talk.socket.sendall(b"x")

    with peer_server(drip) as server:
        fails(post(SHORT).send(plain(server), b"ask"), "peer-slow")


def test_a_peer_that_does_not_take_the_request_is_given_up(post):
    with peer_server(lambda talk: talk.wait()) as server:
        fails(post(SHORT).send(plain(server), b"x" * (64 << 20)), "peer-slow")


def test_a_peer_that_never_shakes_hands_is_given_up(tmp_path, post):
    files = Authority(tmp_path).issue("node")
    with peer_server(lambda talk: talk.wait()) as server:
        limits = PeerLimits(connect_seconds=0.2, whole_seconds=15, attempts=1)
        fails(post(limits).send(secure(server, key_pin(files)), b"ask"), "peer-away")


def test_nobody_at_the_address(post):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        address = PeerAddress(ISSUER, f"http://127.0.0.1:{taken.getsockname()[1]}", None)
        assert "ConnectionRefusedError" in fails(post().send(address, b"ask"), "peer-away")


def test_a_slow_peer_holds_up_no_other(post):
    with peer_server(lambda talk: (talk.request(), talk.wait())) as slow, peer_server() as quick:
        peers = post(PeerLimits(in_flight=2, waiting=50, whole_seconds=15))
        stuck = [peers.send(plain(slow, OTHER), b"ask") for _ in range(50)]
        for _ in range(20):
            assert peers.send(plain(quick), b"ask").result(GUARD_SECONDS) == b"ASK"
        assert not any(future.done() for future in stuck)


def test_what_waits_for_one_peer_is_bounded(post):
    with peer_server(lambda talk: (talk.request(), talk.wait())) as server:
        peers = post(PeerLimits(in_flight=2, waiting=3, whole_seconds=15))
        futures = [peers.send(plain(server), b"ask") for _ in range(9)]
        done, _ = wait(futures, GUARD_SECONDS, return_when="FIRST_EXCEPTION")
        refused = [future for future in futures if future.done()]
        assert done
        fails(refused[0], "peer-busy")
        assert len(futures) - 5 >= len(refused) >= 1


def test_a_connection_that_breaks_brings_the_same_bytes_again(post):
    tries = count()

    def breaks_twice(talk):
        if next(tries) < 2:
            talk.request()
        else:
            echo(talk)

    with peer_server(breaks_twice) as server:
        assert post().send(plain(server), b"ask").result(GUARD_SECONDS) == b"ASK"
        assert [body for _, body in server.requests] == [b"ask"] * 3


def test_it_is_not_tried_for_ever(post):
    with peer_server(lambda talk: talk.request()) as server:
        fails(post().send(plain(server), b"ask"), "peer-away")
        assert len(server.requests) == 3


def test_an_idle_connection_that_the_peer_closed_costs_no_attempt(post):
    def once(talk):
        talk.answer(talk.request().upper())

    with peer_server(once) as server:
        peers = post(PeerLimits(attempts=1))
        for _ in range(4):
            assert peers.send(plain(server), b"ask").result(GUARD_SECONDS) == b"ASK"
        assert server.connections == 4


@pytest.mark.parametrize("status", [429, 503])
def test_a_busy_peer_is_asked_again_when_it_said(post, status):
    tries = count()

    def busy_once(talk):
        while (body := talk.request()) is not None:
            if next(tries) == 0:
                talk.answer(b"{}", status, "Retry-After: 0")
            else:
                talk.answer(body.upper())

    with peer_server(busy_once) as server:
        assert post().send(plain(server), b"ask").result(GUARD_SECONDS) == b"ASK"
        assert len(server.requests) == 2


def busy_until(later):
    """A script of a peer that is busy and says until when."""

    def busy(talk):
        while talk.request() is not None:
            talk.answer(b"{}", 503, f"Retry-After: {later}")

    return busy


def test_a_peer_that_is_busy_for_longer_than_there_is_time_is_given_up_at_once(post):
    with peer_server(busy_until("9999")) as server:
        fails(post().send(plain(server), b"ask"), "peer-busy")
        assert len(server.requests) == 1


@pytest.mark.parametrize("later", ["99999999999999999999", "Wed, 21 Oct 2026 07:28:00 GMT", "-1", ""])
def test_a_busy_peer_that_names_no_seconds_is_asked_again_after_one(post, later):
    with peer_server(busy_until(later)) as server:
        fails(post(PeerLimits(attempts=2)).send(plain(server), b"ask"), "peer-busy")
        assert len(server.requests) == 2


@pytest.mark.parametrize("with_length", [True, False])
def test_an_answer_that_is_too_large_is_given_up(post, with_length):
    def pour(talk):
        talk.request()
        length = "Content-Length: 10000000\r\n" if with_length else "Transfer-Encoding: chunked\r\n"
        talk.socket.sendall(f"HTTP/1.1 200 OK\r\n{length}\r\n".encode())
        piece = b"x" * 4096
        while True:
            talk.socket.sendall(piece if with_length else b"1000\r\n" + piece + b"\r\n")

    with peer_server(pour) as server:
        fails(post(PeerLimits(answer_bytes=100_000)).send(plain(server), b"ask"), "peer-answer")
        assert len(server.requests) == 1


@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"SSH-2.0-OpenSSH_9.6\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        b"HTTP/1.1 200 OK\r\nX: " + b"y" * 100_000,
        b"HTTP/1.1 999999 OK\r\n\r\n",
    ],
)
def test_what_is_no_answer_is_none(post, said):
    def say(talk):
        talk.request()
        talk.socket.sendall(said)

    with peer_server(say) as server:
        fails(post(PeerLimits(attempts=1)).send(plain(server), b"ask"), "peer-away")


def test_bytes_behind_an_answer_are_never_taken_for_the_next_one(post):
    def smuggle(talk):
        while (body := talk.request()) is not None:
            again = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nfalse"
            talk.socket.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n" + body.upper() + again)

    with peer_server(smuggle) as server:
        peers = post()
        assert [peers.send(plain(server), b).result(GUARD_SECONDS) for b in (b"one", b"two")] == [
            b"ONE",
            b"TWO",
        ]


def test_a_refusal_names_its_code(post):
    def refuse(talk):
        talk.request()
        talk.answer(b'{"code":"envelope-to","detail":"<script>"}', 400)

    with peer_server(refuse) as server:
        message = fails(post().send(plain(server), b"ask"), "peer-refused", Conflict)
        assert "envelope-to" in message
        assert "script" not in message
        assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (404, b"not found"),
        (302, b""),
        (400, b'{"code":"\\u001b[2J"}'),
        (500, b"[]"),
        (400, b'{"code":7}' * 9000),
    ],
)
def test_a_status_without_a_code_of_ours_is_no_answer(post, status, body):
    def refuse(talk):
        talk.request()
        talk.answer(body, status, "Location: http://127.0.0.1:1/")

    with peer_server(refuse) as server:
        fails(post().send(plain(server), b"ask"), "peer-answer")
        assert len(server.requests) == 1


def test_a_member_that_moved_is_found_at_its_new_address(post):
    peers = post()
    with peer_server() as old:
        peers.send(plain(old), b"ask").result(GUARD_SECONDS)
    with peer_server() as new:
        assert peers.send(plain(new), b"ask").result(GUARD_SECONDS) == b"ASK"


def test_closing_gives_up_what_is_on_its_way():
    peers = PeerPost(PATIENT, allow_plain=True)
    with peer_server(lambda talk: (talk.request(), talk.wait())) as server:
        future = peers.send(plain(server), b"ask")
        peers.close()
        peers.close()
        fails(future, "stopping")
        with pytest.raises(Unavailable, match="stopping"):
            peers.send(plain(server), b"ask")
