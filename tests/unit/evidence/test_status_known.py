# SPDX-License-Identifier: Apache-2.0
"""What was verified once is not taken for verified under another key, as another kind, or once its key does not count any more."""

from __future__ import annotations

import pytest

from node.core.types import MemberCode
from node.crypto.ed25519 import Ed25519Signer
from node.errors import InvalidInput, Verification
from node.evidence.answered import _verify_known
from node.records.status import build_status_head, verify_status_head, verify_status_token
from tests.support.errors import raises_code

OWN, OTHER = Ed25519Signer(bytes(32)), Ed25519Signer(b"\1" * 32)
MEMBER = MemberCode("11520100007000011A")


@pytest.fixture
def head():
    """A head that was verified."""
    text = build_status_head(MEMBER, 1, 1, [bytes(32)], OWN)
    assert _verify_known(text, verify_status_head, lambda _kid, _member: OWN.public).iss == MEMBER
    return text


def test_under_another_key_it_is_verified_anew(head):
    with raises_code(Verification, "jws-key"):
        _verify_known(head, verify_status_head, lambda _kid, _member: OTHER.public)


def test_the_key_is_looked_for_each_time(head):
    def find_none(_kid, _member):
        raise Verification("member-key", "declared compromised")

    with raises_code(Verification, "member-key"):
        _verify_known(head, verify_status_head, find_none)


def test_it_is_nothing_else_than_it_was(head):
    with raises_code(InvalidInput, "jws-typ"):
        _verify_known(head, verify_status_token, lambda _kid, _member: OWN.public)
