# SPDX-License-Identifier: Apache-2.0
"""Whom a verifier believes: keys, owners of logs, other members' statements, post-quantum lines."""

from __future__ import annotations

import dataclasses

import pytest

from node.crypto.ed25519 import Ed25519Signer
from node.evidence.build import build_evidence
from node.evidence.format import encode_evidence, parse_evidence
from node.evidence.policy import Demand, Level, TrustedKey
from node.evidence.report import Verdict
from node.evidence.steps import Outcome
from node.records.status import INVALID
from tests.support.evidence_world import MEMBER, OTHER_MEMBER, EvidenceWorld, build_world, seed_of
from tests.support.verifying import code, failed, outcome, verify


@pytest.fixture
def world():
    return build_world()


class TestTrust:
    def test_another_consortium_s_policy_knows_nobody_here(self, world):
        stranger = EvidenceWorld(member=OTHER_MEMBER)
        report = verify(world, policy=stranger.policy())
        assert code(report, "issuer-key") == "issuer-unknown"
        assert code(report, "origin") == "log-unknown"
        assert (report.level, report.record, report.status) == (Level.NONE, None, None)
        assert report.verdict is Verdict.REFUSED

    def test_another_key_of_the_same_member(self, world):
        other = TrustedKey(MEMBER, "record", Ed25519Signer(seed_of("x")).public, None, None)
        report = verify(world, policy=dataclasses.replace(world.policy(), keys=(other,)))
        assert code(report, "issuer-key") == "issuer-key-unknown"

    def test_a_node_key_signs_no_records(self, world):
        policy = world.policy()
        report = verify(
            world, policy=dataclasses.replace(policy, keys=(policy.keys[0]._replace(kind="node"),))
        )
        assert code(report, "issuer-key") == "issuer-unknown"

    def test_a_record_counts_only_in_its_issuer_s_log(self, world):
        # Another member logs the record and anchors it: authentic, but not promised by its issuer.
        thief = EvidenceWorld(member=OTHER_MEMBER, chain=world.chain)
        entry = world.records[2]
        thief.entries.append(entry.jwt)
        tree = thief.publish()
        data = build_evidence(
            record=world.presentation(entry), inclusion=thief.inclusion(0, tree), anchor=thief.reference(tree)
        ).data
        policy = world.policy()
        both = dataclasses.replace(
            policy, logs=(*policy.logs, thief.trusted_log()), keys=(*policy.keys, *thief.policy().keys)
        )
        report = verify(world, data=data, policy=both)
        assert code(report, "origin") == "log-owner"
        assert report.level is Level.SIGNED

    def test_a_record_counts_only_in_its_own_exchange_domain(self, world):
        elsewhere = EvidenceWorld(domain="other.example", chain=world.chain)
        entry = world.records[2]
        elsewhere.entries.append(entry.jwt)
        tree = elsewhere.publish()
        data = build_evidence(record=world.presentation(entry), inclusion=elsewhere.inclusion(0, tree)).data
        policy = dataclasses.replace(world.policy(), logs=(elsewhere.trusted_log(),))
        assert code(verify(world, data=data, policy=policy), "origin") == "log-domain"

    def test_an_access_log_holds_no_records(self, world):
        data = world.export(world.records[2]).data
        log = world.trusted_log()
        access = dataclasses.replace(log.origin, kind="access")
        policy = dataclasses.replace(world.policy(), logs=(log._replace(origin=access),))
        assert code(verify(world, data=data, policy=policy), "origin") == "log-kind"

    def test_another_member_s_status_says_nothing(self, world):
        other = EvidenceWorld(member=OTHER_MEMBER, chain=world.chain)
        other.close_period()
        evidence = parse_evidence(world.export(world.records[2]).data)
        data = encode_evidence(evidence._replace(status=other.status_part()))
        policy = world.policy()
        policy = dataclasses.replace(
            policy, logs=(*policy.logs, other.trusted_log()), keys=(*policy.keys, *other.policy().keys)
        )
        report = verify(world, data=data, policy=policy)
        assert code(report, "status-list") == "status-list-other"
        assert report.verdict is Verdict.REFUSED

    def test_another_list_of_the_same_member_says_nothing(self, world):
        evidence = parse_evidence(world.export(world.records[2]).data)
        token = world.statuses[-1].tokens[1]
        data = encode_evidence(evidence._replace(status=dataclasses.replace(evidence.status, token=token)))
        assert code(verify(world, data=data), "status-list") == "status-list-other"

    def test_a_list_that_the_head_does_not_commit_to(self, world):
        # A withdrawn record with yesterday's list under today's head.
        old = world.statuses[-1].tokens[0]
        world.set_status(world.records[2], INVALID)
        world.close_period()
        evidence = parse_evidence(world.export(world.records[2]).data)
        data = encode_evidence(evidence._replace(status=dataclasses.replace(evidence.status, token=old)))
        report = verify(world, data=data)
        assert outcome(report, "status-list") is Outcome.PASSED
        assert outcome(report, "status-head") is Outcome.FAILED
        assert report.status is None
        assert report.verdict is Verdict.REFUSED

    def test_a_head_that_was_signed_and_never_logged(self, world):
        # The issuer signs a second head for one reader; the log does not have it.
        forged = world.sign_head()
        world.set_status(world.records[2], INVALID)
        world.close_period()
        genuine = world.status_part()
        part = dataclasses.replace(
            world.status_part(forged), inclusion=genuine.inclusion, anchor=genuine.anchor
        )
        evidence = parse_evidence(world.export(world.records[2], status=False).data)
        report = verify(world, data=encode_evidence(evidence._replace(status=part)))
        assert failed(report) == ["status-logged", "demand"]
        assert report.status is None
        assert report.verdict is Verdict.REFUSED


class TestPostQuantum:
    def require(self, world):
        return world.policy(demand=Demand(require=frozenset({"ml-dsa-44"})))

    def drop_line(self, note):
        return "\n".join(line for line in note.split("\n")[:-2]) + "\n"

    def test_both_signatures_meet_the_requirement(self, world):
        report = verify(world, policy=self.require(world))
        assert report.satisfied
        assert any("post-quantum" in note.en for note in report.notes)

    @pytest.mark.parametrize("place", ["record", "status"])
    def test_a_checkpoint_without_the_line_is_refused_where_it_is_required(self, world, place):
        evidence = parse_evidence(world.export(world.records[2]).data)
        if place == "record":
            evidence = evidence._replace(inclusion=self.drop_line(evidence.inclusion))
        else:
            status = dataclasses.replace(evidence.status, inclusion=self.drop_line(evidence.status.inclusion))
            evidence = evidence._replace(status=status)
        data = encode_evidence(evidence)
        step = "checkpoint" if place == "record" else "status-logged"
        assert verify(world, data=data).satisfied
        report = verify(world, data=data, policy=self.require(world))
        assert code(report, step) == "ml-dsa-44-missing"
        assert report.verdict is Verdict.REFUSED

    def test_a_line_that_does_not_hold_spoils_the_checkpoint_even_where_it_is_not_required(self, world):
        evidence = parse_evidence(world.export(world.records[2]).data)
        lines = evidence.inclusion.split("\n")
        lines[-2] = lines[-2][:-10] + ("A" if lines[-2][-10] != "A" else "B") + lines[-2][-9:]
        report = verify(world, data=encode_evidence(evidence._replace(inclusion="\n".join(lines))))
        assert failed(report)[0] == "checkpoint"
