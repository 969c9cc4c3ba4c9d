# SPDX-License-Identifier: Apache-2.0
"""A network of two members to try a chain on: in memory, or with the real contracts on anvil.

Each lab starts from nothing (its own chain, or freshly deployed contracts), so that tests share no log.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

from consortium.deploy import ChainChoice, Founder, deploy_network
from node.chain.evm import EvmChain
from node.chain.rpc import Rpc
from node.chain.transport import HttpTransport
from node.core.clock import SystemClock
from node.core.types import LogId, MemberCode
from node.crypto.secp256k1 import OperatorKey
from node.log.merkle import leaf_hash, root_of
from node.log.tree import build_consistency_proof
from node.ports import AnchorRequest, KeyKind, KeyRegistration, Role
from tests.support.chain import SimulatedChain
from tests.support.records import MEMBER, OTHER_MEMBER
from tests.support.trees import MemoryTiles, TreeWriter

DOMAIN = "zj.example"
WAIT_SECONDS = 120.0
RECORDS, ACCESS = 1, 2
LOG_KEYS = {
    RECORDS: (KeyKind.RECORDS_LOG_ED25519, KeyKind.RECORDS_LOG_ML_DSA_44),
    ACCESS: (KeyKind.ACCESS_LOG_ED25519, KeyKind.ACCESS_LOG_ML_DSA_44),
}


def operator_key(number):
    return OperatorKey(bytes(31) + bytes([number]))


def recovery_key(number):
    return operator_key(number + 100)


DEPLOYER = operator_key(99)
FOUNDERS = (
    Founder(
        MemberCode(MEMBER),
        "市场监督管理局",
        operator_key(1).address,
        recovery_key(1).address,
        Role.ISSUER | Role.CONSUMER,
        governing=True,
    ),
    Founder(
        MemberCode(OTHER_MEMBER),
        "中级人民法院",
        operator_key(2).address,
        recovery_key(2).address,
        Role.CONSUMER,
        governing=True,
    ),
)


@dataclass
class Lab:
    """One chain as the nodes of its members see it."""

    clients: list

    @property
    def client(self):
        return self.clients[0]

    def settle(self, signed, *, by=None):
        """Send a transaction and wait for its outcome."""
        client = by or self.client
        client.send(signed.raw)
        return wait_outcome(client, signed.tx_hash)

    def open_log(self, kind=RECORDS, *, by=None, seed=b""):
        """Register a log's keys, open it and give its id."""
        client = by or self.client
        number = self.clients.index(client)
        keys = [
            KeyRegistration(key_kind, leaf_hash(b"%d %d" % (number, key_kind) + seed))
            for key_kind in LOG_KEYS[kind]
        ]
        assert self.settle(client.sign_register_keys(keys, client.next_nonce()), by=client).status == 1
        outcome = self.settle(client.sign_open_log(kind, 0, None, client.next_nonce()), by=client)
        assert outcome.status == 1, outcome.revert_reason
        return client.last_log(FOUNDERS[number].code, kind)

    def anchor(self, log, entries):
        """Grow a log, anchor it and give the outcome."""
        log.grow(entries)
        outcome = self.settle(self.client.sign_anchor([log.request()], self.client.next_nonce()))
        assert outcome.status == 1, outcome.revert_reason
        log.anchored = log.tree.size
        return outcome

    def close(self):
        for client in self.clients:
            client.close()


def wait_outcome(client, tx_hash):
    deadline = time.monotonic() + WAIT_SECONDS
    while (outcome := client.find_outcome(tx_hash)) is None or not outcome.final:
        assert time.monotonic() < deadline, "the transaction did not become final"
        time.sleep(0.005)
    return outcome


def simulated_lab(**settings):
    founders = [(founder.code, founder.operator, founder.roles) for founder in FOUNDERS]
    chain = SimulatedChain(founders, domain=DOMAIN, **settings)
    return Lab([chain.client(founder.operator) for founder in FOUNDERS])


def deploy(url, *, chain_id):
    """Deploy fresh contracts for the lab's members and give the network file's content."""
    rpc = Rpc(HttpTransport(url))
    try:
        return deploy_network(
            rpc,
            ChainChoice(chain_id, "anvil", (url,)),
            DEPLOYER,
            domain=DOMAIN,
            founders=FOUNDERS,
            clock=SystemClock(),
            sleep=time.sleep,
        )
    finally:
        rpc.close()


def evm_lab(network, url, *, transport=HttpTransport):
    """Give the lab of a deployed network; close its clients when done."""
    return Lab(
        [
            EvmChain(Rpc(transport(url)), network.settings(), operator_key(number + 1))
            for number in range(len(FOUNDERS))
        ]
    )


class GrowingLog:
    """A tree that grows and proves itself to the chain."""

    def __init__(self, log_id):
        self.log_id = LogId(log_id)
        self.tiles = MemoryTiles()
        self.tree = TreeWriter()
        self.anchored = 0

    def grow(self, entries):
        leaves = (leaf_hash(b"%d" % number) for number in range(self.tree.size, self.tree.size + entries))
        self.tiles.apply(self.tree.extend(b"".join(leaves)))

    def request(self):
        """Build the request for the present size; the caller says when it was anchored."""
        proof = build_consistency_proof(self.tiles, self.anchored, self.tree.size) if self.anchored else []
        return AnchorRequest(self.log_id, self.tree.size, self.tree.root(), proof)


def rewritten_root(size):
    """Root of a log of this size whose first entry is another than GrowingLog has."""
    return root_of([leaf_hash(b"another"), *(leaf_hash(b"%d" % number) for number in range(1, size))])
