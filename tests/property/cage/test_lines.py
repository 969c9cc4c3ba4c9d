# SPDX-License-Identifier: Apache-2.0
"""The quick reader takes what the strict one takes, says the same, and refuses what the strict one refuses."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from node.access.event import (
    KINDS,
    SALTED_NAMES,
    Heartbeat,
    Pad,
    ParsedEvent,
    build_event,
    build_heartbeat,
    build_pad,
    event_salts,
    parse_entry,
    parse_event,
    verify_openings,
)
from node.cage.lines import parse_line, to_line
from node.cage.opened import NO_MARK, read_openings
from node.core.encoding import encode_b64u
from node.errors import InvalidInput, Verification

BYTES_32 = st.binary(min_size=32, max_size=32)
INTEGERS = st.integers(0, 2**53 - 1)


@st.composite
def events(draw):
    kind = draw(st.sampled_from(KINDS))
    more = {}
    if kind == "sealed":
        more = {"box": draw(BYTES_32), "open_by": draw(INTEGERS), "warrant": draw(BYTES_32)}
    if kind == "bulk":
        more = {"set_root": draw(BYTES_32)}
    salted = dict.fromkeys(SALTED_NAMES) | {
        "peer": draw(st.sampled_from([None, "91350100M000100Y43"])),
        "subject": draw(st.sampled_from([None, {"type": "name", "id": "张三"}])),
        "officer": draw(st.sampled_from([None, {"id": "li", "idp": None, "auth": None}])),
        "rule": draw(st.sampled_from([None, 'a "rule", of, ours'])),
        "case": draw(st.none() | st.text("案件-0123456789 ", min_size=1, max_size=40)),
        "released": draw(st.sampled_from([None, [], [["A" * 43, ["B" * 42 + "A"]]]])),
    }
    req = draw(BYTES_32) if kind in {"grant", "deny", "receive"} else None
    rid = draw(st.binary(min_size=16, max_size=16))
    return build_event(
        kind, draw(INTEGERS), rid, draw(INTEGERS), req, salted, event_salts(draw(BYTES_32)), **more
    ), salted


def strictly(entry):
    try:
        parsed = parse_entry(entry)
    except InvalidInput as error:
        return error.code
    return to_line(parsed) if isinstance(parsed, ParsedEvent) else parsed


def quickly(entry):
    try:
        return parse_line(entry)
    except InvalidInput as error:
        return error.code


@given(events())
@settings(max_examples=60, deadline=None)
def test_events(made):
    event, _ = made
    assert quickly(event.entry) == strictly(event.entry)
    assert quickly(event.entry).kind in KINDS


def test_what_is_no_event():
    assert isinstance(quickly(build_heartbeat(5, rejects=0, unwraps=None)), Heartbeat)
    assert isinstance(quickly(build_pad(bytes(16))), Pad)


@given(events(), st.data())
@settings(max_examples=150, deadline=None)
def test_any_change_of_a_byte_is_judged_alike(made, data):
    entry = bytearray(made[0].entry)
    at = data.draw(st.integers(0, len(entry) - 1))
    how = data.draw(st.sampled_from(["set", "cut", "put"]))
    byte = data.draw(st.sampled_from(b'AZaz09+/-_=" ,:{}[]\\.e\x00\x7f\xff'))
    if how == "set":
        entry[at] = byte
    elif how == "cut":
        del entry[at]
    else:
        entry.insert(at, byte)
    assert quickly(bytes(entry)) == strictly(bytes(entry))


@pytest.mark.parametrize(
    ("pattern", "put"),
    [
        (rb'"n":[0-9]+', b'"n":9007199254740992'),
        (rb'"n":[0-9]+', b'"n":01'),
        (rb'"n":[0-9]+', b'"n":1.0'),
        (rb'"n":[0-9]+', b'"n":true'),
        (rb'"t":[0-9]+', b'"t":9999999999999999'),
        (rb'"kind":"[a-z]+"', b'"kind":"look"'),
        (rb'"kind":"[a-z]+"', b'"kind":"grant"'),
        (rb'"v":1', b'"v":2'),
        (rb'("[A-Za-z0-9_-]{43}"),("[A-Za-z0-9_-]{43}")', rb"\2,\1"),
        (rb'("[A-Za-z0-9_-]{43}"),("[A-Za-z0-9_-]{43}")', rb"\1,\1"),
    ],
)
def test_what_the_grammar_would_let_through(pattern, put):
    event = build_event("ask", 5, bytes(16), 1, None, dict.fromkeys(SALTED_NAMES), event_salts(bytes(32)))
    changed = re.sub(pattern, put, event.entry, count=1)
    assert changed != event.entry
    assert isinstance(strictly(changed), str)
    assert quickly(changed) == strictly(changed)


@given(events())
@settings(max_examples=60, deadline=None)
def test_openings_say_what_the_strict_reader_reads(made):
    event, salted = made
    values = verify_openings(parse_event(event.entry), event.disclosures)
    assert values == salted
    opened = read_openings(parse_line(event.entry).digests, event.disclosures)
    assert opened.peer == (salted["peer"] or "")
    assert (opened.released == NO_MARK) == (salted["released"] is None)
    assert [mark == NO_MARK for mark in opened.marks] == [
        salted[name] is None for name in ("subject", "purpose", "basis", "case", "items", "consent")
    ]
    assert opened.attested is (None if salted["officer"] is None else False)
    assert opened.complete
    again = read_openings(parse_line(event.entry).digests, event.disclosures[:9])
    assert not again.complete


@given(events(), st.data())
@settings(max_examples=40, deadline=None)
def test_openings_that_are_not_of_the_event(made, data):
    event, _ = made
    digests = parse_line(event.entry).digests
    at = data.draw(st.integers(0, 9))
    texts = list(event.disclosures)
    texts[at] += data.draw(st.sampled_from(["A", "=", " ", "é", "\ud800", encode_b64u(b"[]")]))
    with pytest.raises((InvalidInput, Verification)):
        read_openings(digests, texts)
    with pytest.raises(Verification, match="twice"):
        read_openings(digests, [event.disclosures[at]] * 2)
