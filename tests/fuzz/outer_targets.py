# SPDX-License-Identifier: Apache-2.0
"""Statements that stand in other members' logs, what speaks HTTP to a node, and files that people hand to commands."""

from __future__ import annotations

import asyncio
from functools import cache

from uvicorn.server import ServerState

from cli.chain import load_founder
from cli.subjects_file import read_subjects
from node.api.edge import MAX_HEAD_BYTES
from node.api.server import ServerLimits, build_server_config
from node.chain.network import build_network_member
from node.client.peers import PeerLimits, _Away, _Busy, _Connection, _Message, _Peer, _Target
from node.core.canonical import encode_json, parse_json
from node.crypto.secp256k1 import parse_address
from node.errors import InvalidInput, Unavailable
from node.log.merkle import EMPTY_ROOT
from node.log.succession import TYP as SUCCESSION_TYP
from node.log.succession import Succession, build_succession, parse_succession, verify_succession
from node.records.tombstone import (
    GROUNDS,
    TOMBSTONE_TYP,
    Tombstone,
    build_tombstone,
    parse_tombstone,
    verify_tombstone,
)
from tests.fuzz.case import ONE, Target, scratch_directory
from tests.fuzz.signed import claims_of, sign_claims
from tests.support.many import companies
from tests.support.one_exchange import ASKER, NODE_KEYS, NOW

_SIGNER = NODE_KEYS[ASKER]
_SIZE = 4_096
_RE_ENCODED = "see token; the claims are rebuilt from what was read"
_BEFORE, _LOG = f"zj.example/{ASKER}/records/0", f"zj.example/{ASKER}/records/1"


def _succession(data):
    """Only what was signed is one."""
    verify_succession(data, public=_SIGNER.public, origin=_LOG)
    assert data in _successions()


def _succession_claims(data):
    token = sign_claims(data, SUCCESSION_TYP, ASKER, max_bytes=_SIZE)
    assert build_succession(parse_succession(token), _SIGNER) == token


def _tombstone(data):
    """Only what was signed is one."""
    verify_tombstone(data, lambda _kid, _member: _SIGNER.public)
    assert data in _tombstones()


def _tombstone_claims(data):
    token = sign_claims(data, TOMBSTONE_TYP, ASKER, max_bytes=_SIZE)
    assert build_tombstone(parse_tombstone(token), _SIGNER) == token


class _Stream:
    """Stands for both ends of a connection; what comes is there at once, in pieces."""

    def __init__(self, data=b""):
        self._pieces = [data[at : at + 700] for at in range(0, len(data), 700)]
        self.transport = self

    async def read(self, _most):
        return self._pieces.pop(0) if self._pieces else b""

    def write(self, _data):
        pass

    async def drain(self):
        pass

    def abort(self):
        pass


@cache
def _loop():
    return asyncio.new_event_loop()


def _peer_answer(data):
    """A byte that says which request, then whatever whoever listens at a member's address sends."""
    message = _Message("POST", "/exchange/v1", b"{}") if data[:1] < b"g" else _Message("GET", "/x", b"")
    limits = PeerLimits(answer_bytes=_SIZE)
    peer = _Peer(_Target(ASKER, "127.0.0.1", 1, None), limits, None)
    try:
        answer = _loop().run_until_complete(
            peer._converse(_Connection(_Stream(data[1:]), _Stream()), message)
        )
    except _Away as away:
        raise Unavailable("peer-away", f"no answer: {away.kind}") from None
    except _Busy as busy:
        raise Unavailable("peer-busy", f"asked again in {busy.after_seconds:.0f} seconds") from None
    assert len(answer) <= limits.answer_bytes


class _Caller:
    """Stands for the transport of a caller, and for its socket."""

    def __init__(self):
        self.written, self._closing = b"", False

    def get_extra_info(self, name):
        return self if name == "socket" else None

    def getsockname(self):
        return "127.0.0.1", 1

    getpeername = getsockname

    def setsockopt(self, *_options):
        pass

    def is_closing(self):
        return self._closing

    def write(self, data):
        self.written += data

    def close(self):
        self._closing = True

    abort = close

    def pause_reading(self):
        pass

    resume_reading = set_protocol = pause_reading


class _Application:
    """Reads the body, and answers."""

    class state:  # noqa: N801  as an application has it
        language = "en"

    async def __call__(self, scope, receive, send):
        assert scope["type"] == "http"
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            if not message["more_body"]:
                break
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
        await send({"type": "http.response.body", "body": b"ok"})


@cache
def _server():
    limits = ServerLimits(timeout_seconds=60, idle_seconds=60, max_connections=1)
    config = build_server_config(_Application(), limits, drain_seconds=1, tls=None)
    config.load()
    return config


def _server_request(data):
    """What a caller sends before anything of ours has read it: every answer is HTTP, and nothing else happens."""
    loop, caller, state = _loop(), _Caller(), ServerState()
    connection = _server().http_protocol_class(config=_server(), server_state=state, app_state={}, _loop=loop)
    raised = []
    loop.set_exception_handler(lambda _loop, context: raised.append(context))
    connection.connection_made(caller)
    for at in range(0, len(data), 700):
        connection.data_received(data[at : at + 700])
        loop.run_until_complete(asyncio.sleep(0))
    for _ in range(20):
        loop.run_until_complete(asyncio.sleep(0))
    connection.connection_lost(None)
    while state.tasks:
        loop.run_until_complete(asyncio.sleep(0))
    assert not raised, raised
    first = caller.written.split(b" ", 2)[1] if caller.written else b""
    assert first in {b"", b"100", b"200", b"400", b"431", b"501"}, first
    if first not in {b"100", b"200"}:
        raise InvalidInput("http-400", "no request, or the beginning of one")


