# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import contextlib
import string
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.core.encoding import (
    encode_b64,
    encode_b64u,
    encode_hex,
    parse_b64,
    parse_b64u,
    parse_decimal,
    parse_hex,
)
from node.core.ids import build_uuid7_many, parse_uuid7
from node.errors import InvalidInput


@given(st.binary())
def test_round_trips(data):
    assert parse_b64(encode_b64(data), length=len(data)) == data
    assert parse_b64u(encode_b64u(data), length=len(data)) == data
    assert parse_hex(encode_hex(data), length=len(data)) == data


@pytest.mark.parametrize(
    ("parse", "encode"),
    [
        (parse_b64, encode_b64),
        (parse_b64u, encode_b64u),
        (lambda text: parse_hex(text, length=2), encode_hex),
        (parse_decimal, str),
    ],
)
@given(
    text=st.text(string.ascii_letters + string.digits + "+/=-_ \n", max_size=9)
    | st.text(max_size=9)
    | st.text("0123456789abcdefx", min_size=6, max_size=6)
)
def test_whatever_is_read_is_written_the_same(parse, encode, text):
    with contextlib.suppress(InvalidInput):
        assert encode(parse(text)) == text


@given(st.integers(0, 2**64), st.integers(0, 2**64))
def test_decimals_up_to_a_bound(number, maximum):
    if number <= maximum:
        assert parse_decimal(str(number), maximum=maximum) == number
    else:
        with pytest.raises(InvalidInput):
            parse_decimal(str(number), maximum=maximum)


@given(st.integers(0, 2**48 - 1), st.binary(min_size=30, max_size=30))
def test_uuid7_holds_its_time_and_randomness(now_ms, random):
    for text in build_uuid7_many(now_ms, 3, lambda _n: random):
        value = uuid.UUID(text)
        assert (value.version, value.variant, value.bytes) == (7, uuid.RFC_4122, parse_uuid7(text))
        assert value.int >> 80 == now_ms
