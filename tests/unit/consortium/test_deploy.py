# SPDX-License-Identifier: Apache-2.0
"""What deployment refuses before it asks the chain for anything; the rest is in tests/integration/chain."""

from __future__ import annotations

from dataclasses import replace

import pytest

from consortium.deploy import ChainChoice, deploy_network
from node.errors import InvalidInput
from tests.support.clock import ManualClock
from tests.support.errors import raises_code
from tests.support.labs import DEPLOYER, DOMAIN, FOUNDERS
from tests.support.scripted_node import ScriptedNode


@pytest.mark.parametrize("founders", [[], [replace(FOUNDERS[0], governing=False)]])
def test_somebody_must_govern(founders):
    node = ScriptedNode()
    with raises_code(InvalidInput, "founders"):
        deploy_network(
            node.rpc,
            ChainChoice(20260, "anvil"),
            DEPLOYER,
            domain=DOMAIN,
            founders=founders,
            clock=ManualClock(),
            sleep=lambda _: None,
        )
    assert node.calls == []


def test_the_engine_must_be_known():
    node = ScriptedNode(eth_chainId="0x4f24")
    with raises_code(InvalidInput, "chain-engine"):
        deploy_network(
            node.rpc,
            ChainChoice(20260, "besu"),
            DEPLOYER,
            domain=DOMAIN,
            founders=FOUNDERS,
            clock=ManualClock(),
            sleep=lambda _: None,
        )
    assert [method for method, _ in node.calls] == ["eth_chainId"]
