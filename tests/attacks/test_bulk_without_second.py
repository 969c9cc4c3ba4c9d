# SPDX-License-Identifier: Apache-2.0
"""A question about many subjects above the purpose's cap, which its officer asks without anybody who approved it.

The department's own program leaves out the wait for a second officer. No other department sees it: who the officers are stands in the
asker's own log alone. An auditor who knows the purposes in force sees it there, and names the event. Who asks within the cap, or
with a second officer, is not named, nor is anybody whose purposes the auditor does not know.
"""

from __future__ import annotations

import pytest

from node.access.purposes import load_sample_purposes, parse_purposes
from node.access.question import AskedSubject
from node.cage.audit import Audit, Given
from node.cage.opened import mark_text
from node.cage.proof import MemoryScratch, parse_finding, verify_finding
from node.cage.walk import Rules
from node.service.drafting import DraftLine, EventDraft, Officer
from tests.support.exchange_audit import PERIOD, OwnChain, OwnLog, policy_of, settle
from tests.support.exchange_world import COURT, MARKET
from tests.support.many import APPROVED, CAP, LI, WANG, approve, ask_many, companies, market_world

CAPS = {
    mark_text(code): purpose.bulk_lines
    for code, purpose in parse_purposes(load_sample_purposes()).purposes.items()
}


@pytest.fixture
def world():
    with market_world() as made:
        yield made


def log_alone(world, lines, **changes):
    """Log a question about so many as the department's own program may, with the officer it likes."""
    draft = {
        "kind": "bulk",
        "peer": MARKET,
        "officer": LI,
        "purpose": "tender-check",
        "basis": "gov-procurement-22",
        "case": "2026-招-17",
        "items": [],
        "rule": "law",
        "lines": [DraftLine(AskedSubject("uscc", one), None) for one in companies(lines)],
    }
    world.nodes[COURT].services.access.log(EventDraft(**(draft | changes)))


def named(world, caps):
    settle(world)
    sources = [OwnLog(node) for node in world.nodes.values()]
    rules = Rules(PERIOD, 4 * 3_600, world.clock.now_seconds(), caps)
    report = Audit(sources, OwnChain(world), policy_of(world), rules, MemoryScratch(), Given()).run()
    return [one for one in report.findings.listed if one.code == "second-missing"]


def test_more_subjects_than_one_officer_may_ask_about_are_named(world):
    log_alone(world, CAP + 1)
    (found,) = named(world, CAPS)
    assert (found.member, found.values) == (COURT, {"lines": CAP + 1, "cap": CAP})
    file = parse_finding(found.proof)
    (shown,) = file.entries
    assert len(shown.opened) == 10, "the officer, too"
    assert verify_finding(file, policy_of(world)) is False, "sound; the cap stands in the purposes"


def test_within_the_cap_with_a_second_or_with_unknown_purposes_nobody_is_named(world):
    log_alone(world, CAP)
    log_alone(world, CAP + 1, officer=Officer("li", second=WANG))
    log_alone(world, CAP + 1, purpose="not in the purposes")
    ids = companies(CAP + 1)
    approve(world, ask_many(world, ids).waiting, ids)
    ask_many(world, ids)
    assert named(world, CAPS) == []
    log_alone(world, APPROVED)
    assert named(world, {}) == []


def test_an_officer_who_is_called_like_a_second_one_is_none(world):
    log_alone(world, CAP + 1, officer=Officer('li","second":{'))
    assert len(named(world, CAPS)) == 1
