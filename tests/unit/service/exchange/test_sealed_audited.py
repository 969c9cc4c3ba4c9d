# SPDX-License-Identifier: Apache-2.0
"""What an auditor makes of sealed looks: nothing, as long as they are sealed; afterwards they are looks like any other."""

from tests.support.audit_world import codes_of
from tests.support.exchange_audit import audit, settle
from tests.support.exchange_world import MARKET
from tests.support.sealed_world import INSPECTOR, SealedWorld

HOUR = 3_600


def looks(world):
    """One look of each ending: given, refused, without answer, given and not shown."""
    warrant = world.issue(looks=10, seconds=HOUR, open_seconds=6 * HOUR)
    world.nodes[MARKET].import_penalties(range(2))
    world.anchor()
    assert world.ask_one(warrant=warrant).result == "ok"

    def go(body):
        world.post.away = {INSPECTOR}
        return body

    world.post.on_request = go
    assert world.ask_one(warrant=warrant).result == "deny"
    world.post.on_request, world.post.away = lambda body: body, {MARKET}
    assert world.ask_one(warrant=warrant).result == "failed"
    world.post.on_answer, world.post.away = go, set()
    assert world.ask_one(warrant=warrant).result == "failed"
    world.post.away = set()


def remarks(report):
    return {code for code, _ in report.findings.remarks}


def test_sealed_looks_of_every_ending_are_no_finding_before_their_day_and_none_after():
    with SealedWorld() as world:
        looks(world)
        settle(world)
        report = audit(world)
        assert codes_of(report) == set(), [f.text("en") for f in report.findings.listed]
        assert "still-sealed" in remarks(report)
        (held, *_) = world.depository.boxes(after=None, limit=1)
        while world.clock.now_seconds() <= held.open_by + HOUR:
            world.clock.advance(seconds=200)
            world.anchor()
        settle(world)
        report = audit(world)
        assert codes_of(report) == set(), [f.text("en") for f in report.findings.listed]
        assert {"still-sealed", "sealed-unseen"} & remarks(report) == set()
