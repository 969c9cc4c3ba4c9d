# SPDX-License-Identifier: Apache-2.0
"""Vectors of our own for protocol §6 to §8: the other half checks them, which shares nothing with what wrote them.

tests/vectors/write_exchange.py writes them from fixed secrets; tests/support/plain_exchange.py is written from the
protocol alone. Other implementers can take the files as they are (docs/protocol/exchange.md).
"""

from __future__ import annotations

import ast
import json
import sys
from pathlib import Path

import pytest

from node.access.answer import parse_answer, verify_answer
from node.access.box import MAX_REQUEST_BYTES, open_request, parse_envelope
from node.access.bulk import verify_line
from node.access.consent import verify_consent
from node.access.event import parse_event
from node.access.request import parse_request, verify_request
from node.access.warrant import verify_warrant
from node.crypto.hpke import ExchangeKey, seal
from node.errors import NodeError
from tests.support import one_exchange as world
from tests.support import plain_exchange as plain

HERE = Path(__file__).resolve().parent
FILES = {
    path.stem: json.loads(path.read_text(encoding="utf-8")) for path in (HERE / "exchange").glob("*.json")
}
KEYS = FILES["keys"]
ASKER, PROVIDER, REGULATOR = (KEYS["members"][role] for role in ("asker", "provider", "regulator"))


def cases(name):
    return pytest.mark.parametrize("case", FILES[name], ids=lambda case: case["name"])


def node_public(member):
    return plain.unb64u(KEYS["node_keys"][member]["node_public"])


def node_seed(member):
    return bytes.fromhex(KEYS["node_keys"][member]["node_seed"])


def check_token(case, typ, member):
    """The claims are those of the token, the signature holds, and its maker has no choice of a single byte."""
    assert plain.verify(case["jws"], typ, node_public(member)) == case["claims"]
    assert plain.sign(node_seed(member), typ, case["claims"]) == case["jws"]
    assert plain.b64u(plain.sha256(case["jws"].encode())) == case["digest"]


def test_the_checker_shares_nothing_with_the_writer():
    tree = ast.parse((HERE.parent / "support" / "plain_exchange.py").read_text(encoding="utf-8"))
    imported = {
        name.split(".")[0]
        for node in ast.walk(tree)
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module]
            if isinstance(node, ast.ImportFrom)
            else []
        )
    }
    assert imported <= {*sys.stdlib_module_names, "cryptography"}


def test_the_writer_writes_the_same_bytes_again():
    from tests.vectors.write_exchange import build

    written = build()
    assert written.keys() == {f"{name}.json" for name in FILES} - {"once.json"}
    for name, text in written.items():
        assert (HERE / "exchange" / name).read_text(encoding="utf-8") == text, name


def test_keys_are_named_by_their_digest():
    for member, key in KEYS["node_keys"].items():
        assert plain.kid(node_public(member)) == key["kid"]
    for key in KEYS["exchange_keys"].values():
        public = plain.exchange_public(bytes.fromhex(key["seed"]))
        assert (len(public), plain.b64u(public), plain.kid(public)) == (1216, key["public"], key["kid"])


@cases("events")
def test_events_follow_from_values_and_secret(case):
    secret = bytes.fromhex(case["secret"])
    assert plain.salts("ironcage/v1/salts", secret, 10) == case["salts"]
    entry, disclosures = plain.event(**case["members"], salted=case["salted"], secret=secret)
    assert (entry.decode(), disclosures) == (case["entry"], case["disclosures"])
    assert plain.b64u(plain.leaf_hash(entry)) == case["leaf"]
    assert plain.open_event(entry, disclosures) == case["salted"]


def test_there_is_an_event_of_each_kind():
    kinds = [
        "ask",
        "grant",
        "deny",
        "receive",
        "read",
        "export",
        "consent",
        "revoke",
        "erase",
        "audit",
        "sealed",
        "bulk",
    ]
    assert {case["members"]["kind"] for case in FILES["events"]} == set(kinds)
    assert [len(json.loads(case["entry"])["_sd"]) for case in FILES["events"]] == [10] * len(FILES["events"])


@cases("entries")
def test_heartbeats_and_padding_have_one_spelling(case):
    entry = case["entry"].encode()
    assert plain.canonical(json.loads(entry)) == entry
    assert plain.b64u(plain.leaf_hash(entry)) == case["leaf"]


@cases("receipts")
def test_receipts_promise_their_event(case):
    check_token(case, "log-receipt+jwt", ASKER)
    entry, claims = case["entry"].encode(), case["claims"]
    assert plain.unb64u(claims["leaf"]) == plain.leaf_hash(entry)
    assert claims["rid"] == json.loads(entry)["rid"]
    assert claims["anchor_by"] == claims["iat"] + KEYS["anchor_limit"]


@cases("consents")
def test_consents(case):
    check_token(case, "consent+jwt", REGULATOR)


@cases("warrants")
def test_warrants(case):
    check_token(case, "warrant+jwt", REGULATOR)


