# SPDX-License-Identifier: Apache-2.0
"""Receipts of an audit are kept outside memory, and come back as a list in memory would give them."""

from __future__ import annotations

import random
from dataclasses import replace

from node.access.receipt import parse_receipt
from node.cage import receiptrows
from node.cage.proof import MemoryScratch
from node.cage.receiptrows import MOST_NAMES, RANGE_SHIFT, RANGES, ReceiptRows
from node.core.types import EntryIndex
from node.log.checkpoint import build_origin
from tests.support import one_exchange as world
from tests.support.records import DOMAIN

TOKEN = world.ask().receipt
RECEIPT = parse_receipt(TOKEN)
FAR = (RANGES + 5) << RANGE_SHIFT
"""An index behind all ranges but the last."""


def some(rng):
    """Receipts of three logs and two pairs of members, near, far and beyond, in no order."""
    for number in range(600):
        yield (
            f"{TOKEN}{number}",
            replace(
                RECEIPT,
                idx=EntryIndex(
                    rng.choice((rng.randrange(50), rng.randrange(1 << 20), FAR + rng.randrange(9)))
                ),
                pair=rng.choice((number + 1, FAR + number)),
                log=build_origin(DOMAIN, world.ASKER, "access", rng.randrange(3)),
                aud=rng.choice((world.PROVIDER, world.REGULATOR)),
                leaf=rng.randbytes(32),
                rid=rng.randbytes(16),
            ),
        )


def test_rows_come_back_in_order_whatever_order_they_came_in(monkeypatch):
    monkeypatch.setattr(receiptrows, "_HELD_BYTES", 4_000)
    rng = random.Random(7)
    given = list(some(rng))
    rows = ReceiptRows(MemoryScratch())
    for token, receipt in given:
        rows.add(token, receipt)
    assert len(rows) == len(given)
    assert set(rows.logs()) == {receipt.log for _, receipt in given}
    for origin in rows.logs():
        of_log = [(r.idx, r.leaf, r.rid, r.anchor_by, token) for token, r in given if r.log == origin]
        found = [
            (row.at, row.leaf, row.rid, row.anchor_by, rows.token(row.number)) for row in rows.of_log(origin)
        ]
        assert found == sorted(of_log)
    for party in rows.parties():
        between = [(r.pair, token, r.log, r.idx) for token, r in given if (r.iss, r.aud) == party]
        found = [(n.pair, rows.token(n.number), n.log, n.at) for n in rows.between(party)]
        assert found == sorted(between)


def test_what_nobody_audits_does_not_fill_memory():
    rows = ReceiptRows(MemoryScratch())
    for number in range(MOST_NAMES + 10):
        rows.add(TOKEN, replace(RECEIPT, log=f"{DOMAIN}/{number}"))
    assert len(rows.logs()) == MOST_NAMES
    assert (rows.counts[""], len(rows)) == (10, MOST_NAMES + 10)
    assert list(rows.of_log(f"{DOMAIN}/{MOST_NAMES}")) == []


def test_a_look_of_ones_own_is_no_receipt_between_members():
    rows = ReceiptRows(MemoryScratch())
    rows.add(TOKEN, replace(RECEIPT, aud=RECEIPT.iss))
    assert rows.parties() == []
