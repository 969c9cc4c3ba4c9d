# SPDX-License-Identifier: Apache-2.0
"""Texts of rules, and descriptions of values that do not repeat them."""

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.core.texts import title_of
from node.records import rules
from node.records.rules import (
    RULES,
    WARNINGS,
    Refusal,
    describe_value,
    looks_like_date,
    render_refusal,
    translate_value_class,
)
from node.service.deciding import WITHDRAWN

ROOT = Path(rules.__file__).parents[2]


@pytest.mark.parametrize(
    ("cell", "english", "chinese"),
    [
        (None, "empty", "空"),
        ("", "empty", "空"),
        (" \u3000", "empty", "空"),
        (12, "number", "数值"),
        (1.5, "number", "数值"),
        ("2026-01-02", "date-like", "类似日期"),
        ("２０２６年1月2日", "date-like", "类似日期"),
        ("91520100MA00000156", "18 characters: digits and letters", "18 个字符：数字、字母"),
        (" 云州 12-3 ", "7 characters: digits and Chinese characters and other characters", None),
    ],
)
def test_values_are_described_by_class(cell, english, chinese):
    assert describe_value(cell) == english
    assert chinese is None or translate_value_class(english) == chinese


@pytest.mark.parametrize("text", ["2026-1-2", "2026/01/02", "2026.1.2", "2026年12月31日", "2026年12月31号"])
def test_dates_look_like_dates(text):
    assert looks_like_date(text)


@pytest.mark.parametrize(
    "text", ["", "2026", "2026-01", "26-1-2", "2026年1月2日罚款", "20260102", "2026-1-2-3"]
)
def test_other_texts_do_not(text):
    assert not looks_like_date(text)


@given(st.text(min_size=4, max_size=60))
def test_a_description_has_no_part_of_the_value(text):
    fixed = {"empty", "date-like", *re.findall(r"\w+", "characters digits and letters Chinese other")}
    for language in ("zh", "en"):
        shown = render_refusal(Refusal(2, "CF_SY", "text-too-long", describe_value(text)), language)
        without = render_refusal(Refusal(2, "CF_SY", "text-too-long", ""), language)
        words = set(re.findall(r"\w+", shown)) - set(re.findall(r"\w+", without)) - fixed
        assert words <= {
            str(len(text.strip())),
            "类似日期",
            "空",
            "个字符",
            "数字",
            "字母",
            "汉字",
            "其他字符",
            "date",
            "like",
        }


def test_refusals_are_rendered_in_both_languages():
    refusal = Refusal(17, "CF_NR_FK", "decimal-unit", "5 characters: digits and Chinese characters")
    assert render_refusal(refusal, "zh") == "第 17 行 CF_NR_FK：金额单位不符（5 个字符：数字、汉字）"
    assert render_refusal(refusal, "en") == (
        "row 17, CF_NR_FK: the amount carries a unit other than the field's (5 characters: digits and Chinese characters)"
    )
    assert render_refusal(Refusal(3, None, "row-cut", ""), "zh") == "第 3 行：文件在该行中断"
    assert (
        render_refusal(Refusal(3, None, "row-cut", ""), "en")
        == "row 3: the file ends in the middle of this row"
    )


def test_every_rule_and_warning_has_two_texts_and_a_place_in_the_documents():
    page = (ROOT / "docs" / "import.md").read_text()
    for code, (chinese, english) in (RULES | WARNINGS).items():
        assert re.search(r"[\u4e00-\u9fff]", chinese), code
        assert english.isascii() or "其他" in english, code
        assert f"| `{code}` | {chinese} | {english} |" in page, code


def test_a_row_that_would_correct_a_withdrawn_record_has_a_place_in_the_documents():
    page = (ROOT / "docs" / "import.md").read_text()
    assert f"| `{WITHDRAWN}` | {title_of(WITHDRAWN, 'zh')} | {title_of(WITHDRAWN, 'en')} |" in page


def test_every_rule_that_the_sources_name_has_texts():
    sources = [*(ROOT / "node" / "records").glob("*.py"), *(ROOT / "node" / "readers").glob("*.py")]
    named = set()
    for path in sources:
        text = path.read_text()
        named |= set(
            re.findall(r'(?:BadValue\(|setdefault\(place, |setdefault\(second, )"([a-z0-9-]+)"', text)
        )
        named |= set(re.findall(r'"(row-[a-z-]+|columns-shifted|cell-without-column)"', text))
    assert named <= RULES.keys()


def test_no_rule_is_left_over():
    texts = [path.read_text() for path in (ROOT / "node").rglob("*.py") if path.name != "rules.py"]
    assert [
        code for code in RULES | WARNINGS if not any(re.search(rf'[": ]{code}"', text) for text in texts)
    ] == []
