# SPDX-License-Identifier: Apache-2.0
"""Past the network's anchor limit a node gives no receipt, and so shows nothing (protocol section 2, Heartbeat)."""

import pytest

from node.errors import Unavailable
from node.service import layout
from node.service.layout import LogKind
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


def test_a_log_that_was_opened_and_never_anchored_has_the_same_limit(world):
    """From its opening on; the audit counts the same way."""
    world.join()
    world.import_penalties(range(3))
    limit = world.services.identity.anchor_limit_seconds
    world.clock.advance(seconds=limit - 3_600)
    assert world.services.records.show(world.leaf(), WHY).receipt
    world.restart()
    world.clock.advance(seconds=7_200)
    with raises_code(Unavailable, "anchor-limit"):
        world.services.records.show(world.leaf(), WHY)
    world.join()
    world.anchor()
    assert world.services.records.show(world.leaf(), WHY).receipt


def test_before_its_log_is_opened_nobody_waits_for_an_anchor(world):
    world.import_penalties(range(3))
    world.clock.advance(seconds=10 * world.services.identity.anchor_limit_seconds)
    assert world.services.records.show(world.leaf(), WHY).receipt


def test_a_log_that_an_older_program_opened_has_its_limit_from_the_next_start_on(world):
    world.join()
    opened_at = world.access.find_anchored_at()
    for log in LogKind:
        key = layout.opened_at_key(log, 0)
        world.services.sequencer.run(lambda transaction, key=key: transaction.delete(key), entries=0)
    assert world.access.find_anchored_at() is None
    world.clock.advance(seconds=600)
    world.restart()
    world.join()
    assert world.access.find_anchored_at() == opened_at
