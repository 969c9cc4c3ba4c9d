# SPDX-License-Identifier: Apache-2.0
"""What an audit says of a log that succeeded another: every succession that was not planned is named, and no honest one convicts."""

from dataclasses import replace

import pytest

from node.cage.proof import parse_finding, verify_finding
from node.crypto.ed25519 import Ed25519Signer
from node.crypto.mldsa import MlDsa44Signer
from node.errors import Verification
from node.log.checkpoint import build_origin, parse_origin
from node.log.merkle import EMPTY_ROOT
from node.log.succession import PLANNED, REASONS, Succession, build_succession
from node.service.layout import LogKind
from tests.support.audit_world import MEMBERS, START, AuditNode, AuditWorld, codes_of, seed_of
from tests.support.department import Successions
from tests.support.errors import raises_code
from tests.support.exchange_audit import audit_both, settle
from tests.support.exchange_world import COURT, MARKET, ExchangeWorld


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


@pytest.mark.parametrize("code", [COURT, MARKET])
def test_a_department_that_really_went_on_under_a_successor_is_accused_of_nothing(code):
    """Of what it logged again neither: the ask and the answer that no anchor of the old log covers."""
    with ExchangeWorld((COURT, MARKET)) as world:
        settle(world)
        world.ask_one()
        Successions(world.nodes[code]).succeed(PLANNED, [LogKind.ACCESS])
        world.restart(code)
        world.anchor()
        world.ask_one()
        settle(world)
        report = audit_both(world)
        origin = world.nodes[code].access.origin
        assert parse_origin(origin).n == 1
        assert report.findings.remarks["succession-planned", origin] == 1
        assert codes_of(report) == {"unanchored"}, "for the day of the notice nobody anchors in this world"


HOUR = 3_600
CLOSING = START + 500


def closed_world(again, hours):
    """A log that was closed behind a promise that no anchor covers, and its successor, which logs the entry again or not; both."""
    world = AuditWorld(10, nodes=2)
    old, new = world.nodes[1], AuditNode(MEMBERS[1])
    new.origin = origin_of(new, 1)
    new.ed25519, new.ml_dsa = Ed25519Signer(seed_of("next log")), MlDsa44Signer(seed_of("next log", "pq"))
    old.down.append((CLOSING, START * 2))
    new.down.append((START, CLOSING + 50))
    world.nodes.append(new)
    world.closings[old.origin] = CLOSING
    said = Succession(new.member, CLOSING, old.origin, 0, EMPTY_ROOT, PLANNED)
    world.plan(CLOSING + 60, lambda: new.append(build_succession(said, new.node_key).encode()))
    world.exchange(CLOSING - 20, 0, 1)
    if again is not None:
        world.plan(again, lambda: new.append(old.entries[-1], old.openings[-1]))
    world.plan(START + hours * HOUR, lambda: None)
    world.run()
    assert len(old.entries) > old.anchors[-1].size, "no anchor covers what it promised last"
    return world, old, new


def overdue(world):
    return [one.origin for one in world.audit().findings.listed if one.code == "receipt-overdue"]


@pytest.mark.parametrize(
    ("again", "hours", "is_overdue"),
    [
        (CLOSING + 100, 6, False),
        (CLOSING + 100, 30, False),
        (None, 6, False),
        (None, 30, True),
        (CLOSING + 29 * HOUR, 30, True),
    ],
)
def test_what_a_closed_log_promised_may_be_logged_again_within_a_day(again, hours, is_overdue):
    """A promise that no anchor of its log covers is kept by the log's successor, as docs/protocol/proofs.md says of one receipt."""
    world, old, _ = closed_world(again, hours)
    assert overdue(world) == ([old.origin] if is_overdue else [])


@pytest.mark.parametrize("closes_at", [None, START + 7 * HOUR])
def test_a_promise_of_a_log_that_is_not_closed_waits_for_no_successor(closes_at):
    world, old, _ = closed_world(None, 6)
    world.closings[old.origin] = closes_at
    assert overdue(world) == [old.origin]


def test_what_was_not_read_of_a_successor_may_hold_what_was_promised():
    world, _, new = closed_world(CLOSING + 100, 30)
    new.away_at = 0
    assert overdue(world) == []


def test_a_successor_whose_entries_are_not_those_that_are_anchored_keeps_no_promise():
    world, old, new = closed_world(CLOSING + 100, 30)
    new.anchors[0] = replace(new.anchors[0], root=bytes(32))
    assert overdue(world) == [old.origin]
