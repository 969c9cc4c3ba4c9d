# SPDX-License-Identifier: Apache-2.0
"""The budgets of DESIGN section 9 for an anchor, on the receipts of a chain and with the code that is shipped."""

from __future__ import annotations

import pytest

from tests.support.uniform_tree import uniform_consistency, uniform_root

BUDGET_GAS = 100_000
BUDGET_ANY_GAS = 115_000


def anchor_gas(member, size, growth):
    log_id = member.fresh_log()
    member.send(member.log, "anchor", log_id, size, uniform_root(size), [])
    proof = uniform_consistency(size, size + growth)
    return member.send(
        member.log, "anchor", log_id, size + growth, uniform_root(size + growth), proof
    ).gas_used


@pytest.mark.parametrize("growth", [1, 100_000, 1_000_000])
@pytest.mark.parametrize("size", [10**3, 10**6, 10**9, 999_817_215])
def test_an_anchor_costs_at_most_100_000_gas(member, size, growth):
    gas = anchor_gas(member, size, growth)
    assert gas <= BUDGET_GAS
    if growth == 100_000:
        assert gas < growth, "less than one gas per record"


@pytest.mark.parametrize("growth", [1, 1_000_000, 1_000_000_000])
@pytest.mark.parametrize("size", [2**29 - 1, 2**30 - 1])
def test_the_costliest_anchor_stays_within_115_000_gas(member, size, growth):
    assert anchor_gas(member, size, growth) <= BUDGET_ANY_GAS
