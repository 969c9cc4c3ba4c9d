# SPDX-License-Identifier: Apache-2.0
"""Rows: what is accepted and how it is written then, and every rule that refuses one."""

import json
from pathlib import Path

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.records.catalogue import load_item
from node.records.headers import map_headers
from node.records.rows import RowValidator, ValidRow
from node.records.rules import RULES, Refusal, render_refusal
from tests.support.rows import (
    COMPANY,
    ISSUER,
    PENALTY,
    PENALTY_ROW,
    PERMIT,
    PERMIT_ROW,
    PERSON,
    RESIDENT_ID,
    TODAY,
    build_row,
    build_validator,
    values_of,
)

CHECK = build_validator().check
CHECK_PERMIT = build_validator(PERMIT).check


def test_a_clean_penalty_keeps_its_values():
    result = CHECK(build_row(), 2)
    assert isinstance(result, ValidRow)
    assert values_of(result) == PENALTY_ROW
    assert (result.subject_type, result.subject_id) == ("uscc", COMPANY)
    assert (result.disclosure, result.numbered) == ("open", True)


def test_a_clean_permit_keeps_its_values():
    assert values_of(CHECK_PERMIT(build_row(item=PERMIT), 2), PERMIT) == PERMIT_ROW


@pytest.mark.parametrize(
    ("code", "cell", "value"),
    [
        ("CF_XDR_SHXYM", "９１５２０１００ＭＡ０００００１５６", COMPANY),
        ("CF_XDR_SHXYM", f" {COMPANY.lower()}\t", COMPANY),
        ("CF_XDR_LB", "02", "法人及非法人组织"),
        ("CF_XDR_LB", 2, "法人及非法人组织"),
        ("CF_XDR_LB", 3.0, "法人及非法人组织"),
        ("CF_XDR_LB", "企业 法人", "法人及非法人组织"),
        ("CF_XDR_GSZC", 110108000000016.0, "110108000000016"),
        ("CF_XDR_GSZC", "企合浙绍总字第000123号", "企合浙绍总字第000123号"),
        ("CF_XDR_ZZJG", "00000001-9", "000000019"),
        ("CF_FR_ZJLX", "01", "身份证"),
        ("CF_CFLB", "罚款、警告，通报批评", "罚款;警告;通报批评"),
        ("CF_CFLB", "罚款；罚款；其他－吊扣、降级", "罚款;其他-吊扣、降级"),
        ("CF_NR_FK", "1,234.50", "1234.5"),
        ("CF_NR_FK", "０．５万元", "0.5"),
        ("CF_NR_FK", 0.1 + 0.2, "0.3"),
        ("CF_NR_FK", 12, "12"),
        ("CF_NR_FK", 0, "0"),
        ("CF_NR_FK", "007.", "7"),
        ("CF_NR_FK", ".25", "0.25"),
        ("CF_NR_FK", "123456789012.123456", "123456789012.123456"),
        ("CF_JDRQ", "2026/3/2", "2026-03-02"),
        ("CF_JDRQ", "2026.03.02", "2026-03-02"),
        ("CF_JDRQ", "2026年3月2日", "2026-03-02"),
        ("CF_JDRQ", "2026 年 3 月 2 日", "2026-03-02"),
        ("CF_JDRQ", "２０２６－０３－０２", "2026-03-02"),
        ("CF_JDRQ", "20260302", "2026-03-02"),
        ("CF_JDRQ", 20260302, "2026-03-02"),
        ("CF_JDRQ", 46083, "2026-03-02"),
        ("CF_JDRQ", 46083.75, "2026-03-02"),
        ("CF_JDRQ", "46083", "2026-03-02"),
        ("CF_JDRQ", "2026-03-02 00:00:00", "2026-03-02"),
        ("CF_JDRQ", "2026-03-02T09:30:00.000", "2026-03-02"),
        ("CF_YXQ", "长期", "2099-12-31"),
        ("CF_YXQ", "2099/12/31", "2099-12-31"),
        ("CF_SY", "第一行\r\n第二行", "第一行\n第二行"),
        ("CF_SY", "e\u0301tage", "\u00e9tage"),
        ("CF_XDR_MC", "　\ufeff云州恒泰（集团）有限公司\u200b ", "云州恒泰（集团）有限公司"),
        ("CF_XDR_MC", "云州恒泰\n有限公司", "云州恒泰 有限公司"),
        ("CF_WSH", "云市监罚［2026］12号", "云市监罚［2026］12号"),
        ("BZ", 12.5, "12.5"),
        ("BZ", 10, "10"),
        ("BZ", "无", None),
        ("BZ", " / ", None),
    ],
)
def test_values_are_normalised(code, cell, value):
    result = CHECK(build_row({code: cell}), 2)
    assert isinstance(result, ValidRow), result
    assert values_of(result).get(code) == value


