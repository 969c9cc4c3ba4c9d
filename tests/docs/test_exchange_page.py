# SPDX-License-Identifier: Apache-2.0
"""docs/protocol/exchange.md names every code of the exchange's formats, and no other."""

import ast
import json
import re

from tests.support.errorcodes import ROOT

PAGE = (ROOT / "docs" / "protocol" / "exchange.md").read_text(encoding="utf-8")
TITLES = json.loads((ROOT / "node" / "core" / "texts.json").read_text(encoding="utf-8"))
MODULES = (
    "request",
    "answer",
    "box",
    "consent",
    "warrant",
    "sealed",
    "logged",
    "question",
    "bulk_request",
    "bulk_answer",
    "revocation",
    "unsealed",
)
NAMED = set(re.findall(r"`([a-z0-9]+(?:-[a-z0-9]+)+)`", PAGE))
FAMILIES = set(re.findall(r"`([a-z0-9]+-?)…`", PAGE))


def raised():
    """Literal codes in the modules of the formats."""
    trees = [ast.parse((ROOT / "node" / "access" / f"{name}.py").read_text()) for name in MODULES]
    trees.append(ast.parse((ROOT / "node" / "evidence" / "answered.py").read_text()))
    calls = (node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Call))
    return {
        call.args[0].value
        for call in calls
        if getattr(call.func, "id", "") in {"InvalidInput", "Verification"}
        and isinstance(call.args[0], ast.Constant)
    }


def shortened():
    """The page writes `consent-expired`, `-early`, … for a row of one family."""
    found = set()
    for row in re.findall(r"`([a-z]+)-([a-z-]+)`((?:, `-[a-z-]+`)+)", PAGE):
        found |= {f"{row[0]}{rest}" for rest in re.findall(r"`(-[a-z-]+)`", row[2])}
    return found


def test_codes_on_the_page_exist():
    written = NAMED | shortened()
    families = {code.split("-")[0] for code in raised()}
    codes = {code for code in written if code.split("-")[0] in families}
    assert codes >= {"box-open", "request-differs", "consent-scope", "answered-field"}
    assert sorted(codes - TITLES.keys()) == []


def test_every_code_of_the_formats_is_on_the_page():
    known = NAMED | shortened()
    missing = {
        code
        for code in raised()
        if code not in known and not any(code.startswith(family) for family in FAMILIES)
    }
    # Said to a caller of our own who has not ten disclosures; no message can cause it.
    assert sorted(missing) == ["event-names"]