@cases("requests")
def test_requests_say_what_their_event_says(case):
    check_token(case, "exchange-request+jwt", ASKER)
    claims = case["claims"]
    event, values = plain.check_logged(
        claims["ask"], public=node_public(ASKER), iss=ASKER, aud=PROVIDER, log=case["log"]
    )
    assert (event["rid"], event["n"]) == (claims["rid"], 1)
    said = {name: claims[name] for name in ("subject", "purpose", "basis", "case", "items")}
    assert said.items() <= values.items()
    assert (values["peer"], values["released"]) == (PROVIDER, None)
    consent = claims["consent"]
    assert values["consent"] == (consent and plain.b64u(plain.sha256(consent.encode())))
    if claims["sealed"] is None:
        assert event["kind"] == "ask"
    else:
        assert (event["kind"], event["warrant"]) == (
            "sealed",
            plain.b64u(plain.sha256(claims["sealed"].encode())),
        )
    assert claims["reply"] == KEYS["exchange_keys"]["reply"]["public"]
    assert claims["checkpoint"].split("\n")[0] == case["log"]
    for shown in claims["received"]:
        event, values = plain.check_logged(
            shown, public=node_public(ASKER), iss=ASKER, aud=PROVIDER, log=case["log"]
        )
        assert (event["kind"], values["peer"]) == ("receive", PROVIDER)


@cases("answers")
def test_answers_disclose_what_their_event_says(case):
    check_token(case, "exchange-answer+jwt", PROVIDER)
    claims = case["claims"]
    asked = next(each for each in FILES["requests"] if each["name"] == case["request"])
    event, values = plain.check_logged(
        claims["grant"], public=node_public(PROVIDER), iss=PROVIDER, aud=ASKER, log=case["log"]
    )
    assert (claims["req"], event["req"], event["rid"]) == (
        asked["digest"],
        asked["digest"],
        asked["claims"]["rid"],
    )
    assert event["kind"] == ("deny" if claims["result"] == "deny" else "grant")
    released = None if claims["result"] == "deny" else plain.released_of(claims["records"])
    assert (values["released"], values["peer"]) == (released, ASKER)
    assert claims["found"] == len(claims["records"]) + claims["withheld"]
    assert (claims["code"] is None) == (claims["result"] in {"ok", "none"})
    assert claims["as_of"].split("\n")[0].split("/")[1:3] == [PROVIDER, "records"]


def test_bulk_lines_lead_to_the_root_of_their_event():
    bulk = FILES["bulk"]
    lines = bulk["lines"]
    salts = plain.salts("ironcage/v1/lines", bytes.fromhex(bulk["secret"]), bulk["n"])
    assert [line["salt"] for line in lines] == salts
    assert [line["text"] for line in lines] == [
        plain.disclosure(line["salt"], "line", line["value"]) for line in lines
    ]
    leaves = [plain.leaf_hash(line["text"].encode()) for line in lines]
    assert [plain.unb64u(line["leaf"]) for line in lines] == leaves
    assert plain.unb64u(bulk["set"]) == plain.tree_root(leaves)
    for k, line in enumerate(lines):
        assert [plain.unb64u(node) for node in line["path"]] == plain.tree_path(leaves, k)
    event = json.loads(bulk["entry"])
    assert (event["set"], event["n"], event["kind"]) == (bulk["set"], len(lines), "bulk")


@cases("boxes")
def test_boxes_open_under_their_key(case):
    """HPKE by hand: RFC 9180's key schedule over the X-Wing combiner."""
    envelope = json.loads(case["envelope"])
    assert plain.canonical(envelope) == case["envelope"].encode()
    assert set(envelope) == {"v", "from", "to", "kid", "box"}
    seed = bytes.fromhex(KEYS["exchange_keys"][case["key"]]["seed"])
    plaintext = plain.hpke_open(seed, case["info"].encode(), plain.unb64u(envelope["box"]))
    assert len(plaintext) % 4096 == 0
    assert plaintext.rstrip(b" ").decode() == case["jws"]
    assert len(plaintext) - len(case["jws"]) < 4096
    sender, receiver, last = case["info"].split("\n")[1:4]
    assert (sender, receiver) == (envelope["from"], envelope["to"])
    if case["name"] == "request":
        assert last == envelope["kid"] == KEYS["exchange_keys"]["exchange"]["kid"]
    else:
        assert (envelope["kid"], last) == ("reply", FILES["requests"][0]["digest"])


def test_the_box_of_a_sealed_event_holds_its_openings():
    sealed = FILES["sealed"]
    box, event = plain.unb64u(sealed["box"]), json.loads(sealed["entry"])
    assert event["box"] == plain.b64u(plain.sha256(box))
    seed = bytes.fromhex(KEYS["exchange_keys"][sealed["key"]]["seed"])
    plaintext = plain.hpke_open(seed, sealed["info"].encode(), box)
    openings = json.loads(plain.unb64u(plaintext.decode().rstrip(" ")))
    assert plain.canonical(openings) == plain.unb64u(plaintext.decode().rstrip(" "))
    assert openings == sealed["openings"]
    assert tuple(plain.open_event(sealed["entry"].encode(), openings)) == plain.NAMES
    assert len(plaintext) % 4096 == 0
    assert (
        sealed["info"]
        == f"ironcage/v1/sealed\n{ASKER}\n{REGULATOR}\n{KEYS['exchange_keys']['regulator']['kid']}\n"
    )


