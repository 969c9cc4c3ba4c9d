# SPDX-License-Identifier: Apache-2.0
"""Every Ed25519 case of ../shared/vectors/wycheproof (C2SP/wycheproof, Apache-2.0)."""

from __future__ import annotations

import json
from collections import Counter

import pytest

from node.crypto.ed25519 import Ed25519Signer, check_ed25519_key, verify_ed25519
from node.errors import Verification
from tests.support.shared import shared_path

CASES = 151


def _verdict(public, test):
    try:
        verify_ed25519(public, bytes.fromhex(test["msg"]), bytes.fromhex(test["sig"]))
    except Verification as error:
        assert error.code == "ed25519-signature"  # noqa: PT017  the verdict is compared for each case below
        return "invalid"
    return "valid"


@pytest.mark.parametrize("signs", [True, False])
def test_every_ed25519_case_gets_its_published_verdict(signs, monkeypatch):
    """In a process that signs, and so has libsodium, as in one that only verifies."""
    Ed25519Signer(bytes(32))
    if not signs:
        monkeypatch.setattr("node.crypto.ed25519._holds", None)
    data = json.loads(shared_path("vectors/wycheproof/ed25519_test.json").read_bytes())
    seen = Counter()
    for group in data["testGroups"]:
        public = bytes.fromhex(group["publicKey"]["pk"])
        check_ed25519_key(public)
        for test in group["tests"]:
            assert _verdict(public, test) == test["result"], f"case {test['tcId']}: {test['comment']}"
            seen[test["result"]] += 1
    assert sum(seen.values()) == CASES
    assert seen["valid"] > 0
    assert seen["invalid"] > 0
