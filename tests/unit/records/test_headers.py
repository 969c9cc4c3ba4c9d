# SPDX-License-Identifier: Apache-2.0
"""Header rows of real files, mapped to fields."""

import pytest

from node.errors import InvalidInput
from node.records.headers import find_header, fold_header, map_headers
from tests.support.errors import raises_code
from tests.support.rows import PENALTY, PERMIT

NAMES = [field.zh for field in PENALTY.fields]
CODES = list(PENALTY.field_codes)


def test_names_and_codes_map_in_any_order():
    assert map_headers(PENALTY, NAMES).positions == tuple(range(30))
    assert map_headers(PENALTY, CODES[::-1]).positions == tuple(range(29, -1, -1))


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("行政相对人代码_1(统一社会信用代码)", "行政相对人代码1（统一社会信用代码）*"),
        ("罚款金额(万元)", " 罚款金额 （万元） "),
        ("CF_XDR_MC", "ｃｆ_xdr_mc"),
        ("没收违法所得、没收非法财物的金额(万元)", "没收违法所得没收非法财物的金额【万元】"),
        ("处罚机关", "处罚\n机关："),
    ],
)
def test_spelling_does_not_count(first, second):
    assert fold_header(first) == fold_header(second) != ""


@pytest.mark.parametrize("cell", [None, 12, 1.5, "", "（）", "x" * 101])
def test_what_is_no_name(cell):
    assert fold_header(cell) == ""


@pytest.mark.parametrize(
    ("alias", "code"),
    [
        ("CF_FDDB", "CF_FRDB"),
        ("CF_FR", "CF_FRDB"),
        ("CF_FR_SFZH", "CF_FR_ZJHM"),
        ("CF_CFWSH", "CF_WSH"),
        ("CF_XDR_GSDJ", "CF_XDR_GSZC"),
        ("CF_XDR_ZDM", "CF_XDR_ZZJG"),
        ("CF_JG", "CF_NR"),
        ("CF_XZJG", "CF_CFJG"),
        ("处罚事由", "CF_SY"),
        ("居民身份证号", "CF_XDR_ZJHM"),
    ],
)
def test_known_deviations_of_penalties(alias, code):
    header = [alias if name == code else name for name in CODES]
    assert map_headers(PENALTY, header).positions == tuple(range(30))


@pytest.mark.parametrize(
    ("alias", "code"),
    [
        ("XK_XDR", "XK_XDR_MC"),
        ("XK_XMMC", "XK_XKWS"),
        ("行政许可决定书文号", "XK_WSH"),
        ("XK_SPLB", "XK_XKLB"),
    ],
)
def test_known_deviations_of_permits(alias, code):
    header = [alias if name == code else name for name in PERMIT.field_codes]
    assert map_headers(PERMIT, header).positions == tuple(range(28))


def test_unknown_columns_are_reported_and_serial_numbers_are_not():
    found = map_headers(PENALTY, ["序号", *CODES, "录入人员", None, ""])
    assert found.positions == tuple(range(1, 31))
    assert found.width == 32
    assert found.unnamed == ()
    assert [(warning.column, warning.header, warning.rule) for warning in found.warnings] == [
        (32, "录入人员", "column-unknown")
    ]


def test_an_own_name_wins_over_an_alias():
    found = map_headers(PENALTY, ["CF_CFWS", *CODES])
    assert found.positions == tuple(range(1, 31))
    assert [(warning.column, warning.rule) for warning in found.warnings] == [(1, "column-second-name")]


def test_unnamed_columns_inside_are_remembered():
    found = map_headers(PENALTY, [*CODES[:3], None, *CODES[3:], "备注2"])
    assert found.unnamed == (3,)


def test_one_field_twice_is_refused_with_both_columns():
    with raises_code(InvalidInput, "header-duplicate") as caught:
        map_headers(PENALTY, [*CODES, "行政处罚决定书文号"])
    assert "CF_WSH in columns 14 and 31" in caught.value.message
    header = ["CF_CFWS" if code == "CF_WSH" else code for code in CODES]
    with raises_code(InvalidInput, "header-duplicate"):
        map_headers(PENALTY, [*header, "CF_CFWSH"])


def test_a_header_of_one_name_a_thousand_times_is_refused_in_one_line():
    with raises_code(InvalidInput, "header-duplicate") as caught:
        map_headers(PENALTY, [*CODES, *["文书号"] * 900, *CODES])
    assert caught.value.message.endswith("; and others")
    assert len(caught.value.message) < 500


@pytest.mark.parametrize(
    ("more", "named"),
    [
        (1, "31 and 32"),
        (2, "31 and 32 and 33"),
        (3, "31 and 32 and 33 and 34"),
        (900, "33 and 34 and others"),
    ],
)
def test_each_of_a_few_columns_for_one_thing_is_named(more, named):
    with raises_code(InvalidInput, "header-duplicate") as caught:
        map_headers(PENALTY, [*CODES, "使用范围", *["CF_SYFW"] * more])
    assert caught.value.message.endswith(named)


def test_missing_mandatory_columns_are_all_named():
    with raises_code(InvalidInput, "header-missing") as caught:
        map_headers(PENALTY, [code for code in CODES if code not in {"CF_SY", "CF_JDRQ", "BZ"}])
    assert caught.value.message.endswith("want CF_SY 违法事实, CF_JDRQ 处罚决定日期")


def test_optional_columns_may_be_missing():
    header = [field.code for field in PENALTY.fields if field.required]
    positions = map_headers(PENALTY, header).positions
    assert [place for place in positions if place is not None] == list(range(len(header)))


def test_a_column_may_narrow_the_disclosure_class():
    assert map_headers(PENALTY, [*CODES, "信息使用范围"]).class_position == 30
    with raises_code(InvalidInput, "header-duplicate"):
        map_headers(PENALTY, [*CODES, "信息使用范围", "CF_SYFW"])


def test_the_header_stands_below_titles():
    assert find_header(PENALTY, [["行政处罚信息表"], [], ["填报单位：", None], NAMES, ["x"]]) == (3, 4)


def test_codes_under_names_belong_to_the_header():
    assert find_header(PENALTY, [NAMES, CODES, ["x"]]) == (0, 2)


def test_half_of_the_mandatory_columns_make_a_header():
    mandatory = [field.code for field in PENALTY.fields if field.required]
    half = (len(mandatory) + 1) // 2
    assert find_header(PENALTY, [mandatory[:half]]) == (0, 1)
    with raises_code(InvalidInput, "header-not-found") as caught:
        find_header(PENALTY, [["x"], mandatory[: half - 1]])
    assert f"the best names {half - 1} of {len(mandatory)}" in caught.value.message


def test_a_header_below_the_tenth_row_is_not_looked_for():
    assert find_header(PENALTY, [["x"]] * 9 + [NAMES]).header == 9
    with raises_code(InvalidInput, "header-not-found"):
        find_header(PENALTY, [["x"]] * 10 + [NAMES])
    with raises_code(InvalidInput, "header-not-found"):
        find_header(PENALTY, [])
