# SPDX-License-Identifier: Apache-2.0
"""Taking a place on the chain, however often it is cut off."""

from contextlib import suppress
from dataclasses import replace
from hashlib import sha256

import pytest

from node.crypto.ed25519 import Ed25519Signer
from node.crypto.hpke import ExchangeKey
from node.errors import AccessDenied, Conflict, Fatal, Unavailable
from node.ports import Endpoint, KeyKind, MemberStatus, Role
from node.service.joining import Joiner
from node.service.layout import LogKind
from tests.support.chain import SimulatedChain
from tests.support.department import Successions
from tests.support.errors import raises_code
from tests.support.node_world import FaultyHeads, FaultyStore, NodeWorld, build_identity, build_keys, seed_of
from tests.support.records import OTHER_MEMBER
from tests.support.rows import ISSUER

STEPS = ["register-keys", "open-records-log", "open-access-log"]
POWER = Fatal("store-commit-failed", "power")


@pytest.fixture
def world():
    with NodeWorld() as made:
        yield made


def join(world):
    return world.services.joiner.join(sleep=world.sleep, timeout_seconds=5)


def registered(world):
    return {kind: [p.key for p in world.services.chain.keys(ISSUER, kind)] for kind in KeyKind}


def test_a_new_node_registers_its_keys_and_opens_its_logs(world):
    assert join(world) == STEPS
    keys = registered(world)
    assert [len(keys[kind]) for kind in KeyKind] == [1, 1, 1, 1, 1, 1, 1, 0]
    assert keys[KeyKind.RECORD] == [world.keys.record.public]
    for log in LogKind:
        info = world.services.chain.log_info(world.services.log_ids[log])
        assert (info.member, info.kind, info.n) == (ISSUER, log.number, 0)
        assert info.ed25519 == world.keys.logs[log].ed25519.public


def test_joining_again_does_nothing(world):
    join(world)
    block = world.chain.head.number
    assert join(world) == []
    world.restart()
    assert join(world) == []
    assert world.chain.head.number == block


@pytest.mark.parametrize("stored", [False, True])
@pytest.mark.parametrize("at", range(6))
def test_a_crash_between_any_two_steps(at, stored):
    with NodeWorld() as world:
        world.store.faults[world.store.commits + at] = (POWER, stored)
        with raises_code(Fatal, "store-commit-failed"):
            join(world)
        world.restart()
        join(world)
        assert all(len(keys) <= 1 for keys in registered(world).values())
        assert join(world) == []
        world.loop.prepare()
        world.anchor()
        assert world.check() == []


@pytest.mark.parametrize("lost", [1, 2])
def test_answers_that_are_lost(world, lost):
    world.chain.lost_answers = lost
    for _ in range(4):
        try:
            join(world)
            break
        except Unavailable:
            continue
    assert join(world) == []
    assert all(len(keys) <= 1 for keys in registered(world).values())


def test_a_chain_that_is_away(world):
    world.chain.away = True
    with raises_code(Unavailable, "chain-away"):
        join(world)
    world.chain.away = False
    assert join(world) == STEPS


def test_a_member_that_the_chain_does_not_know():
    identity = build_identity(ISSUER)
    chain = SimulatedChain([(OTHER_MEMBER, identity.operator, Role.ISSUER)])
    with NodeWorld(chain=chain) as world:
        with raises_code(AccessDenied, "member-unknown"):
            join(world)
        assert chain.head.number == 0


@pytest.mark.parametrize("status", [MemberStatus.SUSPENDED, MemberStatus.REMOVED])
def test_a_member_that_may_not_act(world, status):
    members = world.chain.state.members
    members[ISSUER] = replace(members[ISSUER], status=status)
    with raises_code(AccessDenied, "member-inactive"):
        join(world)
    assert world.chain.head.number == 0


def test_a_suspended_member_that_had_joined_needs_nothing(world):
    join(world)
    members = world.chain.state.members
    members[ISSUER] = replace(members[ISSUER], status=MemberStatus.SUSPENDED)
    assert join(world) == []


