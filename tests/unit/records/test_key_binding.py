# SPDX-License-Identifier: Apache-2.0
"""Key binding of SD-JWTs, RFC 9901 section 7.3. Records have none; the core knows it."""

from __future__ import annotations

import pytest

from node.crypto.ed25519 import verify_ed25519
from node.errors import InvalidInput, Verification
from node.records.sdjwt import KeyBinding, present_sd_jwt
from tests.support.errors import raises_code
from tests.support.sdjwt import HOLDER, NOW, b64u, digest, disclose, sign, token, verify

NAME = disclose("salt-1", "family_name", "Möbius")
CITY = disclose("salt-2", "city", "杭州")
ZERO = b64u(bytes(32))


def _refused(error, code, text, **changes):
    with raises_code(error, code):
        verify(text, **changes)


def _bound(payload_changes=None, header_changes=None, signer=HOLDER, claims=None, tamper=lambda text: text):
    """A presentation with key binding, and what the verifier demands of it."""
    text = token(
        {"cnf": {"key": b64u(HOLDER.public)}, "_sd": [digest(NAME), digest(CITY)]} | (claims or {}), NAME
    )
    payload = {"iat": NOW, "aud": "court", "nonce": "n1", "sd_hash": digest(text)} | (payload_changes or {})
    binding = sign(
        {k: v for k, v in payload.items() if v is not None},
        {"typ": "kb+jwt", **(header_changes or {})},
        signer,
    )
    return tamper(text) + binding


def _check_holder(cnf, _header, signed, signature):
    assert cnf == {"key": b64u(HOLDER.public)}
    verify_ed25519(HOLDER.public, signed, signature)


DEMAND = KeyBinding(
    check_signature=_check_holder,
    algorithms={"EdDSA"},
    audience="court",
    nonce="n1",
    earliest_seconds=NOW - 60,
    latest_seconds=NOW + 5,
)


class TestSection73KeyBinding:
    def test_accepted(self):
        assert verify(_bound(), key_binding=DEMAND).claims["family_name"] == "Möbius"

    def test_missing_where_it_is_demanded(self):
        _refused(InvalidInput, "sd-jwt-key-binding", token({"cnf": {}}), key_binding=DEMAND)

    def test_token_without_holder_key(self):
        text = token({})
        binding = sign(
            {"iat": NOW, "aud": "court", "nonce": "n1", "sd_hash": digest(text)}, {"typ": "kb+jwt"}, HOLDER
        )
        _refused(Verification, "key-binding", text + binding, key_binding=DEMAND)

    def test_other_disclosures_than_were_bound(self):
        _refused(
            Verification, "key-binding", _bound(tamper=lambda text: text + CITY + "~"), key_binding=DEMAND
        )

    def test_signature_of_another_key(self):
        _refused(
            Verification, "ed25519-signature", _bound(signer=type(HOLDER)(bytes(32))), key_binding=DEMAND
        )

    @pytest.mark.parametrize(
        "changes",
        [
            {"iat": NOW - 61},
            {"iat": NOW + 6},
            {"iat": None},
            {"iat": "now"},
            {"aud": "other"},
            {"aud": ["court"]},
            {"aud": None},
            {"nonce": "n2"},
            {"nonce": None},
            {"sd_hash": ZERO},
            {"sd_hash": None},
        ],
    )
    def test_claim_that_does_not_hold(self, changes):
        _refused(Verification, "key-binding", _bound(changes), key_binding=DEMAND)

    def test_expired(self):
        _refused(Verification, "jwt-expired", _bound({"exp": NOW}), key_binding=DEMAND)

    @pytest.mark.parametrize("typ", ["jwt", "test+sd-jwt", None])
    def test_other_typ(self, typ):
        _refused(Verification, "jwt-typ", _bound(header_changes={"typ": typ}), key_binding=DEMAND)

    @pytest.mark.parametrize("algorithm", ["none", "HS256"])
    def test_algorithm(self, algorithm):
        _refused(Verification, "jwt-alg", _bound(header_changes={"alg": algorithm}), key_binding=DEMAND)

    def test_holder_refuses_a_token_with_key_binding(self):
        with raises_code(InvalidInput, "sd-jwt-key-binding"):
            present_sd_jwt(_bound(), set())
