# SPDX-License-Identifier: Apache-2.0
"""Receipts: form, and every way in which one does not fit its event."""

from __future__ import annotations

import json

import pytest

from node.access.event import SALTED_NAMES, build_event, build_heartbeat, event_salts
from node.access.receipt import build_receipt, parse_receipt, verify_receipt
from node.core.encoding import encode_b64u, parse_b64u
from node.crypto.ed25519 import Ed25519Signer
from node.crypto.jws import sign_jws
from node.errors import InvalidInput, Verification
from node.log.merkle import leaf_hash

ISS = "91350100M000100Y43"
AUD = "91440300708461136T"
LOG = f"city.example/{ISS}/access/0"
RID = bytes(range(16))
NODE = Ed25519Signer(bytes(32))
ENTRY = build_event(
    "consent", 1_790_000_000_000, RID, 1, None, dict.fromkeys(SALTED_NAMES), event_salts(bytes(32))
).entry
CLAIMS = {
    "iss": ISS,
    "aud": AUD,
    "log": LOG,
    "idx": 1007,
    "leaf": leaf_hash(ENTRY),
    "rid": RID,
    "pair": 42,
    "iat": 1_790_000_000,
    "anchor_limit_seconds": 14_400,
}


def receipt(**changes):
    return build_receipt(**{"signer": NODE, **CLAIMS, **changes})


def verify(token, **changes):
    want = {
        "public": NODE.public,
        "entry": ENTRY,
        "iss": ISS,
        "aud": AUD,
        "log": LOG,
        "anchor_limit_seconds": 14_400,
    }
    return verify_receipt(token, **{**want, **changes})


def resigned(**changes):
    payload = json.loads(parse_b64u(receipt().split(".")[1])) | changes
    return sign_jws("log-receipt+jwt", {k: v for k, v in payload.items() if v is not ...}, NODE)


def test_header_and_payload_are_those_of_the_protocol():
    header, payload, _ = receipt().split(".")
    assert json.loads(parse_b64u(header)) == {"alg": "EdDSA", "kid": NODE.kid, "typ": "log-receipt+jwt"}
    assert json.loads(parse_b64u(payload)) == {
        "iss": ISS,
        "aud": AUD,
        "log": LOG,
        "idx": 1007,
        "leaf": encode_b64u(leaf_hash(ENTRY)),
        "rid": encode_b64u(RID),
        "pair": 42,
        "iat": 1_790_000_000,
        "anchor_by": 1_790_014_400,
    }


def test_a_receipt_verifies_against_its_event():
    found = verify(receipt())
    assert (found.iss, found.aud, found.log, found.idx, found.pair) == (ISS, AUD, LOG, 1007, 42)
    assert (found.leaf, found.rid, found.anchor_by) == (leaf_hash(ENTRY), RID, 1_790_014_400)
    assert verify(receipt(aud=ISS), aud=ISS).aud == ISS


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"public": Ed25519Signer(b"\1" * 32).public}, "jws-key"),
        ({"iss": AUD}, "receipt-iss"),
        ({"aud": ISS}, "receipt-aud"),
        ({"log": LOG[:-1] + "1"}, "receipt-log"),
        ({"entry": ENTRY.replace(b'"n":1', b'"n":2')}, "receipt-leaf"),
        ({"anchor_limit_seconds": 3600}, "receipt-anchor-by"),
    ],
)
def test_a_receipt_that_promises_something_else_is_refused(changes, code):
    with pytest.raises(Verification) as caught:
        verify(receipt(), **changes)
    assert caught.value.code == code


def test_a_receipt_of_another_request_is_refused():
    with pytest.raises(Verification) as caught:
        verify(receipt(rid=bytes(16)))
    assert caught.value.code == "receipt-rid"


def test_a_heartbeat_needs_no_receipt():
    entry = build_heartbeat(1, rejects=0, unwraps=None)
    with pytest.raises(InvalidInput) as caught:
        verify(receipt(leaf=leaf_hash(entry)), entry=entry)
    assert caught.value.code == "event-kind"


def test_a_changed_receipt_is_refused():
    head, _, signature = receipt().split(".")
    other = receipt(pair=43).split(".")[1]
    with pytest.raises(Verification) as caught:
        verify(f"{head}.{other}.{signature}")
    assert caught.value.code == "ed25519-signature"


def test_a_receipt_is_no_other_token_of_the_same_key():
    payload = json.loads(parse_b64u(receipt().split(".")[1]))
    with pytest.raises(InvalidInput) as caught:
        verify(sign_jws("exchange-answer+jwt", payload, NODE))
    assert caught.value.code == "jws-typ"


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"more": 1}, "json-member-unknown"),
        ({"pair": ...}, "json-member-missing"),
        ({"pair": 0}, "json-range"),
        ({"idx": -1}, "json-range"),
        ({"iat": "1"}, "json-range"),
        ({"leaf": "AA"}, "base64-length"),
        ({"rid": encode_b64u(bytes(32))}, "base64-length"),
        ({"iss": "x"}, "uscc-form"),
        ({"log": f"city.example/{AUD}/access/0"}, "receipt-log"),
        ({"log": f"city.example/{ISS}/records/0"}, "receipt-log"),
        ({"log": "elsewhere"}, "origin-form"),
        ({"anchor_by": 1_789_999_999}, "receipt-anchor-by"),
    ],
)
def test_malformed_receipts_are_refused_by_code(changes, code):
    with pytest.raises(InvalidInput) as caught:
        parse_receipt(resigned(**changes))
    assert caught.value.code == code


def test_a_promise_that_contradicts_itself_is_not_signed():
    with pytest.raises(InvalidInput):
        receipt(pair=0)
    with pytest.raises(InvalidInput):
        receipt(log=f"city.example/{AUD}/access/0")
    with pytest.raises(InvalidInput):
        receipt(leaf=bytes(31))
