# SPDX-License-Identifier: Apache-2.0
"""Access events: bytes, members by kind, openings."""

from __future__ import annotations

import json
from hashlib import sha256, shake_256

import pytest
import rfc8785

from node.access.event import (
    KINDS,
    SALTED_NAMES,
    Heartbeat,
    Pad,
    ParsedEvent,
    build_event,
    build_heartbeat,
    build_openings,
    build_pad,
    check_said,
    event_salts,
    parse_entry,
    parse_event,
    verify_openings,
)
from node.access.opening import parse_opening
from node.core.encoding import encode_b64u, parse_b64u
from node.errors import InvalidInput, Verification

SECRET = bytes(range(32))
RID = bytes(range(16))
DIGEST = encode_b64u(sha256(b"x").digest())
USCC = "91350100M000100Y43"
LOOK = {
    "peer": None,
    "subject": {"type": "uscc", "id": USCC},
    "officer": {"id": "li.si", "idp": None, "auth": None},
    "purpose": "own-records",
    "basis": None,
    "case": "〔2026〕12号",
    "items": [{"vct": "urn:ironcage:a:penalty:2018", "fields": ["CF_WSH"]}],
    "consent": None,
    "rule": "own-department",
    "released": [[DIGEST, [DIGEST]]],
}
EXTRA = {
    "grant": {"req": bytes(32)},
    "deny": {"req": bytes(32)},
    "receive": {"req": bytes(32)},
    "bulk": {"set_root": bytes(32)},
    "sealed": {"box": bytes(32), "open_by": 1_800_000_000, "warrant": bytes(32)},
}


def build(kind="read", salted=LOOK, secret=SECRET, **extra):
    extra = {**EXTRA.get(kind, {}), **extra}
    req = extra.pop("req", None)
    return build_event(kind, 1_790_000_000_123, RID, 1, req, salted, event_salts(secret), **extra)


def changed(entry, **members):
    value = json.loads(entry) | members
    return rfc8785.dumps({name: member for name, member in value.items() if member is not ...})


def code_of(entry):
    with pytest.raises(InvalidInput) as caught:
        parse_entry(entry)
    return caught.value.code


def test_the_entry_holds_what_the_protocol_names_and_nothing_else():
    entry = build().entry
    value = json.loads(entry)
    assert entry == rfc8785.dumps(value)
    assert value.keys() == {"_sd", "kind", "n", "rid", "t", "v"}
    assert (value["kind"], value["n"], value["t"], value["v"]) == ("read", 1, 1_790_000_000_123, 1)
    assert value["rid"] == encode_b64u(RID)
    assert value["_sd"] == sorted(value["_sd"])
    assert len(set(value["_sd"])) == 10


def test_openings_are_rfc_9901_disclosures_salted_from_the_secret():
    event = build()
    raw = shake_256(b"ironcage/v1/salts\x00" + SECRET).digest(180)
    for k, (name, text) in enumerate(zip(SALTED_NAMES, event.disclosures, strict=True)):
        salt = encode_b64u(raw[18 * k : 18 * k + 18])
        assert parse_b64u(text) == rfc8785.dumps([salt, name, LOOK[name]])
        assert encode_b64u(sha256(text.encode()).digest()) in json.loads(event.entry)["_sd"]


def test_openings_are_made_again_byte_for_byte_from_secret_and_values():
    assert build_openings(LOOK, event_salts(SECRET)) == build().disclosures


def test_absent_values_have_a_digest_too_so_that_all_events_look_alike():
    nothing = dict.fromkeys(SALTED_NAMES)
    entry = build("consent", nothing).entry
    assert len(json.loads(entry)["_sd"]) == 10
    assert len(entry) == len(build("export", LOOK).entry) + len("consent") - len("export")


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_is_built_and_parsed(kind):
    event = parse_event(build(kind).entry)
    assert isinstance(event, ParsedEvent)
    assert (event.kind, event.n, event.t_ms, event.rid) == (kind, 1, 1_790_000_000_123, RID)
    assert (event.req is not None) == (kind in {"grant", "deny", "receive"})
    assert (event.set_root is not None) == (kind == "bulk")
    assert (event.box is not None, event.open_by, event.warrant is not None) == (
        (True, 1_800_000_000, True) if kind == "sealed" else (False, None, False)
    )


