# SPDX-License-Identifier: Apache-2.0
"""AnchorLog's demands in the simulated chain."""

from __future__ import annotations

from dataclasses import dataclass

from node.core.encoding import encode_hex, parse_hex
from node.errors import Verification
from node.evidence.promises import DemandOnChain, DemandState
from node.log.anchor import Anchor
from node.log.merkle import verify_inclusion

ANSWER_SECONDS = 86_400
OVERDUE_BLOCKS = 100
NOTHING = bytes(32)


@dataclass
class StoredDemand:
    """A demand as the contract keeps it."""

    at: int
    block: int
    state: DemandState = DemandState.OPEN
    overdue_block: int = 0
    leaf: bytes = NOTHING


class DemandRules:
    """What the contract does with demands; ``revert`` raises its refusal."""

    def __init__(self, state, block, revert):
        self.state = state
        self.block = block
        self.revert = revert

    def demand(self, log_id_hex, index):
        log = self.state.logs.get(parse_hex(log_id_hex, length=32))
        if log is None:
            raise self.revert(f"UnknownLog(logId={log_id_hex})")
        size = log.anchors[-1][0].size if log.anchors else 0
        if index >= size:
            raise self.revert(f"IndexOutOfRange(index={index}, size={size})")
        if (log_id_hex, index) in self.state.demands:
            raise self.revert("WrongDemandState(state=1)")
        self.state.demands[log_id_hex, index] = StoredDemand(self.block.time, self.block.number)

    def answer(self, log_id_hex, fields, index, leaf_hex, path_hex):
        demand = self._wanted(log_id_hex, index, DemandState.OPEN, DemandState.DEFAULTED)
        if demand.state is DemandState.DEFAULTED and demand.leaf != NOTHING:
            raise self.revert("WrongDemandState(state=3)")
        anchor = Anchor(*(parse_hex(each, length=32) if isinstance(each, str) else each for each in fields))
        log = self.state.logs[parse_hex(log_id_hex, length=32)]
        if anchor not in [known for known, _ in log.anchors]:
            raise self.revert(f"UnknownAnchor(logId={log_id_hex}, i={anchor.i})")
        leaf = parse_hex(leaf_hex, length=32)
        try:
            path = [parse_hex(node, length=32) for node in path_hex]
            verify_inclusion(index, anchor.size, leaf, path, anchor.root)
        except Verification:
            raise self.revert("NotIncluded()") from None
        if demand.state is DemandState.OPEN:
            demand.state = DemandState.ANSWERED
        demand.leaf = leaf

    def record_default(self, log_id_hex, index):
        demand = self._wanted(log_id_hex, index, DemandState.OPEN)
        if not demand.overdue_block:
            if self.block.time <= demand.at + ANSWER_SECONDS:
                raise self.revert("NotYetDue()")
            demand.overdue_block = self.block.number
        elif self.block.number < demand.overdue_block + OVERDUE_BLOCKS:
            raise self.revert("NotYetDue()")
        else:
            demand.state = DemandState.DEFAULTED

    def _wanted(self, log_id_hex, index, *states):
        demand = self.state.demands.get((log_id_hex, index))
        if demand is None or demand.state not in states:
            raise self.revert(f"WrongDemandState(state={int(demand.state) if demand else 0})")
        return demand


class SimulatedDemands:
    """What one node sees of the demands; implements ``node.ports.demands.DemandChain``."""

    def __init__(self, client):
        self._client = client

    def _state(self):
        self._client.chain.check_answer()
        return self._client.chain.state

    def newest(self):
        self._client.chain.check_answer()
        return self._client.chain.head.number, self._client.chain.head.time

    def find_demand(self, log_id, index):
        demand = self._state().demands.get((encode_hex(log_id), index))
        if demand is None:
            return DemandOnChain(DemandState.NONE, 0, NOTHING)
        return DemandOnChain(demand.state, demand.at, demand.leaf, demand.overdue_block)

    def fetch_demanded(self, log_id, from_block, to_block):
        assert to_block - from_block < 1_000
        return [
            index
            for (log, index), demand in self._state().demands.items()
            if log == encode_hex(log_id) and from_block <= demand.block <= to_block
        ]

    def sign_demand(self, log_id, index, nonce):
        return self._client._sign("demand", [encode_hex(log_id), index], nonce)

    def sign_answer(self, log_id, anchor, index, leaf, path, nonce):
        a = anchor
        fields = [a.i, a.prev_size, a.prev_block, a.prev_time, a.size, encode_hex(a.root), a.block, a.time]
        nodes = [encode_hex(node) for node in path]
        return self._client._sign(
            "answer", [encode_hex(log_id), fields, index, encode_hex(leaf), nodes], nonce
        )

    def sign_default(self, log_id, index, nonce):
        return self._client._sign("recordDefault", [encode_hex(log_id), index], nonce)