CASES = [
    # rows as a whole
    ({"CF_XDR_MC": ""}, "field-required", "CF_XDR_MC", "empty"),
    ({"CF_XDR_MC": "/"}, "field-required", "CF_XDR_MC", "1 characters: other characters"),
    ({"CF_XDR_MC": "云" * 201}, "text-too-long", "CF_XDR_MC", "201 characters: Chinese characters"),
    ({"CF_SY": "一\x07二"}, "text-control-character", "CF_SY", None),
    ({"CF_SY": "一\u202e二"}, "text-control-character", "CF_SY", None),
    ({"CF_SY": "一\ufffd二"}, "text-replacement-character", "CF_SY", None),
    ({"CF_SY": f"证件{RESIDENT_ID}号"}, "resident-id-misplaced", "CF_SY", None),
    ({"BZ": "１９９９９９１９０００１０１００１６"}, "resident-id-misplaced", "BZ", "18 characters: digits"),
    ({"CF_WSH": "199999-19000101-0016"}, "resident-id-misplaced", "CF_WSH", None),
    ({"CF_WSH": "199999\uff0d19000101\uff0d0016"}, "resident-id-misplaced", "CF_WSH", None),
    ({"CF_SY": "证件199999\u300019000101\u30000016号"}, "resident-id-misplaced", "CF_SY", None),
    ({"CF_CFLB": f"其他-{RESIDENT_ID}", "CF_NR_FK": ""}, "resident-id-misplaced", "CF_CFLB", None),
    ({"CF_XDR_SHZZ": RESIDENT_ID}, "resident-id-misplaced", "CF_XDR_SHZZ", "18 characters: digits"),
    # codes
    ({"CF_XDR_SHXYM": ""}, "field-required", "CF_XDR_SHXYM", "empty"),
    ({"CF_XDR_SHXYM": COMPANY[:17]}, "uscc-form", "CF_XDR_SHXYM", "17 characters: digits and letters"),
    ({"CF_XDR_SHXYM": COMPANY[:17] + "7"}, "uscc-check-digit", "CF_XDR_SHXYM", None),
    ({"CF_XDR_SHXYM": "91520100MA00000X0K"}, "uscc-organisation-code", "CF_XDR_SHXYM", None),
    ({"CF_XDR_SHXYM": "91520100MAOOOOOI56"}, "uscc-look-alike", "CF_XDR_SHXYM", None),
    ({"CF_XDR_SHXYM": "9152O100MA00000l56"}, "uscc-look-alike", "CF_XDR_SHXYM", None),
    ({"CF_XDR_SHXYM": "9.15E+17"}, "number-precision-lost", "CF_XDR_SHXYM", None),
    ({"CF_XDR_SHXYM": 1.1520100000000002e17}, "number-precision-lost", "CF_XDR_SHXYM", "number"),
    ({"CF_CFJGDM": "00000000000000000X"}, "uscc-placeholder", "CF_CFJGDM", None),
    ({"CF_SJLYDM": COMPANY}, "agency-code", "CF_SJLYDM", "18 characters: digits and letters"),
    ({"CF_CFJGDM": ISSUER[:17] + "A"}, "uscc-check-digit", "CF_CFJGDM", None),
    ({"CF_XDR_ZZJG": "1234567"}, "organisation-code-form", "CF_XDR_ZZJG", "7 characters: digits"),
    ({"CF_XDR_ZZJG": "000000018"}, "organisation-code-check-digit", "CF_XDR_ZZJG", None),
    ({"CF_XDR_GSZC": "110108000000017"}, "registration-number-check-digit", "CF_XDR_GSZC", None),
    ({"CF_FR_ZJLX": "身份证", "CF_FR_ZJHM": "199999190001010019"}, "resident-id", "CF_FR_ZJHM", None),
    ({"CF_XDR_SWDJ": "1" * 16}, "text-too-long", "CF_XDR_SWDJ", "16 characters: digits"),
    # dates
    ({"CF_JDRQ": "2/3/2026"}, "date-format", "CF_JDRQ", None),
    ({"CF_JDRQ": "2026-3/2"}, "date-format", "CF_JDRQ", None),
    ({"CF_JDRQ": "2026-03-02 25:00"}, "date-format", "CF_JDRQ", None),
    ({"CF_JDRQ": "长期"}, "date-format", "CF_JDRQ", "2 characters: Chinese characters"),
    ({"CF_JDRQ": "2026-02-30"}, "date-range", "CF_JDRQ", "date-like"),
    ({"CF_JDRQ": "1900-01-01"}, "date-range", "CF_JDRQ", "date-like"),
    ({"CF_JDRQ": 12}, "date-range", "CF_JDRQ", "number"),
    ({"CF_JDRQ": -1.5}, "date-range", "CF_JDRQ", "number"),
    ({"CF_JDRQ": "2026-06-02"}, "date-in-future", "CF_JDRQ", "date-like"),
    ({"CF_YXQ": "2026-03-01"}, "date-order", "CF_YXQ", "date-like"),
    ({"CF_GSJZQ": "2026-03-01"}, "date-order", "CF_GSJZQ", "date-like"),
    # amounts
    ({"CF_NR_FK": ""}, "field-required", "CF_NR_FK", "empty"),
    ({"CF_NR_FK": "约5"}, "decimal-format", "CF_NR_FK", None),
    ({"CF_NR_FK": "1,23"}, "decimal-format", "CF_NR_FK", None),
    ({"CF_NR_FK": "."}, "decimal-format", "CF_NR_FK", None),
    ({"CF_NR_FK": "-5"}, "decimal-negative", "CF_NR_FK", None),
    ({"CF_NR_FK": -0.5}, "decimal-negative", "CF_NR_FK", "number"),
    ({"CF_NR_FK": "5000元"}, "decimal-unit", "CF_NR_FK", None),
    ({"CF_NR_FK": "0.1234567"}, "decimal-digits", "CF_NR_FK", None),
    ({"CF_NR_FK": "1234567890123"}, "decimal-digits", "CF_NR_FK", "13 characters: digits"),
    ({"CF_CFLB": "没收违法所得", "CF_NR_FK": ""}, "field-required", "CF_NR_WFFF", "empty"),
    ({"CF_CFLB": "警告;吊销许可证", "CF_NR_FK": ""}, "field-required", "CF_NR_ZKDX", "empty"),
    # enumerations
    ({"CF_XDR_LB": "集体"}, "enum-value", "CF_XDR_LB", "2 characters: Chinese characters"),
    ({"CF_CFLB": "罚款;批评教育"}, "enum-value", "CF_CFLB", None),
    ({"CF_CFLB": ";;"}, "enum-value", "CF_CFLB", None),
    ({"CF_CFLB": "其他-"}, "enum-other-unnamed", "CF_CFLB", None),
    # persons
    (PERSON | {"CF_XDR_SHXYM": COMPANY}, "field-must-be-blank", "CF_XDR_SHXYM", None),
    (PERSON | {"CF_FRDB": "赵样本"}, "field-must-be-blank", "CF_FRDB", "3 characters: Chinese characters"),
    (PERSON | {"CF_XDR_ZJHM": ""}, "field-required", "CF_XDR_ZJHM", "empty"),
    (PERSON | {"CF_XDR_ZJHM": "199999190001010019"}, "resident-id", "CF_XDR_ZJHM", "18 characters: digits"),
]


