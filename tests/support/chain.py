# SPDX-License-Identifier: Apache-2.0
"""A chain in memory: blocks, reorganisations and outages, and the contracts' rules as far as a node can meet them.

``SimulatedChain`` is the chain that all share; ``client`` gives what one node sees of it, an ``AnchorChain``. It passes
tests/conformance/test_chain.py like the real client on anvil does. A test bends it with ``away``, ``lost_answers``,
``swallow_sends``, ``mine``, ``reorganise``, ``forget_after`` and ``restart_empty``.
"""

from __future__ import annotations

import copy
import hashlib
from dataclasses import dataclass, replace

from node.core.canonical import encode_json, parse_json
from node.core.encoding import encode_hex
from node.crypto.keccak import keccak256
from node.crypto.secp256k1 import encode_address
from node.errors import Conflict, InvalidInput, Unavailable
from node.log.anchor import Anchor, anchor_commitment
from node.ports import (
    AnchorHead,
    ChainStatus,
    Member,
    MemberStatus,
    SignedTransaction,
    TransactionOutcome,
)
from tests.support.chain_contracts import NO_ID, Contracts, State, key_at, last_log
from tests.support.chain_demands import SimulatedDemands
from tests.support.chain_votes import RevertError, VotingClient

MAX_TX_BYTES = 1 << 20


@dataclass
class Mined:
    """A transaction in a block: what it did."""

    block: int
    status: int
    anchors: list[tuple[bytes, Anchor]]
    reason: str | None


@dataclass
class SimulatedBlock:
    number: int
    hash: bytes
    time: int
    raws: list[bytes]
    state: State
    mined: dict[bytes, Mined]


class SimulatedChain:
    """A chain that several nodes share.

    Args:
        founders: (code, operator address EIP-55, roles) of the members, in order.
        domain: Exchange domain.
        clock: Time of blocks; without one every block is a second later than the one before.
        depth_blocks: Blocks on top that make a block final.
        automine: A block for every transaction, at once; otherwise ``mine`` does it.
    """

    def __init__(self, founders, *, domain="zj.example", clock=None, depth_blocks=0, automine=True):
        self.chain_id = 20260
        self.domain = domain
        self.depth_blocks = depth_blocks
        self.automine = automine
        self.away = False
        self.lost_answers = 0
        self.swallow_sends = False
        self._founders = list(founders)
        self._clock = clock
        self._forks = 0
        self.restart_empty()
        self._genesis_hash = self.blocks[0].hash

    def client(self, operator):
        """Give what the node with this operator address sees."""
        return SimulatedClient(self, operator)

    # ---- what a test does to the chain

    def mine(self, blocks=1):
        """Mine what waits into a block, then empty blocks."""
        for _ in range(blocks):
            head = self.blocks[-1]
            time = max(head.time + 1, self._clock.now_seconds()) if self._clock else head.time + 1
            block = self._block(head.number + 1, time, copy.deepcopy(head.state), parent=head.hash)
            self._fill(block)
            self.blocks.append(block)

    def reorganise(self, depth, *, lose=False):
        """Take the last blocks back; their transactions wait again, or are lost."""
        assert 0 < depth < len(self.blocks)
        self._forks += 1
        gone = self.blocks[-depth:]
        del self.blocks[-depth:]
        if not lose:
            for raw in [raw for block in gone for raw in block.raws]:
                self.pool.setdefault(keccak256(raw), raw)

    def forget_after(self, number):
        """Restart from a dump that was taken at this block: everything later is lost."""
        del self.blocks[number + 1 :]
        self._forks += 1
        self.pool.clear()

    def restart_empty(self):
        """Restart without data and without contracts, except the very first time."""
        first = not hasattr(self, "blocks")
        state = State()
        if first:
            for number, (code, operator, roles) in enumerate(self._founders, 1):
                state.members[code] = _founder(code, number, operator, roles)
        self._forks += 1
        self.pool = {}
        start = self._clock.now_seconds() if self._clock else 1_800_000_000
        self.blocks = []
        self.blocks.append(self._block(0, start, state, parent=NO_ID))

    # ---- what nodes do

    def check_answer(self):
        if self.away:
            raise Unavailable("chain-away", "chain node simulated gives no answer: it is away")

    def receive(self, raw):
        """Take a transaction; the error texts are those that real engines give."""
        self.check_answer()
        tx_hash = keccak256(raw)
        if self.find_mined(tx_hash) is None and tx_hash not in self.pool:
            fields = parse_json(raw, max_bytes=MAX_TX_BYTES)
            if fields["chain"] != self.chain_id:
                raise Unavailable(
                    "chain-refused", "chain node does not take the transaction: invalid chain id"
                )
            taken = {
                parse_json(other, max_bytes=MAX_TX_BYTES)["nonce"] for other in self.waiting(fields["from"])
            }
            if fields["nonce"] < self.state.nonces.get(fields["from"], 0) or fields["nonce"] in taken:
                raise Conflict("nonce-used", "another transaction of this account took the nonce")
            if not self.swallow_sends:
                self.pool[tx_hash] = raw
                if self.automine:
                    self.mine()
        if self.lost_answers:
            self.lost_answers -= 1
            raise Unavailable("chain-away", "chain node simulated gives no answer: the connection broke")

    def waiting(self, sender):
        return [
            raw for raw in self.pool.values() if parse_json(raw, max_bytes=MAX_TX_BYTES)["from"] == sender
        ]

    def find_mined(self, tx_hash):
        return next((b.mined[tx_hash] for b in reversed(self.blocks) if tx_hash in b.mined), None)

    @property
    def head(self):
        return self.blocks[-1]

    @property
    def state(self):
        return self.head.state

    @property
    def is_original(self):
        return self.blocks[0].hash == self._genesis_hash

    def _block(self, number, time, state, *, parent):
        content = encode_json([number, time, self._forks, encode_hex(parent)])
        return SimulatedBlock(number, hashlib.sha256(content).digest(), time, [], state, {})

    def _fill(self, block):
        progress = True
        while progress:
            progress = False
            for tx_hash, raw in list(self.pool.items()):
                fields = parse_json(raw, max_bytes=MAX_TX_BYTES)
                if fields["nonce"] == block.state.nonces.get(fields["from"], 0):
                    del self.pool[tx_hash]
                    block.raws.append(raw)
                    block.mined[tx_hash] = _run(block, tx_hash, fields, self.domain)
                    progress = True


