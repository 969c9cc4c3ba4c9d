# SPDX-License-Identifier: Apache-2.0
"""Every line of docs/reliability.md names a test, and the test is there."""

import ast
import re
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "reliability.md"
HEADER = "| event | what the node does | what the operator sees | test |"


def lines():
    text = PAGE.read_text(encoding="utf-8")
    rows = [row for row in text.splitlines() if row.startswith("| ") and row != HEADER]
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", row.strip().strip("|"))] for row in rows]


@cache
def names_in(path):
    """Names of the test functions of a file, those of classes (state machines) included."""
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    return {node.name for node in ast.walk(tree) if isinstance(node, (ast.FunctionDef, ast.ClassDef))} | {
        target.id
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }


def test_each_line_has_four_cells_and_none_is_empty():
    for row in lines():
        assert len(row) == 4, row
        assert all(row), row


def test_each_line_names_tests_that_exist():
    for row in lines():
        named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", row[3])
        assert named, f"no test: {row[0]}"
        for path, name in named:
            assert name in names_in(path), f"{row[0]}: {path}::{name}"
