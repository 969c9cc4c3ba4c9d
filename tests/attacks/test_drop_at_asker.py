# SPDX-License-Identifier: Apache-2.0
"""Drop at the asker: an officer of the court looks somebody up who is no party of any case, and the court's log shall not show it.

    ask and receive are dropped      the provider holds the receipt of the ask, without which it answers nothing: another entry at its
                                     place convicts, and later it is named that an answer was given that nobody asked for
    the receive alone                the ask stands, and the provider's grant. Where the court logs nothing more it is named; where
                                     it logs that no answer came, that is what a lost message looks like: the audit remarks it, and
                                     convicts nobody
    the receive that was told        the next question to the same department carried the receipt of the receive: what that department
                                     holds, and shows the auditor, convicts the court of the receive alone, by a file

In the third case the court hides that it read the answer, never that it asked for it, why, and what was given. The next message to the same
department would have carried the receipt of the receive, as the last case shows; who never writes again has promised nothing.
"""

from __future__ import annotations

from node.access.receipt import parse_receipt
from node.log.fork import Form, parse_fork
from tests.support.audit_world import codes_of
from tests.support.exchange_audit import audit_both, held_by, settle
from tests.support.exchange_world import COURT, MARKET
from tests.support.two_histories import live_on, take_copy, verify_offline


def ask_and_keep(world):
    """Ask, and keep a copy of the court's machine as it was when the question was on its way; the copy."""
    copies = []

    def on_request(body):
        copies.append(take_copy(world.nodes[COURT]))
        return body

    world.post.on_request = on_request
    assert world.ask_one().result == "ok"
    (copy,) = copies
    return copy


def test_ask_and_receive(world, tmp_path):
    copy = take_copy(world.nodes[COURT])
    assert world.ask_one().result == "ok"
    live_on(world, COURT, copy)
    assert world.kinds(COURT) == []
    world.anchor()
    (finding,) = audit_both(world).findings.listed
    assert (finding.code, finding.member) == ("receipt-not-honoured", COURT)
    (receipt,) = finding.receipts
    assert parse_receipt(receipt).aud == MARKET
    assert parse_fork(finding.proof).form is Form.RECEIPT
    code, printed = verify_offline(world, tmp_path, finding.file, finding.proof)
    assert (code, COURT in printed) == (0, True), printed
    settle(world)
    assert codes_of(audit_both(world)) == {"receipt-not-honoured", "ask-missing"}


def test_the_receive_alone(world):
    live_on(world, COURT, ask_and_keep(world))
    assert world.kinds(COURT) == ["ask"]
    settle(world)
    (finding,) = audit_both(world).findings.listed
    assert (finding.code, finding.member) == ("receive-missing", COURT)


def test_a_receive_of_nothing_in_its_place_is_remarked(world):
    live_on(world, COURT, ask_and_keep(world))
    world.clock.advance(seconds=200)
    world.exchanges[COURT].tend()
    assert world.kinds(COURT) == ["ask", "receive"]
    settle(world)
    report = audit_both(world)
    assert codes_of(report) == set()
    origin = next(log.origin for log in report.logs if log.member == COURT)
    assert report.findings.remarks["answer-not-taken", origin] == 1
    # What was asked, and what was given, stands in both logs all the same.
    (ask,) = world.events(COURT, "ask")
    (grant,) = world.events(MARKET, "grant")
    assert world.values(COURT, ask[0])["case"] == world.values(MARKET, grant[0])["case"] == "2026-执-17"
    assert world.values(MARKET, grant[0])["released"]


def test_the_receive_that_was_told(world, tmp_path):
    copy = ask_and_keep(world)
    ((index, receive),) = world.events(COURT, "receive")
    world.post.on_request = lambda body: body
    # The next question tells market regulation how the first one ended; its node keeps the receipt.
    assert world.ask_one().result == "ok"
    told = [parse_receipt(text) for text in held_by(world.nodes[MARKET])]
    assert (index, receive.rid) in {(one.idx, one.rid) for one in told if one.iss == COURT}
    live_on(world, COURT, copy)
    assert world.kinds(COURT) == ["ask"]
    settle(world)
    broken = [one for one in audit_both(world).findings.listed if one.code == "receipt-not-honoured"]
    assert {one.member for one in broken} == {COURT}
    (finding,) = [one for one in broken if one.values["index"] == index]
    (receipt,) = finding.receipts
    assert (parse_receipt(receipt).rid, parse_receipt(receipt).aud) == (receive.rid, MARKET)
    assert parse_fork(finding.proof).form is Form.RECEIPT
    code, printed = verify_offline(world, tmp_path, finding.file, finding.proof)
    assert (code, COURT in printed) == (0, True), printed
