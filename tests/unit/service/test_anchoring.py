# SPDX-License-Identifier: Apache-2.0
"""Anchoring: the good day, every crash in between, and whatever a chain can do to a node."""

from dataclasses import replace
from itertools import pairwise

import pytest

from node.core.canonical import parse_json
from node.errors import Conflict, Fatal, InvalidInput, Unavailable
from node.log.tree import root_at
from node.service import layout
from node.service.layout import LogKind
from tests.support.errors import raises_code
from tests.support.node_world import PERIOD_SECONDS, WHY, NodeWorld

RECORDS, ACCESS = LogKind.RECORDS, LogKind.ACCESS
POWER = Fatal("store-commit-failed", "power")


@pytest.fixture
def world():
    with joined_world() as made:
        yield made


def joined_world(**options):
    world = NodeWorld(**options)
    world.sent = []
    receive = world.chain.receive

    def note(raw):
        world.sent.append(raw)
        receive(raw)

    world.chain.receive = note
    world.join()
    world.sent.clear()
    return world


def pending(world):
    return world.services.anchorer._sender.pending()


def anchors_of(reader):
    newest = reader.find_anchor()
    return [reader.find_anchor(i).anchor for i in range(1, (newest.anchor.i if newest else 0) + 1)]


def assert_sound(world):
    """Store, head files and chain tell one story."""
    assert world.check() == []
    assert pending(world) is None
    for log, reader in world.services.readers.items():
        anchors = anchors_of(reader)
        on_chain = world.chain.client("").fetch_anchors(world.services.log_ids[log], 1)
        assert anchors == [anchor for anchor, _ in on_chain]
        assert [stored.transaction for stored in map(reader.find_anchor, range(1, len(anchors) + 1))] == [
            transaction for _, transaction in on_chain
        ]
        for anchor in anchors:
            assert root_at(reader.tiles, anchor.size) == anchor.root
            assert reader.find_checkpoint(anchor.size) is not None
        for before, after in pairwise(anchors):
            assert (after.prev_size, after.prev_block) == (before.size, before.block)
    # Bytes once sent were sent again or not at all: no nonce was signed for twice.
    assert len({parse_json(raw, max_bytes=1 << 20)["nonce"] for raw in world.sent}) == len(set(world.sent))


# ---- the good day


def test_both_logs_are_anchored_in_one_transaction(world):
    world.import_penalties(range(5))
    anchored = world.anchor()
    assert {log: (s.anchor.i, s.anchor.size) for log, s in anchored.items()} == {
        RECORDS: (1, 6),
        ACCESS: (1, 16),
    }
    assert len({stored.transaction for stored in anchored.values()}) == 1
    assert len(world.sent) == 1
    assert world.records.find_anchor() == anchored[RECORDS]
    assert anchored[RECORDS].gas_used == 100_000
    assert_sound(world)


def test_stages_of_a_record(world):
    world.import_penalties([1])
    assert world.lines()[0].stage == "integrated"
    world.services.anchorer._publisher.publish()
    assert world.lines()[0].stage == "published"
    world.anchor()
    assert world.lines()[0].stage == "anchored"


def test_the_first_anchor_over_an_entry_is_found_among_many(world):
    sizes = []
    for n in range(12):
        world.import_penalties(range(100 * n, 100 * n + n % 4))
        sizes.append(world.anchor()[RECORDS].anchor.size)
    assert_sound(world)
    for index in range(sizes[-1]):
        expected = next(i for i, size in enumerate(sizes, 1) if size > index)
        assert world.records.first_anchor_over(index).anchor.i == expected
    assert world.records.first_anchor_over(sizes[-1]) is None
    assert world.records.find_anchor(13) is None


def test_an_idle_node_anchors_too(world):
    for _ in range(3):
        world.anchor()
    assert [anchor.size for anchor in anchors_of(world.access)] == [16, 32, 48]
    assert_sound(world)


def test_a_request_names_one_log_or_two(world):
    with raises_code(InvalidInput, "anchor-request"):
        world.services.chain.sign_anchor([], 0)


# ---- a crash anywhere


COMMITS_OF_AN_ANCHOR = 5
"""Period, two notes, the transaction, its outcome."""


