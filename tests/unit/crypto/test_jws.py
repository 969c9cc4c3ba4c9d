# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import base64

import pytest

from node.core.canonical import encode_json
from node.crypto.ed25519 import Ed25519Signer
from node.crypto.jws import parse_jws, sign_jws, verify_jws
from node.errors import InvalidInput, Verification
from tests.support.errors import raises_code

SIGNER = Ed25519Signer(b"\x07" * 32)
TYP = "receipt+jwt"
LIMIT = 4096


def _b64u(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _token(header=None, payload=b"{}", signature=bytes(64)):
    head = encode_json({"alg": "EdDSA", "kid": SIGNER.kid, "typ": TYP} | (header or {}))
    return f"{_b64u(head)}.{_b64u(payload)}.{_b64u(signature)}"


def test_token_is_canonical_and_verifies():
    token = sign_jws(TYP, {"iss": "a", "iat": 5}, SIGNER)
    head, payload, _ = token.split(".")
    assert (
        base64.urlsafe_b64decode(head + "==")
        == b'{"alg":"EdDSA","kid":"%s","typ":"receipt+jwt"}' % SIGNER.kid.encode()
    )
    assert base64.urlsafe_b64decode(payload + "==") == b'{"iat":5,"iss":"a"}'
    for form in (token, token.encode()):
        jws = parse_jws(form, typ=TYP, max_bytes=LIMIT)
        verify_jws(jws, SIGNER.public)
        assert jws.payload == {"iss": "a", "iat": 5}
        assert jws.signing_input == f"{head}.{payload}".encode()
    assert parse_jws(token, typ=None, max_bytes=LIMIT).header["typ"] == TYP


def test_signed_bytes_are_kept_as_received():
    payload = _b64u(b' { "b" : 1, "a" : 2 } ')
    signing_input = _token().split(".")[0] + "." + payload
    token = f"{signing_input}.{_b64u(SIGNER.sign(signing_input.encode()))}"
    jws = parse_jws(token, typ=TYP, max_bytes=LIMIT)
    verify_jws(jws, SIGNER.public)
    assert jws.signing_input == signing_input.encode()


def test_another_key_or_changed_bytes_do_not_verify():
    jws = parse_jws(sign_jws(TYP, {"a": 1}, SIGNER), typ=TYP, max_bytes=LIMIT)
    with raises_code(Verification, "jws-key"):
        verify_jws(jws, Ed25519Signer(bytes(32)).public)
    head, _, signature = sign_jws(TYP, {"a": 1}, SIGNER).split(".")
    other = _b64u(b'{"a":2}')
    changed = parse_jws(f"{head}.{other}.{signature}", typ=TYP, max_bytes=LIMIT)
    with raises_code(Verification, "ed25519-signature"):
        verify_jws(changed, SIGNER.public)


@pytest.mark.parametrize(
    ("token", "code"),
    [
        ("x" * (LIMIT + 1), "jws-size"),
        ("a.b", "jws-form"),
        (None, "jws-form"),
        (5, "jws-form"),
        ("a.b.c.d", "jws-form"),
        ("é.b.c", "jws-form"),
        (b"\xff.b.c", "jws-form"),
        ("YR.e30.AA", "base64url"),
        (_token() + "=", "base64url"),
        (_token(signature=bytes(63)), "base64-length"),
        (_token(payload=b"[]"), "jws-form"),
        (_token(payload=b'{"a":1,"a":1}'), "json-duplicate"),
        (_token(payload=b'{"a":1.5}'), "json-number"),
        (_token(header={"alg": "none"}), "jws-alg"),
        (_token(header={"alg": "ES256"}), "jws-alg"),
        (_token(header={"alg": None}), "jws-alg"),
        (_token(header={"kid": "ABCDEF0123456789"}), "jws-kid"),
        (_token(header={"kid": 5}), "jws-kid"),
        (_token(header={"typ": "other+jwt"}), "jws-typ"),
        (_token(header={"typ": 1}), "jws-typ"),
        (_token(header={"crit": ["b64"]}), "json-member-unknown"),
        (_token(header={"typ": "x" * 600}), "json-size"),
        (f"{_b64u(b'{}')}.e30.{_b64u(bytes(64))}", "json-member-missing"),
        (f"{_b64u(b'[]')}.e30.{_b64u(bytes(64))}", "json-object"),
    ],
)
def test_other_tokens_are_refused(token, code):
    with raises_code(InvalidInput, code):
        parse_jws(token, typ=TYP, max_bytes=LIMIT)


def test_typ_must_be_text_even_when_any_is_accepted():
    with raises_code(InvalidInput, "jws-typ"):
        parse_jws(_token(header={"typ": 1}), typ=None, max_bytes=LIMIT)
