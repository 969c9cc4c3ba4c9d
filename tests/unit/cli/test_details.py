# SPDX-License-Identifier: Apache-2.0
"""Why a file was refused is said in Chinese with the same places: each sentence of the sources has its translation."""

import ast
import re

import pytest

from cli.details import _SENTENCES, translate_detail
from tests.support.project import ROOT

SOURCES = [*sorted((ROOT / "node" / "readers").glob("*.py")), ROOT / "node" / "records" / "headers.py"]
ELSEWHERE = {"workbook-unreadable", "item-header"}
"""Faults inside a workbook, of which a clerk can only save it again; and items, which no clerk writes."""


def sentences():
    """Yield code and sentence of each refusal that the sources raise, with ``{}`` for what is filled in."""
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "InvalidInput":
                code, text = node.args
                if not isinstance(code, ast.Constant):
                    continue  # an error of another process, which says code and text
                parts = text.values if isinstance(text, ast.JoinedStr) else [text]
                yield (
                    code.value,
                    "".join(part.value if isinstance(part, ast.Constant) else "{}" for part in parts),
                )


def test_each_refusal_of_a_file_has_a_sentence_in_chinese_and_no_other():
    wanted = {text for code, text in sentences() if code not in ELSEWHERE}
    assert len(wanted) > 20
    assert wanted <= set(_SENTENCES)
    assert set(_SENTENCES) <= {text for _, text in sentences()}


@pytest.mark.parametrize(("english", "chinese"), sorted(_SENTENCES.items()))
def test_what_is_filled_in_stays_in_its_order(english, chinese):
    assert english.count("{}") == chinese.count("{}")
    values = [str(number) for number in range(9011, 9011 + english.count("{}"))]
    told = translate_detail(english.format(*values))
    assert told == chinese.format(*values)
    assert re.findall(r"90\d\d", told) == values


@pytest.mark.parametrize(
    ("english", "chinese"),
    [
        (
            "columns of penalty:2018 occur twice: CF_CFJG in columns 26 and others; disclosure class in columns 2 and 3; and others",
            "penalty:2018 有重复的列：CF_CFJG 在第 26、等 列；信息使用范围 在第 2、3 列；等",
        ),
        (
            "columns of x:1 occur twice: A in columns 1 and 2; hidden sheets are not read: show the one with the table",
            "x:1 有重复的列：A 在第 1、2 列；隐藏的工作表不读取，请取消隐藏有数据的那张",
        ),
        ("file is a RAR archive: want .xlsx, .xls, CSV or NDJSON", "文件是 RAR 压缩包"),
        ("something new", "something new"),
    ],
)
def test_examples(english, chinese):
    assert translate_detail(english) == chinese
