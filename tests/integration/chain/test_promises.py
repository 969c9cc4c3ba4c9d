# SPDX-License-Identifier: Apache-2.0
"""Receipts on a real chain: honoured, answered on demand, unanswered until it is a default, and a false demand.

The member that gives the receipts signs its transactions by hand here, so that it can also be silent.
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from node.access.receipt import build_receipt
from node.chain.auditing import RpcAuditChain
from node.chain.demands import ANSWER_GAS, DEFAULT_GAS, DEMAND_GAS
from node.chain.promises import RpcReceiptReader
from node.chain.transport import HttpTransport
from node.core.encoding import encode_hex
from node.crypto.ed25519 import Ed25519Signer
from node.crypto.mldsa import MlDsa44Signer
from node.crypto.note import ED25519, MLDSA44, build_vkey
from node.evidence.policy import Policy, TrustedChain, TrustedKey, TrustedLog
from node.evidence.promises import DemandState
from node.evidence.receipts import verify_receipt_file
from node.log.checkpoint import build_origin, log_id, parse_origin
from node.log.merkle import leaf_hash
from node.log.tree import build_inclusion_path
from tests.support.labs import ACCESS, DOMAIN, FOUNDERS, GrowingLog, deploy, evm_lab
from tests.support.own_chain import OwnChain

MEMBER, OTHER = (founder.code for founder in FOUNDERS)
LIMIT_SECONDS = 4 * 3600
DAY_SECONDS = 86_400
NODE_KEY = Ed25519Signer(bytes([9] * 32))
ORIGIN = build_origin(DOMAIN, MEMBER, "access", 0)


class Promises:
    """One member's access log on a chain whose time we turn."""

    def __init__(self, own):
        self.url = own.url
        network = deploy(own.url, chain_id=own.anvil.chain_id)
        self.lab = evm_lab(network, own.url)
        self.member, self.other = self.lab.clients
        self.log = GrowingLog(self.lab.open_log(ACCESS))
        assert self.log.log_id == log_id(ORIGIN)
        self.reader = RpcReceiptReader(own.url)
        self.raw = HttpTransport(own.url)
        head = self.reader.head_block()
        key, key_pq = Ed25519Signer(bytes([1] * 32)), MlDsa44Signer(bytes([1] * 32))
        log = TrustedLog(
            parse_origin(ORIGIN),
            ORIGIN,
            MEMBER,
            build_vkey(ORIGIN, ED25519, key.public),
            build_vkey(ORIGIN, MLDSA44, key_pq.public),
        )
        contract = encode_hex(network.anchor_log)
        chain = TrustedChain(
            20260, "anvil", contract, head, self.reader.block_hash(head), (), 2**31, rpc=own.url
        )
        self.policy = Policy((log,), (TrustedKey(MEMBER, "node", NODE_KEY.public, None, None),), chain)

    def close(self):
        self.reader.close()
        self.raw.close()
        self.lab.close()

    def wait(self, seconds, blocks=1):
        """Turn the chain's clock, then mine."""
        self.raw.request("evm_increaseTime", [seconds])
        self.raw.request("anvil_mine", [hex(blocks), "0x1"])

    @property
    def now(self):
        return self.reader.block_time(self.reader.head_block())

    def anchor(self, entries):
        self.log.grow(entries)
        outcome = self.lab.settle(self.member.sign_anchor([self.log.request()], self.member.next_nonce()))
        assert outcome.status == 1, outcome.revert_reason
        self.log.anchored = self.log.tree.size
        return outcome.anchors[0][1]

    def send(self, client, sign, *values):
        outcome = self.lab.settle(sign(*values, client.next_nonce()), by=client)
        return outcome.revert_reason, outcome.gas_used

    def promise(self, index, leaf):
        return build_receipt(
            signer=NODE_KEY,
            iss=MEMBER,
            aud=OTHER,
            log=ORIGIN,
            idx=index,
            leaf=leaf,
            rid=bytes(16),
            pair=1,
            iat=self.now,
            anchor_limit_seconds=LIMIT_SECONDS,
        )

    def judge(self, receipt):
        ruling = verify_receipt_file(receipt.encode(), self.policy, now_seconds=self.now, chain=self.reader)
        return ruling.finding.name, ruling.convicts, ruling.steps[-1].code

    def demand(self, index):
        return self.send(self.other, self.other.demands.sign_demand, self.log.log_id, index)

    def answer(self, anchor, index):
        path = build_inclusion_path(self.log.tiles, index, anchor.size)
        leaf = leaf_hash(b"%d" % index)
        return self.send(
            self.member, self.member.demands.sign_answer, self.log.log_id, anchor, index, leaf, path
        )

    def default(self, index):
        return self.send(self.other, self.other.demands.sign_default, self.log.log_id, index)

    def state(self, index):
        return self.other.demands.find_demand(self.log.log_id, index).state


@pytest.fixture(scope="module")
def promises(tmp_path_factory):
    own = OwnChain(tmp_path_factory.mktemp("promises"))
    made = Promises(own)
    yield made
    made.close()
    own.close()


@pytest.fixture(scope="module")
def anchored(promises):
    """Entries 0 to 39 and the anchor that first covered them."""
    promises.anchor(10)
    return promises.anchor(30)


