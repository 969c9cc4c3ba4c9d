# SPDX-License-Identifier: Apache-2.0
"""Receipts that members hold are laid against the logs: what is promised and not there is named, with the receipt."""

from node.access.receipt import parse_receipt
from node.cage.proof import parse_finding, verify_finding
from node.crypto.ed25519 import Ed25519Signer
from node.log.fork import Form, parse_fork
from tests.support.audit_world import START, AuditWorld, codes_of, seed_of

AT = START + 1_000


def made(seed=2):
    world = AuditWorld(seed)
    world.some_exchanges(10, endings=("grant", "deny"))
    return world


def test_dropped_grant_whose_receipt_the_asker_holds():
    """The provider logs a grant, gives the receipt, and puts padding in its place before the anchor."""
    world = made()
    world.exchange(AT, 0, 1)
    provider = world.nodes[1]
    ctx = world.context()
    token = []

    def promise():
        index = len(provider.entries)
        token.append(provider.receipt(index, ctx["rid"], world.nodes[0].member, AT + 5, leaf=bytes(32)))
        world.receipts.append(token[0])

    world.plan(AT + 5, promise)
    report = world.run().audit()
    assert codes_of(report) == {"receipt-not-honoured"}
    (finding,) = report.findings.listed
    assert (finding.member, finding.receipts) == (provider.member, tuple(token))
    proof = parse_fork(finding.proof)
    assert (proof.form, proof.b, proof.index) == (Form.RECEIPT, token[0], parse_receipt(token[0]).idx)


def test_a_missing_answer_comes_with_the_receipt_that_promises_it():
    world = made()
    ctx = world.exchange(AT, 0, 1, without={"grant"})
    provider = world.nodes[1]
    token = []

    def promise():
        index = len(provider.entries) + 10_000
        token.append(provider.receipt(index, ctx["rid"], world.nodes[0].member, AT))
        world.receipts.append(token[0])

    world.plan(AT + 1, promise)
    report = world.run(more_seconds=18_000).audit()
    # The number went to no event that was read.
    assert codes_of(report) == {"answer-missing", "receipt-overdue", "pair-gap"}
    assert {finding.member for finding in report.findings.listed} == {provider.member}
    for finding in (each for each in report.findings.listed if each.code != "pair-gap"):
        assert finding.member == provider.member
        assert token[0] in finding.receipts
        file = parse_finding(finding.proof)
        assert file.receipts == finding.receipts
        assert not verify_finding(file, world.policy())


def test_what_is_not_due_yet_is_no_default():
    world = made()
    node = world.nodes[1]
    after = START + 3_400
    world.plan(
        after, lambda: world.receipts.append(node.receipt(100_000, bytes(16), world.nodes[0].member, after))
    )
    assert codes_of(world.run().audit()) == set()


def test_one_number_on_two_receipts():
    world = made()
    world.run()
    first = parse_receipt(world.receipts[0])
    node = next(node for node in world.nodes if node.member == first.iss)
    other = (first.idx + 1) % len(node.entries)
    world.receipts.append(node.receipt(other, first.rid, first.aud, first.iat, pair=first.pair))
    report = world.audit()
    assert codes_of(report) == {"receipt-twice"}
    assert parse_fork(report.findings.listed[0].proof).form is Form.RECEIPTS
    # The same receipt twice is the same promise.
    world.receipts[-1] = world.receipts[0]
    assert codes_of(world.audit()) == set()


def test_forged_receipts_convict_nobody():
    world = made()
    world.run()
    node, other = world.nodes[1], world.nodes[0].member
    node.node_key, real = Ed25519Signer(seed_of("forger")), node.node_key
    forged = [
        node.receipt(3, bytes(16), other, AT, leaf=bytes(32)),
        node.receipt(100_000, bytes(16), other, START - 10**6),
        node.receipt(5, bytes(16), other, AT, pair=5_000),
        node.receipt(6, bytes(16), other, AT, pair=1),
    ]
    node.node_key = real
    world.receipts += forged
    report = world.audit()
    assert codes_of(report) == set()
    assert report.findings.remarks["receipts-unproven", node.origin] >= 3


def test_receipts_of_others_are_counted():
    world = made()
    world.run()
    report = world.audit(nodes=[0, 2])
    assert codes_of(report) == set()
    assert report.findings.remarks["receipts-elsewhere", world.nodes[1].origin] > 0


def test_what_nodes_show_of_their_receipts_convicts_by_itself_and_not_by_what_is_left_out():
    world = AuditWorld(4)
    for number in range(6):
        world.exchange(AT + number, 0, 1)
    world.run()
    provider, asker = world.nodes[1], world.nodes[0].member
    shown = [token for token in world.receipts if parse_receipt(token).iss == provider.member]
    del shown[2:4]
    world.receipts = []
    world.held = [*shown, "no receipt"]
    assert codes_of(world.audit()) == set()
    false = provider.receipt(3, bytes(16), asker, AT, leaf=bytes(32))
    world.held += [false, false]
    (finding,) = world.audit().findings.listed
    assert (finding.code, finding.member, finding.receipts) == (
        "receipt-not-honoured",
        provider.member,
        (false,),
    )
    # What the auditor brings as well is one promise still.
    world.receipts = [false]
    assert world.audit().findings.counts == {("receipt-not-honoured", provider.origin): 1}