@pytest.mark.parametrize("stored", [False, True])
@pytest.mark.parametrize("at", range(COMMITS_OF_AN_ANCHOR))
@pytest.mark.parametrize("fetched", [False, True])
def test_a_crash_between_any_two_steps(at, stored, fetched):
    """With ``fetched`` the node compares itself with the chain before it settles what is under way."""
    with joined_world() as world:
        world.import_penalties(range(3))
        world.anchor()
        world.import_penalties(range(3, 6))
        first = world.store.commits
        world.store.faults[first + at] = (POWER, stored)
        with raises_code(Fatal, "store-commit-failed"):
            world.anchor()
        assert world.store.commits == first + at + 1
        world.restart()
        if fetched:
            world.join()
        world.anchor()
        assert_sound(world)
        assert {stage.stage for stage in world.lines()} == {"anchored"}
        world.anchor()
        assert_sound(world)


def test_the_commits_above_are_all_there_are(world):
    first = world.store.commits
    world.anchor()
    assert world.store.commits == first + COMMITS_OF_AN_ANCHOR


def test_a_transaction_is_durable_before_it_is_sent(world):
    receive = world.chain.receive

    def check(raw):
        assert pending(world).raw == raw
        seen.append(raw)
        receive(raw)

    seen = []
    world.chain.receive = check
    world.anchor()
    assert len(seen) == 1


@pytest.mark.parametrize("again", [False, True])
def test_an_outcome_that_was_lost_is_found_by_a_new_start(world, again):
    """Mined, but the node died before it knew."""
    world.store.faults[world.store.commits + 4] = (POWER, False)
    with raises_code(Fatal, "store-commit-failed"):
        world.anchor()
    world.restart()
    assert world.records.find_anchor() is None
    world.join()
    if again:
        world.restart()
        world.join()
    world.anchor()
    assert [anchor.i for anchor in anchors_of(world.records)] == [1, 2]
    assert_sound(world)


def test_anchors_that_a_copy_of_the_store_lacks_are_fetched(world):
    """The copy has all entries, but was taken before the anchor came back."""
    world.import_penalties(range(3))
    world.store.faults[world.store.commits + 3] = (POWER, False)
    with raises_code(Fatal, "store-commit-failed"):
        world.anchor()
    copy = world.store.copy()
    world.restart()
    world.services.anchorer._sender.start(
        "anchor",
        lambda nonce: world.services.chain.sign_anchor(
            world.services.anchorer.build_requests(published(world)), nonce
        ),
    )
    world.store = copy
    world.restart()
    world.join()
    assert [anchor.i for anchor in anchors_of(world.records)] == [1]
    assert world.records.find_anchor().gas_used > 0
    world.anchor()
    assert_sound(world)


def published(world):
    """What was published last, as the publisher gave it."""
    from node.log.checkpoint import parse_signed_checkpoint
    from node.service.publishing import Published

    return {
        log: Published(log, size, parse_signed_checkpoint(note)[0].root, note)
        for log, reader in world.services.readers.items()
        for size, note in [reader.find_checkpoint()]
    }


# ---- a chain with moods


def test_a_chain_that_is_away_stops_nothing_but_anchoring(world):
    world.anchor()
    world.chain.away = True
    sizes = world.sizes()
    with raises_code(Unavailable, "chain-away"):
        world.anchor()
    assert world.sizes() == sizes, "nothing is published that cannot be anchored"
    world.import_penalties(range(4))
    world.services.records.show(world.leaf(), WHY)
    world.chain.away = False
    world.anchor()
    assert_sound(world)


@pytest.mark.parametrize("lost", [1, 2, 3])
def test_answers_that_are_lost(world, lost):
    world.chain.lost_answers = lost
    for _ in range(4):
        try:
            world.anchor()
            break
        except Unavailable:
            continue
    assert_sound(world)


def test_a_transaction_that_got_lost_is_sent_again_with_the_same_bytes(world):
    world.chain.swallow_sends = True
    with raises_code(Unavailable, "transaction-slow"):
        world.anchor()
    raw = pending(world).raw
    for _ in range(2):
        with raises_code(Unavailable, "transaction-slow"):
            world.anchor()
    world.restart()
    world.chain.swallow_sends = False
    world.anchor()
    assert world.sent.count(raw) >= 3
    assert len(anchors_of(world.records)) == 2
    assert_sound(world)


def test_a_new_start_sends_what_is_under_way_at_once(world):
    world.chain.swallow_sends = True
    with raises_code(Unavailable, "transaction-slow"):
        world.anchor()
    world.chain.swallow_sends = False
    sent = len(world.sent)
    world.restart()
    before = world.clock.monotonic()
    world.services.anchorer._sender.wait(sleep=world.sleep, timeout_seconds=5)
    assert len(world.sent) == sent + 1
    assert world.clock.monotonic() - before < 1


