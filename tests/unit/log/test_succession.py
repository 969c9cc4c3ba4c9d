# SPDX-License-Identifier: Apache-2.0
"""The first entry of a successor log: one spelling, the log right before, a reason that is known."""

from __future__ import annotations

from dataclasses import replace

import pytest

from node.core.encoding import encode_b64u
from node.crypto.ed25519 import Ed25519Signer
from node.crypto.jws import sign_jws
from node.errors import InvalidInput, Verification
from node.log.merkle import EMPTY_ROOT
from node.log.succession import (
    REASONS,
    TYP,
    Succession,
    build_succession,
    parse_succession,
    verify_succession,
)
from tests.support.errors import raises_code

SIGNER, OTHER = Ed25519Signer(b"\x01" * 32), Ed25519Signer(b"\x02" * 32)
MEMBER = "11520100000000019P"
SAID = Succession(
    MEMBER, 1_790_000_000, f"zj.example/{MEMBER}/records/0", 512, b"\x07" * 32, "restored-backup"
)
ORIGIN = f"zj.example/{MEMBER}/records/1"


def claims(**changes):
    said = {
        "iss": MEMBER,
        "iat": SAID.iat,
        "predecessor": SAID.predecessor,
        "size": SAID.size,
        "root": encode_b64u(SAID.root),
        "reason": SAID.reason,
    }
    return {name: value for name, value in (said | changes).items() if value is not ...}


def test_the_bytes_are_fixed():
    token = build_succession(SAID, SIGNER)
    header, payload, signature = token.split(".")
    assert token == build_succession(SAID, SIGNER)
    assert header == encode_b64u(
        b'{"alg":"EdDSA","kid":"' + SIGNER.kid.encode() + b'","typ":"succession+jwt"}'
    )
    assert payload == encode_b64u(
        b'{"iat":1790000000,"iss":"11520100000000019P","predecessor":"zj.example/11520100000000019P/records/0",'
        b'"reason":"restored-backup","root":"BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc","size":512}'
    )
    assert len(signature) == 86


@pytest.mark.parametrize("reason", REASONS)
def test_what_is_built_verifies_and_says_the_same(reason):
    said = replace(SAID, reason=reason)
    found = verify_succession(build_succession(said, SIGNER), public=SIGNER.public, origin=ORIGIN)
    assert found == said
    assert found.planned is (reason == "planned")


def test_a_log_that_was_never_anchored_ends_empty():
    said = replace(SAID, size=0, root=EMPTY_ROOT)
    assert parse_succession(build_succession(said, SIGNER)) == said
    with raises_code(InvalidInput, "succession-form"):
        build_succession(replace(said, root=b"\x07" * 32), SIGNER)


def test_it_is_the_member_that_signs():
    with pytest.raises(Verification):
        verify_succession(build_succession(SAID, OTHER), public=SIGNER.public, origin=ORIGIN)


@pytest.mark.parametrize(
    "origin",
    [
        f"zj.example/{MEMBER}/records/0",
        f"zj.example/{MEMBER}/records/2",
        f"zj.example/{MEMBER}/access/1",
        f"other.example/{MEMBER}/records/1",
    ],
)
def test_it_stands_in_the_log_right_behind(origin):
    with raises_code(InvalidInput, "succession-log"):
        verify_succession(build_succession(SAID, SIGNER), public=SIGNER.public, origin=origin)


@pytest.mark.parametrize(
    "changes",
    [
        {"reason": "because"},
        {"reason": 1},
        {"size": -1},
        {"size": 2**53},
        {"size": True},
        {"size": "512"},
        {"iat": 1.5},
        {"root": encode_b64u(b"\x07" * 31)},
        {"predecessor": "zj.example"},
        {"predecessor": f"zj.example/{MEMBER[:-1]}X/records/0"},
        {"iss": None},
        {"more": 1},
        {"reason": ...},
    ],
)
def test_what_is_no_succession_is_refused(changes):
    with pytest.raises(InvalidInput):
        parse_succession(sign_jws(TYP, claims(**changes), SIGNER))


def test_another_type_is_none():
    with raises_code(InvalidInput, "jws-typ"):
        parse_succession(sign_jws("status-head+jwt", claims(), SIGNER))
