# SPDX-License-Identifier: Apache-2.0
"""Fork proofs and receipt files, parsed and verified: nobody is convicted who did not sign."""

from __future__ import annotations

from functools import cache

from node.errors import NodeError
from node.evidence.forks import verify_fork_file
from node.evidence.promises import encode_receipt_file, parse_receipt_file
from node.evidence.receipts import verify_receipt_file
from node.log.fork import ForkProof, Form, build_fork, encode_fork, parse_fork
from node.log.merkle import leaf_hash
from tests.fuzz.case import Target, check_kept
from tests.support.promises import MEMBER, PromiseWorld

_UNSIGNED = "as json: no signature covers the file, each part of it has its own"


@cache
def _honest():
    """A member that gave one receipt and kept it."""
    made = PromiseWorld()
    event = made.event()
    made.receipt = made.promise(event)
    made.index = made.append(event)
    made.kept = event
    made.chain.mine(300)
    made.anchor()
    return made


@cache
def _forker():
    """A member that signed two histories and promised one place twice."""
    made = PromiseWorld()
    event, other = made.event(), made.event("other")
    receipt = made.promise(event)
    made.append(other)
    proofs = [made.other_leaf(receipt, 3), ForkProof(Form.RECEIPTS, receipt, made.promise(other, index=3))]
    shown = made.note()
    made.logs[made.origin][1] = event.entry
    proofs.append(build_fork(shown, made.note()))
    made.proofs = [encode_fork(proof) for proof in proofs]
    return made


def _fork(data):
    proof = parse_fork(data)
    again = encode_fork(proof)
    assert parse_fork(again) == proof
    assert encode_fork(parse_fork(again)) == again
    check_kept(data, again)


def _verify_fork(data):
    """A ruling, whatever the file. It convicts the one who forked, and never the one who did not."""
    forker, honest = _forker(), _honest()
    for world in (forker, honest):
        ruling = verify_fork_file(data, world.policy(), now_seconds=world.chain.time)
        ruling.encode()
        lines = ruling.render(("zh", "en")[len(data) % 2]).splitlines()
        assert all(line.isprintable() for line in lines), "a report would control the terminal"
        assert ruling.convicts in {None, MEMBER}
        # Both worlds have the same keys; what the honest member signed are its checkpoints and one receipt.
        if ruling.convicts is not None:
            proof = parse_fork(data)
            assert {proof.a, proof.b} - {*honest.notes.values(), honest.receipt}, (
                "an honest member is convicted"
            )


def _receipt_file(data):
    file = parse_receipt_file(data)
    again = encode_receipt_file(file)
    assert parse_receipt_file(again) == file
    assert encode_receipt_file(parse_receipt_file(again)) == again
    if data.startswith(b"{"):  # else it is the receipt alone
        check_kept(data, again)
    else:
        assert data.removesuffix(b"\n") == file.receipt.encode()


def _verify_receipt(data):
    """A ruling, whatever the file; of what an honest member signed only its own receipt is honoured, and none convicts."""
    made = _honest()
    chain = made.chain if len(data) % 2 else None
    ruling = verify_receipt_file(data, made.policy(), now_seconds=made.chain.time, chain=chain)
    ruling.encode()
    lines = ruling.render(("zh", "en")[len(data) % 2]).splitlines()
    assert all(line.isprintable() for line in lines), "a report would control the terminal"
    assert ruling.convicts is None, "an honest member is convicted"
    if ruling.finding.name == "honoured":
        assert ruling.about["index"] == made.index
    try:
        token = parse_receipt_file(data).receipt
    except NodeError:
        assert ruling.finding.name == "invalid"
    else:
        assert ruling.finding.name == "invalid" or token == made.receipt


@cache
def _fork_seeds():
    sizes = PromiseWorld()
    small = sizes.note()
    sizes.append(sizes.event())
    prefix = ForkProof(Form.PREFIX, small, sizes.note(), prefix=(leaf_hash(b"x"), bytes(32)))
    return [*_forker().proofs, encode_fork(prefix)]


@cache
def _receipt_seeds():
    made = _honest()
    return [
        made.receipt.encode() + b"\n",
        made.file(made.receipt),
        made.file(made.receipt, made.kept),
        made.file(made.receipt, made.kept, shown=made.index),
    ]


TARGETS = (
    Target("fork", "node.log.fork.parse_fork", _fork, _fork_seeds, _UNSIGNED, largest=32_768),
    Target(
        "fork-verify",
        "node.evidence.forks.verify_fork_file and its report",
        _verify_fork,
        _fork_seeds,
        _UNSIGNED,
        largest=32_768,
    ),
    Target(
        "receipt-file",
        "node.evidence.promises.parse_receipt_file",
        _receipt_file,
        _receipt_seeds,
        _UNSIGNED,
        largest=16_384,
    ),
    Target(
        "receipt-verify",
        "node.evidence.receipts.verify_receipt_file and its report",
        _verify_receipt,
        _receipt_seeds,
        _UNSIGNED,
        largest=16_384,
    ),
)
