# SPDX-License-Identifier: Apache-2.0
"""Drop on both sides: court and market regulation agree that a question was never asked, and both put their machines back.

No log has it, no anchor covers it, and neither shows the other's receipt: an audit of the logs finds nothing, and says so in docs/audit.md.
What remains is outside of their reach, or of one of them:

    any paper     the answer and the receipts that the officer kept (``ironcage ask --save``). Each receipt convicts its signer; one is enough
                  for both, since each side's receipt says that the other one was part of it
    the counter   records were opened for it. Where the count of unwraps is not put back with the rest (a key process on another
                  machine, a PKCS#11 token) more came out between two heartbeats than the looks between them say
    the subject   of whom a decision speaks that no look explains
"""

from __future__ import annotations

from itertools import count, pairwise

import pytest

from node.access.event import Heartbeat, parse_entry
from node.service.layout import LogKind
from tests.support.audit_world import codes_of
from tests.support.exchange_audit import audit, held_by, settle
from tests.support.exchange_world import COURT, MARKET
from tests.support.node_world import WHY
from tests.support.two_histories import live_on, take_copy


@pytest.fixture
def outcome(world):
    """What the officer has in his hands of a question that neither log has; the regulator's key process counts on."""
    world.nodes[MARKET].keeper._count = count(1).__next__
    world.nodes[MARKET].services.records.show(world.nodes[MARKET].leaf(0), WHY)
    world.anchor()
    copies = {code: take_copy(world.nodes[code]) for code in (COURT, MARKET)}
    outcome = world.ask_one()
    assert outcome.result == "ok"
    for code, copy in copies.items():
        live_on(world, code, copy)
    settle(world)
    return outcome


def beats(world, code):
    """The counts of unwraps in a node's heartbeats, with their indices, from the first that says one."""
    reader = world.nodes[code].services.readers[LogKind.ACCESS]
    entries = [(index, parse_entry(reader.entry(row))) for index, row in reader.rows(0, reader.size())]
    return [
        (index, entry.unwraps) for index, entry in entries if isinstance(entry, Heartbeat) and entry.unwraps
    ]


def test_the_logs_do_not_tell(world, outcome):
    assert outcome.receipts
    assert (world.kinds(COURT), world.kinds(MARKET)) == ([], ["read"])
    held = [receipt for node in world.nodes.values() for receipt in held_by(node)]
    report = audit(world, held=held)
    assert (held, codes_of(report)) == ([], set())


def test_one_paper_convicts_its_signer(world, outcome):
    ask = outcome.receipts[0]
    for receipt, signer in ((outcome.answer.grant.receipt, MARKET), (ask, COURT)):
        report = audit(world, receipts=[receipt])
        (finding,) = report.findings.listed
        assert (finding.code, finding.member) == ("receipt-not-honoured", signer)


def test_a_counter_that_nobody_put_back_tells_that_something_came_out(world, outcome):
    assert len(outcome.records) == 3
    counts = beats(world, MARKET)
    jumps = [(before[0], after[0]) for before, after in pairwise(counts) if after[1] - before[1] == 3]
    assert len(jumps) == 1, "three records came out between two heartbeats"
    ((start, stop),) = jumps
    assert [event.kind for index, event in world.events(MARKET) if start < index < stop] == []