def test_a_key_of_another_node_of_this_member_is_not_replaced(world):
    join(world)
    joiner = world.services.joiner
    for place, key in enumerate(joiner.keys):
        if key.kind in (KeyKind.RECORD, KeyKind.NODE, KeyKind.EXCHANGE):
            continue
        others = [*joiner.keys]
        others[place] = replace(key, key=seed_of("another node", place))
        before = (registered(world), world.chain.head.number)
        with raises_code(Conflict, "key-differs") as caught:
            copy_of(joiner, others).join(sleep=world.sleep, timeout_seconds=5)
        assert key.kind.name in caught.value.message
        assert (registered(world), world.chain.head.number) == before


def test_the_exchange_key_is_registered_and_travels_along(world):
    join(world)
    [key] = world.keys.exchange
    [period] = world.services.chain.keys(ISSUER, KeyKind.EXCHANGE)
    assert period.key == sha256(key.public).digest()
    assert world.services.chain.key_data(ISSUER, KeyKind.EXCHANGE, period.key) == key.public


def test_a_home_that_got_its_exchange_key_later_registers_it_and_a_new_one_follows(world):
    """An older release had no such key; its node has joined long ago."""
    first, second = (ExchangeKey(seed_of("exchange", n)) for n in (1, 2))
    world.keys = replace(world.keys, exchange=())
    world.restart()
    assert join(world) == STEPS
    for exchange in ((first,), (second, first)):
        world.keys = replace(world.keys, exchange=exchange)
        world.restart()
        assert join(world) == ["register-keys"]
        assert join(world) == []
    periods = world.services.chain.keys(ISSUER, KeyKind.EXCHANGE)
    assert [period.key for period in periods] == [sha256(k.public).digest() for k in (first, second)]
    assert periods[0].to_block == periods[1].from_block


def test_a_new_record_key_follows_the_old_one(world):
    join(world)
    joiner = world.services.joiner
    keys = [replace(joiner.keys[0], key=seed_of("new record key")), *joiner.keys[1:]]
    assert copy_of(joiner, keys).join(sleep=world.sleep, timeout_seconds=5) == ["register-keys"]
    old, new = world.services.chain.keys(ISSUER, KeyKind.RECORD)
    assert (old.key, new.key) == (world.keys.record.public, seed_of("new record key"))
    assert old.to_block == new.from_block


def test_a_log_that_a_lost_store_had_opened_is_not_signed_again(world):
    """Data and head files are gone, the keys are not; the log is open on the chain and was never anchored."""
    world.join()
    world.import_penalties(range(3))
    world.services.sequencer.close()
    world.store, world.heads = FaultyStore(), FaultyHeads()
    world.chain.away = True
    world.start()
    with raises_code(Unavailable, "chain-away"):
        world.join()
    world.import_penalties([7])
    world.restart()
    world.chain.away = False
    for _ in range(2):
        with raises_code(Unavailable, "chain-not-compared"):
            world.services.require_ready_to_sign()
        with raises_code(Conflict, "log-opened-elsewhere"):
            world.join()
        assert world.services.state()["mode"] == "read-only"
        with raises_code(Conflict, "log-opened-elsewhere"):
            world.import_penalties([8])
        with raises_code(Conflict, "log-opened-elsewhere"):
            world.anchor()
        with raises_code(Conflict, "log-opened-elsewhere"):
            world.services.require_ready_to_sign()
        world.restart()
    standings = world.services.take_stock().logs
    assert [(log.verdict, log.complete) for log in standings] == [("log-opened-elsewhere", False)] * 2
    successions = Successions(world)
    successions.stop()
    with raises_code(Conflict, "succession-unplanned"):
        successions.choose("planned")
    successions.start()
    done = successions.succeed("lost-entries")
    assert [origin.rpartition("/")[2] for origin in done.begun] == ["1", "1"]
    world.join()
    world.anchor()
    assert world.import_penalties([7, 8]).duplicate == 1
    assert world.check() == []


def test_an_empty_store_put_back_without_head_files_is_read_only(world):
    world.join()
    backup = world.store.copy()
    world.import_penalties(range(3))
    world.services.sequencer.close()
    world.store, world.heads = backup, FaultyHeads()
    world.start()
    assert world.services.state()["code"] == "head-missing"
    with raises_code(Conflict, "head-missing"):
        world.import_penalties([7])
    standings = world.services.take_stock().logs
    assert [(log.verdict, log.complete) for log in standings] == [("head-missing", False)] * 2


