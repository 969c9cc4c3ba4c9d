# SPDX-License-Identifier: Apache-2.0
"""Our profile against two readers and writers that are not ours: rfc8785 and the standard json module."""

from __future__ import annotations

import json
import string

import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from node.core.canonical import encode_json, parse_json, read_json
from node.core.encoding import MAX_SAFE_INTEGER
from node.errors import InvalidInput, NodeError

LIMIT = 10**6
UNICODE = st.text(st.characters(exclude_categories=["Cs"]))
NAMES = st.text(st.characters(max_codepoint=0x7F))
SCALARS = st.none() | st.booleans() | st.integers(-MAX_SAFE_INTEGER, MAX_SAFE_INTEGER) | UNICODE
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner) | st.dictionaries(NAMES, inner), max_leaves=30)


@given(VALUES)
def test_canonical_form_is_that_of_rfc_8785(value):
    data = encode_json(value)
    assert data == rfc8785.dumps(value)
    assert parse_json(data, max_bytes=LIMIT) == value


@given(VALUES, st.booleans())
def test_any_spelling_reads_as_the_same_value(value, ascii_only):
    text = json.dumps(value, ensure_ascii=ascii_only, indent=2)
    assert parse_json(text, max_bytes=LIMIT, max_depth=100) == value
    assert encode_json(parse_json(text, max_bytes=LIMIT, max_depth=100)) == rfc8785.dumps(value)


@given(VALUES)
def test_what_is_known_to_be_canonical_is_and_nothing_else(value):
    data = encode_json(value)
    assert read_json(data, max_bytes=LIMIT, max_depth=100) == (value, True)
    spaced = data + b" "
    assert read_json(spaced, max_bytes=LIMIT, max_depth=100) == (value, False)


@given(VALUES, st.data())
def test_a_canonical_text_with_one_character_changed_is_read_as_by_the_strict_grammar_alone(value, draw):
    text = encode_json(value).decode()
    at = draw.draw(st.integers(0, len(text) - 1))
    changed = text[:at] + draw.draw(st.sampled_from('0123456789-+.eE{}[],:" \\nau')) + text[at + 1 :]
    try:
        # A space in front keeps it from the quick way.
        want = parse_json(" " + changed, max_bytes=LIMIT, max_depth=100)
    except InvalidInput:
        want = InvalidInput
    try:
        found = parse_json(changed, max_bytes=LIMIT, max_depth=100)
    except InvalidInput:
        found = InvalidInput
    assert found == want


FOREIGN = st.recursive(
    SCALARS | st.floats() | st.integers() | st.text() | st.binary(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.integers(), inner),
    max_leaves=20,
)


@given(FOREIGN)
def test_every_value_is_encoded_as_by_rfc_8785_or_refused(value):
    try:
        data = encode_json(value)
    except InvalidInput:
        return
    assert data == rfc8785.dumps(value)


TOKENS = st.sampled_from(
    [
        "{",
        "}",
        "[",
        "]",
        ":",
        ",",
        '"',
        "\\",
        "\\u00e9",
        "\\ud83d",
        "\\ude00",
        "1",
        "-",
        "0",
        ".5",
        "e1",
        "true",
        "null",
        "NaN",
        " ",
        "a",
        "é",
    ]
)


def _reference(text):
    """The standard parser with the rules of the profile applied to its result."""

    def refuse(_):
        raise ValueError

    def members(pairs):
        if len(dict(pairs)) != len(pairs):
            raise ValueError
        return dict(pairs)

    def integer(digits):
        if digits == "-0" or abs(int(digits)) > MAX_SAFE_INTEGER:
            raise ValueError
        return int(digits)

    value = json.loads(
        text, parse_float=refuse, parse_constant=refuse, parse_int=integer, object_pairs_hook=members
    )
    json.dumps(value, ensure_ascii=False).encode()
    return value


@given(st.lists(TOKENS, max_size=30).map("".join) | st.text(string.printable) | st.text())
def test_reading_agrees_with_a_naive_reference(text):
    try:
        want = _reference(text)
        text.encode()
    except ValueError:
        want = NodeError
    try:
        got = parse_json(text, max_bytes=LIMIT)
    except NodeError:
        got = NodeError
    assert got == want


@given(st.binary(max_size=60) | st.text().map(lambda text: text.encode("utf-16")))
def test_any_bytes_are_read_or_refused_with_a_typed_error(data):
    try:
        value = parse_json(data, max_bytes=LIMIT)
    except NodeError:
        return
    assert json.loads(data.decode()) == value


@given(st.text(alphabet='[]{}"\\a:,', max_size=200), st.integers(1, 5))
def test_depth_is_that_of_a_naive_scan(text, max_depth):
    depth = deepest = 0
    inside = escaped = False
    for character in text:
        if inside:
            inside = escaped or character != '"'
            escaped = character == "\\" and not escaped
        elif character == '"':
            inside = True
        elif character in "[{":
            depth += 1
            deepest = max(deepest, depth)
        elif character in "]}":
            depth -= 1
    try:
        parse_json(text, max_bytes=LIMIT, max_depth=max_depth)
        code = None
    except NodeError as error:
        code = error.code
    assert (code == "json-depth") == (deepest > max_depth)
