# SPDX-License-Identifier: Apache-2.0
"""Fork between anchors: a regulator's machine runs twice, and each member is shown the history that suits it.

Somebody copies the whole machine, head files and all. One copy has a look in its log that the other has not. Nothing is
anchored in between, so the chain sees no contradiction, and neither copy knows of the other. But every message carries the
newest signed checkpoint, and who gets it keeps it for ever: the court that heard of both holds two signatures that cannot
both be true. From then on it neither asks nor answers that member, and anybody can verify the proof without a node.
"""

from __future__ import annotations

import pytest

from node.errors import AccessDenied
from node.log.fork import Form
from tests.support.errors import raises_code
from tests.support.exchange_world import COURT, MARKET
from tests.support.node_world import WHY
from tests.support.two_histories import live_on, take_copy, verify_offline


def publish(world, code):
    """Let a period pass and sign new checkpoints, without the anchor that would follow."""
    world.clock.advance(seconds=300)
    world.nodes[code].services.anchorer._publisher.publish()


def show_other_history(world, periods=1):
    """The court is shown one history, then another one that is some periods old; its two answers."""
    market = world.nodes[MARKET]
    copy = take_copy(market)
    market.services.records.show(market.leaf(0), WHY)
    publish(world, MARKET)
    first = world.ask_one()
    live_on(world, MARKET, copy)
    for _ in range(periods):
        publish(world, MARKET)
    return first, world.ask_one()


def test_two_histories_of_one_size_are_shown_at_once(world, tmp_path):
    first, second = show_other_history(world)
    assert first.result == "ok"
    assert (second.result, second.code, second.records) == ("failed", "member-forked", ())
    ((name, data),) = world.files[COURT].files.items()
    (fork,) = world.nodes[COURT].services.gossip.list_forks()
    assert (fork.member, fork.proof.form) == (MARKET, Form.ROOTS)
    code, printed = verify_offline(world, tmp_path, name, data)
    assert code == 0, printed
    assert MARKET in printed


def test_two_histories_of_two_sizes_are_shown_once_the_tiles_were_asked(world, tmp_path):
    """The longer history is not a longer one of the same: the node's own tiles say so, whichever it gives."""
    _, second = show_other_history(world, periods=2)
    assert second.code == "received-unknown", "this copy does not know what the court was given"
    assert world.ask_one().result == "ok", "whether one continues the other shows with the node's tiles"
    (fork,) = world.nodes[COURT].services.gossip.recheck()
    assert (fork.member, fork.proof.form) == (MARKET, Form.PREFIX)
    assert world.ask_one().code == "member-forked"
    code, printed = verify_offline(world, tmp_path, fork.name, fork.data)
    assert code == 0, printed


def test_who_is_convicted_gets_no_answer_either_and_stays_convicted(world):
    show_other_history(world)
    sent = len(world.post.sent)
    answer = world.ask_by_hand(by=MARKET, to=COURT, purpose="tender-check", basis="bidding-law-18")
    assert (answer.result, answer.code) == ("deny", "member-forked")
    world.restart(COURT)
    assert world.ask_one().code == "member-forked"
    assert len(world.post.sent) == sent
    with raises_code(AccessDenied, "member-forked"):
        world.nodes[COURT].services.gossip.require_honest(MARKET)


@pytest.mark.parametrize("at", [0.3, 0.6, 0.9])
def test_a_proof_that_was_touched_convicts_nobody(world, tmp_path, at):
    show_other_history(world)
    ((name, data),) = world.files[COURT].files.items()
    place = int(len(data) * at)
    other = data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]
    assert verify_offline(world, tmp_path, name, other)[0] != 0


def test_one_history_shown_twice_is_no_fork(world):
    """The control: a machine that is put back before it said anything else goes on, and nobody objects."""
    copy = take_copy(world.nodes[MARKET])
    live_on(world, MARKET, copy)
    for _ in range(3):
        world.anchor()
        assert world.ask_one().result == "ok"
        assert world.nodes[COURT].services.gossip.recheck() == []
    assert world.files[COURT].files == {}
