# SPDX-License-Identifier: Apache-2.0
"""Every path that a page or a source file points to is there, and so is every test that a page names."""

import re

import pytest

from tests.support.project import ROOT, project_files

PAGES = project_files(".md")
LINK = re.compile(r"\]\((?!https?://|mailto:)([^)\s]+)\)")
FOLDERS = "tests|node|cli|consortium|contracts|docs|docker|\\.ci"
FILED = re.compile(rf"`((?:{FOLDERS})/[\w./*-]*)(?:::(\w+))?")
NAMED = re.compile(r"\bdocs/[\w/-]+\.md\b")


def anchors_of(path):
    """The anchors of a page's headings, as GitHub makes them."""
    text = re.sub(r"```.*?```", "", path.read_text(encoding="utf-8"), flags=re.DOTALL)
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {
        re.sub(r"[^\w\- ]", "", heading.replace("`", "")).strip().lower().replace(" ", "-")
        for heading in headings
    }


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page):
    for target in LINK.findall(page.read_text(encoding="utf-8")):
        path, _, anchor = target.partition("#")
        there = (page.parent / path).resolve() if path else page
        assert there.exists(), target
        assert there.is_relative_to(ROOT), target
        if anchor:
            assert anchor in anchors_of(there), target


def test_pages_named_in_the_sources_exist():
    missing = {
        (str(path.relative_to(ROOT)), name)
        for path in project_files(".py", ".sol", ".toml")
        for name in NAMED.findall(path.read_text(encoding="utf-8"))
        if not (ROOT / name).is_file()
    }
    assert missing == set()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_files_and_tests_that_a_page_names_are_there(page):
    for path, name in FILED.findall(page.read_text(encoding="utf-8")):
        found = list(ROOT.glob(path))
        assert found, path
        if name:
            text = found[0].read_text(encoding="utf-8")
            assert re.search(rf"\b(def|class|function) {name}\b|^{name} = ", text, re.MULTILINE), name
