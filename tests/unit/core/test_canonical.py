# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import contextlib
import enum
import inspect
import sys
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime

import pytest

from node.core.canonical import check_members, encode_json, parse_json
from node.core.encoding import MAX_SAFE_INTEGER
from node.errors import InvalidInput, NodeError
from tests.support.errors import raises_code


class Colour(enum.StrEnum):
    RED = "red"


class Text(str):
    __slots__ = ()


@dataclass
class Point:
    x: int


def _parse(data, **arguments):
    return parse_json(data, **{"max_bytes": 100_000, **arguments})


def test_members_are_sorted_and_nothing_is_escaped_without_need():
    value = {"b": [1, True, None, (-5,)], "a": {}, "A": '\x00\b\t\n\f\r\x1f"\\/\x7f é😀 '}
    want = '{"A":"\\u0000\\b\\t\\n\\f\\r\\u001f\\"\\\\/\x7f é😀 ","a":{},"b":[1,true,null,[-5]]}'
    assert encode_json(value) == want.encode()


@pytest.mark.parametrize(
    "value",
    [
        1.0,
        float("nan"),
        b"x",
        {1},
        Colour.RED,
        Text("x"),
        Point(1),
        uuid.UUID(int=1),
        datetime(2026, 1, 1, tzinfo=UTC),
        [{"a": (1, 2.5)}],
        object(),
    ],
)
def test_values_outside_the_profile_have_no_form(value):
    with raises_code(InvalidInput, "json-value"):
        encode_json(value)


@pytest.mark.parametrize("name", ["é", "\ud800", 1, None, b"a", Text("a"), True])
def test_member_names_are_ascii_text(name):
    with raises_code(InvalidInput, "json-name"):
        encode_json({"a": [{name: 1}]})


def test_integers_are_bounded_both_ways():
    assert encode_json([MAX_SAFE_INTEGER, -MAX_SAFE_INTEGER]) == b"[9007199254740991,-9007199254740991]"
    for number in (MAX_SAFE_INTEGER + 1, -MAX_SAFE_INTEGER - 1, 2**63, 10**400):
        with raises_code(InvalidInput, "json-integer"):
            encode_json(number)


@pytest.mark.parametrize("text", ["\ud800", "a\udfff", "\udc00\ud800"])
def test_lone_surrogates_have_no_form(text):
    with raises_code(InvalidInput, "json-surrogate"):
        encode_json([text])


def test_depth_of_values_is_bounded():
    value = None
    for _ in range(64):
        value = [value]
    assert len(encode_json(value)) == 2 * 64 + 4
    with raises_code(InvalidInput, "json-depth"):
        encode_json([value])
    circle = []
    circle.append(circle)
    with raises_code(InvalidInput, "json-depth"):
        encode_json(circle)


def test_ordinary_json_is_read():
    text = ' {"a" : [1, -2, 0, true, false, null, "\\u00e9\\ud83d\\ude00\\/", {}], "é": ""}\r\n\t'
    want = {"a": [1, -2, 0, True, False, None, "é😀/", {}], "é": ""}
    assert _parse(text) == want
    assert _parse(text.encode()) == want
    assert _parse("7") == 7


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b" ",
        b"{",
        b'{"a":1,}',
        b"[1,]",
        b"[1 2]",
        b"{'a':1}",
        b"{a:1}",
        b"1 2",
        b"01",
        b"+1",
        b".5",
        b"nul",
        b"True",
        b'"a\nb"',
        b'"\\x41"',
        b'"\\u12"',
        b'"\\u00 1"',
        b'"abc',
        b'"abc\\',
        b"[" * 5,
        b"]",
        b"// c\n1",
        b"\x0c1",
        "\u00a01".encode(),
        "٣".encode(),
        b"-",
        b"\x00",
    ],
)
def test_malformed_json_is_refused(data):
    with raises_code(InvalidInput, "json-syntax"):
        _parse(data)


@pytest.mark.parametrize(
    "data", [b"1.0", b"1e3", b"1E+2", b"-0.0", b"NaN", b"Infinity", b"-Infinity", b'{"a":[1.5]}']
)
def test_numbers_other_than_integers_are_refused(data):
    with raises_code(InvalidInput, "json-number"):
        _parse(data)


