# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

from node.core.uscc import (
    PLACEHOLDER_USCC,
    contains_resident_id,
    fold_identifier,
    parse_organisation_code,
    parse_registration_number,
    parse_uscc,
)
from node.errors import InvalidInput
from tests.support.errors import raises_code

VALID = [
    "91520100MA00000156",
    "91320100MA0000023K",
    "91310000MA00000315",
    "51330100500000015N",
    "11520100000000019P",
    "N2520115MF0000013H",
]


@pytest.mark.parametrize("code", VALID)
def test_valid_codes_of_every_kind(code):
    assert parse_uscc(code) == code
    assert parse_organisation_code(code[8:17]) == code[8:17]


@pytest.mark.parametrize("code", ["91520100MA00000X0K", "11520100000000A01N"])
def test_inner_organisation_code_is_checked(code):
    with raises_code(InvalidInput, "uscc-organisation-code"):
        parse_uscc(code)


@pytest.mark.parametrize(
    "code", ["91520100MA00000155", "91520100MA00000165", "19520100MA00000156", "91520010MA00000156"]
)
def test_outer_check_digit(code):
    with raises_code(InvalidInput, "uscc-check-digit"):
        parse_uscc(code)


@pytest.mark.parametrize(
    "code",
    [
        "",
        "91520100MA0000015",
        "91520100MA000001566",
        "91520100ma00000156",
        "l1520100000000019P",
        "91520100MA0000015O",
        "915201A0MA00000156",
        "９１５２０１００MA00000156",
        " 91520100MA00000156",
        "91520100MA00000156\n",
        "91520100MA0000015只",
    ],
)
def test_form_is_strict_and_folds_nothing(code):
    with raises_code(InvalidInput, "uscc-form"):
        parse_uscc(code)


def test_placeholder_is_told_from_a_bad_code():
    with raises_code(InvalidInput, "uscc-placeholder"):
        parse_uscc(PLACEHOLDER_USCC)


def test_messages_say_the_class_of_value_and_not_the_value():
    with raises_code(InvalidInput, "uscc-form") as caught:
        parse_uscc("张三110101199003070aA")
    assert "19 characters (digits, capitals, small letters, other characters)" in caught.value.message
    assert "110101" not in caught.value.message
    with raises_code(InvalidInput, "uscc-form") as caught:
        parse_uscc("")
    assert "0 characters (none)" in caught.value.message


def test_typed_identifiers_are_folded():
    assert fold_identifier("\ufeff　９１５２０１００ma０００００１５６\u200b \t") == "91520100MA00000156"
    assert parse_uscc(fold_identifier(" 91520100ma00000156\n")) == "91520100MA00000156"
    assert fold_identifier("一 二") == "一 二"


def test_organisation_codes():
    assert parse_organisation_code("MA000001-5") == "MA0000015"
    assert parse_organisation_code("000000019") == "000000019"
    assert parse_organisation_code("D2143569-X") == "D2143569X"
    with raises_code(InvalidInput, "organisation-code-check-digit"):
        parse_organisation_code("MA000001-6")
    for text in ("", "MA00001-5", "MA000001--5", "ma0000015", "MA000001A", "MA0000015\n"):
        with raises_code(InvalidInput, "organisation-code-form"):
            parse_organisation_code(text)


def test_registration_numbers():
    assert parse_registration_number("110108000000016") == "110108000000016"
    for digit in "012345789":
        with raises_code(InvalidInput, "registration-number-check-digit"):
            parse_registration_number("11010800000001" + digit)
    for text in ("", "11010800000001", "1101080000000166", "11010800000001X", "１10108000000016"):
        with raises_code(InvalidInput, "registration-number-form"):
            parse_registration_number(text)


@pytest.mark.parametrize(
    "text",
    [
        "11010519491231002X",  # the examples printed in GB 11643
        "440524188001010014",
        "11010519491231002x",
        "当事人张某（身份证号：11010519491231002X）",
        "１１０１０５１９４９１２３１００２Ｘ",
        "110105 1949 1231 002X",
        "110105-19491231-002X",
        "A11010519491231002X。",
    ],
)
def test_resident_ids_are_found(text):
    assert contains_resident_id(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "110105194912310021",  # check digit
        "11010519491331002X",  # month
        "11010517491231002X",  # century
        "1110105194912310021",  # 19 digits
        "01010519491231002X",
        "某罚〔2023〕第1号",
        *VALID,
    ],
)
def test_other_numbers_are_not(text):
    assert not contains_resident_id(text)


def _with_resident_check(seventeen):
    total = sum(pow(2, 17 - i, 11) * int(digit) for i, digit in enumerate(seventeen))
    return seventeen + "10X98765432"[total % 11]


def test_a_foreign_residents_id_is_found_unless_it_is_a_credit_code():
    both, only = [], []
    for serial in range(1000):
        number = _with_resident_check(f"91330119900101{serial:03d}")
        try:
            parse_uscc(number)
            both.append(number)
        except InvalidInput:
            only.append(number)
    assert both
    assert not any(map(contains_resident_id, both))
    assert all(map(contains_resident_id, only))
