# SPDX-License-Identifier: Apache-2.0
"""Verification: what is reached, what is not, and why."""

from __future__ import annotations

import dataclasses
import json

import pytest

from node.errors import Unavailable
from node.evidence.format import encode_evidence, parse_evidence
from node.evidence.policy import Demand, Level, TrustedKey
from node.evidence.report import Verdict
from node.evidence.steps import STEPS, Outcome
from node.evidence.verify import verify_evidence
from node.log.merkle import root_of
from node.records.record import Subject
from node.records.status import INVALID, REPAIRED, SUSPENDED
from tests.support.evidence_world import (
    CERTIFICATE,
    CHAIN_PROOF,
    MEMBER,
    OTHER_MEMBER,
    SHOWN,
    START,
    VALUES,
    EvidenceWorld,
    build_world,
    hash_of_block,
)
from tests.support.verifying import code, failed, open_steps, outcome, verify, with_chain


@pytest.fixture
def world():
    return build_world()


def test_everything_holds(world):
    report = verify(world)
    assert report.verdict is Verdict.SATISFIED
    assert report.verdict.exit_code == 0
    assert (report.level, report.satisfied, report.in_force) == (Level.ANCHORED, True, True)
    assert failed(report) == []
    assert open_steps(report) == ["chain-proof", "certificate"]
    assert [step.number for step in report.steps] == list(range(1, 24))
    assert [step.kind for step in report.steps] == list(STEPS)


def test_it_finds_what_was_issued(world):
    entry = world.records[2]
    report = verify(world, entry)
    assert report.record.disclosed == {
        "subject": {"type": "uscc", "id": OTHER_MEMBER},
        "CF_WSH": "市监罚〔2026〕13号",
        "CF_NR": VALUES[4],
        "CF_JDRQ": "2026-09-18",
    }
    assert (report.record.issuer, report.record.withheld, report.record.supersedes) == (MEMBER, 28, None)
    assert (report.entry.log, report.entry.index, report.entry.size) == (world.origin, entry.index, 8)
    assert report.entry.signatures == ("ed25519", "ml-dsa-44")
    anchor = world.trees[1].anchor
    assert report.interval.anchor == anchor
    assert report.interval.proven
    assert (report.status.value, report.status.as_of) == (0, anchor.prev_time)
    assert report.status.age_seconds == world.chain.time - anchor.prev_time
    assert report.status.proven
    assert (report.status.list_uri, report.status.index) == (
        f"urn:ironcage:status:city.example:{MEMBER}:0",
        1002,
    )


def test_nothing_disclosed_is_evidence_too(world):
    assert verify(world, shown=()).record.disclosed == {}


def test_the_first_entry_of_a_log_counts_from_its_opening(world):
    report = verify(world, world.records[0])
    assert report.satisfied
    assert report.interval.anchor.prev_time == START


class TestOffline:
    def test_without_an_rpc_it_is_logged_and_says_what_could_not_be_checked(self, world):
        report = verify(world, policy=world.policy(rpc=None))
        assert (report.level, report.verdict) == (Level.LOGGED, Verdict.REFUSED)
        assert failed(report) == ["demand"]
        assert open_steps(report) == [
            "chain",
            "anchor-commitment",
            "interval",
            "key-dates",
            "claimed-time",
            "status-commitment",
            "chain-proof",
            "certificate",
        ]
        assert [words.en for words in report.unmet] == [
            "level anchored is demanded, logged is reached",
            "the age of the status is not proven",
        ]
        assert not report.interval.proven
        assert not report.status.proven

    def test_a_policy_that_is_content_with_logged_is_satisfied(self, world):
        report = verify(world, policy=world.offline_policy(), chain=None)
        assert (report.level, report.verdict, report.in_force) == (Level.LOGGED, Verdict.SATISFIED, True)

    def test_the_chain_is_never_asked_unless_the_policy_names_an_rpc(self, world):
        verify(world, policy=world.offline_policy(), chain=world.chain)
        assert world.chain.calls == []

    def test_an_rpc_that_the_caller_cannot_ask_leaves_it_open(self, world):
        report = verify(world, chain=None)
        assert outcome(report, "chain") is Outcome.NOT_CHECKED
        assert report.verdict is Verdict.REFUSED

    def test_an_age_that_is_demanded_must_be_proven(self, world):
        policy = dataclasses.replace(world.offline_policy(), demand=Demand(Level.LOGGED, 86_400, None))
        report = verify(world, policy=policy, chain=None)
        assert report.verdict is Verdict.REFUSED
        assert [words.en for words in report.unmet] == ["the age of the status is not proven"]


