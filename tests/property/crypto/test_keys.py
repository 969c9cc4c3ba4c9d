# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest
import rlp
from eth_account import Account
from hypothesis import given, settings
from hypothesis import strategies as st

from node.crypto.ed25519 import Ed25519Signer, check_ed25519_key, verify_ed25519
from node.crypto.jws import parse_jws, sign_jws, verify_jws
from node.crypto.rlp import encode_rlp
from node.crypto.secp256k1 import OperatorKey
from node.crypto.wrap import unwrap_secret, wrap_secret
from node.errors import NodeError, Verification

KEYS = st.binary(min_size=32, max_size=32)
ITEMS = st.recursive(st.binary(max_size=70), lambda inner: st.lists(inner, max_size=8), max_leaves=20)


@given(ITEMS)
def test_rlp_agrees_with_the_ethereum_library(item):
    assert encode_rlp(item) == rlp.encode(item)


@given(st.integers(0, 2**256))
def test_rlp_integers_agree_with_the_ethereum_library(number):
    assert encode_rlp(number) == rlp.encode(number)


@given(KEYS, st.binary())
def test_every_ed25519_key_made_from_a_seed_is_accepted(seed, message):
    signer = Ed25519Signer(seed)
    check_ed25519_key(signer.public)
    verify_ed25519(signer.public, message, signer.sign(message))


@given(KEYS, st.binary(), st.integers(0, 511))
def test_no_bit_of_a_signature_may_change(seed, message, bit):
    signer = Ed25519Signer(seed)
    signature = bytearray(signer.sign(message))
    signature[bit // 8] ^= 1 << bit % 8
    with pytest.raises(Verification):
        verify_ed25519(signer.public, message, bytes(signature))


@settings(max_examples=30)
@given(st.integers(1, 2**255), KEYS)
def test_operator_signatures_recover_to_their_address(number, digest):
    key = OperatorKey(number.to_bytes(32, "big"))
    r, s, recovery = key.sign_digest(digest)
    assert Account._recover_hash(digest, vrs=(27 + recovery, r, s)) == key.address


CLAIMS = st.dictionaries(
    st.text("abc", max_size=3), st.integers(0, 2**53 - 1) | st.text(st.characters(exclude_categories=["Cs"]))
)


@given(KEYS, CLAIMS, st.data())
def test_no_changed_character_of_a_token_verifies(seed, claims, data):
    signer = Ed25519Signer(seed)
    token = sign_jws("t+jwt", claims, signer)
    jws = parse_jws(token, typ="t+jwt", max_bytes=10**5)
    verify_jws(jws, signer.public)
    assert jws.payload == claims
    place = data.draw(st.integers(0, len(token) - 1))
    other = data.draw(st.characters(exclude_characters=token[place]))
    with pytest.raises(NodeError):
        verify_jws(
            parse_jws(token[:place] + other + token[place + 1 :], typ="t+jwt", max_bytes=10**5), signer.public
        )


@given(KEYS, KEYS, st.text("0123456789abcdef-"), st.binary(min_size=12, max_size=12))
def test_wrapped_secrets_come_back(key, secret, jti, nonce):
    assert unwrap_secret(key, wrap_secret(key, secret, jti, nonce), jti) == secret