def _member_file(data):
    path = scratch_directory() / "member.json"
    path.write_bytes(data)
    founder = load_founder(path, None)
    # It can stand in the network file and on the chain.
    roles = [str(role.name).lower() for role in founder.roles]
    build_network_member(founder.code, founder.name, parse_address(founder.operator), roles)
    # Nothing of it was passed over, or taken for something else.
    said = parse_json(data, max_bytes=len(data))
    kept = {"code": founder.code, "name": founder.name, "roles": set(roles), "v": 1}
    for name in ("operator", "recovery"):
        kept[name] = parse_address(getattr(founder, name))
        said[name] = parse_address(said[name])
    assert kept == said | {"roles": {role.lower() for role in said["roles"]}}


def _subjects(data):
    """A byte that says which type, then the file."""
    path = scratch_directory() / "subjects"
    path.write_bytes(data[1:])
    subjects = read_subjects(path, ("uscc", "name", "org", "reg", "rid")[data[0] % 5 if data else 0], None)
    assert subjects
    assert len(set(subjects)) == len(subjects)


@cache
def _successions():
    said = Succession(ASKER, NOW, _BEFORE, 512, bytes(range(32)), "restored-backup")
    empty = Succession(ASKER, NOW, _BEFORE, 0, EMPTY_ROOT, "planned")
    return [build_succession(each, _SIGNER).encode() for each in (said, empty)]


@cache
def _tombstones():
    return [
        build_tombstone(Tombstone(ASKER, NOW, 7, bytes(range(32)), ground, NOW, NOW + 9), _SIGNER).encode()
        for ground in list(GROUNDS)[:2]
    ]


def _answers():
    head = b"content-type: application/json\r\n"
    return [
        b"PHTTP/1.1 200 OK\r\n" + head + b"content-length: 2\r\n\r\n{}",
        b"gHTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
        b'PHTTP/1.1 409 Conflict\r\ncontent-length: 17\r\n\r\n{"code":"a-b-cd"}',
        b"PHTTP/1.1 503 Busy\r\nRetry-After: 7\r\ncontent-length: 0\r\n\r\n",
        b"PHTTP/1.1 200 OK\r\n\r\nup to the end",
    ]


def _requests():
    head = b"Host: node\r\nAuthorization: Bearer x\r\n"
    return [
        b"GET /v1/status?a=b HTTP/1.1\r\n" + head + b"\r\n",
        b"POST /exchange/v1 HTTP/1.1\r\n"
        + head
        + b"Content-Length: 2\r\n\r\n{}GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
    ]


def _member_files():
    said = {
        "code": ASKER,
        "name": "市监局",
        "operator": "0x" + "01" * 20,
        "recovery": "0x" + "02" * 20,
        "roles": ["issuer", "consumer"],
        "v": 1,
    }
    return [encode_json(said) + b"\n", encode_json(said | {"roles": []})]


def _subject_files():
    ids = companies(2)
    return [
        b"\x00" + "\n".join(ids).encode(),
        b"\x00" + ("序号,统一社会信用代码\r\n1," + ids[0] + "\r\n2," + ids[1] + "\r\n").encode("gb18030"),
        b"\x01" + "名称\n某某公司\n".encode(),
    ]


TARGETS = (
    Target("succession", "node.log.succession.verify_succession", _succession, _successions, ONE),
    Target(
        "succession-claims",
        "node.log.succession.parse_succession, signed",
        _succession_claims,
        lambda: claims_of(_successions()),
        _RE_ENCODED,
        words=(b'"reason":"planned"', b"/records/1", b'"size":0'),
    ),
    Target("tombstone", "node.records.tombstone.verify_tombstone", _tombstone, _tombstones, ONE),
    Target(
        "tombstone-claims",
        "node.records.tombstone.parse_tombstone, signed",
        _tombstone_claims,
        lambda: claims_of(_tombstones()),
        _RE_ENCODED,
        words=(b'"ground":"ordered"', b'"erased":0'),
    ),
    Target(
        "peer-answer",
        "node.client.peers, what answers at a member's address",
        _peer_answer,
        _answers,
        "HTTP; the answer's body is an envelope, which has one",
        words=(b"HTTP/1.1 100 Continue\r\n\r\n", b"Retry-After: ", b"Transfer-Encoding: chunked", b"\r\n"),
    ),
    Target(
        "server-request",
        "node.api.server, whatever comes before the application",
        _server_request,
        _requests,
        "HTTP",
        words=(b"Transfer-Encoding: chunked", b"Content-Length: ", b"\r\n", b"Upgrade: websocket", b"%00"),
        largest=MAX_HEAD_BYTES + 4_096,
    ),
    Target(
        "member-file",
        "cli.chain.load_founder",
        _member_file,
        _member_files,
        "as json, addresses as address, roles in any order and case; no signature covers it",
        words=(b'"roles":1', b'"gateway"', b'"name":""'),
    ),
    Target(
        "subjects-file",
        "cli.subjects_file.read_subjects",
        _subjects,
        _subject_files,
        "as csv; a subject stands once",
        words=("统一社会信用代码".encode(), b"\xef\xbb\xbf", b"\t", b'"'),
    ),
)
