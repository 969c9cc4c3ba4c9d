# SPDX-License-Identifier: Apache-2.0
"""Which receipts were honoured, which convict, and that an honest member is never convicted."""

from __future__ import annotations

import pytest

from node.access.receipt import TYP
from node.core.canonical import encode_json, parse_json
from node.core.clock import MAX_TIME
from node.crypto.ed25519 import Ed25519Signer
from node.crypto.jws import parse_jws, sign_jws
from node.errors import Unavailable
from node.evidence.honouring import DAY_SECONDS, GRACE_BLOCKS
from node.evidence.policy import Demand, Level, TrustedKey
from node.evidence.promises import DemandOnChain, DemandState
from node.evidence.receipts import RECEIPT_STEPS, verify_receipt_file
from node.log.checkpoint import log_id
from node.log.merkle import leaf_hash
from tests.support.promises import LIMIT_SECONDS, MEMBER, PromiseWorld
from tests.support.verifying import code, failed, outcome

SIGNED = Demand(level=Level.SIGNED, max_status_age=None, max_interval=None)
LOGGED = Demand(level=Level.LOGGED, max_status_age=None, max_interval=None)


@pytest.fixture
def world():
    return PromiseWorld()


@pytest.fixture
def event(world):
    return world.event()


def judge(world, data, *, chain=..., **policy):
    return verify_receipt_file(
        data,
        world.policy(**policy),
        now_seconds=world.chain.time,
        chain=world.chain if chain is ... else chain,
    )


def finding(world, data, **options):
    ruling = judge(world, data, **options)
    assert (ruling.convicts == MEMBER) is (ruling.finding.name == "not-honoured")
    assert ruling.convicts in {MEMBER, None}
    assert [step.number for step in ruling.steps] == list(range(1, len(RECEIPT_STEPS) + 1))
    assert ruling.render("zh") != ruling.render("en")
    return ruling.finding.name, ruling.verdict.exit_code


def honour(world, event):
    """A receipt whose event is logged and anchored as promised."""
    receipt = world.promise(event)
    index = world.append(event)
    world.chain.mine(300)
    world.anchor()
    return receipt, index


def wait_out(world, *, blocks=GRACE_BLOCKS + 2):
    """Let the promise run out, and the blocks behind it pass."""
    world.chain.mine(LIMIT_SECONDS + 10)
    world.chain.mine(blocks * world.chain.seconds_per_block)


def test_honoured(world, event):
    receipt, index = honour(world, event)
    ruling = judge(world, world.file(receipt, event, shown=index))
    assert (ruling.finding.name, ruling.verdict.exit_code, failed(ruling)) == ("honoured", 0, [])
    assert ruling.about["index"] == index
    wait_out(world)
    assert finding(world, world.file(receipt, event, shown=index)) == ("honoured", 0)


def test_a_bare_receipt_is_read_too(world, event):
    receipt, _ = honour(world, event)
    assert finding(world, receipt.encode() + b"\n") == ("unshown", 3)
    assert finding(world, receipt.encode()) == ("unshown", 3)


def test_not_due_then_in_grace_then_not_honoured(world, event):
    data = world.file(world.promise(event), event)
    world.chain.mine(LIMIT_SECONDS)
    assert finding(world, data) == ("not-due", 3)
    world.chain.mine(10)
    assert finding(world, data) == ("not-due", 3)
    world.chain.mine(2 * GRACE_BLOCKS)
    assert finding(world, data) == ("not-honoured", 1)
    assert code(judge(world, data), "promise") == "receipt-unanchored"


def test_a_chain_that_was_halted_convicts_nobody_when_it_wakes(world, event):
    receipt = world.promise(event)
    index = world.append(event)
    world.chain.halt(10 * LIMIT_SECONDS)
    assert finding(world, world.file(receipt, event)) == ("not-due", 3)
    world.anchor()
    world.chain.mine(1_000)
    assert finding(world, world.file(receipt, event, shown=index)) == ("honoured", 0)


def test_anchored_too_late(world, event):
    receipt = world.promise(event)
    index = world.append(event)
    wait_out(world)
    world.anchor()
    for data in (world.file(receipt, event, shown=index), world.file(receipt)):
        assert finding(world, data) == ("not-honoured", 1)
        assert code(judge(world, data), "promise") == "receipt-late"


def test_a_demand_decides(world, event):
    receipt, index = honour(world, event)
    data, place = world.file(receipt, event), (log_id(world.origin), index)
    demands, now = world.chain.demands, world.chain.time
    demands[place] = DemandOnChain(DemandState.OPEN, now, bytes(32))
    assert finding(world, data) == ("unshown", 3)
    demands[place] = DemandOnChain(DemandState.ANSWERED, now, leaf_hash(event.entry))
    assert finding(world, data) == ("honoured", 0)
    for state, leaf, why in (
        (DemandState.ANSWERED, bytes([1] * 32), "receipt-other-leaf"),
        (DemandState.DEFAULTED, bytes(32), "receipt-defaulted"),
        (DemandState.DEFAULTED, leaf_hash(event.entry), "receipt-defaulted"),
    ):
        demands[place] = DemandOnChain(state, now, leaf)
        assert finding(world, data) == ("not-honoured", 1)
        assert code(judge(world, data), "demand") == why


def test_a_demand_for_another_entry_says_nothing(world, event):
    receipt, index = honour(world, event)
    world.chain.demands[log_id(world.origin), index - 1] = DemandOnChain(
        DemandState.DEFAULTED, world.chain.time, bytes(32)
    )
    assert finding(world, world.file(receipt, event, shown=index)) == ("honoured", 0)