@pytest.mark.parametrize(
    "data", [b"9007199254740992", b"-9007199254740992", b"-0", b"[" + b"9" * 5000 + b"]"]
)
def test_integers_out_of_range_are_refused(data):
    with raises_code(InvalidInput, "json-integer"):
        _parse(data)
    assert _parse(b"[9007199254740991,-9007199254740991]") == [MAX_SAFE_INTEGER, -MAX_SAFE_INTEGER]


@pytest.mark.parametrize("data", [b'{"a":1,"a":1}', b'[{"b":{"a":1,"\\u0061":2}}]', b'{"":1,"x":0,"":2}'])
def test_duplicate_members_are_refused(data):
    with raises_code(InvalidInput, "json-duplicate"):
        _parse(data)


@pytest.mark.parametrize("data", [b'"\\ud800"', b'{"\\udc00":1}', b'["\\ude00\\ud83d"]', b'"\\uD83d "'])
def test_escaped_lone_surrogates_are_refused(data):
    with raises_code(InvalidInput, "json-surrogate"):
        _parse(data)


@pytest.mark.parametrize(
    "data",
    [
        b'"\xff"',
        b'"\xc0\x80"',
        b'"\xed\xa0\x80"',
        b"\xef\xbb\xbf1",
        "1".encode("utf-16"),
        '"\ud800"',
        "\ufeff1",
    ],
)
def test_other_encodings_are_refused(data):
    with raises_code(InvalidInput, "json-encoding"):
        _parse(data)


def test_size_counts_bytes_of_utf8():
    assert _parse('"é"', max_bytes=4) == "é"
    for data in ('"é"', '"é"'.encode(), b"1234"):
        with raises_code(InvalidInput, "json-size"):
            _parse(data, max_bytes=3)


@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ('{"a":', "}")])
def test_depth_is_bounded(opening, closing):
    assert _parse(opening * 32 + "1" + closing * 32) is not None
    for text in (opening * 33 + "1" + closing * 33, opening * 100_000, opening * 33):
        with raises_code(InvalidInput, "json-depth"):
            parse_json(text, max_bytes=10**6)
    assert _parse(opening + "1" + closing, max_depth=1) is not None
    with raises_code(InvalidInput, "json-depth"):
        _parse("[" + opening + "1" + closing + "]", max_depth=1)


def test_brackets_side_by_side_or_in_text_are_no_depth():
    assert _parse("[" + "[]," * 100 + "[]]") == [[] for _ in range(101)]
    text = "[" * 50 + '\\"{' * 50
    assert _parse(f'["{text}"]') == [text.replace('\\"', '"')]
    with raises_code(InvalidInput, "json-syntax"):
        _parse('["' + "[" * 50 + "\\")


def _outcome_at(frames):
    if frames:
        return _outcome_at(frames - 1)
    try:
        _parse('{"a":' * 30 + "1" + "}" * 30)
    except NodeError as error:
        return error.code
    return "read"


def test_a_stack_that_ends_inside_the_parser_is_a_typed_error():
    outcomes = set()
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(len(inspect.stack()) + 100)
    try:
        for frames in range(100):
            # Past the end of the stack Python cannot call the parser at all.
            with contextlib.suppress(RecursionError):
                outcomes.add(_outcome_at(frames))
    finally:
        sys.setrecursionlimit(limit)
    assert outcomes == {"read", "json-depth"}


def test_members_are_exactly_those_of_the_format():
    value = {"a": 1, "b": 2}
    assert check_members(value, "thing", required=("a",), optional=("b", "c")) == value
    with raises_code(InvalidInput, "json-member-missing") as caught:
        check_members(value, "thing", required=("a", "z"), optional=("b",))
    assert caught.value.message == "thing lacks members: want z"
    with raises_code(InvalidInput, "json-member-unknown") as caught:
        check_members({"a": 1, "110101199003070000": 2}, "thing", required=("a",))
    assert "110101" not in caught.value.message
    for other in ([], "a", None, 1):
        with raises_code(InvalidInput, "json-object"):
            check_members(other, "thing", required=())
