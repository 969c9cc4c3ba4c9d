# SPDX-License-Identifier: Apache-2.0
"""The receipts that a node holds are shown to its auditors, in pages, and each look at them is logged first."""

import pytest

from node.access.receipt import parse_receipt
from node.errors import Fatal
from node.service.exchange.promised import read_promised
from node.service.layout import LogKind
from tests.support.exchange_audit import held_by
from tests.support.exchange_world import COURT, MARKET, TAX


@pytest.fixture
def asked(world):
    for _ in range(4):
        world.ask(providers=(MARKET, TAX))
    return world


def test_each_side_shows_what_the_other_promised(asked):
    for code, others in ((COURT, {MARKET, TAX}), (MARKET, {COURT}), (TAX, {COURT})):
        receipts = [parse_receipt(token) for token in held_by(asked.nodes[code])]
        assert {receipt.aud for receipt in receipts} == {code}
        assert {receipt.iss for receipt in receipts} == others
        places = [(receipt.iss, receipt.idx) for receipt in receipts]
        # Of the last question the others were not told how it ended.
        assert len(set(places)) == len(places) == (8 if code == COURT else 7)


def test_each_page_is_logged(asked):
    held_by(asked.nodes[COURT])
    assert asked.kinds(COURT)[-3:] == ["audit"] * 3
    (_, last) = asked.events(COURT)[-1]
    assert last.n == 1


def test_nothing_is_shown_when_the_log_takes_nothing(asked):
    node = asked.nodes[COURT]
    node.store.fail_next(OSError("disk"))
    with pytest.raises(Fatal):
        held_by(node)


def test_a_node_that_holds_none_logs_nothing(world):
    node = world.nodes[TAX]
    reading = {"after": None, "limit": 3, "officer": "zhao"}
    found = read_promised(node.store, node.services.logs[LogKind.ACCESS], node.services.access, **reading)
    assert (found, world.kinds(TAX)) == (([], None), [])
