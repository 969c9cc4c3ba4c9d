# SPDX-License-Identifier: Apache-2.0
"""Sockets on both sides send at once what is written: no body waits until its head is acknowledged."""

import os
import socket
import ssl
from contextlib import suppress
from pathlib import Path

import pytest

from node.api.server import build_tls
from node.client.peers import PeerPost
from node.ports.peers import PeerAddress
from tests.support.certificates import Authority
from tests.support.http_server import PATIENT, Wire, get, listening
from tests.support.peer_server import key_pin, peer_server
from tests.support.rows import ISSUER

GUARD_SECONDS = 120


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("authority")).issue("node")


def sends_at_once(here, there):
    """Whether the socket of this process between two addresses has Nagle's algorithm off."""
    for number in [int(one.name) for one in Path("/proc/self/fd").iterdir()]:
        with suppress(OSError), socket.socket(fileno=os.dup(number)) as found:
            if (found.getsockname(), found.getpeername()) == (here, there):
                return found.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) != 0
    raise LookupError(f"no socket between {here} and {there}")


@pytest.mark.parametrize("speaks_tls", [False, True], ids=["plain", "tls"])
def test_the_server_sends_at_once(world, files, speaks_tls):
    tls = build_tls(files.certificate, files.key) if speaks_tls else None
    with listening(world.app, PATIENT, tls) as port, Wire(port) as wire:
        ends = wire.socket.getpeername(), wire.socket.getsockname()
        if speaks_tls:
            wire.socket = ssl._create_unverified_context().wrap_socket(wire.socket)
        assert wire.send(get("/healthz")).answer().status == 200
        assert sends_at_once(*ends)


@pytest.mark.parametrize("speaks_tls", [False, True], ids=["plain", "tls"])
def test_the_connection_to_a_peer_sends_at_once(files, speaks_tls):
    seen = []

    def look(conversation):
        ends = conversation.socket.getpeername(), conversation.socket.getsockname()
        body = conversation.request()
        seen.append(sends_at_once(*ends))
        conversation.answer(body)

    with peer_server(look, files if speaks_tls else None) as server:
        url = f"{'https' if speaks_tls else 'http'}://127.0.0.1:{server.port}"
        peers = PeerPost(allow_plain=True)
        try:
            address = PeerAddress(ISSUER, url, key_pin(files) if speaks_tls else None)
            assert peers.send(address, b"question").result(GUARD_SECONDS) == b"question"
        finally:
            peers.close()
    assert seen == [True]