def test_a_chain_that_shows_the_opening_late_is_not_believed(world):
    """Its node is still catching up: it knew of no log when it was asked first."""
    world.join()
    world.services.sequencer.close()
    world.store, world.heads = FaultyStore(), FaultyHeads()
    world.start()
    world.services.anchorer.compare()
    with raises_code(Conflict, "log-opened-elsewhere"):
        join(world)
    with raises_code(Conflict, "log-opened-elsewhere"):
        world.services.require_ready_to_sign()


def test_nothing_is_signed_before_the_logs_are_open(world):
    world.services.anchorer.compare()
    world.services.condition.verified = True
    with raises_code(Unavailable, "chain-not-joined"):
        world.services.require_ready_to_sign()


def copy_of(joiner, keys):
    return Joiner(
        joiner.chain,
        joiner.sender,
        joiner.sequencer,
        joiner.member,
        joiner.operator,
        keys,
        joiner.log_ids,
        joiner.numbers,
    )


def two_members(**changes):
    """The node of a member on the chain of another one that has joined; some keys of the other one's in its files."""
    founders = [(code, build_identity(code).operator, Role.ISSUER) for code in (ISSUER, OTHER_MEMBER)]
    chain = SimulatedChain(founders)
    with NodeWorld(member=OTHER_MEMBER, chain=chain) as other:
        other.join()
    world = NodeWorld(chain=chain)
    world.join()
    world.import_penalties(range(2))
    world.anchor()
    world.keys = replace(world.keys, **changes)
    world.restart()
    return world


@pytest.mark.parametrize("name", ["record", "node"])
def test_a_key_of_another_member_is_refused_by_the_chain(name):
    with two_members(**{name: getattr(build_keys(OTHER_MEMBER), name)}) as world:
        sizes = world.sizes()
        with raises_code(Conflict, "joining-reverted") as caught:
            world.loop.prepare()
        assert "KeyInUse" in caught.value.message
        assert f"in {name}.pem:" in caught.value.message
        assert world.services.joiner.sender.pending() is None
        with raises_code(Unavailable, "chain-not-joined"):
            world.services.require_ready_to_sign()
        assert world.sizes() == sizes


def test_no_record_is_signed_with_a_key_that_the_chain_has_not_taken():
    """Nor while the chain is away; with the key that signed so far records go in meanwhile."""
    with two_members(record=build_keys(OTHER_MEMBER).record) as world:
        world.chain.away = True
        for _ in range(2):
            with raises_code(Unavailable, "chain-not-joined") as caught:
                world.services.require_own_record_key()
            with suppress(Conflict, Unavailable):
                world.loop.prepare()
            world.chain.away = False
        assert "record.pem" in caught.value.message
        world.keys = build_keys(ISSUER)
        world.chain.away = True
        world.restart()
        world.services.require_own_record_key()
        # A key that was rotated is the chain's to confirm.
        world.keys = replace(world.keys, record=Ed25519Signer(seed_of("rotated")))
        world.restart()
        with raises_code(Unavailable, "chain-not-joined"):
            world.services.require_own_record_key()
        world.chain.away = False
        world.join()
        world.services.require_own_record_key()


def test_a_key_file_from_before_a_rotation_signs_nothing():
    with two_members(record=Ed25519Signer(seed_of("rotated"))) as world:
        world.join()
        world.import_penalties(range(2, 3))
        world.keys = build_keys(ISSUER)
        world.restart()
        block = world.chain.head.number
        with raises_code(Conflict, "key-ended") as caught:
            world.loop.prepare()
        assert "RECORD" in caught.value.message
        with raises_code(Unavailable, "chain-not-joined"):
            world.services.require_ready_to_sign()
        assert world.chain.head.number == block


def test_a_key_that_the_chain_calls_ended_signs_no_record():
    """Though no entry was signed with the one that followed it, and though the chain went away afterwards."""
    with two_members(record=Ed25519Signer(seed_of("rotated"))) as world:
        world.join()
        world.keys = build_keys(ISSUER)
        world.restart()
        for away in (False, True):
            world.chain.away = away
            world.loop._turn()
            with raises_code(Unavailable, "chain-not-joined") as caught:
                world.services.require_own_record_key()
            assert "RECORD key of this node ended" in caught.value.message


