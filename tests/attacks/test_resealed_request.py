# SPDX-License-Identifier: Apache-2.0
"""A request re-sealed to another node: a provider, or whoever holds its exchange key, passes a question on.

The regulator was asked, and would like to know what the tax office answers, or to have the court's question counted
there. The request names whom it is for, the ask event names the peer, the envelope is bound into the box: each of the
three fails by itself. The answer would be of no use to him anyway: it is sealed to the court's reply key.
"""

from __future__ import annotations

import pytest

from node.access.box import Envelope, encode_envelope, parse_envelope
from node.errors import AccessDenied, Verification
from tests.support.exchange_world import COURT, MARKET, TAX

LIMIT = 1 << 18


def test_the_request_inside_names_whom_it_is_for(world):
    token, reply = world.sign_request(to=MARKET)
    passed_on = world.seal(token, to=TAX)
    refused = world.open(world.post.deliver(TAX, passed_on), token, reply)
    assert (refused.result, refused.code) == ("deny", "request-aud")
    assert world.kinds(TAX) == ["deny"]


def test_a_request_that_is_signed_anew_has_an_ask_for_somebody_else(world):
    refused = world.ask_by_hand(to=TAX, ask={"peer": MARKET})
    assert (refused.result, refused.code) == ("deny", "receipt-aud")


def test_the_envelope_cannot_be_readdressed(world):
    token, _ = world.sign_request(to=MARKET)
    envelope = parse_envelope(world.seal(token, to=MARKET), max_plaintext_bytes=LIMIT)
    for changed in (
        Envelope(envelope.from_, TAX, world.exchange_key(TAX).kid, envelope.box),
        Envelope(TAX, envelope.to, envelope.kid, envelope.box),
        Envelope(envelope.from_, envelope.to, world.exchange_key(TAX).kid, envelope.box),
    ):
        with pytest.raises(Verification):
            world.post.deliver(changed.to, encode_envelope(changed))
    assert world.kinds(MARKET) == world.kinds(TAX) == []
    assert world.rejects[MARKET] + world.rejects[TAX] == 3


def test_a_member_cannot_pass_off_the_courts_question_as_its_own(world):
    token, _ = world.sign_request(by=COURT, to=MARKET)
    with pytest.raises(Verification):
        world.post.deliver(MARKET, world.seal(token, by=TAX, to=MARKET))
    assert world.rejects[MARKET] == 1


def test_a_stranger_is_nobody(world):
    token, _ = world.sign_request()
    stranger = "11520100000000019P"
    with pytest.raises(AccessDenied, match="no member"):
        world.post.deliver(MARKET, world.seal(token, by=stranger))
    assert (world.kinds(MARKET), world.rejects[MARKET]) == ([], 1)


def test_the_answer_of_another_question_is_not_taken(world):
    world.ask_one()
    first = world.post.answers[0]
    world.post.on_answer = lambda _body: first
    outcome = world.ask_one()
    assert (outcome.result, outcome.code, outcome.records) == ("failed", "box-open", ())


def test_the_answer_of_another_provider_is_not_taken(world):
    world.post.on_request = lambda body: body
    token, reply = world.sign_request(to=MARKET)
    del token, reply
    real = world.post.deliver
    world.post.deliver = lambda _member, body: real(MARKET, body)
    outcome = world.ask_one(providers=(TAX,))
    assert (outcome.result, outcome.records) == ("failed", ())
