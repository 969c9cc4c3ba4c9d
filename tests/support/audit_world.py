# SPDX-License-Identifier: Apache-2.0
"""Access logs of several members over some hours, honest or not, and what an auditor needs to audit them.

Entries, receipts and checkpoints are made by the project's own builders; the chain is a fake that keeps anchors. What
happens is planned first (``exchange``, ``plan``), then ``run`` lets it happen in the order of time, with a heartbeat,
padding and an anchor a period on every node that is up. A plant is something that one node does against the rules.
"""

from __future__ import annotations

from hashlib import sha256
from itertools import count
from random import Random

from node.access.event import SALTED_NAMES, build_event, build_heartbeat, build_pad, digest_of, event_salts
from node.access.receipt import build_receipt
from node.cage.audit import Audit, Given
from node.cage.proof import MemoryScratch
from node.cage.unwraps import LOOKS
from node.cage.walk import Rules
from node.crypto.ed25519 import Ed25519Signer
from node.crypto.mldsa import MlDsa44Signer
from node.crypto.note import ED25519, MLDSA44, build_vkey
from node.errors import NotFound, Unavailable
from node.evidence.policy import Policy, TrustedChain, TrustedKey, TrustedLog
from node.log.anchor import Anchor
from node.log.checkpoint import Checkpoint, build_origin, parse_origin, sign_checkpoint
from node.log.merkle import leaf_hash
from node.log.tree import TreeWriter

START = 1_790_000_000
PERIOD = 300
BLOCK_SECONDS = 5
MEMBERS = ("91350100M000100Y43", "91440300708461136T", "91110000100003962Y", "91310000132260250X")
ENDINGS = ("grant", "deny", "lost-request", "lost-answer", "crash")
SUBJECT = {"type": "uscc", "id": "91350100M000100Y43"}


def seed_of(*labels):
    return sha256("/".join(map(str, labels)).encode()).digest()