@pytest.mark.parametrize(("changes", "rule", "column", "value_class"), CASES)
def test_a_bad_row_is_refused_by_one_rule(changes, rule, column, value_class):
    result = CHECK(build_row(changes), 17)
    assert isinstance(result, list)
    assert [(refusal.row, refusal.rule, refusal.column) for refusal in result] == [(17, rule, column)]
    assert value_class is None or result[0].value_class == value_class
    for language in ("zh", "en"):
        text = render_refusal(result[0], language)
        assert not [
            cell for cell in changes.values() if isinstance(cell, str) and len(cell) > 3 and cell in text
        ]


@pytest.mark.parametrize(
    ("changes", "rule", "column"),
    [
        ({"XK_YXQZI": "2026-03-01"}, "date-order", "XK_YXQZI"),
        ({"XK_ZT": "3"}, "enum-value", "XK_ZT"),
        ({"XK_XKLB": "其他-"}, "enum-other-unnamed", "XK_XKLB"),
        ({"XK_JDRQ": "2026-07-01"}, "date-in-future", "XK_JDRQ"),
        ({"XK_XKWS": "云" * 65}, "text-too-long", "XK_XKWS"),
    ],
)
def test_bad_permits(changes, rule, column):
    result = CHECK_PERMIT(build_row(changes, PERMIT), 2)
    assert [(refusal.rule, refusal.column) for refusal in result] == [(rule, column)]


