# SPDX-License-Identifier: Apache-2.0
"""Every error code has a title in both languages, and no title is left over."""

import json
import re

import pytest

from node.core.texts import title_of
from tests.support.errorcodes import HTTP_ONLY, ROOT, find_codes

TITLES = json.loads((ROOT / "node" / "core" / "texts.json").read_text(encoding="utf-8"))


def test_exactly_the_codes_that_can_be_raised_have_titles():
    codes = find_codes().keys() | HTTP_ONLY.keys()
    assert sorted(codes - TITLES.keys()) == [], "codes without a title in node/core/texts.json"
    assert sorted(TITLES.keys() - codes) == [], "titles in node/core/texts.json of codes that nobody raises"


def test_codes_are_kebab_case():
    assert [code for code in TITLES if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", code)] == []


@pytest.mark.parametrize("language", ["zh", "en"])
def test_titles_are_phrases_of_their_language(language):
    chinese = re.compile(r"[\u4e00-\u9fff]")
    for code in TITLES:
        title = title_of(code, language)
        assert 2 <= len(title) <= 60, code
        assert title == title.strip()
        assert title[-1] not in ".。", code
        assert bool(chinese.search(title)) == (language == "zh"), code


def test_codes_of_http_answers_stand_in_the_sources():
    text = "".join(path.read_text() for path in (ROOT / "node" / "api").glob("*.py"))
    for code in HTTP_ONLY:
        literal = 'f"http-{' if code.startswith("http-") else f'"{code}"'
        assert literal in text, code


def test_the_table_is_sorted_one_code_a_line():
    lines = (ROOT / "node" / "core" / "texts.json").read_text(encoding="utf-8").splitlines()[1:-1]
    assert len(lines) == len(TITLES)
    assert lines == sorted(lines, key=lambda line: line.split('"')[1])
