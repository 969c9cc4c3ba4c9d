# SPDX-License-Identifier: Apache-2.0
"""Checkpoints of ../shared/vectors/tlog-text-formats (golang/mod, transparency-dev/formats, torchwood)."""

from __future__ import annotations

import base64
import json

import pytest

from node.crypto.note import ED25519, build_vkey
from node.errors import InvalidInput, NodeError
from node.log.checkpoint import (
    encode_checkpoint,
    parse_checkpoint,
    parse_signed_checkpoint,
    verify_checkpoint,
)
from node.log.merkle import verify_consistency
from tests.support.shared import shared_path


def _load(name):
    return json.loads(shared_path(f"vectors/tlog-text-formats/{name}.json").read_text())


def test_malformed_checkpoints_are_refused():
    """The source takes roots of any length and extension lines, so its "valid" cases are refused here as well."""
    cases = _load("checkpoint-parse-formats")["cases"]
    assert len(cases) == 12
    for case in cases:
        with pytest.raises(InvalidInput):
            parse_checkpoint(case["text"])


@pytest.mark.parametrize("desc", ["valid one", "valid with different origin"])
def test_their_valid_cases_parse_with_a_root_of_32_bytes(desc):
    (case,) = [case for case in _load("checkpoint-parse-formats")["cases"] if case["desc"] == desc]
    origin, size, _, _ = case["text"].split("\n")
    text = f"{origin}\n{size}\n{base64.b64encode(bytes(32)).decode()}\n"
    assert encode_checkpoint(parse_checkpoint(text)) == text


def test_sumdb_checkpoint():
    text = _load("rfc6962-leafhash-sumdb")["tree_text"]
    checkpoint = parse_checkpoint(text)
    assert (checkpoint.origin, checkpoint.size) == ("go.sum database tree", 123456789012)
    assert encode_checkpoint(checkpoint) == text


def test_checkpoints_sent_to_a_witness():
    """Signatures and consistency proofs of a real log, and the mutations that the witness refuses."""
    log = _load("tlog-witness-litewitness")["log1"]
    vkeys = [build_vkey(log["origin"], ED25519, bytes.fromhex(log["ed25519_public_key_hex"]))]
    recorded = None
    accepted = refused = 0
    for exchange in log["exchanges"]:
        request, _, note = exchange["request_body"].partition("\n\n")
        old, *proof = request.split("\n")
        if exchange["status"] == 409:
            continue  # about the witness's own record, not about the checkpoint
        try:
            checkpoint = verify_checkpoint(note, vkeys).checkpoint
            if recorded is not None and int(old.removeprefix("old ")):
                proof = [base64.b64decode(item) for item in proof]
                verify_consistency(recorded.size, checkpoint.size, recorded.root, checkpoint.root, proof)
        except NodeError:
            assert exchange["status"] in {403, 422}, exchange
            refused += 1
            continue
        assert exchange["status"] == 200, exchange
        recorded = checkpoint
        accepted += 1
    assert accepted >= 2
    assert refused >= 3
    assert parse_signed_checkpoint(note)[0].origin
