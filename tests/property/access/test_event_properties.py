# SPDX-License-Identifier: Apache-2.0
"""Events under random values and random damage."""

from __future__ import annotations

import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from node.access.event import (
    SALTED_NAMES,
    build_event,
    build_openings,
    event_salts,
    parse_entry,
    parse_event,
    verify_openings,
)
from node.core.encoding import encode_b64u
from node.errors import InvalidInput, NodeError

words = st.text(st.characters(exclude_categories=("Cs",)), min_size=1, max_size=40)
digests = st.binary(min_size=32, max_size=32).map(encode_b64u)
values = st.fixed_dictionaries(
    {
        "peer": st.sampled_from([None, "91350100M000100Y43", "91440300708461136T"]),
        "subject": st.none()
        | st.fixed_dictionaries({"type": st.sampled_from(["uscc", "rid", "name"]), "id": words}),
        "officer": st.none()
        | st.fixed_dictionaries({"id": words, "idp": st.none() | words, "auth": st.none() | digests}),
        "purpose": st.none() | words,
        "basis": st.none() | words,
        "case": st.none() | words,
        "items": st.none()
        | st.lists(st.fixed_dictionaries({"vct": words, "fields": st.lists(words, max_size=3)}), max_size=3),
        "consent": st.none() | digests,
        "rule": st.none() | words,
        "released": st.none()
        | st.lists(st.tuples(digests, st.lists(digests, max_size=3)).map(list), max_size=3),
    }
)
secrets = st.binary(min_size=32, max_size=32)


def event_of(salted, secret, t_ms=1_790_000_000_000):
    return build_event("ask", t_ms, bytes(16), 1, None, salted, event_salts(secret))


@given(values, secrets, st.integers(0, 2**53 - 1))
def test_what_goes_in_comes_out_of_the_openings(salted, secret, t_ms):
    event = event_of(salted, secret, t_ms)
    parsed = parse_event(event.entry)
    assert parsed.t_ms == t_ms
    assert verify_openings(parsed, event.disclosures) == salted
    assert build_openings(salted, event_salts(secret)) == event.disclosures


@given(values, secrets, st.sets(st.sampled_from(SALTED_NAMES)))
def test_any_part_of_the_openings_opens_only_that_part(salted, secret, names):
    event = event_of(salted, secret)
    shown = [text for name, text in zip(SALTED_NAMES, event.disclosures, strict=True) if name in names]
    assert verify_openings(parse_event(event.entry), shown) == {name: salted[name] for name in names}


@given(values, secrets, st.integers(min_value=0), st.integers(1, 255))
def test_a_damaged_entry_is_refused_or_is_another_well_formed_event(salted, secret, place, flip):
    entry = bytearray(event_of(salted, secret).entry)
    entry[place % len(entry)] ^= flip
    try:
        parsed = parse_entry(bytes(entry))
    except InvalidInput:
        return
    # Another leaf hash: what matters is that these bytes are the one spelling of what was read.
    assert parsed != parse_event(event_of(salted, secret).entry)


@given(values, secrets, st.integers(0, 9), st.integers(min_value=0), st.integers(1, 127))
def test_a_damaged_opening_never_opens_anything(salted, secret, which, place, flip):
    event = event_of(salted, secret)
    text = bytearray(event.disclosures[which].encode())
    text[place % len(text)] ^= flip
    try:
        found = verify_openings(parse_event(event.entry), [text.decode("latin-1")])
    except NodeError:
        return
    raise AssertionError(found)


@given(
    st.recursive(
        st.none() | st.integers() | st.text(max_size=5),
        lambda x: st.lists(x) | st.dictionaries(st.text(max_size=4), x),
    )
)
def test_any_json_is_refused_with_our_own_error(value):
    try:
        data = rfc8785.dumps(value)
    except (rfc8785.CanonicalizationError, UnicodeEncodeError):
        return
    try:
        parse_entry(data)
    except InvalidInput:
        return
    raise AssertionError(value)
