# SPDX-License-Identifier: Apache-2.0
"""Imports, looks, withdrawals, erasures, anchors, rotated keys, crashes, full disks, wrong clocks, stores put back and a chain with bad days, in any order.

Hypothesis drives a whole node in this process and, beside it, plain dictionaries. After every step the two agree, nothing
was signed twice for one size, and every anchor of the chain is a state of the log; at the end the chain is well
again, everything gets anchored, and a stranger verifies evidence. ``make chaos`` runs many more of them.
"""

from __future__ import annotations

import os
from contextlib import contextmanager

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from node.core.canonical import parse_json
from node.errors import Conflict, Fatal, Unavailable
from node.log.checkpoint import verify_checkpoint
from node.log.tree import root_at
from node.service.jobs import get_job
from tests.support.imports import refusals
from tests.support.never_back import check_never_back
from tests.support.node_days import DrivenNode
from tests.support.node_world import WHY
from tests.support.plain_node import PlainImport, PlainNode, cells_of, number_and_amount
from tests.support.same_lives import same_each_time

EXAMPLES = int(os.environ.get("IRONCAGE_MACHINE_EXAMPLES", "0"))
POWER = Fatal("store-commit-failed", "power")
FINAL_BLOCKS = 2
LONG_SECONDS = 10**8
"""Longer than a life of this machine: a chain that was away makes intervals long."""

ROWS = st.lists(
    st.tuples(st.integers(0, 5), st.integers(1, 3), st.sampled_from([False, False, False, True])),
    min_size=1,
    max_size=9,
)


