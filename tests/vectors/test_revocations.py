# SPDX-License-Identifier: Apache-2.0
"""Vectors of revocations, checked by ``plain_exchange``, which shares nothing with what wrote them; and by the node itself."""

from __future__ import annotations

import json

import pytest

from node.access.box import Envelope, parse_envelope
from node.access.revocation import (
    MAX_REVOKED_BYTES,
    authenticate_revocation,
    open_revocation,
    open_revoked,
    parse_revocation,
    seal_revocation,
    verify_revoked,
)
from node.errors import AccessDenied, NodeError, Verification
from tests.support import one_exchange as world
from tests.support import plain_exchange as plain
from tests.support.errors import raises_code
from tests.vectors.test_exchange import FILES, KEYS, PROVIDER, check_token, node_public, node_seed

CASES = FILES["revocations"]
TOLD = CASES["revocations"][0]
WINDOW = TOLD["claims"]["iss"]
TYPES = {"revocations": ("consent-revocation+jwt", WINDOW), "answers": ("consent-revoked+jwt", PROVIDER)}


def check_revocation(token):
    authenticate_revocation(token, lambda _kid: node_public(WINDOW))
    return parse_revocation(token)


def check_answer(token):
    return verify_revoked(
        token,
        revocation=parse_revocation(TOLD["jws"]),
        find_key=lambda _kid: node_public(PROVIDER),
        log=world.LOGS[PROVIDER],
        now_seconds=world.NOW + 7 * 86_400,
        anchor_limit_seconds=world.LIMIT,
    )


def by_name(cases):
    return pytest.mark.parametrize("case", cases, ids=lambda case: case["name"])


def test_a_revocation_names_the_consent_and_says_nothing_of_it():
    check_token(TOLD, *TYPES["revocations"])
    claims, consent = TOLD["claims"], FILES["consents"][0]
    assert claims["consent"] == consent["digest"]
    assert (claims["iss"], claims["aud"], claims["exp"]) == tuple(
        consent["claims"][name] for name in ("iss", "aud", "exp")
    )
    assert consent["claims"]["subject"]["id"] not in json.dumps(claims)
    assert check_revocation(TOLD["jws"]).consent == plain.unb64u(consent["digest"])


def test_the_answer_holds_the_providers_event_about_that_consent():
    taken, refused = CASES["answers"]
    for case in CASES["answers"]:
        check_token(case, *TYPES["answers"])
        assert case["claims"]["req"] == TOLD["digest"]
    logged = taken["claims"]["revoke"]
    event = json.loads(logged["event"])
    assert plain.canonical(event) == logged["event"].encode()
    assert (event["kind"], event["rid"]) == ("revoke", TOLD["claims"]["rid"])
    said = {}
    for text in logged["open"]:
        assert plain.b64u(plain.sha256(text.encode())) in event["_sd"]
        _, name, value = json.loads(plain.unb64u(text))
        said[name] = value
    assert "officer" not in said
    assert {name: value for name, value in said.items() if value is not None} == {
        "peer": WINDOW,
        "purpose": "consent-revocation",
        "consent": TOLD["claims"]["consent"],
        "rule": "window",
    }
    promise = plain.verify(logged["receipt"], "log-receipt+jwt", node_public(PROVIDER))
    assert (promise["iss"], promise["aud"], promise["rid"]) == (PROVIDER, WINDOW, event["rid"])
    assert plain.unb64u(promise["leaf"]) == plain.leaf_hash(logged["event"].encode())
    assert check_answer(taken["jws"]).receipt == logged["receipt"]
    with raises_code(AccessDenied, "revocation-limit"):
        check_answer(refused["jws"])


def test_envelopes_of_both_directions_open_under_their_info_alone():
    infos = CASES["infos"]
    seed = bytes.fromhex(KEYS["exchange_keys"]["exchange"]["seed"])
    sealed = seal_revocation(TOLD["jws"], public=world.PROVIDER_KEY.public, from_=WINDOW, to=PROVIDER)
    plaintext = plain.hpke_open(seed, infos["revocation"].encode(), sealed.box)
    assert (plaintext.rstrip(b" ").decode(), len(plaintext)) == (TOLD["jws"], 4_096)
    assert open_revocation(sealed, world.PROVIDER_KEY) == TOLD["jws"]
    with raises_code(Verification, "box-kid"):
        open_revocation(sealed, world.REPLY_KEY)
    jws = CASES["answers"][0]["jws"]
    reply = bytes.fromhex(KEYS["exchange_keys"]["reply"]["seed"])
    padded = jws.encode().ljust(-(-len(jws) // 4_096) * 4_096)
    box = plain.hpke_seal(plain.exchange_public(reply), infos["revoked"].encode(), padded, bytes(range(32)))
    envelope = plain.canonical(
        {"box": plain.b64u(box), "from": PROVIDER, "kid": "reply", "to": WINDOW, "v": 1}
    )
    parsed = parse_envelope(envelope, max_plaintext_bytes=MAX_REVOKED_BYTES)
    req = plain.unb64u(TOLD["digest"])
    assert open_revoked(parsed, world.REPLY_KEY, req=req) == jws
    with raises_code(Verification, "box-open"):
        open_revoked(Envelope(world.ASKER, WINDOW, "reply", box), world.REPLY_KEY, req=req)
    with raises_code(Verification, "box-kid"):
        open_revoked(Envelope(PROVIDER, WINDOW, "0" * 16, box), world.REPLY_KEY, req=req)


@by_name(CASES["refused"])
def test_what_is_wrong_is_refused_by_its_code(case):
    kind, base = next((kind, one) for kind in TYPES for one in CASES[kind] if one["name"] == case["base"])
    typ, signer = TYPES[kind]
    token = plain.sign(node_seed(case.get("by", signer)), case.get("typ", typ), base["claims"] | case["set"])
    with pytest.raises(NodeError) as caught:
        (check_revocation if kind == "revocations" else check_answer)(token)
    assert caught.value.code == case["code"]
