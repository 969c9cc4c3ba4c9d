# SPDX-License-Identifier: Apache-2.0
"""What every AnchorChain does, run against the client on anvil and against the chain in memory."""

from __future__ import annotations

from dataclasses import replace
from hashlib import sha256
from itertools import pairwise

import pytest

from node.core.types import LogId, MemberCode, RootHash
from node.errors import Conflict, InvalidInput, Unavailable
from node.log.anchor import Anchor, anchor_commitment
from node.ports import AnchorHead, AnchorRequest, KeyKind, KeyPeriod, KeyRegistration, MemberStatus, Role
from tests.support.errors import raises_code
from tests.support.labs import (
    ACCESS,
    DOMAIN,
    FOUNDERS,
    RECORDS,
    GrowingLog,
    rewritten_root,
)

MEMBER, OTHER = (founder.code for founder in FOUNDERS)
UNKNOWN_LOG = LogId(bytes(31) + b"\x01")
UNKNOWN_MEMBER = MemberCode("91330106MA27Y8LH0H")


def test_a_chain_that_is_well_is_ready(lab):
    status = lab.client.probe()
    assert status.state == "ready"
    assert status.chain_id == 20260
    assert status.block is not None
    assert status.block_time > 1_700_000_000
    assert str(status.block) in status.detail


def test_the_registry_lists_its_founders(lab):
    members = lab.client.members()
    assert [member.code for member in members] == [MEMBER, OTHER]
    first = members[0]
    assert first == lab.client.member(MEMBER)
    assert (first.number, first.status, first.governing) == (1, MemberStatus.ACTIVE, True)
    assert first.roles == Role.ISSUER | Role.CONSUMER
    assert (first.operator, first.pending_operator, first.rotation_at) == (FOUNDERS[0].operator, None, None)


def test_who_never_joined_is_not_found(lab):
    assert lab.client.member(UNKNOWN_MEMBER) is None
    assert lab.client.last_log(UNKNOWN_MEMBER, RECORDS) is None
    assert lab.client.keys(UNKNOWN_MEMBER, KeyKind.RECORD) == []
    assert lab.client.key_at(UNKNOWN_MEMBER, KeyKind.RECORD, 1) is None


def test_keys_have_blocks(lab):
    client, first, second = lab.client, b"\x01" * 32, b"\x02" * 32
    began = lab.settle(
        client.sign_register_keys([KeyRegistration(KeyKind.RECORD, first)], client.next_nonce())
    ).block
    later = lab.settle(
        client.sign_register_keys([KeyRegistration(KeyKind.RECORD, second)], client.next_nonce())
    ).block
    assert client.keys(MEMBER, KeyKind.RECORD) == [
        KeyPeriod(first, began, later),
        KeyPeriod(second, later, None),
    ]
    assert client.key_at(MEMBER, KeyKind.RECORD, began - 1) is None
    assert client.key_at(MEMBER, KeyKind.RECORD, later - 1) == first
    assert client.key_at(MEMBER, KeyKind.RECORD, later) == second
    assert client.compromised_from(MEMBER, KeyKind.RECORD, first) is None
    assert client.block_time(began) <= client.block_time(later), "two blocks may be of one second"
    with pytest.raises(Unavailable):
        client.block_time(later + 1_000_000)


def test_long_keys_are_registered_by_digest(lab):
    data = bytes(1216)
    key = KeyRegistration(KeyKind.EXCHANGE, sha256(data).digest(), data)
    assert lab.settle(lab.client.sign_register_keys([key], lab.client.next_nonce())).status == 1
    wrong = KeyRegistration(KeyKind.EXCHANGE, b"\x03" * 32, data)
    outcome = lab.settle(lab.client.sign_register_keys([wrong], lab.client.next_nonce()))
    assert outcome.status == 0
    assert outcome.revert_reason.startswith("MalformedKey(kind=7)")


def test_one_key_has_one_purpose(lab):
    key = b"\x07" * 32
    keys = [KeyRegistration(KeyKind.RECORD, key), KeyRegistration(KeyKind.NODE, key)]
    outcome = lab.settle(lab.client.sign_register_keys(keys, lab.client.next_nonce()))
    assert outcome.status == 0
    assert outcome.revert_reason.startswith(f"KeyInUse(key=0x{key.hex()})")
    assert lab.client.keys(MEMBER, KeyKind.RECORD) == []


def test_a_log_opens_with_its_keys(lab):
    client = lab.client
    refused = lab.settle(client.sign_open_log(RECORDS, 0, None, client.next_nonce()))
    assert refused.status == 0
    assert refused.revert_reason.startswith("LogKeysMissing()")
    log_id = lab.open_log(RECORDS)
    assert log_id == sha256(f"{DOMAIN}/{MEMBER}/records/0".encode()).digest()
    info, head = client.log_info(log_id), client.log_head(log_id)
    assert (info.member, info.kind, info.n, info.closed) == (MEMBER, RECORDS, 0, False)
    assert (info.predecessor, info.successor, info.closes_at, info.last_good) == (None, None, None, None)
    assert info.ed25519 == client.key_at(MEMBER, KeyKind.RECORDS_LOG_ED25519, info.opened_block)
    assert info.ml_dsa_44_digest == client.key_at(MEMBER, KeyKind.RECORDS_LOG_ML_DSA_44, info.opened_block)
    assert head == AnchorHead(0, 0, info.opened_block, head.time, RootHash(bytes(32)))
    assert client.fetch_anchors(log_id, 1) == []