def test_a_slow_chain_publishes_nothing_while_it_is_waited_for(world):
    world.chain.automine = False
    with raises_code(Unavailable, "transaction-slow"):
        world.anchor()
    sizes = world.sizes()
    with raises_code(Unavailable, "transaction-slow"):
        world.anchor()
    assert world.sizes() == sizes
    world.chain.mine()
    world.chain.automine = True
    world.anchor()
    assert_sound(world)


def test_an_anchor_counts_when_its_block_is_final():
    with joined_world() as world:
        world.chain.depth_blocks = 3
        world.chain.automine = False
        with raises_code(Unavailable, "transaction-slow"):
            world.anchor()
        for _ in range(3):
            world.chain.mine()
            with raises_code(Unavailable, "transaction-slow"):
                world.anchor()
            assert world.records.find_anchor() is None
        world.chain.mine()
        world.services.anchorer._settle(world.services.anchorer._sender.poll())
        assert world.records.find_anchor().anchor.block == world.chain.head.number - 3


@pytest.mark.parametrize("restarted", [False, True])
@pytest.mark.parametrize("lose", [False, True])
def test_an_anchor_in_a_block_that_goes_away_is_pending_again(lose, restarted):
    with joined_world() as world:
        world.chain.depth_blocks = 2
        world.chain.automine = False
        with raises_code(Unavailable, "transaction-slow"):
            world.anchor()
        raw = pending(world).raw
        world.chain.mine(2)  # in a block, not final
        if restarted:
            world.restart()
            world.join()
            assert world.records.find_anchor() is None, "a block that is not final yet may go away"
        world.chain.reorganise(2, lose=lose)
        world.clock.advance(seconds=30)
        if lose:
            with raises_code(Unavailable, "transaction-slow"):
                world.anchor()
        world.chain.mine(4)
        world.chain.depth_blocks, world.chain.automine = 0, True
        world.anchor()
        assert anchors_of(world.records)[0].block > 0
        assert set(world.sent[:-1]) == {raw}
        assert_sound(world)


def replace_operator(world):
    """Give the member another operator key on the chain, so that the contract refuses ours; return how to undo it."""
    members = world.chain.state.members
    code = world.services.identity.member
    before = members[code]
    members[code] = replace(before, operator="0x" + "1" * 40)
    return lambda: world.chain.state.members.__setitem__(code, before)


@pytest.mark.parametrize("log", [RECORDS, ACCESS])
def test_a_log_that_the_chain_has_closed_is_read_only(world, log):
    world.anchor()
    sizes = world.sizes()
    closed = world.chain.state.logs[world.services.log_ids[log]]
    closed.info = replace(closed.info, closed=True)
    with raises_code(Conflict, "log-closed"):
        world.anchor()
    assert world.sizes() == sizes, "nothing was signed"
    assert world.services.state()["mode"] == "read-only"


def test_the_verdict_on_a_store_behind_its_anchor_outlives_a_start_with_the_chain_away(world):
    world.import_penalties(range(3))
    copy, heads = world.store.copy(), dict(world.heads._heads)
    world.anchor()
    world.store, world.heads._heads = copy, heads
    world.restart()
    with raises_code(Conflict, "behind-anchor"):
        world.join()
    world.chain.away = True
    world.restart()
    assert world.services.state()["mode"] == "read-only"
    assert world.services.state()["code"] == "log-behind"


def test_a_refused_anchor_is_reported_and_can_be_tried_again(world):
    world.anchor()
    restore = replace_operator(world)
    with raises_code(Conflict, "anchor-reverted") as caught:
        world.anchor()
    assert "NotAuthorised" in caught.value.message
    assert pending(world) is None
    restore()
    world.anchor()
    assert [anchor.i for anchor in anchors_of(world.records)] == [1, 2]
    assert_sound(world)


def test_a_nonce_that_another_transaction_took_is_given_up(world):
    """The operator key was used elsewhere; the bytes under way can never be mined."""
    world.chain.automine = False
    with raises_code(Unavailable, "transaction-slow"):
        world.anchor()
    gone = pending(world)
    world.chain.pool.clear()
    rogue = world.services.chain.sign_open_log(1, 7, None, gone.nonce)
    world.chain.automine = True
    world.chain.receive(rogue.raw)
    world.clock.advance(seconds=30)
    with raises_code(Conflict, "nonce-used"):
        world.anchor()
    assert pending(world) is None
    world.anchor()
    assert [anchor.i for anchor in anchors_of(world.records)] == [1]