class TestParts:
    def test_without_an_anchor_it_is_logged(self, world):
        report = verify(world, anchored=False, status=False)
        assert report.level is Level.LOGGED
        assert outcome(report, "anchor") is Outcome.NOT_CHECKED
        assert outcome(report, "chain") is Outcome.NOT_CHECKED
        assert report.interval is None
        assert report.verdict is Verdict.REFUSED

    def test_without_a_status_a_demanded_age_is_not_met(self, world):
        report = verify(world, status=False)
        assert (report.level, report.status, report.in_force) == (Level.ANCHORED, None, None)
        assert report.verdict is Verdict.REFUSED
        assert [words.en for words in report.unmet] == ["a status is demanded, and none is known"]

    def test_without_an_anchor_but_with_a_status_the_chain_is_asked_about_that(self, world):
        report = verify(world, anchored=False)
        assert outcome(report, "status-commitment") is Outcome.PASSED
        assert report.status.proven
        assert report.level is Level.LOGGED

    def test_chain_proofs_and_certificates_are_never_passed_and_count_for_nothing(self, world):
        evidence = parse_evidence(world.export(world.records[2]).data)
        data = encode_evidence(evidence._replace(chain_proof=CHAIN_PROOF, certificate=CERTIFICATE))
        report = verify(world, data=data)
        assert report.satisfied
        for name in ("chain-proof", "certificate"):
            assert outcome(report, name) is Outcome.NOT_CHECKED
            assert code(report, name) == "not-supported"

    @pytest.mark.parametrize(
        ("demand", "reason"),
        [
            (Demand(Level.FINAL), "level final is demanded, anchored is reached"),
            (Demand(require=frozenset({"certificate"})), "an epoch certificate is required"),
        ],
    )
    def test_what_this_version_cannot_check_cannot_be_satisfied(self, world, demand, reason):
        evidence = parse_evidence(world.export(world.records[2]).data)
        data = encode_evidence(evidence._replace(chain_proof=CHAIN_PROOF, certificate=CERTIFICATE))
        report = verify(world, policy=world.policy(demand=demand), data=data)
        assert report.verdict is Verdict.REFUSED
        assert reason in report.unmet[0].en


