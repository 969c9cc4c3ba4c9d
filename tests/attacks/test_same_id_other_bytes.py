# SPDX-License-Identifier: Apache-2.0
"""Same id with other bytes: an asker uses one ``rid`` for two questions.

If the provider took the second for a repetition of the first, one look would stand in the logs for two; if it gave the
first answer, the asker could claim later that he had asked something else. The provider compares bytes, not ids: the
same bytes get the same answer, other bytes under a used id are refused and logged, whatever became of the first.
"""

from __future__ import annotations

import pytest

from node.service.limiting import read_counts
from tests.support.exchange_world import COURT, MARKET, VCT


def test_the_second_question_is_refused_and_both_are_logged(world):
    rid = bytes(range(16))
    first = world.ask_by_hand(rid=rid)
    second = world.ask_by_hand(rid=rid, items=[{"vct": VCT["permit:2018"], "fields": ["XK_WSH"]}])
    assert first.result == "ok"
    assert (second.result, second.code, second.records) == ("deny", "request-replayed", ())
    assert world.kinds(MARKET) == ["grant", "deny"]
    (_, grant), (_, deny) = world.events(MARKET)
    assert grant.rid == deny.rid == rid
    assert grant.req != deny.req


def test_also_after_the_first_was_refused_and_after_a_restart(world):
    rid = bytes(range(16))
    assert world.ask_by_hand(rid=rid, case=None).code == "case-required"
    world.restart(MARKET)
    assert world.ask_by_hand(rid=rid).code == "request-replayed"
    assert world.kinds(MARKET) == ["deny", "deny"]


def test_long_after_the_first_is_forgotten(world):
    rid = bytes(range(16))
    world.ask_by_hand(rid=rid)
    world.clock.advance(seconds=3_000)
    world.anchor()
    world.exchanges[MARKET].tend()
    assert world.ask_by_hand(rid=rid).code == "request-replayed"


def test_two_askers_may_draw_the_same_id(world):
    rid = bytes(range(16))
    assert world.ask_by_hand(rid=rid).result == "ok"
    other = world.ask_by_hand(by=world_tax(), rid=rid, purpose="licence-review", basis="licensing-law-34")
    assert other.result == "ok"


def world_tax():
    from tests.support.exchange_world import TAX

    return TAX


@pytest.mark.parametrize("asked", [1, 2])
def test_repeating_is_charged_once(world, asked):
    token, _ = world.sign_request()
    body = world.seal(token)
    for _ in range(asked):
        world.post.deliver(MARKET, body)
    node = world.nodes[MARKET]
    counts = read_counts(
        node.store,
        node.keys.index,
        member=COURT,
        officer=None,
        purpose="pre-listing",
        at=world.clock.now_seconds(),
    )
    assert counts.member_hour == 1