def test_a_member_has_one_open_log_of_a_kind(lab):
    lab.open_log(RECORDS)
    client = lab.client
    again = lab.settle(client.sign_open_log(RECORDS, 0, None, client.next_nonce()))
    assert (again.status, again.revert_reason.split("(")[0]) == (0, "WrongSuccession")
    last = client.last_log(MEMBER, RECORDS)
    early = lab.settle(client.sign_open_log(RECORDS, 1, last, client.next_nonce()))
    assert (early.status, early.revert_reason.split("(")[0]) == (0, "PredecessorOpen")


def test_a_log_closes_after_its_notice(lab):
    log = GrowingLog(lab.open_log(RECORDS))
    client = lab.client
    announced = lab.settle(client.sign_close_log(log.log_id, client.next_nonce()))
    assert announced.status == 1
    info = client.log_info(log.log_id)
    assert (info.closed, info.closes_at) == (False, announced.time + 86_400)
    again = lab.settle(client.sign_close_log(log.log_id, client.next_nonce()))
    assert (again.status, again.revert_reason.split("(")[0]) == (0, "AlreadyClosing")
    log.grow(3)
    anchored = lab.settle(client.sign_anchor([log.request()], client.next_nonce()))
    assert anchored.status == 1, "it is open until then"


def test_a_vote_that_needs_others_closes_nothing(lab):
    log_id = lab.open_log(RECORDS)
    client = lab.client
    proposed = lab.settle(client.sign_close_by_vote(log_id, client.next_nonce()))
    assert proposed.status == 1
    info = client.log_info(log_id)
    assert (info.closed, info.closes_at) == (False, None)


def test_a_log_that_was_never_opened_is_not_found(lab):
    assert lab.client.log_head(UNKNOWN_LOG) is None
    assert lab.client.log_info(UNKNOWN_LOG) is None
    assert lab.client.last_log(MEMBER, RECORDS) is None
    assert lab.client.commitment(UNKNOWN_LOG, 1) == bytes(32)
    assert lab.client.fetch_anchors(UNKNOWN_LOG, 1) == []


def test_the_first_anchor_begins_at_the_opening(lab):
    log = GrowingLog(lab.open_log())
    opened = lab.client.log_head(log.log_id)
    outcome = lab.anchor(log, 7)
    ((log_id, anchor),) = outcome.anchors
    assert log_id == log.log_id
    assert anchor == Anchor(1, 0, opened.block, opened.time, 7, log.tree.root(), outcome.block, outcome.time)
    assert lab.client.commitment(log_id, 1) == anchor_commitment(anchor)
    assert lab.client.commitment(log_id, 2) == bytes(32)
    assert lab.client.log_head(log_id) == AnchorHead(7, 1, anchor.block, anchor.time, anchor.root)
    assert (outcome.final, outcome.revert_reason) == (True, None)
    assert outcome.gas_used > 21_000


def test_anchors_continue_each_other_and_can_be_fetched(lab):
    log = GrowingLog(lab.open_log())
    outcomes = [lab.anchor(log, entries) for entries in (1, 300, 5)]
    anchors = [outcome.anchors[0][1] for outcome in outcomes]
    assert [anchor.size for anchor in anchors] == [1, 301, 306]
    for before, after in pairwise(anchors):
        assert (after.prev_size, after.prev_block, after.prev_time) == (
            before.size,
            before.block,
            before.time,
        )
    fetched = lab.client.fetch_anchors(log.log_id, 1)
    assert [anchor for anchor, _ in fetched] == anchors
    for anchor, tx_hash in fetched:
        assert lab.client.find_outcome(tx_hash).anchors == ((log.log_id, anchor),)
    assert lab.client.fetch_anchors(log.log_id, 3) == fetched[2:]
    assert lab.client.fetch_anchors(log.log_id, 4) == []


def test_two_logs_are_anchored_in_one_transaction_or_not_at_all(lab):
    logs = [GrowingLog(lab.open_log(RECORDS)), GrowingLog(lab.open_log(ACCESS))]
    for log in logs:
        log.grow(16)
    client = lab.client
    requests = [log.request() for log in logs]
    spoilt = replace(requests[1], size=0)
    outcome = lab.settle(client.sign_anchor([requests[0], spoilt], client.next_nonce()))
    assert (outcome.status, outcome.anchors) == (0, ())
    assert client.log_head(logs[0].log_id).i == 0
    outcome = lab.settle(client.sign_anchor(requests, client.next_nonce()))
    assert [log_id for log_id, _ in outcome.anchors] == [log.log_id for log in logs]