@pytest.mark.parametrize(
    ("cell", "value"), [("06", "其他"), ("其他", "其他"), ("其他—补办", "其他-补办"), (5, "登记")]
)
def test_kinds_of_permit(cell, value):
    assert values_of(CHECK_PERMIT(build_row({"XK_XKLB": cell}, PERMIT), 2), PERMIT)["XK_XKLB"] == value


def test_every_fault_of_a_row_is_named():
    result = CHECK(build_row({"CF_XDR_SHXYM": "x", "CF_JDRQ": "yesterday", "CF_SY": ""}), 3)
    assert result == [
        Refusal(3, "CF_XDR_SHXYM", "uscc-form", "1 characters: letters"),
        Refusal(3, "CF_SY", "field-required", "empty"),
        Refusal(3, "CF_JDRQ", "date-format", "9 characters: letters"),
    ]


def test_the_readers_own_findings_are_passed_on():
    assert CHECK("row-quote", 9) == [Refusal(9, None, "row-quote", "")]


# --- the shape of rows


def test_a_short_row_is_refused_unless_only_optional_columns_lack():
    full = build_row()
    assert isinstance(CHECK(full[:29], 2), ValidRow)
    assert [refusal.rule for refusal in CHECK(full[:28], 2)] == ["row-too-few-cells"]


def test_cells_beyond_the_columns_must_be_empty():
    assert isinstance(CHECK([*build_row(), "", None, " "], 2), ValidRow)
    assert [refusal.rule for refusal in CHECK([*build_row(), "x"], 2)] == ["cell-without-column"]
    assert [refusal.rule for refusal in CHECK([*build_row(), 0], 2)] == ["cell-without-column"]


def test_cells_under_no_name_must_be_empty():
    codes = list(PENALTY.field_codes)
    check = build_validator(header=[None, *codes]).check
    assert isinstance(check(["", *build_row()], 2), ValidRow)
    assert [refusal.rule for refusal in check(["x", *build_row()], 2)] == ["cell-without-column"]


@pytest.mark.parametrize("place", [14, 15, 16, 17, 18, 22])
@pytest.mark.parametrize("right", [True, False])
def test_a_shifted_row_is_refused_once(place, right):
    row = build_row({"BZ": "备注"})
    row = [*row[:place], "", *row[place:-1]] if right else [*row[:place], *row[place + 1 :], ""]
    result = CHECK(row, 8)
    assert [(refusal.row, refusal.rule) for refusal in result] == [(8, "columns-shifted")]
    assert result[0].column in PENALTY.field_codes


