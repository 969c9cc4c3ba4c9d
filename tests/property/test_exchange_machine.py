# SPDX-License-Identifier: Apache-2.0
"""Questions, retries, replays, consents, erasures, anchors and bad days between two nodes that die between any two steps.

Hypothesis drives both nodes in this process. Whatever leaves a node is opened and held against what is durable
(tests/support/exchange_watch.py): no plaintext without an event on the releasing side and an ask on the other, nothing
counted twice, no receipt that its log does not honour. On a calm day the answer is what a plain list of records says.
An older copy of a store stops. At the end both nodes are well again and show each subject all looks at its data, fsck
finds nothing, and an auditor of both finds nothing but what a member did whose own program breaks rules.
``make chaos`` runs many more.
"""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass, field

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from node.access.question import AskedSubject, ItemQuery
from node.errors import Conflict, NodeError, Unavailable
from node.service.consents import Terms
from node.service.exchange.ledger import list_open
from node.service.limiting import read_used
from tests.support.exchange_audit import audit, settle
from tests.support.exchange_draws import BLOWS, CARRIAGES, NODES, luck
from tests.support.exchange_many import ManyRules
from tests.support.exchange_restored import RestoredRules
from tests.support.exchange_view import check_views
from tests.support.exchange_watch import Watch
from tests.support.exchange_world import COURT, FIELDS, MARKET, VCT
from tests.support.node_world import WHY, penalty
from tests.support.rows import COMPANY, PERSON, RESIDENT_ID
from tests.support.same_lives import same_each_time
from tests.support.two_nodes import BAD_DAYS, HOWS, OTHER, UNWRAP, Blow, TwoNodes

EXAMPLES = int(os.environ.get("IRONCAGE_MACHINE_EXAMPLES", "0"))
LIMIT_SECONDS = 4 * 3_600
FRESH_SECONDS = 10
"""How long a node goes on with what it read from the chain, or does not ask a chain that failed."""
CASES = ("2026-执-17", "2026-执-18", "2026-执-19", None)
PASSING = {0: 1, 1: 30, 2: 150, 3: 400, 4: 5 * 3_600}
ABOUT = {False: ("uscc", COMPANY), True: ("rid", RESIDENT_ID)}


def blow_of(parts):
    """The blow that a draw stands for."""
    hits, how, whom, at = parts
    return Blow(at, HOWS[how], is_other=whom == 2) if hits else None


@dataclass
class Given:
    """A consent, as the plain list has it."""

    token: str
    digest: bytes
    asker: str
    provider: str
    end: int
    uses: int
    revoked: bool = False


@dataclass
class Plain:
    """Records of one node, oldest first: (document number, whether it is about the person)."""

    records: list = field(default_factory=list)
    erased: set = field(default_factory=set)


