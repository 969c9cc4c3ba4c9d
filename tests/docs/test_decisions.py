# SPDX-License-Identifier: Apache-2.0
"""Architecture decision records are complete, short, listed, and those that the sources name exist."""

import re

import pytest

from tests.support.project import ROOT, project_files

RECORDS = sorted((ROOT / "docs" / "adr").glob("[0-9]*.md"))
ONE_PAGE_CHARACTERS = 3_500
ONE_PAGE_LINES = 45


@pytest.mark.parametrize("path", RECORDS, ids=lambda path: path.stem)
def test_record_is_complete_and_short(path):
    text = path.read_text(encoding="utf-8")
    number = int(path.name[:4])
    assert text.startswith(f"# {number}. ")
    assert re.search(r"^Date: \d{4}-\d\d-\d\d · Status: (accepted|superseded by \[)", text, re.MULTILINE)
    assert [line for line in text.splitlines() if line.startswith("## ")] == [
        "## Context",
        "## Decision",
        "## Consequences",
    ]
    assert "\n* Bad: " in text, "every decision costs something"
    assert len(text) <= ONE_PAGE_CHARACTERS
    assert len(text.splitlines()) <= ONE_PAGE_LINES


def test_numbers_run_without_gaps():
    assert [int(path.name[:4]) for path in RECORDS] == list(range(1, len(RECORDS) + 1))


def test_the_index_lists_every_record_by_its_title():
    index = (ROOT / "docs" / "adr" / "README.md").read_text(encoding="utf-8")
    listed = re.findall(r"^\| (\d+) \| \[(.+)\]\((.+)\) \|$", index, re.MULTILINE)
    titles = [path.read_text(encoding="utf-8").splitlines()[0] for path in RECORDS]
    assert [(f"# {number}. {title}", name) for number, title, name in listed] == [
        (title, path.name) for title, path in zip(titles, RECORDS, strict=True)
    ]


def test_records_named_in_the_sources_exist():
    numbers = {path.name[:4] for path in RECORDS}
    for path in project_files(".py", ".sol", ".md", ".toml"):
        named = set(re.findall(r"docs/adr/(\d{4})", path.read_text(encoding="utf-8")))
        assert named <= numbers, path
