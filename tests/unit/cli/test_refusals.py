# SPDX-License-Identifier: Apache-2.0
"""Refused rows as a clerk reads them: columns by the names of the file, a row of totals on one line."""

import csv

import pytest

from cli.imports import print_refusals, write_refusals


def refusal(row, column, title, rule="field-required", got="empty"):
    return {"row": row, "column": column, "title": title, "rule": rule, "reason": "必填项为空", "got": got}


EMPTY = [refusal(9, f"CF_{n}", f"列名{n}") for n in range(13)]
ALONE = refusal(10, "CF_WSH", "行政处罚决定书文号")
WHOLE = refusal(11, None, None, "row-cut", "")
OUTSIDE = refusal(12, "31", "31", "cell-without-column", "2 characters: digits")


@pytest.fixture
def chinese(monkeypatch):
    for module in ("cli.imports", "cli.language"):
        monkeypatch.setattr(f"{module}.LANGUAGE", "zh")
    monkeypatch.setenv("COLUMNS", "140")


def test_one_line_for_what_a_rule_says_of_one_row(chinese, capsys):
    print_refusals([*EMPTY, ALONE, WHOLE, OUTSIDE])
    header, *lines = capsys.readouterr().out.splitlines()
    assert header.split() == ["行", "列", "原因", "值的类型", "规则"]
    assert [line.split()[:4] for line in lines] == [
        ["9", "列名0", "CF_0", "等"],
        ["10", "行政处罚决定书文号", "CF_WSH", "必填项为空"],
        ["11", "—", "必填项为空", "row-cut"],
        ["12", "31", "必填项为空", "2"],
    ]
    assert " 等 13 列 " in lines[0]


def test_what_is_not_shown_is_counted(chinese, capsys):
    rows = [refusal(n, "CF_WSH", "文号") for n in range(1, 22)]
    print_refusals([*EMPTY, *rows, *rows[-1:]])
    assert capsys.readouterr().out.endswith("……另有 3 条，用 --refusals 文件 全部写出\n")


def test_the_file_has_all_of_them_with_code_and_name(chinese, tmp_path):
    path = tmp_path / "r.csv"
    write_refusals(path, [*EMPTY, ALONE, WHOLE])
    with path.open(encoding="utf-8-sig", newline="") as file:
        lines = list(csv.DictReader(file))
    assert len(lines) == 15
    assert (lines[13]["行"], lines[13]["列"], lines[13]["列名"]) == ("10", "CF_WSH", "行政处罚决定书文号")
    assert (lines[14]["列"], lines[14]["列名"]) == ("", "")
