# SPDX-License-Identifier: Apache-2.0
"""Check digits: every single wrong character and (where the scheme promises it) every swap is found."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.core.docnumber import normalise_document_number
from node.core.region import parse_region, region_name
from node.core.uscc import (
    contains_resident_id,
    fold_identifier,
    parse_organisation_code,
    parse_registration_number,
    parse_uscc,
)
from node.errors import InvalidInput

ALPHABET = "0123456789ABCDEFGHJKLMNPQRTUWXY"
DIGITS = "0123456789"


def _organisation_code(body):
    total = sum(
        weight * int(character, 36) for weight, character in zip((3, 7, 9, 10, 5, 8, 4, 2), body, strict=True)
    )
    return body + "0123456789X0"[11 - total % 11]


def _uscc(head, region, body):
    seventeen = head + region + _organisation_code(body)
    total = sum(pow(3, i) * ALPHABET.index(character) for i, character in enumerate(seventeen))
    return seventeen + ALPHABET[(31 - total % 31) % 31]


USCC = st.builds(
    _uscc,
    st.text(ALPHABET, min_size=2, max_size=2),
    st.text(DIGITS, min_size=6, max_size=6),
    st.text(ALPHABET, min_size=8, max_size=8),
)


@given(USCC)
def test_codes_with_both_check_characters_are_accepted(code):
    assert parse_uscc(code) == code
    assert parse_organisation_code(code[8:17]) == code[8:17]
    full_width = "".join(chr(ord(character) + 0xFEE0) for character in code)
    assert fold_identifier(f"\u3000{full_width.lower()} ") == code


@given(USCC, st.integers(0, 17), st.sampled_from(ALPHABET))
def test_one_wrong_character_is_found(code, place, character):
    if code[place] != character:
        with pytest.raises(InvalidInput):
            parse_uscc(code[:place] + character + code[place + 1 :])


@given(USCC, st.integers(0, 16))
def test_two_swapped_characters_are_found(code, place):
    if code[place] != code[place + 1]:
        with pytest.raises(InvalidInput):
            parse_uscc(code[:place] + code[place + 1] + code[place] + code[place + 2 :])


@given(st.text(DIGITS, min_size=14, max_size=14), st.integers(0, 14), st.sampled_from(DIGITS))
def test_each_registration_number_has_one_check_digit(body, place, digit):
    accepted = []
    for check in DIGITS:
        with contextlib.suppress(InvalidInput):
            accepted.append(parse_registration_number(body + check))
    (number,) = accepted
    if number[place] != digit:
        with pytest.raises(InvalidInput):
            parse_registration_number(number[:place] + digit + number[place + 1 :])


@given(
    st.text(DIGITS, min_size=6, max_size=6),
    st.dates(),
    st.integers(0, 999),
    st.text(max_size=5),
    st.text(max_size=5),
)
def test_resident_ids_are_found_wherever_they_stand(region, birth, serial, before, after):
    body = f"{region}{birth:%Y%m%d}{serial:03d}".rjust(17, "0")
    check = "10X98765432"[sum(pow(2, 17 - i) * int(digit) for i, digit in enumerate(body)) % 11]
    plausible = region[0] in "12345678" and 1800 <= birth.year < 2100
    assert contains_resident_id(body + check) is plausible or region[0] == "9"
    if plausible:
        assert contains_resident_id(f"{before} {body}{check} {after}")
        wrong = "10X98765432".replace(check, "")
        assert not any(contains_resident_id(body + other) for other in wrong)


@given(st.text())
def test_no_text_breaks_a_parser(text):
    for parse in (parse_uscc, parse_organisation_code, parse_registration_number, parse_region):
        with contextlib.suppress(InvalidInput):
            parse(text)
    assert contains_resident_id(text) in {True, False}
    assert region_name(text) is None or len(text) == 6


@given(st.text("甲罚字号第（）()[]【】〔〕 \u30002012３４ab"))
def test_normalising_twice_changes_nothing(text):
    once = normalise_document_number(text)
    assert normalise_document_number(once) == once