def test_a_chain_that_restarted_empty_gets_nothing(world):
    world.anchor()
    sizes = world.sizes()
    world.chain.restart_empty()
    with raises_code(Unavailable, "chain-empty"):
        world.anchor()
    assert world.sizes() == sizes
    assert world.services.sequencer.read_only is None


def test_a_chain_that_forgot_our_anchor_gets_nothing(world):
    world.anchor()
    block = world.chain.head.number
    world.anchor()
    sizes = world.sizes()
    world.chain.forget_after(block)
    with raises_code(Unavailable, "chain-behind"):
        world.anchor()
    assert world.sizes() == sizes


def test_another_chain_gets_nothing(world):
    world.chain.chain_id = 1
    with raises_code(Unavailable, "chain-wrong-chain"):
        world.anchor()
    assert world.sizes() == (0, 0)


# ---- a store that does not continue the chain


def test_a_store_from_before_the_last_anchor_is_read_only(world):
    """Even when the head files were restored with it."""
    world.import_penalties(range(3))
    world.anchor()
    backup, heads = world.store.copy(), dict(world.heads._heads)
    world.import_penalties(range(3, 6))
    world.anchor()
    world.store, world.heads._heads = backup, heads
    world.restart()
    world.import_penalties([100])  # nothing contradicts it until the chain is asked
    with raises_code(Conflict, "behind-anchor") as caught:
        world.join()
    assert "restored from before the last anchor" in caught.value.message
    state = world.services.state()
    assert (state["mode"], state["code"]) == ("read-only", "behind-anchor")
    for attempt in (world.anchor, lambda: world.import_penalties([101])):
        with raises_code(Conflict, "behind-anchor"):
            attempt()


def test_a_store_that_grew_otherwise_than_was_anchored_is_read_only(world):
    world.import_penalties(range(3))
    world.anchor()
    backup, heads = world.store.copy(), dict(world.heads._heads)
    world.anchor()
    world.store, world.heads._heads = backup, heads
    world.restart()
    world.import_penalties(range(50, 60))
    for _ in range(20):
        world.services.records.show(world.leaf(), WHY)
    with raises_code(Conflict, "fork-of-anchor"):
        world.join()
    assert world.services.state()["mode"] == "read-only"
    assert world.services.condition.verified is False


def test_a_fork_is_noticed_at_the_next_anchor_too(world):
    """A second copy of this node anchored while this one was running."""
    world.import_penalties(range(3))
    world.anchor()
    twin = NodeWorld(chain=world.chain)
    with twin:
        twin.clock, twin.store, twin.heads = world.clock, world.store.copy(), type(world.heads)()
        for reader in twin.services.readers.values():
            twin.heads.replace(world.heads.load(reader.origin))
        twin.restart()
        twin.import_penalties([77])
        twin.anchor()
    sizes = world.sizes()
    world.import_penalties([78, 79, 80])
    with raises_code(Conflict, "fork-of-anchor"):
        world.anchor()
    assert world.sizes() == (sizes[0] + 3, sizes[1]), "nothing was signed"
    assert world.services.state()["mode"] == "read-only"


def test_the_loop_anchors_every_period(world):
    world.services.condition.verified = world.services.condition.joined = True
    assert world.loop._turn() == PERIOD_SECONDS
    assert len(anchors_of(world.records)) == 1
    world.chain.away = True
    assert world.loop._turn() < PERIOD_SECONDS
    assert world.services.state()["code"] == "chain-away"
    world.chain.away = False
    world.loop._turn()
    assert world.services.state()["mode"] == "ready"
    replace_operator(world)
    # A refusal is final for the moment: trying again at once would only make the logs longer.
    assert world.loop._turn() == PERIOD_SECONDS
    assert world.services.state()["code"] == "anchor-reverted"


def test_the_pending_transaction_is_one_key(world):
    world.chain.automine = False
    with raises_code(Unavailable, "transaction-slow"):
        world.anchor()
    assert world.store.get(layout.PENDING_TRANSACTION_KEY) is not None
    with raises_code(Conflict, "transaction-pending"):
        world.services.anchorer._sender.start("anchor", lambda nonce: pytest.fail("signed anew"))
