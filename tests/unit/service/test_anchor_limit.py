# SPDX-License-Identifier: Apache-2.0
"""Past the network's anchor limit a node gives no receipt, and so shows nothing (protocol section 2, Heartbeat)."""

import pytest

from node.errors import Unavailable
from tests.support.errors import raises_code
from tests.support.node_world import WHY, NodeWorld


@pytest.fixture
def world():
    with NodeWorld() as made:
        yield made


def test_no_receipt_past_the_limit_and_again_after_an_anchor(world):
    world.join()
    world.import_penalties(range(3))
    world.anchor()
    limit = world.services.identity.anchor_limit_seconds
    assert world.services.records.show(world.leaf(), WHY).receipt
    sizes = world.sizes()
    world.clock.advance(seconds=limit + 3_600)
    with raises_code(Unavailable, "anchor-limit"):
        world.services.records.show(world.leaf(), WHY)
    assert world.sizes() == sizes, "nothing was logged and nothing shown"
    world.import_penalties(range(10, 12))
    world.anchor()
    assert world.services.records.show(world.leaf(), WHY).receipt
