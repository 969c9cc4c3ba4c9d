# SPDX-License-Identifier: Apache-2.0
"""Whatever one node does against the rules, between honest ones and among honest requests, is found and named."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from node.access.event import build_heartbeat
from node.cage.proof import parse_finding, verify_finding
from node.log.fork import parse_fork
from tests.support.audit_world import MEMBERS, START, SUBJECT, AuditWorld, codes_of

OTHER = SUBJECT | {"id": "91440300708461136T"}
AT = START + 1_000


def other_released(ctx_number=0):
    return [["A" * 43, ["B" * 42 + "A"]]]


# What one node does, the code by which it is found, and whose log it is found in (None: not this node's alone).
EXCHANGES = {
    "provider drops the grant": ({"without": {"grant"}}, "answer-missing", 1),
    "asker drops the ask": ({"without": {"ask"}}, "ask-missing", 0),
    "asker drops the receive": ({"without": {"receive"}}, "receive-missing", 0),
    "asker drops both": ({"without": {"ask", "receive"}}, "ask-missing", 0),
    "nobody answers and the asker hides it": (
        {"without": {"receive"}, "ending": "lost-request"},
        "receive-missing",
        0,
    ),
    "provider names another subject": ({"grant": {"subject": OTHER}}, "terms-differ", 1),
    "provider names another case": ({"grant": {"case": "2025-1"}}, "terms-differ", 1),
    "asker got more than was released": ({"receive": {"released": other_released()}}, "released-differs", 1),
    "asker names another provider": ({"ask": {"salted_peer": 2}}, "peer-differs", 0),
    "provider names another asker": ({"grant": {"salted_peer": 2}}, "peer-differs", 1),
    "another request is received": ({"receive": {"context": {"req": b"\1" * 32}}}, "request-differs", 0),
    "time an hour early": ({"grant": {"t": (AT - 3_600) * 1000}}, "time-outside", 1),
    "time an hour late": ({"ask": {"t": (AT + 3_600) * 1000}}, "time-outside", 0),
}


def plant(world, name):
    changes, code, guilty = EXCHANGES[name]
    asked = {}
    for key, value in changes.items():
        other = isinstance(value, dict) and "salted_peer" in value
        asked[key] = {"says_peer": MEMBERS[value["salted_peer"]]} if other else value
    world.exchange(AT, 0, 1, **asked)
    return code, world.nodes[guilty].member


@pytest.mark.parametrize("name", EXCHANGES)
@settings(max_examples=2, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_planted_exchange_is_found_and_named(name, seed):
    world = AuditWorld(seed)
    world.some_exchanges(6)
    code, guilty = plant(world, name)
    world.run()
    world.receipts = []
    report = world.audit()
    assert codes_of(report) == {code}
    for finding in report.findings.listed:
        assert finding.member == guilty
        assert finding.origin in {node.origin for node in world.nodes}
        file = parse_finding(finding.proof)
        assert len(file.entries) == len(finding.entries) > 0
        follows = verify_finding(file, world.policy())
        assert follows == (not code.endswith("-missing"))


def late_ask(world):
    """The asker logs the ask only after it has the answer and an anchor has passed."""
    ctx = world.exchange(AT, 0, 1, without={"ask"})
    a, b = world.nodes[:2]
    world.plan(AT + 1_400, lambda: world.log(a, "ask", AT + 1_400, ctx, peer=b))
    return "order-differs", 0


def twice(world):
    ctx = world.exchange(AT, 0, 1)
    a, b = world.nodes[:2]
    world.plan(AT + 3, lambda: world.log(b, "grant", AT + 3, ctx, peer=a, rule="x", released=ctx["released"]))
    return "event-twice", 1


def reused_rid(world):
    ctx = world.exchange(AT, 0, 1)
    a, b = world.nodes[:2]
    other = ctx | {"req": bytes(32)}
    world.plan(AT + 3, lambda: world.log(b, "deny", AT + 3, other, peer=a, rule="rid-reused"))
    return "rid-reused", 0


def malformed(world):
    node = world.nodes[1]
    world.plan(AT, lambda: node.append(b'{"kind":"grant","v":1}'))
    return "entry-malformed", 1


def opening_of_another(world):
    world.exchange(AT, 0, 1)
    node = world.nodes[1]

    def swap():
        at = next(place for place, opened in enumerate(node.openings) if opened)
        node.openings[at] = [*node.openings[at][:-1], "WyJBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUEiLCJydWxlIiwieCJd"]

    world.plan(AT + 100, swap)
    return "opening-differs", 1


def counter_back(world):
    node = world.nodes[2]

    def back():
        node.unwraps = 0

    world.plan(AT, back)
    return "counter-back", 2


def counter_ahead(world):
    """More comes out than a machine that stops may count by mistake."""
    node = world.nodes[2]

    def open_them():
        node.unwraps += 1_100

    world.plan(AT, open_them)
    return "unwraps-unexplained", 2


def counter_gone(world):
    node = world.nodes[2]
    world.plan(AT, lambda: node.append(build_heartbeat(AT * 1000, rejects=0, unwraps=None)))
    return "counter-back", 2


def sealed(world):
    a, b = world.nodes[:2]
    ctx = world.context(sealed={"box": bytes(32), "open_by": AT + 500, "warrant": bytes(32)})
    for at, one, other in ((AT, a, b), (AT + 1, b, a)):
        world.plan(at, lambda at=at, one=one, other=other: world.log(one, "sealed", at, ctx, peer=other))
    return "sealed-unopened", None


def half_a_bulk(world):
    a, b = world.nodes[:2]
    ctx = world.context()
    world.plan(AT, lambda: world.log(a, "bulk", AT, ctx | {"set": bytes(32)}, peer=b))
    return "receive-missing", 0


@pytest.mark.parametrize(
    "plants",
    [
        late_ask,
        twice,
        reused_rid,
        malformed,
        opening_of_another,
        counter_back,
        counter_ahead,
        counter_gone,
        sealed,
        half_a_bulk,
    ],
)
def test_planted_event_is_found_and_named(plants):
    world = AuditWorld(11)
    world.some_exchanges(8)
    code, guilty = plants(world)
    world.run()
    world.receipts = []
    report = world.audit()
    assert codes_of(report) == {code}
    if guilty is not None:
        assert {finding.member for finding in report.findings.listed} == {world.nodes[guilty].member}
    for finding in report.findings.listed:
        verify_finding(parse_finding(finding.proof), world.policy())


@pytest.mark.parametrize(
    ("what", "seconds", "codes"),
    [
        ("heartbeat", 300, {"heartbeat-missing"}),
        ("pad", 300, {"size-unpadded"}),
        ("anchor", 900, {"node-silent"}),
        ("anchor", 18_000, {"unanchored", "logged-past-limit"}),
    ],
)
def test_what_a_node_leaves_out_at_its_anchors_is_found(what, seconds, codes):
    world = AuditWorld(5)
    world.some_exchanges(10)
    since = START + 1_000
    if seconds > 4 * 3_600:
        world.exchange(since + 4 * 3_600 + 800, 0, 1)
    world.run(more_seconds=9_000, skip=[(1, what, since, since + seconds)])
    world.receipts = []
    report = world.audit()
    assert codes_of(report) == codes
    assert {finding.member for finding in report.findings.listed} == {world.nodes[1].member}


def test_entries_that_are_not_those_anchored():
    world = AuditWorld(3)
    world.some_exchanges(10)
    world.run()
    world.receipts = []
    node = world.nodes[1]
    node.given[20] = node.entries[21]
    report = world.audit()
    assert "root-differs" in codes_of(report)
    (finding,) = (f for f in report.findings.listed if f.code == "root-differs")
    assert finding.member == node.member
    file = parse_finding(finding.proof)
    assert file.anchors[0].size > 20
    assert not verify_finding(file, world.policy())


def test_fewer_entries_than_are_anchored():
    world = AuditWorld(3)
    world.some_exchanges(10)
    world.run()
    world.receipts = []
    node = world.nodes[1]
    node.cut_at = node.anchors[-4].size
    report = world.audit()
    assert "entries-withheld" in codes_of(report)
    assert not report.partial


def test_a_checkpoint_that_others_hold_and_that_contradicts_the_log():
    world = AuditWorld(3)
    world.some_exchanges(10)
    world.run()
    world.receipts = []
    node = world.nodes[1]
    for size in (40, len(node.entries)):
        world.notes = [node.sign(size, root=bytes(32))]
        (finding,) = world.audit().findings.listed
        assert (finding.code, finding.member) == ("fork", node.member)
        proof = parse_fork(finding.proof)
        assert proof.a in world.notes or proof.b in world.notes


def test_an_honest_older_checkpoint_is_no_fork():
    world = AuditWorld(3)
    world.some_exchanges(10)
    world.run()
    world.notes = [world.nodes[1].sign(size) for size in (1, 40, 41)]
    assert codes_of(world.audit()) == set()


def test_a_checkpoint_by_nobody_is_refused():
    world = AuditWorld(3)
    world.run()
    node, other = world.nodes[:2]
    node.ed25519 = other.ed25519
    assert codes_of(world_without(world, node)) == {"checkpoint-invalid"}


def world_without(world, node):
    """Audit under the policy as it was before a node changed its key."""
    twin = AuditWorld(3)
    policy = twin.policy()
    world.policy = lambda: policy
    return world.audit()


def test_what_no_anchor_covers_is_named_once_one_does_and_verifies_alone():
    """Until then no file could show that it was not there earlier."""
    world = AuditWorld(5)
    ctx = world.exchange(AT, 0, 1, without={"ask"})
    world.run()
    world.receipts = []
    node, now = world.nodes[0], world.now
    world.log(node, "ask", now, ctx, peer=world.nodes[1], t=AT * 1000)
    assert codes_of(world.audit()) == set()
    node.note = None
    world._period(node, now + 60, (), 0)
    world.now += 70
    report = world.audit()
    assert codes_of(report) == {"order-differs", "time-outside"}
    for finding in report.findings.listed:
        assert finding.member == node.member
        assert verify_finding(parse_finding(finding.proof), world.policy())
