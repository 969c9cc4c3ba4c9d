# SPDX-License-Identifier: Apache-2.0
"""Proof texts of ../shared/vectors/tlog-text-formats (transparency-dev/formats, Apache-2.0)."""

from __future__ import annotations

import base64
import json

import pytest

from node.errors import InvalidInput
from node.log.proof import TlogProof, encode_tlog_proof, parse_tlog_proof
from tests.support.shared import shared_path


def _load():
    return json.loads(shared_path("vectors/tlog-text-formats/tlog-proof-formats.json").read_text())


def test_proofs_are_written_and_read_as_published():
    cases = _load()["marshal"]
    assert len(cases) == 3
    for case in cases:
        path = tuple(base64.b64decode(item) for item in case["hashes"])
        extra = base64.b64decode(case["extra"]) if "extra" in case else None
        proof = TlogProof(case["index"], path, case["checkpoint"], extra)
        assert encode_tlog_proof(proof) == case["want"]
        assert parse_tlog_proof(case["want"]) == proof


def test_malformed_proofs_are_refused(subtests):
    cases = _load()["unmarshal_errors"]
    assert len(cases) == 8
    for case in cases:
        with subtests.test(case["name"]), pytest.raises(InvalidInput):
            parse_tlog_proof(case["proof"])
