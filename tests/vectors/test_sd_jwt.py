# SPDX-License-Identifier: Apache-2.0
"""../shared/vectors/sd-jwt: tokens printed in RFC 9901 and the SD-JWT VC draft, through the core.

They are signed with ES256, hold nested and array disclosures, and one has a key binding; the core takes signature
checks and expectations as arguments. No token is a record, so the profile refuses each.
"""

from __future__ import annotations

import json

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from node.core.encoding import parse_b64u
from node.errors import InvalidInput, NodeError, Verification
from node.records.disclosure import digest_of
from node.records.record import verify_record
from node.records.sdjwt import KeyBinding, parse_sd_jwt, present_sd_jwt, verify_sd_jwt
from tests.support.errors import raises_code
from tests.support.records import find_key
from tests.support.shared import shared_path

NOW = 1_750_000_000
NAMES = (
    "Example 1 presentation of all claims",
    "Example 1 presentation of given_name, family_name, and address",
    "example3",
    "issued SD-JWT must contain JWT claims type, iat, iss, sub",
    "presented",
)


def _vectors():
    return json.loads(shared_path("vectors/sd-jwt/rfc9901-and-vc-tokens.json").read_bytes())


def _case(name):
    vectors = _vectors()
    (case,) = (case for case in vectors["tokens"] if case["name"] == name)
    return vectors, case


def _check_es256(jwk, signed, signature):
    number = {part: int.from_bytes(parse_b64u(jwk[part], length=32), "big") for part in ("x", "y")}
    key = ec.EllipticCurvePublicNumbers(number["x"], number["y"], ec.SECP256R1()).public_key()
    r, s = (int.from_bytes(half, "big") for half in (signature[:32], signature[32:]))
    try:
        key.verify(encode_dss_signature(r, s), signed, ec.ECDSA(hashes.SHA256()))
    except InvalidSignature:
        raise Verification("test-signature", "signature does not hold") from None


def _expectations(vectors, case, token):
    """What a verifier of these tokens would expect, its own choices read off the example."""
    parsed = parse_sd_jwt(token, key_binding=case["key_binding"])
    binding = None
    if case["key_binding"]:
        claims = parsed.key_binding.payload
        binding = KeyBinding(
            check_signature=lambda cnf, _header, signed, signature: _check_es256(
                cnf["jwk"], signed, signature
            ),
            algorithms={"ES256"},
            audience=claims["aud"],
            nonce=claims["nonce"],
            earliest_seconds=claims["iat"],
            latest_seconds=claims["iat"],
        )
    return {
        "typ": parsed.jwt.header.get("typ"),
        "algorithms": {"ES256"},
        "check_signature": lambda _header, signed, signature: _check_es256(
            vectors["issuer_public_jwk"], signed, signature
        ),
        "now_seconds": NOW,
        "required": ("iss", "exp"),
        "key_binding": binding,
    }


def test_digests():
    pairs = _vectors()["digest_examples"]
    assert len(pairs) == 4
    for pair in pairs:
        assert digest_of(pair["disclosure"]) == pair["sha256_b64url"]


@pytest.mark.parametrize("name", NAMES)
def test_token_verifies_to_its_processed_payload(name):
    vectors, case = _case(name)
    token = case["sd_jwt"]
    assert verify_sd_jwt(token, **_expectations(vectors, case, token)).claims == case["processed_payload"]


def test_all_tokens_are_covered():
    assert tuple(case["name"] for case in _vectors()["tokens"]) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_expired_token_is_refused(name):
    vectors, case = _case(name)
    expectations = _expectations(vectors, case, case["sd_jwt"]) | {
        "now_seconds": case["processed_payload"]["exp"]
    }
    with raises_code(Verification, "jwt-expired"):
        verify_sd_jwt(case["sd_jwt"], **expectations)


@pytest.mark.parametrize("name", NAMES)
def test_every_tenth_character_changed_is_refused(name):
    vectors, case = _case(name)
    token = case["sd_jwt"]
    expectations = _expectations(vectors, case, token)
    for place in range(0, len(token), 10):
        other = "A" if token[place] != "A" else "B"
        with pytest.raises(NodeError):
            verify_sd_jwt(token[:place] + other + token[place + 1 :], **expectations)


@pytest.mark.parametrize("name", NAMES)
def test_no_token_is_a_record(name):
    _, case = _case(name)
    with pytest.raises(InvalidInput):
        verify_record(case["sd_jwt"], find_key)


def test_key_binding_is_refused_where_none_is_expected():
    vectors, case = _case("presented")
    expectations = _expectations(vectors, case, case["sd_jwt"]) | {"key_binding": None}
    with raises_code(InvalidInput, "sd-jwt-key-binding"):
        verify_sd_jwt(case["sd_jwt"], **expectations)


def test_presentation_of_the_rfc_follows_from_its_issuance():
    vectors, everything = _case(NAMES[0])
    _, some = _case(NAMES[1])
    keep = set(parse_sd_jwt(some["sd_jwt"]).disclosures)
    text = present_sd_jwt(everything["sd_jwt"], keep)
    assert set(parse_sd_jwt(text).disclosures) == keep
    verified = verify_sd_jwt(text, **_expectations(vectors, some, text))
    assert verified.claims == some["processed_payload"]
