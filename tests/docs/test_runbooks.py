# SPDX-License-Identifier: Apache-2.0
"""The codes that operators' pages explain are codes that the program gives."""

import re

import pytest

from node.records.rules import RULES
from tests.support.errorcodes import ROOT, find_codes

RUNBOOKS = sorted((ROOT / "docs" / "runbooks").glob("*.md"))


@pytest.mark.parametrize("page", RUNBOOKS, ids=lambda page: page.stem)
def test_codes_in_tables_exist(page):
    cells = [
        line.split("|")[1] for line in page.read_text(encoding="utf-8").splitlines() if line.startswith("| `")
    ]
    named = {code for cell in cells for code in re.findall(r"`([a-z0-9]+(?:-[a-z0-9]+)+)`", cell)}
    known = find_codes().keys() | RULES.keys() | {"waiting-for-chain", "read-only"}
    assert named - known == set()


def test_states_are_those_that_a_node_reports():
    source = (ROOT / "node" / "service" / "services.py").read_text(encoding="utf-8")
    page = (ROOT / "docs" / "runbooks" / "node-states.md").read_text(encoding="utf-8")
    states = re.findall(r'mode = "([a-z-]+)"', source)
    assert len(set(states)) == 4
    assert all(re.search(rf"^\| `{state}` ", page, re.MULTILINE) for state in states)
