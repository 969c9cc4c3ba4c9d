# SPDX-License-Identifier: Apache-2.0
"""A consent is used more often than the subject agreed to: again, twice at once, after a crash, elsewhere, for more.

The subject agreed to one question. The provider, whom the consent names, counts its uses in the commit that logs the
grant: there is no moment at which the answer is out and the use is not counted, and none at which two questions find
the same use free.
"""

from __future__ import annotations

import threading

import pytest

from node.access.consent import build_consent
from node.access.question import parse_items, parse_subject
from node.errors import Fatal, NodeError
from node.service.limiting import read_used, revoke
from tests.support.exchange_world import COURT, MARKET, TAX, VCT
from tests.support.rows import COMPANY

FIELDS = ["CF_CFLB", "CF_WSH"]
ITEMS = [{"vct": VCT["penalty:2018"], "fields": FIELDS}]
ASKED = {"purpose": "window-query", "basis": "credit-regulation-query", "case": None, "items": ITEMS}


def consent(world, *, uses=1, seconds=3_600, aud=MARKET, asker=COURT, subject=COMPANY, items=ITEMS, jti=0):
    now = world.clock.now_seconds()
    return build_consent(
        signer=world.nodes[COURT].keys.node,
        iss=COURT,
        aud=aud,
        iat=now,
        exp=now + seconds,
        jti=bytes([jti] * 16),
        asker=asker,
        subject=parse_subject({"type": "uscc", "id": subject}),
        items=parse_items(items),
        purpose="window-query",
        uses=uses,
    )


def used(world, token):
    from node.crypto.token import token_digest

    return read_used(world.nodes[MARKET].store, token_digest(token)).uses


def test_once_is_once(world):
    given = consent(world)
    assert world.ask_by_hand(consent=given, **ASKED).result == "ok"
    again = world.ask_by_hand(consent=given, **ASKED)
    assert (again.result, again.code) == ("deny", "consent-used-up")
    assert used(world, given) == 1


def test_a_repeated_request_uses_nothing(world):
    given = consent(world)
    body = world.seal(world.sign_request(consent=given, **ASKED)[0])
    assert world.post.deliver(MARKET, body) == world.post.deliver(MARKET, body)
    assert used(world, given) == 1


def test_of_many_at_once_one_is_answered(world):
    given = consent(world)
    requests = [world.sign_request(consent=given, **ASKED) for _ in range(8)]
    results = []

    def ask(token, reply):
        results.append(world.open(world.post.deliver(MARKET, world.seal(token)), token, reply).result)

    threads = [threading.Thread(target=ask, args=request) for request in requests]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(results) == ["deny"] * 7 + ["ok"]
    assert used(world, given) == 1


@pytest.mark.parametrize("stored", [True, False])
def test_a_crash_counts_both_or_neither(world, stored):
    given = consent(world)
    token, reply = world.sign_request(consent=given, **ASKED)
    # The first commit is the gossip's; the second one logs the grant.
    store = world.nodes[MARKET].store
    store.faults[store.commits + 1] = (Fatal("store-commit-failed", "power cut"), stored)
    with pytest.raises(NodeError):
        world.post.deliver(MARKET, world.seal(token))
    assert used(world, given) == len(world.events(MARKET, "grant")) == int(stored)
    world.restart(MARKET)
    assert world.open(world.post.deliver(MARKET, world.seal(token)), token, reply).result == "ok"
    assert used(world, given) == len(world.events(MARKET, "grant")) == 1


def test_a_consent_that_was_taken_back_is_none(world):
    from node.crypto.token import token_digest

    given = consent(world, uses=3)
    assert world.ask_by_hand(consent=given, **ASKED).result == "ok"
    now = world.clock.now_seconds()
    world.nodes[MARKET].services.sequencer.run(
        lambda transaction: revoke(transaction, token_digest(given), end=None, at=now)
    )
    assert world.ask_by_hand(consent=given, **ASKED).code == "consent-revoked"


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"aud": TAX}, "consent-aud"),
        ({"asker": TAX}, "consent-asker"),
        ({"subject": "91320100MA0000023K"}, "consent-subject"),
        ({"items": [{"vct": VCT["penalty:2018"], "fields": ["CF_WSH"]}]}, "consent-scope"),
        ({"seconds": 1}, "consent-expired"),
    ],
)
def test_for_somebody_or_something_else_it_is_none(world, changes, code):
    given = consent(world, **changes)
    world.clock.advance(seconds=2)
    refused = world.ask_by_hand(consent=given, **ASKED)
    assert (refused.result, refused.code) == ("deny", code)
    assert used(world, given) == 0


def test_without_one_there_is_no_answer(world):
    assert world.ask_by_hand(**ASKED).code == "consent-required"