def _founder(code, number, operator, roles):
    recovery = encode_address(keccak256(b"recovery of " + operator.encode())[12:])
    return Member(code, number, MemberStatus.ACTIVE, roles, True, operator, recovery, None, None, 0)


def _run(block, tx_hash, fields, domain):
    """Run a transaction on a copy of the state, which replaces the state unless the contract refuses."""
    block.state.nonces[fields["from"]] = fields["nonce"] + 1
    contracts = Contracts(copy.deepcopy(block.state), block, tx_hash, domain, fields["from"])
    try:
        contracts.run(fields["call"], fields["args"])
    except RevertError as revert:
        return Mined(block.number, 0, [], str(revert))
    block.state = contracts.state
    return Mined(block.number, 1, contracts.anchors, None)


class SimulatedClient(VotingClient):
    """What one node sees of a simulated chain; implements ``node.ports.AnchorChain``."""

    def __init__(self, chain, operator):
        self.chain = chain
        self.operator = operator
        self.demands = SimulatedDemands(self)

    def probe(self, known=None):
        chain = self.chain
        if chain.away:
            return ChainStatus("away", None, None, None, "chain node simulated gives no answer: it is away")
        state, detail = self._fault(known or {}) or (
            "ready",
            f"chain {chain.chain_id} at block {chain.head.number}",
        )
        return ChainStatus(state, chain.chain_id, chain.head.number, chain.head.time, detail)

    def _fault(self, known):
        chain = self.chain
        if chain.chain_id != 20260:
            return "wrong-chain", f"another chain answers: got id {chain.chain_id}, want 20260"
        if not chain.is_original:
            return "empty", "the chain has another block 0 and no contracts: it restarted empty"
        for log_id, anchor in known.items():
            name = f"anchor {anchor.i} of log {log_id.hex()[:16]}"
            commitment = self.commitment(log_id, anchor.i)
            if chain.head.number < anchor.block or commitment == NO_ID:
                return "behind", f"the chain does not have {name}, which was final in block {anchor.block}"
            if commitment != anchor_commitment(anchor):
                return "wrong-chain", f"the chain has another {name} than the one that was final"
        return None

    def _state(self):
        self.chain.check_answer()
        return self.chain.state

    def log_head(self, log_id):
        log = self._state().logs.get(log_id)
        if log is None:
            return None
        if not log.anchors:
            return AnchorHead(0, 0, log.info.opened_block, log.opened_time, NO_ID)
        last = log.anchors[-1][0]
        return AnchorHead(last.size, last.i, last.block, last.time, last.root)

    def log_info(self, log_id):
        log = self._state().logs.get(log_id)
        return replace(log.info, closed=log.closed_at(self.chain.head.time)) if log else None

    def last_log(self, member, kind):
        return last_log(self._state(), member, kind)

    def commitment(self, log_id, i):
        return next((anchor_commitment(a) for a, _ in self.fetch_anchors(log_id, i) if a.i == i), NO_ID)

    def fetch_anchors(self, log_id, from_i):
        log = self._state().logs.get(log_id)
        return [pair for pair in log.anchors if pair[0].i >= from_i] if log else []

    def next_nonce(self):
        used = self._state().nonces.get(self.operator, 0)
        waiting = {
            parse_json(raw, max_bytes=MAX_TX_BYTES)["nonce"] for raw in self.chain.waiting(self.operator)
        }
        while used in waiting:
            used += 1
        return used

    def sign_register_keys(self, keys, nonce):
        return self._sign(
            "registerKeys", [[int(k.kind), k.key.hex(), k.data.hex(), k.from_block] for k in keys], nonce
        )

    def sign_open_log(self, kind, n, predecessor, nonce):
        return self._sign("openLog", [kind, n, encode_hex(predecessor or NO_ID)], nonce)

    def sign_close_log(self, log_id, nonce):
        return self._sign("closeLog", [encode_hex(log_id)], nonce)

    def sign_close_by_vote(self, log_id, nonce):
        return self._sign("closeByVote", [encode_hex(log_id)], nonce)

    def sign_anchor(self, requests, nonce):
        if len(requests) not in {1, 2}:
            raise InvalidInput(
                "anchor-request", f"wrong number of logs to anchor: got {len(requests)}, want 1 or 2"
            )
        args = [
            [encode_hex(r.log_id), r.size, encode_hex(r.root), [node.hex() for node in r.proof]]
            for r in requests
        ]
        return self._sign("anchor", args, nonce)

    def _sign(self, call, args, nonce):
        fields = {"chain": 20260, "from": self.operator, "nonce": nonce, "call": call, "args": args}
        raw = encode_json(fields)
        return SignedTransaction(raw, keccak256(raw), nonce)

    def send(self, raw):
        self.chain.receive(raw)

    def find_outcome(self, tx_hash):
        self.chain.check_answer()
        mined = self.chain.find_mined(tx_hash)
        if mined is None:
            return None
        block = self.chain.blocks[mined.block]
        return TransactionOutcome(
            status=mined.status,
            block=block.number,
            block_hash=block.hash,
            time=block.time,
            gas_used=100_000,
            final=self.chain.head.number - block.number >= self.chain.depth_blocks,
            anchors=tuple(mined.anchors),
            revert_reason=mined.reason,
        )

    def members(self):
        return sorted(self._state().members.values(), key=lambda member: member.number)

    def member(self, code):
        return self._state().members.get(code)

    def key_at(self, member, kind, block):
        return key_at(self._state(), member, kind, block)

    def keys(self, member, kind):
        return list(self._state().keys.get((member, kind), []))

    def key_data(self, member, kind, key):
        known = any(period.key == key for period in self.keys(member, kind))
        return self._state().key_data[key] if known else None

    def block_time(self, block):
        self.chain.check_answer()
        if block > self.chain.head.number:
            raise Unavailable("chain-answer", f"no block {block}")
        return self.chain.blocks[block].time

    def compromised_from(self, member, kind, key):
        self.chain.check_answer()
