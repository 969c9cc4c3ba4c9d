# SPDX-License-Identifier: Apache-2.0
"""A consortium of one member on anvil, which can open, anchor and close logs as fast as it can sign."""

from __future__ import annotations

import time

from consortium.deploy import ChainChoice, Founder, deploy_network
from node.chain.abi import ContractAbi
from node.chain.account import ChainAccount
from node.chain.contracts import NO_ID, AnchorLog, MemberRegistry, encode_code, load_abi
from node.chain.profile import build_profile
from node.chain.rpc import Rpc
from node.chain.transport import HttpTransport
from node.core.clock import SystemClock
from node.core.types import MemberCode
from node.crypto.keccak import keccak256
from node.crypto.secp256k1 import OperatorKey
from node.ports import Role
from tests.support.records import MEMBER

RECORDS = 1
GAS = 2_000_000
CLOSE = 1
RESOLVE = 8
CLOSE_TYPES = [
    {
        "type": "constructor",
        "inputs": [
            {"name": n, "type": t}
            for n, t in (("operation", "uint8"), ("logId", "bytes32"), ("lastGood", "uint64"))
        ],
    }
]
RESOLVE_TYPES = [
    {
        "type": "constructor",
        "inputs": [{"name": n, "type": t} for n, t in (("target", "address"), ("data", "bytes"))],
    }
]


class SoleMember:
    """The member and its two contracts."""

    def __init__(self, url, chain_id):
        self.key = OperatorKey(keccak256(b"operator"))
        self.rpc = Rpc(HttpTransport(url))
        recovery = OperatorKey(keccak256(b"recovery")).address
        founder = Founder(MemberCode(MEMBER), "一", self.key.address, recovery, Role.ISSUER, governing=True)
        network = deploy_network(
            self.rpc,
            ChainChoice(chain_id, "anvil", (url,)),
            self.key,
            domain="vectors.example",
            founders=[founder],
            clock=SystemClock(),
            sleep=time.sleep,
        )
        self.registry = MemberRegistry(self.rpc, network.member_registry, load_abi("MemberRegistry"))
        self.log = AnchorLog(self.rpc, network.anchor_log, load_abi("AnchorLog"))
        self.account = ChainAccount(self.rpc, chain_id, build_profile("anvil"), self.key)
        keys = [(kind, keccak256(bytes([kind])), 0, b"") for kind in (3, 5)]
        self.send(self.registry, "registerKeys", keys)
        self.opened = 0

    def send(self, contract, function, *values):
        """Send a transaction that has to succeed and give its receipt."""
        data = contract.abi.encode_call(function, *values)
        signed = self.account.sign(contract.address, data, gas=GAS, nonce=self.account.next_nonce())
        return self.account.wait_final(
            signed,
            clock=SystemClock(),
            sleep=time.sleep,
            timeout_seconds=20,
            describe=contract.abi.describe_reason,
        ).receipt

    def call(self, function, *values):
        """Ask AnchorLog what the member's transaction would do; raises CallReverted."""
        data = self.log.abi.encode_call(function, *values)
        self.rpc.call(self.log.address, data, sender=self.account.address)

    def fresh_log(self):
        """Open an empty records log, in place of the one before, which is closed by the member's one vote."""
        (last,) = self.log.read("lastLog", encode_code(MemberCode(MEMBER)), RECORDS)
        if last != NO_ID:
            closing = ContractAbi(CLOSE_TYPES).encode_constructor(CLOSE, last, 0)
            payload = ContractAbi(RESOLVE_TYPES).encode_constructor(self.log.address, closing)
            self.send(self.registry, "propose", RESOLVE, payload)
        self.send(self.log, "openLog", RECORDS, self.opened, last)
        self.opened += 1
        (log_id,) = self.log.read("lastLog", encode_code(MemberCode(MEMBER)), RECORDS)
        return log_id
