# SPDX-License-Identifier: Apache-2.0
"""Drop at the provider: market regulation answers the court, and takes the answer out of its log before it is anchored.

Somebody there does not want it known what was given, or to whom. Until the next anchor the chain knows nothing of it, and whoever owns
the machine puts store and head files back to before the answer; a program that he changed asks no other member, and goes on.

He lacks two things: what the court's log says, and the receipt that his own node signed before it let anything out. The court's node
shows its receipts to the auditor. Another entry at the promised place convicts at once, whatever he puts there and before
anybody could call the request unsettled; a quarter of an hour later it is named too that an answer was received which nobody
gave. `make demo-exchange` does it with real nodes.
"""

from __future__ import annotations

import pytest

from node.access.receipt import parse_receipt
from node.log.fork import Form, parse_fork
from tests.support.audit_world import codes_of
from tests.support.exchange_audit import audit_both, settle
from tests.support.exchange_world import COURT, MARKET
from tests.support.two_histories import live_on, take_copy, verify_offline

NOT_HONOURED = "receipt-not-honoured"


@pytest.fixture
def promised(world):
    """The receipt of an answer that the regulator's log does not have any more."""
    copy = take_copy(world.nodes[MARKET])
    outcome = world.ask_one()
    assert outcome.result == "ok"
    live_on(world, MARKET, copy)
    assert world.kinds(MARKET) == []
    return outcome.answer.grant.receipt


def convicted(world, promised, tmp_path):
    """The one receipt that was not honoured, held against its proof; all codes that were found."""
    report = audit_both(world)
    (finding,) = [each for each in report.findings.listed if each.code == NOT_HONOURED]
    assert (finding.member, finding.receipts) == (MARKET, (promised,))
    proof = parse_fork(finding.proof)
    assert (proof.form, proof.b, proof.index) == (Form.RECEIPT, promised, parse_receipt(promised).idx)
    code, printed = verify_offline(world, tmp_path, finding.file, finding.proof)
    assert (code, MARKET in printed) == (0, True), printed
    return codes_of(report)


def test_the_next_anchor_convicts_it_at_once(world, promised, tmp_path):
    world.anchor()
    assert convicted(world, promised, tmp_path) == {NOT_HONOURED}


def test_once_the_request_is_settled_the_missing_answer_is_named_with_the_receipt(world, promised, tmp_path):
    settle(world)
    assert convicted(world, promised, tmp_path) == {NOT_HONOURED, "answer-missing"}
    (missing,) = [each for each in audit_both(world).findings.listed if each.code == "answer-missing"]
    assert (missing.member, promised in missing.receipts) == (MARKET, True)


def test_an_answer_that_it_logs_again_is_another_entry(world, promised, tmp_path):
    """It answers the same request once more, so that both logs fit together; the entry has other salts."""
    (_, body), *_ = world.post.sent
    world.post.deliver(MARKET, body)
    assert world.kinds(MARKET) == ["grant"]
    settle(world)
    assert convicted(world, promised, tmp_path) == {NOT_HONOURED}


def test_before_its_next_checkpoint_nothing_is_said(world, promised):
    """Until it signs a state without the entry it may still log it."""
    world.anchor(COURT)
    assert codes_of(audit_both(world)) == set()
    assert promised