def test_a_key_that_ended_in_a_block_that_was_taken_back_signs_again():
    with two_members(record=Ed25519Signer(seed_of("rotated"))) as world:
        block = world.chain.head.number
        world.join()
        world.keys = build_keys(ISSUER)
        world.restart()
        world.loop._turn()
        world.chain.reorganise(world.chain.head.number - block, lose=True)
        world.loop._turn()
        assert world.services.condition.joined
        world.services.require_own_record_key()


def test_an_operator_key_of_another_member_is_named(world):
    """Before anything is sent that the chain would take as the other member's."""
    join(world)
    members, block = world.chain.state.members, world.chain.head.number
    members[ISSUER] = replace(members[ISSUER], operator="0x" + "11" * 20)
    world.restart()
    with raises_code(Conflict, "operator-differs") as caught:
        world.loop.prepare()
    assert "operator.json" in caught.value.message
    assert world.chain.head.number == block
    with raises_code(Unavailable, "chain-not-joined"):
        world.services.require_ready_to_sign()


def test_an_anchor_under_way_is_left_to_the_anchorer(world):
    join(world)
    world.chain.swallow_sends = True
    with raises_code(Unavailable, "transaction-slow"):
        world.anchor()
    world.restart()
    assert join(world) == []
    assert world.services.joiner.sender.pending().purpose == "anchor"


@pytest.mark.parametrize("lost", [False, True])
def test_a_key_that_was_rotated_while_an_anchor_was_under_way(world, lost):
    """The node was stopped before its anchor was final: that is settled first, so that one transaction follows the other."""
    join(world)
    world.chain.swallow_sends, world.chain.depth_blocks = lost, 2
    with raises_code(Unavailable, "transaction-slow"):
        world.anchor()
    world.chain.swallow_sends, world.chain.depth_blocks = False, 0
    world.keys = replace(world.keys, record=Ed25519Signer(seed_of("rotated")))
    world.restart()
    world.loop.prepare()
    assert world.services.joiner.sender.pending() is None
    assert world.access.find_anchor().anchor.i == 1
    assert [period.key for period in world.services.chain.keys(ISSUER, KeyKind.RECORD)][1:] == [
        world.keys.record.public
    ]


def test_the_loop_compares_and_joins_before_it_anchors(world):
    world.chain.away = True
    world.loop._turn()
    assert world.services.state() == {
        "mode": "waiting-for-chain",
        "code": "chain-away",
        "reason": "the chain cannot take anchors now: chain node simulated gives no answer: it is away",
        "unanchored_seconds": None,
    }
    world.chain.away = False
    world.loop._turn()
    assert world.services.condition.joined
    assert world.services.state()["mode"] == "ready"
    assert world.records.find_anchor() is None


HERE = Endpoint("https://node.market.example:8620", b"\x07" * 32)
ELSEWHERE = Endpoint("http://127.0.0.1:8620", None)


def move(world, endpoint):
    """Start the node anew with another setting."""
    world.identity = replace(world.identity, endpoint=endpoint)
    world.restart()


def test_a_node_says_where_it_is_reached(world):
    move(world, HERE)
    assert join(world)[-1] == "set-endpoint"
    assert world.services.chain.endpoint(ISSUER) == HERE
    assert join(world) == []


def test_a_node_that_moved_says_so_at_its_next_start(world):
    move(world, HERE)
    join(world)
    move(world, ELSEWHERE)
    assert join(world) == ["set-endpoint"]
    assert world.services.chain.endpoint(ISSUER) == ELSEWHERE


def test_a_node_without_the_setting_leaves_what_the_chain_says(world):
    move(world, HERE)
    join(world)
    move(world, None)
    assert join(world) == []
    assert world.services.chain.endpoint(ISSUER) == HERE


def test_a_suspended_member_says_nothing_new(world):
    join(world)
    move(world, HERE)
    members = world.chain.state.members
    members[ISSUER] = replace(members[ISSUER], status=MemberStatus.SUSPENDED)
    assert join(world) == []
    assert world.services.chain.endpoint(ISSUER) is None


def test_a_crash_while_it_is_said(world):
    join(world)
    move(world, HERE)
    world.chain.lost_answers = 1
    with suppress(Unavailable):
        join(world)
    world.restart()
    join(world)
    assert world.services.chain.endpoint(ISSUER) == HERE
    assert world.services.joiner.sender.pending() is None
