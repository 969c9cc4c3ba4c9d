# SPDX-License-Identifier: Apache-2.0
"""A member that gives receipts for the events of its access log, a chain on which it keeps its word or not, and a policy."""

from __future__ import annotations

from dataclasses import replace
from itertools import count

from node.access.event import SALTED_NAMES, build_event, event_salts, parse_event
from node.access.receipt import build_receipt
from node.crypto.ed25519 import Ed25519Signer
from node.crypto.mldsa import MlDsa44Signer
from node.crypto.note import ED25519, MLDSA44, build_vkey
from node.evidence.build import build_reference
from node.evidence.policy import Policy, TrustedChain, TrustedKey, TrustedLog
from node.evidence.promises import DemandOnChain, DemandState, ReceiptFile, encode_receipt_file
from node.log.checkpoint import Checkpoint, build_origin, log_id, parse_origin, sign_checkpoint
from node.log.fork import ForkProof, Form, LeafProof
from node.log.merkle import leaf_hash, path_of, root_of
from node.log.proof import TlogProof, encode_tlog_proof
from tests.support.evidence_world import (
    CHAIN_ID,
    CONTRACT,
    DOMAIN,
    RPC,
    START,
    FakeChain,
    hash_of_block,
    seed_of,
)

MEMBER = "91350100M000100Y43"
ASKER = "91440300708461136T"
LIMIT_SECONDS = 4 * 3600


class PromiseChain(FakeChain):
    """The chain of evidence_world, which also answers what is asked about receipts; implements ``ReceiptChain``.

    Attributes:
        demands: Demands by (log id, index).
        closings: Second of a log's closing by log id.
    """

    def __init__(self):
        super().__init__()
        self._times = [(0, START - 2 * self.block), (self.block, self.time)]
        self.demands = {}
        self.closings = {}

    def mine(self, seconds):
        super().mine(seconds)
        self._times.append((self.block, self.time))

    def halt(self, seconds):
        """Let time pass without a block, then wake with one."""
        self.time += seconds
        self.block += 1
        self._times.append((self.block, self.time))

    def block_time(self, number):
        self._read("block_time", None)
        for (low, start), (high, end) in zip(self._times, self._times[1:], strict=False):
            if low <= number <= high:
                return start + (number - low) * (end - start) // (high - low)
        raise AssertionError(f"no block {number}")

    def first_cover(self, contract, log_id, index):
        assert contract == CONTRACT
        anchors = self._read("first_cover", self.anchors.get(log_id, []))
        return next((anchor for anchor in anchors if anchor.size > index), None)

    def demand(self, contract, log_id, index):
        assert contract == CONTRACT
        nothing = DemandOnChain(DemandState.NONE, 0, bytes(32))
        return self._read("demand", self.demands.get((log_id, index), nothing))

    def closes_at(self, contract, log_id):
        assert contract == CONTRACT
        return self._read("closes_at", self.closings.get(log_id))


class PromiseWorld:
    """One member with its access log; its events are real, their values are few."""

    def __init__(self):
        self.chain = PromiseChain()
        self.node_key = Ed25519Signer(seed_of("promise", "node"))
        self.origins = [build_origin(DOMAIN, MEMBER, "access", n) for n in range(2)]
        self.log_keys = {
            origin: (Ed25519Signer(seed_of("log", origin)), MlDsa44Signer(seed_of("log-pq", origin)))
            for origin in self.origins
        }
        self.logs = {origin: [] for origin in self.origins}
        self.notes = {}
        self._pairs = count(1)
        for origin in self.origins:
            self.chain.open_log(origin)
        for _ in range(3):
            self.append(self.event())
        self.anchor()

    @property
    def origin(self):
        return self.origins[0]

    def event(self, purpose="licence"):
        """A look whose values are its purpose alone."""
        number = next(self._pairs)
        salted = dict.fromkeys(SALTED_NAMES) | {
            "officer": {"auth": None, "id": "li", "idp": None},
            "purpose": purpose,
            "items": [],
            "rule": "law",
            "released": [],
        }
        rid = seed_of("rid", number)[:16]
        return build_event("read", self.chain.time * 1000, rid, 1, None, salted, event_salts(seed_of(number)))

    def append(self, event, origin=None):
        log = self.logs[origin or self.origin]
        log.append(event.entry)
        return len(log) - 1

    def promise(self, event, *, index=None, pair=None, aud=ASKER, origin=None, **changes):
        """The receipt of an event, for the next place of the log unless told."""
        return build_receipt(
            **{
                "signer": self.node_key,
                "iss": MEMBER,
                "aud": aud,
                "log": origin or self.origin,
                "idx": len(self.logs[self.origin]) if index is None else index,
                "leaf": leaf_hash(event.entry),
                "rid": parse_event(event.entry).rid,
                "pair": next(self._pairs) if pair is None else pair,
                "iat": self.chain.time,
                "anchor_limit_seconds": LIMIT_SECONDS,
            }
            | changes
        )

    def note(self, origin=None):
        origin = origin or self.origin
        tree = Checkpoint(origin, len(self.logs[origin]), root_of(self.leaves(origin)))
        return sign_checkpoint(tree, *self.log_keys[origin], self.chain.time)

    def leaves(self, origin=None):
        return [leaf_hash(entry) for entry in self.logs[origin or self.origin]]

    def anchor(self, origin=None):
        """Publish and anchor the log as it stands."""
        origin = origin or self.origin
        leaves = self.leaves(origin)
        self.notes[origin, len(leaves)] = self.note(origin)
        return self.chain.anchor(origin, len(leaves), root_of(leaves))

    def file(self, receipt, event=None, *, openings=True, shown=None, origin=None):
        """The receipt's file; ``shown`` is the index whose inclusion and anchor it holds."""
        inclusion = reference = None
        if shown is not None:
            origin = origin or self.origin
            anchor = next(each for each in self.chain.anchors[log_id(origin)] if each.size > shown)
            path = tuple(path_of(self.leaves(origin)[: anchor.size], shown))
            inclusion = encode_tlog_proof(TlogProof(shown, path, self.notes[origin, anchor.size]))
            reference = build_reference(
                anchor, origin=origin, chain_id=CHAIN_ID, contract=CONTRACT, tx=bytes(32)
            )
        return encode_receipt_file(
            ReceiptFile(
                receipt,
                event.entry.decode() if event else None,
                tuple(event.disclosures) if event and openings else (),
                inclusion,
                reference,
            )
        )

    def other_leaf(self, receipt, index):
        """Proof that the log has another leaf where a receipt promises one."""
        leaves = self.leaves()
        side = LeafProof(leaves[index], tuple(path_of(leaves, index)))
        return ForkProof(Form.RECEIPT, self.note(), receipt, index, side)

    def policy(self, *, rpc=RPC, demand=None, keys=None):
        logs = tuple(
            TrustedLog(
                parse_origin(origin),
                origin,
                MEMBER,
                build_vkey(origin, ED25519, ed25519.public),
                build_vkey(origin, MLDSA44, ml_dsa_44.public),
            )
            for origin, (ed25519, ml_dsa_44) in self.log_keys.items()
        )
        chain = TrustedChain(
            CHAIN_ID, "anvil", CONTRACT, 8_500, hash_of_block(8_500), (), START + 31_536_000, rpc=rpc
        )
        trusted = (TrustedKey(MEMBER, "node", self.node_key.public, 8_000, None),) if keys is None else keys
        policy = Policy(logs, trusted, chain)
        return policy if demand is None else replace(policy, demand=demand)
