# SPDX-License-Identifier: Apache-2.0
"""Documents of other members over real sockets: a node that has it, one that has not, one that is somebody else."""

from __future__ import annotations

from hashlib import sha256

import pytest

from node.client.documents import MemberDocuments
from node.client.peers import PeerLimits, PeerPost
from node.core.types import MemberCode
from node.errors import AccessDenied, Conflict, NotFound, Unavailable
from node.ports import Endpoint, MemberStatus, Role
from tests.support.certificates import Authority
from tests.support.chain import SimulatedChain
from tests.support.errors import raises_code
from tests.support.node_world import build_identity
from tests.support.peer_server import key_pin, peer_server
from tests.support.records import OTHER_MEMBER
from tests.support.rows import ISSUER

DATA = b'{"v":1}'
DIGEST = sha256(DATA).digest()


@pytest.fixture
def source():
    """Documents of two members; ``source.place`` says where the other one is."""
    founders = [(MemberCode(m), build_identity(m).operator, Role.ISSUER) for m in (ISSUER, OTHER_MEMBER)]
    chain = SimulatedChain(founders)
    client = chain.client(build_identity(OTHER_MEMBER).operator)
    post = PeerPost(PeerLimits(attempts=1), allow_plain=True)
    made = MemberDocuments(client, post)
    made.chain = chain

    def place(url, tls_key=None):
        signed = client.sign_set_endpoint(Endpoint(url, tls_key), client.next_nonce())
        client.send(signed.raw)
        assert client.find_outcome(signed.tx_hash).status == 1

    made.place = place
    yield made
    post.close()


def give(conversation):
    """Answer like a node that has one document."""
    while True:
        conversation._more()
        head, _, conversation._waiting = conversation._waiting.partition(b"\r\n\r\n")
        if not head:
            return
        conversation.server.requests.append(head)
        if head.startswith(b"GET /documents/%s HTTP/1.1" % DIGEST.hex().encode()):
            conversation.answer(DATA)
        else:
            conversation.answer(b'{"code":"document-unknown"}', 404)


def fetch(source, digest=DIGEST, most_bytes=1 << 20):
    return source.fetch_document(MemberCode(OTHER_MEMBER), digest, most_bytes=most_bytes)


def test_active_members_are_asked_in_their_order(source):
    assert source.holders() == [ISSUER, OTHER_MEMBER]
    members = source.chain.state.members
    object.__setattr__(members[ISSUER], "status", MemberStatus.SUSPENDED)
    assert source.holders() == [OTHER_MEMBER]


def test_a_document_comes_from_where_the_chain_says(source):
    with peer_server(give) as server:
        source.place(f"http://127.0.0.1:{server.port}")
        assert fetch(source) == DATA
        with raises_code(Conflict, "peer-refused"):
            fetch(source, bytes(32))


def test_a_member_that_says_nothing_is_not_asked(source):
    with raises_code(NotFound, "document-unknown"):
        fetch(source)


def test_a_document_that_is_too_large_is_refused(source):
    with peer_server(give) as server:
        source.place(f"http://127.0.0.1:{server.port}")
        with raises_code(Unavailable, "peer-answer"):
            fetch(source, most_bytes=len(DATA) - 1)


def test_only_the_key_on_the_chain_is_taken(source, tmp_path):
    files, other = (Authority(tmp_path).issue(name) for name in ("node", "other"))
    with peer_server(give, files) as server:
        source.place(f"https://127.0.0.1:{server.port}", key_pin(files))
        assert fetch(source) == DATA
        source.place(f"https://127.0.0.1:{server.port}", key_pin(other))
        asked = len(server.requests)
        with raises_code(AccessDenied, "peer-certificate"):
            fetch(source)
        assert len(server.requests) == asked, "nothing was sent"


def test_nobody_there(source):
    with peer_server(give) as server:
        port = server.port
    source.place(f"http://127.0.0.1:{port}")
    with raises_code(Unavailable, "peer-away"):
        fetch(source)
