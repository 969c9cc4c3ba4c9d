# SPDX-License-Identifier: Apache-2.0
"""Two nodes that ask each other, either of which dies between any two steps of what they do.

A step is a commit of either node, a secret that comes out, or an envelope that leaves or arrives. A ``Blow`` says at which
step which node is hit, and how; whatever a dead node was about to store or say is lost, and ``life`` starts it again over
what it had made durable. All in the caller's thread but for the two writers, for which each step waits: one order of steps
for one series of actions.
"""

from __future__ import annotations

from contextlib import contextmanager, suppress
from dataclasses import dataclass

from node.access.box import MAX_REQUEST_BYTES, parse_envelope
from node.errors import Conflict, Fatal, NodeError, Unavailable
from node.service.assembly import ExchangePorts
from tests.support.exchange_world import COURT, MARKET, ExchangeWorld, Post, Sources
from tests.support.node_world import FaultyStore

OTHER = {COURT: MARKET, MARKET: COURT}
COMMIT, UNWRAP = "commit", "unwrap"
LEAVES, ARRIVES, ANSWERED, RETURNS = "leaves", "arrives", "answered", "returns"
LOST, KEPT, FULL = "lost", "kept", "full"
HOWS = (LOST, KEPT, FULL)
"""A node dies and what it was writing is lost; it dies behind its commit point; its disk takes nothing and it lives."""
BAD_DAYS = frozenset(
    {
        "anchor-limit",
        "anchor-reverted",
        "answer-incomplete",
        "chain-away",
        "chain-not-compared",
        "chain-not-joined",
        "store-disk-full",
        "transaction-slow",
    }
)
"""Codes with which a node says that it cannot do now what it was told."""


@dataclass(frozen=True)
class Blow:
    """What happens to a node.

    Attributes:
        at: Number of the step, from 0, counted from the beginning of an action.
        how: One of ``HOWS``. At a step that is no commit of this node it dies all the same, unless its disk is full.
        is_other: Whether it happens to the node whose step it is not.
    """

    at: int
    how: str
    is_other: bool = False


class Steps:
    """Counts the steps of an action, lets its blow fall, and lets something else happen in between.

    Attributes:
        dead: Nodes that died and were not started again.
        taken: (node, what) of each step of the action.
    """

    def __init__(self):
        self.dead = set()
        self.taken = []
        self._blow = self._meanwhile = None
        self._is_between = False

    def begin(self, blow, meanwhile):
        self.taken, self._blow, self._meanwhile = [], blow, meanwhile

    def take(self, code, what):
        """Take a step of a node; how its commit goes, None for well."""
        if self._is_between:
            return None
        number = len(self.taken)
        self.taken.append((code, what))
        if self._meanwhile is not None and number >= self._meanwhile[0] and what != COMMIT:
            (_, call), self._meanwhile, self._is_between = self._meanwhile, None, True
            try:
                call()
            finally:
                self._is_between = False
        blow = self._blow
        if blow is None or blow.at != number:
            return None
        if what == COMMIT and not blow.is_other:
            return blow.how
        if blow.how != FULL:
            self.dead.add(OTHER[code] if blow.is_other else code)
        return None


class MortalStore(FaultyStore):
    """The store of a node that can die.

    Args:
        code: Whose.
        steps: Told of every commit.
        store: Whose content it takes over.
    """

    def __init__(self, code, steps, store):
        super().__init__()
        self._contents = store._contents
        self._code = code
        self._steps = steps

    def commit(self, batch):
        if self._code in self._steps.dead:
            raise Fatal("store-commit-failed", "power")
        how = self._steps.take(self._code, COMMIT)
        if how == FULL:
            raise Unavailable("store-disk-full", "no space")
        if how != LOST:
            super().commit(batch)
        if how is not None:
            self._steps.dead.add(self._code)
            raise Fatal("store-commit-failed", "power")


class Skewed:
    """A node's own clock, some seconds beside that of the world; implements ``node.core.clock.Clock``."""

    def __init__(self, clock):
        self._clock = clock
        self.skew_seconds = 0

    def now_seconds(self):
        return self._clock.now_seconds() + self.skew_seconds

    def now_ms(self):
        return self._clock.now_ms() + self.skew_seconds * 1_000

    def monotonic(self):
        return self._clock.monotonic()

    def advance(self, **changes):
        self._clock.advance(**changes)


