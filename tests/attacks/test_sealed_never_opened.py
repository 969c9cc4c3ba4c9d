# SPDX-License-Identifier: Apache-2.0
"""A sealed event that is never opened: what was to be hidden for a time is kept hidden for good.

A node withholds its sealed event beyond the warrant's day: an auditor who asks for the openings is given none, and names that
node, and no other. Or it had the regulator hold something that is not what the event says: the box does not open, or
opens to other values than those whose digests stand in the event. Nothing of this makes an honest node look guilty.
"""

from __future__ import annotations

from hashlib import sha256

import pytest

from node.access.box import encode_envelope, parse_envelope
from node.access.deposit import (
    MAX_DEPOSITED_BYTES,
    build_deposit,
    open_deposited,
    parse_deposited,
    seal_deposit,
)
from node.access.event import parse_event
from node.access.sealed import seal_openings, verify_sealed
from node.access.warrant import parse_warrant
from node.cage.audit import Audit, Given
from node.cage.proof import MemoryScratch
from node.cage.walk import Rules
from node.crypto.hpke import OVERHEAD_BYTES
from node.crypto.token import token_digest
from node.errors import Verification
from node.service.drafting import EventDraft
from tests.support.audit_world import codes_of
from tests.support.errors import raises_code
from tests.support.exchange_audit import PERIOD, OwnChain, OwnLog, policy_of, settle
from tests.support.exchange_world import COURT, MARKET
from tests.support.sealed_world import INSPECTOR, WHY, SealedWorld

HOUR = 3_600
RID = bytes(range(16))


@pytest.fixture
def world():
    """One sealed look, and its day is over."""
    with SealedWorld() as made:
        made.nodes[MARKET].import_penalties(range(2))
        made.anchor()
        warrant = made.issue(seconds=HOUR, open_seconds=HOUR)
        assert made.ask_one(warrant=warrant).result == "ok"
        settle(made)
        made.clock.advance(seconds=HOUR)
        made.anchor()
        yield made


class Withholding(OwnLog):
    """A node whose program opens nothing that is sealed, whatever the day."""

    def fetch_openings(self, start, stop):
        given = super().fetch_openings(start, stop)
        entries = self.fetch_entries(start, stop)
        return [
            [] if b'"kind":"sealed"' in entry else texts for entry, texts in zip(entries, given, strict=True)
        ]


class Silent(OwnLog):
    """A node that an auditor has no right to ask for openings."""

    def fetch_openings(self, _start, _stop):
        return None


def audit(world, **kinds):
    sources = [kinds.get(code, OwnLog)(node) for code, node in world.nodes.items()]
    rules = Rules(4 * PERIOD, 4 * HOUR, world.clock.now_seconds())
    given = Given(complete=True)
    return Audit(sources, OwnChain(world), policy_of(world), rules, MemoryScratch(), given).run()


def test_a_node_that_withholds_its_sealed_event_is_named_and_no_other(world):
    report = audit(world, **{MARKET: Withholding})
    assert codes_of(report) == {"sealed-unopened"}
    assert [one.member for one in report.findings.listed] == [MARKET]
    assert report.findings.listed[0].proof is not None


def test_nobody_is_named_where_nobody_opened_or_asked(world):
    """The inspector never looked; the nodes open all the same. And an audit without openings names nobody."""
    assert codes_of(audit(world)) == set()
    report = audit(world, **dict.fromkeys(world.nodes, Silent))
    assert "sealed-unopened" not in codes_of(report)
    assert "sealed-unseen" in {code for code, _ in report.findings.remarks}


def deposit(world, box):
    """Hand the inspector whatever the court's own program sealed."""
    warrant = world.issue()
    token = build_deposit(
        signer=world.nodes[COURT].keys.node,
        iss=COURT,
        aud=INSPECTOR,
        iat=world.clock.now_seconds(),
        rid=RID,
        part="ask",
        peer=MARKET,
        ask=None,
        box=box,
        warrant=warrant,
    )
    public = world.exchange_key(INSPECTOR).public
    body = encode_envelope(seal_deposit(token, public=public, from_=COURT, to=INSPECTOR))
    answer = parse_envelope(world.depository.take(body), max_plaintext_bytes=MAX_DEPOSITED_BYTES)
    given = open_deposited(answer, world.exchange_key(COURT), req=token_digest(token))
    assert parse_deposited(given).code is None, "it cannot be told from an honest one before it is opened"
    return warrant


def test_noise_is_seen_when_it_is_opened(world):
    box = bytes(4_096 + OVERHEAD_BYTES)
    deposit(world, box)
    with raises_code(Verification, "box-open"):
        world.depository.open(sha256(box).digest(), WHY)
    # That somebody looked at it stands in the log nevertheless; and it stays among those that nobody opened.
    assert world.kinds(INSPECTOR)[-1] == "audit"
    assert world.depository.find(sha256(box).digest()).opened is None


def test_openings_of_another_event_are_seen_once_the_event_is_at_hand(world):
    (index, _), *_ = world.events(COURT, "sealed")
    other = OwnLog(world.nodes[COURT]).fetch_openings(index, index + 1)[0]
    public = world.exchange_key(INSPECTOR).public
    box = seal_openings(other, public=public, from_=COURT, to=INSPECTOR)
    warrant = parse_warrant(deposit(world, box))
    logged = world.nodes[COURT].services.access.log(
        EventDraft(
            kind="sealed",
            peer=MARKET,
            purpose="something else",
            items=[],
            rid=RID,
            box=sha256(box).digest(),
            open_by=warrant.open_by,
            warrant=warrant.digest,
        )
    )
    opened = world.depository.open(sha256(box).digest(), WHY)
    with raises_code(Verification, "opening-digest"):
        verify_sealed(parse_event(logged.event), box, opened.openings)
