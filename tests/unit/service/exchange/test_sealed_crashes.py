# SPDX-License-Identifier: Apache-2.0
"""A node dies between any two steps of a sealed look: nothing was given that the inspector does not hold, nothing counted twice.

Each commit of one of the three nodes fails in turn, stored or not, as a power cut would leave it; that node starts again,
and what was on its way comes once more.
"""

from __future__ import annotations

from collections import Counter

import pytest

from node.errors import Fatal
from node.service.exchange.sending import VALID_SECONDS
from tests.support.exchange_world import COURT, MARKET, crash
from tests.support.sealed_world import INSPECTOR, SealedWorld

COMMITS = {COURT: 3, MARKET: 2, INSPECTOR: 3}
"""What one sealed look takes on each node."""


def check(world):
    """Whatever stands sealed in a log is held, and no request has more than its one event of each part."""
    held = world.depository.boxes(after=None, limit=1_000)
    boxes = {one.box for one in held}
    for code, most in ((COURT, 2), (MARKET, 1)):
        sealed = [event for _, event in world.events(code, "sealed")]
        assert {event.box for event in sealed} <= boxes
        assert all(count <= most for count in Counter(event.rid for event in sealed).values())
    (issued,) = world.depository.warrants(after=None, limit=10)
    assert issued.used == len({one.rid for one in held if one.part == "ask"})


@pytest.mark.parametrize("code", [COURT, MARKET, INSPECTOR])
def test_crash_at_every_commit_of_each_node(code):
    with SealedWorld() as world:
        world.nodes[MARKET].import_penalties(range(2))
        world.anchor()
        warrant = world.issue(looks=50)
        for number in range(COMMITS[code]):
            for stored in (True, False):
                node = world.nodes[code]
                before = node.store.commits
                crash(node, number, stored=stored)
                shown = []
                try:
                    shown = [one for one in world.ask(warrant=warrant) if one.answer is not None]
                except Fatal:
                    assert code == COURT
                assert node.store.commits == before + number + 1, "that commit was reached"
                # What was shown would have needed every one of them.
                assert all(one.result == "deny" for one in shown)
                node.store.faults.clear()
                world.restart(code)
                if code == MARKET:
                    # The asker tries again: it is answered from its one event, or now.
                    assert world.post.deliver(MARKET, world.post.sent[-1][1])
                check(world)
        world.clock.advance(seconds=VALID_SECONDS + 61)
        world.anchor()
        world.exchanges[COURT].tend()
        check(world)
        assert world.ask_one(warrant=warrant).result == "ok"
        check(world)
        # Each look that began has an end at the asker.
        begun = {event.rid for _, event in world.events(COURT, "sealed")}
        ended = Counter(event.rid for _, event in world.events(COURT, "sealed"))
        plain = {event.rid for _, event in world.events(COURT, "receive")}
        assert all(ended[rid] == 2 or rid in plain for rid in begun)


def test_a_box_whose_event_was_never_logged_is_held_and_harms_nobody():
    with SealedWorld() as world:
        world.nodes[MARKET].import_penalties(range(2))
        world.anchor()
        warrant = world.issue()
        crash(world.nodes[COURT], 0, stored=False)
        with pytest.raises(Fatal):
            world.ask_one(warrant=warrant)
        world.nodes[COURT].store.faults.clear()
        world.restart(COURT)
        (orphan,) = world.depository.boxes(after=None, limit=10)
        assert (orphan.part, orphan.owner) == ("ask", COURT)
        assert world.events(COURT, "sealed") == []
        assert world.ask_one(warrant=warrant).result == "ok"
        (issued,) = world.depository.warrants(after=None, limit=10)
        assert issued.used == 2