class Overheard:
    """A node's random bytes, all of which are known: implements what draws them.

    Attributes:
        seeds: What was drawn that may be the seed of a reply key.
    """

    def __init__(self, random):
        self._random = random
        self.seeds = []

    def __call__(self, length):
        drawn = self._random(length)
        if length == 32:
            self.seeds.append(drawn)
        return drawn


class Wire(Post):
    """Carries envelopes in steps.

    Attributes:
        loses: ``request``, ``answer`` or None: what is lost on its way from now on.
        hurried: Whether a question leaves although the commit before it is not durable, as happens when a node dies then.
        watch: Told of everything that leaves a node.
    """

    def __init__(self, world, watch):
        super().__init__(world)
        self.loses = None
        self.hurried = False
        self.watch = watch

    def send(self, address, body):
        asker = parse_envelope(body, max_plaintext_bytes=MAX_REQUEST_BYTES).from_
        try:
            # What a node does without waiting for it is done: the steps have one order.
            self._world.nodes[asker].services.sequencer.run(lambda _: None, entries=0)
        except Fatal:
            if not self.hurried:
                raise
        return super().send(address, body)

    def deliver(self, member, body):
        """Carry an envelope there and its answer back, as long as who sends lives."""
        steps = self._world.steps
        asker = parse_envelope(body, max_plaintext_bytes=MAX_REQUEST_BYTES).from_
        steps.take(asker, LEAVES)
        if asker in steps.dead and not self.hurried:
            raise Unavailable("peer-away", "the asker died")
        self.watch.request_left(member, body)
        if self.loses == "request":
            raise Unavailable("peer-away", "lost")
        return self.carry(asker, member, body)

    def carry(self, asker, member, body):
        """Let an envelope arrive, whoever brings it."""
        steps = self._world.steps
        steps.take(member, ARRIVES)
        if member in steps.dead:
            raise Unavailable("peer-away", "the provider died")
        try:
            answer = self._world.exchanges[member].provider.answer(body)
        except Fatal:
            raise Unavailable("peer-away", "the provider died") from None
        steps.take(member, ANSWERED)
        if member in steps.dead:
            raise Unavailable("peer-away", "the provider died")
        self.watch.answer_left(member, body, answer)
        if self.loses == "answer":
            raise Unavailable("peer-slow", "lost")
        steps.take(asker, RETURNS)
        return answer


class TwoNodes(ExchangeWorld):
    """A court and a market regulator; each has records, asks, and may die. Use as a context manager.

    Args:
        build_watch: Makes, from this world, what is told of all that leaves a node.
    """

    def __init__(self, build_watch):
        super().__init__((COURT, MARKET))
        self.steps = Steps()
        watch = build_watch(self)
        self.post = Wire(self, watch)
        for code, node in self.nodes.items():
            node.store = MortalStore(code, self.steps, node.store)
            node.clock = Skewed(self.clock)
            node.random = Overheard(node.random)
            node.exchanges = ExchangePorts(self.post, Sources(self), self.files[code])
            self._watch_secrets(code, node.keeper, watch)
            self.restart(code)

    def _watch_secrets(self, code, keeper, watch):
        unwrap = keeper.unwrap

        def watched(wrapped, name):
            watch.secret_left(code, name)
            self.steps.take(code, UNWRAP)
            return unwrap(wrapped, name)

        keeper.unwrap = watched

    @property
    def dead(self):
        """The nodes that died in this action."""
        return self.steps.dead

    @contextmanager
    def life(self, blow=None, meanwhile=None):
        """Let one action take its steps, whatever becomes of it; then whoever died starts again.

        Args:
            blow: What happens to a node.
            meanwhile: (step, call): what else is done at the first step from that one on at which nothing is written.
        """
        self.steps.begin(blow, meanwhile)
        try:
            yield
        except NodeError as error:
            if not self.dead and error.code not in BAD_DAYS:
                raise
        finally:
            self.steps.begin(None, None)
            self.revive()

    def revive(self):
        """Start again who died."""
        for code in sorted(self.dead):
            self.dead.discard(code)
            self.restart(code)

    def restart(self, code):
        """Stop and start a node; where the chain is away it waits for it."""
        self.nodes[code].restart()
        self.prepare(code)

    def prepare(self, code):
        """Compare with the chain, join, and read the documents, as far as the chain answers; whether it is done."""
        node = self.nodes[code]
        with suppress(Unavailable):
            node.join()
            node.services.documents.refresh()
            return True
        return False

    def tend(self, code):
        """What a node does now and then."""
        node = self.nodes[code]
        self.exchanges[code].tend()
        with suppress(Conflict):
            node.services.gossip.recheck()
