# SPDX-License-Identifier: Apache-2.0
"""Vectors of deposits, checked by ``plain_exchange``, which shares nothing with what wrote them; and by the node itself."""

from __future__ import annotations

import json

import pytest

from node.access.box import Envelope, parse_envelope
from node.access.deposit import (
    authenticate_deposit,
    open_deposited,
    parse_deposit,
    seal_deposit,
    verify_deposited,
)
from node.access.warrant import parse_warrant
from node.errors import AccessDenied, NodeError, Verification
from tests.support import one_deposit as deposits
from tests.support import one_exchange as world
from tests.support import plain_exchange as plain
from tests.support.errors import raises_code
from tests.vectors.test_exchange import (
    ASKER,
    FILES,
    KEYS,
    PROVIDER,
    REGULATOR,
    check_token,
    node_public,
    node_seed,
)

CASES = FILES["deposits"]
FIRST = CASES["deposits"][0]
SEED = bytes.fromhex(KEYS["exchange_keys"]["regulator"]["seed"])
TYPES = {"deposits": ("sealed-deposit+jwt", ASKER), "answers": ("sealed-deposited+jwt", REGULATOR)}


def check_deposit(token):
    authenticate_deposit(token, lambda _kid: node_public(ASKER))
    return parse_deposit(token)


def check_answer(token):
    return verify_deposited(
        token,
        deposit=parse_deposit(FIRST["jws"]),
        warrant=parse_warrant(world.warrant()),
        find_key=lambda _kid: node_public(REGULATOR),
        log=deposits.REGULATOR_LOG,
        now_seconds=world.NOW + 5,
        anchor_limit_seconds=world.LIMIT,
    )


def by_name(cases):
    return pytest.mark.parametrize("case", cases, ids=lambda case: case["name"])


@by_name(CASES["deposits"])
def test_a_deposit_holds_the_box_of_the_event(case):
    check_token(case, *TYPES["deposits"])
    claims = case["claims"]
    box = plain.unb64u(claims["box"])
    event = json.loads(FILES["sealed"]["entry"])
    assert plain.b64u(plain.sha256(box)) == event["box"]
    assert plain.b64u(plain.sha256(claims["warrant"].encode())) == event["warrant"]
    assert (claims["rid"], claims["peer"], claims["aud"]) == (event["rid"], PROVIDER, REGULATOR)
    assert claims["ask"] == (None if claims["part"] == "ask" else event["box"])
    assert check_deposit(case["jws"]).box == box


def test_the_answer_holds_the_regulators_event_about_that_box():
    taken, refused = CASES["answers"]
    for case in CASES["answers"]:
        check_token(case, *TYPES["answers"])
        assert case["claims"]["req"] == FIRST["digest"]
    claims = taken["claims"]
    event = json.loads(claims["event"])
    assert plain.canonical(event) == claims["event"].encode()
    first = FIRST["claims"]
    box = plain.b64u(plain.sha256(plain.unb64u(first["box"])))
    digest = plain.b64u(plain.sha256(first["warrant"].encode()))
    said = (event["kind"], event["n"], event["rid"], event["box"], event["warrant"])
    assert said == ("sealed", 0, first["rid"], box, digest)
    promise = plain.verify(claims["receipt"], "log-receipt+jwt", node_public(REGULATOR))
    assert (promise["iss"], promise["aud"], promise["rid"]) == (REGULATOR, ASKER, first["rid"])
    assert plain.unb64u(promise["leaf"]) == plain.leaf_hash(claims["event"].encode())
    assert check_answer(taken["jws"]).receipt == claims["receipt"]
    with raises_code(AccessDenied, "warrant-used-up"):
        check_answer(refused["jws"])


def test_envelopes_of_both_directions_open_under_their_info_alone():
    sealed = seal_deposit(FIRST["jws"], public=world.REGULATOR_KEY.public, from_=ASKER, to=REGULATOR)
    infos = CASES["infos"]
    plaintext = plain.hpke_open(SEED, infos["deposit"].encode(), sealed.box)
    assert (plaintext.rstrip(b" ").decode(), len(plaintext) % 4_096) == (FIRST["jws"], 0)
    jws = CASES["answers"][0]["jws"]
    reply = bytes.fromhex(KEYS["exchange_keys"]["reply"]["seed"])
    padded = jws.encode().ljust(-(-len(jws) // 4_096) * 4_096)
    box = plain.hpke_seal(plain.exchange_public(reply), infos["deposited"].encode(), padded, bytes(range(32)))
    envelope = plain.canonical(
        {"box": plain.b64u(box), "from": REGULATOR, "kid": "reply", "to": ASKER, "v": 1}
    )
    parsed = parse_envelope(envelope, max_plaintext_bytes=1 << 17)
    req = plain.unb64u(FIRST["digest"])
    assert open_deposited(parsed, world.REPLY_KEY, req=req) == jws
    with raises_code(Verification, "box-open"):
        open_deposited(Envelope(PROVIDER, ASKER, "reply", box), world.REPLY_KEY, req=req)
    with raises_code(Verification, "box-kid"):
        open_deposited(Envelope(REGULATOR, ASKER, "0" * 16, box), world.REPLY_KEY, req=req)


@by_name(CASES["refused"])
def test_what_is_wrong_is_refused_by_its_code(case):
    kind, base = next((kind, one) for kind in TYPES for one in CASES[kind] if one["name"] == case["base"])
    typ, signer = TYPES[kind]
    token = plain.sign(node_seed(case.get("by", signer)), case.get("typ", typ), base["claims"] | case["set"])
    with pytest.raises(NodeError) as caught:
        (check_deposit if kind == "deposits" else check_answer)(token)
    assert caught.value.code == case["code"]
