# SPDX-License-Identifier: Apache-2.0
"""Logs of other members as gossip reads them: keys from the chain, tiles from their nodes."""

from __future__ import annotations

import pytest

from node.client.peerlogs import PeerLogs
from node.client.peers import PeerLimits, PeerPost
from node.errors import Unavailable
from node.log.tiles import tile_path
from node.ports import Endpoint
from node.service.layout import LogKind
from tests.support.node_world import NodeWorld
from tests.support.peer_server import peer_server


@pytest.fixture
def post():
    made = PeerPost(PeerLimits(attempts=1), allow_plain=True)
    yield made
    made.close()


class Directory:
    """The chain, as far as an endpoint is asked for; the rest is a simulated one's."""

    def __init__(self, chain, endpoint):
        self._chain = chain
        self.found = endpoint

    def endpoint(self, member):
        del member
        return self.found

    def log_info(self, log_id):
        return self._chain.log_info(log_id)


@pytest.fixture
def node():
    with NodeWorld() as made:
        made.join()
        made.import_penalties(range(300))
        made.anchor()
        yield made


def serve(reader, requests, *, cut=0):
    def script(talk):
        while True:
            head = b""
            while b"\r\n\r\n" not in head:
                data = talk.socket.recv(65_536)
                if not data:
                    return
                head += data
            path = head.split(b" ")[1].decode()
            requests.append(path)
            level, index, width = next(
                (level, index, width)
                for level in range(3)
                for index in range(3)
                for width in range(1, 257)
                if path == f"/log/records/0/{tile_path(level, index, width)}"
            )
            talk.answer(reader.tile(level, index, width)[: width * 32 - cut])

    return script


def test_keys_come_from_the_chain_and_tiles_from_the_node(node, post):
    requests, reader = [], node.records
    with peer_server(serve(reader, requests)) as server:
        endpoint = Endpoint(f"http://127.0.0.1:{server.port}", None)
        logs = PeerLogs(Directory(node.chain.client(""), endpoint), post)
        (vkey,) = logs.find_vkeys(reader.origin)
        assert vkey.name == reader.origin
        tiles = logs.open_tiles(reader.origin, 301)
        assert tiles.read_tile(0, 0) == reader.tile(0, 0, 256)
        assert tiles.read_tile(0, 1) == reader.tile(0, 1, 45)
        assert tiles.read_tile(1, 0) == reader.tile(1, 0, 1)
        assert tiles.read_tile(0, 2) == tiles.read_tile(2, 0) == b""
        assert requests == [
            "/log/records/0/tile/0/000",
            "/log/records/0/tile/0/001.p/45",
            "/log/records/0/tile/1/000.p/1",
        ]


def test_a_log_that_is_not_on_the_chain_has_no_keys(node, post):
    logs = PeerLogs(Directory(node.chain.client(""), None), post)
    assert logs.find_vkeys(node.records.origin.replace("/0", "/7")) == ()


def test_a_tile_of_another_length_is_none(node, post):
    with peer_server(serve(node.records, [], cut=32)) as server:
        logs = PeerLogs(
            Directory(node.chain.client(""), Endpoint(f"http://127.0.0.1:{server.port}", None)), post
        )
        with pytest.raises(Unavailable, match="tile of"):
            logs.open_tiles(node.records.origin, 301).read_tile(0, 0)


def test_a_member_that_says_nowhere_where_it_is(node, post):
    logs = PeerLogs(Directory(node.chain.client(""), None), post)
    with pytest.raises(Unavailable) as caught:
        logs.open_tiles(node.records.origin, 301).read_tile(0, 0)
    assert caught.value.code == "peer-unreachable"
    assert LogKind.RECORDS.text in node.records.origin