def test_a_row_that_slid_out_of_the_table_is_a_shifted_row():
    row = build_row({"BZ": "备注"})
    assert [refusal.rule for refusal in CHECK([*row[:16], "", *row[16:]], 2)] == ["columns-shifted"]


def test_two_faults_of_their_own_make_no_shifted_row():
    result = CHECK(build_row({"CF_JDRQ": "bad", "CF_CFJGDM": "bad"}), 2)
    assert [refusal.rule for refusal in result] == ["date-format", "uscc-form"]


# --- subject, class, identity


@pytest.mark.parametrize(
    ("changes", "subject"),
    [
        ({}, ("uscc", COMPANY)),
        ({"CF_XDR_ZZJG": "000000019"}, ("uscc", COMPANY)),
        ({"CF_XDR_SHXYM": "0" * 17 + "X", "CF_XDR_ZZJG": "000000019"}, ("org", "000000019")),
        ({"CF_XDR_SHXYM": "0" * 17 + "x", "CF_XDR_GSZC": "110108000000016"}, ("reg", "110108000000016")),
        ({"CF_XDR_SHXYM": "0" * 17 + "X"}, ("name", "云州恒泰商贸有限公司")),
        (PERSON, ("rid", RESIDENT_ID)),
        (PERSON | {"CF_XDR_ZJLX": "02", "CF_XDR_ZJHM": "e1234567"}, ("name", "孙样本")),
        (PERSON | {"CF_XDR_GSZC": "110108000000016"}, ("rid", RESIDENT_ID)),
    ],
)
def test_the_subject_is_the_first_code_there_is(changes, subject):
    result = CHECK(build_row(changes), 2)
    assert (result.subject_type, result.subject_id) == subject


def test_a_natural_person_is_never_published():
    assert CHECK(build_row(PERSON), 2).disclosure == "authorised"
    check = build_validator(header=[*PENALTY.field_codes, "信息使用范围"]).check
    assert check([*build_row(PERSON), "公示"], 2).disclosure == "authorised"


@pytest.mark.parametrize(
    ("cell", "disclosure"),
    [
        ("", "open"),
        (0, "open"),
        ("公示", "open"),
        ("1", "shared"),
        ("授权查询", "authorised"),
        (2.0, "authorised"),
    ],
)
def test_a_column_narrows_the_class(cell, disclosure):
    check = build_validator(header=[*PENALTY.field_codes, "CF_SYFW"]).check
    assert check([*build_row(), cell], 2).disclosure == disclosure


def test_an_unknown_class_is_refused():
    check = build_validator(header=[*PENALTY.field_codes, "CF_SYFW"]).check
    assert check([*build_row(), "内部"], 2) == [
        Refusal(2, "disclosure", "enum-value", "2 characters: Chinese characters")
    ]


def test_another_class_is_another_content():
    check = build_validator(header=[*PENALTY.field_codes, "CF_SYFW"]).check
    first, second = check([*build_row(), "0"], 2), check([*build_row(), "1"], 3)
    assert first.identity == second.identity
    assert first.content != second.content


def test_identity_is_item_issuer_number_subject_and_date():
    row = CHECK(build_row(), 2)
    assert msgpack.unpackb(row.identity) == [
        "penalty:2018",
        ISSUER,
        "云市监罚〔2026〕12号",
        "uscc",
        COMPANY,
        "2026-03-02",
    ]


@pytest.mark.parametrize(
    "number", ["云市监罚[2026]12号", "云市监罚（２０２６） 12号", "云市监罚【2026】12号"]
)
def test_identity_knows_a_number_in_other_brackets(number):
    first, second = CHECK(build_row(), 2), CHECK(build_row({"CF_WSH": number}), 3)
    assert first.identity == second.identity
    assert first.content != second.content


