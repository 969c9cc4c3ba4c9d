# SPDX-License-Identifier: Apache-2.0
"""The subjects of a question from a file: whole or not at all, and errors that name rows and never what stands there."""

from __future__ import annotations

import pytest

from cli.subjects_file import read_subjects
from node.errors import InvalidInput, NotFound
from tests.support.errors import raises_code
from tests.support.many import companies
from tests.support.workbooks import store_xlsx

IDS = companies(3)


@pytest.fixture
def store(tmp_path):
    def store(text, name="list.csv", encoding="utf-8"):
        path = tmp_path / name
        path.write_bytes(text.encode(encoding))
        return path

    return store


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030"])
def test_a_column_of_a_usual_name_is_found(store, encoding):
    rows = "\r\n".join(f"{number},某某公司,{code.lower()}" for number, code in enumerate(IDS))
    assert (
        read_subjects(store(f"序号,名称,统一社会信用代码\r\n{rows}\r\n", encoding=encoding), "uscc", None)
        == IDS
    )
    named = store(f"序号,名称,代码\n{rows}\n", encoding=encoding)
    assert read_subjects(named, "uscc", "代码") == IDS
    with raises_code(InvalidInput, "column-unknown"):
        read_subjects(named, "uscc", None)
    with raises_code(InvalidInput, "column-unknown"):
        read_subjects(named, "uscc", "信用代码")


def test_a_text_with_one_code_a_line_needs_no_header(store):
    assert read_subjects(store("\n".join(IDS) + "\n"), "uscc", None) == IDS
    assert read_subjects(store("企业\n" + "\n\n".join(IDS)), "uscc", None) == IDS


def test_workbooks_are_read_too_and_numbers_that_lost_their_digits_refused(tmp_path):
    path = tmp_path / "list.xlsx"
    store_xlsx(path, {"名单": [["名称", "统一社会信用代码"], *(["某某", code] for code in IDS)]})
    assert read_subjects(path, "uscc", None) == IDS
    store_xlsx(path, {"名单": [["注册号"], [440301103097413], [4.4e20]]})
    with pytest.raises(InvalidInput, match=r"^nothing was asked: row 3 \[question-subject\]$"):
        read_subjects(path, "reg", None)


def test_ndjson_names_its_column(store):
    lines = "\n".join(f'{{"USCC": "{code}", "n": 1}}' for code in IDS)
    assert read_subjects(store(lines, "list.ndjson"), "uscc", None) == IDS


def test_names_stay_as_they_are_written(store):
    assert read_subjects(store("企业名称\n甲公司\n 乙 公司 \n"), "name", None) == ["甲公司", "乙 公司"]


def test_every_wrong_row_is_named_and_nothing_of_it_shown(store):
    path = store(
        f"统一社会信用代码,备注\n{IDS[0]},\n911101080000000000,x\n{IDS[0].lower()},\n,无代码\n{IDS[1]},\n"
    )
    with pytest.raises(InvalidInput) as caught:
        read_subjects(path, "uscc", None)
    assert caught.value.code == "subjects-refused"
    message = caught.value.message
    assert [f"row {number}" in message for number in range(1, 7)] == [False, True, True, True, True, False]
    assert "row 4 [as row 2]" in message
    assert "9111" not in message
    assert IDS[0] not in message


def test_of_many_wrong_rows_the_first_are_named(store):
    path = store("统一社会信用代码\n" + "x\n" * 30)
    with pytest.raises(InvalidInput, match=r"row 21 .* and 10 more"):
        read_subjects(path, "uscc", None)


def test_a_file_without_subjects_is_refused(store, tmp_path):
    with raises_code(InvalidInput, "subjects-refused"):
        read_subjects(store("统一社会信用代码\n"), "uscc", None)
    with raises_code(NotFound, "file-missing"):
        read_subjects(tmp_path / "none.csv", "uscc", None)
