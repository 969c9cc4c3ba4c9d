# SPDX-License-Identifier: Apache-2.0
"""What an audit says of a log that succeeded another: every succession that was not planned is named, and no honest one convicts."""

from dataclasses import replace

import pytest

from node.cage.proof import parse_finding, verify_finding
from node.errors import Verification
from node.log.checkpoint import build_origin
from node.log.merkle import EMPTY_ROOT
from node.log.succession import PLANNED, REASONS, Succession, build_succession
from tests.support.audit_world import START, AuditWorld, codes_of
from tests.support.errors import raises_code


def origin_of(node, n):
    return build_origin("city.example", node.member, "access", n)


def audited(reason=None, predecessor=0):
    """The audit of a world in which one log has number 1, and the log; it begins with a statement where a reason is given."""
    world = AuditWorld(10)
    node = world.nodes[1]
    node.origin = origin_of(node, 1)
    if reason is not None:
        said = Succession(node.member, START, origin_of(node, predecessor), 0, EMPTY_ROOT, reason)
        node.append(build_succession(said, node.node_key).encode())
    world.some_exchanges(5)
    world.run()
    return world, world.audit(), node.origin


def test_a_planned_succession_is_a_remark():
    _, report, origin = audited(PLANNED)
    assert codes_of(report) == set()
    assert report.findings.remarks["succession-planned", origin] == 1


@pytest.mark.parametrize("reason", [reason for reason in REASONS if reason != PLANNED])
def test_any_other_succession_is_named_with_its_reason(reason):
    _, report, origin = audited(reason)
    (finding,) = report.findings.listed
    assert (finding.code, finding.origin, finding.values) == (
        "succession-unplanned",
        origin,
        {"reason": reason},
    )


def test_a_successor_that_says_nothing_of_its_beginning_is_named():
    _, report, origin = audited()
    (finding,) = report.findings.listed
    assert (finding.code, finding.origin, finding.values) == (
        "succession-unplanned",
        origin,
        {"reason": "jws-form"},
    )


def test_a_statement_about_another_log_says_nothing():
    _, report, _ = audited(PLANNED, predecessor=1)
    assert codes_of(report) == {"succession-unplanned", "entry-malformed"}


def test_the_statement_of_an_honest_log_convicts_it_of_nothing_else():
    world, report, _ = audited("lost-entries")
    (finding,) = report.findings.listed
    file = parse_finding(finding.proof)
    assert not verify_finding(file, world.policy()), "who is given the file has to read the entry himself"
    with raises_code(Verification, "finding-differs"):
        verify_finding(replace(file, code="entry-malformed"), world.policy())
