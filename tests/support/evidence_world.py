# SPDX-License-Identifier: Apache-2.0
"""A whole small world in memory that produces real evidence: one issuer, its log, a chain, and a verifier's policy.

Nothing is mocked: records, status lists, heads, checkpoints and proofs are made by the project's own code. Only the chain
is a fake, which implements ``ChainReader`` and keeps anchors as the contract would.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from hashlib import sha256

from node.core.encoding import encode_b64u
from node.core.ids import build_uuid7
from node.crypto.ed25519 import Ed25519Signer
from node.crypto.mldsa import MlDsa44Signer
from node.crypto.note import ED25519, MLDSA44, build_vkey
from node.crypto.token import token_digest
from node.errors import NodeError, NotFound
from node.evidence.build import BuiltEvidence, build_evidence, build_reference
from node.evidence.format import Certificate, ChainProof, SlotProof, StatusPart
from node.evidence.policy import Demand, Level, Policy, TrustedChain, TrustedKey, TrustedLog
from node.log.anchor import Anchor, anchor_commitment
from node.log.checkpoint import Checkpoint, build_origin, log_id, parse_origin, sign_checkpoint
from node.log.merkle import leaf_hash, node_hash, path_of, root_of
from node.log.proof import TlogProof, encode_tlog_proof
from node.records.issue import Issuer
from node.records.names import StatusUri, Vct, encode_status_uri
from node.records.record import Subject, present_record
from node.records.status import StatusList, build_status_head, encode_status_token, status_path

START = 1_790_000_000
DOMAIN = "city.example"
MEMBER = "91350100M000100Y43"
OTHER_MEMBER = "91440300708461136T"
CONTRACT = "0x" + "5a" * 20
CHAIN_ID = 20260
RPC = "http://127.0.0.1:8545"
FIELDS = (
    "CF_WSH",
    "CF_CFLB",
    "CF_SY",
    "CF_YJ",
    "CF_NR",
    "CF_NR_FK",
    "CF_JDRQ",
    *(f"CF_{n:02}" for n in range(8, 31)),
)
"""Thirty fields, as many as a penalty has; the last one is always empty."""
VALUES = (
    "市监罚〔2026〕12号",
    "罚款",
    "未按规定明码标价",
    "《中华人民共和国价格法》第四十二条",
    "罚款人民币伍仟元整",
    "0.5",
    "2026-09-18",
    *(f"第{n}项的内容" for n in range(8, 30)),
    None,
)
CHAIN_PROOF = ChainProof((b"\xf9\x01", b"\xf9\x02"), (b"\x01",), (SlotProof(bytes(32), (b"\x02", b"\x03")),))
"""Well formed, proves nothing."""
CERTIFICATE = Certificate("ironcage/epoch/v1\n", 0, 94, (bytes(32),), encode_b64u(b"\xff"), bytes(96))
"""Well formed, certifies nothing."""
SHOWN = ("subject", "CF_WSH", "CF_NR", "CF_JDRQ")


def seed_of(*labels: object) -> bytes:
    """Derive 32 fixed bytes, so that every run makes the same world."""
    return sha256("/".join(map(str, labels)).encode()).digest()


class FakeChain:
    """A chain that keeps anchors as AnchorLog does. Implements ``node.evidence.chain.ChainReader``.

    Set ``fault`` to an error and every read raises it; set ``answers`` to overrule single commitments.
    """

    def __init__(self, *, first_block: int = 9_000, seconds_per_block: int = 2) -> None:
        self.id = CHAIN_ID
        self.block = first_block
        self.time = START
        self.seconds_per_block = seconds_per_block
        self.fault: NodeError | None = None
        self.commitments: dict[tuple[str, bytes, int], bytes] = {}
        self.anchors: dict[bytes, list[Anchor]] = {}
        self.opened: dict[bytes, tuple[int, int]] = {}
        self.calls: list[str] = []

    def mine(self, seconds: int) -> None:
        """Let time pass."""
        self.time += seconds
        self.block += max(1, seconds // self.seconds_per_block)

    def open_log(self, origin: str) -> None:
        self.opened[log_id(origin)] = (self.block, self.time)

    def anchor(self, origin: str, size: int, root: bytes) -> Anchor:
        """Anchor a checkpoint in a new block."""
        self.mine(self.seconds_per_block)
        identifier = log_id(origin)
        before = self.anchors.setdefault(identifier, [])
        block, time = (before[-1].block, before[-1].time) if before else self.opened[identifier]
        anchor = Anchor(
            len(before) + 1, before[-1].size if before else 0, block, time, size, root, self.block, self.time
        )
        before.append(anchor)
        self.commitments[CONTRACT, identifier, anchor.i] = anchor_commitment(anchor)
        return anchor

    def chain_id(self) -> int:
        return self._read("chain_id", self.id)

    def head_block(self) -> int:
        return self._read("head_block", self.block)

    def block_hash(self, number: int) -> bytes:
        if number > self.block:
            raise NotFound("block-unknown", f"no block {number}")
        return self._read("block_hash", hash_of_block(number))

    def commitment(self, contract: str, log_id: bytes, i: int) -> bytes:
        return self._read("commitment", self.commitments.get((contract, log_id, i), bytes(32)))

    def _read(self, name, answer):
        self.calls.append(name)
        if self.fault is not None:
            raise self.fault
        return answer


def hash_of_block(number: int) -> bytes:
    return seed_of("block", number)


@dataclass
class Entry:
    """A record as its node keeps it."""

    index: int
    jwt: bytes
    secret: bytes
    subject: Subject
    values: tuple[str | None, ...]
    status_idx: int


@dataclass
class SignedTree:
    """A published and anchored state of the log."""

    size: int
    note: str
    anchor: Anchor


@dataclass
class StatusState:
    """What one status head committed to."""

    head: str
    index: int
    tokens: list[str]


@dataclass
class EvidenceWorld:
    """One issuer with its records log on one chain.

    Attributes:
        member: USCC of the issuer.
        lists: Number of status lists; records use list 0.
    """

    member: str = MEMBER
    domain: str = DOMAIN
    lists: int = 3
    number: int = 0
    chain: FakeChain = field(default_factory=FakeChain)

    def __post_init__(self) -> None:
        self.record_key = Ed25519Signer(seed_of(self.member, "record"))
        self.log_key = Ed25519Signer(seed_of(self.member, "log", self.number))
        self.log_key_pq = MlDsa44Signer(seed_of(self.member, "log-pq", self.number))
        self.origin = build_origin(self.domain, self.member, "records", self.number)
        self.issuer = Issuer(self.member, Vct(self.domain, "penalty", "2018"), FIELDS, self.record_key)
        self.entries: list[bytes] = []
        self.records: list[Entry] = []
        self.places = [StatusList() for _ in range(self.lists)]
        self.trees: list[SignedTree] = []
        self.statuses: list[StatusState] = []
        self.chain.open_log(self.origin)

    def issue(
        self, *, subject: Subject | None = None, values=VALUES, supersedes: bytes | None = None, iat=None
    ) -> Entry:
        """Issue a record and append it to the log."""
        place = len(self.records)
        secret = seed_of(self.member, "secret", place)
        subject = subject or Subject("uscc", OTHER_MEMBER)
        issued = self.issuer.issue(
            subject=subject,
            values=values,
            jti=build_uuid7(self.chain.time * 1000, lambda n: seed_of("jti", place)[:n]),
            status_uri=encode_status_uri(StatusUri(self.domain, self.member, 0)),
            status_idx=1000 + place,
            iat=self.chain.time if iat is None else iat,
            secret=secret,
            supersedes=supersedes,
        )
        entry = Entry(len(self.entries), issued.jwt, secret, subject, tuple(values), 1000 + place)
        self.entries.append(issued.jwt)
        self.records.append(entry)
        return entry

    def set_status(self, entry: Entry, value: int) -> None:
        self.places[0].set(entry.status_idx, value)

    def sign_head(self) -> StatusState:
        """Sign the lists as they stand and a head over them; it is in no log yet."""
        tokens = [
            encode_status_token(
                places, StatusUri(self.domain, self.member, k), self.chain.time, self.record_key
            )
            for k, places in enumerate(self.places)
        ]
        digests = [token_digest(token) for token in tokens]
        head = build_status_head(self.member, self.chain.time, len(self.statuses), digests, self.record_key)
        return StatusState(head, len(self.entries), tokens)

    def append_head(self) -> StatusState:
        """Append a status head over all lists as they stand."""
        state = self.sign_head()
        self.entries.append(state.head.encode())
        self.statuses.append(state)
        return state

    def close_period(self, seconds: int = 300) -> SignedTree:
        """Let an anchor period pass: status head, checkpoint, anchor."""
        self.chain.mine(seconds - self.chain.seconds_per_block)
        self.append_head()
        return self.publish()

    def publish(self) -> SignedTree:
        """Sign and anchor the log as it stands."""
        root = root_of(self.leaves())
        note = sign_checkpoint(
            Checkpoint(self.origin, len(self.entries), root), self.log_key, self.log_key_pq, self.chain.time
        )
        tree = SignedTree(len(self.entries), note, self.chain.anchor(self.origin, len(self.entries), root))
        self.trees.append(tree)
        return tree

    def leaves(self) -> list[bytes]:
        return [leaf_hash(entry) for entry in self.entries]

    def inclusion(self, index: int, tree: SignedTree) -> str:
        return encode_tlog_proof(
            TlogProof(index, tuple(path_of(self.leaves()[: tree.size], index)), tree.note)
        )

    def tree_over(self, index: int) -> SignedTree:
        return next(tree for tree in self.trees if tree.size > index)

    def reference(self, tree: SignedTree):
        return build_reference(
            tree.anchor,
            origin=self.origin,
            chain_id=CHAIN_ID,
            contract=CONTRACT,
            tx=seed_of("tx", tree.anchor.i),
        )

    def presentation(self, entry: Entry, shown=SHOWN) -> str:
        return present_record(entry.jwt, entry.secret, entry.subject, entry.values, FIELDS, disclose=shown)

    def status_part(self, state: StatusState | None = None) -> StatusPart:
        state = state or self.statuses[-1]
        tree = self.tree_over(state.index)
        return StatusPart(
            token=state.tokens[0],
            index=0,
            path=tuple(status_path([token_digest(token) for token in state.tokens], 0)),
            head=state.head,
            inclusion=self.inclusion(state.index, tree),
            anchor=self.reference(tree),
        )

    def export(
        self, entry: Entry, shown=SHOWN, *, anchored: bool = True, status: bool = True
    ) -> BuiltEvidence:
        """Build the evidence of a record, with the newest status."""
        tree = self.tree_over(entry.index)
        return build_evidence(
            record=self.presentation(entry, shown),
            inclusion=self.inclusion(entry.index, tree),
            anchor=self.reference(tree) if anchored else None,
            status=self.status_part() if status else None,
        )

    def export_deep(self, size: int, *, status: bool = True) -> BuiltEvidence:
        """Build the evidence of a record as if its log had ``size`` entries, nearly all of them unknown.

        The unknown part is made up: random siblings, and the root that they give. Proofs, signatures, anchors and
        sizes are then those of a log that large.
        """
        entry = self.issue()
        inclusion, anchor = self._deep_proof(entry.jwt, size - 900, size)
        part = None
        if status:
            state = self.sign_head()
            head_inclusion, head_anchor = self._deep_proof(state.head.encode(), size + 50, size + 1000)
            part = StatusPart(
                token=state.tokens[0],
                index=0,
                path=tuple(status_path([token_digest(token) for token in state.tokens], 0)),
                head=state.head,
                inclusion=head_inclusion,
                anchor=head_anchor,
            )
        return build_evidence(
            record=self.presentation(entry), inclusion=inclusion, anchor=anchor, status=part
        )

    def _deep_proof(self, data: bytes, index: int, size: int):
        inner = (index ^ (size - 1)).bit_length()
        count = inner + (index >> inner).bit_count()
        path = tuple(seed_of("sibling", index, k) for k in range(count))
        node = leaf_hash(data)
        for k, sibling in enumerate(path):
            on_left = k >= inner or index >> k & 1
            node = node_hash(sibling, node) if on_left else node_hash(node, sibling)
        if not self.chain.anchors:
            self.chain.anchor(self.origin, size - 1_000, seed_of("earlier root"))
        self.chain.mine(300)
        note = sign_checkpoint(
            Checkpoint(self.origin, size, node), self.log_key, self.log_key_pq, self.chain.time
        )
        tree = SignedTree(size, note, self.chain.anchor(self.origin, size, node))
        return encode_tlog_proof(TlogProof(index, path, note)), self.reference(tree)

    def trusted_log(self) -> TrustedLog:
        return TrustedLog(
            parse_origin(self.origin),
            self.origin,
            self.member,
            build_vkey(self.origin, ED25519, self.log_key.public),
            build_vkey(self.origin, MLDSA44, self.log_key_pq.public),
        )

    def policy(self, *, rpc: str | None = RPC, demand: Demand | None = None) -> Policy:
        """The policy of a verifier who trusts this issuer and this chain."""
        return Policy(
            logs=(self.trusted_log(),),
            keys=(TrustedKey(self.member, "record", self.record_key.public, 8_000, None),),
            chain=TrustedChain(
                id=CHAIN_ID,
                engine="anvil",
                contract=CONTRACT,
                block=8_500,
                hash=hash_of_block(8_500),
                validators=(),
                trusted_until=START + 31_536_000,
                rpc=rpc,
            ),
            demand=demand or Demand(),
        )

    def offline_policy(self) -> Policy:
        """The policy of a verifier who asks nobody and is content with ``logged``."""
        return replace(
            self.policy(rpc=None), demand=Demand(level=Level.LOGGED, max_status_age=None, max_interval=None)
        )


def build_world(records: int = 5) -> EvidenceWorld:
    """A world with a few records behind an earlier period, all anchored."""
    world = EvidenceWorld()
    world.issue(values=("市监罚〔2026〕1号", *VALUES[1:]))
    world.close_period()
    for place in range(records):
        world.chain.mine(10)
        world.issue(values=(f"市监罚〔2026〕{12 + place}号", *VALUES[1:]))
    world.close_period(200)
    world.chain.mine(60)
    return world
