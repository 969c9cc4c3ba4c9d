# SPDX-License-Identifier: Apache-2.0
"""A receipt that is not honoured: a regulator gives an answer, promises the court its event, and takes it out of its log.

Its administrator puts the whole machine back to before the answer and lets it go on; other events take the place of the
``grant`` and are anchored. The court holds the answer with the receipt in it. Whoever has the log's entries sees another one
at the promised place, and that alone convicts. Where the regulator shows its entries to nobody the court demands the one
entry on the chain: the answer pins another leaf than was promised, and silence becomes a default, each of which convicts.
The control is a regulator that kept its word: the same demand clears it.
"""

from __future__ import annotations

import json

import pytest

from node.access.receipt import parse_receipt
from node.evidence.promises import ReceiptFile, encode_receipt_file
from node.evidence.receipts import verify_receipt_file
from tests.support.audit_world import codes_of
from tests.support.exchange_audit import audit, settle
from tests.support.exchange_world import COURT, MARKET
from tests.support.node_world import WHY
from tests.support.two_histories import (
    ReceiptEyes,
    live_on,
    log_of,
    take_copy,
    trust,
    verify_offline,
)

DAY_SECONDS = 86_400


@pytest.fixture
def promised(world):
    """What the court holds: the grant and its receipt. The regulator is as it was before."""
    copy = take_copy(world.nodes[MARKET])
    grant = world.ask_one().answer.grant
    live_on(world, MARKET, copy)
    return grant


def go_on(world):
    """The regulator's log goes on with looks of its own, and is anchored."""
    market = world.nodes[MARKET]
    for _ in range(4):
        market.services.records.show(market.leaf(0), WHY)
    world.anchor()


def judge(world, grant):
    """What a stranger with the policy finds about the receipt, who may ask the chain; whom it convicts."""
    data = encode_receipt_file(ReceiptFile(grant.receipt, grant.event.decode(), tuple(grant.open)))
    now = world.clock.now_seconds()
    ruling = verify_receipt_file(data, trust(world), now_seconds=now, chain=ReceiptEyes(world.chain))
    return ruling.finding.name, ruling.convicts


def take_to_its_end(world, grant):
    """The court demands the entry on the chain, step by step, as ``ironcage receipt demand`` does."""
    court, (origin, _) = world.nodes[COURT], log_of(world.nodes[MARKET])
    return court.services.demands.advance(origin, parse_receipt(grant.receipt).idx, sleep=court.sleep)


def test_who_reads_the_log_sees_that_another_entry_stands_there(world, promised, tmp_path):
    go_on(world)
    settle(world)
    report = audit(world, receipts=[promised.receipt])
    assert codes_of(report) == {"receipt-not-honoured", "answer-missing"}
    finding = next(each for each in report.findings.listed if each.code == "receipt-not-honoured")
    assert (finding.member, finding.values["index"]) == (MARKET, parse_receipt(promised.receipt).idx)
    code, printed = verify_offline(world, tmp_path, finding.file, finding.proof)
    assert code == 0, printed
    assert MARKET in printed


def test_an_audit_without_the_receipt_names_what_is_missing(world, promised):
    go_on(world)
    settle(world)
    report = audit(world)
    assert codes_of(report) == {"answer-missing"}
    (finding,) = report.findings.listed
    assert (finding.code, finding.member) == ("answer-missing", MARKET)
    assert promised.receipt


def test_what_its_own_node_answers_to_the_demand_convicts_it(world, promised):
    go_on(world)
    assert judge(world, promised) == ("unshown", None)
    assert take_to_its_end(world, promised).state == "open"
    market = world.nodes[MARKET]
    assert market.services.demands.serve(sleep=market.sleep) == 1
    assert take_to_its_end(world, promised).state == "answered"
    assert judge(world, promised) == ("not-honoured", MARKET)


def test_silence_becomes_a_default_that_convicts_it(world, promised):
    go_on(world)
    take_to_its_end(world, promised)
    world.clock.advance(seconds=DAY_SECONDS - 1_000)
    assert take_to_its_end(world, promised).done is None, "it has a day"
    world.clock.advance(seconds=2_000)
    world.chain.mine()
    assert take_to_its_end(world, promised).state == "overdue"
    assert judge(world, promised) == ("unshown", None)
    world.chain.mine(101)
    assert take_to_its_end(world, promised).state == "defaulted"
    assert judge(world, promised) == ("not-honoured", MARKET)


def test_who_never_anchors_that_far_is_convicted_without_a_demand(world, promised):
    """It would have to keep its log shorter than what it promised; then the time of the promise runs out."""
    world.clock.advance(seconds=4 * 3_600 + 60)
    world.chain.mine(102)
    assert judge(world, promised) == ("not-honoured", MARKET)


def test_who_kept_its_word_is_cleared_by_the_same_demand(world):
    grant = world.ask_one().answer.grant
    go_on(world)
    assert judge(world, grant) == ("unshown", None)
    take_to_its_end(world, grant)
    market = world.nodes[MARKET]
    market.services.demands.serve(sleep=market.sleep)
    assert judge(world, grant) == ("honoured", None)
    settle(world)
    assert codes_of(audit(world, receipts=[grant.receipt])) == set()
    assert json.loads(grant.event)["kind"] == "grant"