class AuditNode:
    """One member's access log, and its node as an auditor sees it.

    Attributes:
        entries: Its entries.
        openings: The ten openings of each event, nothing for other entries.
        anchors: As the chain has them.
        unwraps: Its unwrap counter.
        down: When it is down, (from, until).
        waits: When the chain takes no anchors from it; one that was sent then is mined at the end.
    """

    def __init__(self, member):
        self.member = member
        self.origin = build_origin("city.example", member, "access", 0)
        self.node_key = Ed25519Signer(seed_of(member, "node"))
        self.ed25519 = Ed25519Signer(seed_of(member, "log"))
        self.ml_dsa = MlDsa44Signer(seed_of(member, "pq"))
        self.entries, self.openings, self.anchors, self.unwraps = [], [], [], 7
        self.tree = TreeWriter()
        self.pairs = {}
        self.down, self.waits = [], []
        self.given = {}
        self.away_at = self.cut_at = self.note = None
        self.opens = True

    def is_up(self, at):
        return not any(start <= at < end for start, end in self.down)

    def append(self, entry, openings=()):
        self.entries.append(entry)
        self.openings.append(list(openings))
        self.tree.extend(leaf_hash(entry))
        return len(self.entries) - 1

    def pair_with(self, other, *, skip=0):
        self.pairs[other] = self.pairs.get(other, 0) + 1 + skip
        return self.pairs[other]

    def receipt(self, index, rid, other, at, pair=None, leaf=None):
        return build_receipt(
            signer=self.node_key,
            iss=self.member,
            aud=other,
            log=self.origin,
            idx=index,
            leaf=leaf or (leaf_hash(self.entries[index]) if index < len(self.entries) else bytes(32)),
            rid=rid,
            pair=pair or self.pair_with(other),
            iat=at,
            anchor_limit_seconds=4 * 3600,
        )

    def sign(self, size, root=None):
        tree = TreeWriter()
        tree.extend(b"".join(leaf_hash(entry) for entry in self.entries[:size]))
        checkpoint = Checkpoint(self.origin, size, root or tree.root())
        return sign_checkpoint(checkpoint, self.ed25519, self.ml_dsa, START)

    def anchor(self, at, *, size=None, root=None, wait=5):
        size = size or len(self.entries)
        last = (
            self.anchors[-1]
            if self.anchors
            else Anchor(1, 0, START // 5, START, 0, bytes(32), START // 5, START)
        )
        i = len(self.anchors) + 1
        tree = self.tree
        time = at + wait
        self.anchors.append(
            Anchor(
                i, last.size, last.block, last.time, size, root or tree.root(), time // BLOCK_SECONDS, time
            )
        )

    # ---- LogSource

    def fetch_checkpoint(self):
        if self.away_at == 0:
            raise Unavailable("node-away", "no answer")
        size = self.cut_at if self.cut_at is not None else len(self.entries)
        if not size:
            raise NotFound("checkpoint-unknown", "none")
        if self.note is None:
            self.note = self.sign(size)
        return self.note

    def fetch_entries(self, start, stop):
        if self.away_at is not None and stop > self.away_at:
            raise Unavailable("node-away", "no answer")
        return [self.given.get(at, self.entries[at]) for at in range(start, stop)]

    def fetch_openings(self, start, stop):
        return self.openings[start:stop] if self.opens else None


class AuditWorld:
    """Some nodes, what they did, and an auditor.

    Args:
        seed: Of everything that is chosen.
        nodes: How many members, at most four.

    Attributes:
        closings: Second at which a log was or will be closed, by origin.
    """

    def __init__(self, seed=0, nodes=3):
        self.random = Random(seed)
        self.nodes = [AuditNode(member) for member in MEMBERS[:nodes]]
        self.receipts, self.notes, self.held = [], [], []
        self.closings = {}
        self.numbers = count(1)
        self._plans = []
        self.end = START

    def bytes(self, length):
        return self.random.randbytes(length)

    def plan(self, at, call):
        self._plans.append((at, next(self.numbers), call))
        self.end = max(self.end, at)

    # ---- events

    def log(self, node, kind, at, ctx, *, peer=None, pair=True, skip=0, t=None, **changes):
        """Log an event now, and give the other side its receipt."""
        salted = dict.fromkeys(SALTED_NAMES) | {
            "peer": peer.member if peer else None,
            "subject": ctx.get("subject", SUBJECT),
            "purpose": "tender",
            "basis": "条例第九条",
            "case": ctx["case"],
            "items": [{"vct": "urn:ironcage:city.example:penalty:1", "fields": ["CF_WSH"]}],
        }
        if kind == "ask":
            salted["officer"] = {"id": "li", "idp": None, "auth": None}
        if "says_peer" in changes:
            salted["peer"] = changes.pop("says_peer")
        salted |= changes
        req = ctx["req"] if kind in {"grant", "deny", "receive"} else None
        more = {"sealed": ctx.get("sealed", {}), "bulk": {"set_root": bytes(32)}}.get(kind, {})
        n = 1
        node.unwraps += n if kind in LOOKS else 0
        event = build_event(
            kind,
            at * 1000 if t is None else t,
            ctx["rid"],
            n,
            req,
            salted,
            event_salts(self.bytes(32)),
            **more,
        )
        index = node.append(event.entry, () if kind == "sealed" else event.disclosures)
        if pair and peer is not None:
            token = node.receipt(
                index, ctx["rid"], peer.member, at, pair=node.pair_with(peer.member, skip=skip)
            )
            self.receipts.append(token)
        return index

    def context(self, **more):
        number = next(self.numbers)
        released = [[digest_of(f"jwt {number}"), [digest_of(f"field {number}")]]]
        return {
            "rid": self.bytes(16),
            "req": sha256(b"request %d" % number).digest(),
            "case": f"2026-{number}",
            "released": released,
        } | more

    def exchange(self, at, asker, provider, *, ending="grant", without=(), **changed):
        """Plan one question and its answer.

        Args:
            at: Second at which it is asked.
            asker: Number of a node.
            provider: Number of another.
            ending: ``grant``, ``deny``, ``lost-request``, ``lost-answer``, ``crash`` (of the asker).
            without: Kinds of events that are not logged, against the rules.
            changed: Of a kind of event, what it says instead, against the rules.
        """
        a, b, ctx = self.nodes[asker], self.nodes[provider], self.context()
        answer = {"grant": "grant", "deny": "deny", "lost-answer": "grant", "crash": "grant"}.get(ending)
        says = {"grant": {"rule": "purpose", "released": ctx["released"]}, "deny": {"rule": "no-case"}}
        # A refusal and no answer at all are received alike: the asker's own rule, and nothing released.
        back = {"rule": "own-rule"} | ({"released": ctx["released"]} if ending == "grant" else {})
        if ending == "crash":
            back = {"context": {"req": bytes(32)}, "subject": None, "purpose": None, "items": None}
        steps = [("ask", a, b, at, {"rule": "own-rule"})]
        if answer:
            steps.append((answer, b, a, at + 1, says[answer]))
        steps.append(("receive", a, b, at + (2 if ending in says else 200), back))
        for kind, node, peer, when, values in steps:
            if kind in without:
                continue
            lost = (kind == "ask" and ending == "lost-request") or (
                kind == answer and ending == "lost-answer"
            )
            lost = lost or (kind == "receive" and ending == "lost-request")
            more = values | changed.get(kind, {})
            self._plan_event(node, kind, when, ctx, peer, more, lost=lost)
        return ctx

    def refuse(self, at, node, other):
        """Plan refusals without an ask: of an own officer, of a request that could not be read, of many at once."""
        one, peer = self.nodes[node], self.nodes[other]
        if one.is_up(at):
            self.plan(
                at, lambda: self.log(one, "deny", at, self.context(), peer=one, pair=False, rule="no-case")
            )
            nothing = {"subject": None, "purpose": None, "basis": None, "case": None, "items": None}
            self.plan(
                at, lambda: self.log(one, "deny", at, self.context(), peer=peer, rule="form", **nothing)
            )

    def _plan_event(self, node, kind, when, ctx, peer, values, *, lost):
        def happen():
            context = ctx | values.pop("context", {})
            before = len(self.receipts)
            self.log(node, kind, when, context, peer=peer, **values)
            if lost:
                del self.receipts[before:]

        values = dict(values)
        # A node that is down has not lost what it began: it logs the end of it when it is back.
        while not node.is_up(when):
            when = min(end for start, end in node.down if start <= when < end) + 3
        self.plan(when, happen)

    def some_exchanges(self, count_, *, endings=ENDINGS, spread=3_000):
        for _ in range(count_):
            asker, provider = self.random.sample(range(len(self.nodes)), 2)
            at = START + 20 + self.random.randrange(spread)
            ending = self.random.choice(endings)
            if not self.nodes[provider].is_up(at + 1):
                ending = "lost-request"
            if self.random.random() < 0.2:
                self.refuse(at, asker, provider)
            if self.nodes[asker].is_up(at):
                if not self.nodes[asker].is_up(at + 2) and ending in {"grant", "deny"}:
                    ending = "lost-answer"
                self.exchange(at, asker, provider, ending=ending)

    # ---- time

    def run(self, *, more_seconds=3_000, skip=()):
        """Let everything happen. ``skip``: (node number, what) that a node leaves out: heartbeat, pad, anchor."""
        end = self.end + more_seconds
        for number, node in enumerate(self.nodes):
            at = START + 60 + 7 * number
            mined = at
            while at < end:
                if node.is_up(at) and at >= mined:
                    mined = max([at, *(until for since, until in node.waits if since <= at < until)])
                    if mined > at:
                        self.plan(mined, lambda node=node, at=mined: self._mine(node, at))
                    self.plan(
                        at, lambda node=node, at=at, number=number: self._period(node, at, skip, number)
                    )
                at += PERIOD
        self.now = self.end + 5
        for _, _, call in sorted(self._plans, key=lambda plan: plan[:2]):
            call()
        return self

    def _period(self, node, at, skip, number):
        what = {name for who, name, since, until in skip if who == number and since <= at < until}
        if "anchor" in what:
            return
        if "heartbeat" not in what:
            node.append(build_heartbeat(at * 1000, rejects=0, unwraps=node.unwraps))
        while len(node.entries) % 16 and "pad" not in what:
            node.append(build_pad(self.bytes(16)))
        waits = [until for since, until in node.waits if since <= at < until]
        if waits:
            node.sent = (len(node.entries), node.tree.root())
        else:
            node.anchor(at)

    def _mine(self, node, at):
        size, root = node.sent
        node.anchor(at, size=size, root=root)

    # ---- the auditor

    def policy(self):
        logs, keys = [], []
        for node in self.nodes:
            parsed = parse_origin(node.origin)
            logs.append(
                TrustedLog(
                    parsed,
                    node.origin,
                    parsed.member,
                    build_vkey(node.origin, ED25519, node.ed25519.public),
                    build_vkey(node.origin, MLDSA44, node.ml_dsa.public),
                )
            )
            keys.append(TrustedKey(node.member, "node", node.node_key.public, None, None))
        chain = TrustedChain(20260, "anvil", "0x" + "5a" * 20, 1, bytes(32), (), START * 2)
        return Policy(tuple(logs), tuple(keys), chain)

    def audit(self, *, nodes=None, complete=True, scratch=None, tell=lambda *_: None):
        chosen = self.nodes if nodes is None else [self.nodes[number] for number in nodes]
        everybody = complete and len(chosen) == len(self.nodes)
        given = Given(self.receipts, self.notes, complete=everybody, held=self.held)
        rules = Rules(PERIOD, 4 * 3600, self.now)
        return Audit(chosen, self, self.policy(), rules, scratch or MemoryScratch(), given, tell).run()

    # ---- AuditChain

    def anchors(self, origin):
        return next(node.anchors for node in self.nodes if node.origin == origin)

    def head_block(self):
        return self.now // BLOCK_SECONDS

    def closes_at(self, origin):
        return self.closings.get(origin)

    def find_block_after(self, seconds):
        return None if seconds >= self.now else seconds // BLOCK_SECONDS + 1


def codes_of(report):
    """The codes of all findings."""
    return {code for code, _ in report.findings.counts}