class NodeMachine(RuleBasedStateMachine):
    """One node, the chain, and what a plain dictionary says must be true."""

    def __init__(self):
        super().__init__()
        self.plain = PlainNode()
        self.world = DrivenNode()
        self.orders = []
        self.signed_until = 0
        self.signed = {}
        self.shown = 0
        self.sent = {}
        self.copy = None
        self.final_block = 0
        self.numbers = []
        receive = self.world.chain.receive

        def note(raw):
            fields = parse_json(raw, max_bytes=1 << 20)
            assert self.sent.setdefault(fields["nonce"], raw) == raw, "two transactions signed for one nonce"
            receive(raw)

        self.world.chain.receive = note

    @initialize()
    def join(self):
        """Join while every block is final at once; from then on two blocks have to follow."""
        self.world.join()
        self.world.chain.mine(FINAL_BLOCKS)
        self.world.chain.depth_blocks = FINAL_BLOCKS

    # ---- work

    @rule(
        rows=ROWS,
        corrections=st.booleans(),
        chunk_rows=st.integers(1, 4),
        crash_at=st.integers(0, 14),
        stored=st.booleans(),
        deaths=st.sampled_from([0, 0, 0, 1]),
    )
    def import_file(self, rows, corrections, chunk_rows, crash_at, stored, deaths):
        """Import a file; at some commit the power may fail, and then the node starts again and finishes the import."""
        world = self.world
        world.uploads.chunk_rows = chunk_rows
        try:
            job_id = world.upload([cells_of(*row) for row in rows], corrections=corrections)
        except Unavailable as error:
            self._excuse(error)
            return
        self.orders.append(PlainImport(self.plain, job_id, rows, corrections=corrections))
        world.workers.deaths = deaths
        with self._crash(crash_at, stored=stored):
            self._work()
        world.workers.deaths = 0
        self._work(all_done=True)

    @rule(number=st.integers(0, 5), crash_at=st.integers(0, 3), stored=st.booleans())
    def withdraw(self, number, crash_at, stored):
        """Withdraw the record of a document number; after a crash whoever asked asks again."""
        if number not in self.plain.valid:
            return
        leaf = self._leaf_of(number)
        with self._crash(crash_at, stored=stored):
            self._withdraw(leaf)
        if self._line(leaf).status != "valid" or self._withdraw(leaf):
            self.plain.withdrawn.add(number)

    @rule(number=st.integers(0, 5), crash_at=st.integers(0, 8), stored=st.booleans())
    def erase(self, number, crash_at, stored):
        """Erase a record with all its versions; after a crash whoever asked asks again."""
        if number not in self.plain.amounts:
            return
        leaf = self._leaf_of(number)
        with self._crash(crash_at, stored=stored):
            self._erase(leaf)
        # A purge that fails is finished by the next start and keeps nobody from the receipt.
        self.world.restart()
        self._join()
        if self._line(leaf).status == "erased" or self._erase(leaf):
            self._erase(leaf)
            self.plain.forget(number)
        try:
            assert self.world.services.eraser.purge_all() == 0
        except Unavailable as error:
            self._excuse(error)

    @rule(place=st.integers(0, 20), crash_at=st.integers(0, 2), stored=st.booleans())
    def look(self, place, crash_at, stored):
        """Look at a record: what is shown was logged first, and a look that could not be logged shows nothing."""
        known = list(self.plain.amounts)
        if known:
            number = known[place % len(known)]
            with self._crash(crash_at, stored=stored):
                self._look_at(number)

    @rule(crash_at=st.integers(0, 12), stored=st.booleans())
    def anchor(self, crash_at, stored):
        """Publish and anchor, as far as the chain lets us."""
        with self._crash(crash_at, stored=stored):
            self._anchor()

    @rule()
    def restart(self):
        self.world.restart()
        self._join()

    @rule()
    def check(self):
        assert self.world.check() == []

    # ---- bad days

    @rule(away=st.booleans())
    def chain_goes_or_comes(self, away):
        self.world.chain.away = away

    @rule(blocks=st.integers(1, 4))
    def mine(self, blocks):
        self.world.chain.mine(blocks)

    @rule(depth=st.integers(1, FINAL_BLOCKS), lose=st.booleans())
    def reorganise(self, depth, lose):
        """Blocks that are not final go away, and with them the transactions, to wait again or to be lost."""
        depth = min(depth, self.world.chain.head.number - self.final_block)
        if depth:
            self.world.chain.reorganise(depth, lose=lose)

    @rule()
    def answers_get_lost(self):
        self.world.chain.lost_answers = 1

    @rule(crash_at=st.integers(0, 5), stored=st.booleans())
    def rotate_record_key(self, crash_at, stored):
        """Rotate the record key: the next start tells the chain, and what is signed from then on is signed with it."""
        if not self.world.is_key_taken():
            return  # the first records of all do not wait for the chain, and then their key must not go
        self.world.rotate()
        with self._crash(crash_at, stored=stored):
            self.world.restart()
            self._join()
        self._work(all_done=True)

    @precondition(lambda self: self.world.key and not self.world.chain.away and self.world.store.room is None)
    @rule()
    def old_record_key_comes_back(self):
        """A copy of the key file from before the rotation signs nothing once the chain was asked."""
        world = self.world
        if world.periods()[-1].key != world.keys.record.public:
            return
        world.put_record_key(world.seed_of_key(world.key - 1))
        world.restart()
        size = world.records.size()
        with pytest.raises((Conflict, Unavailable)) as refused:
            world.join()
        if refused.value.code == "key-ended":
            world.work()
        assert world.records.size() == size
        world.put_record_key(world.seed_of_key(world.key))
        world.restart()
        self._join()

    @rule(room=st.integers(0, 6))
    def disk_gets_full(self, room):
        """There is room for so many commits, then for none."""
        self.world.store.room = room

    @rule()
    def disk_has_room_again(self):
        """What waited for room goes on by itself."""
        self.world.store.room = None
        self._work(all_done=True)

    @rule(hours=st.sampled_from([-24, 0, 24]))
    def clock_is_put(self, hours):
        """Put the node's clock a day back or ahead, or right again."""
        self.world.put_clock(hours * 3600)

    @rule(hours=st.sampled_from([1, 5, 30]))
    def time_passes(self, hours):
        self.world.clock.advance(seconds=hours * 3600)

    @rule()
    def copy_the_store(self):
        self.copy = self.world.store.copy(), self.world.sizes()

    @precondition(lambda self: self.copy is not None)
    @rule()
    def put_an_old_store_back(self):
        """A copy from before the last promise takes nothing; with the newest store everything goes on."""
        store, sizes = self.copy
        newest = self.world.store
        if not self.world.services.condition.joined:
            return  # what an equally long store would tell the chain of a new key, the newest cannot know
        # What no head file promised yet, because of a crash just before, is nobody's loss.
        readers = (self.world.records, self.world.access)
        promised = [self.world.heads.load(reader.origin).size for reader in readers]
        grown = any(size < head for size, head in zip(sizes, promised, strict=True))
        self.world.store = store.copy()
        self.world.restart()
        self._join()
        if grown:
            assert self.world.services.state()["mode"] == "read-only"
            with pytest.raises(Conflict):
                self.world.import_penalties([99])
            with pytest.raises(Conflict):
                self.world.anchor()
        self.world.store = newest
        self.world.restart()
        self._join()

    # ---- what is true at every moment

    @invariant()
    def the_log_holds_what_a_dictionary_would(self):
        lines = self.world.lines()
        assert len(lines) == len(self.plain.issued)
        assert sum(line.status == "valid" for line in lines) == len(self.plain.valid)

    @invariant()
    def what_is_signed_is_of_the_key_in_place(self):
        kids = self.world.kids(self.signed_until)
        assert set(kids) <= {self.world.kid}
        self.signed_until += len(kids)

    @invariant()
    def what_was_final_stays(self):
        self.final_block = max(self.final_block, self.world.chain.head.number - FINAL_BLOCKS)

    @invariant()
    def every_look_that_showed_something_is_in_the_log(self):
        assert self.world.access.size() >= self.shown

    @invariant()
    def one_size_has_one_root_for_ever(self):
        for log, reader in self.world.services.readers.items():
            known = self.signed.setdefault(log, {})
            newest = reader.find_checkpoint()
            if newest is not None:
                keys = self.world.services.public_keys.logs[log]
                checkpoint = verify_checkpoint(newest[1], self._vkeys(keys)).checkpoint
                assert known.setdefault(checkpoint.size, checkpoint.root) == checkpoint.root
            for anchor, _ in self._on_chain(log):
                assert known.setdefault(anchor.size, anchor.root) == anchor.root
                assert root_at(reader.tiles, anchor.size) == anchor.root

    def teardown(self):
        try:
            self._end_well()
        finally:
            self.world.close()

    # ---- how

    @contextmanager
    def _crash(self, commits, *, stored):
        """Let the power fail at a commit from now on, by its number; a start follows."""
        world = self.world
        world.store.faults[world.store.commits + commits] = (POWER, stored)
        try:
            yield
        except Fatal:
            world.store.faults.clear()
            world.restart()
            self._join()
        finally:
            world.store.faults.clear()

    def _join(self):
        try:
            self.world.join()
        except Unavailable as error:
            self._excuse(error)
        except Conflict:
            assert self.world.services.state()["mode"] == "read-only"

    def _anchor(self):
        try:
            self.world.services.require_ready_to_anchor()
            self.world.anchor()
        except Unavailable as error:
            self._excuse(error)

    def _excuse(self, error):
        """Take a refusal only for what is wrong at the moment."""
        world, condition = self.world, self.world.services.condition
        match error.code:
            case "store-disk-full":
                assert world.store.room == 0
            case "anchor-limit":
                assert self._is_past_limit()
            case "chain-not-compared":
                assert not condition.verified
            case "chain-not-joined":
                assert not condition.joined
            case code:
                # The chain is away, lost an answer, or has not buried the transaction yet.
                assert code in {"chain-away", "transaction-slow"}, error

    def _is_past_limit(self):
        anchored_at = self.world.access.find_anchored_at()
        now = self.world.clock.now_seconds()
        return anchored_at is not None and now - anchored_at > self.world.identity.anchor_limit_seconds

    def _work(self, *, all_done=False):
        """Let the imports take their turn; ``all_done`` when nothing but a bad day keeps one from its end."""
        try:
            self.world.work()
        finally:
            waits = False
            for order in list(self.orders):
                job = get_job(self.world.store, order.job_id)
                order.take_until(job.last_row)
                assert not (waits and order.taken), "an import went before one that waits"
                waits = job.state != "done"
                if not waits:
                    self._check_done(order, job)
                    self.orders.remove(order)
            self._note_records()
        assert not (all_done and self.orders) or self._imports_wait()

    def _imports_wait(self):
        """Tell whether imports have a reason to wait: no room, or a key that the chain has not taken yet."""
        world = self.world
        size = world.records.size()
        return world.store.room == 0 or (
            size and not world.services.condition.joined and world.kids(size - 1) != [world.kid]
        )

    def _check_done(self, order, job):
        assert (job.read, job.refused) == (len(order.rows), len(order.refused))
        assert (job.accepted, job.corrected, job.duplicate) == (
            order.accepted,
            order.corrected,
            order.duplicate,
        )
        assert refusals(self.world, job) == order.refused

    def _withdraw(self, leaf):
        """Withdraw a record; whether there was room for it."""
        try:
            self.world.services.records.withdraw(leaf, officer="wang", ground="撤销处罚")
        except Unavailable as error:
            self._excuse(error)
            return False
        return True

    def _erase(self, leaf):
        """Order an erasure; whether it was carried out."""
        services = self.world.services
        try:
            services.require_ready_to_sign()
            done = services.eraser.erase(leaf, ground="ordered", why=WHY, with_versions=True)
        except Unavailable as error:
            self._excuse(error)
            return False
        assert all(each.receipt for each in done.also)
        return True

    def _note_records(self):
        """Note the document number of each record that is new: a chunk's corrections stand before its other records."""
        lines = self.world.lines()
        for line in lines[len(self.numbers) :]:
            self.numbers.append(number_and_amount(self.world.values_of(line))[0])
        assert sorted(self.numbers) == sorted(self.plain.issued)

    def _leaf_of(self, number):
        """Leaf hash of the newest record of a document number."""
        place = len(self.numbers) - 1 - self.numbers[::-1].index(number)
        return self.world.lines()[place].leaf

    def _look_at(self, number):
        """Look at the newest record of a document number; whether it was shown."""
        before = self.world.access.size()
        try:
            self.world.services.require_ready_to_sign()
            shown = self.world.services.records.show(self._leaf_of(number), WHY)
        except Unavailable as error:
            self._excuse(error)
            return False
        assert not self._is_past_limit()
        self.shown += 1
        assert self.world.access.size() == before + 1
        assert number_and_amount(shown.opened.values) == (number, self.plain.amounts[number])
        return True

    def _line(self, leaf):
        return next(line for line in self.world.lines() if line.leaf == leaf)

    def _on_chain(self, log):
        chain = self.world.chain
        away, chain.away = chain.away, False
        try:
            return chain.client("").fetch_anchors(self.world.services.log_ids[log], 1)
        finally:
            chain.away = away

    @staticmethod
    def _vkeys(texts):
        from node.crypto.note import parse_vkey

        return [parse_vkey(text) for text in texts]

    def _end_well(self):
        world = self.world
        world.chain.away, world.chain.lost_answers, world.store.room = False, 0, None
        world.put_clock(0)
        world.restart()
        for _ in range(4):
            self._join()
            self._anchor()
            world.chain.mine(FINAL_BLOCKS + 1)
        self._anchor()
        self._work(all_done=True)
        self._anchor()
        assert not self.orders
        assert world.services.state()["mode"] == "ready"
        assert world.check() == []
        for number in self.plain.amounts:
            assert self._look_at(number)
        check_never_back(world)
        self._verify_as_a_stranger()
        self.one_size_has_one_root_for_ever()

    def _verify_as_a_stranger(self):
        """Verify the first and the last record that each key signed."""
        world = self.world
        ends = {}
        for line in world.lines():
            if line.stage == "anchored" and line.status == "valid":
                (kid,) = world.kids(line.index)[:1]
                ends[kid] = (ends.get(kid, (line,))[0], line)
        for line in {line.leaf: line for pair in ends.values() for line in pair}.values():
            exported = world.services.exporter.export(line.leaf, ["CF_WSH"], WHY)
            report = world.verify_with_all_keys(
                exported.data, max_interval=LONG_SECONDS, max_status_age=LONG_SECONDS
            )
            assert report.satisfied, report.render("en")


def run_with(examples, steps):
    """Settings. Without an order the lives are the same each time: a new kind of life is looked for where somebody has time for it."""
    return settings(
        max_examples=examples,
        stateful_step_count=steps,
        derandomize=not EXAMPLES,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
    )


def case_of(machine):
    return machine.TestCase if EXAMPLES else same_each_time(machine.TestCase)


TestNode = case_of(NodeMachine)
TestNode.settings = run_with(15, 20)


class LongNodeMachine(NodeMachine):
    """The same for longer: ``IRONCAGE_MACHINE_EXAMPLES`` says how many lives of a node."""


TestNodeForLonger = pytest.mark.slow(case_of(LongNodeMachine))
TestNodeForLonger.settings = run_with(EXAMPLES or 100, 50)