def test_what_one_half_seals_the_other_opens():
    seed, info = world.secret_of("reply key"), b"info\n"
    public = plain.exchange_public(seed)
    assert plain.hpke_open(seed, info, seal(public, info, b"a secret")) == b"a secret"
    assert (
        ExchangeKey(seed).open(info, plain.hpke_seal(public, info, b"another", bytes(range(32))))
        == b"another"
    )


def edit(edits):
    """Take a good message and do to it what the vector says."""
    file, of = edits["base"].split("/")
    good = next(each for each in FILES[file] if each["name"] == of)
    if edits["format"] == "envelope":
        envelope = json.loads(good["envelope"]) | edits.get("set", {})
        box = bytearray(plain.unb64u(envelope["box"]))[: edits.get("box_cut")]
        if "flip" in edits:
            box[edits["flip"]] ^= 1
        return plain.canonical({**envelope, "box": plain.b64u(box)}).decode()
    text = good["jws"]
    if "alter" in edits:
        at = edits["alter"]
        return text[:at] + ("A" if text[at] != "A" else "B") + text[at + 1 :]
    if "cut" in edits:
        return text[: edits["cut"]]
    claims = {**good["claims"], **edits.get("set", {})}
    claims = {key: value for key, value in claims.items() if key not in edits.get("remove", ())}
    header = json.loads(plain.unb64u(text.split(".")[0]))
    signer = next(member for member, key in KEYS["node_keys"].items() if key["kid"] == header["kid"])
    return plain.sign(node_seed(edits.get("signed_by", signer)), edits.get("typ", header["typ"]), claims)


ALLOWED = {"subject": world.ABOUT, "items": world.ITEMS, "purpose": world.WHY["purpose"]}
CHECKS = {
    "request": lambda text: verify_request(
        text,
        public=node_public(ASKER),
        from_=ASKER,
        to=PROVIDER,
        log=world.LOGS[ASKER],
        now_seconds=world.NOW + 5,
        anchor_limit_seconds=world.LIMIT,
    ),
    "answer": lambda text: verify_answer(
        text,
        request=parse_request(FILES["requests"][0]["jws"]),
        find_key=lambda _kid: node_public(PROVIDER),
        log=world.LOGS[PROVIDER],
        now_seconds=world.NOW + 5,
        anchor_limit_seconds=world.LIMIT,
    ),
    "consent": lambda text: verify_consent(
        text,
        find_key=lambda _kid, _member: node_public(REGULATOR),
        aud=PROVIDER,
        asker=ASKER,
        now_seconds=world.NOW,
        **ALLOWED,
    ),
    "warrant": lambda text: verify_warrant(
        text,
        find_key=lambda _kid, _member: node_public(REGULATOR),
        asker=ASKER,
        open_by=world.UNTIL,
        now_seconds=world.NOW,
    ),
    "line": lambda text: verify_line(
        parse_event(FILES["bulk"]["entry"].encode()),
        text,
        1,
        [plain.unb64u(node) for node in FILES["bulk"]["lines"][1]["path"]],
    ),
    "envelope": lambda text: open_request(
        parse_envelope(text.encode(), max_plaintext_bytes=MAX_REQUEST_BYTES), world.PROVIDER_KEY
    ),
}


def test_what_is_right_is_accepted():
    """The same checks that refuse below."""
    assert CHECKS["request"](FILES["requests"][0]["jws"]).rid == world.RID
    assert CHECKS["request"](FILES["requests"][1]["jws"]).consent == FILES["consents"][0]["jws"]
    assert CHECKS["request"](FILES["requests"][2]["jws"]).sealed == FILES["warrants"][0]["jws"]
    assert len(CHECKS["request"](FILES["requests"][3]["jws"]).received) == 2
    for case in FILES["answers"]:
        assert CHECKS["answer"](case["jws"]) == parse_answer(case["jws"])
    assert CHECKS["consent"](FILES["consents"][0]["jws"]).uses == 3
    assert CHECKS["warrant"](FILES["warrants"][0]["jws"]).looks == 20
    assert CHECKS["line"](FILES["bulk"]["lines"][1]["text"]).released == []
    assert CHECKS["envelope"](FILES["boxes"][0]["envelope"]) == FILES["requests"][0]["jws"]


@pytest.mark.parametrize("case", FILES["refused"], ids=lambda case: f"{case['format']}: {case['name']}")
def test_what_is_wrong_is_refused_by_its_code(case):
    data = case["input"] if "input" in case else edit(case)
    with pytest.raises(NodeError) as caught:
        CHECKS[case["format"]](data)
    assert caught.value.code == case["code"]