OPTIONAL = {"req": bytes(32), "set_root": bytes(32), "box": bytes(32), "open_by": 5, "warrant": bytes(32)}


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        (kind, name)
        for kind in KINDS
        for name in OPTIONAL
        if name not in EXTRA.get(kind, {}) and (kind, name) != ("bulk", "req")
    ],
)
def test_members_of_another_kind_are_refused(kind, name):
    extra = {name: OPTIONAL[name]}
    with pytest.raises(InvalidInput) as caught:
        build(kind, **extra)
    assert caught.value.code == "json-member-unknown"


def test_the_bulk_event_of_a_provider_names_the_request_and_that_of_an_asker_has_none():
    assert parse_event(build("bulk").entry).req is None
    assert parse_event(build("bulk", req=bytes(31) + b"q").entry).req == bytes(31) + b"q"


@pytest.mark.parametrize(("kind", "name"), [(kind, name) for kind, extra in EXTRA.items() for name in extra])
def test_members_that_a_kind_needs_must_be_there(kind, name):
    with pytest.raises(InvalidInput) as caught:
        build(kind, **{name: None})
    assert caught.value.code == "json-member-missing"


@pytest.mark.parametrize("kind", ["read", "export"])
@pytest.mark.parametrize("name", ["officer", "purpose", "items", "rule", "released"])
def test_a_local_look_says_who_why_and_what(kind, name):
    check_said(kind, dict.fromkeys(SALTED_NAMES) | LOOK)
    with pytest.raises(InvalidInput) as caught:
        check_said(kind, dict.fromkeys(SALTED_NAMES) | LOOK | {name: None})
    assert caught.value.code == "event-look"


def test_a_local_look_has_no_peer():
    with pytest.raises(InvalidInput) as caught:
        check_said("read", dict.fromkeys(SALTED_NAMES) | LOOK | {"peer": USCC})
    assert caught.value.code == "event-look"


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"v": 2}, "event-version"),
        ({"v": True}, "event-version"),
        ({"kind": "peek"}, "event-kind"),
        ({"kind": 1}, "event-kind"),
        ({"kind": ...}, "event-kind"),
        ({"n": -1}, "json-range"),
        ({"n": "1"}, "json-range"),
        ({"t": True}, "json-range"),
        ({"rid": encode_b64u(bytes(15))}, "base64-length"),
        ({"rid": "=="}, "base64url"),
        ({"more": 1}, "json-member-unknown"),
        ({"t": ...}, "json-member-missing"),
        ({"_sd": []}, "event-digests"),
        ({"_sd": [DIGEST] * 10}, "event-digests"),
        ({"_sd": "x"}, "json-list"),
        ({"_sd": ["AA"] * 10}, "base64-length"),
    ],
)
def test_malformed_events_are_refused_by_code(change, code):
    assert code_of(changed(build().entry, **change)) == code


def test_digests_must_be_sorted():
    digests = json.loads(build().entry)["_sd"]
    assert code_of(changed(build().entry, _sd=digests[::-1])) == "event-digests"
    assert code_of(changed(build().entry, _sd=digests[:9])) == "event-digests"


@pytest.mark.parametrize(
    "spelling", [lambda e: b" " + e, lambda e: e.replace(b":", b": ", 1), lambda e: e + b"\n"]
)
def test_a_second_spelling_of_an_entry_is_refused(spelling):
    assert code_of(spelling(build().entry)) == "event-canonical"


def test_an_entry_that_is_no_object_is_refused():
    assert code_of(b"[]") == "event-canonical"


def test_heartbeats():
    entry = build_heartbeat(1_790_000_000_123, rejects=3, unwraps=None)
    assert entry == b'{"kind":"heartbeat","rejects":3,"t":1790000000123,"unwraps":null,"v":1}'
    assert parse_entry(entry) == Heartbeat(1_790_000_000_123, 3, None)
    assert parse_entry(build_heartbeat(1, rejects=0, unwraps=7)) == Heartbeat(1, 0, 7)
    assert code_of(changed(entry, unwraps="7")) == "json-range"
    assert code_of(changed(entry, rejects=...)) == "json-member-missing"
    with pytest.raises(InvalidInput):
        build_heartbeat(1, rejects=-1, unwraps=None)


def test_pads():
    entry = build_pad(RID)
    assert entry == b'{"kind":"pad","v":1,"x":"AAECAwQFBgcICQoLDA0ODw"}'
    assert parse_entry(entry) == Pad(RID)
    with pytest.raises(InvalidInput):
        build_pad(bytes(15))


