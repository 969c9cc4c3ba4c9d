# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

from node.core.encoding import (
    MAX_SAFE_INTEGER,
    are_digests,
    encode_b64,
    encode_b64u,
    encode_hex,
    parse_b64,
    parse_b64u,
    parse_decimal,
    parse_hex,
)
from node.core.ids import parse_uuid7
from node.core.region import parse_region
from node.core.uscc import parse_organisation_code, parse_registration_number, parse_uscc
from node.crypto.note import parse_vkey
from node.crypto.secp256k1 import parse_address
from node.errors import InvalidInput
from tests.support.errors import raises_code


def test_encoders_write_the_published_forms():
    assert encode_b64(b"\xfb\xff\xfe") == "+//+"
    assert encode_b64(b"a") == "YQ=="
    assert encode_b64u(b"\xfb\xff\xfe") == "-__-"
    assert encode_b64u(b"a") == "YQ"
    assert encode_hex(b"\x0a\xff") == "0x0aff"


@pytest.mark.parametrize(
    "text",
    ["YQ", "YQ=", "YR==", "YQ==\n", " YQ==", "Y Q==", "-__-", "YQ==YQ==", "=", "A", "é", "YQ===", "ＹＱ=="],
)
def test_base64_has_one_spelling(text):
    with raises_code(InvalidInput, "base64"):
        parse_b64(text)


@pytest.mark.parametrize("text", ["YQ==", "YQ=", "YR", "YQ\n", "+//+", "A", "é", "Y.Q", "-__-="])
def test_base64url_has_one_spelling(text):
    with raises_code(InvalidInput, "base64url"):
        parse_b64u(text)


@pytest.mark.parametrize("parse", [parse_b64, parse_b64u])
def test_base64_length_is_enforced(parse):
    assert parse("YWJj", length=3) == b"abc"
    with raises_code(InvalidInput, "base64-length"):
        parse("YWJj", length=4)


@pytest.mark.parametrize(
    "text", ["", "+1", "-1", "-0", "1_0", " 7", "7 ", "7\n", "007", "00", "٣", "７", "1.0", "1e3", "0x1"]
)
def test_decimal_is_parsed_by_grammar(text):
    with raises_code(InvalidInput, "decimal"):
        parse_decimal(text)


def test_decimal_range():
    assert parse_decimal("0") == 0
    assert parse_decimal(str(MAX_SAFE_INTEGER)) == MAX_SAFE_INTEGER
    assert parse_decimal("18446744073709551615", maximum=2**64 - 1) == 2**64 - 1
    for text, maximum in (
        (str(2**53), MAX_SAFE_INTEGER),
        ("11", 10),
        ("9" * 5000, MAX_SAFE_INTEGER),
        ("1", 0),
    ):
        with raises_code(InvalidInput, "decimal-range"):
            parse_decimal(text, maximum=maximum)


@pytest.mark.parametrize("value", [None, 5, b"0", ["0"], True])
@pytest.mark.parametrize(
    ("parse", "code"),
    [
        (parse_b64, "base64"),
        (parse_b64u, "base64url"),
        (parse_decimal, "decimal"),
        (lambda value: parse_hex(value, length=1), "hex"),
        (parse_uuid7, "uuid7"),
        (parse_uscc, "uscc-form"),
        (parse_organisation_code, "organisation-code-form"),
        (parse_registration_number, "registration-number-form"),
        (parse_region, "region-form"),
        (parse_address, "address"),
        (parse_vkey, "vkey-form"),
    ],
)
def test_values_that_are_not_text_are_refused_with_a_typed_error(parse, code, value):
    with raises_code(InvalidInput, code):
        parse(value)


def test_hex_is_lower_case_with_prefix_at_full_length():
    assert parse_hex("0x0aff", length=2) == b"\x0a\xff"
    assert parse_hex("0x", length=0) == b""
    for text in ("0aff", "0X0aff", "0x0AFF", "0xaff", "0x0aff00", "0x0a f", "0x0af\n", "0x٣٣", ""):
        with raises_code(InvalidInput, "hex"):
            parse_hex(text, length=2)


def test_many_digests_are_judged_as_one_by_one():
    good = [encode_b64u(bytes([n]) * 32) for n in range(5)]
    assert not are_digests([])
    assert are_digests(good)
    for bad in ("", good[0][:-1], good[0][:-1] + "B", good[0] + ",", "=" * 43, "," * 43, None, 1, []):
        assert not are_digests([*good, bad])
    # One value that looks like two, and two that look like one.
    assert not are_digests([f"{good[0]},{good[1]}"])
    assert not are_digests([good[0] + "," + good[1][:10], good[1][10:]])
