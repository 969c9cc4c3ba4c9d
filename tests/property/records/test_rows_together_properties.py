# SPDX-License-Identifier: Apache-2.0
"""Rows checked together, column by column, come out as each does when it is checked alone."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from node.records.rows import ValidRow
from tests.support.rows import COMPANY, PENALTY, PERMIT, PERSON, RESIDENT_ID, build_row, build_validator

CELLS = st.one_of(
    st.sampled_from(
        [
            *(
                "",
                " ",
                None,
                "/",
                "无",
                "NULL",
                "\u3000",
                "\x00",
                "\x01",
                "\ufffd",
                "\u200b",
                "e\u0301",
                "a\nb",
            ),
            *(
                COMPANY,
                COMPANY.lower(),
                COMPANY[:-1] + "8",
                "0" * 17 + "X",
                RESIDENT_ID,
                f"证号{RESIDENT_ID}",
                "１" * 18,
            ),
            *(
                "2026-03-02",
                "2026年3月2日",
                "2099-01-01",
                "1800-01-01",
                "20260230",
                46_000,
                46_000.5,
                -1,
                10**15,
                0,
                0.0,
            ),
            *(
                "自然人",
                "法人及非法人组织",
                "罚款",
                "罚款;警告",
                "身份证",
                "普通",
                "公示",
                "授权查询",
                "5000",
                "0.50",
                "-3",
                "1,000",
            ),
            *("云市监罚（2026）12号", "云市监罚 [2026] 12 号", "x" * 6_000),
        ]
    ),
    st.text(max_size=12),
    st.floats(allow_nan=False, allow_infinity=False),
    st.integers(),
)


@st.composite
def chunks(draw, item):
    """Rows of an item, most cells clean; blank, short, long and unreadable rows among them."""
    codes = [*item.field_codes, "使用范围"]
    rows = []
    for _ in range(draw(st.integers(0, 6))):
        base = PERSON if draw(st.booleans()) and item is PENALTY else {}
        row = [*build_row(base, item), draw(st.sampled_from(["", "", "公示", "授权查询", "?"]))]
        for place, cell in draw(st.dictionaries(st.integers(0, len(codes) - 1), CELLS, max_size=3)).items():
            row[place] = cell
        kind = draw(st.sampled_from(["whole"] * 5 + ["short", "long", "blank", "unread"]))
        if kind == "short":
            row = row[: draw(st.integers(1, len(row)))]
        elif kind == "long":
            row += draw(st.lists(CELLS, min_size=1, max_size=2))
        rows.append([] if kind == "blank" else "row-quote" if kind == "unread" else row)
    return rows


def check_each(validator, rows, first_row):
    valid, refusals = [], []
    for place, row in enumerate(rows):
        if row:
            outcome = validator.check(row, first_row + place)
            if isinstance(outcome, ValidRow):
                valid.append((place, outcome))
            else:
                refusals += outcome
    return valid, refusals


def headers(item):
    return [[*item.field_codes, last] for last in ("使用范围", "", "no field of this item")]


@given(st.data(), st.sampled_from([PENALTY, PERMIT]), st.integers(1, 10**6))
def test_rows_together_come_out_as_each_alone(data, item, first_row):
    header = data.draw(st.sampled_from(headers(item)))
    together, alone = build_validator(item, header), build_validator(item, header)
    for _ in range(2):  # the second chunk meets what the first one left in the memory of converters
        rows = data.draw(chunks(item))
        found, refusals = together.check_all(rows, first_row)
        valid = list(zip(found.places, found.split(), strict=True))
        assert (valid, refusals) == check_each(alone, rows, first_row)