def test_parse_event_wants_an_event():
    with pytest.raises(InvalidInput) as caught:
        parse_event(build_pad(RID))
    assert caught.value.code == "event-kind"


def test_openings_verify_and_return_values_by_name():
    event = build()
    parsed = parse_event(event.entry)
    assert verify_openings(parsed, event.disclosures) == LOOK
    assert verify_openings(parsed, []) == {}
    assert verify_openings(parsed, event.disclosures[2:4]) == {
        "officer": LOOK["officer"],
        "purpose": "own-records",
    }


def test_an_opening_of_another_event_is_refused():
    other = build(secret=bytes(32))
    with pytest.raises(Verification) as caught:
        verify_openings(parse_event(build().entry), other.disclosures[:1])
    assert caught.value.code == "opening-digest"


def test_an_opening_given_twice_is_refused():
    event = build()
    with pytest.raises(Verification) as caught:
        verify_openings(parse_event(event.entry), [event.disclosures[0]] * 2)
    assert caught.value.code == "opening-twice"


def test_a_name_opened_with_two_values_is_refused():
    # A dishonest node may hide two digests of one name among the ten.
    first, second = build(), build(salted=LOOK | {"case": "other"}, secret=bytes(32))
    digests = [
        encode_b64u(sha256(text.encode()).digest()) for text in (first.disclosures[5], second.disclosures[5])
    ]
    keep = [d for d in json.loads(first.entry)["_sd"] if d not in digests][:8]
    forged = parse_event(changed(first.entry, _sd=sorted([*keep, *digests])))
    with pytest.raises(Verification) as caught:
        verify_openings(forged, [first.disclosures[5], second.disclosures[5]])
    assert caught.value.code == "opening-twice"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("peer", "91350100M000100Y44"),
        ("peer", 5),
        ("subject", {"type": "uscc"}),
        ("subject", {"type": "passport", "id": "E1"}),
        ("subject", {"type": "name", "id": ""}),
        ("officer", {"id": "a", "idp": None}),
        ("officer", {"id": "a", "idp": None, "auth": "short"}),
        ("officer", "a"),
        ("purpose", ""),
        ("purpose", 5),
        ("basis", "x" * 1025),
        ("case", ["x"]),
        ("items", {}),
        ("items", [{"vct": "v"}]),
        ("items", [{"vct": "v", "fields": [1]}]),
        ("consent", "x"),
        ("rule", ""),
        ("released", [[DIGEST]]),
        ("released", [[DIGEST, [DIGEST, "x"]]]),
        ("released", [[DIGEST, DIGEST]]),
        ("released", [["x", []]]),
    ],
)
def test_values_have_the_shape_of_their_name(name, value):
    with pytest.raises(InvalidInput):
        build("ask", LOOK | {name: value})


@pytest.mark.parametrize("salted", [{}, LOOK | {"more": 1}, {n: v for n, v in LOOK.items() if n != "rule"}])
def test_exactly_the_ten_names_are_salted(salted):
    with pytest.raises(InvalidInput) as caught:
        build("ask", salted)
    assert caught.value.code == "event-names"


@pytest.mark.parametrize(
    ("array", "code"),
    [
        (["AAAAAAAAAAAAAAAAAAAAAAAA", "case"], "opening-shape"),
        (["AAAAAAAAAAAAAAAAAAAAAAAA", "case", "x", 1], "opening-shape"),
        (["short", "case", "x"], "opening-shape"),
        ([1, "case", "x"], "opening-shape"),
        (["AAAAAAAAAAAAAAAAAAAAAAAA", "colour", "x"], "opening-name"),
        (["AAAAAAAAAAAAAAAAAAAAAAAA", 1, "x"], "opening-name"),
        ({"case": "x"}, "opening-shape"),
    ],
)
def test_malformed_openings_are_refused_by_code(array, code):
    with pytest.raises(InvalidInput) as caught:
        parse_opening(encode_b64u(rfc8785.dumps(array)))
    assert caught.value.code == code


def test_an_opening_has_one_spelling():
    text = encode_b64u(b'["AAAAAAAAAAAAAAAAAAAAAAAA", "case", "x"]')
    with pytest.raises(InvalidInput) as caught:
        parse_opening(text)
    assert caught.value.code == "opening-shape"


def test_the_secret_has_32_bytes():
    with pytest.raises(InvalidInput) as caught:
        event_salts(bytes(31))
    assert caught.value.code == "event-secret"
