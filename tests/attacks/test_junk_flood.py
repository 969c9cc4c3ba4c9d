# SPDX-License-Identifier: Apache-2.0
"""Junk that tries to fill the log: strangers send what no member signed, as fast as they can.

The access log is append-only, so whoever could make it grow could make it unusable. What is not signed by a member
leaves no event, no row and no secret behind: it is counted, and the heartbeat of the period says how many there were.
Nor does it become load on the chain: who is a member is known without asking for each message.
"""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from node.access.box import Envelope, encode_envelope
from node.crypto.ed25519 import Ed25519Signer
from node.errors import AccessDenied, InvalidInput, NodeError, Verification
from tests.support.exchange_world import COURT, MARKET, TAX
from tests.support.node_world import seed_of

STRANGER = "11520100000000019P"


def test_nothing_of_it_is_written_down(world):
    before, commits = world.nodes[MARKET].sizes(), world.nodes[MARKET].store.commits
    kid = world.exchange_key(MARKET).kid
    junk = [
        b"",
        b"{}",
        b"\xff" * 5_000,
        encode_envelope(Envelope(COURT, MARKET, kid, bytes(1_136 + 4_096))),
        encode_envelope(Envelope(STRANGER, MARKET, kid, bytes(1_136 + 4_096))),
        encode_envelope(Envelope(COURT, TAX, kid, bytes(1_136 + 4_096))),
        encode_envelope(Envelope(MARKET, MARKET, kid, bytes(1_136 + 4_096))),
        encode_envelope(Envelope(COURT, MARKET, "0" * 16, bytes(1_136 + 4_096))),
        encode_envelope(Envelope(COURT, MARKET, "reply", bytes(1_136 + 4_096))),
    ]
    for body in junk:
        with pytest.raises((InvalidInput, Verification, AccessDenied)):
            world.post.deliver(MARKET, body)
    assert world.nodes[MARKET].sizes() == before
    assert world.nodes[MARKET].store.commits == commits
    assert world.rejects[MARKET] == len(junk)


def test_a_signature_by_another_key_is_nobodys(world):
    token, _ = world.sign_request(signer=Ed25519Signer(seed_of("thief")))
    with pytest.raises(Verification, match="no valid node key"):
        world.post.deliver(MARKET, world.seal(token))
    assert (world.kinds(MARKET), world.rejects[MARKET]) == ([], 1)


def test_strangers_cost_the_chain_nothing(world):
    calls = []
    client = world.exchanges[MARKET].provider._side.directory._chain
    client.member = calls.append
    kid = world.exchange_key(MARKET).kid
    for _ in range(50):
        with pytest.raises(AccessDenied):
            world.post.deliver(MARKET, encode_envelope(Envelope(STRANGER, MARKET, kid, bytes(1_136 + 4_096))))
    assert calls == []


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_changed_envelope_is_never_logged(world, data):
    body = bytearray(world.seal(world.sign_request()[0]))
    events = len(world.events(MARKET))
    at = data.draw(st.integers(0, len(body) - 1))
    body[at] ^= data.draw(st.integers(1, 255))
    with pytest.raises(NodeError):
        world.post.deliver(MARKET, bytes(body))
    assert len(world.events(MARKET)) == events


def test_what_a_member_signs_and_nobody_can_read_is_his(world):
    from node.crypto.jws import sign_jws

    token = sign_jws("exchange-request+jwt", {"v": 1}, world.nodes[COURT].keys.node)
    for _ in range(3):
        with pytest.raises(AccessDenied, match="refused"):
            world.post.deliver(MARKET, world.seal(token))
    ((index, deny),) = world.events(MARKET)
    assert (deny.kind, world.values(MARKET, index)["peer"]) == ("deny", COURT)
    assert world.rejects[MARKET] == 0
