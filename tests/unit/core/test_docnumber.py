# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

from node.core.docnumber import normalise_document_number
from node.core.width import fold_width


@pytest.mark.parametrize("brackets", ["〔〕", "（）", "()", "[]", "［］", "【】", "﹝﹞", "（)", "[〕"])
def test_brackets_around_a_year_become_one_kind(brackets):
    written = f"浙杭 市监罚{brackets[0]}2023{brackets[1]}第１２号"
    assert normalise_document_number(written) == "浙杭市监罚〔2023〕第12号"


@pytest.mark.parametrize(
    ("written", "want"),
    [
        ("", ""),
        (" 甲罚\u3000字\ufeff\u200b\t1\n号 ", "甲罚字1号"),
        ("甲罚（ ２０２３ ）1号", "甲罚〔2023〕1号"),
        ("甲罚[2023]1(3)号", "甲罚〔2023〕1(3)号"),
        ("甲罚(203)1号", "甲罚(203)1号"),
        ("甲罚(20231)号", "甲罚(20231)号"),
        ("甲罚2023第007号", "甲罚2023第007号"),
        ("ａB罚〔2023〕1号", "aB罚〔2023〕1号"),
    ],
)
def test_nothing_else_that_tells_documents_apart_is_changed(written, want):
    assert normalise_document_number(written) == want


def test_full_width_is_folded():
    assert fold_width("ＡＢＣ１２３！～　") == "ABC123!~ "
    assert fold_width("abc 〔》、。") == "abc 〔》、。"