def test_an_honest_member(promises, anchored):
    receipt = promises.promise(12, leaf_hash(b"12"))
    assert promises.judge(receipt) == ("unshown", None, "receipt-unshown")
    reason, gas = promises.demand(12)
    assert reason is None
    assert gas < DEMAND_GAS
    assert (
        promises.member.demands.fetch_demanded(promises.log.log_id, 0, promises.reader.head_block())[-1] == 12
    )
    reason, gas = promises.answer(anchored, 12)
    assert reason is None
    assert gas < ANSWER_GAS
    assert promises.judge(receipt) == ("honoured", None, None)


def test_a_false_demand_convicts_nobody(promises, anchored):
    """Nobody promised entry 13. Its owner shows it, and the one who demanded it has shown nothing."""
    assert promises.demand(13)[0] is None
    assert promises.answer(anchored, 13)[0] is None
    assert promises.state(13) is DemandState.ANSWERED
    assert promises.judge(promises.promise(12, leaf_hash(b"12")))[0] == "honoured"
    assert promises.judge(promises.promise(13, leaf_hash(b"13")))[0] == "honoured"


def test_another_leaf_convicts(promises, anchored):
    receipt = promises.promise(14, leaf_hash(b"what was promised"))
    assert promises.judge(receipt)[:2] == ("unshown", None)
    promises.demand(14)
    promises.answer(anchored, 14)
    assert promises.judge(receipt)[:2] == ("not-honoured", MEMBER)


def test_a_demand_that_stays_unanswered(promises, anchored):
    receipt = promises.promise(15, leaf_hash(b"15"))
    promises.demand(15)
    assert promises.default(15)[0] == "NotYetDue()"
    promises.wait(DAY_SECONDS + 1)
    reason, gas = promises.default(15)
    assert reason is None
    assert gas < DEFAULT_GAS
    assert promises.judge(receipt)[:2] == ("unshown", None)
    assert promises.default(15)[0] == "NotYetDue()"
    promises.wait(1, blocks=100)
    assert promises.default(15)[0] is None
    assert promises.state(15) is DemandState.DEFAULTED
    assert promises.judge(receipt)[:2] == ("not-honoured", MEMBER)
    assert promises.answer(anchored, 15)[0] is None
    assert promises.judge(receipt)[:2] == ("not-honoured", MEMBER)


def test_what_is_never_anchored(promises, anchored):
    index = promises.log.anchored
    receipt = promises.promise(index, leaf_hash(b"%d" % index))
    assert promises.judge(receipt) == ("not-due", None, "receipt-not-due")
    assert promises.demand(index)[0].startswith("IndexOutOfRange")
    promises.wait(LIMIT_SECONDS + 1)
    assert promises.judge(receipt) == ("not-due", None, "receipt-grace")
    promises.wait(1, blocks=101)
    assert promises.judge(receipt) == ("not-honoured", MEMBER, "receipt-unanchored")
    promises.anchor(1)
    assert promises.judge(receipt) == ("not-honoured", MEMBER, "receipt-late")


def test_the_first_anchor_over_an_entry(promises, anchored):
    """Found by walking back over windows of blocks, also where anchors lie far apart."""
    contract, own = promises.policy.chain.contract, promises.log.log_id
    promises.wait(1, blocks=2_500)
    later = promises.anchor(3)
    size = promises.log.anchored
    for index, first in ((0, 1), (9, 1), (10, 2), (39, 2), (size - 1, later.i)):
        assert promises.reader.first_cover(contract, own, index).i == first
    assert promises.reader.first_cover(contract, own, 10) == anchored
    assert promises.reader.first_cover(contract, own, size) is None
    assert promises.reader.first_cover(contract, bytes(32), 0) is None
    assert promises.reader.closes_at(contract, bytes(32)) is None


def test_a_log_that_is_being_closed(promises, anchored):
    contract, own = promises.policy.chain.contract, promises.log.log_id
    assert promises.reader.closes_at(contract, own) is None
    index = promises.log.anchored
    receipt = promises.promise(index, leaf_hash(b"%d" % index))
    promises.wait(LIMIT_SECONDS - 3_600)
    with RpcAuditChain(promises.policy.chain, promises.url) as audited:
        assert audited.closes_at(ORIGIN) is None
        assert audited.closes_at(build_origin(DOMAIN, MEMBER, "access", 1)) is None, "never opened"
        promises.send(promises.member, promises.member.sign_close_log, own)
        assert audited.closes_at(ORIGIN) == promises.reader.closes_at(contract, own) > promises.now
    assert promises.judge(receipt)[0] == "not-due"


def test_the_key_of_the_receipt_needs_its_dates(promises, anchored):
    head = promises.reader.head_block()
    late = promises.policy.keys[0]._replace(from_block=head + 10)
    policy = replace(promises.policy, keys=(late,))
    receipt = promises.promise(12, leaf_hash(b"12"))
    ruling = verify_receipt_file(receipt.encode(), policy, now_seconds=promises.now, chain=promises.reader)
    assert (ruling.finding.name, ruling.convicts) == ("invalid", None)
