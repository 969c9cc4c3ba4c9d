# SPDX-License-Identifier: Apache-2.0
"""A machine that is put back, head files and all, and what a stranger with the chain then finds out about its member."""

from __future__ import annotations

from dataclasses import replace

from node.evidence.policy import encode_policy
from node.log.checkpoint import log_id
from tests.support.exchange_audit import policy_of
from tests.support.node_world import ChainEyes
from tests.support.real_node import ironcage


def take_copy(node):
    """What a copy of a whole machine holds: the store and the head files."""
    return node.store.copy(), [node.heads.load(each.origin) for each in node.services.readers.values()]


def put_back(node, copy):
    """Start a node's machine from a copy; it has not asked the chain yet."""
    store, heads = copy
    node.services.sequencer.close()
    node.store = store.copy()
    for head in heads:
        node.heads.replace(head)
    node.start()


def live_on(world, code, copy):
    """Start a machine from a copy and let it find nothing wrong with itself."""
    put_back(world.nodes[code], copy)
    world.nodes[code].join()
    world.nodes[code].services.documents.refresh()


class ReceiptEyes(ChainEyes):
    """What a verifier of receipts asks the simulated chain; implements ``node.evidence.promises.ReceiptChain``."""

    def block_time(self, number):
        return self._chain.blocks[number].time

    def first_cover(self, contract, log, index):
        del contract
        anchors = self._chain.client("").fetch_anchors(log, 1)
        return next((anchor for anchor, _ in anchors if anchor.size > index), None)

    def demand(self, contract, log, index):
        del contract
        return self._chain.client("").demands.find_demand(log, index)

    def closes_at(self, contract, log):
        del contract, log


def trust(world):
    """The policy of a stranger who trusts the keys of this world's members, knows both logs of each, and its chain."""
    each = [node.policy() for node in world.nodes.values()]
    logs = tuple(log for policy in each for log in policy.logs)
    return replace(policy_of(world), logs=logs, chain=each[0].chain)


def verify_offline(world, directory, name, data):
    """Verify a file as its reader does: the command, his policy, no node and no chain; exit code and what it prints."""
    (directory / name).write_bytes(data)
    (directory / "policy.json").write_bytes(encode_policy(trust(world)))
    done = ironcage("evidence", "verify", directory / name, "--policy", directory / "policy.json")
    return done.code, done.out + done.err


def log_of(node):
    """Origin of a node's access log, and its id on the chain."""
    return node.access.origin, log_id(node.access.origin)
