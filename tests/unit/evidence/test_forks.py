# SPDX-License-Identifier: Apache-2.0
"""Whom a fork proof convicts of what, and that it convicts nobody else."""

from __future__ import annotations

import pytest

from node.core.canonical import encode_json, parse_json
from node.crypto.ed25519 import Ed25519Signer
from node.evidence.forks import FORK_STEPS, verify_fork_file
from node.evidence.policy import Demand, TrustedKey
from node.log.checkpoint import parse_signed_checkpoint
from node.log.fork import ForkProof, Form, build_fork, encode_fork
from tests.support.promises import ASKER, MEMBER, PromiseWorld
from tests.support.verifying import code, failed, open_steps


@pytest.fixture
def world():
    return PromiseWorld()


def judge(world, proof, **policy):
    data = proof if isinstance(proof, bytes) else encode_fork(proof)
    return verify_fork_file(data, world.policy(**policy), now_seconds=world.chain.time)


def two_histories(world):
    """Two checkpoints of one size: what it shows us, and what it shows somebody else."""
    shown = world.note()
    world.logs[world.origin][1] = world.event("another history").entry
    return build_fork(shown, world.note())


def proofs(world):
    """One true proof of every form, without that of two sizes, which tests/unit/log has."""
    event, other = world.event(), world.event("other")
    receipt = world.promise(event)
    world.append(other)
    yield world.other_leaf(receipt, 3)
    yield ForkProof(Form.RECEIPTS, receipt, world.promise(other, index=3))
    yield ForkProof(Form.RECEIPTS, world.promise(event, pair=90), world.promise(other, index=9, pair=90))
    yield two_histories(world)


def test_every_form_convicts(world):
    told = []
    for proof in proofs(world):
        ruling = judge(world, proof)
        assert (ruling.verdict.exit_code, ruling.finding.name, ruling.convicts) == (0, "forked", MEMBER)
        assert [step.number for step in ruling.steps] == list(range(1, len(FORK_STEPS) + 1))
        assert MEMBER in ruling.render("en")
        assert "定责" in ruling.render("zh")
        members = parse_json(ruling.encode(), max_bytes=100_000)
        assert (members["satisfied"], members["convicts"]) == (True, MEMBER)
        told.append(ruling.render_verdict("en"))
    assert len(set(told)) == len(told)
    assert ASKER in told[2]


def test_a_policy_that_names_other_keys_convicts_nobody(world):
    other = Ed25519Signer(bytes([3] * 32))
    for keys, wanted in (
        ((), "issuer-unknown"),
        ((TrustedKey(MEMBER, "node", other.public, None, None),), "issuer-key-unknown"),
    ):
        event = world.event()
        receipt = world.promise(event, index=2)
        ruling = judge(world, world.other_leaf(receipt, 2), keys=keys)
        assert (ruling.verdict.exit_code, ruling.convicts, ruling.about) == (1, None, {})
        assert code(ruling, "signer") == wanted
        assert open_steps(ruling) == ["signature-a", "signature-b", "contradiction"]


def test_a_forged_receipt_convicts_nobody(world):
    thief = Ed25519Signer(bytes([4] * 32))
    event = world.event()
    forged = world.promise(event, index=1, signer=thief)
    header = world.promise(event, index=1).split(".")[0]
    pasted = ".".join([header, *forged.split(".")[1:]])
    for receipt, step in ((forged, "signer"), (pasted, "signature-b")):
        ruling = judge(world, world.other_leaf(receipt, 1))
        assert step in failed(ruling)
        assert ruling.convicts is None


def test_honest_receipts_contradict_nothing(world):
    event, again = world.event(), world.event()
    receipt = world.promise(event, index=3, pair=7)
    world.append(event)
    for a, b in (
        (receipt, receipt),
        (receipt, world.promise(event, index=3, pair=7, iat=world.chain.time + 5)),
        (receipt, world.promise(event, index=0, pair=7, origin=world.origins[1])),
        (receipt, world.promise(again, index=4, pair=8)),
        (receipt, world.promise(again, index=4, pair=7, aud=MEMBER)),
    ):
        ruling = judge(world, ForkProof(Form.RECEIPTS, a, b))
        assert failed(ruling) == ["contradiction"]
        assert code(ruling, "contradiction") == "fork-agrees"
    honoured = judge(world, world.other_leaf(receipt, 3))
    assert code(honoured, "contradiction") == "fork-agrees"
    elsewhere = judge(world, world.other_leaf(world.promise(again, index=2), 3))
    assert code(elsewhere, "contradiction") == "fork-index"


def test_statements_about_two_logs(world):
    proof = two_histories(world)
    other = world.note(world.origins[1])
    ruling = judge(world, encode_json(parse_json(encode_fork(proof), max_bytes=100_000) | {"b": other}))
    assert code(ruling, "statements") == "fork-origins"


def test_a_log_that_the_policy_does_not_name(world):
    proof = two_histories(world)
    world.origins.reverse()
    world.log_keys.pop(parse_signed_checkpoint(proof.a)[0].origin)
    assert code(judge(world, proof), "signer") == "log-unknown"


def test_a_log_that_is_none_of_ours(world):
    proof = two_histories(world)
    _, _, rest = proof.a.partition("\n")
    ruling = judge(world, ForkProof(Form.ROOTS, "elsewhere\n" + rest, "elsewhere\n" + rest))
    assert code(ruling, "signer") == "log-unknown"


def test_under_a_post_quantum_policy_both_need_that_line(world):
    proof = two_histories(world)
    strict = Demand(require=frozenset({"ml-dsa-44"}))
    assert judge(world, proof, demand=strict).convicts == MEMBER
    bare = "".join(proof.b.splitlines(keepends=True)[:-1])
    ruling = judge(world, ForkProof(Form.ROOTS, proof.a, bare), demand=strict)
    assert code(ruling, "signature-b") == "ml-dsa-44-missing"
    assert judge(world, ForkProof(Form.ROOTS, proof.a, bare)).convicts == MEMBER


def test_what_is_no_fork_proof(world):
    for data in (b"", b"{}", b"\xff", encode_json({"v": 1, "a": "x", "b": "y"})):
        ruling = judge(world, data)
        assert (ruling.verdict.exit_code, ruling.finding.name) == (1, "none")


def test_one_changed_character_convicts_nobody(world):
    data = encode_fork(two_histories(world))
    for place in range(40, len(data) - 40, 397):
        changed = data[:place] + (b"A" if data[place : place + 1] != b"A" else b"B") + data[place + 1 :]
        ruling = judge(world, changed)
        # A changed post-quantum signature is a line that does not hold, and spoils its note.
        assert ruling.convicts is None, place
