# SPDX-License-Identifier: Apache-2.0
"""Gas of an anchor against the size of the log and its growth since the anchor before.

All leaves of these trees are the same, so that roots and proofs of any size follow from the sizes alone. The chain is
anvil; contract, client and transaction are the ones that ship.
"""

from __future__ import annotations

import contextlib
from itertools import pairwise

from consortium.anvil import start_anvil
from node.chain.contracts import load_abi
from node.chain.transport import HttpTransport
from node.core.encoding import encode_hex
from node.core.types import RootHash
from node.ports import AnchorRequest
from tests.support.labs import FOUNDERS, deploy, evm_lab
from tests.support.uniform_tree import uniform_consistency, uniform_root

SIZES = tuple(10**power for power in range(3, 10))
GROWTHS = (1, 1_000, 1_000_000)
WORST = (2**30 - 1, 1_000_000)
"""A tree with as many complete subtrees as a size near 10^9 can have."""
BASE_GAS = 21_000
SHA_256 = 2
ZERO_BYTE_GAS, OTHER_BYTE_GAS = 4, 16


def measure_anchors(scratch, sizes=SIZES, growths=GROWTHS):
    """Anchor each size, then again after each growth, on chains of logs that only grow."""
    cases = [(size, growth) for growth in growths for size in sizes]
    if sizes == SIZES:
        cases.append(WORST)
    rows = []
    with start_anvil(scratch / "anvil") as anvil, contextlib.ExitStack() as opened:
        log = None
        for size, growth in cases:
            if log is None or log.size >= size:
                log = _GrowingLog(anvil, opened)
            if log.size:
                log.anchor(size)
            else:
                first = {"size": size, **log.anchor(size)}
            rows.append({"size": size, "growth": growth, **log.anchor(size + growth)})
    return {"first": first, "rows": rows}


class _GrowingLog:
    """One log on contracts of its own."""

    def __init__(self, anvil, opened):
        network = deploy(anvil.url, chain_id=anvil.chain_id)
        self._contract, self._sender = network.anchor_log, FOUNDERS[0].operator
        self._lab = evm_lab(network, anvil.url)
        for client in self._lab.clients:
            opened.callback(client.close)
        self._log_id = self._lab.open_log()
        self._abi = load_abi("AnchorLog")
        self._rpc = HttpTransport(anvil.url)
        opened.callback(self._rpc.close)
        self.size = 0

    def anchor(self, size):
        """Anchor the log at a size and give what it cost."""
        proof = uniform_consistency(self.size, size) if self.size else []
        root = RootHash(uniform_root(size))
        client = self._lab.client
        request = AnchorRequest(self._log_id, size, root, proof)
        data = self._abi.encode_call("anchor", self._log_id, size, root, proof)
        hashing = self._hashing_gas(data)
        outcome = self._lab.settle(client.sign_anchor([request], client.next_nonce()))
        assert outcome.status == 1, outcome.revert_reason
        self.size = size
        zeros = data.count(0)
        calldata = ZERO_BYTE_GAS * zeros + OTHER_BYTE_GAS * (len(data) - zeros)
        return {
            "gas": outcome.gas_used,
            "calldata_gas": calldata,
            "execution_gas": outcome.gas_used - BASE_GAS - calldata,
            "hashing_gas": hashing,
            "proof_hashes": len(proof),
        }

    def _hashing_gas(self, data):
        """Add up what the calls of SHA-256, the contract at address 2, take in the trace of a call."""
        call = {"from": self._sender, "to": encode_hex(self._contract), "data": encode_hex(data)}
        steps = self._rpc.request("debug_traceCall", [call, "latest", {}])["result"]["structLogs"]
        return sum(
            step["gas"] - after["gas"]
            for step, after in pairwise(steps)
            if step["op"] == "STATICCALL" and int(step["stack"][-2], 16) == SHA_256
        )