class TestStatus:
    @pytest.mark.parametrize(
        ("value", "code_"),
        [(INVALID, "status-withdrawn"), (SUSPENDED, "status-suspended"), (REPAIRED, "status-repaired")],
    )
    @pytest.mark.parametrize("offline", [False, True])
    def test_what_is_not_in_force_is_refused_but_stays_authentic(self, world, value, code_, offline):
        entry = world.records[2]
        world.set_status(entry, value)
        world.close_period()
        policy = world.offline_policy() if offline else world.policy()
        report = verify(world, entry, policy=policy)
        assert report.verdict is Verdict.REFUSED
        assert report.verdict.exit_code == 1
        assert report.level is (Level.LOGGED if offline else Level.ANCHORED)
        assert failed(report) == ["in-force"]
        assert code(report, "in-force") == code_
        assert (report.in_force, report.status.value) == (False, value)
        assert report.record.disclosed["CF_WSH"] == "市监罚〔2026〕13号"

    def test_others_are_not_touched_by_a_withdrawal(self, world):
        world.set_status(world.records[2], INVALID)
        world.close_period()
        assert verify(world, world.records[1]).satisfied
        assert verify(world, world.records[3]).satisfied

    def test_evidence_from_before_a_withdrawal_grows_old(self, world):
        data = world.export(world.records[2]).data
        world.set_status(world.records[2], INVALID)
        world.close_period()
        start = parse_evidence(data).status.anchor.anchor.prev_time
        assert verify(world, data=data, now=start + 86_400).satisfied
        late = verify(world, data=data, now=start + 86_401)
        assert late.verdict is Verdict.REFUSED
        assert late.unmet[0].en == "the status is 86401 seconds old, at most 86400 are allowed"

    def test_the_age_counts_from_the_start_of_the_interval(self, world):
        report = verify(world, now=world.trees[1].anchor.time)
        assert report.status.age_seconds == world.trees[1].anchor.time - world.trees[1].anchor.prev_time

    def test_a_head_that_was_logged_while_an_anchor_waited_is_as_old_as_it_says(self, world):
        """The anchor before it was mined an hour after it was sent; the chain alone would call the status an hour younger."""
        sent = world.leaves()
        world.chain.mine(60)
        told_at = world.chain.time
        world.append_head()
        world.set_status(world.records[2], INVALID)
        world.chain.mine(3_600)
        waited = world.chain.anchor(world.origin, len(sent), root_of(sent))
        tree = world.publish()
        assert (tree.anchor.prev_time, waited.time) == (waited.time, tree.anchor.prev_time)
        assert told_at < tree.anchor.prev_time - 3_000
        report = verify(world, world.records[2], now=told_at + 86_400)
        assert (report.status.as_of, report.status.age_seconds) == (told_at, 86_400)
        assert report.satisfied
        late = verify(world, world.records[2], now=told_at + 86_401)
        assert late.verdict is Verdict.REFUSED
        assert late.unmet[0].en == "the status is 86401 seconds old, at most 86400 are allowed"

    def test_a_clock_that_is_a_little_behind_is_forgiven(self, world):
        start = world.trees[1].anchor.prev_time
        report = verify(world, now=start - 300)
        assert (report.satisfied, report.status.age_seconds) == (True, 0)

    def test_a_status_from_the_future_has_no_age(self, world):
        start = world.trees[1].anchor.prev_time
        report = verify(world, now=start - 301)
        assert report.status.age_seconds is None
        assert report.verdict is Verdict.REFUSED
        assert "future" in report.unmet[0].en

    def test_a_head_from_before_the_record_says_nothing_about_it(self):
        world = build_world()
        before = world.statuses[-1]
        late = world.issue()
        world.set_status(late, 1)
        world.close_period()
        honest = parse_evidence(world.export(late).data)
        assert code(verify(world, data=encode_evidence(honest)), "in-force") == "status-withdrawn"
        mixed = encode_evidence(honest._replace(status=world.status_part(before)))
        report = verify(world, data=mixed)
        assert report.verdict is Verdict.REFUSED
        assert code(report, "status-logged") == "status-head-older"
        assert report.status is None

    def test_a_head_may_stand_in_a_successor_log(self):
        world = build_world()
        successor = EvidenceWorld(number=1, chain=world.chain)
        successor.records = world.records
        state = successor.append_head()
        successor.publish()
        policy = world.policy()
        policy = dataclasses.replace(policy, logs=(*policy.logs, successor.trusted_log()))
        old = parse_evidence(world.export(world.records[2]).data)
        data = encode_evidence(old._replace(status=successor.status_part(state)))
        assert verify(world, data=data, policy=policy).satisfied
        refused = verify(world, data=data)
        assert code(refused, "status-logged") == "log-unknown"


