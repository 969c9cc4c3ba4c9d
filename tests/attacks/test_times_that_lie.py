# SPDX-License-Identifier: Apache-2.0
"""A member dates what it signs as it likes: a promise of the year 2100 falls due never, an answer of 1970 was given by nobody.

Its node signs with the right key and logs what it should; only the times are its own. The other side believes its own
clock, and takes nothing whose time is not near it: whoever released on such a receipt could convict nobody.
"""

from __future__ import annotations

import pytest

from node.service.exchange import answering
from tests.support.exchange_world import COURT, MARKET

YEAR_2100 = 4_102_444_800


def date_receipts(world, code, change):
    """Have a member's node put another time into its receipts."""
    access = world.nodes[code].services.access
    sign = access._sign
    access._sign = lambda aud, index, leaf, rid, pair, iat: sign(aud, index, leaf, rid, pair, change(iat))


@pytest.mark.parametrize(
    "change", [lambda _: YEAR_2100, lambda iat: iat + 61, lambda iat: iat - 361], ids=["2100", "+61", "-361"]
)
def test_an_asker_whose_promise_is_of_another_time_gets_nothing(world, change):
    date_receipts(world, COURT, change)
    answer = world.ask_by_hand()
    assert (answer.result, answer.code, answer.records) == ("deny", "receipt-time", ())
    assert world.kinds(MARKET) == ["deny"]


@pytest.mark.parametrize(
    "change", [lambda _: YEAR_2100, lambda iat: iat + 61, lambda iat: iat - 361], ids=["2100", "+61", "-361"]
)
def test_a_provider_whose_promise_is_of_another_time_is_not_believed(world, change):
    date_receipts(world, MARKET, change)
    outcome = world.ask_one()
    assert (outcome.result, outcome.code, outcome.records) == ("failed", "receipt-time", ())


def test_a_receipt_is_not_of_another_time_than_its_event(world):
    date_receipts(world, MARKET, lambda iat: iat - 61)
    outcome = world.ask_one()
    assert (outcome.result, outcome.code, outcome.records) == ("failed", "receipt-time", ())


@pytest.mark.parametrize("iat", [1, YEAR_2100])
def test_an_answer_of_another_time_is_not_believed(world, monkeypatch, iat):
    build = answering.build_answer
    monkeypatch.setattr(answering, "build_answer", lambda **claims: build(**claims | {"iat": iat}))
    outcome = world.ask_one()
    assert (outcome.result, outcome.code, outcome.records) == ("failed", "answer-time", ())


def test_a_minute_between_the_clocks_is_nothing(world):
    date_receipts(world, MARKET, lambda iat: iat + 60)
    assert world.ask_one().result == "ok"
