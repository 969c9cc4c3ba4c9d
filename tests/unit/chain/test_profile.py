# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

from node.chain.profile import EngineProfile, build_profile
from node.errors import InvalidInput
from tests.support.errors import raises_code


@pytest.mark.parametrize("engine", ["anvil", "qbft", "fisco"])
def test_engines_with_immediate_finality(engine):
    assert build_profile(engine) == EngineProfile(engine, 0, "block", 0)


@pytest.mark.parametrize(("signers", "depth"), [(1, 1), (2, 2), (3, 2), (4, 3), (5, 3), (21, 11)])
def test_clique_waits_for_more_than_half_of_its_signers(signers, depth):
    assert build_profile("clique", signers=signers) == EngineProfile("clique", 10**9, "depth", depth)


def test_other_engines():
    assert build_profile("other") == EngineProfile("other", 10**9, "tag", 12)
    assert build_profile("other", gas_price_wei=0, depth_blocks=3) == EngineProfile("other", 0, "tag", 3)
    assert build_profile("qbft", gas_price_wei=7).gas_price_wei == 7


@pytest.mark.parametrize(
    ("engine", "settings"),
    [
        ("besu", {}),
        ("", {}),
        ("clique", {}),
        ("clique", {"signers": 0}),
        ("clique", {"signers": 4, "depth_blocks": 3}),
        ("qbft", {"signers": 4}),
        ("qbft", {"depth_blocks": 4}),
        ("other", {"depth_blocks": 0}),
        ("other", {"signers": 4}),
    ],
)
def test_settings_that_do_not_fit(engine, settings):
    with raises_code(InvalidInput, "chain-engine"):
        build_profile(engine, **settings)