@pytest.mark.parametrize("logs", [0, 3])
def test_another_number_of_logs_is_refused(lab, logs):
    request = AnchorRequest(UNKNOWN_LOG, 1, RootHash(bytes(32)), [])
    with raises_code(InvalidInput, "anchor-request"):
        lab.client.sign_anchor([request] * logs, 0)


def test_rewritten_history_is_reverted_with_the_reason(lab):
    log = GrowingLog(lab.open_log())
    lab.anchor(log, 8)
    before = lab.client.log_head(log.log_id)
    # The first eight entries were exchanged: the best proof that can be made leads from another old root.
    forged = AnchorRequest(log.log_id, 9, rewritten_root(9), [bytes(32)])
    nonce = lab.client.next_nonce()
    outcome = lab.settle(lab.client.sign_anchor([forged], nonce))
    assert (outcome.status, outcome.anchors) == (0, ())
    assert outcome.revert_reason.startswith("NewRootMismatch()")
    assert lab.client.log_head(log.log_id) == before
    assert lab.client.next_nonce() == nonce + 1


def test_a_proof_from_another_root_is_reverted(lab):
    log = GrowingLog(lab.open_log())
    lab.anchor(log, 7)
    log.grow(4)
    request = log.request()
    forged = replace(request, proof=[bytes(32), *request.proof[1:]])
    outcome = lab.settle(lab.client.sign_anchor([forged], lab.client.next_nonce()))
    assert (outcome.status, outcome.revert_reason.split("(")[0]) == (0, "OldRootMismatch")


def test_a_proof_of_another_length_is_reverted(lab):
    log = GrowingLog(lab.open_log())
    lab.anchor(log, 7)
    log.grow(4)
    request = log.request()
    for proof in (request.proof[:-1], [*request.proof, bytes(32)]):
        forged = replace(request, proof=proof)
        outcome = lab.settle(lab.client.sign_anchor([forged], lab.client.next_nonce()))
        assert (outcome.status, outcome.revert_reason.split("(")[0]) == (0, "WrongProofLength")


def test_a_log_must_grow(lab):
    log = GrowingLog(lab.open_log())
    lab.anchor(log, 5)
    for size in (5, 4):
        request = AnchorRequest(log.log_id, size, log.tree.root(), [])
        outcome = lab.settle(lab.client.sign_anchor([request], lab.client.next_nonce()))
        assert outcome.status == 0
        assert outcome.revert_reason.startswith(f"SizeNotGrown(oldSize=5, newSize={size})")


def test_nobody_else_can_anchor_a_log(lab):
    log = GrowingLog(lab.open_log())
    log.grow(3)
    other = lab.clients[1]
    outcome = lab.settle(other.sign_anchor([log.request()], other.next_nonce()), by=other)
    assert outcome.status == 0
    assert outcome.revert_reason.startswith("NotAuthorised(caller=0x")


def test_the_same_bytes_can_be_sent_again_and_again(lab):
    log = GrowingLog(lab.open_log())
    log.grow(3)
    client = lab.client
    signed = client.sign_anchor([log.request()], client.next_nonce())
    client.send(signed.raw)
    client.send(signed.raw)
    outcome = lab.settle(signed)
    client.send(signed.raw)
    assert outcome.status == 1
    assert client.log_head(log.log_id).i == 1
    assert client.next_nonce() == signed.nonce + 1
    assert client.sign_anchor([log.request()], signed.nonce) == signed


def test_a_nonce_that_another_transaction_took_is_a_conflict(lab):
    log = GrowingLog(lab.open_log())
    log.grow(3)
    client = lab.client
    nonce = client.next_nonce()
    first = client.sign_anchor([log.request()], nonce)
    log.grow(1)
    second = client.sign_anchor([log.request()], nonce)
    lab.settle(first)
    with raises_code(Conflict, "nonce-used"):
        client.send(second.raw)
    assert client.find_outcome(second.tx_hash) is None


def test_a_transaction_that_was_never_sent_has_no_outcome(lab):
    signed = lab.client.sign_open_log(RECORDS, 0, None, lab.client.next_nonce())
    assert lab.client.find_outcome(signed.tx_hash) is None


def test_a_chain_without_our_last_anchor_is_behind(lab):
    log = GrowingLog(lab.open_log())
    anchor = lab.anchor(log, 3).anchors[0][1]
    assert lab.client.probe({log.log_id: anchor}).state == "ready"
    later = replace(anchor, i=2, prev_size=3, size=4)
    status = lab.client.probe({log.log_id: later})
    assert (status.state, status.chain_id) == ("behind", 20260)
    assert "anchor 2" in status.detail
    higher = replace(anchor, block=anchor.block + 1_000_000)
    assert lab.client.probe({log.log_id: higher}).state == "behind"


def test_a_chain_with_another_anchor_in_the_place_of_ours_is_another_chain(lab):
    log = GrowingLog(lab.open_log())
    anchor = lab.anchor(log, 3).anchors[0][1]
    status = lab.client.probe({log.log_id: replace(anchor, root=RootHash(bytes(32)))})
    assert status.state == "wrong-chain"