def test_logged_again_under_a_successor(world, event):
    receipt = world.promise(event)
    world.chain.mine(60)
    closed_at = world.chain.closings[log_id(world.origin)] = world.chain.time
    bare = world.file(receipt, event)
    index = world.append(event, world.origins[1])
    world.chain.mine(DAY_SECONDS // 2)
    world.anchor(world.origins[1])
    assert finding(world, bare) == ("unshown", 3)
    data = world.file(receipt, event, shown=index, origin=world.origins[1])
    assert finding(world, data) == ("honoured", 0)
    world.chain.closings.clear()
    assert finding(world, data) == ("unshown", 3)
    world.chain.closings[log_id(world.origin)] = closed_at + 2 * DAY_SECONDS
    assert finding(world, data) == ("unshown", 3)


def test_logged_again_too_late(world, event):
    receipt = world.promise(event)
    world.chain.closings[log_id(world.origin)] = world.chain.time
    index = world.append(event, world.origins[1])
    world.chain.mine(DAY_SECONDS)
    wait_out(world)
    world.anchor(world.origins[1])
    data = world.file(receipt, event, shown=index, origin=world.origins[1])
    assert finding(world, data) == ("not-honoured", 1)


@pytest.mark.parametrize("shown", [False, True])
def test_an_entry_of_a_closed_log_that_nobody_shows_again(world, event, shown):
    receipt = world.promise(event)
    world.chain.mine(60)
    world.chain.closings[log_id(world.origin)] = world.chain.time
    data = world.file(receipt, event)
    if shown:
        index = world.append(event, world.origins[1])
        world.chain.mine(DAY_SECONDS)
        world.anchor(world.origins[1])
        data = world.file(receipt, event, shown=index, origin=world.origins[1])
        world.chain.mine(LIMIT_SECONDS)
    else:
        world.chain.mine(DAY_SECONDS + LIMIT_SECONDS)
        assert finding(world, data) == ("unshown", 3)
    world.chain.mine(GRACE_BLOCKS * world.chain.seconds_per_block)
    assert finding(world, data) == (("honoured", 0) if shown else ("unshown", 3))
    world.chain.mine(2 * world.chain.seconds_per_block)
    assert finding(world, data) == (("honoured", 0) if shown else ("not-honoured", 1))
    assert (code(judge(world, data), "promise") == "receipt-unanchored") is not shown


def test_a_log_that_was_closed_after_it_was_due(world, event):
    data = world.file(world.promise(event), event)
    wait_out(world)
    world.chain.closings[log_id(world.origin)] = world.chain.time
    assert finding(world, data) == ("not-honoured", 1)


def test_what_is_no_receipt_of_that_member(world, event):
    other = world.event("other")
    index = world.append(other)
    world.anchor()
    thief = Ed25519Signer(bytes([5] * 32))
    for data, step in (
        (world.file(world.promise(event, signer=thief)), "node-key"),
        (world.file(world.promise(event), other), "event"),
        (world.file(world.promise(event, index=index), event, shown=index), "inclusion"),
        (world.file(world.promise(other, index=index - 1), other, shown=index), "inclusion"),
        (world.file(world.promise(event, rid=bytes(16)), event), "event"),
        (world.file(world.promise(event, log=world.origin[:-1] + "7")), "log"),
        (b"{}", "file"),
        (b"nothing", "receipt"),
        (b"\xff", "file"),
        (b"A" * 5000, "file"),
    ):
        ruling = judge(world, data)
        assert step in failed(ruling), step
        assert (ruling.finding.name, ruling.verdict.exit_code, ruling.convicts) == ("invalid", 1, None)


@pytest.mark.parametrize("name", ["iat", "anchor_by"])
def test_times_that_are_in_no_calendar(world, event, name):
    claims = parse_jws(world.promise(event), typ=TYP, max_bytes=10_000).payload
    late = claims | {"anchor_by": MAX_TIME + 1} | {name: MAX_TIME + 1}
    ruling = judge(world, sign_jws(TYP, late, world.node_key).encode())
    assert failed(ruling) == ["receipt"]


def test_a_key_that_was_not_valid_then(world, event):
    receipt, index = honour(world, event)
    public, block = world.node_key.public, world.chain.block
    for keys, passes in (
        ((TrustedKey(MEMBER, "node", public, block + 1, None),), False),
        ((TrustedKey(MEMBER, "node", public, None, 8_000),), False),
        ((TrustedKey(MEMBER, "node", public, None, block + 1),), True),
    ):
        for data in (world.file(receipt, event, shown=index), world.file(receipt, event)):
            assert (outcome(judge(world, data, keys=keys), "key-dates") == "passed") is passes


def test_without_a_chain(world, event):
    receipt, index = honour(world, event)
    data, bare = world.file(receipt, event, shown=index), world.file(receipt)
    assert finding(world, data, rpc=None) == ("undecided", 3)
    assert finding(world, data, rpc=None, demand=LOGGED) == ("genuine", 0)
    assert finding(world, bare, rpc=None, demand=LOGGED) == ("undecided", 3)
    assert finding(world, bare, rpc=None, demand=SIGNED) == ("genuine", 0)
    assert finding(world, data, chain=None) == ("undecided", 3)
    world.chain.fault = Unavailable("chain-away", "the chain does not answer")
    assert finding(world, data) == ("undecided", 3)


def test_another_chain_proves_nothing(world, event):
    receipt, index = honour(world, event)
    world.chain.id += 1
    assert finding(world, world.file(receipt, event, shown=index)) == ("invalid", 1)


@pytest.mark.parametrize(
    "members",
    [{"v": 2}, {"open": ["x"]}, {"anchor": {}}, {"more": 1}, {"receipt": None}, {"inclusion": 1}],
)
def test_files_of_another_form(world, event, members):
    file = parse_json(world.file(world.promise(event)), max_bytes=10_000) | members
    assert failed(judge(world, encode_json(file))) == ["file"]