class TestChain:
    def test_a_chain_that_does_not_answer_is_no_refusal(self, world):
        world.chain.fault = Unavailable("rpc-away", "no answer")
        report = verify(world)
        assert report.verdict is Verdict.UNAVAILABLE
        assert report.verdict.exit_code == 3
        assert report.level is Level.LOGGED
        assert outcome(report, "demand") is Outcome.NOT_CHECKED
        assert code(report, "chain") == "rpc-away"

    def test_but_what_failed_is_refused_whatever_the_chain_says(self, world):
        world.chain.fault = Unavailable("rpc-away", "no answer")
        data = world.export(world.records[2]).data.replace(b'"i":2', b'"i":3', 1)
        tampered = world.export(world.records[2]).data.replace(b'"prev_size":2', b'"prev_size":4', 1)
        assert verify(world, data=data).verdict is Verdict.UNAVAILABLE
        assert verify(world, data=tampered).verdict is Verdict.REFUSED

    def test_a_demand_that_no_answer_can_meet_is_refused(self, world):
        world.chain.fault = Unavailable("rpc-away", "no answer")
        assert verify(world, status=False).verdict is Verdict.REFUSED
        assert verify(world, anchored=False).verdict is Verdict.REFUSED
        require = Demand(require=frozenset({"certificate"}))
        assert verify(world, policy=world.policy(demand=require)).verdict is Verdict.REFUSED

    def test_a_chain_that_goes_away_half_way(self, world):
        class Flaky:
            def __init__(self, chain):
                self.chain = chain

            def __getattr__(self, name):
                if name == "commitment":
                    raise Unavailable("rpc-away", "no answer")
                return getattr(self.chain, name)

        report = verify(world, chain=Flaky(world.chain))
        assert outcome(report, "chain") is Outcome.PASSED
        assert outcome(report, "anchor-commitment") is Outcome.NOT_CHECKED
        assert report.verdict is Verdict.UNAVAILABLE

    @pytest.mark.parametrize(
        ("changes", "code_"), [({"id": 7}, "chain-id"), ({"hash": bytes(32)}, "chain-block")]
    )
    def test_another_chain_is_refused(self, world, changes, code_):
        chain = EvidenceWorld().chain
        policy = world.policy()
        if "id" in changes:
            world.chain.id = 7
        else:
            policy = with_chain(policy, **changes)
        report = verify(world, policy=policy)
        assert code(report, "chain") == code_
        assert report.verdict is Verdict.REFUSED
        assert chain.calls == []

    def test_a_node_before_the_trusted_block_is_behind(self, world):
        block = world.chain.block + 1
        report = verify(world, policy=with_chain(world.policy(), block=block, hash=hash_of_block(block)))
        assert code(report, "chain") == "chain-behind"
        assert report.verdict is Verdict.UNAVAILABLE

    def test_a_node_before_the_anchor_is_behind(self, world):
        world.chain.block = world.trees[1].anchor.block - 1
        report = verify(world)
        assert code(report, "anchor-commitment") == "chain-behind"
        assert report.verdict is Verdict.UNAVAILABLE

    def test_an_anchor_that_the_contract_does_not_hold(self, world):
        world.chain.commitments.clear()
        report = verify(world)
        assert code(report, "anchor-commitment") == "anchor-unknown"
        assert (report.level, report.verdict) == (Level.LOGGED, Verdict.REFUSED)

    def test_an_anchor_in_another_contract(self, world):
        policy = with_chain(world.policy(), contract="0x" + "00" * 20)
        report = verify(world, policy=policy)
        assert code(report, "anchor") == "anchor-contract"
        assert outcome(report, "anchor-commitment") is Outcome.NOT_CHECKED

    def test_on_clique_signers_must_build_on_the_block_first(self, world):
        validators = tuple(f"0x{number:040x}" for number in range(4))
        policy = with_chain(world.policy(), engine="clique", validators=validators)
        anchored = world.trees[1].anchor.block
        world.chain.block = anchored + 2
        young = verify(world, policy=policy)
        assert code(young, "anchor-commitment") == "anchor-not-final"
        assert young.verdict is Verdict.UNAVAILABLE
        world.chain.block = anchored + 3
        assert verify(world, policy=policy).satisfied