class ExchangeMachine(ManyRules, RestoredRules, RuleBasedStateMachine):
    """Two nodes, what leaves them, and plain lists."""

    def __init__(self):
        super().__init__()
        self.world = TwoNodes(Watch)
        self.watch = self.world.post.watch
        self.plain = {code: Plain() for code in OTHER}
        self.consents = []
        self.next_number = 0
        self.bad_since = None
        self.hours_passed = False

    @initialize(liar=st.sampled_from((None, None, None, COURT, MARKET)))
    def begin(self, liar):
        """Each has two records that are told of; one of them may do what it likes with its own program."""
        for code in OTHER:
            self._import(code, 1, is_person=False)
            self._import(code, 1, is_person=True)
        self.world.anchor()
        if liar is not None:
            self.watch.liars.add(liar)

    # ---- questions

    @rule(asker=NODES, case=st.sampled_from(CASES), blow=BLOWS, carriage=CARRIAGES)
    def ask(self, asker, case, blow, carriage):
        """Ask about the company, with or without case number."""
        subject = ABOUT[False]
        order = {"subject_type": subject[0], "subject_id": subject[1], "case": case}
        order |= {"purpose": "tender-check", "basis": "bidding-law-18"}
        expected = (
            ("refused", "case-required", []) if case is None else self._found(OTHER[asker], is_person=False)
        )
        self._ask(asker, order, expected, blow, carriage)

    @rule(asker=NODES, pick=st.integers(0, 7), blow=BLOWS, carriage=CARRIAGES)
    def ask_with_consent(self, asker, pick, blow, carriage):
        """Ask about the person, with one of the consents or, where the pick names none, without."""
        subject, provider = ABOUT[True], OTHER[asker]
        if pick and not self.consents:
            self._give(provider, asker, uses=1 + pick % 2, hours=40)
        given = self.consents[pick % len(self.consents)] if pick and self.consents else None
        order = {"subject_type": subject[0], "subject_id": subject[1], "case": None}
        order |= {"purpose": "window-query", "basis": None}
        order |= {"consents": {} if given is None else {provider: given.token}}
        self._ask(asker, order, self._expect_consented(asker, given), blow, carriage, given=given)

    @precondition(lambda self: self.watch.requests)
    @rule(pick=st.integers(0, 1_000), blow=BLOWS, is_lost=st.booleans())
    def send_again(self, pick, blow, is_lost):
        """The same bytes come again, from whoever kept them: the same answer or none, and no second event."""
        self.world.post.loses = "answer" if is_lost else None
        with self.world.life(blow_of(blow)):
            self._again(list(self.watch.requests.values())[-1 - pick % len(self.watch.requests)])
        self.world.post.loses = None

    @precondition(lambda self: self.watch.requests)
    @rule(pick=st.integers(0, 1_000))
    def send_to_somebody_else(self, pick):
        """An envelope comes back to its asker, to whom it was not sealed: nobody logs it."""
        asked = list(self.watch.requests.values())[pick % len(self.watch.requests)]
        sizes = self.world.nodes[asked.asker].sizes()
        with pytest.raises(NodeError):
            self.world.exchanges[asked.asker].provider.answer(asked.body)
        assert self.world.nodes[asked.asker].sizes() == sizes

    @precondition(lambda self: self.watch.liars)
    @rule(pick=st.integers(0, 1_000), is_used=st.booleans(), case=st.sampled_from(CASES), blow=BLOWS)
    def ask_by_own_program(self, pick, is_used, case, blow):
        """A member's own program asks what its node would not: a used id with other bytes, or without a case."""
        (liar,) = self.watch.liars
        provider, world = OTHER[liar], self.world
        used = [asked.request.rid for asked in self.watch.requests.values() if asked.asker == liar]
        rid = used[pick % len(used)] if used and is_used else world.nodes[liar].random(16)
        with world.life(blow_of(blow)):
            token, _ = world.sign_request(
                by=liar, to=provider, rid=rid, purpose="tender-check", basis="bidding-law-18", case=case
            )
            world.post.deliver(provider, world.seal(token, by=liar, to=provider))

    # ---- what else the departments do

    @rule(code=NODES, what=luck(3, 3, 2), pick=st.integers(0, 1_000), blow=BLOWS)
    def work(self, code, what, pick, blow):
        """Import records, look at one, or erase one."""
        kind, count, is_person = what
        if kind == 0:
            self._import(code, 1 + count, is_person=bool(is_person), blow=blow_of(blow))
            return
        with self.world.life(blow_of(blow)):
            if kind == 1:
                self._look(code, pick)
            else:
                self._erase(code, pick)

    @rule(window=NODES, asker=NODES, terms=luck(2, 2), blow=BLOWS)
    def give_consent(self, window, asker, terms, blow):
        with self.world.life(blow_of(blow)):
            self._give(window, asker, uses=1 + terms[0], hours=(40, 1)[terms[1]])

    @precondition(lambda self: self.consents)
    @rule(pick=st.integers(0, 1_000), blow=BLOWS)
    def take_consent_back(self, pick, blow):
        """Take a consent back where the records are."""
        given = self.consents[pick % len(self.consents)]
        with self.world.life(blow_of(blow)):
            self._revoke(given)

    # ---- what a day brings

    @rule(code=NODES, what=st.integers(0, 3), blow=BLOWS)
    def tend(self, code, what, blow):
        """Anchor, do what is done now and then, or start again."""
        with self.world.life(blow_of(blow)):
            if what <= 1:
                self._anchor(code)
            elif what == 2:
                self.world.tend(code)
            else:
                self.world.restart(code)

    @rule(code=NODES, what=st.integers(0, 9))
    def day_goes_on(self, code, what):
        """Time passes, the chain goes and comes, a clock is set."""
        if what in PASSING:
            self.world.clock.advance(seconds=PASSING[what])
            self.hours_passed |= PASSING[what] > 3_000
        elif what <= 6:
            self.world.chain.away = what == 6
            self.bad_since = None if what == 6 else self.world.clock.monotonic()
        else:
            self.world.nodes[code].clock.skew_seconds = (0, -50, 50)[what - 7]

    @rule(code=NODES)
    def check_store(self, code):
        assert self.world.nodes[code].check() == []

    @invariant()
    def the_logs_have_what_left(self):
        self.watch.check()

    def teardown(self):
        try:
            self._end_well()
        finally:
            for node in self.world.nodes.values():
                node.close()

    # ---- how

    def _import(self, code, count, *, is_person, blow=None):
        """Import new records; after a crash the import is finished."""
        node = self.world.nodes[code]
        numbers = range(self.next_number, self.next_number + count)
        self.next_number += count
        self.plain[code].records += [(number, is_person) for number in numbers]
        changes = PERSON if is_person else {}
        job_id = node.upload([penalty(number, **changes) for number in numbers])
        with self.world.life(blow):
            node.services.importer.run_job(job_id)
        job = node.services.importer.run_job(job_id)
        assert (job.state, job.refused) == ("done", 0)
        assert len(node.lines()) == len(self.plain[code].records)

    def _ask(self, asker, order, expected, blow, carriage, *, given=None, put=None):
        """Ask, and hold what the officer sees against the logs and, on a calm day, against the plain list.

        Args:
            asker: Who asks.
            order: What.
            expected: Result, code and numbers of the records; None where that is not known.
            blow: What happens to a node.
            carriage: What happens on the way.
            given: The consent that it is asked on.
            put: Asks; called with the order, gives the outcomes, of which there is one or, while it waits, none.
        """
        world, provider, post = self.world, OTHER[asker], self.world.post
        lost, hurried, is_busy, at, what = carriage
        post.loses, post.hurried = {3: "request", 4: "answer"}.get(lost), bool(hurried)
        meanwhile = (at, lambda: self._meanwhile(what, provider, given)) if is_busy == 2 else None
        is_calm = expected is not None and not blow[0] and post.loses is None and meanwhile is None
        is_calm = is_calm and self._is_calm()
        before = {code: len(self.watch.events(code)) for code in OTHER}
        with world.life(blow_of(blow), meanwhile):
            put = put or world.exchanges[asker].asker.ask
            for outcome in put(
                world.order(providers=(provider,), fields={VCT["penalty:2018"]: FIELDS}, **order)
            ):
                # A node whose store failed answers its officer still: what it says then counts, too.
                self.watch.shown(asker, outcome)
                shown = [one.record.disclosed for one in outcome.records]
                numbers = [int(one["CF_WSH"].split("〕")[1][:-1]) for one in shown]
                assert set(numbers) <= {number for number, _ in self.plain[provider].records}
                assert all(set(one) == {*FIELDS, "subject"} for one in shown)
                if is_calm and not self.watch.is_found_out(asker, outcome):
                    assert (outcome.result, outcome.code, numbers) == expected
        post.loses, post.hurried = None, False
        if is_calm:
            grown = {code: len(self.watch.events(code)) - before[code] for code in OTHER}
            steps = {"waits": (0, 0), "refused": (1, 0)}.get(expected[0], (2, 1))
            assert grown == dict(zip((asker, provider), steps, strict=True))

    def _meanwhile(self, what, provider, given):
        """Do something else between two steps of a question."""
        node = self.world.nodes[provider]
        with suppress(NodeError):
            if what == 0 and self.watch.requests and self.world.steps.taken[-1][1] != UNWRAP:
                self._again(list(self.watch.requests.values())[-1])
            elif what == 1:
                self._erase(provider, 0)
            elif what == 2:
                node.services.anchorer.anchor_now(sleep=node.sleep, timeout_seconds=5)
            elif given is not None:
                self._revoke(given)

    def _again(self, asked):
        before = len(self.watch.events(asked.provider))
        was_logged = any(event.req == asked.request.digest for event in self.watch.events(asked.provider))
        try:
            self.world.post.carry(asked.asker, asked.provider, asked.body)
        except NodeError as error:
            if error.code not in BAD_DAYS | {"peer-away", "peer-slow", "request-expired", "request-refused"}:
                raise
        assert len(self.watch.events(asked.provider)) - before <= (not was_logged)

    def _erase(self, code, pick):
        """Erase a record, but for the last one; what became of it, the store says."""
        node, plain = self.world.nodes[code], self.plain[code]
        left = [place for place in range(len(plain.records)) if place not in plain.erased]
        if len(left) > 1:
            place = left[pick % len(left)]
            try:
                done = node.services.eraser.erase(node.leaf(place), ground="ordered", why=WHY)
                if done.receipt is not None:
                    self.watch.keep(done.receipt)
            finally:
                if node.lines()[place].status == "erased":
                    plain.erased.add(place)

    def _look(self, code, pick):
        """Look at an own record: another way to plaintext."""
        lines = [line for line in self.world.nodes[code].lines() if line.status == "valid"]
        if lines:
            shown = self.world.nodes[code].services.records.show(lines[pick % len(lines)].leaf, WHY)
            self.watch.keep(shown.receipt)

    def _give(self, window, asker, *, uses, hours):
        """Give a consent to be asked about by a member, of use at the other one."""
        end = self.world.nodes[window].clock.now_seconds() + hours * 3_600
        items = (ItemQuery(VCT["penalty:2018"], (*FIELDS, "subject")),)
        terms = Terms(AskedSubject(*ABOUT[True]), OTHER[asker], asker, "window-query", items, end, uses)
        with suppress(Unavailable):
            given = self.world.exchanges[window].window.give(terms, WHY)
            self.watch.keep(given.logged.receipt)
            self.consents.append(Given(given.token, given.digest, asker, OTHER[asker], end, uses))

    def _revoke(self, given):
        with suppress(Conflict):
            try:
                done = self.world.exchanges[given.provider].window.take_back_token(given.token, WHY)
                self.watch.keep(done.receipt)
            finally:
                given.revoked = self._used(given).revoked is not None

    def _anchor(self, code):
        node = self.world.nodes[code]
        self.world.prepare(code)
        self.world.clock.advance(seconds=300)
        node.services.anchorer.anchor_now(sleep=node.sleep, timeout_seconds=5)
        self.world.tend(code)

    def _used(self, given):
        return read_used(self.world.nodes[given.provider].store, given.digest)

    def _is_calm(self):
        """Whether nothing keeps the two from exchanging: then a question is answered as the plain list says."""
        world, now = self.world, self.world.clock.now_seconds()
        if world.chain.away or (
            self.bad_since is not None and world.clock.monotonic() - self.bad_since <= FRESH_SECONDS
        ):
            return False
        for code, node in world.nodes.items():
            anchored_at = node.access.find_anchored_at()
            if node.clock.skew_seconds or not world.prepare(code) or now - anchored_at > LIMIT_SECONDS:
                return False
        return True

    def _found(self, provider, *, is_person):
        """What the provider's plain list says: records below its newest checkpoint that were not erased."""
        node, plain = self.world.nodes[provider], self.plain[provider]
        size = node.records.published_size()
        told = [
            number
            for place, ((number, person), line) in enumerate(zip(plain.records, node.lines(), strict=True))
            if person == is_person and place not in plain.erased and line.index < size
        ]
        return ("ok" if told else "none", None, told)

    def _expect_consented(self, asker, given):
        if given is None:
            return ("refused", "consent-required", [])
        if given.asker != asker:
            return ("refused", "consent-asker", [])
        if self.world.clock.now_seconds() >= given.end:
            return ("refused", "consent-expired", [])
        if given.revoked:
            return ("deny", "consent-revoked", [])
        if self._used(given).uses >= given.uses:
            return ("deny", "consent-used-up", [])
        return self._found(OTHER[asker], is_person=True)

    def _check_views(self):
        subjects = {is_person: AskedSubject(*subject) for is_person, subject in ABOUT.items()}
        records = {
            code: [
                None if place in plain.erased else subjects[is_person]
                for place, (_, is_person) in enumerate(plain.records)
            ]
            for code, plain in self.plain.items()
        }
        check_views(self.world, self.watch, subjects.values(), records)

    def _end_well(self):
        world = self.world
        world.chain.away = False
        for code, node in world.nodes.items():
            node.clock.skew_seconds = 0
            world.restart(code)
        world.anchor()
        world.clock.advance(seconds=700)
        for code, node in world.nodes.items():
            world.tend(code)
            assert not list(list_open(node.store)), "a question has no end"
        settle(world)
        self.watch.check()
        self._check_views()
        self.watch.check()
        report = audit(world, receipts=self.watch.receipts.values(), period_seconds=10**7)
        excused = {"unanchored"} if self.hours_passed else set()
        accused = [
            (finding.code, finding.member)
            for finding in report.findings.listed
            if finding.code not in excused and finding.member not in self.watch.liars
        ]
        assert accused == [], accused
        for node in world.nodes.values():
            assert node.check() == []


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


TestExchange = case_of(ExchangeMachine)
TestExchange.settings = run_with(10, 25)


class LongExchangeMachine(ExchangeMachine):
    """The same for longer: ``IRONCAGE_MACHINE_EXAMPLES`` says how many lives of two nodes."""


TestExchangeForLonger = pytest.mark.slow(case_of(LongExchangeMachine))
TestExchangeForLonger.settings = run_with(EXAMPLES or 60, 60)
