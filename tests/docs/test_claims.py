# SPDX-License-Identifier: Apache-2.0
"""Each line of docs/reliability.md and of the threat model names a test, and the test is there."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TABLES = {
    "docs/reliability.md": "| event | what the node does | what the operator sees | test |",
    "SECURITY.md": "| who holds | can | cannot | shown by |",
}
NAMED = r"`((?:tests|contracts)/[\w/]+\.(?:py|t\.sol))::(\w+)`"


def lines_of(page):
    """Cells of the rows below each table heading of a page."""
    rows, inside = [], False
    for line in (ROOT / page).read_text(encoding="utf-8").splitlines():
        if line == TABLES[page]:
            inside = True
        elif not line.startswith("|"):
            inside = False
        elif inside and not line.startswith("|---"):
            rows.append([cell.strip() for cell in re.split(r"(?<!\\)\|", line.strip().strip("|"))])
    return rows


@cache
def names_in(path):
    """Names of the tests of a file: functions, classes (state machines), and what is assigned."""
    text = (ROOT / path).read_text(encoding="utf-8")
    if path.endswith(".sol"):
        return set(re.findall(r"function (\w+)\(", text))
    tree = ast.parse(text)
    names = {node.name for node in ast.walk(tree) if isinstance(node, (ast.FunctionDef, ast.ClassDef))}
    assigned = (node.targets for node in ast.walk(tree) if isinstance(node, ast.Assign))
    return names | {target.id for targets in assigned for target in targets if isinstance(target, ast.Name)}


@pytest.mark.parametrize("page", TABLES)
def test_each_line_has_four_cells_and_none_is_empty(page):
    assert len(lines_of(page)) > 15
    for row in lines_of(page):
        assert len(row) == 4, row
        assert all(row), row


@pytest.mark.parametrize("page", TABLES)
def test_each_line_names_tests_that_exist_or_says_why_not(page):
    for row in lines_of(page):
        named = re.findall(NAMED, row[3])
        assert named or row[3].startswith("out of scope: "), f"no test: {row[0]}"
        for path, name in named:
            assert name in names_in(path), f"{row[0]}: {path}::{name}"