class TestTime:
    def test_too_long_an_interval_gives_no_time(self, world):
        length = world.trees[1].anchor.time - world.trees[1].anchor.prev_time
        fits = world.policy(demand=Demand(max_interval=length))
        short = world.policy(demand=Demand(max_interval=length - 1))
        assert verify(world, policy=fits).satisfied
        report = verify(world, policy=short)
        assert code(report, "interval") == "interval-too-long"
        assert report.level is Level.LOGGED
        assert outcome(report, "key-dates") is Outcome.NOT_CHECKED

    @pytest.mark.parametrize(("offset", "passes"), [(-299, True), (-301, False), (550, True), (900, False)])
    def test_a_claimed_time_outside_the_interval_is_reported_and_decides_nothing(self, offset, passes):
        world = EvidenceWorld()
        world.issue()
        world.close_period()
        start = world.chain.time
        entry = world.issue(iat=start + offset)
        world.close_period()
        report = verify(world, entry)
        assert outcome(report, "claimed-time") is (Outcome.PASSED if passes else Outcome.FAILED)
        assert report.satisfied

    @pytest.mark.parametrize(
        ("dates", "passes"),
        [
            ((None, None), True),
            ((9_151, 9_152), True),
            ((9_276, None), False),
            ((None, 9_151), True),
            ((None, 9_150), False),
        ],
    )
    def test_the_key_must_have_been_valid_in_the_interval(self, world, dates, passes):
        anchor = world.trees[1].anchor
        assert (anchor.prev_block, anchor.block) == (9_150, 9_275)
        policy = world.policy()
        key = TrustedKey(MEMBER, "record", world.record_key.public, *dates)
        report = verify(world, policy=dataclasses.replace(policy, keys=(key,)))
        assert outcome(report, "key-dates") is (Outcome.PASSED if passes else Outcome.FAILED)
        assert report.level is (Level.ANCHORED if passes else Level.LOGGED)
        assert report.satisfied is passes

    def test_the_key_of_the_status_head_must_have_been_valid_too(self, world):
        data = world.export(world.records[0]).data
        key = TrustedKey(MEMBER, "record", world.record_key.public, None, 9_150)
        report = verify(world, data=data, policy=dataclasses.replace(world.policy(), keys=(key,)))
        assert outcome(report, "key-dates") is Outcome.PASSED
        assert code(report, "status-commitment") == "key-not-valid-then"
        assert report.verdict is Verdict.REFUSED


def test_corrections_name_what_they_correct(world):
    entry = world.issue(supersedes=bytes(range(32)))
    world.close_period()
    report = verify(world, entry)
    assert report.record.supersedes == bytes(range(32))
    assert (
        json.loads(report.encode())["record"]["supersedes"] == "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"
    )


@pytest.mark.parametrize(
    "subject",
    [Subject("name", "张三"), Subject("rid", "11010519491231002X"), Subject("reg", "110000000000003")],
)
def test_subjects_of_every_kind(world, subject):
    entry = world.issue(subject=subject)
    world.close_period()
    assert verify(world, entry).record.disclosed["subject"] == {"type": subject.type, "id": subject.id}
    assert verify(world, entry, shown=[name for name in SHOWN if name != "subject"]).satisfied


@pytest.mark.parametrize("data", [b"", b"{}", b"null", b"\xff" * 100, b"[" * 100_000, b'{"v":1}'])
def test_rubbish_is_a_report(world, data):
    report = verify_evidence(data, world.policy(), now_seconds=START, chain=world.chain)
    assert (report.level, report.verdict) == (Level.NONE, Verdict.REFUSED)
    assert failed(report) == ["file", "demand"]
    assert report.steps[1].reason.en == "depends on step 1"
    assert world.chain.calls == []