@pytest.mark.parametrize(
    "changes",
    [{"CF_WSH": "云市监罚〔2026〕13号"}, {"CF_JDRQ": "2026-03-01"}, PERSON, {"CF_XDR_SHXYM": "0" * 17 + "X"}],
)
def test_another_number_date_or_subject_is_another_record(changes):
    assert CHECK(build_row(), 2).identity != CHECK(build_row(changes), 3).identity


def test_the_same_row_written_otherwise_has_the_same_content():
    written = {
        "CF_XDR_LB": "02",
        "CF_JDRQ": 46083,
        "CF_NR_FK": "0.500000",
        "BZ": "无",
        "CF_XDR_SHXYM": COMPANY.lower(),
    }
    first, second = CHECK(build_row(), 2), CHECK(build_row(written), 3)
    assert (first.identity, first.content) == (second.identity, second.content)


def build_small_item(number):
    fields = [
        {"code": "NAME", "zh": "名称", "en": "name", "type": "string"},
        {"code": "NO", "zh": "文号", "en": "number", "type": "string"},
    ]
    return load_item(
        json.dumps(
            {
                "v": 1,
                "item": "note",
                "version": "1",
                "title": {"zh": "记录", "en": "note"},
                "source": "test",
                "disclosure": {"class": "shared"},
                "subject": {"name": "NAME", "codes": [], "natural_persons": None},
                "identity": {"number": number, "date": None},
                "fields": fields,
            }
        ).encode()
    )


def test_a_row_without_a_number_is_known_by_its_content():
    item = build_small_item("NO")
    validator = RowValidator(item, map_headers(item, ["NAME", "NO"]), issuer=ISSUER, today=TODAY)
    plain, other = validator.check(["甲公司甲", ""], 1), validator.check(["乙公司乙", ""], 2)
    assert (plain.numbered, plain.disclosure) == (False, "shared")
    assert plain.identity != other.identity
    assert validator.check(["甲公司甲", "1号"], 3).numbered
    assert validator.check(["", "1号"], 4) == [Refusal(4, "NAME", "field-required", "empty")]


def test_an_item_may_refuse_natural_persons():
    path = Path(load_item.__code__.co_filename).parent / "items" / "penalty-2018.json"
    members = json.loads(path.read_text())
    members["subject"]["natural_persons"]["disclosure"] = "refused"
    members["subject"]["codes"].pop()
    item = load_item(json.dumps(members).encode())
    check = build_validator(item).check
    assert isinstance(check(build_row(), 2), ValidRow)
    assert check(build_row(PERSON), 3) == [
        Refusal(3, "CF_XDR_LB", "natural-person-refused", "3 characters: Chinese characters")
    ]


def test_serial_dates_of_1904():
    check = build_validator(date1904=True).check
    assert values_of(check(build_row({"CF_JDRQ": 46083 - 1462}), 2))["CF_JDRQ"] == "2026-03-02"


def test_a_validator_remembers_nothing_of_refused_cells():
    check = build_validator().check
    for _ in range(2):
        assert [refusal.rule for refusal in check(build_row({"CF_NR_FK": "x"}), 2)] == ["decimal-format"]
        assert isinstance(check(build_row(), 2), ValidRow)


CELLS = st.one_of(
    st.none(),
    st.text(max_size=40),
    st.integers(),
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from(
        [COMPANY, ISSUER, RESIDENT_ID, "罚款", "自然人", "2026-03-02", "长期", "0.5", "无", "0" * 17 + "X"]
    ),
)


@given(st.dictionaries(st.sampled_from(PENALTY.field_codes), CELLS, max_size=6), st.integers(0, 2))
def test_any_row_is_accepted_or_refused_by_known_rules(changes, extra):
    row = [*build_row(changes), *["x"] * extra]
    result = CHECK(row, 5)
    if isinstance(result, ValidRow):
        again = CHECK(["" if value is None else value for value in result.values], 6)
        assert isinstance(again, ValidRow)
        assert again.values == result.values
        assert (again.identity, again.content) == (result.identity, result.content)
    else:
        assert result
        for refusal in result:
            assert refusal.rule in RULES
            assert refusal.row == 5
            assert refusal.column is None or refusal.column in PENALTY.field_codes
