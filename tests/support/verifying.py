# SPDX-License-Identifier: Apache-2.0
"""Runs verifications in a small world and reads their reports."""

from __future__ import annotations

import dataclasses

from node.evidence.steps import Outcome
from node.evidence.verify import verify_evidence


def verify(world, entry=None, *, policy=None, now=None, chain=..., data=None, **export):
    data = data or world.export(entry or world.records[2], **export).data
    return verify_evidence(
        data,
        policy or world.policy(),
        now_seconds=world.chain.time if now is None else now,
        chain=world.chain if chain is ... else chain,
    )


def outcome(report, name):
    return next(step.outcome for step in report.steps if step.kind.name == name)


def code(report, name):
    return next(step.code for step in report.steps if step.kind.name == name)


def failed(report):
    return [step.kind.name for step in report.steps if step.outcome is Outcome.FAILED]


def open_steps(report):
    return [step.kind.name for step in report.steps if step.outcome is Outcome.NOT_CHECKED]


def with_chain(policy, **changes):
    return dataclasses.replace(policy, chain=policy.chain._replace(**changes))
